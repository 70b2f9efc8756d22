//! The Kafka batch as a value: fill it record by record, know its exact size, decide what happens when it is full, seal it,
//! read it back. Also the part of publishing it that needs no I/O.
//!
//! This crate reads no clock, opens no socket, spawns nothing and draws no randomness of its own. It is `no_std` with
//! `alloc`; codecs switch `std` on. Applications use it through the crate `kafka-batch` and a transport; to embed it in
//! a runtime of your own, use it directly.
//!
//! - [`KafkaBatch`] is filled, [`SealedBatch`] is final, [`StampedBatch`] is what goes out.
//! - [`BatchStream`] makes batches from a stream of messages; [`RollingBatch`] does so record by record.
//! - [`RecordBatches`] reads batches, from any writer.
//! - [`Message`], [`Defaults`] and [`Publish`] turn what an application has into records.
//! - [`Transport`] is what the transport crates implement; [`Delivery`] and [`DeliveryError`] are their answers.
//! - [`producer`] is a whole producer as a state machine, and [`protocol`] the messages that it speaks.
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
mod headers;
#[cfg(feature = "proptest")]
pub mod kit;
mod magic;
mod message;
mod partition;
pub mod producer;
pub mod protocol;
mod publish;
mod record;
mod secret;
mod time;
mod transport;
mod varint;

pub use batch::{
    Append, AppendError, BatchHeader, BatchOptions, BatchOverflow, BatchStream, Boundary, CompressionRatio,
    ControlRecord, ControlRecordError, ControlType, ConversionRefused, ConvertError, DEFAULT_BATCH_SIZE,
    DEFAULT_MAX_DECOMPRESSED, DEFAULT_MAX_MESSAGE_BYTES, DecodeError, DecodeErrorKind, DownConversion, ExtendError,
    Field, Filled, Full, FullReason, IncompleteTail, KafkaBatch, Loss, Mark, MessageWriter, Misfit, NumberedBatch,
    OfMessagesError, OptionsError, Placed, Polled, RecordBatch, RecordBatches, RecordIter, RecordMetadata,
    RecordTooLarge, Records, Region, RollbackError, RolledBatch, RollingBatch, SealError, SealErrorReason, SealedBatch,
    SizePolicy, Split, SplitError, Stamp, StampError, StampedBatch, TimestampType,
};
pub use compression::{
    Codec, CompressError, Compression, Corruption, DecompressError, GzipLevel, LevelError, ParseCodecError,
    ParseCompressionError, ZstdLevel,
};
pub use delivery::{DeliveredRecord, Delivery};
pub use failure::{CodecRefused, DeliveryError, FailureReason, Fate, RecordError};
pub use headers::{EncodedHeaders, Header, HeaderIter, HeaderList, HeaderTooLong, merge_headers};
pub use magic::{BrokerVersion, InvalidBrokerVersion, Magic, MagicChoice};
#[cfg(feature = "json")]
pub use message::Json;
pub use message::{Defaults, EncodeError, KeyOverride, Message, Outgoing, Overrides, Payload, Tombstone};
pub use partition::{StickyPartitioner, partition_for_key};
pub use publish::{Publish, PublishError, ReadyToSend};
pub use record::{Record, RecordView, TopicPartition};
pub use secret::Secret;
pub use time::Timestamp;
pub use transport::{Capabilities, FlushError, SendError, SendErrorReason, Transport};
