//! The commands and frames of the original specification, as it prints them, but
//! for the program's name, and a free port where it must be.

use std::net::TcpListener;

use serde_json::json;

use crate::peer::Peer;
use crate::process::{Process, free_port};
use crate::server::{start_server, wait_until_registered};

/// Runs a command line as it stands.
fn run(line: &str) -> Process {
    let words: Vec<&str> = line.split(' ').collect();
    assert_eq!(words[0], "chat");
    Process::chat(&words[1..])
}

#[test]
fn two_clients_talk_in_direct_mode() {
    // python chat.py -direct 10000
    // python chat.py -direct 0 127.0.0.1:10000
    let (mut waiting, port) = loop {
        let port = free_port().to_string();
        let mut chat = run(&"chat -direct 10000".replace("10000", &port));
        if chat.next_notice() == format!("chat: waiting for a caller on port {port}") {
            break (chat, port);
        }
    };
    let mut calling = run(&"chat -direct 0 127.0.0.1:10000".replace("10000", &port));
    calling.types("This is such a lame message");
    assert_eq!(waiting.line(), "direct:This is such a lame message");
    waiting.types("It is");
    assert_eq!(calling.line(), "direct:It is");
    assert_eq!(calling.finishes(), 0);
    assert_eq!(waiting.finishes(), 0);
    assert_eq!(waiting.rest().len() + calling.rest().len(), 0);
}

#[test]
fn clients_talk_by_topic() {
    // python topicserver.py 20000
    // python chat.py -topic 127.0.0.1:20000 lame-conversation
    let server = start_server();
    let line = "chat -topic 127.0.0.1:20000 lame-conversation";
    let mut clients: Vec<Process> = (0..3)
        .map(|_| run(&line.replace("127.0.0.1:20000", &server)))
        .collect();
    for client in &mut clients {
        wait_until_registered(&server, "lame-conversation", client);
    }
    clients[0].types("This is such a lame message");
    for client in &mut clients[1..] {
        assert_eq!(
            client.printed(),
            "lame-conversation:This is such a lame message"
        );
    }
    for client in &mut clients {
        assert_eq!(client.finishes(), 0);
    }
    assert!(
        !clients[0]
            .rest()
            .iter()
            .any(|line| line.contains("lame message"))
    );
}

#[test]
fn frames_are_those_of_the_specification() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut chat = Process::chat(&["-topic", &address, "lame-conversation", "--classic"]);
    let mut server = Peer::accept(&listener);
    let (here, there) = server.ends();
    assert_eq!(
        server.frame(),
        json!({"source": there, "topics": ["lame-conversation"]})
    );
    chat.types("This is such a lame message");
    assert_eq!(
        server.frame(),
        json!({
            "source": there,
            "destination": here,
            "message": {
                "topic": "lame-conversation",
                "text": "This is such a lame message"
            }
        })
    );
    let printed = r#"{
    "source" : {
        "ip": "192.168.1.1",
        "port" : "2000"
},
    "destination" : {
        "ip": "192.168.1.5",
        "port" : "2032"
},
    "message" : {
        "topic" : "lame-conversation",
        "text" : "This is such a lame message"
}
}"#;
    server.sends(printed.as_bytes());
    assert_eq!(chat.line(), "lame-conversation:This is such a lame message");
    drop(server);
    chat.notice("is lost");
}
