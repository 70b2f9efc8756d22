//! A Kafka cluster in this process, for the test suites of Python programs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kafka_batch_core::decode::DecodeError;
use kafka_batch_testing::{Fault, PartitionLog, ScramHash, StoredRecord, TestCluster, Topic};
use pyo3::exceptions::{PyKeyError, PyOSError, PyRuntimeError, PyTimeoutError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::PyTuple;

use crate::faults::{self, Details};
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
    #[pyo3(signature = (topics = None, *, brokers = 1, auto_create_topics = true, plain_users = None, scram_users = None))]
    fn new(
        py: Python<'_>,
        topics: Option<HashMap<String, usize>>,
        brokers: usize,
        auto_create_topics: bool,
        plain_users: Option<HashMap<String, String>>,
        scram_users: Option<HashMap<String, String>>,
    ) -> PyResult<Self> {
        let topics = topics.unwrap_or_default();
        if brokers == 0 || topics.values().any(|&partitions| partitions == 0) {
            return Err(PyValueError::new_err("a cluster has at least one broker, and a topic one partition"));
        }
        let mut builder = TestCluster::builder().brokers(brokers).auto_create(auto_create_topics);
        for (name, partitions) in topics {
            builder = builder.topic(Topic::new(name).partitions(partitions));
        }
        for (user, password) in plain_users.unwrap_or_default() {
            builder = builder.plain_user(user, password);
        }
        for (user, password) in scram_users.unwrap_or_default() {
            for hash in [ScramHash::Sha256, ScramHash::Sha512] {
                builder = builder.scram_user(hash, &user, &password);
            }
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

    #[pyo3(signature = (topic, partition = 0))]
    fn committed_records(&self, py: Python<'_>, topic: &str, partition: i32) -> PyResult<Vec<Py<Record>>> {
        let cluster = self.running(py)?;
        match py.detach(|| cluster.log(topic, partition)) {
            Some(log) => objects(py, py.detach(|| log.committed_records())),
            None => Err(PyKeyError::new_err(format!("{topic}-{partition}"))),
        }
    }

    fn committed_offsets(&self, py: Python<'_>, group: &str) -> PyResult<HashMap<(String, i32), i64>> {
        let cluster = self.running(py)?;
        let offsets = py.detach(|| cluster.committed_offsets(group));
        Ok(offsets.into_iter().map(|(partition, committed)| (partition, committed.offset)).collect())
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

    /// Returns the number of records of each batch of a partition.
    #[pyo3(signature = (topic, partition = 0))]
    fn batches(&self, py: Python<'_>, topic: &str, partition: i32) -> PyResult<Vec<usize>> {
        let cluster = self.running(py)?;
        match py.detach(|| cluster.log(topic, partition)) {
            Some(log) => Ok(log.batches().iter().map(|batch| batch.info.records as usize).collect()),
            None => Err(PyKeyError::new_err(format!("{topic}-{partition}"))),
        }
    }

    #[pyo3(signature = (topic, partition = 0))]
    fn leader(&self, py: Python<'_>, topic: &str, partition: i32) -> PyResult<Option<i32>> {
        let cluster = self.running(py)?;
        Ok(py.detach(|| cluster.leader(topic, partition)))
    }

    fn move_leader(&self, py: Python<'_>, topic: &str, partition: i32, to: i32) -> PyResult<bool> {
        let cluster = self.running(py)?;
        Ok(py.detach(|| cluster.move_leader(topic, partition, to)))
    }

    fn cut(&self, py: Python<'_>, broker: i32) -> PyResult<()> {
        let cluster = self.running(py)?;
        py.detach(|| cluster.cut(broker));
        Ok(())
    }

    #[pyo3(signature = (
        fault, *, api = "Produce", code = None, positions = None, topic = None, partition = None, after = 0, times = 1,
    ))]
    #[allow(clippy::too_many_arguments)]
    fn inject(
        &self,
        py: Python<'_>,
        fault: &str,
        api: Option<&str>,
        code: Option<i16>,
        positions: Option<Vec<i32>>,
        topic: Option<String>,
        partition: Option<i32>,
        after: u32,
        times: u32,
    ) -> PyResult<()> {
        let cluster = self.running(py)?;
        let mut fault = Fault::new(faults::kind(fault, Details { code, positions })?).after(after).times(times);
        if let Some(api) = api {
            fault = faults::of_api(fault, api)?;
        }
        if let Some(topic) = topic {
            fault = fault.topic(topic);
        }
        if let Some(partition) = partition {
            fault = fault.partition(partition);
        }
        py.detach(|| cluster.inject(fault));
        Ok(())
    }

    fn end_faults(&self, py: Python<'_>) -> PyResult<()> {
        let cluster = self.running(py)?;
        py.detach(|| cluster.end_faults());
        Ok(())
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
    objects(py, py.detach(|| log.records()))
}

fn objects(py: Python<'_>, records: Result<Vec<StoredRecord>, DecodeError>) -> PyResult<Vec<Py<Record>>> {
    let records = records.map_err(|error| PyValueError::new_err(error.to_string()))?;
    let object = |found: &StoredRecord| {
        let headers = found.headers.iter().map(|(name, value)| (&**name, value.as_deref()));
        record(py, (found.offset, found.timestamp_ms), found.key.as_deref(), found.value.as_deref(), headers)
    };
    records.iter().map(object).collect()
}
