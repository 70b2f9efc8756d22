//! Statistics through the facade of the crate `metrics`.

use std::time::Duration;

use kafka_batch_core::machine::{AcceptedStats, BatchStats, BrokerAddress, BrokerStats, SendReason, Stats, TopicStats};
use metrics::{Label, SharedString, Unit};

/// Publishes the statistics of one producer through the crate [`metrics`], to whatever recorder the program has installed, such as
/// an exporter for Prometheus.
///
/// Call [`record`](Self::record) in the interval in which metrics are read, with the result of
/// [`Producer::stats`](crate::Producer::stats). Counters are incremented by what was counted since the call before.
///
/// Names are those of the [table of statistics](https://docs.rs/kafka-batch/latest/kafka_batch/metrics/) after `kafka_producer_`.
/// Each metric has the label `client_id`; those of topics `topic`; those of brokers `node_id` (`bootstrap` while it is not known) and
/// `broker`, its address; accepted batches `reason`; errors of brokers `error`, with Kafka's name. A time is a counter of
/// nanoseconds, `…_ns_total`, a counter `…_count`, and a gauge of seconds, `…_max`. Three have other names than in the table:
/// `accepted_{batch,record,byte,limit}_total`, `response_error_total` and `connection_count`.
///
/// ```
/// use kafka_batch_core::machine::Stats;
/// use kafka_batch_transport::StatsRecorder;
///
/// let mut recorder = StatsRecorder::new("orders-service");
/// # let stats = Stats::default();
/// // let stats = producer.stats().await?;
/// recorder.record(&stats);
/// ```
#[derive(Clone, Debug)]
pub struct StatsRecorder {
    client_id: SharedString,
    last: Stats,
}

/// A metric: its name, its unit, its description, and its value.
type Metric<T, V> = (&'static str, Unit, &'static str, fn(&T) -> V);

const TOPIC_COUNTERS: [Metric<BatchStats, u64>; 16] = [
    ("kafka_producer_record_send_total", Unit::Count, "Records in Produce requests.", |each| each.record_send_total),
    ("kafka_producer_batch_send_total", Unit::Count, "Batches in Produce requests.", |each| each.batch_send_total),
    ("kafka_producer_byte_total", Unit::Bytes, "Bytes of batches in Produce requests.", |each| each.byte_total),
    ("kafka_producer_record_retry_total", Unit::Count, "Records that were sent again.", |each| each.record_retry_total),
    ("kafka_producer_batch_retry_total", Unit::Count, "Batches that were sent again.", |each| each.batch_retry_total),
    ("kafka_producer_record_ack_total", Unit::Count, "Records that are in the log.", |each| each.record_ack_total),
    ("kafka_producer_batch_ack_total", Unit::Count, "Batches that are in the log.", |each| each.batch_ack_total),
    ("kafka_producer_record_error_total", Unit::Count, "Records that failed.", |each| each.record_error_total),
    ("kafka_producer_batch_error_total", Unit::Count, "Batches that failed.", |each| each.batch_error_total),
    ("kafka_producer_no_response_total", Unit::Count, "Batches in requests without a response.", |each| {
        each.no_response_total
    }),
    ("kafka_producer_batch_split_total", Unit::Count, "Batches that were split.", |each| each.batch_split_total),
    ("kafka_producer_sealed_byte_total", Unit::Bytes, "Bytes of accepted batches after compression.", |each| {
        each.sealed_byte_total
    }),
    (
        "kafka_producer_record_queue_time_ns_total",
        Unit::Nanoseconds,
        "Time of batches before their first request.",
        |each| nanos(each.record_queue_time.total),
    ),
    ("kafka_producer_record_queue_time_count", Unit::Count, "Batches that were sent for the first time.", |each| {
        each.record_queue_time.count
    }),
    ("kafka_producer_ack_time_ns_total", Unit::Nanoseconds, "Time from acceptance to acknowledgement.", |each| {
        nanos(each.ack_time.total)
    }),
    ("kafka_producer_ack_time_count", Unit::Count, "Batches that were acknowledged.", |each| each.ack_time.count),
];

const TOPIC_GAUGES: [Metric<TopicStats, f64>; 4] = [
    ("kafka_producer_batch_size_max", Unit::Bytes, "The largest batch after compression.", |topic| {
        topic.batches.batch_size_max as f64
    }),
    (
        "kafka_producer_record_queue_time_max",
        Unit::Seconds,
        "The longest time of a batch before its first request.",
        |topic| topic.batches.record_queue_time.max.as_secs_f64(),
    ),
    ("kafka_producer_ack_time_max", Unit::Seconds, "The longest time from acceptance to acknowledgement.", |topic| {
        topic.batches.ack_time.max.as_secs_f64()
    }),
    ("kafka_producer_oldest_batch_age", Unit::Seconds, "The age of the oldest batch without an outcome.", |topic| {
        topic.oldest_batch_age.unwrap_or_default().as_secs_f64()
    }),
];

const REASON_COUNTERS: [Metric<AcceptedStats, u64>; 4] = [
    (
        "kafka_producer_accepted_batch_total",
        Unit::Count,
        "Accepted batches, by why each was sent when it was.",
        |each| each.batch_total,
    ),
    ("kafka_producer_accepted_record_total", Unit::Count, "Records of accepted batches.", |each| each.record_total),
    ("kafka_producer_accepted_byte_total", Unit::Bytes, "Bytes of accepted batches before compression.", |each| {
        each.byte_total
    }),
    (
        "kafka_producer_accepted_limit_total",
        Unit::Bytes,
        "The sum of the limits (batch.size) of accepted batches.",
        |each| each.limit_total,
    ),
];

const ERRORS: (&str, &str) =
    ("kafka_producer_response_error_total", "Batches that brokers have answered with an error code, by its name.");

const BROKER_COUNTERS: [Metric<BrokerStats, u64>; 12] = [
    ("kafka_producer_connection_creation_total", Unit::Count, "Connections that were established.", |broker| {
        broker.connection_creation_total
    }),
    ("kafka_producer_connection_close_total", Unit::Count, "Established connections that have ended.", |broker| {
        broker.connection_close_total
    }),
    ("kafka_producer_connection_error_total", Unit::Count, "Connections that failed.", |broker| {
        broker.connection_error_total
    }),
    ("kafka_producer_failed_authentication_total", Unit::Count, "Connections whose authentication failed.", |broker| {
        broker.failed_authentication_total
    }),
    ("kafka_producer_request_total", Unit::Count, "Requests.", |broker| broker.request_total),
    ("kafka_producer_response_total", Unit::Count, "Responses.", |broker| broker.response_total),
    ("kafka_producer_outgoing_byte_total", Unit::Bytes, "Bytes of requests.", |broker| broker.outgoing_byte_total),
    ("kafka_producer_incoming_byte_total", Unit::Bytes, "Bytes that were received.", |broker| {
        broker.incoming_byte_total
    }),
    (
        "kafka_producer_request_latency_ns_total",
        Unit::Nanoseconds,
        "Time from a Produce request to its response.",
        |broker| nanos(broker.request_latency.total),
    ),
    ("kafka_producer_request_latency_count", Unit::Count, "Produce requests that were answered.", |broker| {
        broker.request_latency.count
    }),
    (
        "kafka_producer_produce_throttle_time_ns_total",
        Unit::Nanoseconds,
        "Throttle times in Produce responses.",
        |broker| nanos(broker.produce_throttle_time.total),
    ),
    ("kafka_producer_produce_throttle_time_count", Unit::Count, "Produce responses.", |broker| {
        broker.produce_throttle_time.count
    }),
];

const BROKER_GAUGES: [Metric<BrokerStats, f64>; 5] = [
    ("kafka_producer_connection_count", Unit::Count, "Established connections.", |broker| {
        f64::from(broker.is_connected)
    }),
    ("kafka_producer_requests_in_flight", Unit::Count, "Requests that wait for a response.", |broker| {
        broker.requests_in_flight as f64
    }),
    (
        "kafka_producer_request_latency_max",
        Unit::Seconds,
        "The longest time from a Produce request to its response.",
        |broker| broker.request_latency.max.as_secs_f64(),
    ),
    ("kafka_producer_produce_throttle_time_max", Unit::Seconds, "The longest throttle time in a response.", |broker| {
        broker.produce_throttle_time.max.as_secs_f64()
    }),
    ("kafka_producer_throttled_for", Unit::Seconds, "What is left of the throttle time.", |broker| {
        broker.throttled_for.as_secs_f64()
    }),
];

const PRODUCER_COUNTERS: [Metric<Stats, u64>; 3] = [
    ("kafka_producer_bufferpool_wait_time_ns_total", Unit::Nanoseconds, "Time that calls waited for room.", |stats| {
        nanos(stats.buffer.bufferpool_wait_time.total)
    }),
    ("kafka_producer_bufferpool_wait_time_count", Unit::Count, "Calls that had to wait for room.", |stats| {
        stats.buffer.bufferpool_wait_time.count
    }),
    (
        "kafka_producer_buffer_exhausted_total",
        Unit::Count,
        "Batches that were refused because there was no room.",
        |stats| stats.buffer.buffer_exhausted_total,
    ),
];

const PRODUCER_GAUGES: [Metric<Stats, f64>; 6] = [
    ("kafka_producer_buffer_total_bytes", Unit::Bytes, "The setting buffer.memory.", |stats| {
        stats.buffer.buffer_total_bytes as f64
    }),
    ("kafka_producer_buffer_available_bytes", Unit::Bytes, "The part of buffer.memory that is not in use.", |stats| {
        stats.buffer.buffer_available_bytes as f64
    }),
    ("kafka_producer_batches_in_use", Unit::Count, "Accepted batches without an outcome.", |stats| {
        stats.buffer.batches_in_use as f64
    }),
    ("kafka_producer_waiting", Unit::Count, "Calls that wait for room.", |stats| stats.buffer.waiting as f64),
    (
        "kafka_producer_bufferpool_wait_time_max",
        Unit::Seconds,
        "The longest time that a call waited for room.",
        |stats| stats.buffer.bufferpool_wait_time.max.as_secs_f64(),
    ),
    ("kafka_producer_metadata_age", Unit::Seconds, "The time since the last metadata response.", |stats| {
        stats.metadata_age.unwrap_or_default().as_secs_f64()
    }),
];

/// Returns a time as a counter: its nanoseconds, which are enough for 584 years.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl StatsRecorder {
    /// Creates a recorder for the producer with this name, which is the label `client_id`, and describes its metrics to the
    /// recorder that is installed.
    #[must_use]
    pub fn new(client_id: impl Into<String>) -> Self {
        describe_counters(&TOPIC_COUNTERS);
        describe_gauges(&TOPIC_GAUGES);
        describe_counters(&REASON_COUNTERS);
        metrics::describe_counter!(ERRORS.0, Unit::Count, ERRORS.1);
        describe_counters(&BROKER_COUNTERS);
        describe_gauges(&BROKER_GAUGES);
        describe_counters(&PRODUCER_COUNTERS);
        describe_gauges(&PRODUCER_GAUGES);
        Self { client_id: client_id.into().into(), last: Stats::default() }
    }

    /// Publishes these statistics: adds to counters what was counted since the statistics before, and sets gauges.
    pub fn record(&mut self, stats: &Stats) {
        let labels = vec![Label::new("client_id", self.client_id.clone())];
        let last = std::mem::replace(&mut self.last, stats.clone());
        count(&PRODUCER_COUNTERS, stats, Some(&last), &labels);
        set(&PRODUCER_GAUGES, stats, &labels);
        for topic in &stats.topics {
            let before = last.topics.binary_search_by(|other| other.topic.cmp(&topic.topic));
            let before = before.ok().map(|at| &last.topics[at].batches);
            let labels = with(&labels, "topic", topic.topic.clone());
            count(&TOPIC_COUNTERS, &topic.batches, before, &labels);
            set(&TOPIC_GAUGES, topic, &labels);
            record_reasons(&topic.batches, before, &labels);
            record_errors(&topic.batches, before, &labels);
        }
        for broker in &stats.brokers {
            let address = &broker.address;
            let before = last.brokers.iter().find(|other| match address.id {
                Some(id) => other.address.id == Some(id), // its address may have changed
                None => other.address == *address,
            });
            if let Some(moved) = before.filter(|before| before.address != *address) {
                // The gauges with its earlier address would keep their values.
                let labels = of_broker(&labels, &moved.address);
                for (name, ..) in &BROKER_GAUGES {
                    metrics::gauge!(*name, labels.clone()).set(0.0);
                }
            }
            let labels = of_broker(&labels, address);
            count(&BROKER_COUNTERS, broker, before, &labels);
            set(&BROKER_GAUGES, broker, &labels);
        }
    }
}

fn record_reasons(batches: &BatchStats, before: Option<&BatchStats>, labels: &[Label]) {
    let before = before.map(|before| before.accepted.by_reason());
    for (at, (reason, accepted)) in batches.accepted.by_reason().into_iter().enumerate() {
        let name = match reason {
            SendReason::Full => "full",
            SendReason::Linger => "linger",
            SendReason::Flush => "flush",
            SendReason::Memory => "memory",
            SendReason::Explicit => "explicit",
            _ => "other",
        };
        let before = before.as_ref().map(|before| &before[at].1);
        count(&REASON_COUNTERS, &accepted, before, &with(labels, "reason", name));
    }
}

fn record_errors(batches: &BatchStats, before: Option<&BatchStats>, labels: &[Label]) {
    for &(code, errors) in &batches.errors {
        let before = before.and_then(|before| before.errors.iter().find(|(other, _)| *other == code));
        let labels = with(labels, "error", code.name().unwrap_or("unknown"));
        increment(ERRORS.0, errors, before.map(|(_, errors)| *errors), labels);
    }
    if batches.unknown_error_total > 0 {
        let before = before.map(|before| before.unknown_error_total);
        increment(ERRORS.0, batches.unknown_error_total, before, with(labels, "error", "unknown"));
    }
}

fn of_broker(labels: &[Label], address: &BrokerAddress) -> Vec<Label> {
    let id = address.id.map_or_else(|| "bootstrap".to_owned(), |id| id.to_string());
    let labels = with(labels, "node_id", id);
    with(&labels, "broker", format!("{}:{}", address.host, address.port))
}

fn with(labels: &[Label], name: &'static str, value: impl Into<SharedString>) -> Vec<Label> {
    let mut labels = labels.to_vec();
    labels.push(Label::new(name, value));
    labels
}

fn count<T>(metrics: &[Metric<T, u64>], now: &T, before: Option<&T>, labels: &[Label]) {
    for (name, _, _, value) in metrics {
        increment(name, value(now), before.map(value), labels.to_vec());
    }
}

fn increment(name: &'static str, now: u64, before: Option<u64>, labels: Vec<Label>) {
    // A topic that was forgotten and is used again begins at 0.
    let before = before.filter(|before| *before <= now).unwrap_or(0);
    metrics::counter!(name, labels).increment(now - before);
}

fn set<T>(metrics: &[Metric<T, f64>], now: &T, labels: &[Label]) {
    for (name, _, _, value) in metrics {
        metrics::gauge!(*name, labels.to_vec()).set(value(now));
    }
}

fn describe_counters<T>(metrics: &[Metric<T, u64>]) {
    for (name, unit, description, _) in metrics {
        metrics::describe_counter!(*name, *unit, *description);
    }
}

fn describe_gauges<T>(metrics: &[Metric<T, f64>]) {
    for (name, unit, description, _) in metrics {
        metrics::describe_gauge!(*name, *unit, *description);
    }
}
