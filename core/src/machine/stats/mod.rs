//! The statistics of a producer: plain values, a snapshot of the machine's counters.
//!
//! A counter only grows, so a rate is the difference of two snapshots, divided by the difference of [`Stats::at`]. Names are
//! those of the Java client's metrics (`producer-metrics`, `producer-node-metrics`, `producer-topic-metrics`), with `_` for
//! `-`; the [guide](https://docs.rs/kafka-batch/latest/kafka_batch/metrics/) has a table of all.

mod counters;

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

pub(super) use self::counters::{BrokerCounters, SentCounter, TopicCounters, Window};
use crate::cause::BrokerAddress;
use crate::protocol::{ErrorCode, Uuid};
use crate::time::Instant;

/// What a producer has done so far, and its present state: the result of [`Machine::stats`](super::Machine::stats).
///
/// ```
/// use core::time::Duration;
/// use kafka_batch_core::Timestamp;
/// use kafka_batch_core::machine::{Clock, Instant, Machine, MachineConfig};
///
/// let clock = Clock { now: Instant::START, wall: Timestamp::from_millis(0) };
/// let machine = Machine::new(MachineConfig::new([("localhost", 9092)]), clock, 42);
/// let earlier = machine.stats(clock.now);
/// let later = machine.stats(clock.now + Duration::from_secs(10));
/// let records_a_second = (later.total.record_send_total - earlier.total.record_send_total) as f64
///     / later.at.since(earlier.at).as_secs_f64();
/// assert_eq!(records_a_second, 0.0);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// When the snapshot was taken.
    pub at: Instant,
    /// The batches of all topics, also of topics that are forgotten.
    pub total: BatchStats,
    /// The known topics, by name. A topic for which nothing was sent for `metadata.max.idle.ms` is forgotten; its counters then
    /// begin at 0 if it is used again.
    pub topics: Vec<TopicStats>,
    /// The brokers that the producer has connected to: bootstrap servers, then brokers by their id.
    pub brokers: Vec<BrokerStats>,
    /// The use of `buffer.memory`.
    pub buffer: BufferStats,
    /// `metadata-age`: the time since the last Metadata response that was used. `None` before the first.
    pub metadata_age: Option<Duration>,
    /// The id of this client instance (KIP-714), which the first broker has assigned that takes telemetry. `None` before.
    pub client_instance_id: Option<Uuid>,
}

impl Stats {
    /// Returns `connection-count`: the connections that are established now.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.brokers.iter().filter(|broker| broker.is_connected).count()
    }

    /// Returns `requests-in-flight`: the requests that wait for a response now, at all brokers.
    #[must_use]
    pub fn requests_in_flight(&self) -> usize {
        self.brokers.iter().map(|broker| broker.requests_in_flight).sum()
    }

    /// Returns the age of the oldest batch without an outcome, since the machine has accepted it; `None` if there is no such
    /// batch.
    #[must_use]
    pub fn oldest_batch_age(&self) -> Option<Duration> {
        self.topics.iter().filter_map(|topic| topic.oldest_batch_age).max()
    }
}

/// The batches of one topic.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct TopicStats {
    /// The name of the topic.
    pub topic: String,
    /// The batches that were sent to it.
    pub batches: BatchStats,
    /// The age of the oldest batch without an outcome, since the machine has accepted it; `None` if there is no such batch.
    pub oldest_batch_age: Option<Duration>,
}

/// Counters of batches and their records. Each attempt to send a batch counts as sent, as in the Java client.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct BatchStats {
    /// Batches that were accepted, by why each was sent when it was.
    pub accepted: AcceptedByReason,
    /// The sealed size of the accepted batches in bytes: [`AcceptedStats::byte_total`] after compression.
    pub sealed_byte_total: u64,
    /// `batch-size-max`: the largest sealed size of an accepted batch, in bytes.
    pub batch_size_max: u64,
    /// `record-send-total`: records in Produce requests. A record that is sent again counts again.
    pub record_send_total: u64,
    /// `byte-total`: bytes of batches in Produce requests.
    pub byte_total: u64,
    /// Batches in Produce requests.
    pub batch_send_total: u64,
    /// `record-retry-total`: those of `record_send_total` that were in a request before. (Java counts a retry when it is due, this
    /// client when it is sent.)
    pub record_retry_total: u64,
    /// Those of `batch_send_total` that were in a request before.
    pub batch_retry_total: u64,
    /// `record-queue-time-avg` and `record-queue-time-max`: how long batches waited before they were sent for the first time,
    /// counted from their first message if they gather messages.
    pub record_queue_time: Timing,
    /// Records that are in the log (with `acks=0`: that were sent).
    pub record_ack_total: u64,
    /// Batches that are in the log (with `acks=0`: that were sent).
    pub batch_ack_total: u64,
    /// The time from acceptance by the machine to the acknowledgement, of the batches in `batch_ack_total`.
    pub ack_time: Timing,
    /// `record-error-total`: records that failed for good.
    pub record_error_total: u64,
    /// Batches that failed for good.
    pub batch_error_total: u64,
    /// Batches in requests without a usable response, because the connection ended or `request.timeout.ms` passed. They are
    /// retried.
    pub no_response_total: u64,
    /// `batch-split-total`: batches, or parts of batches, that were split because they were too large.
    pub batch_split_total: u64,
    /// How many batches brokers have answered with each error code, whether they were retried or failed; by code.
    pub errors: Vec<(ErrorCode, u64)>,
    /// How many batches brokers have answered with codes that this version of the crate does not know.
    pub unknown_error_total: u64,
}

impl BatchStats {
    /// Returns `batch-size-avg`: the average sealed size of an accepted batch, in bytes.
    #[must_use]
    pub fn batch_size_avg(&self) -> Option<f64> {
        quotient(self.sealed_byte_total, self.accepted.sum().batch_total)
    }

    /// Returns `compression-rate-avg`: bytes after compression ÷ bytes before, of accepted batches, headers included. 1 without
    /// compression. (Java averages the rates of the batches without weights.)
    #[must_use]
    pub fn compression_rate_avg(&self) -> Option<f64> {
        quotient(self.sealed_byte_total, self.accepted.sum().byte_total)
    }
}

/// Why a batch was sent when it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SendReason {
    /// It has no room for the next message.
    Full,
    /// `linger.ms` has passed since its first message.
    Linger,
    /// A flush, a close, the end of a transaction, or another batch for the partition, which must not overtake it.
    Flush,
    /// Memory is scarce: a call waits for `buffer.memory`.
    Memory,
    /// The application has filled it, and passed it as a whole.
    Explicit,
}

/// Accepted batches by [`SendReason`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AcceptedByReason {
    /// [`SendReason::Full`].
    pub full: AcceptedStats,
    /// [`SendReason::Linger`].
    pub linger: AcceptedStats,
    /// [`SendReason::Flush`].
    pub flush: AcceptedStats,
    /// [`SendReason::Memory`].
    pub memory: AcceptedStats,
    /// [`SendReason::Explicit`].
    pub explicit: AcceptedStats,
}

impl AcceptedByReason {
    /// Returns all of them with their reasons.
    #[must_use]
    pub const fn by_reason(&self) -> [(SendReason, AcceptedStats); 5] {
        [
            (SendReason::Full, self.full),
            (SendReason::Linger, self.linger),
            (SendReason::Flush, self.flush),
            (SendReason::Memory, self.memory),
            (SendReason::Explicit, self.explicit),
        ]
    }

    /// Returns their sum.
    #[must_use]
    pub fn sum(&self) -> AcceptedStats {
        self.by_reason().into_iter().fold(AcceptedStats::default(), |mut sum, (_, each)| {
            sum.add(&each);
            sum
        })
    }
}

/// Accepted batches, and how full they were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AcceptedStats {
    /// Batches.
    pub batch_total: u64,
    /// Their records.
    pub record_total: u64,
    /// Their bytes before compression, headers included.
    pub byte_total: u64,
    /// The sum of their limits (`batch.size`), in bytes.
    pub limit_total: u64,
}

impl AcceptedStats {
    /// Returns how full the batches were: bytes before compression ÷ `batch.size`, weighted by `batch.size`. May exceed 1, since
    /// the first record of a batch is taken whatever its size.
    #[must_use]
    pub fn fill_avg(&self) -> Option<f64> {
        quotient(self.byte_total, self.limit_total)
    }

    /// Returns the average number of records in a batch.
    #[must_use]
    pub fn records_per_batch_avg(&self) -> Option<f64> {
        quotient(self.record_total, self.batch_total)
    }

    fn add(&mut self, other: &Self) {
        let Self { batch_total, record_total, byte_total, limit_total } = other;
        self.batch_total += batch_total;
        self.record_total += record_total;
        self.byte_total += byte_total;
        self.limit_total += limit_total;
    }
}

/// Times that were measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timing {
    /// How many.
    pub count: u64,
    /// Their sum.
    pub total: Duration,
    /// The longest since the producer was created.
    pub max: Duration,
}

impl Timing {
    /// Creates the summary of `count` times.
    #[must_use]
    pub const fn new(count: u64, total: Duration, max: Duration) -> Self {
        Self { count, total, max }
    }

    /// Returns their average, or `None` if there is none.
    #[must_use]
    pub fn avg(&self) -> Option<Duration> {
        (self.count > 0).then(|| {
            let nanos = self.total.as_nanos() / u128::from(self.count);
            Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
        })
    }

    /// Returns the average of the times since an earlier snapshot of the same producer, or `None` if there is none.
    #[must_use]
    pub fn avg_since(&self, earlier: &Self) -> Option<Duration> {
        let count = self.count.saturating_sub(earlier.count);
        Self { count, total: self.total.saturating_sub(earlier.total), max: self.max }.avg()
    }
}

/// One broker, or a bootstrap server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BrokerStats {
    /// Its address. A bootstrap server has no id; the broker that it is has another entry.
    pub address: BrokerAddress,
    /// Whether a connection to it is established now. There is at most one.
    pub is_connected: bool,
    /// `connection-creation-total`: connections that were established.
    pub connection_creation_total: u64,
    /// `connection-close-total`: established connections that have ended, for whatever reason.
    pub connection_close_total: u64,
    /// Connections that failed: could not be established, or were lost while they were in use.
    pub connection_error_total: u64,
    /// `failed-authentication-total`: connections that failed because the authentication did, of either side.
    pub failed_authentication_total: u64,
    /// `request-total`: requests that were sent, of all kinds.
    pub request_total: u64,
    /// `response-total`: responses that were received, to requests of all kinds.
    pub response_total: u64,
    /// `outgoing-byte-total`: bytes of requests, before TLS.
    pub outgoing_byte_total: u64,
    /// `incoming-byte-total`: bytes that were received, after TLS.
    pub incoming_byte_total: u64,
    /// `request-latency-avg` and `request-latency-max`: from a Produce request to its response. None with `acks=0`.
    pub request_latency: Timing,
    /// `produce-throttle-time-avg` and `produce-throttle-time-max`: the throttle times in Produce responses, most of them zero.
    pub produce_throttle_time: Timing,
    /// For how long no request is sent to it, because it throttles this client. Zero if it does not.
    pub throttled_for: Duration,
    /// `requests-in-flight`: requests that wait for a response now, or that are not transmitted yet with `acks=0`.
    pub requests_in_flight: usize,
}

/// The use of `buffer.memory`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BufferStats {
    /// `buffer-total-bytes`: `buffer.memory` in bytes.
    pub buffer_total_bytes: u64,
    /// `buffer-available-bytes`: the part that is not in use, in bytes.
    pub buffer_available_bytes: u64,
    /// Accepted batches without an outcome.
    pub batches_in_use: u64,
    /// `waiting-threads`: calls that wait for room now. The machine has none, since it refuses a batch for which there is no room;
    /// producer handles do.
    pub waiting: u64,
    /// `bufferpool-wait-time-ns-total`: how long calls waited for room, if they had to.
    pub bufferpool_wait_time: Timing,
    /// `buffer-exhausted-total`: batches that the machine has refused because there was no room.
    pub buffer_exhausted_total: u64,
}

fn quotient(dividend: u64, divisor: u64) -> Option<f64> {
    (divisor > 0).then(|| dividend as f64 / divisor as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_are_those_of_what_was_counted() {
        let linger = AcceptedStats { batch_total: 1, record_total: 2, byte_total: 50, limit_total: 100 };
        let full = AcceptedStats { batch_total: 3, record_total: 30, byte_total: 350, limit_total: 300 };
        let accepted = AcceptedByReason { linger, full, ..Default::default() };
        assert_eq!(accepted.sum().fill_avg(), Some(1.0));
        assert_eq!((accepted.linger.fill_avg(), accepted.flush.fill_avg()), (Some(0.5), None));
        assert_eq!(accepted.full.records_per_batch_avg(), Some(10.0));
        let batches = BatchStats { accepted, sealed_byte_total: 100, ..Default::default() };
        assert_eq!((batches.batch_size_avg(), batches.compression_rate_avg()), (Some(25.0), Some(0.25)));
        assert_eq!(
            (BatchStats::default().batch_size_avg(), BatchStats::default().compression_rate_avg()),
            (None, None)
        );
        let earlier = Timing::new(2, Duration::from_millis(20), Duration::from_millis(15));
        let later = Timing::new(4, Duration::from_millis(80), Duration::from_millis(50));
        assert_eq!(later.avg(), Some(Duration::from_millis(20)));
        assert_eq!(later.avg_since(&earlier), Some(Duration::from_millis(30)));
        assert_eq!((later.avg_since(&later), Timing::default().avg()), (None, None));
    }
}
