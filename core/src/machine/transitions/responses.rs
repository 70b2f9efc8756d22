//! Answers, and silence: what each means for the batches that were sent.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Machine;
use crate::failure::RecordError;
use crate::machine::accumulator::{Entry, EntryId, PartitionIndex};
use crate::machine::event::ConnectionErrorKind;
use crate::machine::handshake::garbled;
use crate::machine::identity::Identity;
use crate::machine::io::ConnectionId;
use crate::machine::network::Node;
use crate::machine::verdict::{self, Outcome, Verdict};
use crate::protocol::{
    ApiKey, BrokerError, ErrorCode, NodeEndpoint, PartitionProduceResponse, ProduceResponse, ProducedTopic, Uuid,
};

/// A request that was handed out.
#[derive(Debug)]
pub(super) enum PendingRequest {
    Produce { broker: i32, parts: Vec<Part> },
    Metadata { asked: Vec<String> },
    Identity,
}

/// One batch in a Produce request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) partition: PartitionIndex,
    pub(super) entry: EntryId,
    pub(super) topic_id: Uuid,
}

/// What was heard of one batch.
#[derive(Clone, Copy)]
enum Outcome_<'r> {
    Answer(Response<'r>),
    /// That its bytes are written, by this side.
    Written,
    Nothing,
}

/// What a broker said of one batch.
#[derive(Clone, Copy)]
struct Response<'r> {
    broker: i32,
    version: i16,
    response: &'r PartitionProduceResponse,
    endpoints: &'r [NodeEndpoint],
}

impl Response<'_> {
    /// Whether the broker has the batch, though its replicas do not.
    fn is_appended(&self) -> bool {
        let code = self.response.error_code;
        matches!(code, ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND | ErrorCode::REQUEST_TIMED_OUT)
    }

    fn error(&self) -> BrokerError {
        let PartitionProduceResponse { error_code, error_message, .. } = self.response;
        let error = BrokerError::new(ApiKey::Produce, *error_code).in_version(self.version).from_broker(self.broker);
        error.with_message(error_message.clone())
    }
}

impl Machine {
    pub(super) fn on_answer(&mut self, id: ConnectionId, correlation: i32, version: i16, frame: &[u8]) {
        match self.pending_requests.remove(&(id, correlation)) {
            Some(PendingRequest::Produce { broker, parts }) => self.on_produced(id, version, frame, broker, &parts),
            Some(PendingRequest::Metadata { asked }) => self.on_metadata(id, version, frame, &asked),
            Some(PendingRequest::Identity) => self.on_identity(id, version, frame),
            None => {}
        }
    }

    /// The connection is gone, or the answer cannot be read.
    pub(super) fn on_no_answer(&mut self, pending_requests: PendingRequest) {
        match pending_requests {
            PendingRequest::Produce { broker, parts } => {
                for part in &parts {
                    self.settle(part, broker, Outcome_::Nothing);
                }
            }
            PendingRequest::Metadata { .. } => self.metadata_failed(),
            PendingRequest::Identity => self.identity_failed(),
        }
    }

    /// A request that gets no answer is written.
    pub(super) fn on_request_written(&mut self, id: ConnectionId, correlation: i32) {
        if let Some(PendingRequest::Produce { broker, parts }) = self.pending_requests.remove(&(id, correlation)) {
            for part in &parts {
                self.settle(part, broker, Outcome_::Written);
            }
        }
    }

    fn on_produced(&mut self, id: ConnectionId, version: i16, frame: &[u8], broker: i32, parts: &[Part]) {
        let answer = match ProduceResponse::decode(frame, version) {
            Ok(answer) => answer,
            Err(error) => {
                for part in parts {
                    self.settle(part, broker, Outcome_::Nothing);
                }
                return self.give_up(id, garbled(error));
            }
        };
        if ApiKey::Produce.client_throttles(version) {
            self.throttle(id, answer.throttle_time_ms);
        }
        let mut by_name: BTreeMap<(&str, i32), &PartitionProduceResponse> = BTreeMap::new();
        let mut by_id: BTreeMap<(Uuid, i32), &PartitionProduceResponse> = BTreeMap::new();
        for topic in &answer.responses {
            for response in &topic.partition_responses {
                match &topic.topic {
                    ProducedTopic::Name(name) => by_name.entry((name, response.index)).or_insert(response),
                    ProducedTopic::Id(id) => by_id.entry((*id, response.index)).or_insert(response),
                };
            }
        }
        for part in parts {
            let to = &self.accumulator.partition(part.partition).to;
            let response = by_name.get(&(to.topic.as_str(), to.partition));
            let response = response.or_else(|| by_id.get(&(part.topic_id, to.partition)));
            match response {
                Some(response) => {
                    let response = Response { broker, version, response, endpoints: &answer.node_endpoints };
                    self.settle(part, broker, Outcome_::Answer(response));
                }
                None => {
                    let what = format!("its response to Produce v{version} says nothing of {to}");
                    self.note_error(id, ConnectionErrorKind::Protocol(what));
                    self.settle(part, broker, Outcome_::Nothing);
                }
            }
        }
    }

    /// One batch, and what happened to it.
    fn settle(&mut self, part: &Part, broker: i32, outcome_: Outcome_<'_>) {
        let index = part.partition;
        let partition = self.accumulator.partition_mut(index);
        // One that is not there any more was given up while it was in flight.
        let Some(at) = partition.find(part.entry) else { return };
        let entry = &mut partition.queue[at];
        entry.in_flight = None;
        let identity = entry.payload.identity();
        let (outcome, response) = match outcome_ {
            Outcome_::Answer(response) => (Outcome::Answered(response.response.error_code), Some(response)),
            Outcome_::Written => (Outcome::Written, None),
            Outcome_::Nothing => {
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
            // Only what is said can be a refusal: silence is tried again, always.
            (Verdict::Fail { .. } | Verdict::TooLarge | Verdict::Resequence | Verdict::IdentityRefused, None) => {
                self.retry(index, at, true, None);
            }
        }
        self.fail_unproven(index);
        self.open_void(index);
        self.watch_deadline(index);
        self.accumulator.look_at(index);
    }

    /// A broker has taken this batch, at this offset: so those that were [overtaken](Entry::awaits_proof) at that broker are in
    /// the log too, between this one and what was confirmed before them. If there is no room for them, they are not.
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
            if fits { self.complete(index, at, None) } else { self.leave_in_doubt(index, at) }
        }
    }

    /// Those that waited for proof, and can get none any more, remain in doubt.
    pub(super) fn fail_unproven(&mut self, index: PartitionIndex) {
        while let Some(at) = self.accumulator.partition(index).unproven() {
            self.leave_in_doubt(index, at);
        }
    }

    fn leave_in_doubt(&mut self, index: PartitionIndex, at: usize) {
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

    /// The broker does not lead the partition: whoever it names does, or whoever metadata will name.
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

    /// The broker takes nothing under this identity, whatever the sequence: only another producer id helps. What is certainly
    /// unwritten goes out under that, the first time without a back-off. What may be written fails: under another number
    /// it could be written twice, and as it was it would be refused again.
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

    /// The broker's counting is not ours. If an earlier batch of the same counting is still to go, it goes first, and this
    /// one after it. If this one is next: all behind it is counted anew under a new epoch, as the Java client does; but if it
    /// is the very first under its identity, there is no counting that could be wrong, and the broker refuses the identity.
    /// But if this one may be in the log already, it may not go a second time under another number: later ones may prove
    /// that it is there, and without them it is in doubt.
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
        // One that may be in the log can be out of order for the broker because it remembers only what came after it.
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
            return; // if there is nothing behind it, it fails before anything else happens
        }
        if !has_earlier {
            partition.sequence.lose(identity);
        }
        self.retry(index, at, false, Some(response));
    }

    /// What is void is opened, to be stamped anew.
    pub(super) fn open_void(&mut self, index: PartitionIndex) {
        // One that cannot be opened fails, and so changes the places: then look again.
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
        // Of a part that is one record, whatever is said is said of that record.
        let entry = &self.accumulator.partition(index).queue[at];
        if errors.is_empty() && entry.payload.record_count() == 1 && self.split_batches.contains_key(&entry.batch) {
            errors.push(RecordError::new(0, response.response.error_message.clone()));
        }
        self.fail_at(index, at, maybe_written, error.into(), errors);
    }
}
