//! Errors that end the program: the cause, its line, a remedy, and what was published before.

use std::fmt;
use std::ops::RangeInclusive;

use kafka_batch::{AppendError, DeliveryError, Fate, PublishError, SealErrorReason};

const TOO_LARGE: &str = "make that record smaller, or leave the line out";

/// Lines of the input, counted from 1.
type Lines = RangeInclusive<u64>;

#[derive(Clone)]
pub(crate) struct Failure {
    what: String,
    remedy: String,
    left: String,
}

impl Failure {
    /// Creates a failure that does not concern a line of the input.
    pub(crate) fn new(what: impl fmt::Display, remedy: impl fmt::Display) -> Self {
        Self { what: what.to_string(), remedy: remedy.to_string(), left: String::new() }
    }

    /// Adds that this line and those after it were not published.
    pub(crate) fn left_from(self, line: u64) -> Self {
        Self { left: format!("not published: line {line} and after"), ..self }
    }

    /// Adds that these lines were published, and those after them were not.
    pub(crate) fn left_after(self, lines: &Lines) -> Self {
        Self { left: format!("not published: all lines after line {}", lines.end()), ..self }
    }

    /// Creates the failure for a record that does not fit into an empty batch.
    pub(crate) fn record(line: u64, error: &AppendError) -> Self {
        Self::new(format!("line {line}: {error}"), TOO_LARGE).left_from(line)
    }

    /// Creates the failure for a batch that could not be sealed. [`KafkaBatch::split`](kafka_batch::KafkaBatch::split)
    /// could divide it; this example asks for smaller batches instead.
    pub(crate) fn sealing(lines: &Lines, error: &SealErrorReason) -> Self {
        let (what, remedy) = match error {
            SealErrorReason::TooLarge { sealed, limit, .. } => (
                format!("{sealed} bytes even when compressed, and max_message_bytes is {limit}"),
                if lines.start() == lines.end() { TOO_LARGE } else { "give a smaller --batch-size" },
            ),
            _ => (error.to_string(), "choose another --compression"),
        };
        Self::new(format!("{}: {what}", named(lines)), remedy).left_from(*lines.start())
    }

    /// Creates the failure for a batch that could not be published.
    pub(crate) fn publishing(lines: &Lines, error: &PublishError) -> Self {
        let what = format!("{}: {error}", named(lines));
        match error {
            PublishError::Delivery(error) if error.fate() != Some(Fate::NotWritten) => {
                let left = format!("of {}: {}", named(lines), fates(error));
                Self { left, ..Self::new(what, "check which records are in the topic, and publish the rest") }
            }
            _ => Self::new(what, "correct that, and publish from there on").left_from(*lines.start()),
        }
    }

    /// Returns the complete message; `published` describes what was published before.
    pub(crate) fn message(&self, published: &str) -> String {
        let Self { what, remedy, left } = self;
        let mut message = format!("error: {what}\n  remedy: {remedy}\n  published: {published}");
        if !left.is_empty() {
            message.push_str("\n  ");
            message.push_str(left);
        }
        message
    }
}

fn named(lines: &Lines) -> String {
    if lines.start() == lines.end() {
        format!("line {}", lines.start())
    } else {
        format!("lines {} to {}", lines.start(), lines.end())
    }
}

/// Describes the fates of a failed batch's records. They can differ on a transport that does not send a batch as a unit.
fn fates(error: &DeliveryError) -> String {
    let count = |fate| (0..error.record_count()).filter(|&at| error.fate_of(at) == Some(fate)).count();
    let counts = [Fate::Written, Fate::NotWritten, Fate::Unknown].map(|fate| format!("{} {fate}", count(fate)));
    counts.join(", ")
}
