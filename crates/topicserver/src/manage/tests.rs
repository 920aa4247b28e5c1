//! What the commands make of a file.

use std::path::Path;

use clap::CommandFactory as _;

use super::*;

/// A file of a test's own, which goes with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(text: &str) -> Self {
        let name = format!("natter-accounts-{:016x}.toml", getrandom::u64().unwrap());
        let scratch = Self(std::env::temp_dir().join(name));
        std::fs::write(&scratch.0, text).unwrap();
        scratch
    }

    fn path(&self) -> &Path {
        &self.0
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.0).unwrap()
    }

    /// Runs a command; what it printed.
    fn run(&self, words: &[&str]) -> Result<String, String> {
        let file = self.path().to_str().unwrap();
        let all = [&["topicserver"], words, &["--auth", file]].concat();
        let command = Manage::try_parse_from(all).map_err(|error| error.to_string())?;
        command.run().map_err(|error| error.to_string())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn the_commands_are_consistent_and_none_looks_like_a_port() {
    Manage::command().debug_assert();
    let is_meant = |first: &str| Manage::is_meant(&["topicserver".into(), first.into()]);
    for command in Manage::command().get_subcommands() {
        assert!(is_meant(command.get_name()), "{}", command.get_name());
    }
    assert!(!is_meant("20000") && !is_meant("--help") && !is_meant("users"));
}

#[test]
fn a_file_is_made_with_all_that_is_in_it() {
    let file = Scratch::new("");
    std::fs::remove_file(file.path()).unwrap();
    file.run(&["user", "add", "alice", "--allow", "read write lab"])
        .unwrap();
    let token = file
        .run(&[
            "token",
            "add",
            "--user",
            "alice",
            "--id",
            "ci",
            "--allow",
            "write lab",
        ])
        .unwrap();
    assert!(
        token.starts_with("ntr_ci_") && token.ends_with('\n'),
        "{token}"
    );
    file.run(&["allow", "everyone", "read lobby"]).unwrap();
    file.run(&["deny", "alice", "write lab-*"]).unwrap();
    let text = file.text();
    let hash = text
        .lines()
        .find(|line| line.starts_with("secret"))
        .unwrap();
    let expected = format!(
        "# Who may do what: docs/security.md says how this is written.\n\n[users.alice]\n\
         allow = [\"read write lab\"]\ndeny = [\"write lab-*\"]\n\n[tokens.ci]\n{hash}\n\
         user = \"alice\"\nallow = [\"write lab\"]\n\n[everyone]\nallow = [\"read lobby\"]\n"
    );
    assert_eq!(text, expected);
    assert!(!text.contains(token.trim().rsplit('_').next().unwrap()));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(file.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

const COMMENTED: &str = "# Ours.\n[everyone] # all of them\nallow = [\n    # the door\n    \
                         \"read lobby\",\n    \"read news\", # daily\n]\n\n# A person.\n[users.bob]\n\
                         note = \"b\" # yes\n\n[[addresses]]\nfrom = \"10.0.0.1\"\nas = \"bob\"\n";

#[test]
fn comments_stay() {
    let file = Scratch::new(COMMENTED);
    file.run(&["allow", "everyone", "write lobby"]).unwrap();
    file.run(&["allow", "everyone", "--remove", "read  news"])
        .unwrap();
    let text = file.text();
    for part in [
        "# Ours.",
        "# all of them",
        "# the door",
        "# A person.",
        "# yes",
        "write lobby",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("read news"), "{text}");
    // What is there already isn't there twice.
    file.run(&["allow", "everyone", "write lobby"]).unwrap();
    assert_eq!(file.text(), text);
    // What is denied isn't allowed any more.
    file.run(&["deny", "everyone", "write lobby"]).unwrap();
    assert_eq!(file.text().matches("write lobby").count(), 1);
}

#[test]
fn an_account_goes_with_all_that_is_its() {
    let file = Scratch::new(COMMENTED);
    file.run(&["token", "add", "--user", "bob"]).unwrap();
    file.run(&["user", "remove", "bob"]).unwrap();
    let text = file.text();
    assert!(!text.contains("bob") && !text.contains("tokens"), "{text}");
    assert_eq!(file.run(&["user", "list"]), Ok(String::new()));
}

#[test]
fn what_makes_no_sense_changes_nothing() {
    let file = Scratch::new(COMMENTED);
    for (words, part) in [
        (&["user", "add", "bob"][..], "there is a user bob already"),
        (&["user", "add", "BOB"], "belongs to"),
        (&["user", "remove", "eve"], "there is no user eve"),
        (&["token", "remove", "x"], "there is no token x"),
        (
            &["token", "add", "--user", "eve"],
            "there is no user \"eve\"",
        ),
        (&["token", "add"], "--allow"),
        (
            &["token", "add", "--user", "bob", "--id", "A"],
            "a token's id has",
        ),
        (
            &["token", "add", "--user", "bob", "--expires", "soon"],
            "90s, 10m",
        ),
        (&["allow", "eve", "read lab"], "there is no user eve"),
        (&["allow", "bob", "raed lab"], "\"raed\" is no verb"),
        (&["allow", "bob", "read x", "--remove"], "there is no rule"),
        (&["link", ""], "can't be empty"),
    ] {
        let error = file.run(words).unwrap_err();
        assert!(error.contains(part), "{words:?}: {error}");
        assert_eq!(file.text(), COMMENTED, "{words:?}");
    }
    let broken = Scratch::new("[users.bob]\nallow = [\"raed lab\"]\n");
    let error = broken.run(&["user", "add", "alice"]).unwrap_err();
    assert!(error.contains("line 2, column 10"), "{error}");
}

#[test]
fn a_link_has_its_token_where_no_server_sees_it() {
    let file = Scratch::new("");
    let link = file
        .run(&[
            "link",
            "our lab",
            "--url",
            "https://chat.example/",
            "--expires",
            "2h",
        ])
        .unwrap();
    assert!(
        link.starts_with("https://chat.example/our%20lab#t=ntr_"),
        "{link}"
    );
    let text = file.text();
    assert!(
        text.contains("allow = [\"read who list 'our lab'\"]"),
        "{text}"
    );
    assert!(text.contains("expires = 2"), "{text}");
    let listed = file.run(&["token", "list"]).unwrap();
    assert!(listed.contains("note = \"link to our lab\""), "{listed}");
    assert!(!listed.contains("sha256"), "{listed}");
}

#[test]
fn times_are_from_now_on_or_dates() {
    assert_eq!(expiry("7d"), Ok(Expiry::In(604_800)));
    assert_eq!(expiry("90s"), Ok(Expiry::In(90)));
    assert_eq!(expiry("2027-01-01"), Ok(Expiry::At(1_798_761_600)));
    for text in ["", "d", "7", "-1d", "7w", "12:00:00", "é"] {
        assert!(expiry(text).is_err(), "{text}");
    }
}
