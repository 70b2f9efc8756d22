//! Messages of magic 0 and 1, and the wrapper around compressed ones (protocol guide, "Message sets"; KIP-31, KIP-32).

use alloc::vec::Vec;

use super::{ByteCounter, Sink};
use crate::checksum;
use crate::magic::Magic;
use crate::record::Record;
use crate::time::Timestamp;

/// The size of offset and length in bytes, which precede every message (and every batch of magic 2).
pub(crate) const PREFIX_LEN: usize = 12;
/// The position in a message from which the checksum covers it: after offset, length and checksum.
pub(crate) const CRC_COVERS_FROM: usize = PREFIX_LEN + 4;

/// Returns the size in bytes of a message with neither key nor value: 26, and 34 with a timestamp.
pub(crate) const fn overhead(magic: Magic) -> usize {
    if magic.has_timestamps() { PREFIX_LEN + 22 } else { PREFIX_LEN + 14 }
}

/// Bits of a message's attributes. The lowest three hold the codec.
pub(crate) mod attribute {
    pub(crate) const CODEC: i8 = 0b111;
    pub(crate) const LOG_APPEND_TIME: i8 = 1 << 3;
}

/// The fields of a message in front of its key, except those that depend on the content.
#[derive(Clone, Copy)]
pub(crate) struct MessagePrefix {
    pub(crate) magic: Magic,
    pub(crate) offset: i64,
    pub(crate) codec_id: u8,
    pub(crate) timestamp: Timestamp,
}

#[inline]
fn message(sink: &mut impl Sink, prefix: MessagePrefix, size: u32, key: Option<&[u8]>, value: Option<&[u8]>) {
    sink.put(&prefix.offset.to_be_bytes());
    sink.put(&size.to_be_bytes());
    sink.put(&[0; 4]); // the checksum, which `write_checksum` fills in
    sink.put(&[prefix.magic.id() as u8, prefix.codec_id]);
    if prefix.magic.has_timestamps() {
        sink.put(&prefix.timestamp.millis().to_be_bytes());
    }
    nullable(sink, key);
    nullable(sink, value);
}

#[inline]
fn nullable(sink: &mut impl Sink, bytes: Option<&[u8]>) {
    let length = bytes.map_or(-1, |bytes| bytes.len() as i32);
    sink.put(&length.to_be_bytes());
    sink.put(bytes.unwrap_or_default());
}

/// Returns the size of the record as a message in bytes, offset and length included.
#[inline]
pub(crate) fn message_len(record: &Record<'_>, magic: Magic) -> u64 {
    let prefix = MessagePrefix { magic, offset: 0, codec_id: 0, timestamp: Timestamp::NO_TIMESTAMP };
    let mut count = ByteCounter(0);
    message(&mut count, prefix, 0, record.key, record.value);
    count.0
}

/// Writes a message, of which [`message_len`] was counted before, and returns its checksum.
#[inline(never)] // one copy, instead of one for each place that appends: as `v2::write_headers`
pub(crate) fn write(
    out: &mut Vec<u8>,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    prefix: MessagePrefix,
    len: u64,
) -> u32 {
    let start = out.len();
    message(out, prefix, (len - PREFIX_LEN as u64) as u32, key, value);
    write_checksum(&mut out[start..])
}

/// Appends space for the head of a wrapper message, which the compressed messages follow.
pub(crate) fn reserve_wrapper(out: &mut Vec<u8>, magic: Magic) {
    out.resize(out.len() + overhead(magic), 0);
}

/// Writes the head of the wrapper message `out`, and its checksum.
pub(crate) fn write_wrapper(out: &mut [u8], prefix: MessagePrefix) {
    let size = (out.len() - PREFIX_LEN) as u32;
    let value_len = (out.len() - overhead(prefix.magic)) as i32;
    let mut head = Vec::with_capacity(overhead(prefix.magic));
    message(&mut head, prefix, size, None, None);
    let value_len_at = head.len() - 4;
    head[value_len_at..].copy_from_slice(&value_len.to_be_bytes());
    out[..head.len()].copy_from_slice(&head);
    write_checksum(out);
}

fn write_checksum(message: &mut [u8]) -> u32 {
    let crc = checksum::crc32(&message[CRC_COVERS_FROM..]);
    message[PREFIX_LEN..CRC_COVERS_FROM].copy_from_slice(&crc.to_be_bytes());
    crc
}

/// Returns the checksum in a message.
pub(crate) fn stored_checksum(message: &[u8]) -> u32 {
    let mut crc = [0; 4];
    crc.copy_from_slice(&message[PREFIX_LEN..CRC_COVERS_FROM]);
    u32::from_be_bytes(crc)
}
