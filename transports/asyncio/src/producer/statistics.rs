//! The statistics of a producer as Python objects: dictionaries, of which `python/kafka_batch/stats.py` makes its classes.

use std::time::Duration;

use kafka_batch_core::machine::{
    AcceptedByReason, AcceptedStats, BatchStats, BrokerStats, BufferStats, Stats, Timing, TopicStats,
};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Returns a dictionary of these names and values.
macro_rules! dict {
    ($py:ident, { $($name:ident: $value:expr),* $(,)? }) => {{
        let dict = PyDict::new($py);
        $( dict.set_item(stringify!($name), $value.into_bound_py_any($py)?)?; )*
        Ok(dict)
    }};
}

type Dict<'py> = PyResult<Bound<'py, PyDict>>;

fn seconds(time: Option<Duration>) -> Option<f64> {
    time.map(|time| time.as_secs_f64())
}

pub(super) fn stats(py: Python<'_>, stats: Stats) -> Dict<'_> {
    let topics = stats.topics.into_iter().map(|each| topic(py, each)).collect::<PyResult<Vec<_>>>()?;
    let brokers = stats.brokers.into_iter().map(|each| broker(py, each)).collect::<PyResult<Vec<_>>>()?;
    dict!(py, {
        at: stats.at.since_start().as_secs_f64(),
        total: batches(py, stats.total)?,
        topics: topics,
        brokers: brokers,
        buffer: buffer(py, stats.buffer)?,
        metadata_age: seconds(stats.metadata_age),
        client_instance_id: stats.client_instance_id.map(|id| id.to_string()),
    })
}

fn topic(py: Python<'_>, topic: TopicStats) -> Dict<'_> {
    dict!(py, {
        topic: topic.topic,
        batches: batches(py, topic.batches)?,
        oldest_batch_age: seconds(topic.oldest_batch_age),
    })
}

fn batches(py: Python<'_>, batches: BatchStats) -> Dict<'_> {
    let errors = PyDict::new(py);
    for (code, count) in batches.errors {
        errors.set_item(code.name().map_or_else(|| code.0.to_string(), String::from), count)?;
    }
    dict!(py, {
        accepted: accepted(py, batches.accepted)?,
        sealed_byte_total: batches.sealed_byte_total,
        batch_size_max: batches.batch_size_max,
        record_send_total: batches.record_send_total,
        byte_total: batches.byte_total,
        batch_send_total: batches.batch_send_total,
        record_retry_total: batches.record_retry_total,
        batch_retry_total: batches.batch_retry_total,
        record_queue_time: timing(py, batches.record_queue_time)?,
        record_ack_total: batches.record_ack_total,
        batch_ack_total: batches.batch_ack_total,
        ack_time: timing(py, batches.ack_time)?,
        record_error_total: batches.record_error_total,
        batch_error_total: batches.batch_error_total,
        no_response_total: batches.no_response_total,
        batch_split_total: batches.batch_split_total,
        errors: errors,
        unknown_error_total: batches.unknown_error_total,
    })
}

fn accepted(py: Python<'_>, accepted: AcceptedByReason) -> Dict<'_> {
    let each = |AcceptedStats { batch_total, record_total, byte_total, limit_total, .. }| -> Dict<'_> {
        dict!(py, {
            batch_total: batch_total,
            record_total: record_total,
            byte_total: byte_total,
            limit_total: limit_total,
        })
    };
    dict!(py, {
        full: each(accepted.full)?,
        linger: each(accepted.linger)?,
        flush: each(accepted.flush)?,
        memory: each(accepted.memory)?,
        explicit: each(accepted.explicit)?,
    })
}

fn timing(py: Python<'_>, timing: Timing) -> Dict<'_> {
    dict!(py, { count: timing.count, total: timing.total.as_secs_f64(), max: timing.max.as_secs_f64() })
}

fn broker(py: Python<'_>, broker: BrokerStats) -> Dict<'_> {
    dict!(py, {
        id: broker.address.id,
        host: broker.address.host,
        port: broker.address.port,
        is_connected: broker.is_connected,
        connection_creation_total: broker.connection_creation_total,
        connection_close_total: broker.connection_close_total,
        connection_error_total: broker.connection_error_total,
        failed_authentication_total: broker.failed_authentication_total,
        request_total: broker.request_total,
        response_total: broker.response_total,
        outgoing_byte_total: broker.outgoing_byte_total,
        incoming_byte_total: broker.incoming_byte_total,
        request_latency: timing(py, broker.request_latency)?,
        produce_throttle_time: timing(py, broker.produce_throttle_time)?,
        throttled_for: broker.throttled_for.as_secs_f64(),
        requests_in_flight: broker.requests_in_flight,
    })
}

fn buffer(py: Python<'_>, buffer: BufferStats) -> Dict<'_> {
    dict!(py, {
        buffer_total_bytes: buffer.buffer_total_bytes,
        buffer_available_bytes: buffer.buffer_available_bytes,
        batches_in_use: buffer.batches_in_use,
        waiting: buffer.waiting,
        bufferpool_wait_time: timing(py, buffer.bufferpool_wait_time)?,
        buffer_exhausted_total: buffer.buffer_exhausted_total,
    })
}
