//! The configuration file: a person's defaults.
//!
//! Reads one file, and reports mistakes with their lines. Decides nothing: an option or the
//! environment overrides it.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use client::{ServerList, ServerListError};
use wire::{UserName, UserNameError};

use super::config::{Notifying, When};

/// The content of the file. Everything in it is optional.
#[derive(Debug, Default)]
pub(super) struct File {
    /// The path; `None` if there is no file.
    pub(super) path: Option<PathBuf>,
    /// The person's name on a terminal.
    pub(super) name: Option<UserName>,
    /// When there are colours.
    pub(super) color: Option<When>,
    /// A mention of the person's name rings.
    pub(super) bell: Option<bool>,
    /// How the desktop is told of a mention.
    pub(super) notify: Option<Notifying>,
    /// Members and topics stand at the sides.
    pub(super) sides: Option<bool>,
    /// Messages don't name the topic that is in view.
    pub(super) hide_topic: Option<bool>,
    /// Chat takes the mouse's wheel.
    pub(super) mouse: Option<bool>,
    /// Short names of servers.
    pub(super) servers: BTreeMap<String, Server>,
}

/// A server, which may have several addresses, and how it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) servers: ServerList,
    /// The file with the token for this server.
    pub(super) token_file: Option<PathBuf>,
    /// Certificates of the authorities that vouch for it.
    pub(super) tls_ca: Option<PathBuf>,
}

impl From<ServerList> for Server {
    fn from(servers: ServerList) -> Self {
        Self {
            servers,
            token_file: None,
            tls_ca: None,
        }
    }
}

/// Why a configuration file can't be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    /// It can't be read.
    #[error("can't read {}: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something in it is wrong.
    #[error("{}, line {line}: {mistake}", .path.display())]
    Mistake {
        /// The file.
        path: PathBuf,
        /// The line's number.
        line: usize,
        /// The mistake.
        mistake: Mistake,
    },
}

/// What is wrong in a configuration file.
#[derive(Debug, thiserror::Error)]
pub(super) enum Mistake {
    /// It is no TOML, or has other keys or types.
    #[error("{}", .0.message())]
    Syntax(#[from] toml::de::Error),
    /// The name isn't valid.
    #[error(transparent)]
    Name(#[from] UserNameError),
    /// There is no such value of `color`.
    #[error("color is auto, always or never, not {0:?}")]
    Color(String),
    /// There is no such value of `notify`.
    #[error("notify is auto, osc9, osc777 or never, not {0:?}")]
    Notify(String),
    /// A server's address isn't valid.
    #[error(transparent)]
    Servers(#[from] ServerListError),
}

/// The file as it is written.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: Option<toml::Spanned<String>>,
    color: Option<toml::Spanned<String>>,
    bell: Option<bool>,
    notify: Option<toml::Spanned<String>>,
    sides: Option<bool>,
    hide_topic: Option<bool>,
    mouse: Option<bool>,
    #[serde(default)]
    servers: BTreeMap<String, toml::Spanned<toml::Value>>,
}

/// A server as a table.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct WrittenServer {
    address: String,
    token_file: Option<PathBuf>,
    tls_ca: Option<PathBuf>,
}

/// A mistake and where it is, in bytes from the beginning.
type At = (usize, Mistake);

impl File {
    /// Reads a file that must exist.
    pub(super) fn read(path: &Path) -> Result<Self, FileError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(path, &text),
            Err(source) => Err(FileError::Unreadable {
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// Reads a file. One that doesn't exist is empty.
    pub(super) fn read_if_exists(path: &Path) -> Result<Self, FileError> {
        match Self::read(path) {
            Err(FileError::Unreadable { source, .. })
                if source.kind() == io::ErrorKind::NotFound =>
            {
                Ok(Self::default())
            }
            other => other,
        }
    }

    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, FileError> {
        Self::parse_text(path, text).map_err(|(offset, mistake)| {
            let before = text.get(..offset).unwrap_or(text);
            FileError::Mistake {
                path: path.to_owned(),
                line: before.matches('\n').count() + 1,
                mistake,
            }
        })
    }

    fn parse_text(path: &Path, text: &str) -> Result<Self, At> {
        let written: Written = toml::from_str(text).map_err(|error| {
            let offset = error.span().map_or(text.len(), |span| span.start);
            (offset, error.into())
        })?;
        let server = |(name, written): (String, toml::Spanned<toml::Value>)| {
            let start = written.span().start;
            let server = read_server(written.into_inner(), path.parent());
            Ok((name, server.map_err(|mistake| (start, mistake))?))
        };
        let name = |text: &str| UserName::new(text).map_err(Mistake::from);
        let color = |text: &str| When::read(text).ok_or_else(|| Mistake::Color(text.into()));
        let notify = |text: &str| Notifying::read(text).ok_or_else(|| Mistake::Notify(text.into()));
        Ok(Self {
            path: Some(path.to_owned()),
            name: written.name.map(|text| read(&text, name)).transpose()?,
            color: written.color.map(|text| read(&text, color)).transpose()?,
            bell: written.bell,
            notify: written.notify.map(|text| read(&text, notify)).transpose()?,
            sides: written.sides,
            hide_topic: written.hide_topic,
            mouse: written.mouse,
            servers: written
                .servers
                .into_iter()
                .map(server)
                .collect::<Result<_, At>>()?,
        })
    }
}

/// Reads a server: its address alone, or a table. Its files are looked for beside the
/// configuration file.
fn read_server(written: toml::Value, folder: Option<&Path>) -> Result<Server, Mistake> {
    let written: WrittenServer = match written {
        toml::Value::String(address) => return Ok(address.parse::<ServerList>()?.into()),
        written => written.try_into()?,
    };
    let beside = |file: PathBuf| folder.map_or_else(|| file.clone(), |folder| folder.join(&file));
    Ok(Server {
        servers: written.address.parse()?,
        token_file: written.token_file.map(beside),
        tls_ca: written.tls_ca.map(beside),
    })
}

fn read<T>(
    text: &toml::Spanned<String>,
    read: impl Fn(&str) -> Result<T, Mistake>,
) -> Result<T, At> {
    read(text.get_ref()).map_err(|mistake| (text.span().start, mistake))
}

/// A text as TOML writes it: in quotation marks, with escapes.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                c if c.is_control() => write!(f, "\\u{:04X}", u32::from(c))?,
                c => write!(f, "{c}")?,
            }
        }
        f.write_str("\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<File, FileError> {
        File::parse(Path::new("chat.toml"), text)
    }

    #[test]
    fn everything_in_it_is_read_and_nothing_has_to_be() {
        let file =
            parse("name = \"alice\"\ncolor = \"never\"\nbell = false\n[servers]\nlab = \"a:1\"\n")
                .expect("right");
        assert_eq!(file.name.expect("a name").as_str(), "alice");
        assert_eq!((file.color, file.bell), (Some(When::Never), Some(false)));
        let file = parse("[servers]\nlab = \"[::1]:2\"").expect("right");
        assert_eq!(file.servers["lab"].servers.to_string(), "[::1]:2");
        assert!(parse("").expect("empty").name.is_none());
    }

    #[test]
    fn a_server_may_have_files_beside_the_configuration_or_elsewhere() {
        let text = "[servers]\nlab = \"a:1\"\n[servers.home]\naddress = \"tls://b:2, c:2\"\n\
                    token-file = \"home.token\"\ntls-ca = \"/etc/ca.pem\"\n";
        let file = File::parse(Path::new("natter/chat.toml"), text).expect("right");
        let home = &file.servers["home"];
        assert_eq!(home.servers.to_string(), "tls://b:2,tls://c:2");
        assert_eq!(home.token_file, Some("natter/home.token".into()));
        assert_eq!(home.tls_ca, Some("/etc/ca.pem".into()));
        let lab = &file.servers["lab"];
        assert_eq!((&lab.token_file, &lab.tls_ca), (&None, &None));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, said) in [
            (
                "bell = true\ncolour = \"never\"",
                "chat.toml, line 2: unknown field",
            ),
            ("\n\nbell = \"yes\"", "chat.toml, line 3: invalid type"),
            (
                "bell = true\nname = \"\"",
                "line 2: a user's name can't be empty",
            ),
            ("color = \"red\"", "line 1: color is auto, always or never"),
            (
                "[servers]\na = \"b:1\"\nlab = \"lab\"",
                "line 3: \"lab\" has no port",
            ),
            ("name = ", "line 1"),
            (
                "\n[servers.lab]\naddress = \"a:1\"\npassword = \"x\"",
                "line 2: unknown field `password`",
            ),
            ("[servers]\n\nlab = {}", "line 3: missing field `address`"),
            ("[servers]\nlab = 7", "line 2: invalid type"),
            (
                "[servers]\nlab = { address = \"a\" }",
                "line 2: \"a\" has no port",
            ),
            (
                "[servers]\nlab = \"a:1,b\"",
                "line 2: address 2 of 2: \"b\" has no port",
            ),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(said), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_file_that_was_named_must_be_there() {
        let path = Path::new("no/such/file.toml");
        assert!(File::read_if_exists(path).expect("empty").path.is_none());
        let error = File::read(path).unwrap_err().to_string();
        assert!(error.contains("can't read no/such"), "{error}");
    }
}
