//! The directory of the store: its permissions, its format, and the lock that keeps
//! other servers out.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use super::error::{OpenError, StoreError, is_full};

/// The content of the file `format` in a directory that this release can use.
const FORMAT: &str = "natter history 4\n";

/// The content that the release before wrote. This release can read its records, and writes its
/// own format.
const OLD_FORMAT: &str = "natter history 3\n";

/// The numbers of both.
const FORMATS: [u32; 2] = [3, 4];

/// The content before a number.
const PREFIX: &str = "natter history ";

/// The content while a history is imported.
const UNFINISHED: &str = "natter history, unfinished import\n";

/// Room for most groups of messages, and little enough to be tried every second.
pub(crate) const ROOM_FOR_A_GROUP: u64 = 1024 * 1024;

/// Room for the largest table that the database writes from memory, and some
/// more.
pub(crate) const ROOM_FOR_A_TABLE: u64 = 40 * 1024 * 1024;

/// Bytes that are written at a time by [`Directory::has_room`].
const PIECE: usize = 256 * 1024;

/// The directory, locked as long as this lives.
pub(crate) struct Directory {
    path: PathBuf,
    /// Locked; the lock goes with the file.
    _lock: File,
}

impl Directory {
    /// Creates the directory if there is none, locks it, and checks its format.
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        let unusable = |source| OpenError::Unusable {
            path: path.to_owned(),
            source,
        };
        if path.exists() && !path.is_dir() {
            return Err(OpenError::NoDirectory(path.to_owned()));
        }
        // Messages are private: other users of the machine may not read them.
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(path).map_err(unusable)?;
        // Others own what they make, wherever they may make it; root could make it anywhere.
        if rustix::process::geteuid().is_root() {
            Self::check_owner(path)?;
        }
        let directory = Self::lock(path)?;
        if directory.format()? == Format::Missing
            && (directory.database().exists() || directory.high_water_marks().exists())
        {
            return Err(OpenError::OtherFormat {
                path: path.to_owned(),
                found: "no file `format`".to_owned(),
            });
        }
        directory.convert()?;
        match directory.has_room(ROOM_FOR_A_GROUP) {
            // The messages can be read, and there may be room later.
            Err(error) if is_full(&error) => tracing::warn!("{}", StoreError::Full),
            tried => tried.map_err(unusable)?,
        }
        Ok(directory)
    }

    /// Whether [`Directory::open`] would probably succeed. Creates and writes nothing. A server
    /// may be using it meanwhile.
    pub(crate) fn look(path: &Path) -> Result<(), OpenError> {
        let unusable = |source: io::Error| OpenError::Unusable {
            path: path.to_owned(),
            source,
        };
        let there = path.ancestors().find(|ancestor| ancestor.exists());
        // A relative path may have no ancestor but the working directory.
        let there = there.filter(|there| !there.as_os_str().is_empty());
        let there = there.unwrap_or(Path::new("."));
        if !there.is_dir() {
            return Err(OpenError::NoDirectory(path.to_owned()));
        }
        let access = Access::WRITE_OK | Access::EXEC_OK;
        rustix::fs::access(there, access).map_err(|error| unusable(error.into()))?;
        read_format(path).map(drop)
    }

    /// Locks a directory that holds a history. Changes nothing in it.
    pub(crate) fn open_existing(path: &Path) -> Result<Self, OpenError> {
        Self::check_existing(path)?;
        let directory = Self::lock(path)?;
        directory.format()?;
        Ok(directory)
    }

    /// Refuses a directory without a history, and one of another user.
    pub(crate) fn check_existing(path: &Path) -> Result<(), OpenError> {
        match path.is_dir() {
            true => Self::check_owner(path)?,
            false => return Err(OpenError::NoHistory(path.to_owned())),
        }
        match path.join("format").exists() {
            true => Ok(()),
            false => Err(OpenError::NoHistory(path.to_owned())),
        }
    }

    /// Refuses a directory of another user, where root could make files. The database makes some
    /// even when it is only read, and a server that runs as that user couldn't use them.
    pub(crate) fn check_owner(path: &Path) -> Result<(), OpenError> {
        let metadata = std::fs::metadata(path).map_err(|source| OpenError::Unusable {
            path: path.to_owned(),
            source,
        })?;
        let (owner, user) = (metadata.uid(), rustix::process::geteuid().as_raw());
        match owner == user {
            true => Ok(()),
            false => Err(OpenError::OtherOwner {
                path: path.to_owned(),
                owner,
                user,
            }),
        }
    }

    fn lock(path: &Path) -> Result<Self, OpenError> {
        let lock = lock(&path.join("lock")).map_err(|error| match error {
            TryLockError::WouldBlock => OpenError::InUse(path.to_owned()),
            TryLockError::Error(source) => OpenError::Unusable {
                path: path.to_owned(),
                source,
            },
        })?;
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// In which format the history is.
    fn format(&self) -> Result<Format, OpenError> {
        read_format(&self.path)
    }

    /// From now on other releases know that this one's format is written here.
    pub(crate) fn convert(&self) -> Result<(), OpenError> {
        match self.format()? {
            Format::Current => Ok(()),
            Format::Old | Format::Missing => {
                self.write_format(FORMAT)
                    .map_err(|source| OpenError::Unusable {
                        path: self.path.join("format"),
                        source,
                    })
            }
        }
    }

    /// Nobody can open the directory until it is [finished](Self::set_finished).
    pub(crate) fn set_unfinished(&self) -> io::Result<()> {
        self.write_format(UNFINISHED)
    }

    /// An import is complete.
    pub(crate) fn set_finished(&self) -> io::Result<()> {
        self.write_format(FORMAT)
    }

    /// Writes the file whole or not at all.
    fn write_format(&self, content: &str) -> io::Result<()> {
        let new = self.path.join("format.new");
        let mut file = File::create(&new)?;
        file.write_all(content.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&new, self.path.join("format"))?;
        File::open(&self.path)?.sync_all()
    }

    /// Where a database is made that takes the place of the other.
    pub(crate) fn new_database(&self) -> PathBuf {
        self.path.join("database.new")
    }

    /// Exchanges the two, in one step.
    #[cfg(target_os = "linux")]
    pub(crate) fn exchange_databases(&self) -> io::Result<()> {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        let (one, other) = (self.database(), self.new_database());
        renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?;
        File::open(&self.path)?.sync_all()
    }

    /// Exchanges the two, in one step: this system can't.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn exchange_databases(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Where the database is.
    pub(crate) fn database(&self) -> PathBuf {
        self.path.join("database")
    }

    /// The file of the high-water marks.
    pub(crate) fn high_water_marks(&self) -> PathBuf {
        self.path.join("heads")
    }

    /// Writes this many bytes to find out whether there is room. Only trying respects quotas
    /// and every kind of file system.
    pub(crate) fn has_room(&self, bytes: u64) -> io::Result<()> {
        let path = self.path.join("room");
        let written = File::create(&path).and_then(|mut file| {
            let piece = vec![0; PIECE];
            (0..bytes.div_ceil(PIECE as u64)).try_for_each(|_| file.write_all(&piece))
        });
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => written.and(Err(error)),
            _ => written,
        }
    }
}

/// What the file `format` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Missing,
    Old,
    Current,
}

fn read_format(path: &Path) -> Result<Format, OpenError> {
    match std::fs::read(path.join("format")) {
        Ok(found) if found == FORMAT.as_bytes() => Ok(Format::Current),
        Ok(found) if found == OLD_FORMAT.as_bytes() => Ok(Format::Old),
        Ok(found) => Err(refusal(path, &found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Format::Missing),
        Err(source) => Err(OpenError::Unusable {
            path: path.join("format"),
            source,
        }),
    }
}

/// Why a directory with this in its file `format` isn't opened.
fn refusal(path: &Path, found: &[u8]) -> OpenError {
    let path = path.to_owned();
    if found == UNFINISHED.as_bytes() {
        return OpenError::UnfinishedImport(path);
    }
    let number = std::str::from_utf8(found).ok();
    let number = number.and_then(|found| found.trim_end().strip_prefix(PREFIX)?.parse().ok());
    let [oldest, newest] = FORMATS;
    match number {
        Some(found) if found > newest => OpenError::NewerFormat {
            path,
            found,
            newest,
        },
        Some(found) => OpenError::OlderFormat {
            path,
            found,
            oldest,
        },
        None => OpenError::OtherFormat {
            path,
            found: format!("{:.40}", found.escape_ascii()),
        },
    }
}

fn lock(path: &Path) -> Result<File, TryLockError> {
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(false);
    let file = file.open(path).map_err(TryLockError::Error)?;
    file.try_lock()?;
    Ok(file)
}
