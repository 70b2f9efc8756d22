//! The processes of a measurement: a broker that keeps nothing has the first core, and each client, one after the other, the
//! last one.

use std::error::Error;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};

/// The two sides of a connection.
#[derive(Clone, Copy, Debug)]
pub enum Side {
    /// Has the first core.
    Broker,
    /// Has the last one.
    Client,
}

/// Keeps this thread, and those that it starts from here on, on the core of its side.
pub fn pin(side: Side) -> Result<(), Box<dyn Error>> {
    let cores = core_affinity::get_core_ids().ok_or("no cores to choose from")?;
    let core = match side {
        Side::Broker => cores.first(),
        Side::Client => cores.last(),
    };
    let is_pinned = core_affinity::set_for_current(*core.ok_or("no core")?);
    is_pinned.then_some(()).ok_or_else(|| "the core is not available".into())
}

/// A [sink](crate::sink) in a process of its own: this executable, with other arguments.
#[derive(Debug)]
pub struct SinkProcess {
    process: Child,
    output: BufReader<ChildStdout>,
    address: String,
}

impl SinkProcess {
    /// Starts this executable with `arguments`, with which it must [serve](crate::sink::serve).
    pub fn start(arguments: &[&str]) -> Result<Self, Box<dyn Error>> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut output = BufReader::new(process.stdout.take().ok_or("piped")?);
        let mut address = String::new();
        output.read_line(&mut address)?;
        Ok(Self { process, output, address: address.trim().into() })
    }

    /// Returns the address to connect to.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Runs a client: this executable with `arguments`, which prints a report. `total` returns the number of records in it.
    ///
    /// # Errors
    /// The client has failed, or reported another number of records than those that have arrived here.
    pub fn turn<R>(
        &mut self,
        arguments: impl IntoIterator<Item = String>,
        report: impl FnOnce(&str) -> Result<R, Box<dyn Error>>,
        total: impl FnOnce(&R) -> u64,
    ) -> Result<R, Box<dyn Error>> {
        self.count()?;
        let output = Command::new(std::env::current_exe()?).args(arguments).output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim().into());
        }
        let report = report(&String::from_utf8(output.stdout)?)?;
        let (total, arrived) = (total(&report), self.count()?);
        if total != arrived {
            return Err(format!("{total} records were reported as acknowledged, and {arrived} have arrived").into());
        }
        Ok(report)
    }

    /// Returns the number of records since the last call.
    fn count(&mut self) -> Result<u64, Box<dyn Error>> {
        self.process.stdin.as_mut().ok_or("piped")?.write_all(b"count\n")?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.trim().parse()?)
    }
}

impl Drop for SinkProcess {
    fn drop(&mut self) {
        drop(self.process.stdin.take()); // ends it
        let _ = self.process.wait();
    }
}
