//! Shows and checks Kafka's log segments, index files and Fetch responses.

mod args;
mod check;
mod fetch;
mod filter;
mod index;
mod scan;
mod segment;
mod session;
mod show;
mod statistics;
mod time;
mod window;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use args::Args;
use session::Session;

fn main() -> ExitCode {
    let args = Args::parse();
    match Session::new(&args).run() {
        Ok(status) => ExitCode::from(status),
        // The reader of the output, such as `head`, has closed it.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            report(&format!("error: standard output cannot be written: {error}"));
            ExitCode::from(2)
        }
    }
}

/// Writes a message to standard error, ignoring errors such as a closed pipe.
fn report(message: &str) {
    let _ = writeln!(io::stderr(), "{message}");
}
