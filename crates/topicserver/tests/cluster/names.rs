//! Names, which all servers together give once.

use serde_json::{Value, json};

use crate::Cluster;
use crate::common::{Client, TestServer, eventually};

/// A client that asks for a name, and what it is answered.
fn ask_for(server: &TestServer, user: &str, key: Option<&str>) -> (Client, Value) {
    let mut client = server.connect();
    let mut options = json!({"user": user});
    if let Some(key) = key {
        options["client"] = key.into();
    }
    let frame = json!({"topics": ["T"], "extended": options});
    client.send(format!("{frame}\n").as_bytes());
    loop {
        let frame = client.frame();
        let extended = &frame["extended"];
        if extended.get("registered").is_some() || extended.get("error").is_some() {
            let answer = extended.clone();
            return (client, answer);
        }
    }
}

#[test]
fn a_name_is_taken_at_all_servers_and_free_when_its_connection_ends() {
    let cluster = Cluster::start();
    for user in ["alice", "bob", "carol", "dave"] {
        let (holder, answer) = ask_for(&cluster.servers[0], user, None);
        assert_eq!(answer["registered"]["user"], user, "{answer}");
        for server in &cluster.servers {
            let (_client, answer) = ask_for(server, user, None);
            assert_eq!(answer["error"]["code"], "name-taken", "{user}: {answer}");
        }
        drop(holder);
        eventually("the name to be free", || {
            let (_client, answer) = ask_for(&cluster.servers[1], user, None);
            (answer["registered"]["user"] == user).then_some(())
        });
    }
}

#[test]
fn a_client_that_comes_back_at_another_server_takes_its_name_along() {
    let cluster = Cluster::start();
    for user in ["alice", "bob", "carol", "dave"] {
        let (mut old, _) = ask_for(&cluster.servers[0], user, Some("a secret of the client"));
        let (_new, answer) = ask_for(&cluster.servers[2], user, Some("a secret of the client"));
        assert_eq!(answer["registered"]["user"], user, "{answer}");
        let error = loop {
            let frame = old.frame();
            if let Some(error) = frame["extended"].get("error") {
                break error["code"].clone();
            }
        };
        assert_eq!(error, "replaced");
        old.expect_end();
    }
}

#[test]
fn a_user_is_found_from_every_server() {
    let cluster = Cluster::start();
    let (alice, _) = ask_for(&cluster.servers[1], "alice", None);
    for server in &cluster.servers {
        let mut client = server.connect();
        client.ask(json!({"lookup": "alice"}));
        let found = client.expect_event("found");
        assert_eq!(found["port"], alice.local_addr().port().to_string());
        client.ask(json!({"lookup": "nobody"}));
        client.expect_extended_error("unknown-user");
    }
}
