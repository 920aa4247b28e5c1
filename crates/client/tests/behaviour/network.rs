//! A network before a server, which can be cut, hold back what the server says, say something
//! in its place, and tell what a client said.

use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, watch};

/// How the answer to a registration begins.
const ANSWER: &str = r#"{"extended":{"registered":{"#;

/// What the network does with connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// It carries everything.
    Open,
    /// Nothing that the server says gets through.
    Held,
    /// There is none: connections end.
    Cut,
}

/// See the module.
pub(crate) struct Network {
    /// What to give to clients.
    pub(crate) address: String,
    mode: Arc<watch::Sender<Mode>>,
    said: watch::Receiver<Vec<u8>>,
    /// Lines to clients.
    told: broadcast::Sender<String>,
}

impl Network {
    pub(crate) async fn before(server: &str) -> Self {
        Self::naming(server, "").await
    }

    /// The same before a server that names others when it registers a client, as `"a:1","b:2"`.
    pub(crate) async fn naming(server: &str, others: &str) -> Self {
        let others = match others {
            "" => String::new(),
            others => format!(r#""servers":[{others}],"#),
        };
        let (told, _) = broadcast::channel(16);
        let tells = told.clone();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mode = Arc::new(watch::channel(Mode::Open).0);
        let (tell, said) = watch::channel(Vec::new());
        let tell = Arc::new(tell);
        let (server, modes) = (server.to_owned(), mode.clone());
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let mode = modes.subscribe();
                if *mode.borrow() == Mode::Cut {
                    continue;
                }
                let Ok(far) = TcpStream::connect(&server).await else {
                    continue;
                };
                let (near, far) = (near.into_split(), far.into_split());
                let (tell, others) = (tell.clone(), others.clone());
                let ears = move |bytes: &[u8]| {
                    tell.send_modify(|said| said.extend(bytes));
                    bytes.to_vec()
                };
                // The answer comes first, and in one piece.
                let mut is_first = true;
                let name = move |bytes: &[u8]| {
                    let is_answer = std::mem::take(&mut is_first);
                    match str::from_utf8(bytes) {
                        Ok(text) if is_answer => text
                            .replacen(ANSWER, &format!("{ANSWER}{others}"), 1)
                            .into_bytes(),
                        _ => bytes.to_vec(),
                    }
                };
                let silence = broadcast::channel(1).0;
                tokio::spawn(carry(near.0, far.1, mode.clone(), Mode::Cut, silence, ears));
                let tells = tells.clone();
                tokio::spawn(carry(far.0, near.1, mode, Mode::Held, tells, name));
            }
        });
        Self {
            address,
            mode,
            said,
            told,
        }
    }

    /// Says a line to all clients, as if the server did. It must be silent meanwhile.
    pub(crate) fn tell(&self, line: &str) {
        self.told.send(format!("{line}\n")).unwrap();
    }

    /// Ends all connections and lets none through.
    pub(crate) fn cut(&self) {
        self.mode.send_replace(Mode::Cut);
    }

    /// Holds back what the server says.
    pub(crate) fn hold(&self) {
        self.mode.send_replace(Mode::Held);
    }

    /// Lets new connections through.
    pub(crate) fn mend(&self) {
        self.mode.send_replace(Mode::Open);
    }

    /// The first line that a client has said.
    pub(crate) async fn first_line(&self) -> Vec<u8> {
        let mut said = self.said.clone();
        let end = |said: &[u8]| said.iter().position(|byte| *byte == b'\n');
        let said = said.wait_for(|said| end(said).is_some()).await.unwrap();
        said[..=end(&said).unwrap()].to_vec()
    }
}

/// Carries bytes, as `change` leaves them, until the network is cut; none while its mode is
/// `stops`.
async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut mode: watch::Receiver<Mode>,
    stops: Mode,
    told: broadcast::Sender<String>,
    mut change: impl FnMut(&[u8]) -> Vec<u8>,
) {
    let mut lines = told.subscribe();
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let now = *mode.borrow_and_update();
        if now == Mode::Cut {
            return;
        }
        tokio::select! {
            biased;
            changed = mode.changed() => if changed.is_err() {
                return;
            },
            read = from.read(&mut bytes), if now != stops => match read {
                Ok(count) if count > 0 => {
                    let changed = change(&bytes[..count]);
                    if to.write_all(&changed).await.is_err() {
                        return;
                    }
                }
                _ => return,
            },
            Ok(line) = lines.recv() => if to.write_all(line.as_bytes()).await.is_err() {
                return;
            },
        }
    }
}
