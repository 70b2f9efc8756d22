//! A temporary directory that is removed when the process that created it ends.

use crate::random;
use std::{
    env, fs,
    io::{self, Write},
    os::unix::{fs::DirBuilderExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// Removes the directory when the pipe it reads ends without a message, because then the process that owned the
/// directory was killed. A broker is killed by the same event at the same time (see `guarded.rs`), so there is a delay,
/// and a second attempt for its last files.
const JANITOR: &str = r#"
trap '' HUP INT TERM
read -r _ && exit 0
sleep 0.5
tries=0
while [ -e "$1" ] && [ $tries -lt 50 ]; do
    rm -rf -- "$1" || sleep 0.2
    tries=$((tries + 1))
done
"#;

/// A new directory, removed with its contents when this is dropped or when this process ends in any way.
#[derive(Debug)]
pub struct TempFolder {
    path: PathBuf,
    janitor: Child,
}

impl TempFolder {
    /// Creates an empty directory that only this user can read.
    ///
    /// # Errors
    /// Returns an error if there is no shell, or the system's directory for temporary files cannot be written to.
    pub fn create() -> io::Result<TempFolder> {
        let name = format!("kafka-batch-broker-{:016x}", random::number());
        let path = env::temp_dir().join(name);
        // The janitor is started first, so that the directory is removed in any case.
        let janitor = Command::new("sh")
            .args(["-c", JANITOR, "janitor"])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let folder = TempFolder { path, janitor };
        fs::DirBuilder::new().mode(0o700).create(&folder.path)?;
        Ok(folder)
    }

    /// Returns its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TempFolder {
    fn drop(&mut self) {
        let removed = fs::remove_dir_all(&self.path);
        if let Some(mut pipe) = self.janitor.stdin.take()
            && removed.is_ok()
        {
            let _ = pipe.write_all(b"done\n");
        }
        // The pipe is closed now. If the directory still exists, the janitor tries to remove it.
        let _ = self.janitor.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_exists_until_it_is_dropped() {
        let folder = TempFolder::create().unwrap();
        let path = folder.path().to_owned();
        fs::write(path.join("file"), "text").unwrap();
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn the_janitor_removes_the_folder_of_a_dead_process() {
        let mut folder = TempFolder::create().unwrap();
        fs::write(folder.path().join("file"), "text").unwrap();
        // The system closes the pipe like this when a process is killed.
        drop(folder.janitor.stdin.take());
        folder.janitor.wait().unwrap();
        assert!(!folder.path().exists());
    }
}
