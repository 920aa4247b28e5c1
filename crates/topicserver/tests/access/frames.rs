//! A connection that speaks frames, over TCP, a UNIX socket or a WebSocket.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::common::{Client, LIMIT, TestServer, secrets, socket_of};

/// By which door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Tcp,
    Unix,
    WebSocket,
}

pub enum Frames {
    /// Of a UNIX socket, too.
    Tcp(Client),
    WebSocket(Box<Runtime>, Box<WebSocketStream<TcpStream>>),
}

impl Frames {
    pub fn to(server: &TestServer, transport: Transport) -> Self {
        match transport {
            Transport::Tcp => return Self::Tcp(server.connect()),
            Transport::Unix => {
                let path = socket_of(server.addr().port()).expect("it has no socket");
                return Self::Tcp(Client::local(&path));
            }
            Transport::WebSocket => {}
        }
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build().unwrap();
        let addr = server.addr();
        let stream = runtime.block_on(async {
            let tcp = TcpStream::connect(addr).await.unwrap();
            let url = format!("ws://{addr}/-/ws");
            tokio_tungstenite::client_async(url, tcp).await.unwrap().0
        });
        Self::WebSocket(Box::new(runtime), Box::new(stream))
    }

    pub fn send(&mut self, frame: Value) {
        match self {
            Self::Tcp(client) => client.send(format!("{frame}\n").as_bytes()),
            Self::WebSocket(runtime, stream) => {
                let text = frame.to_string();
                secrets::sent(text.as_bytes());
                let message = Message::text(text);
                runtime.block_on(stream.send(message)).unwrap();
            }
        }
    }

    /// The next frame; `None` at the end.
    pub fn next(&mut self) -> Option<Value> {
        let read = |line: &[u8]| serde_json::from_slice(line).unwrap();
        match self {
            Self::Tcp(client) => client.next_line().map(|line| read(&line)),
            Self::WebSocket(runtime, stream) => loop {
                let next = async { tokio::time::timeout(LIMIT, stream.next()).await };
                match runtime.block_on(next).expect("nothing came") {
                    Some(Ok(Message::Text(text))) => return Some(read(text.as_bytes())),
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                    Some(Ok(_)) => {}
                }
            },
        }
    }

    #[track_caller]
    pub fn frame(&mut self) -> Value {
        self.next().expect("the connection ended")
    }

    /// Logs in; what was answered.
    pub fn log_in(&mut self, token: &str) -> Value {
        self.send(json!({"extended": {"auth": token}}));
        self.frame()["extended"].clone()
    }
}
