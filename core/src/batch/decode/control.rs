//! Control records, which brokers write into a partition's log (protocol guide, "Control Batches"; KIP-98).

use crate::record::RecordView;

/// A decoded control record. Its type is stored in the record's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ControlRecord {
    /// The version of the key's layout.
    pub version: i16,
    /// The type.
    pub control_type: ControlType,
    /// The epoch of the transaction coordinator; `None` unless the type is `Abort` or `Commit`.
    pub coordinator_epoch: Option<i32>,
}

/// The type of a control record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ControlType {
    /// Ends a transaction by aborting it (0).
    Abort,
    /// Ends a transaction by committing it (1).
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
    /// A type that this version of the crate does not know.
    Unknown(i16),
}

/// An error for a control record whose key or value is shorter than its type requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {part} of the control record has {found} bytes, but at least {least} are required")]
#[non_exhaustive]
pub struct ControlRecordError {
    /// The part that is too short: `key` or `value`.
    pub part: &'static str,
    /// Its length in bytes; 0 for null.
    pub found: usize,
    /// The least length that it must have, in bytes.
    pub least: usize,
}

impl RecordView<'_> {
    /// Decodes this record as a control record.
    ///
    /// Call this only for records of a control batch
    /// ([`RecordBatch::is_control`](crate::decode::RecordBatch::is_control)): in any other batch the key is application
    /// data, and the result is meaningless.
    ///
    /// # Errors
    /// Returns an error if the key, or the value of an end-of-transaction marker, is too short.
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

/// Decodes the first `N` 16-bit numbers of a key or value.
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
