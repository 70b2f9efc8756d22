//! The command line of the program.

use kafka_batch_brokers::{Options, Release};
use std::{ffi::OsString, fmt, time::Duration};

/// The usage text of the program.
pub(crate) const USAGE: &str = "\
usage: kafka-batch-brokers --kafka VERSION [OPTION]... -- COMMAND [ARGUMENT]...
       kafka-batch-brokers --list

Starts a real Apache Kafka on a free port, runs COMMAND with KAFKA_BATCH_BROKERS and
others in its environment, stops the broker, removes its data, and exits as COMMAND did.

  --kafka VERSION     the release: 4.4.0, or the beginning of a version: 4, 3.9
  --config KEY=VALUE  a setting for server.properties; may be given again
  --heap MIB          size of the broker's heap (512)
  --timeout SECONDS   how long the broker may take to start (120)
  --list              print the releases known, one a line, and the version of their tools
  --help              print this

exit status: that of COMMAND, 128 + N if signal N ended it; 2 if called wrongly; 125 if
the broker could not be started; 127 if COMMAND could not be started";

/// The requested action.
#[derive(Debug)]
pub(crate) enum Request {
    /// Print the usage text.
    Help,
    /// Print the releases.
    List,
    /// Start a broker and run a command.
    Run(Box<Run>),
}

/// A command to run with a broker.
#[derive(Debug)]
pub(crate) struct Run {
    /// The release to start.
    pub(crate) release: &'static Release,
    /// The options of the broker.
    pub(crate) options: Options,
    /// The command's program.
    pub(crate) program: OsString,
    /// The command's arguments.
    pub(crate) arguments: Vec<OsString>,
}

/// An invalid command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UsageError(String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; --help prints the usage", self.0)
    }
}

impl std::error::Error for UsageError {}

/// Parses the command line, without the program's name.
pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Request, UsageError> {
    let mut words = words.into_iter();
    let mut options = Options::default();
    let mut release = None;
    while let Some(word) = words.next() {
        let word = text(word)?;
        match word.as_str() {
            "--help" | "-h" => return Ok(Request::Help),
            "--list" => return Ok(Request::List),
            "--" => break,
            _ => {}
        }
        let mut value = || match words.next() {
            Some(value) => text(value),
            None => Err(UsageError(format!("{word} needs a value"))),
        };
        match word.as_str() {
            "--kafka" => {
                let found = Release::find(&value()?);
                release = Some(found.map_err(|error| UsageError(error.to_string()))?);
            }
            "--config" => options.config.push(setting(&value()?)?),
            "--heap" => options.heap_mib = number(&word, &value()?)?,
            "--timeout" => {
                options.start_limit = Duration::from_secs(number(&word, &value()?)?.into());
            }
            _ => return Err(UsageError(format!("{word:?} is not an option"))),
        }
    }
    let release = release.ok_or_else(|| UsageError("--kafka is missing".to_owned()))?;
    let program = words.next().ok_or_else(|| UsageError("the command to run is missing".to_owned()))?;
    Ok(Request::Run(Box::new(Run { release, options, program, arguments: words.collect() })))
}

fn text(word: OsString) -> Result<String, UsageError> {
    word.into_string().map_err(|word| UsageError(format!("{word:?} is not valid text")))
}

fn setting(text: &str) -> Result<(String, String), UsageError> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(UsageError(format!("{text:?} is not KEY=VALUE"))),
    }
}

fn number(option: &str, text: &str) -> Result<u32, UsageError> {
    text.parse()
        .ok()
        .filter(|number| *number > 0)
        .ok_or_else(|| UsageError(format!("{option} needs a whole number, not {text:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Request, UsageError> {
        parse(line.split(' ').map(OsString::from))
    }

    #[test]
    fn a_complete_command_line_is_parsed() {
        let line = "--kafka 3.9 --config a=1 --config b=x=y --heap 300 --timeout 9 -- ls -- --list";
        let Request::Run(run) = read(line).unwrap() else {
            panic!("not a run");
        };
        assert_eq!(run.release.version, "3.9.2");
        let config = [("a", "1"), ("b", "x=y")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(run.options.config, config);
        assert_eq!(run.options.heap_mib, 300);
        assert_eq!(run.options.start_limit, Duration::from_secs(9));
        assert_eq!(run.program, "ls");
        assert_eq!(run.arguments, ["--", "--list"]);
    }

    #[test]
    fn help_and_list_need_nothing_else() {
        assert!(matches!(read("--help").unwrap(), Request::Help));
        assert!(matches!(read("--kafka 4 --list").unwrap(), Request::List));
    }

    #[test]
    fn an_invalid_command_line_is_rejected() {
        for (line, reason) in [
            ("-- ls", "--kafka is missing"),
            ("--kafka 4", "the command to run is missing"),
            ("--kafka 4 --", "the command to run is missing"),
            ("--kafka", "--kafka needs a value"),
            ("--kafka 4 ls", "\"ls\" is not an option"),
            ("--config a -- ls", "\"a\" is not KEY=VALUE"),
            ("--config =a -- ls", "\"=a\" is not KEY=VALUE"),
            ("--heap 0 -- ls", "--heap needs a whole number, not \"0\""),
            ("--timeout 1s -- ls", "--timeout needs a whole number, not \"1s\""),
        ] {
            let error = read(line).unwrap_err();
            assert_eq!(error, UsageError(reason.to_owned()), "{line}");
        }
        let message = read("--kafka 0.8 -- ls").unwrap_err().to_string();
        assert!(message.contains("choose one of 4.4.0 4.0.2 3.9.2 2.8.2 1.1.1"), "{message}");
    }
}
