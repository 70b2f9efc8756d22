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

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;
    use crate::headers::HeaderList;
    use crate::time::Timestamp;

    fn control(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<ControlRecord, ControlRecordError> {
        let timestamp = Timestamp::from_millis(0);
        RecordView { offset: 0, timestamp, key, value, headers: HeaderList::EMPTY }.control()
    }

    #[test]
    fn the_type_is_in_the_key_and_the_epoch_of_the_coordinator_in_the_value() {
        use ControlType::{
            Abort, Commit, KRaftVersion, KRaftVoters, LeaderChange, SnapshotFooter, SnapshotHeader, Unknown,
        };

        let value = [0, 9, 0x81, 0x02, 0x83, 0x04, 77]; // version, epoch, and what later versions may add
        for (id, control_type, epoch) in [
            (0, Abort, Some(i32::from_be_bytes([0x81, 0x02, 0x83, 0x04]))),
            (1, Commit, Some(i32::from_be_bytes([0x81, 0x02, 0x83, 0x04]))),
            (2, LeaderChange, None),
            (3, SnapshotHeader, None),
            (4, SnapshotFooter, None),
            (5, KRaftVersion, None),
            (6, KRaftVoters, None),
            (7, Unknown(7), None),
            (255, Unknown(255), None),
        ] {
            for version in [0, 258] {
                let [high, low] = i16::to_be_bytes(version);
                let found = control(Some(&[high, low, 0, id]), Some(&value)).unwrap();
                assert_eq!(found, ControlRecord { version, control_type, coordinator_epoch: epoch });
            }
        }
        assert_eq!(control(Some(&[0, 0, 0xff, 0xff]), None).unwrap().control_type, Unknown(-1));
    }

    #[test]
    fn a_key_or_value_that_is_too_short_is_an_error() {
        let marker = Some(&[0, 0, 0, 1][..]);
        for (key, value, part, found, least) in [
            (None, None, "key", 0, 4),
            (Some(&[0, 0, 0][..]), None, "key", 3, 4),
            (marker, None, "value", 0, 6),
            (marker, Some(&[0, 0, 0, 0, 7][..]), "value", 5, 6),
        ] {
            assert_eq!(control(key, value), Err(ControlRecordError { part, found, least }));
        }
        let text = control(Some(&[0]), None).unwrap_err().to_string();
        assert_eq!(text, "the key of the control record has 1 bytes, but at least 4 are required");
        assert!(control(marker, Some(&[0, 0, 0, 0, 0, 7])).is_ok());
    }
}
