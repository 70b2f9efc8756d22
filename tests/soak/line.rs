//! What the client's process prints: a line for each outcome, measurement and log message.

use std::fmt;

use crate::audit::{Outcome, Sent};

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Line {
    /// The process runs.
    Ready,
    Ended(Ended),
    Memory(Memory),
    Log {
        /// True from the level `warn` up.
        is_warning: bool,
        text: String,
    },
}

/// A batch, or a message, and its outcome.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) sent: Sent,
    /// When it was passed to the producer, and when its outcome was known, in ms since 1970.
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// Why it failed.
    pub(crate) failure: Option<String>,
}

impl PartialEq for Ended {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

/// The memory of the client's process when nothing is in flight, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Allocated bytes.
    pub(crate) heap: usize,
    /// The maximum since the last measurement.
    pub(crate) peak: usize,
    pub(crate) resident: usize,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => f.write_str("ready"),
            Self::Ended(ended) => write!(f, "{ended}"),
            Self::Memory(Memory { heap, peak, resident }) => write!(f, "memory {heap} {peak} {resident}"),
            Self::Log { is_warning, text } => {
                write!(f, "log {} {}", if *is_warning { "warning" } else { "debug" }, text.replace('\n', " "))
            }
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sent: Sent { task, partition, first, count, outcome }, from, to, failure } = self;
        write!(f, "ended {from} {to} {task} {partition} {first} {count} ")?;
        match outcome {
            Outcome::Written(Some(offset)) => write!(f, "written {offset}")?,
            Outcome::Written(None) => f.write_str("written -1")?,
            Outcome::NotWritten => f.write_str("not_written -1")?,
            Outcome::Unknown => f.write_str("unknown -1")?,
        }
        failure.iter().try_for_each(|failure| write!(f, " {}", failure.replace('\n', " ")))
    }
}

/// Parses a printed line.
pub(crate) fn parse(line: &str) -> Option<Line> {
    let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
    match kind {
        "ready" => Some(Line::Ready),
        "ended" => {
            let mut words = rest.splitn(9, ' ');
            let mut word = || words.next();
            let (from, to) = (word()?.parse().ok()?, word()?.parse().ok()?);
            let (task, partition) = (word()?.parse().ok()?, word()?.parse().ok()?);
            let (first, count) = (word()?.parse().ok()?, word()?.parse().ok()?);
            let (outcome, offset) = (word()?, word()?.parse().ok()?);
            let outcome = match outcome {
                "written" => Outcome::Written((offset >= 0).then_some(offset)),
                "not_written" => Outcome::NotWritten,
                "unknown" => Outcome::Unknown,
                _ => return None,
            };
            let sent = Sent { task, partition, first, count, outcome };
            Some(Line::Ended(Ended { sent, from, to, failure: word().map(str::to_owned) }))
        }
        "memory" => {
            let mut numbers = rest.split(' ').map(str::parse);
            let mut number = || numbers.next()?.ok();
            Some(Line::Memory(Memory { heap: number()?, peak: number()?, resident: number()? }))
        }
        "log" => {
            let (level, text) = rest.split_once(' ')?;
            Some(Line::Log { is_warning: level == "warning", text: text.to_owned() })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_lines_are_parsed() {
        let ended = |outcome, failure: Option<&str>| {
            let sent = Sent { task: 3, partition: 5, first: 1 << 40, count: 17, outcome };
            Line::Ended(Ended {
                sent,
                from: 1_700_000_000_000,
                to: 1_700_000_000_007,
                failure: failure.map(str::to_owned),
            })
        };
        for line in [
            Line::Ready,
            ended(Outcome::Written(Some(77)), None),
            ended(Outcome::Written(None), Some("in part")),
            ended(Outcome::NotWritten, Some("rejected: no room")),
            ended(Outcome::Unknown, Some("no response in 3 s")),
            Line::Memory(Memory { heap: 1, peak: 20, resident: 300 }),
            Line::Log { is_warning: true, text: "127.0.0.1:1 closed the connection".to_owned() },
        ] {
            assert_eq!(parse(&line.to_string()).as_ref(), Some(&line), "{line}");
        }
        for line in ["", "ended 1 2 3", "ended 1 2 3 4 5 6 lost -1", "memory 1 2", "log", "another"] {
            assert_eq!(parse(line), None, "{line:?}");
        }
    }
}
