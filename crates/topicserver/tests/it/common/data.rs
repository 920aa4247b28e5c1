//! Where a server keeps its history on disk, and what befalls it there.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Process;

/// A directory of a test's own, which goes with it.
pub struct Directory(PathBuf);

impl Directory {
    pub fn new() -> Self {
        let name = format!("natter-it-{:016x}", getrandom::u64().unwrap());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    fn text(&self) -> &str {
        self.0.to_str().unwrap()
    }

    /// Starts the real program on it.
    pub fn serve(&self, options: &[&str]) -> Process {
        Process::start(&[&["--data", self.text()], options].concat())
    }

    /// Another one with the same in it.
    pub fn copy(&self) -> Self {
        let copy = Self::new();
        copy_into(&self.0, &copy.0);
        copy
    }

    /// The newest of the files to which messages are written.
    pub fn newest_journal(&self) -> PathBuf {
        let files = std::fs::read_dir(self.0.join("database")).unwrap();
        let files = files.map(|file| file.unwrap().path());
        let journals = files.filter(|file| file.extension().is_some_and(|end| end == "jnl"));
        journals.max().expect("a journal")
    }

    /// Where that file ends, without the empty room behind it.
    pub fn end_of_journal(&self) -> u64 {
        let bytes = std::fs::read(self.newest_journal()).unwrap();
        let last = bytes.iter().rposition(|&byte| byte != 0);
        last.map_or(0, |last| last as u64 + 1)
    }

    /// Cuts that file there.
    pub fn cut_journal(&self, end: u64) {
        let file = OpenOptions::new().write(true).open(self.newest_journal());
        file.unwrap().set_len(end).unwrap();
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn copy_into(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        let to = to.join(file.file_name());
        if file.file_type().unwrap().is_dir() {
            copy_into(&file.path(), &to);
        } else {
            std::fs::copy(file.path(), to).unwrap();
        }
    }
}

/// A small file system of a test's own.
pub struct SmallDisk(Directory);

impl SmallDisk {
    /// None: nobody may mount one here, which is printed.
    pub fn new(options: &str) -> Option<Self> {
        let disk = Self(Directory::new());
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "natter-test"]);
        match mount.arg(disk.path()).stderr(Stdio::null()).status() {
            Ok(status) if status.success() => Some(disk),
            _ => {
                println!("skipped: it takes the right to mount a file system");
                None
            }
        }
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Starts the real program on it.
    pub fn serve(&self, options: &[&str]) -> Process {
        self.0.serve(options)
    }

    /// Takes all the room that is left.
    pub fn fill(&self) {
        let mut ballast = File::create(self.ballast()).unwrap();
        let error = std::iter::repeat_with(|| ballast.write_all(&[1; 4096]))
            .find_map(Result::err)
            .unwrap();
        assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
    }

    /// Gives it back.
    pub fn make_room(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Fails where nothing was mounted.
        let mut umount = Command::new("umount");
        let _ = umount.arg(self.path()).stderr(Stdio::null()).status();
    }
}
