//! Changes to the policy's file, for the commands: comments stay, and the file is replaced as a
//! whole, so that a server never reads half of it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use toml_edit::{Array, DocumentMut, Item, Table, TomlError, Value, value};
use wire::{UserName, UserNameError};

use super::file;
use super::mistake::{AuthFileError, LocatedMistake, Mistake};
use super::password::PasswordHash;
use super::rules::{Rule, RuleError};
use super::token::{self, TokenError};
use crate::clock::civil::civil_from_days;

/// The beginning of a new file.
const HEADER: &str = "# Who may do what: docs/security.md says how this is written.\n\n";

/// The file with its changes.
pub(crate) struct Edit {
    path: PathBuf,
    /// The comments of a file that has nothing else.
    head: String,
    document: DocumentMut,
}

/// The subject whose rules are changed.
#[derive(Clone, Debug)]
pub(crate) enum Subject {
    Everyone,
    Members,
    User(UserName),
}

/// What happens to a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Allow,
    Deny,
    /// The rule is removed from both lists.
    Forget,
}

/// A token that is to be made.
#[derive(Debug, Default)]
pub(crate) struct NewToken {
    pub(crate) id: Option<String>,
    pub(crate) user: Option<UserName>,
    pub(crate) allow: Vec<String>,
    /// Seconds since the Unix epoch.
    pub(crate) expires: Option<u64>,
    pub(crate) note: Option<String>,
}

/// Why a change can't be made.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The file can't be used.
    #[error(transparent)]
    File(#[from] AuthFileError),
    /// The entry doesn't exist.
    #[error("there is no {0}")]
    Missing(String),
    /// The entry exists already.
    #[error("there is a {0} already")]
    Exists(String),
    /// A table or a list has another form than it must have.
    #[error("{0} has another form than a table or a list of rules; change it by hand")]
    Form(String),
    /// A given value is wrong.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// A user's name.
    #[error(transparent)]
    Name(#[from] UserNameError),
    /// A token's id.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The system has no random numbers for a secret.
    #[error("the operating system gives no random numbers: {0}")]
    Randomness(#[from] getrandom::Error),
}

impl std::str::FromStr for Subject {
    type Err = UserNameError;

    fn from_str(name: &str) -> Result<Self, UserNameError> {
        Ok(match name {
            "everyone" => Self::Everyone,
            "members" => Self::Members,
            name => Self::User(UserName::new(name)?),
        })
    }
}

impl Edit {
    /// Opens a file. A file that doesn't exist is created when it is saved.
    pub(crate) fn open(path: &Path) -> Result<Self, AuthFileError> {
        let text = match fs::read_to_string(path) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => HEADER.to_owned(),
            read => read.map_err(|cause| failed(path, cause))?,
        };
        // A file that is broken already would stay broken.
        check(path, &text)?;
        let document: DocumentMut = text.parse().map_err(|error: TomlError| {
            let at = LocatedMistake {
                offset: error.span().map_or(0, |span| span.start),
                mistake: Mistake::Syntax(error.message().to_owned()),
            };
            at.in_file(path, &text)
        })?;
        let path = path.to_owned();
        if document.is_empty() {
            // New entries would be inserted before them.
            return Ok(Self {
                path,
                head: text,
                document: DocumentMut::new(),
            });
        }
        let head = String::new();
        Ok(Self {
            path,
            head,
            document,
        })
    }

    pub(crate) fn add_user(&mut self, name: &UserName) -> Result<(), EditError> {
        let users = table(self.document.as_table_mut(), "users")?;
        if users.contains_key(name.as_str()) {
            return Err(EditError::Exists(format!("user {name}")));
        }
        users.insert(name.as_str(), Item::Table(Table::new()));
        Ok(())
    }

    /// Lets an account log in with a password, of which only a hash is kept.
    pub(crate) fn set_password(
        &mut self,
        name: &UserName,
        password: &str,
    ) -> Result<(), EditError> {
        let hash = PasswordHash::of(password)?.to_string();
        let users = table(self.document.as_table_mut(), "users")?;
        let known = users.get_mut(name.as_str());
        let user = known.ok_or_else(|| EditError::Missing(format!("user {name}")))?;
        let user = user.as_table_like_mut();
        let user = user.ok_or_else(|| EditError::Form(format!("user {name}")))?;
        user.insert("password", value(hash));
        Ok(())
    }

    /// Removes an account, with its tokens, its addresses and its users of this machine.
    pub(crate) fn remove_user(&mut self, name: &UserName) -> Result<(), EditError> {
        let root = self.document.as_table_mut();
        let removed = table(root, "users")?.remove(name.as_str());
        removed.ok_or_else(|| EditError::Missing(format!("user {name}")))?;
        let is_his = |item: &Item, key| item.get(key).and_then(Item::as_str) == Some(name.as_str());
        table(root, "tokens")?.retain(|_, token| !is_his(token, "user"));
        for key in ["addresses", "unix"] {
            if let Some(places) = root.get_mut(key)
                && let Some(all) = places.as_array_of_tables_mut()
            {
                all.retain(|place| place.get("as").and_then(Item::as_str) != Some(name.as_str()));
            }
        }
        self.tidy();
        Ok(())
    }

    /// Makes a token and returns it, because the file keeps only its hash.
    pub(crate) fn add_token(&mut self, new: &NewToken) -> Result<String, EditError> {
        let id = match &new.id {
            Some(id) => id.clone(),
            None => token::generate_id()?,
        };
        token::check_id(&id)?;
        let (token, hash) = token::generate(&id)?;
        let tokens = table(self.document.as_table_mut(), "tokens")?;
        if tokens.contains_key(&id) {
            return Err(EditError::Exists(format!("token {id}")));
        }
        let mut written = Table::new();
        written.insert("secret", value(hash.to_text()));
        if let Some(user) = &new.user {
            written.insert("user", value(user.as_str()));
        }
        if !new.allow.is_empty() {
            for rule in &new.allow {
                rule.parse::<Rule>()?;
            }
            let rules: Array = new.allow.iter().map(String::as_str).collect();
            written.insert("allow", value(rules));
        }
        if let Some(expires) = new.expires {
            written.insert("expires", value(datetime(expires)));
        }
        if let Some(note) = &new.note {
            written.insert("note", value(note.as_str()));
        }
        tokens.insert(&id, Item::Table(written));
        Ok(token)
    }

    pub(crate) fn remove_token(&mut self, id: &str) -> Result<(), EditError> {
        let removed = table(self.document.as_table_mut(), "tokens")?.remove(id);
        removed.ok_or_else(|| EditError::Missing(format!("token {id}")))?;
        self.tidy();
        Ok(())
    }

    /// Allows or denies something, or neither.
    pub(crate) fn change_rule(
        &mut self,
        subject: &Subject,
        rule: &str,
        change: Change,
    ) -> Result<(), EditError> {
        let parsed: Rule = rule.parse()?;
        let root = self.document.as_table_mut();
        let rules = match subject {
            Subject::Everyone => table(root, "everyone")?,
            Subject::Members => table(root, "members")?,
            Subject::User(name) => {
                let users = table(root, "users")?;
                if !users.contains_key(name.as_str()) {
                    return Err(EditError::Missing(format!("user {name}")));
                }
                table(users, name.as_str())?
            }
        };
        rules.set_implicit(false);
        let mut has_been_there = false;
        for (key, wanted) in [("allow", Change::Allow), ("deny", Change::Deny)] {
            if let Some(list) = rules.get_mut(key) {
                let form = || EditError::Form(key.into());
                let list = list.as_array_mut().ok_or_else(form)?;
                let is_this =
                    |one: &Value| one.as_str().map(str::parse) == Some(Ok(parsed.clone()));
                if change == wanted && list.iter().any(is_this) {
                    return Ok(());
                }
                let before = list.len();
                list.retain(|one| !is_this(one));
                has_been_there |= list.len() < before;
            }
            if change == wanted {
                let list = rules.entry(key).or_insert(value(Array::new()));
                let list = list.as_array_mut();
                list.ok_or_else(|| EditError::Form(key.into()))?.push(rule);
            }
        }
        match change == Change::Forget && !has_been_there {
            true => Err(EditError::Missing(format!("rule {rule:?}"))),
            false => Ok(()),
        }
    }

    /// The accounts, or the tokens: each with a line about it.
    pub(crate) fn list(&self, key: &str) -> Vec<String> {
        let table = self.document.get(key).and_then(Item::as_table_like);
        let entries = table.into_iter().flat_map(|table| table.iter());
        entries.map(|(name, item)| summary(name, item)).collect()
    }

    /// Removes tables that have become empty and aren't written in the file.
    fn tidy(&mut self) {
        for key in ["users", "tokens"] {
            let is_empty = |item: &Item| item.as_table().is_some_and(Table::is_empty);
            if self.document.get(key).is_some_and(is_empty) {
                self.document.remove(key);
            }
        }
    }

    /// Replaces the file, if its new content is valid.
    pub(crate) fn save(&self) -> Result<(), AuthFileError> {
        let text = format!("{}{}", self.head, self.document);
        check(&self.path, &text)?;
        replace(&self.path, &text).map_err(|cause| failed(&self.path, cause))
    }
}

/// Checks that a text is valid in place of the file.
fn check(path: &Path, text: &str) -> Result<(), AuthFileError> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let parsed = file::parse(text, folder);
    parsed.map(drop).map_err(|at| at.in_file(path, text))
}

fn failed(path: &Path, cause: io::Error) -> AuthFileError {
    let path = path.to_owned();
    AuthFileError::Io { path, cause }
}

/// A table within another one, which is created if there is none.
fn table<'a>(within: &'a mut Table, key: &str) -> Result<&'a mut Table, EditError> {
    let new = || {
        let mut new = Table::new();
        // Only what is in it is written.
        new.set_implicit(true);
        Item::Table(new)
    };
    let item = within.entry(key).or_insert_with(new);
    item.as_table_mut()
        .ok_or_else(|| EditError::Form(key.to_owned()))
}

/// One line about an account or a token.
fn summary(name: &str, item: &Item) -> String {
    let mut line = name.to_owned();
    for key in ["user", "allow", "deny", "names", "admin", "expires", "note"] {
        if let Some(known) = item.get(key).and_then(Item::as_value) {
            let known = known.clone().decorated("", "");
            line += &format!("  {key} = {known}");
        }
    }
    line
}

/// A moment in UTC.
fn datetime(seconds: u64) -> toml_edit::Datetime {
    let days = i64::try_from(seconds / 86_400).unwrap_or(i64::MAX / 2);
    let (year, month, day) = civil_from_days(days);
    let small = |number: u64| u8::try_from(number).unwrap_or(0);
    toml_edit::Datetime {
        date: Some(toml_edit::Date {
            year: u16::try_from(year).unwrap_or(9999),
            month: u8::try_from(month).unwrap_or(12),
            day: u8::try_from(day).unwrap_or(31),
        }),
        time: Some(toml_edit::Time {
            hour: small(seconds / 3600 % 24),
            minute: small(seconds / 60 % 60),
            second: Some(small(seconds % 60)),
            nanosecond: None,
        }),
        offset: Some(toml_edit::Offset::Z),
    }
}

/// Writes a new file beside the old one and renames it. Its owner and its group stay. Others may
/// not read it; a group that could, still can.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    // A symbolic link stays, and points to the new file.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let new = path.with_file_name(format!(".{name}.{:08x}", getrandom::u32().unwrap_or(0)));
    let written = write_new(&new, text)
        .and_then(|()| keep_owner(&path, &new))
        .and_then(|()| fs::rename(&new, &path));
    if written.is_err() {
        // The new file holds nothing that isn't in the old one.
        let _ = fs::remove_file(&new);
    }
    written
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(unix)]
fn keep_owner(old: &Path, new: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
    let Ok(old) = fs::metadata(old) else {
        return Ok(());
    };
    let made = fs::metadata(new)?;
    if (old.uid(), old.gid()) != (made.uid(), made.gid()) {
        chown(new, Some(old.uid()), Some(old.gid()))?;
    }
    let mode = 0o600 | old.mode() & 0o040;
    fs::set_permissions(new, fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn keep_owner(_: &Path, _: &Path) -> io::Result<()> {
    Ok(())
}
