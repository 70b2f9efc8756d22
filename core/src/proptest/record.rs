//! Records that own their bytes, and print them abbreviated when a test fails.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::headers::{Header, HeaderList};
use crate::magic::Magic;
use crate::record::{AsRecord, Record, RecordView};
use crate::time::Timestamp;

/// A record that owns its bytes, as strategies generate and a [`Model`](super::Model) stores them.
///
/// # Examples
///
/// ```
/// use kafka_batch_core::proptest::{OwnedHeader, OwnedRecord};
/// use kafka_batch_core::{KafkaBatch, Timestamp};
///
/// let record = OwnedRecord {
///     value: Some(b"21.5".to_vec()),
///     headers: vec![OwnedHeader::new("unit", "°C"), OwnedHeader::null("unit")],
///     ..OwnedRecord::default()
/// };
/// let mut batch = KafkaBatch::new(Timestamp::from_millis(7));
/// let _ = batch.append(record.borrowed())?;
/// assert_eq!(OwnedRecord::from(batch.records().next().unwrap()).headers, record.headers);
/// # Ok::<(), kafka_batch_core::AppendError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
// Exhaustive on purpose: it has the fields of a [`Record`](crate::Record).
pub struct OwnedRecord {
    /// The key, or null.
    pub key: Option<Vec<u8>>,
    /// The value, or null.
    pub value: Option<Vec<u8>>,
    /// The headers, in order.
    pub headers: Vec<OwnedHeader>,
    /// The timestamp; `None` takes the time of the batch.
    pub timestamp: Option<Timestamp>,
}

/// A header that owns its bytes.
#[derive(Clone, Default, PartialEq, Eq)]
// Exhaustive on purpose: a header is a name and a value in every format.
pub struct OwnedHeader {
    /// The name.
    pub name: String,
    /// The value, or null.
    pub value: Option<Vec<u8>>,
}

impl OwnedHeader {
    /// Creates a header with a value.
    #[must_use]
    pub fn new(name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), value: Some(value.into()) }
    }

    /// Creates a header whose value is null.
    #[must_use]
    pub fn null(name: impl Into<String>) -> Self {
        Self { name: name.into(), value: None }
    }

    /// Returns the header, borrowed.
    #[must_use]
    pub fn borrowed(&self) -> Header<'_> {
        Header { name: &self.name, value: self.value.as_deref() }
    }
}

impl From<Header<'_>> for OwnedHeader {
    fn from(header: Header<'_>) -> Self {
        Self { name: header.name.into(), value: header.value.map(Vec::from) }
    }
}

/// Returns the result that [`merge_headers`](crate::message::merge_headers) must have for these headers and a layer over
/// them, as its documentation specifies it.
#[must_use]
pub fn expected_merge(earlier: &[OwnedHeader], layer: &[OwnedHeader]) -> Vec<OwnedHeader> {
    let named = |list: &[OwnedHeader], name: &str| list.iter().any(|header| header.name == name);
    let mut merged = Vec::new();
    for (position, header) in earlier.iter().enumerate() {
        if !named(layer, &header.name) {
            merged.push(header.clone());
        } else if !named(&earlier[..position], &header.name) {
            merged.extend(layer.iter().filter(|other| other.name == header.name).cloned());
        }
    }
    merged.extend(layer.iter().filter(|header| !named(earlier, &header.name)).cloned());
    merged
}

impl OwnedRecord {
    /// Creates a record with this value, and neither key nor headers.
    #[must_use]
    pub fn new(value: impl Into<Vec<u8>>) -> Self {
        Self { value: Some(value.into()), ..Self::default() }
    }

    /// Returns the record as [`KafkaBatch::append`](crate::KafkaBatch::append) takes it.
    #[must_use]
    pub fn borrowed(&self) -> BorrowedRecord<'_> {
        BorrowedRecord { record: self, headers: self.headers.iter().map(OwnedHeader::borrowed).collect() }
    }

    /// Returns this record with the value of another one, and with its timestamp, if it has one.
    pub(super) fn with_value_of(&self, other: &Self) -> Self {
        Self { value: other.value.clone(), timestamp: other.timestamp.or(self.timestamp), ..self.clone() }
    }

    /// Returns what this format can carry of the record: magic 0 and 1 carry no headers.
    #[must_use]
    pub fn for_magic(mut self, magic: Magic) -> Self {
        if !magic.has_headers() {
            self.headers.clear();
        }
        self
    }

    /// Returns the record as it is read from a batch of this format and time.
    #[must_use]
    pub fn stored(mut self, magic: Magic, now: Timestamp) -> Self {
        let timestamp = self.timestamp.unwrap_or(now);
        self.timestamp = Some(if magic.has_timestamps() { timestamp } else { Timestamp::NO_TIMESTAMP });
        self
    }
}

impl From<RecordView<'_>> for OwnedRecord {
    fn from(view: RecordView<'_>) -> Self {
        Self {
            key: view.key.map(Vec::from),
            value: view.value.map(Vec::from),
            headers: view.headers.iter().map(OwnedHeader::from).collect(),
            timestamp: Some(view.timestamp),
        }
    }
}

/// An [`OwnedRecord`] with its headers as [`Header`]s, from which a [`Record`] can be borrowed. Created by
/// [`OwnedRecord::borrowed`].
#[derive(Clone, Debug)]
pub struct BorrowedRecord<'a> {
    record: &'a OwnedRecord,
    headers: Vec<Header<'a>>,
}

impl BorrowedRecord<'_> {
    /// Returns the record.
    #[must_use]
    pub fn record(&self) -> Record<'_> {
        let OwnedRecord { key, value, timestamp, .. } = self.record;
        let headers = HeaderList::from(&self.headers);
        Record { key: key.as_deref(), value: value.as_deref(), headers, timestamp: *timestamp }
    }
}

impl AsRecord for BorrowedRecord<'_> {
    fn as_record(&self) -> Record<'_> {
        self.record()
    }
}

/// Omits null and absent fields, and abbreviates long ones.
impl fmt::Debug for OwnedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut output = f.debug_struct("Record");
        if let Some(key) = &self.key {
            output.field("key", &Abbreviated(key));
        }
        if let Some(value) = &self.value {
            output.field("value", &Abbreviated(value));
        }
        if !self.headers.is_empty() {
            output.field("headers", &self.headers);
        }
        if let Some(timestamp) = self.timestamp {
            output.field("timestamp", &timestamp.millis());
        }
        output.finish()
    }
}

impl fmt::Debug for OwnedHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{:?}: {:?}", self.name, Abbreviated(value)),
            None => write!(f, "{:?}: null", self.name),
        }
    }
}

/// Prints bytes: a repeated byte with its number, the beginning of a long string, or the whole string.
struct Abbreviated<'a>(&'a [u8]);

impl fmt::Debug for Abbreviated<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MAX_LEN: usize = 40;
        match self.0 {
            [first, rest @ ..] if rest.len() > MAX_LEN && rest.iter().all(|byte| byte == first) => {
                write!(f, "[{first:#04x}; {}]", self.0.len())
            }
            bytes if bytes.len() > MAX_LEN => {
                write!(f, "b\"{}\"… ({} bytes)", bytes[..MAX_LEN / 2].escape_ascii(), bytes.len())
            }
            bytes => write!(f, "b\"{}\"", bytes.escape_ascii()),
        }
    }
}
