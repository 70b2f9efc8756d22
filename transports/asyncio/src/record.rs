//! Records as Python objects: the metadata of one that was appended, and one that is read back.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize};

use kafka_batch_core::decode::RecordView;
use kafka_batch_core::{AppendedRecord, KafkaBatch};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

/// The metadata of an appended record. Has the attributes of aiokafka's `DefaultRecordMetadata`.
///
/// The fields are atomic because [`MetadataCache`] sets them again; on usual processors that costs nothing.
#[pyclass(module = "kafka_batch", frozen, eq)]
pub(crate) struct RecordMetadata {
    offset: AtomicUsize,
    /// `NO_CRC`, or a checksum of 32 bits.
    crc: AtomicU64,
    size: AtomicUsize,
    timestamp: AtomicI64,
}

const NO_CRC: u64 = u64::MAX;

impl RecordMetadata {
    fn new(appended: AppendedRecord) -> Self {
        let this = Self {
            offset: AtomicUsize::new(0),
            crc: AtomicU64::new(NO_CRC),
            size: AtomicUsize::new(0),
            timestamp: AtomicI64::new(0),
        };
        this.set(appended);
        this
    }

    fn set(&self, appended: AppendedRecord) {
        let AppendedRecord { offset, size, timestamp, crc, .. } = appended;
        self.offset.store(offset as usize, Relaxed);
        self.crc.store(crc.map_or(NO_CRC, u64::from), Relaxed);
        self.size.store(size, Relaxed);
        self.timestamp.store(timestamp.millis(), Relaxed);
    }
}

impl PartialEq for RecordMetadata {
    fn eq(&self, other: &Self) -> bool {
        let fields = |this: &Self| (this.offset(), this.crc(), this.size(), this.timestamp());
        fields(self) == fields(other)
    }
}

#[pymethods]
impl RecordMetadata {
    #[getter]
    fn offset(&self) -> usize {
        self.offset.load(Relaxed)
    }

    #[getter]
    fn crc(&self) -> Option<u32> {
        u32::try_from(self.crc.load(Relaxed)).ok()
    }

    #[getter]
    fn size(&self) -> usize {
        self.size.load(Relaxed)
    }

    #[getter]
    fn timestamp(&self) -> i64 {
        self.timestamp.load(Relaxed)
    }

    fn __repr__(&self) -> String {
        let (offset, size, timestamp) = (self.offset(), self.size(), self.timestamp());
        let crc = self.crc().map_or_else(|| "None".into(), |crc| crc.to_string());
        format!("RecordMetadata(offset={offset}, crc={crc}, size={size}, timestamp={timestamp})")
    }
}

/// The last object that was returned for the metadata of a record. It is used again if the program has dropped it, as most do at
/// once: to create and to free an object takes a quarter of the time of an append.
#[derive(Default)]
pub(crate) struct MetadataCache(Option<Py<RecordMetadata>>);

/// How [`MetadataCache::reuse`] answers.
pub(crate) enum Reuse {
    Reused(Py<RecordMetadata>),
    /// The program has the object still.
    InUse,
    /// There was none yet: [`MetadataCache::keep`] that which is created now.
    Empty,
}

impl MetadataCache {
    /// Returns the object with new contents, if nobody else has it. Neither runs Python code nor allocates memory.
    #[inline]
    pub(crate) fn reuse(&self, py: Python<'_>, appended: AppendedRecord) -> Reuse {
        // The count of references says who has the object only where one thread at a time runs Python code, and the stable ABI
        // has such interpreters alone.
        if cfg!(not(feature = "abi3")) {
            return Reuse::InUse;
        }
        let Some(object) = &self.0 else { return Reuse::Empty };
        #[allow(deprecated)] // what replaces it is unsafe, and does the same
        let is_free = object.get_refcnt(py) == 1;
        if !is_free {
            return Reuse::InUse;
        }
        object.get().set(appended);
        Reuse::Reused(object.clone_ref(py))
    }

    /// Keeps an object. Has no effect if there is one.
    pub(crate) fn keep(&mut self, object: Py<RecordMetadata>) -> Option<Py<RecordMetadata>> {
        if self.0.is_some() {
            return Some(object);
        }
        self.0 = Some(object);
        None
    }
}

/// Creates the object of a record's metadata.
pub(crate) fn metadata(py: Python<'_>, appended: AppendedRecord) -> PyResult<Py<RecordMetadata>> {
    Py::new(py, RecordMetadata::new(appended))
}

/// A record of a batch.
#[pyclass(module = "kafka_batch", frozen, get_all)]
pub(crate) struct Record {
    offset: i64,
    timestamp: i64,
    key: Option<Py<PyBytes>>,
    value: Option<Py<PyBytes>>,
    headers: Py<PyTuple>,
}

#[pymethods]
impl Record {
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let Self { offset, timestamp, key, value, headers } = self;
        let text = |field: &Option<Py<PyBytes>>| match field {
            None => Ok("None".into()),
            Some(bytes) => bytes.bind(py).repr().map(|text| text.to_string()),
        };
        let (key, value, headers) = (text(key)?, text(value)?, headers.bind(py).repr()?);
        Ok(format!("Record(offset={offset}, timestamp={timestamp}, key={key}, value={value}, headers={headers})"))
    }
}

/// Returns the records of a batch.
pub(crate) fn records(py: Python<'_>, batch: &KafkaBatch) -> PyResult<Vec<Py<Record>>> {
    let record = |view: RecordView<'_>| {
        let headers = view.headers.iter().map(|header| (header.name, header.value));
        record(py, (view.offset, view.timestamp.millis()), view.key, view.value, headers)
    };
    batch.records().map(record).collect()
}

/// Creates the Python object of a record.
pub(crate) fn record<'a>(
    py: Python<'_>,
    (offset, timestamp): (i64, i64),
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: impl Iterator<Item = (&'a str, Option<&'a [u8]>)>,
) -> PyResult<Py<Record>> {
    let bytes = |field: Option<&[u8]>| field.map(|bytes| PyBytes::new(py, bytes).unbind());
    let headers: Vec<_> = headers.map(|(name, value)| (name, bytes(value))).collect();
    let headers = PyTuple::new(py, headers)?.unbind();
    Py::new(py, Record { offset, timestamp, key: bytes(key), value: bytes(value), headers })
}
