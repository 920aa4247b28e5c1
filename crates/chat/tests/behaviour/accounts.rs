//! `chat` with a server that has accounts.

use std::fmt::Write as _;

use topicserver::Config;

use crate::front::Home;
use crate::process::{Output, Process};
use crate::server::{Running, start_server_with};

/// A server's file of accounts: alice has a token, and everyone may read and write `open`.
struct Accounts {
    home: Home,
    path: String,
}

/// The secret of her token.
const SECRET: &str = "hush-that-nobody-sees";

const EVERYONE: &str = "[everyone]\nallow = [\"read write who open\"]\n";
const ALICE: &str = "[users.alice]\nallow = [\"read write who lab*\"]\n";

impl Accounts {
    fn new(name: &str) -> Self {
        let home = Home::new(name);
        let path = home.file("accounts.toml", "");
        home.file("alice.token", &format!("ntr_a1_{SECRET}"));
        home.makes_private("alice.token");
        let accounts = Self { home, path };
        accounts.say(&[EVERYONE, ALICE, &accounts.token()]);
        accounts
    }

    /// The entry of alice's token.
    fn token(&self) -> String {
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, SECRET.as_bytes());
        let digits = hash.as_ref().iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        format!("[tokens.a1]\nsecret = \"sha256:{digits}\"\nuser = \"alice\"\n")
    }

    /// Writes the file anew, as one that is edited: its name never stands for half of it.
    fn say(&self, parts: &[&str]) {
        let new = self.home.file("accounts.new", &parts.concat());
        std::fs::rename(new, &self.path).unwrap();
    }

    fn config(&self) -> Config {
        Config {
            auth: Some(self.path.clone().into()),
            ..Config::default()
        }
    }

    fn file(&self) -> String {
        format!("{}/natter/alice.token", self.home.path())
    }

    /// Runs `chat` in a pipe.
    fn chat(&self, arguments: &[&str]) -> Process {
        Process::start(self.home.chat(arguments), Output::Read)
    }

    /// The same, as alice.
    fn alice(&self, arguments: &[&str]) -> Process {
        let file = self.file();
        self.chat(&[arguments, &["--token-file", &file]].concat())
    }
}

#[test]
fn a_token_opens_what_it_may_and_nobody_goes_on_without_one() {
    let accounts = Accounts::new("accounts-token");
    let server = start_server_with(&accounts.config());
    let mut nobody = accounts.chat(&["-topic", &server, "lab"]);
    let said = nobody.notice("refused to let us join");
    assert!(said.contains("it must know who you are"), "{said}");
    assert_eq!(nobody.exit_code(), 1);
    let mut listener = accounts.alice(&["-topic", &server, "lab", "--json"]);
    listener.notice("joined lab");
    let mut alice = accounts.alice(&["-topic", &server, "lab", "--name", "al"]);
    alice.notice(&format!("logged in to {server} as alice"));
    alice.types("hello");
    assert!(listener.line().contains("hello"));
    assert_eq!(alice.finishes(), 0);
    let mut alice = accounts.alice(&["-topic", &server, "other"]);
    let said = alice.notice("refused to let us join");
    assert!(said.contains("you may not do that (forbidden: "), "{said}");
    assert_eq!(alice.exit_code(), 1);
}

#[test]
fn a_token_that_is_taken_away_ends_it_with_what_has_not_arrived() {
    let accounts = Accounts::new("accounts-revoked");
    let server = start_server_with(&accounts.config());
    let mut alice = accounts.alice(&["-topic", &server, "lab"]);
    alice.notice("joined lab");
    accounts.say(&[EVERYONE, ALICE]);
    let said = alice.notice("your login is no longer valid");
    assert!(said.contains("the connection to"), "{said}");
    assert_eq!(alice.exit_code(), 1);
    let mut alice = accounts.alice(&["-topic", &server, "lab"]);
    alice.notice("it must know who you are");
    assert_eq!(alice.exit_code(), 1);
}

#[test]
fn a_topic_that_is_taken_away_is_said_to_be_and_what_one_may_not_write_is_named() {
    let accounts = Accounts::new("accounts-removed");
    let server = start_server_with(&accounts.config());
    let mut alice = accounts.alice(&["-topic", &server, "lab", "lab2"]);
    alice.notice("joined lab, lab2");
    let less = "[users.alice]\nallow = [\"read write lab\"]\n";
    accounts.say(&[EVERYONE, less, &accounts.token()]);
    alice.notice(&format!(
        "you are no longer in lab2: {server} doesn't allow it"
    ));
    let least = "[users.alice]\nallow = [\"read lab\"]\n";
    accounts.say(&[EVERYONE, least, &accounts.token()]);
    // The server looks within a second, so some lines may still go through.
    let refused = "a line was not delivered";
    let mut lines = 0;
    std::thread::scope(|scope| {
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let mut input = alice.take_input();
        scope.spawn(move || {
            use std::io::Write as _;
            let pause = std::time::Duration::from_millis(50);
            while stopped.recv_timeout(pause).is_err() {
                input.write_all(b"line\n").unwrap();
                lines += 1;
                assert!(lines < 1_000, "all of them were taken");
            }
        });
        let said = alice.notice(refused);
        assert!(said.contains("(forbidden: "), "{said}");
        stop.send(()).unwrap();
    });
    assert_eq!(alice.exit_code(), 1);
}

#[test]
fn who_comes_back_is_still_who_it_was() {
    let accounts = Accounts::new("accounts-back");
    let server = Running::start(&accounts.config());
    let address = server.address.clone();
    let mut alice = accounts.alice(&["-topic", &address, "lab"]);
    alice.notice("logged in");
    alice.notice("joined lab");
    let server = server.restart();
    alice.notice("joined lab at");
    alice.types("hello");
    assert_eq!(alice.finishes(), 0);
    drop(server);
}

#[cfg(unix)]
#[test]
fn a_topic_that_may_not_be_joined_stays_away_and_a_reserved_name_is_numbered() {
    let accounts = Accounts::new("accounts-person");
    let server = Running::start(&accounts.config());
    let arguments = ["-topic", &server.address, "open"];
    let environment = [("XDG_CONFIG_HOME", accounts.home.path())];
    let person = crate::person::Person::with(24, 100, &arguments, &environment);
    person.sees("-- the name alice is reserved here");
    person.sees("-- you are alice-2");
    person.types("/join lab\r");
    person.sees("!! can't join lab: ");
    person.types("hi\r");
    person.sees("open:hi");
    let server = server.restart();
    person.sees("joined open at 127.0.0.1:");
    person.waits_for("coming back", |picture| {
        picture.matches("joined open").count() > 1
    });
    person.types("again\r");
    person.sees("open:again");
    drop(server);
}
