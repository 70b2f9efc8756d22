//! Record sets written by hand, each field of which can be wrong. Compression is the oracle's.

use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{BufMut as _, Bytes, BytesMut};
use kafka_batch_witnesses::kafka_protocol::compression::{Compressor, Gzip, Lz4, Snappy, Zstd};

/// The timestamp of records, in milliseconds.
pub(crate) const TIME: i64 = 1_700_000_000_000;

/// The timestamp of idempotent producers' records: an hour ago, since Kafka forgets producers whose records are old.
pub(crate) static RECENT: LazyLock<i64> = LazyLock::new(|| {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_millis() as i64 - 3_600_000
});

/// The codecs: a name, and the number in the attributes.
pub(crate) const CODECS: [(&str, i16); 4] = [("gzip", 1), ("snappy", 2), ("lz4", 3), ("zstd", 4)];

/// A record of magic 2.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// `None`: its position.
    pub(crate) offset_delta: Option<i32>,
    pub(crate) timestamp_delta: i64,
    pub(crate) attributes: u8,
    pub(crate) key: Option<&'static [u8]>,
    pub(crate) value: Option<Vec<u8>>,
    /// What is added to its length.
    pub(crate) length_error: i32,
    /// What is added to the length of its key.
    pub(crate) key_length_error: i32,
    /// The headers, with their number.
    pub(crate) headers: Vec<u8>,
}

impl Record {
    pub(crate) fn new(value: &str) -> Self {
        Self {
            offset_delta: None,
            timestamp_delta: 0,
            attributes: 0,
            key: Some(b"k"),
            value: Some(value.into()),
            length_error: 0,
            key_length_error: 0,
            headers: vec![0],
        }
    }

    fn bytes(&self, position: i32) -> Vec<u8> {
        let mut body = vec![self.attributes];
        varint(&mut body, self.timestamp_delta);
        varint(&mut body, self.offset_delta.unwrap_or(position).into());
        match self.key {
            Some(key) => {
                varint(&mut body, key.len() as i64 + i64::from(self.key_length_error));
                body.extend_from_slice(key);
            }
            None => varint(&mut body, -1),
        }
        match &self.value {
            Some(value) => {
                varint(&mut body, value.len() as i64);
                body.extend_from_slice(value);
            }
            None => varint(&mut body, -1),
        }
        body.extend_from_slice(&self.headers);
        let mut record = Vec::new();
        varint(&mut record, body.len() as i64 + i64::from(self.length_error));
        record.extend_from_slice(&body);
        record
    }
}

fn varint(bytes: &mut Vec<u8>, value: i64) {
    let mut left = ((value << 1) ^ (value >> 63)) as u64;
    while left >= 0x80 {
        bytes.push(left as u8 | 0x80);
        left >>= 7;
    }
    bytes.push(left as u8);
}

/// A batch of magic 2. Fields that are `None` get the right value.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) base_offset: i64,
    pub(crate) length: Option<i32>,
    /// What is added to the length.
    pub(crate) length_error: i32,
    pub(crate) leader_epoch: i32,
    pub(crate) magic: i8,
    pub(crate) crc: Option<u32>,
    /// All attributes but the codec.
    pub(crate) attributes: i16,
    pub(crate) codec: i16,
    pub(crate) last_offset_delta: Option<i32>,
    pub(crate) base_timestamp: i64,
    pub(crate) max_timestamp: Option<i64>,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) base_sequence: i32,
    pub(crate) count: Option<i32>,
    pub(crate) records: Vec<Record>,
    /// What follows the last record inside the batch, before compression.
    pub(crate) after_records: Vec<u8>,
    /// What is in the place of the records, compressed or not.
    pub(crate) payload: Option<Vec<u8>>,
    /// What follows the payload inside the batch.
    pub(crate) after_payload: Vec<u8>,
    /// What follows the batch.
    pub(crate) after: Vec<u8>,
}

impl Batch {
    pub(crate) fn of(records: Vec<Record>) -> Self {
        Self {
            base_offset: 0,
            length: None,
            length_error: 0,
            leader_epoch: -1,
            magic: 2,
            crc: None,
            attributes: 0,
            codec: 0,
            last_offset_delta: None,
            base_timestamp: TIME,
            max_timestamp: None,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            count: None,
            records,
            after_records: Vec::new(),
            payload: None,
            after_payload: Vec::new(),
            after: Vec::new(),
        }
    }

    /// Returns a batch of three small records.
    pub(crate) fn three() -> Self {
        let later = |value, timestamp_delta| Record { timestamp_delta, ..Record::new(value) };
        Self::of(vec![Record::new("a"), later("b", 1), later("c", 2)])
    }

    /// Returns a batch of an idempotent producer.
    pub(crate) fn stamped(producer_id: i64, producer_epoch: i16, base_sequence: i32, records: usize) -> Self {
        let records = vec![Record::new("v"); records];
        Self { producer_id, producer_epoch, base_sequence, base_timestamp: *RECENT, ..Self::of(records) }
    }

    pub(crate) fn bytes(&self) -> Bytes {
        let position = |(position, record): (usize, &Record)| record.bytes(position as i32);
        let mut plain: Vec<u8> = self.records.iter().enumerate().flat_map(position).collect();
        plain.extend_from_slice(&self.after_records);
        let payload = self.payload.clone().unwrap_or_else(|| compressed(self.codec, &plain));
        let count = self.records.len() as i32;
        let latest = self.records.iter().map(|record| self.base_timestamp + record.timestamp_delta).max();
        let mut covered = Vec::new();
        covered.put_i16(self.attributes | self.codec);
        covered.put_i32(self.last_offset_delta.unwrap_or(count - 1));
        covered.put_i64(self.base_timestamp);
        covered.put_i64(self.max_timestamp.or(latest).unwrap_or(-1));
        covered.put_i64(self.producer_id);
        covered.put_i16(self.producer_epoch);
        covered.put_i32(self.base_sequence);
        covered.put_i32(self.count.unwrap_or(count));
        covered.extend_from_slice(&payload);
        covered.extend_from_slice(&self.after_payload);
        let mut bytes = BytesMut::new();
        bytes.put_i64(self.base_offset);
        bytes.put_i32(self.length.unwrap_or(covered.len() as i32 + 9 + self.length_error));
        bytes.put_i32(self.leader_epoch);
        bytes.put_i8(self.magic);
        bytes.put_u32(self.crc.unwrap_or_else(|| crc(&covered, 0x82f6_3b78)));
        bytes.extend_from_slice(&covered);
        bytes.extend_from_slice(&self.after);
        bytes.freeze()
    }
}

/// Returns a message of magic 0 or 1.
pub(crate) fn message(magic: u8, attributes: u8, key: Option<&[u8]>, value: Option<&[u8]>) -> Bytes {
    let mut covered = vec![magic, attributes];
    if magic == 1 {
        covered.put_i64(TIME);
    }
    for field in [key, value] {
        covered.put_i32(field.map_or(-1, |bytes| bytes.len() as i32));
        covered.extend_from_slice(field.unwrap_or_default());
    }
    let mut bytes = BytesMut::new();
    bytes.put_i64(0);
    bytes.put_i32(covered.len() as i32 + 4);
    bytes.put_u32(crc(&covered, 0xedb8_8320));
    bytes.extend_from_slice(&covered);
    bytes.freeze()
}

/// Compresses bytes with the oracle's codecs.
pub(crate) fn compressed(codec: i16, plain: &[u8]) -> Vec<u8> {
    fn by<C: Compressor<BytesMut>>(plain: &[u8]) -> Vec<u8> {
        let mut bytes = BytesMut::new();
        let written = C::compress(&mut bytes, |buffer| {
            buffer.put_slice(plain);
            Ok(())
        });
        written.unwrap();
        bytes.to_vec()
    }
    match codec {
        1 => by::<Gzip>(plain),
        2 => by::<Snappy>(plain),
        3 => by::<Lz4>(plain),
        4 => by::<Zstd>(plain),
        _ => plain.to_vec(),
    }
}

/// A reflected CRC of 32 bits, bit by bit.
fn crc(bytes: &[u8], polynomial: u32) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { polynomial } else { 0 };
        }
    }
    !crc
}
