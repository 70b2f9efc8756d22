//! Records as Python objects: the metadata of one that was appended, and one that is read back.

use kafka_batch_core::decode::RecordView;
use kafka_batch_core::{AppendedRecord, KafkaBatch};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

/// The metadata of an appended record. Has the attributes of aiokafka's `DefaultRecordMetadata`.
#[pyclass(module = "kafka_batch", frozen, get_all, eq)]
#[derive(PartialEq)]
pub(crate) struct RecordMetadata {
    offset: usize,
    crc: Option<u32>,
    size: usize,
    timestamp: i64,
}

#[pymethods]
impl RecordMetadata {
    fn __repr__(&self) -> String {
        let Self { offset, crc, size, timestamp } = self;
        let crc = crc.map_or_else(|| "None".into(), |crc| crc.to_string());
        format!("RecordMetadata(offset={offset}, crc={crc}, size={size}, timestamp={timestamp})")
    }
}

impl From<AppendedRecord> for RecordMetadata {
    fn from(appended: AppendedRecord) -> Self {
        let AppendedRecord { offset, size, timestamp, crc, .. } = appended;
        Self { offset: offset as usize, crc, size, timestamp: timestamp.millis() }
    }
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
