//! A Kafka cluster in this process, for the test suites of Python programs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kafka_batch_testing::{PartitionLog, TestCluster, Topic};
use pyo3::exceptions::{PyKeyError, PyOSError, PyRuntimeError, PyTimeoutError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::PyTuple;

use crate::record::{Record, record};

/// A Kafka cluster in this process, for tests.
#[pyclass(module = "kafka_batch.testing", frozen)]
pub(crate) struct Cluster(Mutex<Option<Arc<TestCluster>>>);

impl Cluster {
    /// Returns the cluster. The lock is not held while it is used: some of its methods wait.
    fn running(&self, py: Python<'_>) -> PyResult<Arc<TestCluster>> {
        let cluster = self.0.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        cluster.as_ref().map(Arc::clone).ok_or_else(|| PyRuntimeError::new_err("the cluster is stopped"))
    }
}

#[pymethods]
impl Cluster {
    #[new]
    #[pyo3(signature = (topics = None, *, brokers = 1, auto_create_topics = true))]
    fn new(
        py: Python<'_>,
        topics: Option<HashMap<String, usize>>,
        brokers: usize,
        auto_create_topics: bool,
    ) -> PyResult<Self> {
        let topics = topics.unwrap_or_default();
        if brokers == 0 || topics.values().any(|&partitions| partitions == 0) {
            return Err(PyValueError::new_err("a cluster has at least one broker, and a topic one partition"));
        }
        let mut builder = TestCluster::builder().brokers(brokers).auto_create(auto_create_topics);
        for (name, partitions) in topics {
            builder = builder.topic(Topic::new(name).partitions(partitions));
        }
        let cluster = py.detach(|| builder.start()).map_err(|error| PyOSError::new_err(error.to_string()))?;
        Ok(Self(Mutex::new(Some(Arc::new(cluster)))))
    }

    #[getter]
    fn bootstrap_servers(&self, py: Python<'_>) -> PyResult<String> {
        self.running(py).map(|cluster| cluster.bootstrap_servers())
    }

    fn topics(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let cluster = self.running(py)?;
        Ok(py.detach(|| cluster.topics()))
    }

    #[pyo3(signature = (topic, partition = 0))]
    fn records(&self, py: Python<'_>, topic: &str, partition: i32) -> PyResult<Vec<Py<Record>>> {
        let cluster = self.running(py)?;
        match py.detach(|| cluster.log(topic, partition)) {
            Some(log) => read(py, &log),
            None => Err(PyKeyError::new_err(format!("{topic}-{partition}"))),
        }
    }

    #[pyo3(signature = (count, topic, partition = 0, *, timeout = 10.0))]
    fn wait_for_records(
        &self,
        py: Python<'_>,
        count: usize,
        topic: &str,
        partition: i32,
        timeout: f64,
    ) -> PyResult<Vec<Py<Record>>> {
        let limit = Duration::try_from_secs_f64(timeout).map_err(|error| PyValueError::new_err(error.to_string()))?;
        let cluster = self.running(py)?;
        match py.detach(|| cluster.wait_for_records(topic, partition, count, limit)) {
            Some(log) => read(py, &log),
            None => Err(PyTimeoutError::new_err(format!(
                "{topic}-{partition} has not had {count} records within {timeout} s"
            ))),
        }
    }

    fn violations(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let cluster = self.running(py)?;
        Ok(py.detach(|| cluster.violations()))
    }

    fn kill(&self, py: Python<'_>, broker: i32) -> PyResult<bool> {
        let cluster = self.running(py)?;
        Ok(py.detach(|| cluster.kill(broker)))
    }

    fn restart(&self, py: Python<'_>, broker: i32) -> PyResult<bool> {
        let cluster = self.running(py)?;
        py.detach(|| cluster.restart(broker)).map_err(|error| PyOSError::new_err(error.to_string()))
    }

    fn stop(&self, py: Python<'_>) {
        let cluster = self.0.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner).take();
        py.detach(|| drop(cluster)); // ends threads, which takes a moment
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    #[pyo3(signature = (*_error))]
    fn __exit__(&self, py: Python<'_>, _error: &Bound<'_, PyTuple>) {
        self.stop(py);
    }
}

fn read(py: Python<'_>, log: &PartitionLog) -> PyResult<Vec<Py<Record>>> {
    let records = py.detach(|| log.records()).map_err(|error| PyValueError::new_err(error.to_string()))?;
    let object = |found: &kafka_batch_testing::StoredRecord| {
        let headers = found.headers.iter().map(|(name, value)| (&**name, value.as_deref()));
        record(py, (found.offset, found.timestamp_ms), found.key.as_deref(), found.value.as_deref(), headers)
    };
    records.iter().map(object).collect()
}
