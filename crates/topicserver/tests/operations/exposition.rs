//! The metrics as a strict reader of the format takes them.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use crate::common::Process;
use crate::requests::Http;

/// What was read from `/metrics`.
#[derive(Debug, Default)]
pub struct Metrics {
    /// The values, by name and labels as they stand there.
    pub values: BTreeMap<String, f64>,
    /// The type of each family.
    pub types: HashMap<String, String>,
}

/// Where the server's administrators reach it.
pub fn admin(server: &Process) -> SocketAddr {
    let line = server.wait_for("administrators reach the server at ");
    let (_, address) = line.split_once("server at ").unwrap();
    address.parse().unwrap()
}

impl Metrics {
    pub fn of(server: &Process) -> Self {
        let answer = Http::at(admin(server)).get("/metrics", &[]);
        assert_eq!(answer.status, 200);
        let kind = answer.header("content-type").unwrap();
        assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
        Self::parse(answer.text())
    }

    /// The same; `None` when the server has ended meanwhile.
    pub fn try_of(address: SocketAddr) -> Option<Self> {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(address).ok()?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (_, text) = answer.split_once("\r\n\r\n")?;
        text.ends_with("# EOF\n").then(|| Self::parse(text))
    }

    /// Reads the text, and panics at the first thing that isn't as the format wants it.
    pub fn parse(text: &str) -> Self {
        let mut metrics = Self::default();
        let mut family = String::new();
        let text = text.strip_suffix("# EOF\n").expect("the end is said");
        for line in text.lines() {
            match line.strip_prefix("# ") {
                Some(comment) => {
                    let mut words = comment.splitn(3, ' ');
                    let (kind, name) = (words.next().unwrap(), words.next().unwrap());
                    let text = words.next().unwrap();
                    match kind {
                        "HELP" => {
                            assert!(!metrics.types.contains_key(name), "{name} comes twice");
                            assert!(text.len() > 10, "{line}");
                            name.clone_into(&mut family);
                        }
                        "TYPE" => {
                            assert_eq!(name, family, "{line}");
                            metrics.types.insert(name.to_owned(), text.to_owned());
                        }
                        other => panic!("{other}: {line}"),
                    }
                }
                None => metrics.read_sample(line, &family),
            }
        }
        metrics
    }

    fn read_sample(&mut self, line: &str, family: &str) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        let plain = name.split('{').next().unwrap();
        let suffixes: &[&str] = match self.types[family].as_str() {
            "counter" => &["_total"],
            "gauge" => &[""],
            "info" => &["_info"],
            "histogram" => &["_bucket", "_sum", "_count"],
            other => panic!("{other}"),
        };
        let suffix = plain.strip_prefix(family);
        assert!(
            suffix.is_some_and(|suffix| suffixes.contains(&suffix)),
            "{line} in {family}"
        );
        if let Some(labels) = name.strip_prefix(plain).filter(|labels| !labels.is_empty()) {
            let labels = labels
                .strip_prefix('{')
                .and_then(|labels| labels.strip_suffix('}'));
            for label in labels.unwrap().split(',') {
                let (key, value) = label.split_once('=').unwrap();
                assert!(
                    key.chars().all(|c| c.is_ascii_lowercase() || c == '_'),
                    "{line}"
                );
                assert!(value.starts_with('"') && value.ends_with('"'), "{line}");
            }
        }
        let value: f64 = value.parse().unwrap();
        assert!(
            self.values.insert(name.to_owned(), value).is_none(),
            "{line} twice"
        );
    }

    /// The value of exactly this name with these labels.
    #[track_caller]
    pub fn get(&self, name: &str) -> f64 {
        *self
            .values
            .get(name)
            .unwrap_or_else(|| panic!("no {name} in {self:#?}"))
    }
}
