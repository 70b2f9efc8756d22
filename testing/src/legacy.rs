//! Messages of magic 0 and 1: what a broker assigns to them, and newer batches as such messages.

use bytes::{BufMut as _, Bytes, BytesMut};
use kafka_batch_core::Magic;
use kafka_batch_core::compression::Codec;
use kafka_batch_core::decode::{DEFAULT_MAX_DECOMPRESSED, RawRecordView, RecordBatches};

use crate::batch::BatchInfo;
use crate::validate::{at, number};

/// Positions in a message.
mod message {
    pub(super) const CRC: usize = 12;
    pub(super) const MAGIC: usize = 16;
    pub(super) const ATTRIBUTES: usize = 17;
    pub(super) const TIMESTAMP: usize = 18;
    pub(super) const KEY_OF_MAGIC_1: usize = 26;
    pub(super) const LOG_APPEND_TIME: u8 = 0x08;
}

/// Returns a valid record set with offsets from `base_offset` on and, if it is not −1, this timestamp.
pub(crate) fn assign(records: &[u8], info: &BatchInfo, base_offset: i64, append_time_ms: i64) -> Bytes {
    if info.magic == Magic::V0 && info.codec != Codec::None {
        // The messages inside would need absolute offsets, and so be compressed again: they are stored plain instead.
        if let Some(plain) = plain(records, Magic::V0, Some(base_offset)) {
            return plain;
        }
    }
    let mut bytes = BytesMut::from(records);
    let mut position = 0;
    // A compressed message has the offset of the last one in it.
    let mut offset = if info.codec == Codec::None { base_offset } else { base_offset + i64::from(info.records) - 1 };
    while bytes.len() - position > at::MAGIC {
        let length = u32::from_be_bytes(number(&bytes, position + at::LENGTH)) as usize;
        let Some(message) = bytes.get_mut(position..position + 12 + length) else { break };
        message[..8].copy_from_slice(&offset.to_be_bytes());
        if append_time_ms >= 0 && message[message::MAGIC] == 1 && message.len() >= message::KEY_OF_MAGIC_1 {
            message[message::ATTRIBUTES] |= message::LOG_APPEND_TIME;
            message[message::TIMESTAMP..message::KEY_OF_MAGIC_1].copy_from_slice(&append_time_ms.to_be_bytes());
            let crc = crc32fast::hash(&message[message::MAGIC..]);
            message[message::CRC..message::MAGIC].copy_from_slice(&crc.to_be_bytes());
        }
        offset += 1;
        position += 12 + length;
    }
    bytes.freeze()
}

/// Returns the records of batches as uncompressed messages of an older format, as a broker does for an old consumer: without
/// what that format lacks. `None` if they cannot be read because their codec is not built in.
pub(crate) fn convert_down(batches: &[u8], magic: Magic) -> Option<Bytes> {
    plain(batches, magic, None)
}

/// With `base_offset`, the offsets count up from it, whatever they were.
fn plain(batches: &[u8], magic: Magic, base_offset: Option<i64>) -> Option<Bytes> {
    let mut messages = BytesMut::new();
    let mut count = 0;
    for batch in RecordBatches::new(batches) {
        let records = batch.ok()?.records(DEFAULT_MAX_DECOMPRESSED).ok()?;
        for record in records.iter_lenient() {
            let record = record.ok()?;
            let offset = base_offset.map_or(record.offset, |base| base + count);
            write(&mut messages, magic, offset, &record);
            count += 1;
        }
    }
    Some(messages.freeze())
}

fn write(messages: &mut BytesMut, magic: Magic, offset: i64, record: &RawRecordView<'_>) {
    let start = messages.len();
    messages.put_i64(offset);
    messages.put_slice(&[0; 8]); // length and checksum
    match magic {
        Magic::V0 => messages.put_slice(&[0, 0]),
        _ => {
            messages.put_slice(&[1, 0]);
            messages.put_i64(record.timestamp.millis());
        }
    }
    for field in [record.key, record.value] {
        messages.put_i32(field.map_or(-1, |bytes| bytes.len() as i32));
        messages.put_slice(field.unwrap_or_default());
    }
    let message = &mut messages[start..];
    let length = message.len() as u32 - 12;
    message[at::LENGTH..message::CRC].copy_from_slice(&length.to_be_bytes());
    let crc = crc32fast::hash(&message[message::MAGIC..]);
    message[message::CRC..message::MAGIC].copy_from_slice(&crc.to_be_bytes());
}
