//! The Kafka record batch as a value, and the part of publishing it that needs no I/O.
//!
//! A [`KafkaBatch`] is filled record by record, knows its exact size, reports when it is full, and is then sealed
//! ([`SealedBatch`]) and stamped ([`StampedBatch`]): these are the bytes of a Produce request.
//!
//! This crate reads no clock, opens no socket, spawns nothing and draws no randomness of its own. It is `no_std` with
//! `alloc`; codecs enable `std`. Applications use it through the crate `kafka-batch` and a transport; to embed it in a
//! runtime of your own, use it directly.
//!
//! | to … | see |
//! |---|---|
//! | fill a batch | [`KafkaBatch`], [`BatchOptions`], [`Record`] |
//! | make batches from a stream | [`stream`] |
//! | encode messages, with defaults for a whole call | [`message`] |
//! | publish | [`Publish`], [`Transport`]; the outcome is a [`Delivery`] or a [`DeliveryError`] |
//! | choose a partition | [`partitioner`] |
//! | read batches of any writer | [`RecordBatches`] |
//! | drive a producer yourself, as a state machine | [`machine`], and [`protocol`] for its requests and responses |
//! | test code that fills batches | `proptest`, with the feature of that name |
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

mod batch;
mod checksum;
mod compression;
mod delivery;
mod failure;
mod field;
mod headers;
pub mod machine;
mod magic;
pub mod message;
pub mod partitioner;
#[cfg(feature = "proptest")]
pub mod proptest;
pub mod protocol;
mod publish;
mod record;
mod secret;
mod splitmix64;
pub mod stream;
mod time;
mod transport;
mod varint;

pub use batch::{
    Append, AppendError, BatchHeader, BatchOptions, BatchOverflow, Boundary, CompressionRatio, ControlRecord,
    ControlRecordError, ControlType, ConvertError, DEFAULT_BATCH_SIZE, DEFAULT_MAX_DECOMPRESSED,
    DEFAULT_MAX_MESSAGE_BYTES, DecodeError, DecodeErrorKind, DecodeErrorScope, DownConversion, ExtendError, Field,
    FillOutcome, FromMessagesError, Full, FullReason, IncompleteTail, KafkaBatch, LenientRecordIter, Loss,
    LossyConversion, Mark, MessageWriter, OptionsError, RecordBatch, RecordBatches, RecordIter, RecordMetadata,
    RecordTooLarge, Records, Region, RollbackError, SealError, SealErrorReason, SealedBatch, SizePolicy, Split,
    SplitError, Stamp, StampError, StampedBatch, TimestampType,
};
pub use compression::{
    Codec, CompressError, Compression, Corruption, DecompressError, GzipLevel, LevelError, ParseCodecError,
    ParseCompressionError, ZstdLevel,
};
pub use delivery::{DeliveredRecord, Delivery};
pub use failure::{BatchLost, CodecRefused, DeliveryError, FailureReason, Fate, RecordError};
pub use field::IntoField;
pub use headers::{
    EncodedHeaders, Header, HeaderIter, HeaderList, HeaderTooLong, RawHeader, RawHeaderIter, RawHeaderList,
};
pub use magic::{BrokerVersion, InvalidBrokerVersion, Magic, MagicChoice};
pub use publish::{PreparedBatch, Publish, PublishError};
pub use record::{AsRecord, RawRecordView, Record, RecordView, TopicPartition};
pub use secret::Secret;
pub use time::Timestamp;
pub use transport::{Capabilities, FlushError, SendError, SendErrorReason, Transport};
