//! A child process that cannot outlive this one.
//!
//! The child is started by a shell that first starts a watcher and then becomes the program. The watcher reads a pipe
//! that only this process can write to. When this process ends in any way, the system closes the pipe, and the watcher
//! kills the program.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// `$$` remains the id of the outer shell inside the parentheses, and that shell becomes the program. The watcher
/// closes the caller's output, so that nothing waits for it.
const SCRIPT: &str = r#"
exec 3<&0
(
    trap '' HUP INT TERM
    while read -r order; do
        case $order in
            terminate) kill -TERM $$ ;;
            let-go) exit 0 ;;
        esac
    done
    kill -KILL $$
) <&3 >/dev/null 2>&1 &
exec 3<&-
exec "$@" </dev/null
"#;

/// The interval between checks whether a process has ended.
const LOOK: Duration = Duration::from_millis(20);

/// A running program, killed when this is dropped or when this process ends.
#[derive(Debug)]
pub struct Guarded {
    child: Child,
    status: Option<ExitStatus>,
}

impl Guarded {
    /// Starts the program, with both of its outputs written to `log`.
    ///
    /// # Errors
    /// Returns an error if there is no shell.
    pub fn spawn<A>(program: &Path, arguments: impl IntoIterator<Item = A>, log: &File) -> io::Result<Guarded>
    where
        A: AsRef<OsStr>,
    {
        let child = Command::new("sh")
            .arg("-c")
            .arg(SCRIPT)
            .arg("guarded")
            .arg(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log.try_clone()?)
            // Its own process group: a signal of a terminal or a time limit to this process's group must not end the
            // watcher too early.
            .process_group(0)
            .spawn()?;
        Ok(Guarded { child, status: None })
    }

    /// Returns the exit status of the program, if it has ended.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.status.is_none() {
            self.status = self.child.try_wait()?;
            if self.status.is_some() {
                // From now on the id may be assigned to another process.
                self.tell_watcher("let-go");
            }
        }
        Ok(self.status)
    }

    /// Waits for the end of the program, up to a time limit.
    pub(crate) fn wait(&mut self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        let begin = Instant::now();
        loop {
            let status = self.ended()?;
            if status.is_some() || begin.elapsed() >= limit {
                return Ok(status);
            }
            thread::sleep(LOOK);
        }
    }

    /// Requests a clean shutdown (`SIGTERM`), without waiting for it.
    pub(crate) fn terminate(&mut self) {
        if self.status.is_none() {
            self.tell_watcher("terminate");
        }
    }

    /// Kills the program (`SIGKILL`).
    pub(crate) fn kill(&mut self) {
        if self.status.is_none() && self.child.kill().is_ok() {
            self.tell_watcher("let-go");
            self.status = self.child.wait().ok();
        }
    }

    fn tell_watcher(&mut self, order: &str) {
        if let Some(pipe) = &mut self.child.stdin {
            // This fails only if the watcher has ended, and then it needs no message.
            let _ = pipe.write_all(format!("{order}\n").as_bytes());
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    const LONG: Duration = Duration::from_secs(20);

    fn sleeper() -> Guarded {
        let log = File::create("/dev/null").unwrap();
        Guarded::spawn(Path::new("/bin/sleep"), ["300"], &log).unwrap()
    }

    #[test]
    fn the_exit_status_is_that_of_the_program() {
        let log = File::create("/dev/null").unwrap();
        let shell = Path::new("/bin/sh");
        let mut program = Guarded::spawn(shell, ["-c", "exit 7"], &log).unwrap();
        let status = program.wait(LONG).unwrap().unwrap();
        assert_eq!(status.code(), Some(7));
    }

    #[test]
    fn a_program_dies_when_the_pipe_of_its_watcher_is_closed() {
        let mut program = sleeper();
        assert!(program.ended().unwrap().is_none());
        drop(program.child.stdin.take());
        let status = program.wait(LONG).unwrap().unwrap();
        assert_eq!(status.signal(), Some(9));
    }

    #[test]
    fn a_program_can_be_terminated_and_killed() {
        let mut program = sleeper();
        program.terminate();
        let status = program.wait(LONG).unwrap().unwrap();
        assert_eq!(status.signal(), Some(15));

        let mut program = sleeper();
        program.kill();
        assert_eq!(program.ended().unwrap().unwrap().signal(), Some(9));
    }

    #[test]
    fn waiting_has_a_limit() {
        let mut program = sleeper();
        assert!(program.wait(Duration::from_millis(30)).unwrap().is_none());
    }
}
