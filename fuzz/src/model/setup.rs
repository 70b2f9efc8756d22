//! Settings and records as the fuzzer gives them.

use super::{Kept, Limits};
use arbitrary::Arbitrary;
use kafka_batch_core::{
    BatchOptions, Boundary, Codec, Compression, CompressionRatio, DEFAULT_MAX_MESSAGE_BYTES, EncodedHeaders, Header,
    KafkaBatch, Magic, MagicChoice, SizePolicy, Timestamp,
};
use std::num::NonZeroU32;

#[derive(Arbitrary, Clone, Debug)]
pub struct Setup {
    batch_size: u16,
    max_message_bytes: Option<u16>,
    max_records: Option<u8>,
    codec: u8,
    magic: Option<u8>,
    estimated: Option<f32>,
    aiokafka: bool,
    capacity: Option<u16>,
    partitions: Option<u8>,
    delete_horizon: Option<i64>,
    now: i64,
}

impl Setup {
    pub(super) fn batch(&self) -> Option<KafkaBatch> {
        let Limits { batch_size, max_message_bytes, partitions, .. } = self.limits();
        let mut options = BatchOptions::default()
            .batch_size(batch_size)
            .max_message_bytes(max_message_bytes)
            .boundary(if self.aiokafka { Boundary::Aiokafka } else { Boundary::Inclusive })
            .compression(Compression::with_default_level(self.codec()).expect("all are compiled in"));
        if let Some(records) = self.max_records {
            options = options.max_records(u32::from(records));
        }
        if let Some(magic) = self.magic {
            options = options.magic(MagicChoice::Pinned(Magic::ALL[usize::from(magic) % 3]));
        }
        if let Some(ratio) = self.estimated {
            options = options.size_policy(SizePolicy::Estimated(CompressionRatio::new(ratio)));
        }
        if let Some(bytes) = self.capacity {
            options = options.capacity(usize::from(bytes));
        }
        if let Some(partitions) = partitions {
            options = options.route_by_key(partitions);
        }
        if let Some(horizon) = self.delete_horizon {
            options = options.delete_horizon(horizon);
        }
        options.build(self.now).ok()
    }

    pub(super) fn codec(&self) -> Codec {
        Codec::ALL[usize::from(self.codec) % Codec::ALL.len()]
    }

    pub(super) fn limits(&self) -> Limits {
        Limits {
            batch_size: usize::from(self.batch_size),
            max_message_bytes: self.max_message_bytes.map_or(DEFAULT_MAX_MESSAGE_BYTES, usize::from),
            max_records: self.max_records.map_or(i32::MAX as usize, |records| usize::from(records).max(1)),
            inclusive: !self.aiokafka,
            estimated: self.estimated.is_some(),
            partitions: self.partitions.and_then(|count| NonZeroU32::new(u32::from(count))),
            horizon: self.delete_horizon.map(Timestamp::from_millis),
        }
    }
}

#[derive(Arbitrary, Clone, Debug)]
pub struct Record {
    pub(super) key: Bytes,
    value: Bytes,
    pub(super) headers: Vec<(Name, Bytes)>,
    timestamp: Time,
    /// Whether the headers come encoded.
    encoded: bool,
}

/// Bytes or null; long ones at little cost, so that limits are met.
#[derive(Arbitrary, Clone, Debug)]
pub(super) enum Bytes {
    Null,
    Short(Vec<u8>),
    Repeated { len: u16, byte: u8 },
}

impl Bytes {
    pub(super) fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::Null => None,
            Self::Short(bytes) => Some(bytes.clone()),
            Self::Repeated { len, byte } => Some(vec![*byte; usize::from(*len) % 20_000]),
        }
    }
}

#[derive(Arbitrary, Clone, Debug)]
pub(super) enum Name {
    Known(u8),
    Other(String),
}

impl Name {
    fn text(&self) -> &str {
        match self {
            Self::Known(index) => ["", "a", "b", "größe", "trace"][usize::from(*index) % 5],
            Self::Other(text) => text,
        }
    }
}

#[derive(Arbitrary, Clone, Debug)]
enum Time {
    OfTheBatch,
    Early(u16),
    Any(i64),
}

/// Everything of a record that somebody has to own.
#[derive(Debug)]
pub(super) struct Owned {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

/// A record's headers, in one form or the other.
#[derive(Debug)]
pub(super) enum Headers<'a> {
    List(Vec<Header<'a>>),
    Encoded(EncodedHeaders),
}

impl Record {
    pub(super) fn own(&self) -> Owned {
        let headers = self.headers.iter().map(|(name, value)| (name.text().to_owned(), value.bytes())).collect();
        Owned { key: self.key.bytes(), value: self.value.bytes(), headers }
    }

    pub(super) fn with_value(&self, len: usize) -> Self {
        Self { value: Bytes::Short(vec![b'v'; len]), ..self.clone() }
    }

    pub(super) fn headers<'a>(&self, owned: &'a Owned) -> Headers<'a> {
        let list: Vec<_> = owned.headers.iter().map(|(name, value)| Header { name, value: value.as_deref() }).collect();
        match self.encoded {
            true => Headers::Encoded(EncodedHeaders::new(&list).expect("they are short")),
            false => Headers::List(list),
        }
    }

    pub(super) fn record<'a>(&self, owned: &'a Owned, headers: &'a Headers<'a>) -> kafka_batch_core::Record<'a> {
        let headers = match headers {
            Headers::List(list) => list.into(),
            Headers::Encoded(encoded) => encoded.into(),
        };
        let timestamp = match self.timestamp {
            Time::OfTheBatch => None,
            Time::Early(millis) => Some(Timestamp::from_millis(i64::from(millis))),
            Time::Any(millis) => Some(Timestamp::from_millis(millis)),
        };
        kafka_batch_core::Record { key: owned.key.as_deref(), value: owned.value.as_deref(), headers, timestamp }
    }

    /// What it is once it is in `batch`.
    pub(super) fn kept(&self, batch: &KafkaBatch, offset: i64) -> Kept {
        let owned = self.own();
        let timestamp = match self.timestamp {
            _ if batch.magic() == Magic::V0 => -1,
            Time::OfTheBatch => batch.now().millis(),
            Time::Early(millis) => i64::from(millis),
            Time::Any(millis) => millis,
        };
        Kept { offset, timestamp, key: owned.key, value: owned.value, headers: owned.headers }
    }
}
