//! Batches put together byte by byte, independently of the encoder under test.

use crate::input::Head;
use kafka_batch_core::Magic;
use kafka_batch_core::compression::Codec;

/// Bytes of the header of magic 2.
const HEADER_LEN: usize = 61;
/// Bytes in front of what a batch's length counts.
const PREFIX_LEN: usize = 12;
/// Where, in a message of magic 0 and 1, what its checksum covers begins.
const CHECKED_FROM: usize = 16;
/// Where the magic byte stands, in every format.
const MAGIC_AT: usize = 16;

/// A batch (or wrapper message) with this payload behind its header, with the right length and checksum. Without a
/// codec, magic 0 and 1 have no batches: then the payload is the messages, whose checksums are put right.
pub fn batch(head: &Head, codec: Codec, payload: &[u8]) -> Vec<u8> {
    match head.magic {
        Magic::V2 => batch_v2(head, codec, payload),
        Magic::V0 | Magic::V1 if codec == Codec::None => {
            let mut messages = payload.to_vec();
            right_checksums(&mut messages);
            messages
        }
        Magic::V0 | Magic::V1 => wrapper(head, codec, payload),
    }
}

fn batch_v2(head: &Head, codec: Codec, payload: &[u8]) -> Vec<u8> {
    let mut batch = Vec::with_capacity(HEADER_LEN + payload.len());
    batch.extend(i64::from(head.change_at).to_be_bytes()); // base offset
    batch.extend((HEADER_LEN - PREFIX_LEN + payload.len()).to_be_bytes()[4..].iter());
    batch.extend([0; 4]); // partition leader epoch
    batch.push(2);
    batch.extend([0; 4]); // checksum
    batch.extend([0, head.attributes & !0b111 | codec.id()]);
    batch.extend(head.last_offset_delta.to_be_bytes());
    batch.extend(1_700_000_000_000i64.to_be_bytes()); // base timestamp
    batch.extend(1_700_000_000_999i64.to_be_bytes()); // max timestamp
    batch.extend([0xff; 14]); // producer id, epoch, base sequence
    batch.extend(head.count.to_be_bytes());
    batch.extend(payload);
    let checksum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &batch[21..]) as u32;
    batch[17..21].copy_from_slice(&checksum.to_be_bytes());
    batch
}

fn wrapper(head: &Head, codec: Codec, payload: &[u8]) -> Vec<u8> {
    let mut message = Vec::from(i64::from(head.count).to_be_bytes());
    message.extend([0; 8]); // size, checksum
    message.extend([head.magic.id() as u8, head.attributes & !0b111 | codec.id()]);
    if head.magic == Magic::V1 {
        message.extend(1_700_000_000_999i64.to_be_bytes());
    }
    message.extend((-1i32).to_be_bytes()); // no key
    message.extend((payload.len() as i32).to_be_bytes());
    message.extend(payload);
    let size = (message.len() - PREFIX_LEN) as i32;
    message[8..PREFIX_LEN].copy_from_slice(&size.to_be_bytes());
    right_checksums(&mut message);
    message
}

/// Puts the checksums of messages of magic 0 and 1 right, as far as their lengths lead.
pub fn right_checksums(messages: &mut [u8]) {
    let mut rest = messages;
    while let Some(size) = rest.get(8..PREFIX_LEN) {
        let size = i32::from_be_bytes([size[0], size[1], size[2], size[3]]);
        let Some(len) = usize::try_from(size).ok().map(|size| PREFIX_LEN + size).filter(|&len| len > CHECKED_FROM)
        else {
            return;
        };
        let Some((message, behind)) = rest.split_at_mut_checked(len) else { return };
        let checksum = crc32fast::hash(&message[CHECKED_FROM..]);
        message[PREFIX_LEN..CHECKED_FROM].copy_from_slice(&checksum.to_be_bytes());
        rest = behind;
    }
}

/// A batch or message as it stands in a buffer, unchecked.
#[derive(Debug)]
pub struct Found<'a> {
    pub magic: Magic,
    pub attributes: u8,
    /// The record count, and the last offset delta; the offset of a message.
    pub numbers: (i32, i32),
    /// What a batch has behind its header, a message as its value.
    pub payload: &'a [u8],
}

/// The batches and messages in a buffer, as far as their lengths lead.
pub fn find(mut buffer: &[u8]) -> Vec<Found<'_>> {
    let mut found = Vec::new();
    while let Some(length) = buffer.get(8..PREFIX_LEN) {
        let length = i32::from_be_bytes([length[0], length[1], length[2], length[3]]);
        let Ok(length) = usize::try_from(length) else { break };
        let Some((batch, behind)) = buffer.split_at_checked(PREFIX_LEN + length) else { break };
        found.extend(look_at(batch));
        buffer = behind;
    }
    found
}

fn look_at(batch: &[u8]) -> Option<Found<'_>> {
    let magic = Magic::from_id(*batch.get(MAGIC_AT)? as i8)?;
    let number = |at: usize| Some(i32::from_be_bytes(*batch.get(at..)?.first_chunk()?));
    let (attributes_at, numbers, payload_at) = match magic {
        Magic::V2 => (22, (number(57)?, number(23)?), HEADER_LEN),
        Magic::V0 | Magic::V1 => {
            let key_at = if magic == Magic::V1 { 26 } else { 18 };
            let key_len = usize::try_from(number(key_at)?).unwrap_or(0);
            (17, (number(4)?, 0), key_at + 4 + key_len + 4)
        }
    };
    Some(Found { magic, attributes: *batch.get(attributes_at)?, numbers, payload: batch.get(payload_at..)? })
}
