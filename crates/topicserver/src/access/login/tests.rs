//! Passwords, tokens and signed tokens against a file of accounts.

use std::path::{Path, PathBuf};

use serde_json::json;
use wire::{ErrorCode, UserName};

use super::*;
use crate::access::audit::Audit;
use crate::access::control::{Changed, Lifetimes};
use crate::access::jwt::tests::Signer;
use crate::access::token;
use crate::access::verbs::Verbs;

mod kept;

const NOW: u64 = 1_800_000_000_000;

const LIFETIMES: Lifetimes = Lifetimes {
    login: Duration::from_secs(3600),
    ticket: Duration::from_secs(30),
};

/// Of "password", and quick to check.
const KEPT: &str = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$\
                    nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

/// A file of accounts in a folder of its own.
struct Accounts {
    folder: PathBuf,
    access: Access,
}

impl Accounts {
    fn new(text: &str) -> Self {
        Self::with(text, |_| {})
    }

    /// With more in the folder.
    fn with(text: &str, fill: impl FnOnce(&Path)) -> Self {
        let name = format!("natter-access-{:016x}", getrandom::u64().unwrap());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).unwrap();
        fill(&folder);
        let path = folder.join("accounts.toml");
        std::fs::write(&path, text).unwrap();
        let access = Access::from_file(&path, Audit::default(), LIFETIMES).unwrap();
        Self { folder, access }
    }

    fn write(&self, text: &str) {
        std::fs::write(self.folder.join("accounts.toml"), text).unwrap();
        assert_eq!(self.access.reload().unwrap(), Changed::Policy);
    }

    async fn log_in(&self, credential: &Credential) -> Result<Principal, LoginError> {
        let peer = "203.0.113.9".parse().unwrap();
        let login = self.access.log_in(credential, peer, NOW);
        login.finish(&self.access).await
    }

    async fn by_password(&self, user: &str, password: &str) -> Result<Principal, LoginError> {
        self.log_in(&Credential::Password {
            user: user.to_owned(),
            password: Secret::new(password).unwrap(),
        })
        .await
    }

    async fn by_token(&self, token: &str) -> Result<Principal, LoginError> {
        let token = Secret::new(token).unwrap();
        self.log_in(&Credential::Token(token)).await
    }
}

impl Drop for Accounts {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn file(password: &str) -> String {
    format!("[users.alice]\npassword = \"{password}\"\nallow = [\"read lab\"]\n[users.bob]\n")
}

#[tokio::test]
async fn a_password_opens_its_account_and_no_other() {
    let accounts = Accounts::new(&file(KEPT));
    let alice = accounts.by_password("alice", "password").await.unwrap();
    assert_eq!(alice.to_string(), "alice");
    assert!(alice.has_logged_in() && alice.token().is_none());
    assert_eq!(accounts.access.grant(&alice, "lab").verbs, Verbs::READ);
    for (user, password) in [
        ("alice", "Password"),
        ("bob", "password"),
        ("eve", "password"),
    ] {
        let error = accounts.by_password(user, password).await.unwrap_err();
        assert_eq!(error, LoginError::WrongPassword, "{user}");
        assert_eq!(error.code(), ErrorCode::Unauthenticated);
    }
    let peer = "203.0.113.9".parse().unwrap();
    assert!(accounts.access.check(&alice, peer, NOW).is_ok());
    // Another salt, so another hash, even of the same password.
    accounts.write(&file(&PasswordHash::of("password").unwrap().to_string()));
    let ended = accounts.access.check(&alice, peer, NOW).unwrap_err();
    assert_eq!(ended.code, ErrorCode::Revoked);
    assert!(accounts.by_password("alice", "password").await.is_ok());
}

#[tokio::test]
async fn wrong_passwords_are_counted_and_a_success_is_remembered() {
    let accounts = Accounts::new(&file(KEPT));
    accounts.by_password("alice", "password").await.unwrap();
    for _ in 0..10 {
        let error = accounts.by_password("alice", "wrong").await.unwrap_err();
        assert_eq!(error, LoginError::WrongPassword);
    }
    let error = accounts.by_password("alice", "wrong").await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::TooManyAttempts, "{error}");
    for _ in 0..20 {
        // A token can't be guessed: what is wrong with it is told each time.
        let error = accounts.by_token("ntr_abc_wrong").await.unwrap_err();
        assert_eq!(error, LoginError::UnknownToken);
    }
    // He who has it right, as a moment ago, isn't kept out.
    assert!(accounts.by_password("alice", "password").await.is_ok());
    // A right password that isn't remembered has to wait: it could be a guess.
    accounts.write(&(file(KEPT) + "[users.carol]\n"));
    let error = accounts.by_password("alice", "password").await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::TooManyAttempts, "{error}");
}

#[tokio::test]
async fn a_token_in_the_passwords_place_is_a_token() {
    let (token, hash) = token::generate("ci").unwrap();
    let hash = hash.to_text();
    let text = format!(
        "{}[tokens.ci]\nsecret = \"{hash}\"\nuser = \"alice\"\n",
        file(KEPT)
    );
    let accounts = Accounts::new(&text);
    let by_name = accounts.by_password("alice", &token).await.unwrap();
    assert_eq!(by_name.token(), Some("ci"));
    let error = accounts.by_password("bob", &token).await.unwrap_err();
    assert_eq!(error, LoginError::WrongPassword);
    // A wrong one there is a guess like any other.
    for _ in 0..9 {
        let error = accounts.by_password("bob", "ntr_ci_wrong").await;
        assert_eq!(error.unwrap_err(), LoginError::WrongPassword);
    }
    let error = accounts.by_password("bob", &token).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::TooManyAttempts);
    assert!(accounts.by_token(&token).await.is_ok());
}

#[tokio::test]
async fn a_signed_token_says_what_it_may_and_denials_hold() {
    let signer = Signer::new();
    let text = "[everyone]\ndeny = [\"write lab-rules\"]\n\
                [members]\nallow = [\"read lab*\"]\n\
                [users.alice]\nallow = [\"write lab*\"]\ndeny = [\"write lab-old\"]\n\
                [jwt]\nkey = \"key.pem\"\nalgorithms = [\"EdDSA\"]\n";
    let pem = signer.pem();
    let accounts = Accounts::with(text, |folder| {
        std::fs::write(folder.join("key.pem"), &pem).unwrap();
    });
    let expires = NOW / 1000 + 60;
    let principal = async |sub: &str, allow: Option<&[&str]>| {
        let mut claims = json!({"sub": sub, "exp": expires, "name": "Ms. A."});
        if let Some(allow) = allow {
            claims["allow"] = json!(allow);
        }
        accounts.by_token(&signer.token(&claims)).await.unwrap()
    };
    let verbs = |principal: &Principal, topic: &str| accounts.access.grant(principal, topic).verbs;
    // Without rules of its own, it may what its account may, which need not be in the file.
    let alice = principal("alice", None).await;
    assert_eq!(alice.to_string(), "alice with a signed token");
    assert_eq!(alice.name().map(UserName::as_str), Some("Ms. A."));
    assert_eq!(alice.expires(), Some(expires * 1000));
    assert_eq!(verbs(&alice, "lab"), Verbs::READ.or(Verbs::WRITE));
    assert_eq!(verbs(&alice, "lab-old"), Verbs::READ);
    let guest = principal("guest", None).await;
    assert_eq!(verbs(&guest, "lab"), Verbs::READ);
    // With rules of its own, just this; what is denied stays denied.
    let writer = principal("guest", Some(&["write *", "read {user}-x"])).await;
    assert_eq!(verbs(&writer, "lab"), Verbs::WRITE);
    assert_eq!(verbs(&writer, "guest-x"), Verbs::READ.or(Verbs::WRITE));
    assert_eq!(verbs(&writer, "lab-rules"), Verbs::NONE);
    let general = accounts.access.grant_everywhere(&writer);
    assert_eq!(general, Verbs::NONE);
    let peer = "203.0.113.9".parse().unwrap();
    let check = |now| accounts.access.check(&guest, peer, now).map(|_| ());
    assert_eq!(check(NOW), Ok(()));
    let ended = check(expires * 1000).unwrap_err();
    assert_eq!(ended.code, ErrorCode::Expired);
    // With another key, it is over.
    std::fs::write(accounts.folder.join("key.pem"), Signer::new().pem()).unwrap();
    assert_eq!(accounts.access.reload().unwrap(), Changed::Policy);
    assert_eq!(check(NOW).unwrap_err().code, ErrorCode::Revoked);
}

#[tokio::test]
async fn what_is_wrong_with_a_signed_token_is_told() {
    let signer = Signer::new();
    let text = "[jwt]\nkey = \"key.pem\"\nalgorithms = [\"EdDSA\", \"ES256\"]\n";
    let accounts = Accounts::with(text, |folder| {
        std::fs::write(folder.join("key.pem"), signer.pem()).unwrap();
    });
    let old = signer.token(&json!({"sub": "alice", "exp": NOW / 1000 - 1}));
    let error = accounts.by_token(&old).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Expired);
    let alien = Signer::new().token(&json!({"sub": "alice", "exp": NOW / 1000 + 9}));
    let error = accounts.by_token(&alien).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unauthenticated);
    assert!(error.to_string().contains("signed"), "{error}");
    let by_basic = signer.token(&json!({"sub": "alice", "exp": NOW / 1000 + 9}));
    assert!(accounts.by_password("alice", &by_basic).await.is_ok());
    assert!(accounts.by_password("bob", &by_basic).await.is_err());
}

#[tokio::test]
async fn mistakes_in_what_is_new_are_shown_where_they_are() {
    let folder = Accounts::new("").folder.clone();
    let shown = |text: &str| {
        let error = crate::access::file::parse(text, &folder).unwrap_err();
        error.in_file(Path::new("f.toml"), text).to_string()
    };
    for (text, part) in [
        (
            "[users.alice]\npassword = \"hunter2\"",
            "line 2, column 12: a password is kept as",
        ),
        (
            "[everyone]\nlimits = { messages = \"fast\" }",
            "line 2, column 23: \"fast\" is no rate",
        ),
        (
            "[everyone.limits]\nbytes = \"1GB/s\"",
            "line 2, column 9: \"1GB\" is no number",
        ),
        (
            "[members.limits]\nmesages = \"1/s\"",
            "unknown field `mesages`",
        ),
        (
            "[jwt]\nkey = \"none.pem\"\nalgorithms = [\"EdDSA\"]",
            "line 2, column 7: ",
        ),
        (
            "[jwt]\nkey = \"none.pem\"\nalgorithms = [\"HS256\"]",
            "line 3, column 15: \"HS256\" is no algorithm",
        ),
        ("[jwt]\nkey = \"none.pem\"", "missing field `algorithms`"),
    ] {
        let shown = shown(text);
        assert!(shown.contains(part), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[tokio::test]
async fn an_account_has_its_own_limits_or_those_of_members() {
    let text = "[everyone]\nlimits = { messages = \"1/s\", connections = 1 }\n\
                [members.limits]\nmessages = \"10/s\"\nbytes = \"1MB/s\"\n\
                [users.alice.limits]\nmessages = \"100/s burst 1000\"\nnew-topics = \"5/h\"\n\
                [[addresses]]\nfrom = \"10.0.0.0/8\"\nas = \"alice\"\n[users.bob]\n\
                [[addresses]]\nfrom = \"10.1.0.0/16\"\nas = \"bob\"\n";
    let accounts = Accounts::new(text);
    let policy = accounts.access.policy();
    let limits = |from: &str| policy.limits(&policy.principal_at(from.parse().unwrap()));
    let rate = |rate: Option<crate::access::rate::Rate>| rate.map(|rate| rate.to_string());
    let nobody = limits("203.0.113.9");
    assert_eq!(rate(nobody.messages).as_deref(), Some("1/s"));
    assert_eq!((nobody.bytes, nobody.connections), (None, Some(1)));
    let alice = limits("10.0.0.1");
    assert_eq!(rate(alice.messages).as_deref(), Some("100/s"));
    assert!(alice.bytes.is_some() && alice.new_topics.is_some());
    assert_eq!(alice.connections, None);
    let bob = limits("10.1.0.1");
    assert_eq!(rate(bob.messages).as_deref(), Some("10/s"));
    let meter = |from: &str| {
        let peer = from.parse().unwrap();
        accounts.access.meter(&policy.principal_at(peer), peer)
    };
    let now = Instant::now();
    // Of an account, however many addresses it has.
    for host in 1..=1000 {
        let meter = meter(&format!("10.0.{}.{}", host / 250, host % 250)).unwrap();
        meter.publish(1, 1, now).unwrap();
    }
    let exceeded = meter("10.0.9.9").unwrap().publish(1, 1, now).unwrap_err();
    assert_eq!(exceeded.of.to_string(), "account alice");
}

/// The examples of the page are understood as they stand.
#[test]
fn the_files_that_are_documented_are_understood() {
    let page = include_str!("../../../../../docs/security.md");
    let accounts = Accounts::with("", |folder| {
        std::fs::write(folder.join("wiki.pem"), Signer::new().pem()).unwrap();
    });
    let blocks = page.split("```toml\n").skip(1);
    let mut understood = 0;
    for block in blocks {
        let (block, _) = block.split_once("```").unwrap();
        let policy = crate::access::file::parse(block, &accounts.folder);
        let policy = policy.map_err(|error| error.in_file(Path::new("page"), block).to_string());
        understood += usize::from(policy.unwrap().has_accounts);
    }
    assert!(understood >= 2, "{understood}");
}
