//! The dispatch of responses, and of missing responses, to the partitions and queries that await them.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Machine;
use crate::cause::ConnectionErrorKind;
use crate::machine::entry::EntryId;
use crate::machine::index::PartitionIndex;
use crate::machine::io::ConnectionId;
use crate::machine::partition::{ProduceResult, ReceivedResponse};
use crate::machine::schedule::Condition;
use crate::machine::telemetry::TelemetryRequest;
use crate::machine::transactions::request::{CoordinatorKey, TransactionRequest};
use crate::protocol::{ApiKey, PartitionProduceResponse, TopicRef, Uuid, read_produce_response};

/// A request without a response.
#[derive(Debug)]
pub(super) enum InFlightRequest {
    Produce {
        broker: i32,
        batches: Vec<SentBatch>,
    },
    Metadata {
        topics: Vec<String>,
    },
    Identity,
    /// FindCoordinator.
    Coordinator(CoordinatorKey),
    /// Of a transaction, to the transaction coordinator.
    Transaction(TransactionRequest),
    /// TxnOffsetCommit, to the coordinator of this group.
    OffsetCommit(String),
    /// DescribeTransactions: whether the markers of the last transaction are written.
    Markers,
    Telemetry {
        request: TelemetryRequest,
        /// The size of the pushed metrics, in bytes.
        size: usize,
    },
}

/// The requests without a response, of each connection in the order in which they were sent.
#[derive(Debug, Default)]
pub(super) struct InFlightRequests {
    /// With their correlation ids.
    by_connection: BTreeMap<ConnectionId, VecDeque<(i32, InFlightRequest)>>,
    /// Empty lists of earlier requests, for their memory: at most as many as there were requests at one time.
    spare: Vec<Vec<SentBatch>>,
}

impl InFlightRequests {
    pub(super) fn push(&mut self, id: ConnectionId, correlation: i32, request: InFlightRequest) {
        self.by_connection.entry(id).or_default().push_back((correlation, request));
    }

    /// Removes a request. It is the first of its connection, unless some have no response (`acks=0`).
    fn remove(&mut self, id: ConnectionId, correlation: i32) -> Option<InFlightRequest> {
        let requests = self.by_connection.get_mut(&id)?;
        if requests.front().is_some_and(|(of_request, _)| *of_request == correlation) {
            return requests.pop_front().map(|(_, request)| request);
        }
        let at = requests.iter().position(|(of_request, _)| *of_request == correlation)?;
        requests.remove(at).map(|(_, request)| request)
    }

    /// Removes the first request of a connection that has ended.
    pub(super) fn pop(&mut self, id: ConnectionId) -> Option<InFlightRequest> {
        let first = self.by_connection.get_mut(&id)?.pop_front();
        if first.is_none() {
            self.by_connection.remove(&id);
        }
        first.map(|(_, request)| request)
    }

    /// Returns an empty list for the batches of a request.
    pub(super) fn take_spare(&mut self) -> Vec<SentBatch> {
        self.spare.pop().unwrap_or_default()
    }

    /// Keeps the memory of a list for a later request.
    fn recycle(&mut self, mut batches: Vec<SentBatch>) {
        batches.clear();
        self.spare.push(batches);
    }

    /// Returns the requests of a connection, with their correlation ids.
    pub(super) fn of(&self, id: ConnectionId) -> impl Iterator<Item = (i32, &InFlightRequest)> {
        self.by_connection.get(&id).into_iter().flatten().map(|(correlation, request)| (*correlation, request))
    }

    /// Returns `true` if a Produce request is in flight.
    pub(super) fn has_produce(&self) -> bool {
        self.iter().any(|(_, _, request)| matches!(request, InFlightRequest::Produce { .. }))
    }

    /// Returns all requests, with their connections and correlation ids.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ConnectionId, i32, &InFlightRequest)> {
        let all = self.by_connection.keys();
        all.flat_map(|&id| self.of(id).map(move |(correlation, request)| (id, correlation, request)))
    }
}

/// One batch in a Produce request.
#[derive(Clone, Copy, Debug)]
pub(super) struct SentBatch {
    pub(super) partition: PartitionIndex,
    pub(super) entry: EntryId,
    pub(super) topic_id: Uuid,
}

impl Machine {
    pub(super) fn on_response(&mut self, id: ConnectionId, correlation: i32, version: i16, frame: &[u8]) {
        match self.in_flight_requests.remove(id, correlation) {
            Some(InFlightRequest::Produce { broker, batches }) => {
                self.on_produce_response(id, version, frame, broker, &batches);
                self.in_flight_requests.recycle(batches);
            }
            Some(InFlightRequest::Metadata { topics }) => self.on_metadata(id, version, frame, &topics),
            Some(InFlightRequest::Identity) => self.on_identity(id, version, frame),
            Some(InFlightRequest::Coordinator(key)) => self.on_coordinator(id, version, frame, &key),
            Some(InFlightRequest::Transaction(request)) => self.on_transaction_response(id, version, frame, request),
            Some(InFlightRequest::OffsetCommit(group)) => self.on_offset_commit(id, version, frame, group),
            Some(InFlightRequest::Markers) => self.on_markers(id, version, frame),
            Some(InFlightRequest::Telemetry { request, size }) => {
                self.on_telemetry_response((id, version), frame, request, size);
            }
            None => {}
        }
    }

    /// Handles a request whose connection was closed, or whose response cannot be decoded.
    pub(super) fn on_no_response(&mut self, request: InFlightRequest) {
        match request {
            InFlightRequest::Produce { broker, batches } => {
                self.on_unanswered_produce();
                for batch in &batches {
                    self.on_produce_result(batch, broker, ProduceResult::NoResponse);
                }
            }
            InFlightRequest::Metadata { .. } => self.metadata_failed(),
            InFlightRequest::Identity => self.identity_failed(),
            InFlightRequest::Coordinator(key) => self.coordinator_query_failed(&key),
            InFlightRequest::Transaction(request) => self.on_no_transaction_response(&request),
            InFlightRequest::OffsetCommit(_) => self.offset_commit_unanswered(),
            InFlightRequest::Markers => self.markers_unknown(),
            InFlightRequest::Telemetry { .. } => self.on_no_telemetry_response(),
        }
    }

    /// Handles a request without a response (`acks=0`) that was transmitted.
    pub(super) fn on_request_transmitted(&mut self, id: ConnectionId, correlation: i32) {
        if let Some(InFlightRequest::Produce { broker, batches }) = self.in_flight_requests.remove(id, correlation) {
            for batch in &batches {
                self.on_produce_result(batch, broker, ProduceResult::Transmitted);
            }
        }
    }

    fn on_produce_response(
        &mut self,
        id: ConnectionId,
        version: i16,
        frame: &[u8],
        broker: i32,
        batches: &[SentBatch],
    ) {
        // A broker responds in the order of the request, which is checked first: a malformed response has no effect.
        let (mut expected, mut is_in_order) = (batches.iter(), true);
        let mut responses = core::mem::take(&mut self.responses);
        let read = read_produce_response(frame, version, |topic, response| {
            is_in_order &= expected.next().is_some_and(|batch| self.is_response_to(topic, response.index, batch));
            if is_in_order {
                responses.push(response);
            }
        });
        let end = match read {
            Ok(end) => end,
            Err(error) => {
                self.on_unanswered_produce();
                for batch in batches {
                    self.on_produce_result(batch, broker, ProduceResult::NoResponse);
                }
                return self.fail_connection(id, error.into());
            }
        };
        if end.throttle_time_ms > 0 {
            self.count_produce_throttle(id, end.throttle_time_ms);
        }
        if ApiKey::Produce.client_throttles(version) {
            self.throttle(id, end.throttle_time_ms);
        }
        let endpoints = &end.node_endpoints;
        let apply = |machine: &mut Self, batch: &SentBatch, response: &PartitionProduceResponse| {
            let response = ReceivedResponse { broker, version, data: response, endpoints };
            machine.on_produce_result(batch, broker, ProduceResult::Response(response));
        };
        if is_in_order && expected.next().is_none() {
            for (batch, response) in batches.iter().zip(&responses) {
                apply(self, batch, response);
            }
            responses.clear();
            self.responses = responses;
            return;
        }
        // It does not, so its results are looked up.
        let mut by_name: BTreeMap<(&str, i32), PartitionProduceResponse> = BTreeMap::new();
        let mut by_id: BTreeMap<(Uuid, i32), PartitionProduceResponse> = BTreeMap::new();
        let read_again = read_produce_response(frame, version, |topic, response| {
            match topic {
                TopicRef::Name(name) => by_name.entry((name, response.index)).or_insert(response),
                TopicRef::Id(id) => by_id.entry((id, response.index)).or_insert(response),
            };
        });
        debug_assert!(read_again.is_ok(), "the same bytes were read before");
        for batch in batches {
            let partition = self.accumulator.partition(batch.partition);
            let response = by_name.get(&(partition.topic(), partition.number()));
            match response.or_else(|| by_id.get(&(batch.topic_id, partition.number()))).cloned() {
                Some(response) => apply(self, batch, &response),
                None => {
                    let what = format!("its response to Produce v{version} has no entry for {partition}");
                    self.record_error(id, ConnectionErrorKind::Protocol(what));
                    self.on_unanswered_produce();
                    self.on_produce_result(batch, broker, ProduceResult::NoResponse);
                }
            }
        }
    }

    /// Returns `true` if a part of a response is for this part of the request.
    fn is_response_to(&self, topic: TopicRef<'_>, number: i32, batch: &SentBatch) -> bool {
        let partition = self.accumulator.partition(batch.partition);
        let is_topic = match topic {
            TopicRef::Name(name) => name == partition.topic(),
            TopicRef::Id(id) => id == batch.topic_id,
        };
        is_topic && number == partition.number()
    }

    /// Applies the result of one batch.
    fn on_produce_result(&mut self, batch: &SentBatch, broker: i32, result: ProduceResult<'_>) {
        let &SentBatch { partition: index, entry, .. } = batch;
        match result {
            ProduceResult::Response(response) if response.data.error_code.is_error() => {
                self.accumulator.counters(index).on_error(response.data.error_code);
            }
            ProduceResult::NoResponse => self.accumulator.counters(index).on_no_response(),
            ProduceResult::Response(_) | ProduceResult::Transmitted => {}
        }
        let is_refused =
            self.transition(index, |partition, context| partition.on_result(entry, broker, result, context));
        if let ProduceResult::Response(response) = result {
            if is_refused {
                self.follow_leader(index, response);
            }
        }
        self.fail_waiting_unless_committable();
        self.finish_transition(index);
    }

    /// Handles a broker that does not lead the partition: follows the leader that the response names (KIP-951), or
    /// forgets the leader until the next metadata.
    fn follow_leader(&mut self, index: PartitionIndex, response: ReceivedResponse<'_>) {
        let ReceivedResponse { broker, data: response, endpoints, .. } = response;
        let partition = self.accumulator.partition(index);
        let (topic, number) = (partition.topic(), partition.number());
        let hint = response.current_leader;
        let is_known = hint.is_some_and(|leader| self.cluster.has_broker(leader.leader_id));
        let followed = hint.is_some_and(|leader| self.cluster.hint(topic, number, leader, endpoints));
        if !followed {
            self.cluster.forget_leader(topic, number, broker, Some(response.error_code));
        }
        if !is_known {
            // The address of that broker may be what other partitions waited for, which it leads, too.
            self.accumulator.schedule.wake(Condition::Leader);
        }
    }
}
