//! The index of a partition, which everything that refers to it holds in place of its name.

/// The index of a partition in the accumulator. An unused partition is removed after a while, and its index reused.
pub(super) type PartitionIndex = usize;
