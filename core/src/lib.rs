//! Kafka record batches, and a Kafka producer without I/O.
//!
//! A [`KafkaBatch`] is filled record by record. It knows its exact size, reports when it is full, and is then sealed
//! ([`SealedBatch`]: compressed, with a size that is final) and [stamped](batch::Stamp) with producer id, epoch and sequence.
//! The result is the record set of a Produce request. [`decode`] reads batches of any writer, and [`machine`] is a producer
//! as a state machine: it encodes requests, decodes responses, and decides on retries.
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
//! | append values of your own types; share headers | [`record`] |
//! | undo appends, split and stamp a batch | [`batch`] |
//! | choose a codec and its level | [`Compression`], [`compression`] |
//! | publish | [`Publish`], [`Transport`]; the outcome is a [`Delivery`] or a [`DeliveryError`] |
//! | publish a stream of messages to many partitions | [`publisher`] |
//! | choose a partition | [`partitioner`] |
//! | send to brokers before Kafka 0.11 | [`BrokerVersion`], [`convert`] |
//! | observe batches: outcomes, retries, changes of leaders | [`observer`] |
//! | decode batches | [`decode`] |
//! | drive the producer state machine | [`machine`] |
//! | encode requests and decode responses | [`protocol`] |
//! | test code that fills batches | `proptest`, with the feature of that name |
//!
//! The root has the types that most programs name, among them the error of each operation; the parts of these errors are in
//! [`error`].
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

pub mod batch;
mod cause;
mod checksum;
pub mod compression;
pub mod convert;
mod counted;
pub mod decode;
mod delivery;
mod due_to;
pub mod error;
#[cfg(test)]
mod error_texts;
mod failure;
mod field;
mod headers;
pub mod machine;
mod magic;
pub mod message;
pub mod observer;
mod one_line;
mod outgoing;
pub mod partitioner;
#[cfg(feature = "proptest")]
pub mod proptest;
pub mod protocol;
mod publish;
pub mod publisher;
pub mod record;
mod secret;
mod send_error;
mod send_message;
mod splitmix64;
pub mod stream;
mod time;
pub mod transaction;
mod transport;
mod transport_error;
mod varint;

pub use batch::kafka_batch::KafkaBatch;
pub use batch::options::{BatchOptions, DEFAULT_BATCH_SIZE, DEFAULT_MAX_MESSAGE_BYTES, SizePolicy};
pub use batch::outcome::{
    Append, AppendError, Appended, AppendedRecord, BatchOverflow, ExtendError, FillOutcome, Full, FullReason,
};
pub use batch::seal::{SealError, SealErrorReason, SealedBatch};
pub use compression::Compression;
pub use delivery::{DeliveredRecord, Delivery};
pub use failure::{DeliveryError, FailureReason, Fate, RecordError};
pub use headers::{Header, HeaderList};
pub use magic::{BrokerVersion, Magic, MagicChoice};
pub use publish::{PreparedBatch, Publish, PublishError};
pub use record::to_append::Record;
pub use record::topic_partition::TopicPartition;
pub use send_error::{FlushError, FlushErrorReason, SendError, SendErrorReason};
pub use send_message::{
    Destination, EnqueueError, EnqueueErrorReason, RecordDelivery, RecordDeliveryError, SendMessageError,
};
pub use time::Timestamp;
pub use transport::{BoxPending, BoxTransport, Capabilities, TransactionGuarantee, Transport};
