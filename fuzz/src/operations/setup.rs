//! Settings and records as the fuzzer gives them.

use arbitrary::Arbitrary;
use kafka_batch_core::batch::{Boundary, CompressionRatio};
use kafka_batch_core::compression::Codec;
use kafka_batch_core::proptest::{OwnedHeader, OwnedRecord};
use kafka_batch_core::{BatchOptions, Compression, Magic, MagicChoice, SizePolicy, Timestamp};
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
    pub(super) fn now(&self) -> Timestamp {
        self.now.into()
    }

    pub(super) fn options(&self) -> BatchOptions {
        let codec = Codec::ALL[usize::from(self.codec) % Codec::ALL.len()];
        let mut options = BatchOptions::default()
            .batch_size(self.batch_size.into())
            .boundary(if self.aiokafka { Boundary::Aiokafka } else { Boundary::Inclusive })
            .compression(Compression::with_default_level(codec).expect("all are compiled in"));
        if let Some(bytes) = self.max_message_bytes {
            options = options.max_message_bytes(bytes.into());
        }
        if let Some(records) = self.max_records {
            options = options.max_records(records.into());
        }
        if let Some(magic) = self.magic {
            options = options.magic(MagicChoice::Pinned(Magic::ALL[usize::from(magic) % 3]));
        }
        if let Some(ratio) = self.estimated {
            options = options.size_policy(SizePolicy::Estimated(CompressionRatio::new(ratio)));
        }
        if let Some(bytes) = self.capacity {
            options = options.capacity(bytes.into());
        }
        if let Some(partitions) = self.partitions.and_then(|count| NonZeroU32::new(count.into())) {
            options = options.route_by_key(partitions);
        }
        if let Some(horizon) = self.delete_horizon {
            options = options.delete_horizon(horizon);
        }
        options
    }
}

#[derive(Arbitrary, Clone, Debug)]
pub struct Record {
    key: Bytes,
    value: Bytes,
    headers: Vec<(Name, Bytes)>,
    timestamp: Time,
    /// Whether encoded headers are to be tried, too.
    encoded: bool,
}

/// Bytes or null; long ones at little cost, so that limits are met.
#[derive(Arbitrary, Clone, Debug)]
enum Bytes {
    Null,
    Short(Vec<u8>),
    Repeated { len: u16, byte: u8 },
}

impl Bytes {
    fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::Null => None,
            Self::Short(bytes) => Some(bytes.clone()),
            Self::Repeated { len, byte } => Some(vec![*byte; usize::from(*len) % 20_000]),
        }
    }
}

#[derive(Arbitrary, Clone, Debug)]
enum Name {
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

impl Record {
    pub(super) const fn is_encoded(&self) -> bool {
        self.encoded
    }

    pub(super) fn owned(&self) -> OwnedRecord {
        let header = |(name, value): &(Name, Bytes)| OwnedHeader { name: name.text().to_owned(), value: value.bytes() };
        OwnedRecord {
            key: self.key.bytes(),
            value: self.value.bytes(),
            headers: self.headers.iter().map(header).collect(),
            timestamp: match self.timestamp {
                Time::OfTheBatch => None,
                Time::Early(millis) => Some(Timestamp::from_millis(i64::from(millis))),
                Time::Any(millis) => Some(Timestamp::from_millis(millis)),
            },
        }
    }

    pub(super) fn with_value(&self, len: usize) -> Self {
        Self { value: Bytes::Short(vec![b'v'; len]), ..self.clone() }
    }
}
