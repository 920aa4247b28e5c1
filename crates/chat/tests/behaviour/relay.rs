//! A topic server to test against: the smallest that does what is specified.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use wire::{Frame, Limits, Scan, Scanner};

use crate::peer::Peer;
use crate::process::Process;

/// Topic → who is registered, by connection.
type Members = Arc<Mutex<HashMap<String, Vec<(SocketAddr, TcpStream)>>>>;

/// Starts a topic server; the address to give to clients. It ends with the
/// tests.
pub(crate) fn start_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let members = Members::default();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let members = Arc::clone(&members);
            std::thread::spawn(move || serve(stream, &members));
        }
    });
    address.to_string()
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

fn serve(mut stream: TcpStream, members: &Members) {
    let client = stream.peer_addr().unwrap();
    let mut scanner = Scanner::new(Limits::default());
    let mut bytes = Vec::new();
    let mut piece = [0; 65536];
    while let Ok(count @ 1..) = stream.read(&mut piece) {
        bytes.extend_from_slice(&piece[..count]);
        while let Scan::Value(value) = scanner.scan(&bytes).unwrap() {
            let line = [&bytes[value.start..value.end], b"\n"].concat();
            match Frame::read(&bytes, &value).unwrap() {
                Frame::Registration(topics) => {
                    for topic in topics {
                        let mut members = members.lock().unwrap();
                        let topic = members.entry(topic.to_string()).or_default();
                        topic.push((client, stream.try_clone().unwrap()));
                    }
                }
                Frame::Message { topic, .. } => relay(members, &topic, client, &line),
            }
            bytes.drain(..value.end);
        }
    }
    for topic in members.lock().unwrap().values_mut() {
        topic.retain(|(member, _)| *member != client);
    }
}

fn relay(members: &Members, topic: &str, from: SocketAddr, line: &[u8]) {
    let mut members = members.lock().unwrap();
    let members = members.entry(topic.into()).or_default();
    if members.iter().any(|(member, _)| *member == from) {
        for (_, stream) in members.iter_mut().filter(|(member, _)| *member != from) {
            // One that is gone leaves by its own thread.
            let _ = stream.write_all(line);
        }
    }
}
