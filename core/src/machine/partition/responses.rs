//! The effects of responses, and of missing responses, on the batches that were sent.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::outcomes::{Effect, LogPosition};
use super::{Partition, TransitionContext};
use crate::failure::RecordError;
use crate::machine::backoff::Backoff;
use crate::machine::entry::{Entry, EntryId};
use crate::machine::identity::Identity;
use crate::machine::node::Node;
use crate::machine::notice::Retry;
use crate::machine::verdict::{self, AttemptResult, Verdict};
use crate::protocol::{ApiKey, BrokerError, ErrorCode, NodeEndpoint, PartitionProduceResponse};
use crate::time::Timestamp;

/// The result of one batch of a Produce request.
#[derive(Clone, Copy)]
pub(in crate::machine) enum ProduceResult<'r> {
    Response(ReceivedResponse<'r>),
    /// The request was transmitted, and no response follows (`acks=0`).
    Transmitted,
    /// There is no usable response: the connection ended, or the response is invalid or lacks the batch.
    NoResponse,
}

/// A broker's response to one batch.
#[derive(Clone, Copy)]
pub(in crate::machine) struct ReceivedResponse<'r> {
    pub(in crate::machine) broker: i32,
    pub(in crate::machine) version: i16,
    pub(in crate::machine) data: &'r PartitionProduceResponse,
    pub(in crate::machine) endpoints: &'r [NodeEndpoint],
}

impl ReceivedResponse<'_> {
    /// Returns `true` if the leader has appended the batch, but too few replicas have it.
    fn is_appended(&self) -> bool {
        let code = self.data.error_code;
        matches!(code, ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND | ErrorCode::REQUEST_TIMED_OUT)
    }

    fn error(&self) -> BrokerError {
        let PartitionProduceResponse { error_code, error_message, .. } = self.data;
        let error = BrokerError::new(ApiKey::Produce, *error_code).with_version(self.version).with_broker(self.broker);
        error.with_message(error_message.clone())
    }

    fn log_position(&self) -> LogPosition {
        let &PartitionProduceResponse { error_code, base_offset, log_append_time_ms, log_start_offset, .. } = self.data;
        let offset = if error_code.is_error() { -1 } else { base_offset };
        LogPosition { offset, append_time: log_append_time_ms, log_start_offset }
    }
}

impl Partition {
    /// Applies the result, at this broker, of an entry that was sent. Returns `true` if the broker does not lead the
    /// partition.
    pub(in crate::machine) fn on_result(
        &mut self,
        id: EntryId,
        broker: i32,
        result: ProduceResult<'_>,
        context: &mut TransitionContext<'_>,
    ) -> bool {
        // If it is gone, it failed while it was in flight: by the delivery timeout, or because the producer was closed.
        let Some(at) = self.queue.find(id) else { return false };
        let (outcome, response) = match result {
            ProduceResult::Response(response) => (AttemptResult::Answered(response.data.error_code), Some(response)),
            ProduceResult::Transmitted => (AttemptResult::Transmitted, None),
            ProduceResult::NoResponse => (AttemptResult::NoResponse, None),
        };
        let (identity, failures) = self.queue.update(at, |entry| {
            entry.in_flight = None;
            if outcome == AttemptResult::NoResponse {
                entry.unanswered_by = Some(Node::Broker(broker));
            }
            (entry.payload.identity(), entry.failures)
        });
        let mut is_refused_as_leader = false;
        let verdict = match context.config.is_transactional() {
            true => verdict::produce_in_transaction(outcome),
            false => verdict::produce(outcome, context.config.acks, identity.is_some()),
        };
        match (verdict, response) {
            (Verdict::Done, response) => self.on_acknowledged(at, identity, broker, response, context),
            (Verdict::Retry { leader_in_doubt, maybe_written }, response) => {
                if response.is_some_and(|response| !response.is_appended()) {
                    self.may_be_skipped(at);
                }
                if let Some(response) = response.filter(|_| leader_in_doubt) {
                    is_refused_as_leader = true;
                    let code = response.data.error_code;
                    if matches!(code, ErrorCode::UNKNOWN_TOPIC_ID | ErrorCode::INCONSISTENT_TOPIC_ID) {
                        self.sequence.clear_confirmation();
                    }
                }
                self.retry(at, maybe_written, response, context);
            }
            (Verdict::Fail { maybe_written }, Some(response)) => {
                self.fail_by_broker(at, maybe_written, response, context);
            }
            (Verdict::TooLarge, Some(response)) if self.may_split(at, context) => {
                self.split(at, response.error().into(), context);
            }
            (Verdict::TooLarge, Some(response)) => self.fail_by_broker(at, false, response, context),
            (Verdict::OutOfOrderSequence, Some(response)) => self.on_out_of_order_sequence(at, response, context),
            (Verdict::IdentityRefused, Some(response)) => self.refuse_identity(at, response, context),
            // These verdicts need a response. Without one, the outcome is unknown and the batch is always retried.
            (
                Verdict::Fail { .. } | Verdict::TooLarge | Verdict::OutOfOrderSequence | Verdict::IdentityRefused,
                None,
            ) => {
                self.retry(at, true, None, context);
            }
        }
        self.fail_unprovable(context);
        if context.config.notices {
            let error = response.map(|response| response.data.error_code);
            self.report_retry(id, failures, broker, error, context);
        }
        self.reseal_after_gap(context);
        is_refused_as_leader
    }

    /// Reports that an entry will be sent again, if it is still queued and has failed more often than `before`.
    fn report_retry(
        &self,
        id: EntryId,
        before: u32,
        broker: i32,
        error: Option<ErrorCode>,
        context: &mut TransitionContext<'_>,
    ) {
        let entry = self.queue.find(id).and_then(|at| self.queue.get(at));
        if let Some(&Entry { batch, failures, not_before, .. }) = entry.filter(|entry| entry.failures > before) {
            let backoff = not_before.since(context.now);
            context.effect(Effect::Retried(batch, Retry { broker, failures, error, backoff }));
        }
    }

    /// Completes an entry that is in the log (with `acks=0`: that was sent).
    fn on_acknowledged(
        &mut self,
        at: usize,
        identity: Option<Identity>,
        broker: i32,
        response: Option<ReceivedResponse<'_>>,
        context: &mut TransitionContext<'_>,
    ) {
        let mut at = at;
        if let Some(identity) = identity {
            let offset = response.map(|response| response.data.base_offset).filter(|&offset| offset >= 0);
            at -= self.deliver_proven(at, identity, broker, offset, context);
            if let Some(entry) = self.queue.get(at) {
                let records = entry.payload.record_count();
                let end = offset.map(|offset| offset.saturating_add(records as i64));
                self.sequence.confirm(identity, broker, entry.order, records, end);
            }
            context.effect(Effect::Confirmed(identity));
        }
        let mut log_position = response.map_or(LogPosition::UNKNOWN, |response| response.log_position());
        // A broker that already has the batch returns its largest timestamp as log append time, also if the topic has none
        // (seen on Kafka 4.4.0). It would replace the timestamps of all its records.
        let is_own = |entry: &Entry| {
            entry.maybe_written
                && entry.payload.latest_timestamp().map(Timestamp::millis) == Some(log_position.append_time)
        };
        if self.queue.get(at).is_some_and(is_own) {
            log_position.append_time = -1;
        }
        self.deliver(at, log_position, context);
    }

    /// Completes the earlier entries which the acceptance of the one at this position proves to be in the log. A broker
    /// accepted it, at this offset, so those that [await proof](Entry::awaits_proof) from that broker are between it and
    /// the last confirmed batch, if the offsets leave room for all records stamped in between: also for those of batches
    /// that have failed since, any of which may be what is there. If not, they fail with an unknown fate. Returns how
    /// many entries were removed.
    fn deliver_proven(
        &mut self,
        at: usize,
        identity: Identity,
        broker: i32,
        offset: Option<i64>,
        context: &mut TransitionContext<'_>,
    ) -> usize {
        let Some(order) = self.queue.get(at).map(|entry| entry.order) else { return 0 };
        let has_room = self.sequence.has_room_before(identity, order, offset);
        let is_proven = |entry: &Entry| entry.refused_by == Some(broker) && entry.payload.identity() == Some(identity);
        let proven = self.queue.window().take(at).filter(|(_, entry)| is_proven(entry));
        let proven: Vec<usize> = proven.map(|(at, _)| at).collect();
        for (removed, at) in proven.iter().enumerate() {
            let at = at - removed;
            if has_room {
                self.deliver(at, LogPosition::UNKNOWN, context);
            } else {
                self.fail_as_unknown(at, context);
            }
        }
        proven.len()
    }

    /// Records that the entry at this position may not have been written: a broker that has forgotten the producer may
    /// still accept a later entry that is in flight, see [`Entry::maybe_skipped`].
    fn may_be_skipped(&mut self, at: usize) {
        let identity = self.queue.get(at).and_then(|entry| entry.payload.identity());
        if identity.is_some_and(|identity| self.may_be_proven_after(at, identity)) {
            self.queue.update(at, |entry| entry.maybe_skipped = true);
        }
    }

    fn retry(
        &mut self,
        at: usize,
        maybe_written: bool,
        response: Option<ReceivedResponse<'_>>,
        context: &mut TransitionContext<'_>,
    ) {
        let backoff = Backoff { first: context.config.retry_backoff, most: context.config.retry_backoff_max };
        self.queue.update(at, |entry| {
            if let Some(response) = response {
                entry.last_error = Some(Box::new(response.error()));
                entry.last_error_at = context.now;
            }
            entry.maybe_written |= maybe_written;
            entry.failures = entry.failures.saturating_add(1);
            entry.not_before = context.now + backoff.after(entry.failures, context.random);
        });
    }

    /// Handles a broker that refuses this producer identity at any sequence, so that only another producer id helps. A
    /// batch that is certainly unwritten is sent under the new one, the first time without a back-off. A batch that may
    /// be written fails: under another identity it could be written twice, and under the same one it would be refused
    /// again.
    fn refuse_identity(&mut self, at: usize, response: ReceivedResponse<'_>, context: &mut TransitionContext<'_>) {
        let Some(entry) = self.queue.get(at) else { return };
        let Some(identity) = entry.payload.identity() else { return };
        if entry.maybe_written {
            self.fail_by_broker(at, true, response, context);
        } else {
            self.retry(at, false, Some(response), context);
            self.queue.update(at, |entry| {
                if !core::mem::replace(&mut entry.retried_without_backoff, true) {
                    entry.not_before = context.now;
                }
            });
        }
        context.effect(Effect::Refused(identity, response.error()));
    }

    /// Handles a broker that expects another sequence.
    ///
    /// - If an earlier batch under the same identity is still to be sent, this one is retried after it.
    /// - Otherwise this batch and all after it get new sequences under a new epoch, as in the Java client. If it is the
    ///   first under its identity, no sequence can be wrong: the broker refuses the identity.
    /// - In a transaction, an epoch is valid to the end, and the transaction fails with the batch.
    /// - If this batch may already be in the log, it must not be sent under another sequence. A later batch may prove
    ///   that it is in the log; without proof it fails with an unknown fate.
    fn on_out_of_order_sequence(
        &mut self,
        at: usize,
        response: ReceivedResponse<'_>,
        context: &mut TransitionContext<'_>,
    ) {
        let Some(entry) = self.queue.get(at) else { return };
        let Some(identity) = entry.payload.identity() else { return };
        let has_earlier =
            self.queue.window().take(at).any(|(_, other)| {
                other.payload.identity() == Some(identity) && !other.awaits_proof(Some(response.broker))
            });
        if !has_earlier && context.config.is_transactional() {
            return self.fail_by_broker(at, entry.maybe_written, response, context);
        }
        let is_out_of_order = response.data.error_code == ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER;
        // A batch that may be in the log can be out of order because the broker remembers only later batches.
        if !has_earlier && entry.order.batches_before == 0 && !(entry.maybe_written && is_out_of_order) {
            return self.refuse_identity(at, response, context);
        }
        if !has_earlier && entry.maybe_written {
            if !is_out_of_order || entry.maybe_skipped {
                return self.fail_by_broker(at, true, response, context);
            }
            self.sequence.record_gap(identity);
            self.queue.update(at, |entry| {
                entry.refused_by = Some(response.broker);
                entry.last_error = Some(Box::new(response.error()));
                entry.last_error_at = context.now;
            });
            return; // without a later batch, fail_unprovable() fails it right after this
        }
        if !has_earlier {
            self.sequence.record_gap(identity);
        }
        self.retry(at, false, Some(response), context);
    }

    fn fail_by_broker(
        &mut self,
        at: usize,
        maybe_written: bool,
        response: ReceivedResponse<'_>,
        context: &mut TransitionContext<'_>,
    ) {
        let Some(entry) = self.queue.get(at) else { return };
        let error = response.error();
        let of_records = response.data.record_errors.iter().filter_map(|error| {
            Some(RecordError::new(usize::try_from(error.batch_index).ok()?, error.message.clone()))
        });
        let mut errors: Vec<RecordError> = of_records.collect();
        // In a part of one record, an error of the part is an error of that record.
        if errors.is_empty() && entry.is_part() && entry.payload.record_count() == 1 {
            errors.push(RecordError::new(0, response.data.error_message.clone()));
        }
        self.fail(at, maybe_written, error.into(), errors, context);
    }
}
