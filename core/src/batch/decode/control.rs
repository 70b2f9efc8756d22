//! Control records: what brokers write between those of producers (protocol guide, "Control Batches"; KIP-98).

use crate::record::RecordView;

/// A record that a broker wrote for clients to act on. Its kind stands in the record's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ControlRecord {
    /// The version of the key's layout.
    pub version: i16,
    /// What it says.
    pub control_type: ControlType,
    /// The epoch of the transaction's coordinator: in the markers that end a transaction.
    pub coordinator_epoch: Option<i32>,
}

/// What a control record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ControlType {
    /// The transaction is aborted (0).
    Abort,
    /// The transaction is committed (1).
    Commit,
    /// The partition has a new leader (2): metadata logs only (KIP-595).
    LeaderChange,
    /// A snapshot begins (3): metadata logs only (KIP-630).
    SnapshotHeader,
    /// A snapshot ends (4): metadata logs only (KIP-630).
    SnapshotFooter,
    /// The version of the metadata quorum's protocol (5) (KIP-853).
    KRaftVersion,
    /// The voters of the metadata quorum (6) (KIP-853).
    KRaftVoters,
    /// A number that came after this library.
    Unknown(i16),
}

/// A record of a control batch whose key or value is too short for what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a control record's {part} has {found} bytes, and {least} are the least")]
pub struct ControlRecordError {
    /// `key` or `value`.
    pub part: &'static str,
    /// Bytes found; 0 for null.
    pub found: usize,
    /// Bytes that it has at least.
    pub least: usize,
}

impl RecordView<'_> {
    /// What this record says, if it is in a control batch ([`RecordBatch::is_control`](crate::RecordBatch::is_control)):
    /// in any other batch its key is the application's, and this answer means nothing.
    ///
    /// # Errors
    /// The key, or the value of an end-of-transaction marker, is too short.
    pub fn control(&self) -> Result<ControlRecord, ControlRecordError> {
        let [version, control_type] = numbers(self.key, "key")?;
        let control_type = match control_type {
            0 => ControlType::Abort,
            1 => ControlType::Commit,
            2 => ControlType::LeaderChange,
            3 => ControlType::SnapshotHeader,
            4 => ControlType::SnapshotFooter,
            5 => ControlType::KRaftVersion,
            6 => ControlType::KRaftVoters,
            unknown => ControlType::Unknown(unknown),
        };
        let coordinator_epoch = match control_type {
            ControlType::Abort | ControlType::Commit => {
                let [_version, high, low] = numbers(self.value, "value")?;
                Some(i32::from(high) << 16 | i32::from(low as u16))
            }
            _ => None,
        };
        Ok(ControlRecord { version, control_type, coordinator_epoch })
    }
}

/// The first 16-bit numbers of a key or value.
fn numbers<const N: usize>(bytes: Option<&[u8]>, part: &'static str) -> Result<[i16; N], ControlRecordError> {
    let bytes = bytes.unwrap_or_default();
    let mut numbers = [0; N];
    if bytes.len() < N * 2 {
        return Err(ControlRecordError { part, found: bytes.len(), least: N * 2 });
    }
    for (number, pair) in numbers.iter_mut().zip(bytes.chunks_exact(2)) {
        *number = i16::from_be_bytes([pair[0], pair[1]]);
    }
    Ok(numbers)
}
