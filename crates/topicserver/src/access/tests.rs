//! The policy against a model of it that is as simple as can be, and against examples.

use proptest::prelude::*;
use wire::{ErrorCode, UserName};

use super::file;
use super::login_error::LoginError;
use super::mistake::LocatedMistake;
use super::policy::Policy;
use super::principal::Principal;
use super::token;
use super::verbs::Verbs;

fn parse(text: &str) -> Result<Policy, LocatedMistake> {
    file::parse(text, std::path::Path::new(""))
}

/// The rules of one table: those that allow, and those that deny.
#[derive(Clone, Debug, Default)]
struct Rules {
    allow: Vec<(String, String)>,
    deny: Vec<(String, String)>,
}

/// A file with one user and one token.
#[derive(Clone, Debug)]
struct Model {
    everyone: Rules,
    members: Rules,
    alice: Rules,
    token: Option<Rules>,
    /// The token belongs to alice.
    is_hers: bool,
}

const VERBS: [(&str, Verbs); 7] = [
    ("live", Verbs::LIVE),
    ("read", Verbs::READ),
    ("write", Verbs::WRITE),
    ("who", Verbs::WHO),
    ("list", Verbs::LIST),
    ("admin", Verbs::ADMIN),
    ("metrics", Verbs::METRICS),
];

/// What stands for a pattern in words: each `*` tries every length.
fn fits(pattern: &str, topic: &str) -> bool {
    match pattern.chars().next() {
        None => topic.is_empty(),
        Some('*') => {
            let mut ends = topic.char_indices().map(|(at, _)| at).chain([topic.len()]);
            ends.any(|at| fits(&pattern[1..], &topic[at..]))
        }
        Some(c) => topic
            .strip_prefix(c)
            .is_some_and(|rest| fits(&pattern[c.len_utf8()..], rest)),
    }
}

impl Rules {
    /// Whether one of the rules names this right for this topic.
    fn say(rules: &[(String, String)], right: Verbs, topic: &str, user: Option<&str>) -> bool {
        rules.iter().any(|(verb, pattern)| {
            let verbs = VERBS.iter().find(|(word, _)| word == verb).unwrap().1;
            let pattern = match user {
                Some(user) => pattern.replace("{user}", user),
                None if pattern.contains("{user}") => return false,
                None => pattern.clone(),
            };
            verbs.contains(right) && fits(&pattern, topic)
        })
    }

    fn allow(&self, right: Verbs, topic: &str, user: Option<&str>) -> bool {
        Self::say(&self.allow, right, topic, user)
    }

    fn deny(&self, right: Verbs, topic: &str, user: Option<&str>) -> bool {
        Self::say(&self.deny, right, topic, user)
    }

    fn text(&self) -> String {
        let list = |rules: &[(String, String)]| {
            let rules = rules
                .iter()
                .map(|(verb, pattern)| format!("{verb} {pattern}"));
            format!("{:?}", rules.collect::<Vec<_>>())
        };
        format!(
            "allow = {}\ndeny = {}\n",
            list(&self.allow),
            list(&self.deny)
        )
    }
}

impl Model {
    fn everyone_may(&self, right: Verbs, topic: &str) -> bool {
        self.everyone.allow(right, topic, None) && !self.everyone.deny(right, topic, None)
    }

    fn alice_may(&self, right: Verbs, topic: &str) -> bool {
        let tables = [&self.everyone, &self.members, &self.alice];
        let user = Some("al");
        tables.iter().any(|table| table.allow(right, topic, user))
            && !tables.iter().any(|table| table.deny(right, topic, user))
    }

    fn token_may(&self, right: Verbs, topic: &str) -> bool {
        let user = self.is_hers.then_some("al");
        let itself = self
            .token
            .as_ref()
            .is_none_or(|own| own.allow(right, topic, user) && !own.deny(right, topic, user));
        let owner = match self.is_hers {
            true => self.alice_may(right, topic),
            false => !self.everyone.deny(right, topic, None),
        };
        itself && owner
    }

    fn text(&self, hash: &str) -> String {
        let user = if self.is_hers { "user = \"al\"\n" } else { "" };
        let own = self.token.as_ref().map(Rules::text).unwrap_or_default();
        format!(
            "[everyone]\n{}[members]\n{}[users.al]\n{}[tokens.t]\nsecret = \"{hash}\"\n{user}{own}",
            self.everyone.text(),
            self.members.text(),
            self.alice.text(),
        )
    }
}

fn rules() -> impl Strategy<Value = Rules> {
    let verb = prop::sample::select(VERBS.map(|(word, _)| word.to_owned()).to_vec());
    let pattern = prop::collection::vec(prop::sample::select(vec!["a", "b", "*", "{user}"]), 1..5);
    let rule = (verb, pattern.prop_map(|pieces| pieces.concat()));
    let list = |most| prop::collection::vec(rule.clone(), 0..most);
    (list(4), list(2)).prop_map(|(allow, deny)| Rules { allow, deny })
}

fn model() -> impl Strategy<Value = Model> {
    (
        rules(),
        rules(),
        rules(),
        prop::option::of(rules()),
        any::<bool>(),
    )
        .prop_map(|(everyone, members, alice, token, is_hers)| Model {
            everyone,
            members,
            alice,
            // A token must be somebody's or say itself what it allows.
            is_hers: is_hers || token.is_none(),
            token,
        })
}

/// A policy, and its token.
fn policy(text: &str) -> Policy {
    parse(text).map_err(|at| at.mistake).unwrap()
}

proptest! {
    #[test]
    fn the_policy_decides_as_the_model_does(
        model in model(),
        topics in prop::collection::vec("[abl]{0,6}", 1..8),
    ) {
        let (secret, hash) = token::generate("t").unwrap();
        let policy = policy(&model.text(&hash.to_text()));
        let with_token = policy.principal_by_token(&secret, 0).unwrap();
        let everywhere = policy.decide_everywhere(&with_token);
        for topic in &topics {
            for (_, right) in VERBS {
                if right == Verbs::READ {
                    continue;
                }
                let may = |principal: &Principal| policy.decide(principal, topic).contains(right);
                prop_assert_eq!(may(&Principal::Everyone), model.everyone_may(right, topic));
                prop_assert_eq!(may(&with_token), model.token_may(right, topic));
                if everywhere.contains(right) {
                    prop_assert!(may(&with_token), "{:?} {}", right, topic);
                }
            }
        }
    }
}

const FILE: &str = r#"
[everyone]
allow = ["read lobby"]
[members]
allow = ["read write who {user}-*"]
[users.alice]
allow = ["read write who list team-*"]
deny = ["write team-announcements"]
names = ["Al"]
[users.lab-devices]
allow = ["write lab"]
[[addresses]]
from = "192.168.0.0/16"
as = "alice"
[[addresses]]
from = "192.168.7.0/24"
as = "lab-devices"
[tokens.ci]
secret = "HASH"
user = "alice"
allow = ["write team-*", "write lab"]
expires = 2027-01-01T00:00:00Z
"#;

/// 2027 begins.
const END: u64 = 1_798_761_600_000;

#[test]
fn a_token_does_what_both_allow_until_it_expires() {
    let (secret, hash) = token::generate("ci").unwrap();
    let policy = policy(&FILE.replace("HASH", &hash.to_text()));
    let principal = policy.principal_by_token(&secret, END - 1).unwrap();
    assert_eq!(policy.decide(&principal, "team-x"), Verbs::WRITE);
    assert_eq!(policy.decide(&principal, "team-announcements"), Verbs::NONE);
    assert_eq!(
        policy.decide(&principal, "lab"),
        Verbs::NONE,
        "alice may not"
    );
    let late = policy.principal_by_token(&secret, END).unwrap_err();
    assert_eq!(late.code(), ErrorCode::Expired);
    assert_eq!(
        late.to_string(),
        "the token ci has expired; ask for a new one"
    );
    let (other, _) = token::generate("ci").unwrap();
    let unknown = policy.principal_by_token(&other, 0).unwrap_err();
    assert_eq!(unknown, LoginError::UnknownToken);
    let ended = Policy::open().check(&principal, 0).unwrap_err();
    assert_eq!(ended.code, ErrorCode::Revoked);
}

#[test]
fn the_narrowest_network_says_who_somebody_is() {
    let hash = format!("sha256:{}", "0".repeat(64));
    let policy = policy(&FILE.replace("HASH", &hash));
    let at = |ip: &str| policy.principal_at(ip.parse().unwrap()).to_string();
    assert_eq!(at("192.168.7.1"), "lab-devices");
    assert_eq!(at("192.168.8.1"), "alice");
    assert_eq!(at("10.0.0.1"), "everyone");
}

#[test]
fn a_name_belongs_to_its_account_however_it_is_written() {
    let hash = format!("sha256:{}", "0".repeat(64));
    let policy = policy(&FILE.replace("HASH", &hash));
    let alice = policy.principal_at("192.168.8.1".parse().unwrap());
    let may = |principal: &Principal, name: &str| {
        let name = UserName::new(name).unwrap();
        policy.check_name(principal, &name).is_ok()
    };
    for name in ["alice", "ALICE", "a lice", "al", "AL", "al\u{200b}ice"] {
        assert!(!may(&Principal::Everyone, name), "{name}");
        assert!(may(&alice, name), "{name}");
    }
    assert!(!may(&alice, "Lab-Devices"));
    assert!(may(&Principal::Everyone, "bob"));
}

#[test]
fn what_is_refused_says_as_whom() {
    let hash = format!("sha256:{}", "0".repeat(64));
    let policy = policy(&FILE.replace("HASH", &hash));
    let alice = policy.principal_at("192.168.8.1".parse().unwrap());
    let denied = policy.denial(&alice, Verbs::WRITE, "lab");
    assert_eq!(denied.code, ErrorCode::Forbidden);
    assert_eq!(denied.text, "you may not write to \"lab\" as alice");
    let denied = policy.denial(&Principal::Everyone, Verbs::LIVE, "lab");
    assert_eq!(denied.code, ErrorCode::Unauthenticated);
    let text = "you may not read \"lab\" as everyone; log in with a token";
    assert_eq!(denied.text, text);
}

/// What is said of a mistake.
fn shown(text: &str) -> String {
    let error = parse(text).unwrap_err();
    error.in_file("f.toml".as_ref(), text).to_string()
}

#[test]
fn a_mistake_is_shown_where_it_is_and_a_secret_never() {
    let rule = shown("[everyone]\nallow = [\"read a\", \"wirte b\"]\n");
    let (first, rest) = rule.split_once('\n').unwrap();
    assert!(
        first.starts_with("f.toml, line 2, column 20: \"wirte\" is no verb"),
        "{first}"
    );
    let under = "2 | allow = [\"read a\", \"wirte b\"]\n  |                    ^";
    assert_eq!(rest, under);
    for (text, part) in [
        (
            "[users.alice]\nalow = []",
            "line 2, column 1: unknown field `alow`",
        ),
        (
            "[tokens.a]\nsecret = \"hush\"",
            "line 2, column 10: a secret is",
        ),
        (
            "[tokens.a]\nsecret = 5",
            "line 2, column 10: this can't be read",
        ),
        (
            "[tokens.A]\nsecret = \"x\"",
            "line 1, column 9: a token's id has",
        ),
        (
            "[[addresses]]\nfrom = \"x\"\nas = \"bob\"",
            "line 2, column 8: \"x\" is no network",
        ),
        (
            "[[addresses]]\nfrom = \"::1\"\nas = \"bob\"",
            "line 3, column 6: there is no user \"bob\"",
        ),
        (
            "[users.al]\n[users.bob]\nnames = [\"AL\"]",
            "the name \"AL\" belongs to al",
        ),
        ("[everyone", "line 1"),
    ] {
        let shown = shown(text);
        assert!(shown.contains(part), "{shown}");
        assert!(!shown.contains("hush"), "{shown}");
    }
}

#[test]
fn a_secret_in_a_wrong_place_is_not_shown() {
    for (text, part) in [
        (
            "[users.al]\npasword = \"hush\"",
            "line 2, column 1: unknown field `pasword`",
        ),
        ("[users.al]\n  Password = \"hush", ": this can't be read"),
        (
            "[users]\nal = \"hush\"",
            "line 2, column 6: this can't be read",
        ),
        (
            "[users]\nal = { pass = \"hush\" }",
            "line 2, column 8: this can't be read",
        ),
        ("pass.word = \"hush\"", "line 1, column 1: unknown field"),
        ("users = \"hush\"", "line 1, column 9: this can't be read"),
        ("[users.al]\nhush", "line 2, column "),
        ("[users.al]\n\"hush\"", "line 2, column "),
        ("[users.al]\npass = [\n  \"hush\",\n", "line "),
        ("[users.al]\nadmin = true\nhush\n", "line 3, column "),
    ] {
        let shown = shown(text);
        assert!(shown.contains(part), "{shown}");
        assert!(!shown.contains("hush"), "{shown}");
    }
}

#[test]
fn a_line_that_holds_no_secret_is_shown() {
    for (text, line) in [
        (
            "[everyone]\nallow = [\n  \"raed lab\",\n]",
            "3 |   \"raed lab\",",
        ),
        (
            "[everyone]\nlimits.messages = \"fast\"",
            "2 | limits.messages = ",
        ),
        ("[everyone", "1 | [everyone"),
        ("[users.al]\nadmin = \"yes\"", "2 | admin = \"yes\""),
    ] {
        let shown = shown(text);
        assert!(shown.contains(line), "{shown}");
    }
}

/// All keys that there are, as a misspelt one of each table is told them.
#[test]
fn every_key_is_known_to_hold_a_secret_or_not() {
    let tables = ["everyone", "everyone.limits", "users.a", "tokens.a", "jwt"];
    let headers = tables.map(|table| format!("[{table}]"));
    let mut keys = 0;
    for header in headers.iter().map(String::as_str).chain(["[[addresses]]"]) {
        let text = format!("{header}\nkye = 1\n");
        let told = shown(&text);
        for key in told.split('`').skip(3).step_by(2) {
            let broken = format!("{header}\n{key} = [\"hush\n");
            let is_secret = matches!(key, "password" | "secret");
            let told = shown(&broken);
            assert_eq!(told.contains("hush"), !is_secret, "{key}: {told}");
            keys += 1;
        }
    }
    assert!(keys >= 25, "{keys}");
}
