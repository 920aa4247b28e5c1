//! The scenarios of TLS and of tokens.

use std::path::Path;

use client::{Client, Event, Options};
use topicserver::Config;
use wire::{Credential, Secret};

use crate::participant::{Participant, numbers, serve, topic};
use crate::server::{Killable, Speaks};

/// Of the token `ntr_a1_hush`.
const HASH: &str = "dc8331bcb2283e89d275a1c2fe66f7bf5ac3163ec1967f149dd7e27906365f0c";

#[tokio::test]
async fn s18_over_tls_nothing_is_lost_and_without_the_right_fingerprint_nothing_is_sent() {
    let mut server = Killable::speaking("s18", Speaks::Tls);
    let reader = Participant::join(&server.address, |_| {}).await;
    let writer = Participant::join(&server.address, |_| {}).await;
    writer.publish_all(numbers(1, 200)).await;
    writer.until_delivered(50).await;
    server.kill();
    writer.publish_all(numbers(201, 400)).await;
    server.start_again();
    writer.until_delivered(400).await;
    reader.until_texts(400).await;
    assert_eq!(reader.texts(), numbers(1, 400));

    let (place, _) = server.address.split_once('#').unwrap();
    let wrong = format!("{place}#sha256:{}=", "A".repeat(43));
    for address in [place, &wrong] {
        let options = Options::new(address.parse().unwrap(), vec![topic("t")]);
        let error = Client::connect(options).await.err().unwrap();
        assert!(format!("{error:?}").contains("Tls"), "{address}: {error:?}");
    }
}

#[tokio::test]
async fn s19_a_token_is_accepted_or_ends_it() {
    let name = format!("accounts-{}.toml", std::process::id());
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let account = "[users.alice]\nallow = [\"read write who t\"]\n";
    let token = format!("[tokens.a1]\nsecret = \"sha256:{HASH}\"\nuser = \"alice\"\n");
    std::fs::write(&path, format!("{account}{token}")).unwrap();
    let server = serve(Config {
        auth: Some(path.clone()),
        ..Config::default()
    });
    let with = |token: &'static str| {
        move |options: &mut Options| {
            options.credential = Some(Credential::Token(Secret::new(token).unwrap()));
        }
    };
    let ended_by = |code: &'static str| {
        move |event: &Event| {
            matches!(event, Event::Ended(Err(_))) && format!("{event:?}").contains(code)
        }
    };
    let alice = Participant::join(&server, with("ntr_a1_hush")).await;
    alice.publish_all(numbers(1, 1)).await;
    alice.until_delivered(1).await;
    let mut options = Options::new(server.parse().unwrap(), vec![topic("t")]);
    with("ntr_a1_other")(&mut options);
    let error = Client::connect(options).await.err().unwrap();
    assert!(
        format!("{error:?}").contains("unauthenticated"),
        "{error:?}"
    );
    std::fs::write(&path, account).unwrap();
    alice.until(ended_by("revoked")).await;
    std::fs::remove_file(&path).unwrap();
}
