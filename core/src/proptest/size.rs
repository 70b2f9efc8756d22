//! Sizes, computed from the protocol guide alone, without the encoder.

use super::OwnedRecord;
use crate::magic::Magic;

/// The size of the header of magic 2 in bytes, field by field (protocol guide, "Record Batch").
pub(super) const BATCH_HEADER: u64 = {
    let base_offset_and_length = 8 + 4;
    let leader_epoch_magic_crc_attributes = 4 + 1 + 4 + 2;
    let last_offset_delta_and_timestamps = 4 + 8 + 8;
    let producer_id_epoch_sequence = 8 + 2 + 4;
    let record_count = 4;
    base_offset_and_length
        + leader_epoch_magic_crc_attributes
        + last_offset_delta_and_timestamps
        + producer_id_epoch_sequence
        + record_count
};

/// Returns the size in bytes of a message of magic 0 or 1 with neither key nor value (protocol guide, "Message sets"). A
/// wrapper message adds as many.
pub(super) fn message_overhead(magic: Magic) -> u64 {
    let offset_and_size = 8 + 4;
    let crc_magic_attributes = 4 + 1 + 1;
    let timestamp = if magic == Magic::V1 { 8 } else { 0 };
    let key_and_value_lengths = 4 + 4;
    offset_and_size + crc_magic_attributes + timestamp + key_and_value_lengths
}

/// Returns the length of a zigzag varint in bytes, of which each holds seven bits.
fn varint(value: i64) -> u64 {
    let sign = if value < 0 { 1 } else { 0 };
    let mut rest = value.unsigned_abs().wrapping_mul(2).wrapping_sub(sign);
    let mut bytes = 1;
    while rest > 127 {
        rest /= 128;
        bytes += 1;
    }
    bytes
}

/// Returns the size of nullable bytes with their length in front, a varint, which is −1 for null.
fn nullable(bytes: Option<&[u8]>) -> u64 {
    match bytes {
        None => varint(-1),
        Some(bytes) => varint(bytes.len() as i64) + bytes.len() as u64,
    }
}

/// Returns the size in bytes of a record in this format, with these deltas (protocol guide, "Record").
pub(super) fn record(magic: Magic, record: &OwnedRecord, timestamp_delta: i64, offset_delta: u32) -> u64 {
    if magic != Magic::V2 {
        let bytes = |field: &Option<alloc::vec::Vec<u8>>| field.as_ref().map_or(0, alloc::vec::Vec::len) as u64;
        return message_overhead(magic) + bytes(&record.key) + bytes(&record.value);
    }
    let attributes = 1;
    let headers: u64 = record
        .headers
        .iter()
        .map(|header| nullable(Some(header.name.as_bytes())) + nullable(header.value.as_deref()))
        .sum();
    let body = attributes
        + varint(timestamp_delta)
        + varint(i64::from(offset_delta))
        + nullable(record.key.as_deref())
        + nullable(record.value.as_deref())
        + varint(record.headers.len() as i64)
        + headers;
    varint(body as i64) + body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proptest::OwnedHeader;

    #[test]
    fn sizes_are_those_of_the_protocol_guide() {
        assert_eq!(BATCH_HEADER, 61);
        assert_eq!([Magic::V0, Magic::V1].map(message_overhead), [26, 34]);
        for (value, bytes) in [(0, 1), (-1, 1), (63, 1), (64, 2), (-64, 1), (-65, 2), (8191, 2), (8192, 3)] {
            assert_eq!(varint(value), bytes, "{value}");
        }
        assert_eq!([i64::MIN, i64::MAX].map(varint), [10, 10]);
        // length, attributes, two deltas, null, "ab", two headers: "k" = "v" and "k" = null
        let headers = alloc::vec![OwnedHeader::new("k", "v"), OwnedHeader::null("k")];
        let two = OwnedRecord { headers, ..OwnedRecord::new("ab") };
        assert_eq!(record(Magic::V2, &two, 0, 0), 1 + 1 + 1 + 1 + 1 + 3 + 1 + (2 + 2) + (2 + 1));
        assert_eq!(record(Magic::V0, &two, 0, 0), 28);
    }
}
