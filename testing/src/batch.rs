//! What a broker sees of a record set: its batches, and whether they are valid.

use kafka_batch_core::Magic;
use kafka_batch_core::compression::Codec;

use crate::control::ControlKind;

/// A batch, as described by its header and, where that says nothing, by its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchInfo {
    /// The number of records.
    pub records: u32,
    /// Its format.
    pub magic: Magic,
    /// Its codec.
    pub codec: Codec,
    /// The producer's stamp, if there is one.
    pub stamp: Option<ProducerStamp>,
    /// True if it is part of a transaction.
    pub is_transactional: bool,
    /// What it says of its producer's transaction, if it is a control batch, which has no records for consumers.
    pub control: Option<ControlKind>,
}

/// Producer id, epoch and the sequence number of the first record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProducerStamp {
    /// The producer id.
    pub producer: i64,
    /// The epoch.
    pub epoch: i16,
    /// The sequence number of the first record.
    pub sequence: i32,
}
