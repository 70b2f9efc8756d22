//! A small disk that can be full: a tmpfs, in the test's own mount namespace.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::network::run;

pub(crate) struct Disk {
    path: PathBuf,
}

impl Disk {
    /// Mounts it at this path.
    pub(crate) fn mount(path: &Path, mebibytes: u64) -> Self {
        fs::create_dir_all(path).unwrap();
        let size = format!("size={mebibytes}m");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(path));
        Self { path: path.to_owned() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes until there is no room. Returns the bytes that were left.
    pub(crate) fn fill(&self) -> u64 {
        let mut file = File::create(self.filler()).unwrap();
        let mut written = 0;
        for size in [1 << 20, 1 << 12, 1] {
            let block = vec![0; size];
            loop {
                match file.write(&block) {
                    Ok(count) => written += count as u64,
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => panic!("{}: {error}", self.path.display()),
                }
            }
        }
        written
    }

    pub(crate) fn free(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.path.join("filler")
    }
}

/// Brokers that use it must have ended.
impl Drop for Disk {
    fn drop(&mut self) {
        // Otherwise the directory that it is in could not be removed. If it fails, the namespace ends with the process.
        let _ = Command::new("umount").arg(&self.path).status();
    }
}
