//! Traits for keys, values and whole records of your own types, and headers that many records share.
//!
//! | to … | see |
//! |---|---|
//! | find out which types can be keys and values | [`IntoField`] |
//! | append values of your own type | [`AsRecord`] |
//! | encode headers once for many records | [`EncodedHeaders`] |
//! | read the headers of a record | [`HeaderIter`], the iterator of a [`HeaderList`] |
//!
//! # Examples
//!
//! ```
//! use kafka_batch_core::record::EncodedHeaders;
//! use kafka_batch_core::{Header, KafkaBatch, Record, Timestamp};
//!
//! let shared = EncodedHeaders::new(&[Header::new("unit", "°C")])?;
//! let mut batch = KafkaBatch::new(Timestamp::from_millis(0));
//! for (sensor, value) in [("sensor-7", "21.5"), ("sensor-8", "19.0")] {
//!     let _ = batch.append(Record::new(value).key(sensor).headers(&shared))?;
//! }
//! assert!(batch.records().all(|record| record.headers.last("unit").is_some()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub(crate) mod to_append;
pub(crate) mod topic_partition;
pub(crate) mod view;

pub use self::to_append::AsRecord;
pub use crate::field::IntoField;
pub use crate::headers::{EncodedHeaders, HeaderIter, HeaderTooLong};

// The root and the module `decode` export these.
pub(crate) use self::to_append::Record;
pub(crate) use self::topic_partition::TopicPartition;
pub(crate) use self::view::{RawRecordView, RecordView};
#[cfg(doc)]
use crate::headers::HeaderList;
