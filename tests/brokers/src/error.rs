//! Why a broker could not be started, and what to do about it.

use std::{fmt, io, process::ExitStatus, time::Duration};

/// Why a broker could not be started.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// A required program is missing.
    MissingProgram {
        /// The program's name.
        program: &'static str,
        /// How to install it.
        advice: &'static str,
    },
    /// Maven could not download the jars.
    Jars {
        /// The requested artifacts.
        artifacts: String,
        /// The end of Maven's output.
        output: String,
    },
    /// Kafka's storage tool could not prepare the data folder.
    Format {
        /// The release.
        version: &'static str,
        /// The end of the tool's output.
        output: String,
    },
    /// The broker's process ended before it was ready.
    Died {
        /// The release.
        version: &'static str,
        /// The exit status.
        status: ExitStatus,
        /// The end of its log output.
        log: String,
    },
    /// The broker was not ready in time.
    TimedOut {
        /// The release.
        version: &'static str,
        /// The time limit.
        limit: Duration,
        /// The result of the last request to it.
        last: String,
        /// The end of its log output.
        log: String,
    },
    /// Another process listens on one of the ports chosen for the broker.
    PortTaken {
        /// The number of attempts with other ports.
        tries: usize,
    },
    /// An impossible cluster was requested.
    NoCluster {
        /// The reason.
        reason: String,
    },
    /// The operating system reported an error.
    Io {
        /// The operation.
        doing: String,
        /// The error.
        source: io::Error,
    },
}

impl StartError {
    /// For `map_err`: an I/O error with the operation.
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
                 The end of its output:\n{output}"
            ),
            StartError::Format { version, output } => write!(
                f,
                "the storage tool of Apache Kafka {version} could not prepare the data folder; \
                 check the extra settings, and the Java (Kafka 4 needs 17 or newer). \
                 The end of its output:\n{output}"
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
    fn messages_contain_a_remedy() {
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
