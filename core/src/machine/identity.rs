//! A producer id with its epoch.

/// A producer id and its epoch. Under a new identity the sequence numbers of a partition start at 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Identity {
    pub(super) id: i64,
    pub(super) epoch: i16,
}
