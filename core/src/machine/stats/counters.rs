//! The counters of the machine. They are in the state of each topic and each connection, and are plain integers: counting costs a
//! few instructions and allocates nothing.

use alloc::vec::Vec;
use core::time::Duration;

use super::{AcceptedByReason, AcceptedStats, BatchStats, BrokerStats, SendReason, Timing};
use crate::batch::SealedBatch;
use crate::cause::BrokerAddress;
use crate::protocol::{ApiKey, ErrorCode};

/// The largest `batch.size` that is counted as it is, in bytes: that of a batch in any format. Without a maximum the sum could
/// overflow.
const LARGEST_LIMIT: usize = i32::MAX as usize;

/// A sum of times, in nanoseconds. How many there are is counted elsewhere.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    total: u64,
    /// The longest since the last call of [`take_window`](Self::take_window).
    max: u64,
    /// The longest before.
    earlier_max: u64,
}

/// Times so far, and the longest of those since the last call. In nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::machine) struct Window {
    pub(in crate::machine) count: u64,
    pub(in crate::machine) total: u64,
    pub(in crate::machine) max: u64,
}

impl Window {
    pub(in crate::machine) fn add(&mut self, other: Self) {
        self.count += other.count;
        self.total = self.total.saturating_add(other.total);
        self.max = self.max.max(other.max);
    }
}

impl Times {
    #[inline]
    fn record(&mut self, nanos: u64) {
        self.total = self.total.saturating_add(nanos);
        self.max = self.max.max(nanos);
    }

    fn add(&mut self, other: &Self) {
        self.total = self.total.saturating_add(other.total);
        self.max = self.max.max(other.max);
        self.earlier_max = self.earlier_max.max(other.earlier_max);
    }

    fn timing(&self, count: u64) -> Timing {
        let max = self.max.max(self.earlier_max);
        Timing::new(count, Duration::from_nanos(self.total), Duration::from_nanos(max))
    }

    fn take_window(&mut self, count: u64) -> Window {
        let max = core::mem::take(&mut self.max);
        self.earlier_max = self.earlier_max.max(max);
        Window { count, total: self.total, max }
    }
}

/// The counters of a topic.
#[derive(Clone, Debug, Default)]
pub(in crate::machine) struct TopicCounters {
    /// By [`SendReason`].
    accepted: [AcceptedStats; REASONS],
    sealed_bytes: u64,
    largest: u64,
    pub(in crate::machine) sent: SentCounter,
    acknowledged: Sum,
    acknowledgements: Times,
    failed: Sum,
    no_response: u64,
    split: u64,
    /// By code.
    errors: Vec<(ErrorCode, u64)>,
    unknown_errors: u64,
}

/// How many reasons there are.
const REASONS: usize = 5;

/// Batches in Produce requests.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::machine) struct SentCounter {
    sent: Sum,
    resent: Sum,
    bytes: u64,
    queued: Times,
}

impl SentCounter {
    /// Counts a batch of this many bytes that is sent now. `waited`: for how many nanoseconds it was in the queue, if it was not
    /// sent before.
    #[inline]
    pub(in crate::machine) fn count(&mut self, records: usize, bytes: usize, waited: Option<u64>) {
        self.sent.count(records);
        self.bytes += bytes as u64;
        match waited {
            Some(nanos) => self.queued.record(nanos),
            None => self.resent.count(records),
        }
    }

    fn add(&mut self, other: &Self) {
        self.sent.add(other.sent);
        self.resent.add(other.resent);
        self.bytes += other.bytes;
        self.queued.add(&other.queued);
    }
}

/// A number of batches and their records.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    batches: u64,
    records: u64,
}

impl Sum {
    fn count(&mut self, records: usize) {
        self.batches += 1;
        self.records += records as u64;
    }

    fn add(&mut self, other: Self) {
        self.batches += other.batches;
        self.records += other.records;
    }
}

impl TopicCounters {
    /// Counts a batch that is accepted.
    #[inline]
    pub(in crate::machine) fn on_accepted(&mut self, batch: &SealedBatch, reason: SendReason) {
        let accepted = &mut self.accepted[reason as usize];
        accepted.batch_total += 1;
        accepted.record_total += batch.record_count() as u64;
        accepted.byte_total += batch.uncompressed_size() as u64;
        accepted.limit_total += batch.size_limit().min(LARGEST_LIMIT) as u64;
        self.sealed_bytes += batch.size() as u64;
        self.largest = self.largest.max(batch.size() as u64);
    }

    /// Counts a batch that is in the log, this many nanoseconds after it was accepted.
    #[inline]
    pub(in crate::machine) fn on_acknowledged(&mut self, records: usize, nanos: u64) {
        self.acknowledged.count(records);
        self.acknowledgements.record(nanos);
    }

    /// Counts a batch that has failed, of which this many records are in the log because it was split.
    pub(in crate::machine) fn on_failed(&mut self, records: usize, written: usize) {
        self.failed.count(records - written);
        self.acknowledged.records += written as u64;
    }

    /// Counts a batch without a response.
    pub(in crate::machine) fn on_no_response(&mut self) {
        self.no_response += 1;
    }

    /// Counts a batch that was split.
    pub(in crate::machine) fn on_split(&mut self) {
        self.split += 1;
    }

    /// Counts an error code in a response. Only codes with a name have a counter, so that their number is bounded, whatever
    /// brokers answer.
    pub(in crate::machine) fn on_error(&mut self, code: ErrorCode) {
        match code.name() {
            Some(_) => add_errors(&mut self.errors, &[(code, 1)]),
            None => self.unknown_errors += 1,
        }
    }

    /// Returns the times in the queue, with the longest since the last call.
    pub(in crate::machine) fn take_queue_window(&mut self) -> Window {
        let SentCounter { sent, resent, queued, .. } = &mut self.sent;
        queued.take_window(sent.batches - resent.batches)
    }

    pub(in crate::machine) fn add(&mut self, other: &Self) {
        let Self { accepted, sealed_bytes, largest, sent, .. } = other;
        self.accepted.iter_mut().zip(accepted).for_each(|(sum, other)| sum.add(other));
        self.sealed_bytes += sealed_bytes;
        self.largest = self.largest.max(*largest);
        self.sent.add(sent);
        let Self { acknowledged, acknowledgements, failed, no_response, split, errors, unknown_errors, .. } = other;
        self.acknowledged.add(*acknowledged);
        self.acknowledgements.add(acknowledgements);
        self.failed.add(*failed);
        self.no_response += no_response;
        self.split += split;
        add_errors(&mut self.errors, errors);
        self.unknown_errors += unknown_errors;
    }

    pub(in crate::machine) fn stats(&self) -> BatchStats {
        let Self { acknowledged, failed, .. } = self;
        let SentCounter { sent, resent, bytes, queued } = &self.sent;
        let of = |reason| self.accepted[reason as usize];
        let accepted = AcceptedByReason {
            full: of(SendReason::Full),
            linger: of(SendReason::Linger),
            flush: of(SendReason::Flush),
            memory: of(SendReason::Memory),
            explicit: of(SendReason::Explicit),
        };
        BatchStats {
            accepted,
            sealed_byte_total: self.sealed_bytes,
            batch_size_max: self.largest,
            record_send_total: sent.records,
            byte_total: *bytes,
            batch_send_total: sent.batches,
            record_retry_total: resent.records,
            batch_retry_total: resent.batches,
            record_queue_time: queued.timing(sent.batches - resent.batches),
            record_ack_total: acknowledged.records,
            batch_ack_total: acknowledged.batches,
            ack_time: self.acknowledgements.timing(acknowledged.batches),
            record_error_total: failed.records,
            batch_error_total: failed.batches,
            no_response_total: self.no_response,
            batch_split_total: self.split,
            errors: self.errors.clone(),
            unknown_error_total: self.unknown_errors,
        }
    }
}

/// Adds numbers of errors, which both are by code.
fn add_errors(errors: &mut Vec<(ErrorCode, u64)>, others: &[(ErrorCode, u64)]) {
    for &(code, count) in others {
        match errors.binary_search_by_key(&code, |(code, _)| *code) {
            Ok(at) => errors[at].1 += count,
            Err(at) => errors.insert(at, (code, count)),
        }
    }
}

/// The counters of a node, during all its connections.
#[derive(Clone, Debug, Default)]
pub(in crate::machine) struct BrokerCounters {
    established: u64,
    closed: u64,
    errors: u64,
    authentication_errors: u64,
    requests: u64,
    /// Other than Produce.
    other_responses: u64,
    outgoing_bytes: u64,
    incoming_bytes: u64,
    produce_responses: u64,
    latency: Times,
    /// Of Produce responses.
    throttle: Times,
}

impl BrokerCounters {
    pub(in crate::machine) fn on_established(&mut self) {
        self.established += 1;
    }

    /// Counts an established connection that has ended.
    pub(in crate::machine) fn on_closed(&mut self) {
        self.closed += 1;
    }

    pub(in crate::machine) fn on_error(&mut self, is_authentication: bool) {
        self.errors += 1;
        self.authentication_errors += u64::from(is_authentication);
    }

    pub(in crate::machine) fn on_request(&mut self) {
        self.requests += 1;
    }

    pub(in crate::machine) fn on_transmit(&mut self, bytes: usize) {
        self.outgoing_bytes += bytes as u64;
    }

    pub(in crate::machine) fn on_received(&mut self, bytes: usize) {
        self.incoming_bytes += bytes as u64;
    }

    /// Counts a response to a request other than Produce.
    pub(in crate::machine) fn on_other_response(&mut self) {
        self.other_responses += 1;
    }

    /// Counts a response, which took this many nanoseconds.
    pub(in crate::machine) fn on_response(&mut self, api: ApiKey, nanos: u64) {
        match api {
            ApiKey::Produce => {
                self.produce_responses += 1;
                self.latency.record(nanos);
            }
            _ => self.on_other_response(),
        }
    }

    /// Adds the throttle time of a Produce response, if there is one.
    pub(in crate::machine) fn on_produce_throttle(&mut self, nanos: u64) {
        self.throttle.record(nanos);
    }

    pub(in crate::machine) const fn established(&self) -> u64 {
        self.established
    }

    /// Returns the latencies of Produce requests, with the longest since the last call.
    pub(in crate::machine) fn take_latency_window(&mut self) -> Window {
        self.latency.take_window(self.produce_responses)
    }

    /// Returns the throttle times of Produce responses, with the longest since the last call.
    pub(in crate::machine) fn take_throttle_window(&mut self) -> Window {
        self.throttle.take_window(self.produce_responses)
    }

    /// Returns the statistics of a node without a connection.
    pub(in crate::machine) fn stats(&self, address: BrokerAddress) -> BrokerStats {
        BrokerStats {
            address,
            is_connected: false,
            connection_creation_total: self.established,
            connection_close_total: self.closed,
            connection_error_total: self.errors,
            failed_authentication_total: self.authentication_errors,
            request_total: self.requests,
            response_total: self.produce_responses + self.other_responses,
            outgoing_byte_total: self.outgoing_bytes,
            incoming_byte_total: self.incoming_bytes,
            request_latency: self.latency.timing(self.produce_responses),
            produce_throttle_time: self.throttle.timing(self.produce_responses),
            throttled_for: Duration::ZERO,
            requests_in_flight: 0,
        }
    }
}
