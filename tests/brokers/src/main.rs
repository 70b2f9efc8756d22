//! Runs a command with a real Apache Kafka; see `--help`, and the library's documentation for the environment.

#![forbid(unsafe_code)]

mod args;

use args::{Request, Run};
use kafka_batch_brokers::{Broker, RELEASES, StartError};
use std::{
    env,
    os::unix::process::ExitStatusExt,
    process::{Command, ExitCode, ExitStatus},
    time::Instant,
};

const CALLED_WRONGLY: u8 = 2;
const NO_BROKER: u8 = 125;
const NO_COMMAND: u8 = 127;

fn main() -> ExitCode {
    match args::parse(env::args_os().skip(1)) {
        Ok(Request::Help) => println!("{}", args::USAGE),
        Ok(Request::List) => {
            for release in RELEASES {
                println!("{} (tools {})", release.version, release.tools.version);
            }
        }
        Ok(Request::Run(run)) => {
            let code = with_broker(&run).unwrap_or_else(|error| {
                report(&error.to_string());
                NO_BROKER
            });
            return ExitCode::from(code);
        }
        Err(error) => {
            report(&error.to_string());
            return ExitCode::from(CALLED_WRONGLY);
        }
    }
    ExitCode::SUCCESS
}

/// Starts the broker, runs the command and returns the exit code. No signal is handled here: one that ends this process
/// ends the broker too, see the library's `guarded.rs`.
fn with_broker(run: &Run) -> Result<u8, StartError> {
    let version = run.release.version;
    report(&format!("starting Apache Kafka {version}"));
    let begin = Instant::now();
    let mut broker = Broker::start(run.release, &run.options)?;
    report(&format!(
        "Apache Kafka {version} is ready at {} after {:.1} s",
        broker.address(),
        begin.elapsed().as_secs_f64()
    ));
    let result = Command::new(&run.program).args(&run.arguments).envs(broker.environment()).status();
    if !broker.is_running() {
        let log = broker.end_of_log();
        report(&format!("the broker ended before the command did:\n{log}"));
    }
    Ok(match result {
        Ok(status) => exit_code(status),
        Err(error) => {
            report(&format!("could not run {:?}: {error}", run.program));
            NO_COMMAND
        }
    })
}

/// Returns the exit code as a shell does: 128 plus the number of the signal that ended the command.
fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

fn report(text: &str) {
    // In one write, because several of these programs may run at the same time.
    let line = format!("kafka-batch-brokers: {text}\n");
    eprint!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_is_that_of_the_command() {
        // As returned by `wait`: the code in the second byte, the signal in the first.
        assert_eq!(exit_code(ExitStatus::from_raw(0)), 0);
        assert_eq!(exit_code(ExitStatus::from_raw(7 << 8)), 7);
        assert_eq!(exit_code(ExitStatus::from_raw(9)), 137);
    }
}
