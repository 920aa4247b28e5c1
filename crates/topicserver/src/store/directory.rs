//! The directory of the store: its permissions, its format, and the lock that keeps
//! other servers out.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use super::error::{OpenError, StoreError, is_full};

/// The content of the file `format` in a directory that this release can use.
const FORMAT: &str = "natter history 4\n";

/// The content that the release before wrote. This release can read its records, and writes its
/// own format.
const OLD_FORMAT: &str = "natter history 3\n";

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
        let lock = lock(&path.join("lock")).map_err(|error| match error {
            TryLockError::WouldBlock => OpenError::InUse(path.to_owned()),
            TryLockError::Error(source) => unusable(source),
        })?;
        let directory = Self {
            path: path.to_owned(),
            _lock: lock,
        };
        directory.check_format()?;
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
        match std::fs::read(path.join("format")) {
            Ok(found) if [FORMAT, OLD_FORMAT].map(str::as_bytes).contains(&&*found) => Ok(()),
            Ok(found) => Err(OpenError::OtherFormat {
                path: path.to_owned(),
                found: format!("{:.40}", found.escape_ascii()),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(unusable(error)),
        }
    }

    fn check_format(&self) -> Result<(), OpenError> {
        let path = self.path.join("format");
        let other = |found| OpenError::OtherFormat {
            path: self.path.clone(),
            found,
        };
        match std::fs::read(&path) {
            Ok(found) if found == FORMAT.as_bytes() => Ok(()),
            Ok(found) if found == OLD_FORMAT.as_bytes() => self
                .write_format(&path)
                .map_err(|source| OpenError::Unusable { path, source }),
            Ok(found) => Err(other(format!("{:.40}", found.escape_ascii()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if self.database().exists() || self.high_water_marks().exists() {
                    return Err(other("no file `format`".to_owned()));
                }
                self.write_format(&path)
                    .map_err(|source| OpenError::Unusable { path, source })
            }
            Err(source) => Err(OpenError::Unusable { path, source }),
        }
    }

    /// Writes the file whole or not at all.
    fn write_format(&self, path: &Path) -> io::Result<()> {
        let new = self.path.join("format.new");
        let mut file = File::create(&new)?;
        file.write_all(FORMAT.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&new, path)?;
        File::open(&self.path)?.sync_all()
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

fn lock(path: &Path) -> Result<File, TryLockError> {
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(false);
    let file = file.open(path).map_err(TryLockError::Error)?;
    file.try_lock()?;
    Ok(file)
}
