//! Kafka record batches, and a Kafka producer without I/O.
//!
//! A [`KafkaBatch`] is filled record by record. It knows its exact size, reports when it is full, and is then sealed
//! ([`SealedBatch`]: compressed, with a size that is final) and stamped ([`StampedBatch`]: with producer id, epoch and
//! sequence). The result is the record set of a Produce request. [`RecordBatches`] decodes batches of any writer, and
//! [`machine`] is a producer as a state machine: it encodes requests, decodes responses, and decides on retries.
//!
//! Use this crate through `kafka-batch` and one of its transports; use it directly to embed the producer in a runtime of
//! your own. It does not read the clock, open sockets, spawn tasks or generate random numbers: the caller passes time and
//! seeds. It is `no_std` with `alloc`; the features of the codecs enable `std`.
//!
//! | to … | see |
//! |---|---|
//! | fill a batch | [`KafkaBatch`], [`BatchOptions`], [`Record`] |
//! | build batches from a stream of records | [`stream`] |
//! | encode messages as records, with defaults for all of them | [`message`] |
//! | publish | [`Publish`], [`Transport`]; the outcome is a [`Delivery`] or a [`DeliveryError`] |
//! | choose a partition | [`partitioner`] |
//! | decode batches | [`RecordBatches`] |
//! | drive the producer state machine | [`machine`] |
//! | encode requests and decode responses | [`protocol`] |
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
mod send_error;
mod send_message;
mod splitmix64;
pub mod stream;
mod time;
mod transport;
mod transport_error;
mod varint;

pub use batch::{
    Append, AppendError, BatchHeader, BatchOptions, BatchOverflow, Boundary, CompressionRatio, ControlRecord,
    ControlRecordError, ControlType, ConvertError, DEFAULT_BATCH_SIZE, DEFAULT_MAX_DECOMPRESSED,
    DEFAULT_MAX_MESSAGE_BYTES, DecodeError, DecodeErrorKind, DecodeErrorScope, DownConversion, ExtendError, Field,
    FillOutcome, FromMessagesError, Full, FullReason, IncompleteTail, KafkaBatch, LenientRecordIter, Loss,
    LossyConversion, Mark, MessageWriter, OptionsError, RecordBatch, RecordBatches, RecordComposer, RecordIter,
    RecordMetadata, RecordTooLarge, Records, Region, RollbackError, SealError, SealErrorReason, SealedBatch,
    SizePolicy, Split, SplitError, Stamp, StampError, StampedBatch, TimestampType,
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
pub use send_error::{AuthenticationError, FlushError, FlushErrorReason, NoBrokerCause, SendError, SendErrorReason};
pub use send_message::{
    Destination, EnqueueError, EnqueueErrorReason, RecordDelivery, RecordDeliveryError, Rejection, SendMessageError,
};
pub use time::Timestamp;
pub use transport::{BoxPending, BoxTransport, Capabilities, Transport};
pub use transport_error::TransportError;
