//! One record, as it is appended to a batch.

use crate::field::IntoField;
use crate::headers::HeaderList;
use crate::time::Timestamp;

/// A record to append to a batch.
///
/// Key and value are whatever [`IntoField`] takes: borrowed (`&str`, `&[u8]`, `&Bytes`, …) or owned (`String`, `Vec<u8>`,
/// `Bytes`, …), or an [`Option`] of that. Null and empty differ everywhere: `key: None` is null, `key: Some(b"")` is an
/// empty key.
///
/// `Record<'a>` is a record that borrows both, and is [`Copy`]. A record that owns its key or value has their types as
/// parameters, such as `Record<'static, String, Bytes>`.
///
/// Appending encodes the record into the batch and keeps nothing of it. A record passed by value is dropped, even if the
/// batch is full; to append it to the next batch in that case, borrow key and value, or pass `&record`.
///
/// # Examples
///
/// ```
/// use kafka_batch_core::{Header, KafkaBatch, Record, Timestamp};
///
/// let headers = [Header::new("unit", "°C")];
/// let record = Record::new("21.5").key("sensor-7").headers(&headers).timestamp(Timestamp::from_millis(5));
/// assert_eq!(record.key, Some(&b"sensor-7"[..]));
/// assert_eq!(Record::tombstone("sensor-7").value, None);
///
/// let mut batch = KafkaBatch::new(Timestamp::from_millis(0));
/// let owned = Record::new(format!("{:.1}", 21.5)).key(String::from("sensor-7"));
/// if batch.append(&owned)?.is_full() {
///     // `owned` can be appended to the next batch.
/// }
/// # Ok::<(), kafka_batch_core::AppendError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
// Exhaustive on purpose: these are the fields of every format, and a record is made and matched as a literal.
pub struct Record<'a, K = &'a [u8], V = &'a [u8]> {
    /// The key, or null.
    pub key: Option<K>,
    /// The value, or null (a tombstone, on a compacted topic).
    pub value: Option<V>,
    /// The headers, in order. Magic 0 and 1 cannot carry any.
    pub headers: HeaderList<'a>,
    /// The timestamp; `None` takes the time of the batch ([`KafkaBatch::now`](crate::KafkaBatch::now)). Magic 0 carries no
    /// timestamps.
    pub timestamp: Option<Timestamp>,
}

impl<'a> Record<'a> {
    /// Creates a record with this value, and neither key nor headers.
    #[must_use]
    #[inline(always)]
    pub fn new<V: IntoField<'a>>(value: V) -> Record<'a, &'a [u8], V::Field> {
        Record { key: None, value: value.into_field(), headers: HeaderList::EMPTY, timestamp: None }
    }

    /// Creates a record that deletes `key` from a compacted topic: its value is null.
    #[must_use]
    #[inline(always)]
    pub fn tombstone<K: IntoField<'a>>(key: K) -> Record<'a, K::Field> {
        Record { key: key.into_field(), value: None, headers: HeaderList::EMPTY, timestamp: None }
    }
}

impl<'a, K, V> Record<'a, K, V> {
    /// Sets the key.
    #[must_use]
    #[inline(always)]
    pub fn key<F: IntoField<'a>>(self, key: F) -> Record<'a, F::Field, V> {
        let Self { value, headers, timestamp, .. } = self;
        Record { key: key.into_field(), value, headers, timestamp }
    }

    /// Sets the headers, in order.
    #[must_use]
    #[inline(always)]
    pub fn headers(mut self, headers: impl Into<HeaderList<'a>>) -> Self {
        self.headers = headers.into();
        self
    }

    /// Sets the timestamp.
    #[must_use]
    #[inline(always)]
    pub fn timestamp(mut self, timestamp: impl Into<Timestamp>) -> Self {
        self.timestamp = Some(timestamp.into());
        self
    }
}

/// The default is a record without key, value, headers and timestamp.
impl Default for Record<'_> {
    fn default() -> Self {
        Self { key: None, value: None, headers: HeaderList::EMPTY, timestamp: None }
    }
}

/// A type that [`KafkaBatch::append`](crate::KafkaBatch::append) takes: a [`Record`], or what can be seen as one.
///
/// # Examples
///
/// ```
/// use kafka_batch_core::record::AsRecord;
/// use kafka_batch_core::{KafkaBatch, Record, Timestamp};
///
/// struct Reading {
///     sensor: String,
///     celsius: [u8; 4],
/// }
///
/// impl AsRecord for Reading {
///     fn as_record(&self) -> Record<'_> {
///         Record::new(&self.celsius).key(&self.sensor)
///     }
/// }
///
/// let mut batch = KafkaBatch::new(Timestamp::from_millis(0));
/// batch.extend(&[Reading { sensor: "sensor-7".into(), celsius: 21.5_f32.to_be_bytes() }])?;
/// assert_eq!(batch.records().next().and_then(|record| record.key), Some(&b"sensor-7"[..]));
/// # Ok::<(), kafka_batch_core::ExtendError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a record",
    label = "expected a `Record`, or a type that implements `AsRecord`",
    note = "make a record of a value by `Record::new(value)`, and give it a key by `.key(key)`",
    note = "messages are appended by `batch.messages(&defaults).append(&message)`, which sets their content type"
)]
pub trait AsRecord {
    /// Returns the record, borrowed from `self`.
    fn as_record(&self) -> Record<'_>;
}

impl<K: AsRef<[u8]>, V: AsRef<[u8]>> AsRecord for Record<'_, K, V> {
    #[inline(always)]
    fn as_record(&self) -> Record<'_> {
        Record {
            key: self.key.as_ref().map(AsRef::as_ref),
            value: self.value.as_ref().map(AsRef::as_ref),
            headers: self.headers,
            timestamp: self.timestamp,
        }
    }
}

#[diagnostic::do_not_recommend]
impl<R: AsRecord + ?Sized> AsRecord for &R {
    #[inline(always)]
    fn as_record(&self) -> Record<'_> {
        (**self).as_record()
    }
}
