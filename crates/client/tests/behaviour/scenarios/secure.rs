//! The scenarios of TLS and of tokens.

use std::path::Path;

use client::{Client, Event, Options};
use topicserver::Config;
use wire::{Credential, Secret};

use crate::participant::{Participant, numbers, serve, topic};
use crate::secrets;
use crate::server::{Killable, Speaks};

const TOKEN: &str = "ntr_a1_hush-that-nobody-sees";
const HASH: &str = "6a5ef914e99774e55e5a3441183fb9c56f3cf3f4066f9e65a39294559ff41029";

/// One that isn't known.
const OTHER: &str = "ntr_a1_another-that-nobody-sees";

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
    secrets::note_in([TOKEN, OTHER].join(" ").as_bytes());
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
    let alice = Participant::join(&server, with(TOKEN)).await;
    alice.publish_all(numbers(1, 1)).await;
    alice.until_delivered(1).await;
    let mut options = Options::new(server.parse().unwrap(), vec![topic("t")]);
    with(OTHER)(&mut options);
    let error = Client::connect(options).await.err().unwrap();
    let error = format!("{error:?}");
    assert!(error.contains("unauthenticated"), "{error}");
    secrets::shown(&error);
    std::fs::write(&path, account).unwrap();
    alice.until(ended_by("revoked")).await;
    std::fs::remove_file(&path).unwrap();
    secrets::expect_no_leak();
}
