//! The laws: invariants that hold under all faults, checked by an observer of the whole simulation.

pub mod identities;
pub mod ledger;
pub mod logs;
pub mod tap;
pub mod told;

use std::fmt;

/// A law was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// Which one, in a few words.
    pub law: &'static str,
    /// How.
    pub what: String,
}

impl Breach {
    /// A breach of this law.
    pub fn of<T>(law: &'static str, what: impl Into<String>) -> Result<T, Self> {
        Err(Self { law, what: what.into() })
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.law, self.what)
    }
}

/// Whether this error code says for certain that the attempt which it answers has not put anything into a log.
///
/// Certain are only codes with which a broker refuses before it appends (some of them, 14 to 16 and 51, only where it looks
/// after transactions). Not certain are those that it also gives after
/// it has appended: the leader loses its place while it waits for replicas (3, 6), the wait is over (7, 20), or it
/// failed somewhere (−1, 56). DUPLICATE_SEQUENCE_NUMBER says the contrary. Of codes that do not belong to Produce, and
/// of those of the future, nothing is known.
#[must_use]
pub fn surely_not_written(code: i16, acks: i16) -> bool {
    match code {
        3 | 6 => acks != -1,
        2
        | 5
        | 10
        | 14..=19
        | 21
        | 29
        | 31
        | 32
        | 35
        | 42..=45
        | 47..=49
        | 51
        | 53
        | 59
        | 75
        | 76
        | 87
        | 90
        | 100
        | 103
        | 120 => true,
        _ => false,
    }
}
