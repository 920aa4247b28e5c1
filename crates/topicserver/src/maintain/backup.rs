//! A backup: an export with everything that a server needs to go on, in a file that is complete
//! or isn't there.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::source::Source;
use super::{MaintainError, contents};
use crate::config::BackupRate;
use crate::store::{End, Ids, Look};

/// Bytes that are written at once.
const BUFFER: usize = 128 * 1024;

/// Makes a backup, and returns what to say of it.
pub(super) fn run(source: &Source, dest: &Path, rate: BackupRate) -> Result<String, MaintainError> {
    let failed = |cause| MaintainError::Backup {
        path: dest.to_owned(),
        cause,
    };
    let partial = Partial::open(dest).map_err(failed)?;
    let (end, bytes) = partial.fill(source, rate).map_err(|error| match error {
        MaintainError::Output(cause) => failed(cause),
        error => error,
    })?;
    if end.problems > 0 {
        return Err(MaintainError::Damaged(end.problems));
    }
    partial.place(dest).map_err(failed)?;
    let (contents, dest) = (contents(&end), dest.display());
    Ok(format!("{contents} in {dest}, {bytes} bytes\n"))
}

/// The file while it is being written. It goes when this is dropped, unless it has its place by
/// then.
struct Partial {
    path: PathBuf,
    file: File,
    is_placed: bool,
}

impl Partial {
    /// Beside the file that it becomes, because a file can be moved only within its file system.
    /// What an interrupted backup has left is replaced.
    fn open(dest: &Path) -> io::Result<Self> {
        let name = dest.file_name().ok_or(io::ErrorKind::IsADirectory)?;
        let mut partial = OsString::from(name);
        partial.push(".partial");
        let path = dest.with_file_name(partial);
        if dest.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let mut options = OpenOptions::new();
        // Messages are private, and so is the secret.
        options.write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::Error::new(
                io::ErrorKind::WouldBlock,
                "another backup is being made there",
            ),
            TryLockError::Error(error) => error,
        })?;
        file.set_len(0)?;
        Ok(Self {
            path,
            file,
            is_placed: false,
        })
    }

    fn fill(&self, source: &Source, rate: BackupRate) -> Result<(End, u64), MaintainError> {
        let mut writer = BufWriter::with_capacity(BUFFER, &self.file);
        let mut bytes = 0;
        let look = Look::Export {
            topic: None,
            ids: Ids::With,
        };
        let end = source.lines(look, rate, |line, _| {
            bytes += line.len() as u64;
            writer.write_all(line)
        })?;
        writer.flush().map_err(MaintainError::Output)?;
        Ok((end, bytes))
    }

    /// Makes it durable, and then visible under its name.
    fn place(mut self, dest: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        std::fs::rename(&self.path, dest)?;
        self.is_placed = true;
        let directory = dest.parent().filter(|path| !path.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.is_placed {
            // Somebody else may have removed it already.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
