//! The real topic server, in the tests' own process.

use std::net::TcpStream;
use std::sync::mpsc;
use std::thread;

use tokio::sync::oneshot;
use topicserver::{Config, Server};

use crate::peer::Peer;
use crate::process::Process;
use crate::secrets;

/// Starts a topic server; the address to give to clients. It ends with the
/// tests.
pub(crate) fn start_server() -> String {
    start_server_with(&Config::default())
}

/// The same with other limits.
pub(crate) fn start_server_with(config: &Config) -> String {
    let server = Running::start(config);
    std::mem::forget(server.stop);
    server.address
}

/// A topic server that can be stopped.
pub(crate) struct Running {
    config: Config,
    /// What to give to clients.
    pub(crate) address: String,
    /// Its key's fingerprint, if it has signed its certificate itself.
    pub(crate) fingerprint: Option<String>,
    stop: oneshot::Sender<()>,
    thread: thread::JoinHandle<()>,
}

impl Running {
    /// Starts one on this machine.
    pub(crate) fn start(config: &Config) -> Self {
        if let Some(accounts) = &config.auth {
            secrets::watch_this_process();
            secrets::note_file(accounts);
        }
        let config = Config {
            bind: Some("127.0.0.1".parse().unwrap()),
            ..config.clone()
        };
        let started = config.clone();
        let (bound, address) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let server = Server::bind(started).unwrap();
                bound
                    .send((server.local_addr(), server.fingerprint()))
                    .unwrap();
                let stopped = async { drop(stopped.await) };
                server.run(stopped).await
            });
        });
        let (address, fingerprint) = address.recv().unwrap();
        Self {
            config,
            address: address.to_string(),
            fingerprint,
            stop,
            thread,
        }
    }

    /// Ends it as SIGTERM does, and starts another one on the same port.
    pub(crate) fn restart(self) -> Self {
        self.stop().start_again()
    }

    /// Ends it as SIGTERM does.
    pub(crate) fn stop(self) -> Stopped {
        let port = self.address.rsplit(':').next().unwrap().parse().unwrap();
        self.stop.send(()).unwrap();
        self.thread.join().unwrap();
        Stopped(Config {
            port,
            ..self.config
        })
    }
}

/// A topic server that was stopped.
pub(crate) struct Stopped(Config);

impl Stopped {
    /// Starts another one on the same port.
    pub(crate) fn start_again(self) -> Running {
        Running::start(&self.0)
    }
}

/// Waits until `chat` is registered: until it shows what somebody else sends.
pub(crate) fn wait_until_registered(server: &str, topic: &str, chat: &mut Process) {
    let mut probe = Peer::new(TcpStream::connect(server).unwrap());
    probe.sends(format!("{{\"topics\":[{topic:?}]}}").as_bytes());
    let probe_text = format!("probe of {:?}", probe.ends().0);
    let shown = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !shown.load(std::sync::atomic::Ordering::Relaxed) {
                probe.says(topic, &probe_text);
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            probe.says(topic, "probed");
        });
        chat.line();
        shown.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    while chat.line() != format!("{topic}:probed") {}
}
