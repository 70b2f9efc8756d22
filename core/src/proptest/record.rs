//! Records that own what they are made of, and show it shortly when a test fails.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::headers::{Header, HeaderList};
use crate::magic::Magic;
use crate::record::{AsRecord, Record, RecordView};
use crate::time::Timestamp;

/// A record that owns its bytes: what strategies make, and what a [`Model`](super::Model) holds.
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
pub struct OwnedRecord {
    /// The key, or null.
    pub key: Option<Vec<u8>>,
    /// The value, or null.
    pub value: Option<Vec<u8>>,
    /// The headers, in their order.
    pub headers: Vec<OwnedHeader>,
    /// When it happened; `None` takes the batch's time.
    pub timestamp: Option<Timestamp>,
}

/// A header that owns its bytes.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct OwnedHeader {
    /// The name.
    pub name: String,
    /// The value, or null.
    pub value: Option<Vec<u8>>,
}

impl OwnedHeader {
    /// A header with a value.
    #[must_use]
    pub fn new(name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), value: Some(value.into()) }
    }

    /// A header whose value is null.
    #[must_use]
    pub fn null(name: impl Into<String>) -> Self {
        Self { name: name.into(), value: None }
    }

    /// The same header, borrowed.
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

/// What [`merge_headers`](crate::merge_headers) must make of these headers and a layer over them, by its law: a header
/// keeps its place; where the layer names it, all of the layer's headers of that name stand there, and the other earlier
/// ones go; what is new comes last, in the layer's order.
#[must_use]
pub fn merged(earlier: &[OwnedHeader], layer: &[OwnedHeader]) -> Vec<OwnedHeader> {
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
    /// A record with this value, and nothing else.
    #[must_use]
    pub fn new(value: impl Into<Vec<u8>>) -> Self {
        Self { value: Some(value.into()), ..Self::default() }
    }

    /// The record as [`KafkaBatch::append`](crate::KafkaBatch::append) takes it: `&record.borrowed()`. A list of them
    /// goes to [`extend`](crate::KafkaBatch::extend).
    #[must_use]
    pub fn borrowed(&self) -> BorrowedRecord<'_> {
        BorrowedRecord { record: self, headers: self.headers.iter().map(OwnedHeader::borrowed).collect() }
    }

    /// What of the record this format can carry: without headers below magic 2.
    #[must_use]
    pub fn for_magic(mut self, magic: Magic) -> Self {
        if !magic.has_headers() {
            self.headers.clear();
        }
        self
    }

    /// The record as it reads back from a batch of this format that was given the time `now`.
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

/// An [`OwnedRecord`] together with its borrowed headers: what a [`Record`] borrows from. By
/// [`OwnedRecord::borrowed`].
#[derive(Clone, Debug)]
pub struct BorrowedRecord<'a> {
    record: &'a OwnedRecord,
    headers: Vec<Header<'a>>,
}

impl BorrowedRecord<'_> {
    /// The record.
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

/// Fields that are null or absent are left out; long bytes are shortened.
impl fmt::Debug for OwnedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Record");
        if let Some(key) = &self.key {
            shown.field("key", &Shown(key));
        }
        if let Some(value) = &self.value {
            shown.field("value", &Shown(value));
        }
        if !self.headers.is_empty() {
            shown.field("headers", &self.headers);
        }
        if let Some(timestamp) = self.timestamp {
            shown.field("timestamp", &timestamp.millis());
        }
        shown.finish()
    }
}

impl fmt::Debug for OwnedHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{:?}: {:?}", self.name, Shown(value)),
            None => write!(f, "{:?}: null", self.name),
        }
    }
}

/// Bytes for people: text as such, a run of one byte by its length, and the beginning of what is long.
struct Shown<'a>(&'a [u8]);

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ENOUGH: usize = 40;
        match self.0 {
            [first, rest @ ..] if rest.len() > ENOUGH && rest.iter().all(|byte| byte == first) => {
                write!(f, "[{first:#04x}; {}]", self.0.len())
            }
            bytes if bytes.len() > ENOUGH => {
                write!(f, "b\"{}\"… ({} bytes)", bytes[..ENOUGH / 2].escape_ascii(), bytes.len())
            }
            bytes => write!(f, "b\"{}\"", bytes.escape_ascii()),
        }
    }
}
