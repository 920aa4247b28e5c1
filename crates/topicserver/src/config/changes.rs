//! Which options can change while a server runs, and what has changed when they are read again.

use std::fmt;

use super::Config;
use super::layers::{Gathered, Origin};
use super::report::value;
use super::source::Source;

/// Options that need a restart: what the server has opened, or has built everything on, and whether
/// it asks who clients are, so that no mistake in a file opens it. Every other one takes effect
/// with a reload.
const NEED_RESTART: [&str; 23] = [
    "port",
    "bind",
    "listen",
    "announce",
    "threads",
    "log-format",
    "admin",
    "data",
    "storage-timeout",
    "clock-settle",
    "id-window",
    "auth",
    "open-to-all",
    "cluster",
    "cluster-name",
    "node",
    "advertise",
    "cluster-durability",
    "nats-monitor",
    "cluster-credentials",
    "cluster-ca",
    "cluster-shards",
    "cluster-replicas",
];

impl Config {
    /// The configuration after a reload that finds `new`: what needs a restart stays as it is.
    pub(crate) fn reloaded(&self, new: &Self) -> Self {
        Self {
            bind: self.bind,
            port: self.port,
            unix: self.unix.clone(),
            unix_only: self.unix_only,
            announce: self.announce,
            admin: self.admin.clone(),
            data: self.data.clone(),
            storage_timeout: self.storage_timeout,
            clock_settle: self.clock_settle,
            id_window: self.id_window,
            auth: self.auth.clone(),
            open_to_all: self.open_to_all,
            cluster: self.cluster.clone(),
            host_name: self.host_name.clone(),
            ..new.clone()
        }
    }
}

/// An option that has another value than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The option's name, without dashes.
    pub option: String,
    /// The value before, as it stands in a configuration file; `None`: it was not set.
    pub old: Option<String>,
    /// The value now.
    pub new: Option<String>,
    /// Where the new value comes from.
    pub source: Source,
    /// It takes effect only when the server is started again.
    pub needs_restart: bool,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "not set".to_owned());
        let (old, new) = (shown(&self.old), shown(&self.new));
        write!(f, "{}: {old} → {new} ({})", self.option, self.source)?;
        match self.needs_restart {
            true => f.write_str(", which needs a restart"),
            false => Ok(()),
        }
    }
}

/// The options of a running server.
#[derive(Clone, Debug)]
pub(crate) struct InForce(Vec<Origin>);

impl InForce {
    pub(crate) fn new(gathered: &Gathered) -> Self {
        Self(gathered.origins.clone())
    }

    /// What `new` has otherwise.
    pub(crate) fn changes_to(&self, new: &Gathered) -> Vec<Change> {
        let pairs = self.0.iter().zip(&new.origins);
        let changed = pairs.filter(|(old, new)| value(old) != value(new));
        let change = |(old, new): (&Origin, &Origin)| Change {
            option: new.name.clone(),
            old: value(old),
            new: value(new),
            source: new.source.clone(),
            needs_restart: needs_restart(&new.name),
        };
        changed.map(change).collect()
    }

    /// From now on the values of `new` are in force, but those that need a restart.
    pub(crate) fn follow(&mut self, new: &Gathered) {
        for (old, new) in self.0.iter_mut().zip(&new.origins) {
            if !needs_restart(&new.name) {
                *old = new.clone();
            }
        }
    }
}

fn needs_restart(option: &str) -> bool {
    NEED_RESTART.contains(&option)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::ffi::OsString;

    use clap::CommandFactory;

    use super::*;
    use crate::config::Options;

    /// Options that take effect with a reload. A new option belongs here or above: which of the
    /// two is part of what it is.
    const RELOADED: [&str; 42] = [
        "audit-log",
        "login-lifetime",
        "ticket-lifetime",
        "tls",
        "tls-cert",
        "tls-key",
        "tls-self-signed",
        "tls-min",
        "tls-handshake-timeout",
        "tls-check-interval",
        "max-handshakes",
        "hsts",
        "log",
        "max-frame",
        "max-depth",
        "max-topics",
        "max-outbox",
        "max-queued",
        "max-mailbox",
        "max-connections",
        "max-connections-per-address",
        "max-headers",
        "max-stream-topics",
        "max-presence",
        "max-ids",
        "registration-timeout",
        "frame-timeout",
        "write-timeout",
        "drain-timeout",
        "drain-announce",
        "drain-spread",
        "name-grace",
        "ping-interval",
        "history-messages",
        "history-bytes",
        "history-memory",
        "keep-age",
        "keep-messages",
        "keep-bytes",
        "allow-origin",
        "allow-host",
        "trust-proxy",
    ];

    fn gathered(line: &[&str]) -> Gathered {
        let line = [&["topicserver", "20000"], line].concat();
        Options::gather(line.iter().map(OsString::from), []).unwrap()
    }

    /// The options of a server; not those that only make sense on the command line.
    fn names() -> BTreeSet<String> {
        let command = Options::command();
        let arguments = command.get_arguments();
        let name = |argument: &clap::Arg| {
            let long = argument.get_long();
            long.unwrap_or(argument.get_id().as_str()).to_owned()
        };
        let only_typed = ["help", "version", "config"];
        arguments
            .map(name)
            .filter(|name| !only_typed.contains(&name.as_str()))
            .collect()
    }

    #[test]
    fn every_option_is_known_as_reloadable_or_not() {
        let known: BTreeSet<_> = RELOADED.into_iter().chain(NEED_RESTART).collect();
        assert_eq!(known.len(), RELOADED.len() + NEED_RESTART.len());
        let names = names();
        let names: BTreeSet<_> = names.iter().map(String::as_str).collect();
        assert_eq!(names, known);
    }

    #[test]
    fn the_page_says_of_each_option_when_a_change_takes_effect() {
        let page = include_str!("../../../../docs/configuration.md");
        let (_, section) = page.split_once("\n### Reloading\n").unwrap();
        let section = section.split("\n### ").next().unwrap();
        let of = |item: &str| -> BTreeSet<String> {
            let (_, text) = section.split_once(item).unwrap();
            let text = text.split("\n- ").next().unwrap();
            let text = text.split("\n\n").next().unwrap();
            let words = text.split('`').skip(1).step_by(2);
            let name = |word: &str| word.trim_start_matches("--").to_ascii_lowercase();
            words.map(name).collect()
        };
        let mut reloaded = of("For new connections, while");
        reloaded.extend(of("For new connections, with TLS"));
        reloaded.extend(of("At once"));
        assert_eq!(reloaded, RELOADED.map(str::to_owned).into());
        let restart = of("Only with a restart");
        assert_eq!(restart, NEED_RESTART.map(str::to_owned).into());
    }

    /// A value that isn't the default.
    fn other_value(option: &str) -> Vec<String> {
        let value = match option {
            "bind" => "127.0.0.1",
            "listen" => "unix:/run/natter/socket",
            "admin" => "127.0.0.1:20001",
            "max-depth" | "max-stream-topics" | "ticket-lifetime" => "7",
            "allow-origin" => "https://wiki.example",
            "allow-host" => "chat.example",
            "tls" => "required",
            "tls-min" => "1.3",
            "trust-proxy" => "10.0.0.0/8",
            "advertise" | "nats-monitor" => "chat.example:7",
            "cluster-durability" => "replicated",
            "cluster-shards" => "7",
            "cluster-replicas" => "3",
            _ => "2048",
        };
        match option {
            "open-to-all" | "announce" => vec![format!("--{option}")],
            "tls-cert" => vec!["--tls-cert=2048".to_owned(), "--tls-key=x".to_owned()],
            "tls-key" => vec!["--tls-key=2048".to_owned(), "--tls-cert=x".to_owned()],
            "port" => Vec::new(),
            "node"
            | "advertise"
            | "nats-monitor"
            | "cluster-credentials"
            | "cluster-ca"
            | "cluster-replicas" => {
                vec![
                    format!("--{option}={value}"),
                    "--cluster=nats://a".to_owned(),
                ]
            }
            _ => vec![format!("--{option}={value}")],
        }
    }

    #[test]
    fn what_can_be_reloaded_changes_the_configuration_and_what_needs_a_restart_does_not() {
        let before = gathered(&[]);
        let config = |gathered: &Gathered| Config::from(&gathered.options);
        // The log and the threads are of the program, not of the server.
        let others = ["log", "log-format", "threads"];
        for option in names()
            .iter()
            .filter(|name| !others.contains(&name.as_str()))
        {
            let line = other_value(option);
            let line: Vec<_> = line.iter().map(String::as_str).collect();
            let mut after = gathered(&line);
            if option == "port" {
                after.options.port = Some(7);
            }
            let reloaded = config(&before).reloaded(&config(&after));
            let has_changed = format!("{reloaded:?}") != format!("{:?}", config(&before));
            assert_eq!(has_changed, RELOADED.contains(&option.as_str()), "{option}");
            let changes = InForce::new(&before).changes_to(&after);
            let found = changes.iter().find(|change| change.option == *option);
            if let Some(change) = found {
                assert_eq!(change.needs_restart, !has_changed, "{change}");
            } else {
                assert_eq!(option, "port");
            }
        }
    }

    #[test]
    fn a_change_says_from_what_to_what_and_why() {
        let before = gathered(&["--max-topics", "5", "--allow-host", "a.example"]);
        let after = gathered(&["--max-topics", "6", "--threads", "3"]);
        let mut in_force = InForce::new(&before);
        let said = |changes: Vec<Change>| {
            let mut said: Vec<_> = changes.iter().map(Change::to_string).collect();
            said.sort();
            said
        };
        assert_eq!(
            said(in_force.changes_to(&after)),
            [
                "allow-host: [\"a.example\"] → not set (default)",
                "max-topics: 5 → 6 (command line)",
                "threads: not set → 3 (command line), which needs a restart",
            ]
        );
        in_force.follow(&after);
        // What needs a restart is named again, until there was one.
        assert_eq!(
            said(in_force.changes_to(&after)),
            ["threads: not set → 3 (command line), which needs a restart"]
        );
        assert!(!gathered(&[]).has_file());
    }
}
