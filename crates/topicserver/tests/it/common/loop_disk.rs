//! A file system of a test's own, in a file that is mounted as a loop device.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::{Directory, Process, eventually};

/// A file system that a test can freeze or cut off.
pub struct LoopDisk(Directory);

impl LoopDisk {
    /// `None`: that isn't possible here.
    pub fn new() -> Option<Self> {
        let disk = Self(Directory::new());
        std::fs::create_dir(disk.path()).unwrap();
        let image = std::fs::File::create(disk.image()).unwrap();
        image.set_len(512 << 20).unwrap();
        let made = run(Command::new("mkfs.ext4").arg("-q").arg(disk.image()));
        (made && disk.mount()).then_some(disk)
    }

    /// Where it is mounted.
    pub fn path(&self) -> PathBuf {
        self.0.path().join("mounted")
    }

    /// A server that keeps its history there.
    pub fn serve(&self, options: &[&str]) -> Process {
        let data = self.path().join("data");
        let data = ["--data", data.to_str().unwrap()];
        Process::start(&[&data, options].concat())
    }

    /// From now on writing to it waits, until [`LoopDisk::thaw`].
    pub fn freeze(&self) {
        let is_frozen = run(Command::new("fsfreeze").arg("-f").arg(self.path()));
        assert!(is_frozen, "can't freeze the file system");
    }

    /// What waited is written.
    pub fn thaw(&self) {
        let is_thawed = run(Command::new("fsfreeze").arg("-u").arg(self.path()));
        assert!(is_thawed, "can't thaw the file system");
    }

    /// After it was cut off: mounts it again.
    pub fn come_back(&self) {
        eventually("the file system to go", || self.umount().then_some(()));
        assert!(self.mount(), "can't mount it again");
    }

    fn image(&self) -> PathBuf {
        self.0.path().join("image")
    }

    fn mount(&self) -> bool {
        let mut mount = Command::new("mount");
        mount.args(["-t", "ext4", "-o", "loop"]);
        run(mount.arg(self.image()).arg(self.path()))
    }

    fn umount(&self) -> bool {
        run(Command::new("umount").arg(self.path()))
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        // Each fails where there is nothing to do.
        run(Command::new("fsfreeze").arg("-u").arg(self.path()));
        self.umount();
    }
}

fn run(command: &mut Command) -> bool {
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
