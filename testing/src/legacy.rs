//! Messages of magic 0 and 1, whose offsets a broker assigns one by one.

use kafka_batch_core::compression::Codec;

use crate::batch::BatchInfo;
use crate::validate::{at, number};

/// Assigns offsets to the messages of a valid record set.
pub(crate) fn assign_offsets(bytes: &mut [u8], info: &BatchInfo, base_offset: i64) {
    let (mut position, mut offset) = (0, base_offset);
    // A compressed message has the offset of its last one.
    if info.codec != Codec::None {
        offset += i64::from(info.records) - 1;
    }
    while bytes.len() - position > at::MAGIC {
        bytes[position..position + 8].copy_from_slice(&offset.to_be_bytes());
        offset += 1;
        position += 12 + u32::from_be_bytes(number(bytes, position + at::LENGTH)) as usize;
    }
}
