//! One record: as it goes into a batch ([`Record`]), and as it comes out of one ([`RecordView`]).

use alloc::string::String;
use core::fmt;
use core::str::Utf8Error;

use crate::headers::{HeaderList, RawHeaderList};
use crate::time::Timestamp;

/// A record to append: borrowed, so a refused one is still the caller's.
///
/// Null and empty are different everywhere: `key: None` is null, `key: Some(b"")` is an empty key.
///
/// ```
/// use kafka_batch_core::{Header, Record, Timestamp};
///
/// let headers = [Header::new("unit", "°C")];
/// let record = Record::new("21.5").key("sensor-7").headers(&headers).timestamp(Timestamp::from_millis(5));
/// assert_eq!(record.key, Some(&b"sensor-7"[..]));
/// assert_eq!(Record::tombstone("sensor-7").value, None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record<'a> {
    /// The key, or null.
    pub key: Option<&'a [u8]>,
    /// The value, or null (a tombstone, on a compacted topic).
    pub value: Option<&'a [u8]>,
    /// The headers. Magic 0 and 1 cannot carry any.
    pub headers: HeaderList<'a>,
    /// When it happened; `None` takes the time that the batch was given. Magic 0 carries no timestamps.
    pub timestamp: Option<Timestamp>,
}

impl<'a> Record<'a> {
    /// A record with this value, and neither key nor headers.
    #[must_use]
    pub fn new<V: AsRef<[u8]> + ?Sized>(value: &'a V) -> Self {
        Self { value: Some(value.as_ref()), ..Self::default() }
    }

    /// A record that deletes `key` from a compacted topic: its value is null.
    #[must_use]
    pub fn tombstone<K: AsRef<[u8]> + ?Sized>(key: &'a K) -> Self {
        Self { key: Some(key.as_ref()), ..Self::default() }
    }

    /// With this key.
    #[must_use]
    pub fn key<K: AsRef<[u8]> + ?Sized>(mut self, key: &'a K) -> Self {
        self.key = Some(key.as_ref());
        self
    }

    /// With these headers, in their order.
    #[must_use]
    pub fn headers(mut self, headers: impl Into<HeaderList<'a>>) -> Self {
        self.headers = headers.into();
        self
    }

    /// With this timestamp.
    #[must_use]
    pub fn timestamp(mut self, timestamp: impl Into<Timestamp>) -> Self {
        self.timestamp = Some(timestamp.into());
        self
    }
}

/// A record read from a batch: views into its bytes, nothing copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordView<'a> {
    /// Its offset: relative to the batch's start in a batch that is being filled, absolute in one from a log.
    pub offset: i64,
    /// Its timestamp: the batch's max timestamp under log-append-time; [`Timestamp::NO_TIMESTAMP`] in magic 0.
    pub timestamp: Timestamp,
    /// The key, or null.
    pub key: Option<&'a [u8]>,
    /// The value, or null.
    pub value: Option<&'a [u8]>,
    /// The headers, in their order.
    pub headers: HeaderList<'a>,
}

impl<'a> RecordView<'a> {
    /// The same record, ready to be appended to another batch.
    #[must_use]
    pub const fn to_record(&self) -> Record<'a> {
        Record { key: self.key, value: self.value, headers: self.headers, timestamp: Some(self.timestamp) }
    }
}

impl<'a> From<RecordView<'a>> for Record<'a> {
    fn from(view: RecordView<'a>) -> Self {
        view.to_record()
    }
}

/// A record read from a batch, with the names of its headers as bytes: see [`Records::iter_lenient`](crate::Records::iter_lenient).
///
/// It converts into a [`RecordView`] if the names are UTF-8, and a `RecordView` into it always.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RawRecordView<'a> {
    /// Its offset, as in [`RecordView`].
    pub offset: i64,
    /// Its timestamp, as in [`RecordView`].
    pub timestamp: Timestamp,
    /// The key, or null.
    pub key: Option<&'a [u8]>,
    /// The value, or null.
    pub value: Option<&'a [u8]>,
    /// The headers, in their order.
    pub headers: RawHeaderList<'a>,
}

impl<'a> From<RecordView<'a>> for RawRecordView<'a> {
    fn from(view: RecordView<'a>) -> Self {
        let RecordView { offset, timestamp, key, value, headers } = view;
        Self { offset, timestamp, key, value, headers: headers.into() }
    }
}

impl<'a> TryFrom<RawRecordView<'a>> for RecordView<'a> {
    type Error = Utf8Error;

    /// Converts, if the names of all headers are UTF-8.
    ///
    /// # Errors
    /// That of the first name that is not.
    fn try_from(view: RawRecordView<'a>) -> Result<Self, Utf8Error> {
        let RawRecordView { offset, timestamp, key, value, headers } = view;
        Ok(Self { offset, timestamp, key, value, headers: headers.try_into()? })
    }
}

/// A partition of a topic: where a batch goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: String,
    /// The partition's number, counted from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// Partition `partition` of `topic`.
    pub fn new(topic: impl Into<String>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}
