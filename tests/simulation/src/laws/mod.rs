//! The laws: invariants that hold under all faults, checked by an observer of the whole simulation.

pub mod history;
pub mod identities;
pub mod known_leaders;
pub mod logs;
pub mod tap;

use std::fmt;

/// A violation of a law.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The law, in a few words.
    pub law: &'static str,
    /// The details.
    pub what: String,
}

impl Violation {
    /// Returns a violation of this law.
    pub fn of<T>(law: &'static str, what: impl Into<String>) -> Result<T, Self> {
        Err(Self { law, what: what.into() })
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.law, self.what)
    }
}

/// Returns true if this error code proves that the attempt has written nothing to a log.
///
/// Proof are only the codes that a broker returns before it appends (14 to 16 and 51 only for transactions). No proof
/// are those that it also returns after it has appended: it ceased to be the leader while it waited for replicas (3,
/// 6), the wait timed out (7, 20), or it failed at an unknown point (−1, 56). DUPLICATE_SEQUENCE_NUMBER proves the
/// contrary. Codes that do not belong to Produce, and future codes, prove nothing.
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
