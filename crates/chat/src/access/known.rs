//! The servers that were spoken to over TLS, with their keys, from run to run.
//!
//! One line of the file is one server: `192.168.1.5:20000 sha256:BASE64 2026-11-26`, its
//! address, its key's fingerprint, and when that was first seen. Lines that begin with `#`,
//! and empty ones, stay as they are. Two lines of one server allow both keys.

use std::io::{self, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use client::tls::{Proof, ProvenBy};
use client::{Pin, PinError};
use wire::{Address, AddressError};

use crate::system;

/// The file's name. It is in the same directory as `chat.toml`.
const NAME: &str = "known_servers";

/// See the module. Reads the file anew each time, because others may write it meanwhile.
#[derive(Clone, Debug)]
pub(crate) struct KnownServers {
    /// Its path; `None` if there is no directory for it, and then no server is known.
    path: Option<PathBuf>,
}

/// Why the file can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KnownError {
    /// The file can't be read.
    #[error("can't read {}: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file can't be written.
    #[error("can't write {}: {source}", .path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line is wrong. It may be about any server, so none is trusted.
    #[error("{}, line {line}: {mistake}", .path.display())]
    Mistake {
        /// The file.
        path: PathBuf,
        /// The line's number.
        line: usize,
        /// The mistake.
        mistake: Mistake,
    },
    /// There is no folder for it.
    #[error("there is no folder for {NAME}: set HOME or XDG_CONFIG_HOME")]
    NoPlace,
}

/// What is wrong in a line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Mistake {
    /// It has no fingerprint.
    #[error("a line has ADDRESS:PORT, sha256:FINGERPRINT and a date")]
    Incomplete,
    /// The address is none.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The fingerprint is none.
    #[error(transparent)]
    Pin(#[from] PinError),
}

/// One line.
struct Line {
    text: String,
    /// Its entry; `None` for a comment.
    entry: Option<Entry>,
}

struct Entry {
    server: Address,
    key: Pin,
}

impl KnownServers {
    /// The servers in the file in `folder`, where programs keep their configuration.
    pub(crate) fn within(folder: Option<&Path>) -> Self {
        Self {
            path: folder.map(|folder| folder.join("natter").join(NAME)),
        }
    }

    /// The path of the file.
    pub(crate) fn path(&self) -> Result<&Path, KnownError> {
        self.path.as_deref().ok_or(KnownError::NoPlace)
    }

    /// The keys that a server may have; none if it isn't known.
    pub(crate) fn keys(&self, server: &Address) -> Result<Vec<Pin>, KnownError> {
        let server = canonical(server);
        let entries = self.read()?.into_iter().filter_map(|line| line.entry);
        let its = entries.filter(|entry| entry.server == server);
        Ok(its.map(|entry| entry.key).collect())
    }

    /// Remembers how a server has proven who it is, if that is new.
    pub(crate) fn remember(&self, server: &Address, proof: Proof) -> Result<(), KnownError> {
        let mut lines = self.read()?;
        let server = canonical(server);
        let is_its = |line: &Line| {
            let entry = line.entry.as_ref();
            entry
                .filter(|entry| entry.server == server)
                .map(|entry| entry.key)
        };
        if lines.iter().any(|line| is_its(line) == Some(proof.key)) {
            return Ok(());
        }
        if proof.by == ProvenBy::Authority {
            // The authority vouches for the new key.
            lines.retain(|line| is_its(line).is_none());
        }
        let text = line(&server, proof.key);
        lines.push(Line { text, entry: None });
        self.write(&lines)
    }

    /// Forgets a server. Returns the keys that it had.
    pub(crate) fn forget(&self, server: &Address) -> Result<Vec<Pin>, KnownError> {
        let server = canonical(server);
        let mut keys = Vec::new();
        let mut lines = self.read()?;
        lines.retain(|line| match &line.entry {
            Some(entry) if entry.server == server => {
                keys.push(entry.key);
                false
            }
            _ => true,
        });
        if !keys.is_empty() {
            self.write(&lines)?;
        }
        Ok(keys)
    }

    fn read(&self) -> Result<Vec<Line>, KnownError> {
        let Some(path) = &self.path else {
            return Ok(Vec::new());
        };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => {
                return Err(KnownError::Unreadable {
                    path: path.clone(),
                    source,
                });
            }
        };
        let read = |(number, text): (usize, &str)| {
            read_line(text).map_err(|mistake| KnownError::Mistake {
                path: path.clone(),
                line: number + 1,
                mistake,
            })
        };
        text.lines().enumerate().map(read).collect()
    }

    /// Writes the file. Other programs see either the old file or the new one.
    fn write(&self, lines: &[Line]) -> Result<(), KnownError> {
        let path = self.path()?;
        let text: String = lines.iter().map(|line| line.text.clone() + "\n").collect();
        replace(path, &text).map_err(|source| KnownError::Unwritable {
            path: path.to_owned(),
            source,
        })
    }
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let new = path.with_extension(format!("new-{}", std::process::id()));
    let written = system::create_private(&new).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    let result = written.and_then(|()| std::fs::rename(&new, path));
    if result.is_err() {
        // It may not be there.
        let _ = std::fs::remove_file(&new);
    }
    result
}

/// The line for a server whose key was seen today.
pub(crate) fn line(server: &Address, key: Pin) -> String {
    let today = jiff::ZonedDateTime::now().date();
    format!("{} {key} {today}", canonical(server))
}

fn read_line(text: &str) -> Result<Line, Mistake> {
    let mut words = text.split_whitespace();
    let entry = match words.next() {
        None => None,
        Some(word) if word.starts_with('#') => None,
        Some(server) => Some(Entry {
            server: canonical(&server.parse()?),
            key: words.next().ok_or(Mistake::Incomplete)?.parse()?,
        }),
    };
    let text = text.to_owned();
    Ok(Line { text, entry })
}

/// The canonical form of an address, so that the same server isn't new in another form.
fn canonical(server: &Address) -> Address {
    let host = match server.host.parse::<IpAddr>() {
        Ok(ip) => ip.to_canonical().to_string(),
        Err(_) => server.host.trim_end_matches('.').to_ascii_lowercase(),
    };
    let port = server.port;
    Address { host, port }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that is removed when it is dropped.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("natter-known-{name}-{}", std::process::id());
            let folder = std::env::temp_dir().join(name);
            std::fs::create_dir_all(&folder).expect("a folder");
            Self(folder)
        }

        fn file(&self) -> PathBuf {
            self.0.join("natter").join(NAME)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn address(text: &str) -> Address {
        text.parse().expect("an address")
    }

    fn proof(key: &[u8], by: ProvenBy) -> Proof {
        let key = Pin::of_key(key);
        Proof { key, by }
    }

    #[test]
    fn servers_are_remembered_and_forgotten() {
        let folder = Folder::new("remembered");
        let known = KnownServers::within(Some(&folder.0));
        let (lab, other) = (address("lab:1"), address("[::1]:2"));
        assert_eq!(known.keys(&lab).expect("readable"), []);
        let first = proof(b"1", ProvenBy::FirstUse);
        known.remember(&lab, first).expect("written");
        known
            .remember(&other, proof(b"2", ProvenBy::Pin))
            .expect("written");
        known.remember(&lab, first).expect("nothing to do");
        assert_eq!(known.keys(&lab).expect("readable"), [first.key]);
        assert_eq!(known.keys(&address("lab:2")).expect("readable"), []);
        let text = std::fs::read_to_string(folder.file()).expect("readable");
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(
            text.starts_with(&format!("lab:1 {} 20", first.key)),
            "{text}"
        );
        // An authority's word replaces what was known, for that server alone.
        let second = proof(b"3", ProvenBy::Authority);
        known.remember(&lab, second).expect("written");
        assert_eq!(known.keys(&lab).expect("readable"), [second.key]);
        assert_eq!(known.forget(&lab).expect("written"), [second.key]);
        assert_eq!(known.forget(&lab).expect("readable"), []);
        assert_eq!(known.keys(&other).expect("readable").len(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(folder.file()).expect("a file");
            assert_eq!(mode.permissions().mode() & 0o777, 0o600);
        }
        let files = std::fs::read_dir(folder.0.join("natter")).expect("a folder");
        assert_eq!(files.count(), 1);
    }

    #[test]
    fn one_server_has_one_address_however_it_is_written() {
        let folder = Folder::new("written");
        let known = KnownServers::within(Some(&folder.0));
        let first = proof(b"1", ProvenBy::Pin);
        known
            .remember(&address("Lab.Example:1"), first)
            .expect("written");
        known
            .remember(&address("[0:0::1]:1"), first)
            .expect("written");
        for text in [
            "lab.example:1",
            "LAB.example.:1",
            "[::1]:1",
            "[0:0:0:0:0:0:0:1]:1",
        ] {
            assert_eq!(
                known.keys(&address(text)).expect("readable"),
                [first.key],
                "{text}"
            );
        }
    }

    #[test]
    fn what_people_write_into_the_file_stays_and_mistakes_are_named() {
        let folder = Folder::new("people");
        let known = KnownServers::within(Some(&folder.0));
        std::fs::create_dir_all(folder.0.join("natter")).expect("a folder");
        let (one, two) = (Pin::of_key(b"1"), Pin::of_key(b"2"));
        let text = format!("# ours\n\nlab:1 {one}\nlab:1 {two} 2026-11-26 the new one\n");
        std::fs::write(folder.file(), &text).expect("written");
        assert_eq!(known.keys(&address("lab:1")).expect("readable"), [one, two]);
        known
            .remember(&address("x:1"), proof(b"3", ProvenBy::Pin))
            .expect("written");
        let now = std::fs::read_to_string(folder.file()).expect("readable");
        assert!(now.starts_with(&text), "{now}");
        for (line, said) in [
            ("lab:1", "line 2: a line has"),
            ("lab sha256:x", "line 2: \"lab\" has no port"),
            ("lab:1 sha256:x", "line 2: \"sha256:x\" is no fingerprint"),
        ] {
            std::fs::write(folder.file(), format!("\n{line}\n")).expect("written");
            let error = known.keys(&address("y:1")).expect_err(line).to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn without_a_folder_nothing_is_known_and_nothing_kept() {
        let known = KnownServers::within(None);
        assert_eq!(known.keys(&address("lab:1")).expect("nothing"), []);
        let error = known.remember(&address("lab:1"), proof(b"1", ProvenBy::Pin));
        assert!(matches!(error, Err(KnownError::NoPlace)));
    }
}
