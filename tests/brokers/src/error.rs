//! Why a broker could not be started, and what to do about it.

use std::{fmt, io, process::ExitStatus, time::Duration};

/// Why a broker could not be started.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// A program that must be on the machine is not.
    MissingProgram {
        /// The program's name.
        program: &'static str,
        /// How to get it.
        advice: &'static str,
    },
    /// Maven could not get the jars.
    Jars {
        /// The artifacts asked for.
        artifacts: String,
        /// The end of what Maven said.
        output: String,
    },
    /// Kafka's storage tool could not prepare the data folder.
    Format {
        /// The release.
        version: &'static str,
        /// The end of what the tool said.
        output: String,
    },
    /// The broker ended before it was ready.
    Died {
        /// The release.
        version: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// The end of its log.
        log: String,
    },
    /// The broker was not ready in time.
    TimedOut {
        /// The release.
        version: &'static str,
        /// The time it was given.
        limit: Duration,
        /// What the last question to it led to.
        last: String,
        /// The end of its log.
        log: String,
    },
    /// Another process listens on one of the ports chosen for the broker.
    PortTaken {
        /// How many times ports were chosen.
        tries: usize,
    },
    /// A cluster was asked for that cannot be.
    NoCluster {
        /// Why not.
        reason: String,
    },
    /// The operating system refused something.
    Io {
        /// What was being done.
        doing: String,
        /// Its answer.
        source: io::Error,
    },
}

impl StartError {
    /// For `map_err`: an I/O error with what was being done.
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> StartError {
        let doing = doing.into();
        move |source| StartError::Io { doing, source }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::MissingProgram { program, advice } => {
                write!(f, "the program `{program}` was not found: {advice}")
            }
            StartError::Jars { artifacts, output } => write!(
                f,
                "Maven could not get {artifacts}; check that `mvn` reaches Maven Central. \
                 The end of what it said:\n{output}"
            ),
            StartError::Format { version, output } => write!(
                f,
                "the storage tool of Apache Kafka {version} could not prepare the data folder; \
                 check the extra settings, and the Java (Kafka 4 needs 17 or newer). \
                 The end of what it said:\n{output}"
            ),
            StartError::Died { version, status, log } => write!(
                f,
                "Apache Kafka {version} ended before it was ready ({status}); the reason should \
                 be in the end of its log:\n{log}"
            ),
            StartError::TimedOut { version, limit, last, log } => write!(
                f,
                "Apache Kafka {version} was not ready after {} s ({last}); if the machine is \
                 slow or busy, give it more time, else see the end of its log:\n{log}",
                limit.as_secs()
            ),
            StartError::PortTaken { tries } => write!(
                f,
                "another process listens on a port chosen for the broker (tries: {tries}); try \
                 again, or see what listens on ports {}",
                crate::ports::RANGE_IN_WORDS
            ),
            StartError::NoCluster { reason } => write!(f, "there is no such cluster: {reason}"),
            StartError::Io { doing, source } => write!(f, "could not {doing}: {source}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StartError::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_what_to_do_next() {
        let error = StartError::MissingProgram { program: "mvn", advice: "install Maven" };
        assert_eq!(error.to_string(), "the program `mvn` was not found: install Maven");
        let error = StartError::TimedOut {
            version: "4.4.0",
            limit: Duration::from_secs(7),
            last: "no answer".to_owned(),
            log: "last line".to_owned(),
        };
        let message = error.to_string();
        assert!(message.contains("after 7 s (no answer)") && message.ends_with("last line"));
    }
}
