//! The configuration file: what a person wants by default.
//!
//! Reads one file, and says in which line what is wrong with it. Decides nothing:
//! an option or the environment goes before it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use wire::{Address, UserName};

use crate::cli::When;

/// What the file says. All of it is optional.
#[derive(Debug, Default)]
pub(crate) struct File {
    /// Where it was read; none if there is none.
    pub(crate) path: Option<PathBuf>,
    /// What to be called on a terminal.
    pub(crate) name: Option<UserName>,
    /// When there are colours.
    pub(crate) color: Option<When>,
    /// A mention of one's name rings.
    pub(crate) bell: Option<bool>,
    /// Short names of servers.
    pub(crate) servers: BTreeMap<String, Address>,
}

/// The same as it is written.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: Option<toml::Spanned<String>>,
    color: Option<toml::Spanned<String>>,
    bell: Option<bool>,
    #[serde(default)]
    servers: BTreeMap<String, toml::Spanned<String>>,
}

impl File {
    /// Reads the file. One that needn't be there is empty if it isn't.
    pub(crate) fn read(path: &Path, must_exist: bool) -> Result<Self, String> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(path, &text),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => {
                Ok(Self::default())
            }
            Err(error) => Err(format!("can't read {}: {error}", path.display())),
        }
    }

    fn parse(path: &Path, text: &str) -> Result<Self, String> {
        let at = |offset: usize, what: String| {
            let before = text.get(..offset).unwrap_or(text);
            let line = before.matches('\n').count() + 1;
            format!("{}, line {line}: {what}", path.display())
        };
        let written: Written = toml::from_str(text).map_err(|error| {
            let offset = error.span().map_or(text.len(), |span| span.start);
            at(offset, error.message().into())
        })?;
        let name = written.name.map(|name| {
            let offset = name.span().start;
            UserName::new(name.get_ref()).map_err(|error| at(offset, error.to_string()))
        });
        let color = written.color.map(|color| {
            let offset = color.span().start;
            When::read(color.get_ref()).map_err(|error| at(offset, error))
        });
        let server = |(name, address): (String, toml::Spanned<String>)| {
            let offset = address.span().start;
            match address.get_ref().parse() {
                Ok(address) => Ok((name, address)),
                Err(error) => Err(at(offset, format!("{error}"))),
            }
        };
        Ok(Self {
            path: Some(path.to_owned()),
            name: name.transpose()?,
            color: color.transpose()?,
            bell: written.bell,
            servers: written
                .servers
                .into_iter()
                .map(server)
                .collect::<Result<_, _>>()?,
        })
    }

    /// A server by its short name, or by its address.
    pub(crate) fn server(&self, text: &str) -> Result<Address, String> {
        match self.servers.get(text) {
            Some(address) => Ok(address.clone()),
            None => text.parse().map_err(|error| format!("{error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<File, String> {
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
        assert_eq!(file.server("lab").map(|server| server.port), Ok(2));
        assert_eq!(file.server("b:3").map(|server| server.port), Ok(3));
        assert!(file.server("lub").unwrap_err().contains("no port"));
        assert!(parse("").expect("empty").name.is_none());
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
        ] {
            let error = parse(text).map(|_| ()).unwrap_err();
            assert!(error.contains(said), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_file_that_was_named_must_be_there() {
        let path = Path::new("no/such/file.toml");
        assert!(File::read(path, false).expect("empty").path.is_none());
        assert!(
            File::read(path, true)
                .unwrap_err()
                .contains("can't read no/such")
        );
    }
}
