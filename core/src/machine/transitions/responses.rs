//! The effects of responses, and of missing responses, on the batches that were sent.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Machine;
use crate::cause::ConnectionErrorKind;
use crate::failure::RecordError;
use crate::machine::accumulator::{Entry, EntryId, PartitionIndex};
use crate::machine::io::ConnectionId;
use crate::machine::node::Node;
use crate::machine::producer_id::Identity;
use crate::machine::verdict::{self, Outcome, Verdict};
use crate::protocol::{
    ApiKey, BrokerError, ErrorCode, NodeEndpoint, PartitionProduceResponse, ProduceResponse, TopicNameOrId, Uuid,
};

/// A request without a response.
#[derive(Debug)]
pub(super) enum PendingRequest {
    Produce { broker: i32, parts: Vec<Part> },
    Metadata { topics: Vec<String> },
    Identity,
}

/// One batch in a Produce request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) partition: PartitionIndex,
    pub(super) entry: EntryId,
    pub(super) topic_id: Uuid,
}

/// The result of one batch of a Produce request.
#[derive(Clone, Copy)]
enum PartResult<'r> {
    Response(Response<'r>),
    /// The request was written to the connection, and no response follows (`acks=0`).
    Written,
    /// There is no usable response: the connection ended, or the response is invalid or lacks the batch.
    NoResponse,
}

/// A broker's response to one batch.
#[derive(Clone, Copy)]
struct Response<'r> {
    broker: i32,
    version: i16,
    response: &'r PartitionProduceResponse,
    endpoints: &'r [NodeEndpoint],
}

impl Response<'_> {
    /// Returns `true` if the leader has appended the batch, but too few replicas have it.
    fn is_appended(&self) -> bool {
        let code = self.response.error_code;
        matches!(code, ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND | ErrorCode::REQUEST_TIMED_OUT)
    }

    fn error(&self) -> BrokerError {
        let PartitionProduceResponse { error_code, error_message, .. } = self.response;
        let error = BrokerError::new(ApiKey::Produce, *error_code).with_version(self.version).with_broker(self.broker);
        error.with_message(error_message.clone())
    }
}

impl Machine {
    pub(super) fn on_response(&mut self, id: ConnectionId, correlation: i32, version: i16, frame: &[u8]) {
        match self.pending_requests.remove(&(id, correlation)) {
            Some(PendingRequest::Produce { broker, parts }) => self.on_produced(id, version, frame, broker, &parts),
            Some(PendingRequest::Metadata { topics }) => self.on_metadata(id, version, frame, &topics),
            Some(PendingRequest::Identity) => self.on_identity(id, version, frame),
            None => {}
        }
    }

    /// Handles a request whose connection was closed, or whose response cannot be decoded.
    pub(super) fn on_no_response(&mut self, request: PendingRequest) {
        match request {
            PendingRequest::Produce { broker, parts } => {
                for part in &parts {
                    self.on_part_result(part, broker, PartResult::NoResponse);
                }
            }
            PendingRequest::Metadata { .. } => self.metadata_failed(),
            PendingRequest::Identity => self.identity_failed(),
        }
    }

    /// Handles a request without a response (`acks=0`) that was written to the connection.
    pub(super) fn on_request_written(&mut self, id: ConnectionId, correlation: i32) {
        if let Some(PendingRequest::Produce { broker, parts }) = self.pending_requests.remove(&(id, correlation)) {
            for part in &parts {
                self.on_part_result(part, broker, PartResult::Written);
            }
        }
    }

    fn on_produced(&mut self, id: ConnectionId, version: i16, frame: &[u8], broker: i32, parts: &[Part]) {
        let decoded = match ProduceResponse::decode(frame, version) {
            Ok(decoded) => decoded,
            Err(error) => {
                for part in parts {
                    self.on_part_result(part, broker, PartResult::NoResponse);
                }
                return self.fail_connection(id, error.into());
            }
        };
        if ApiKey::Produce.client_throttles(version) {
            self.throttle(id, decoded.throttle_time_ms);
        }
        let mut by_name: BTreeMap<(&str, i32), &PartitionProduceResponse> = BTreeMap::new();
        let mut by_id: BTreeMap<(Uuid, i32), &PartitionProduceResponse> = BTreeMap::new();
        for topic in &decoded.responses {
            for response in &topic.partition_responses {
                match &topic.topic {
                    TopicNameOrId::Name(name) => by_name.entry((name, response.index)).or_insert(response),
                    TopicNameOrId::Id(id) => by_id.entry((*id, response.index)).or_insert(response),
                };
            }
        }
        for part in parts {
            let to = &self.accumulator.partition(part.partition).to;
            let response = by_name.get(&(to.topic.as_str(), to.partition));
            let response = response.or_else(|| by_id.get(&(part.topic_id, to.partition)));
            match response {
                Some(response) => {
                    let response = Response { broker, version, response, endpoints: &decoded.node_endpoints };
                    self.on_part_result(part, broker, PartResult::Response(response));
                }
                None => {
                    let what = format!("its response to Produce v{version} has no entry for {to}");
                    self.record_error(id, ConnectionErrorKind::Protocol(what));
                    self.on_part_result(part, broker, PartResult::NoResponse);
                }
            }
        }
    }

    /// Applies the result of one batch.
    fn on_part_result(&mut self, part: &Part, broker: i32, result: PartResult<'_>) {
        let index = part.partition;
        let partition = self.accumulator.partition_mut(index);
        // If it is gone, it failed while it was in flight: by the delivery timeout, or because the producer was closed.
        let Some(at) = partition.find(part.entry) else { return };
        let entry = &mut partition.queue[at];
        entry.in_flight = None;
        let identity = entry.payload.identity();
        let (outcome, response) = match result {
            PartResult::Response(response) => (Outcome::Answered(response.response.error_code), Some(response)),
            PartResult::Written => (Outcome::Written, None),
            PartResult::NoResponse => {
                entry.unanswered_by = Some(Node::Broker(broker));
                (Outcome::NoAnswer, None)
            }
        };
        match (verdict::produce(outcome, self.config.acks, identity.is_some()), response) {
            (Verdict::Done, _) => {
                if let Some(identity) = identity {
                    let offset = response.map(|response| response.response.base_offset).filter(|&offset| offset >= 0);
                    let records = partition.queue[at].payload.record_count() as i64;
                    self.complete_proven(part, identity, broker, offset);
                    let end = offset.map(|offset| offset.saturating_add(records));
                    self.accumulator.partition_mut(index).sequence.confirm(identity, broker, end);
                    self.identities.confirm(identity);
                }
                let at = self.accumulator.partition(index).find(part.entry).unwrap_or(at);
                self.complete(index, at, response.map(|response| response.response));
            }
            (Verdict::Retry { refresh, maybe_written }, _) => {
                if response.is_some_and(|response| !response.is_appended()) {
                    partition.may_be_passed(at);
                }
                if let Some(response) = response.filter(|_| refresh) {
                    self.follow_leader(index, response);
                }
                self.retry(index, at, maybe_written, response);
            }
            (Verdict::Fail { maybe_written }, Some(response)) => {
                self.fail_by_broker(index, at, maybe_written, response);
            }
            (Verdict::TooLarge, Some(response)) if self.may_split(index, at) => {
                self.split(index, at, response.error().into());
            }
            (Verdict::TooLarge, Some(response)) => self.fail_by_broker(index, at, false, response),
            (Verdict::Resequence, Some(response)) => self.resequence(index, at, response),
            (Verdict::IdentityRefused, Some(response)) => self.refuse_identity(index, at, response),
            // These verdicts need a response. Without one, the outcome is unknown and the batch is always retried.
            (Verdict::Fail { .. } | Verdict::TooLarge | Verdict::Resequence | Verdict::IdentityRefused, None) => {
                self.retry(index, at, true, None);
            }
        }
        self.fail_unprovable(index);
        self.reseal_void(index);
        self.watch_deadline(index);
        self.accumulator.look_at(index);
    }

    /// Completes the earlier entries which the acceptance of this batch proves to be in the log. A broker accepted it,
    /// at this offset, so those that were [overtaken](Entry::awaits_proof) at that broker are between it and the last
    /// confirmed batch, if the offsets leave room for them. If not, they fail with an unknown fate.
    fn complete_proven(&mut self, part: &Part, identity: Identity, broker: i32, offset: Option<i64>) {
        let index = part.partition;
        let partition = self.accumulator.partition(index);
        let before = partition.queue.iter().take_while(|entry| entry.id != part.entry);
        let is_proven = |entry: &&Entry| entry.overtaken == Some(broker) && entry.payload.identity() == Some(identity);
        let proven: Vec<(EntryId, usize)> =
            before.filter(is_proven).map(|entry| (entry.id, entry.payload.record_count())).collect();
        let records: usize = proven.iter().map(|(_, records)| records).sum();
        let room = offset.zip(partition.sequence.confirmed_end(identity)).and_then(|(at, end)| at.checked_sub(end));
        let fits = room.is_some_and(|room| room >= records as i64);
        for (id, _) in proven {
            let Some(at) = self.accumulator.partition(index).find(id) else { continue };
            if fits { self.complete(index, at, None) } else { self.fail_as_unknown(index, at) }
        }
    }

    /// Fails, with an unknown fate, the entries that wait for proof which no later entry can give any more.
    pub(super) fn fail_unprovable(&mut self, index: PartitionIndex) {
        while let Some(at) = self.accumulator.partition(index).unproven() {
            self.fail_as_unknown(index, at);
        }
    }

    fn fail_as_unknown(&mut self, index: PartitionIndex, at: usize) {
        let entry = &mut self.accumulator.partition_mut(index).queue[at];
        let error = entry
            .last_error
            .take()
            .map_or_else(|| BrokerError::new(ApiKey::Produce, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER), |error| *error);
        self.fail_at(index, at, true, error.into(), Vec::new());
    }

    fn retry(&mut self, index: PartitionIndex, at: usize, maybe_written: bool, response: Option<Response<'_>>) {
        let backoff = self.retry_backoff();
        let entry = &mut self.accumulator.partition_mut(index).queue[at];
        if let Some(response) = response {
            entry.last_error = Some(Box::new(response.error()));
            entry.last_error_at = self.now;
        }
        entry.maybe_written |= maybe_written;
        entry.failures = entry.failures.saturating_add(1);
        entry.not_before = self.now + backoff.after(entry.failures, &mut self.random);
    }

    /// Handles a broker that does not lead the partition: follows the leader that the response names (KIP-951), or
    /// forgets the leader until the next metadata.
    fn follow_leader(&mut self, index: PartitionIndex, response: Response<'_>) {
        let Response { broker, response, endpoints, .. } = response;
        let code = response.error_code;
        let partition = self.accumulator.partition_mut(index);
        if matches!(code, ErrorCode::UNKNOWN_TOPIC_ID | ErrorCode::INCONSISTENT_TOPIC_ID) {
            partition.sequence.doubt();
        }
        let hint = response.current_leader;
        let followed = hint.is_some_and(|leader| self.cluster.hint(&partition.to, leader, endpoints));
        if !followed {
            self.cluster.forget_leader(&partition.to, broker, Some(code));
        }
    }

    /// Handles a broker that refuses this producer identity at any sequence, so that only another producer id helps. A
    /// batch that is certainly unwritten is sent under the new one, the first time without a back-off. A batch that may
    /// be written fails: under another identity it could be written twice, and under the same one it would be refused
    /// again.
    fn refuse_identity(&mut self, index: PartitionIndex, at: usize, response: Response<'_>) {
        let entry = &self.accumulator.partition(index).queue[at];
        let Some(identity) = entry.payload.identity() else { return };
        if entry.maybe_written {
            self.fail_by_broker(index, at, true, response);
        } else {
            self.retry(index, at, false, Some(response));
            let entry = &mut self.accumulator.partition_mut(index).queue[at];
            if !core::mem::replace(&mut entry.renewed, true) {
                entry.not_before = self.now;
            }
        }
        self.disown(identity, response.error());
    }

    /// Handles a broker that expects another sequence.
    ///
    /// - If an earlier batch under the same identity is still to be sent, this one is retried after it.
    /// - Otherwise this batch and all after it get new sequences under a new epoch, as in the Java client. If it is the
    ///   first under its identity, no sequence can be wrong: the broker refuses the identity.
    /// - If this batch may already be in the log, it must not be sent under another sequence. A later batch may prove
    ///   that it is in the log; without proof it fails with an unknown fate.
    fn resequence(&mut self, index: PartitionIndex, at: usize, response: Response<'_>) {
        let partition = self.accumulator.partition_mut(index);
        let entry = &partition.queue[at];
        let Some(identity) = entry.payload.identity() else { return };
        let has_earlier = partition
            .queue
            .iter()
            .take(at)
            .any(|other| other.payload.identity() == Some(identity) && !other.awaits_proof(Some(response.broker)));
        let is_out_of_order = response.response.error_code == ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER;
        // A batch that may be in the log can be out of order because the broker remembers only later batches.
        if !has_earlier && entry.number == 0 && !(entry.maybe_written && is_out_of_order) {
            return self.refuse_identity(index, at, response);
        }
        if !has_earlier && entry.maybe_written {
            if !is_out_of_order || entry.passed_over {
                return self.fail_by_broker(index, at, true, response);
            }
            partition.sequence.lose(identity);
            let entry = &mut partition.queue[at];
            entry.overtaken = Some(response.broker);
            entry.last_error = Some(Box::new(response.error()));
            entry.last_error_at = self.now;
            return; // without a later batch, fail_unprovable() fails it right after this
        }
        if !has_earlier {
            partition.sequence.lose(identity);
        }
        self.retry(index, at, false, Some(response));
    }

    /// Reopens the batches whose sequences are void, so that they get new ones.
    pub(super) fn reseal_void(&mut self, index: PartitionIndex) {
        // An entry that cannot be resealed fails, which shifts the positions: so search again each time.
        while let Some(at) = self.accumulator.partition(index).void() {
            self.reseal(index, at, None);
        }
    }

    fn fail_by_broker(&mut self, index: PartitionIndex, at: usize, maybe_written: bool, response: Response<'_>) {
        let error = response.error();
        let of_records = response.response.record_errors.iter().filter_map(|error| {
            Some(RecordError::new(usize::try_from(error.batch_index).ok()?, error.message.clone()))
        });
        let mut errors: Vec<RecordError> = of_records.collect();
        // In a part of one record, an error of the part is an error of that record.
        let entry = &self.accumulator.partition(index).queue[at];
        if errors.is_empty() && entry.payload.record_count() == 1 && self.split_batches.contains_key(&entry.batch) {
            errors.push(RecordError::new(0, response.response.error_message.clone()));
        }
        self.fail_at(index, at, maybe_written, error.into(), errors);
    }
}
