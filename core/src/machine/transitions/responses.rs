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
use crate::machine::transactions::request::{CoordinatorKey, TransactionRequest};
use crate::protocol::{ApiKey, PartitionProduceResponse, ProduceResponse, TopicNameOrId, Uuid};

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
    /// Of a transaction, to a coordinator.
    Transaction(TransactionRequest),
}

/// The requests without a response, of each connection in the order in which they were sent.
#[derive(Debug, Default)]
pub(super) struct InFlightRequests {
    /// With their correlation ids.
    by_connection: BTreeMap<ConnectionId, VecDeque<(i32, InFlightRequest)>>,
}

impl InFlightRequests {
    pub(super) fn push(&mut self, id: ConnectionId, correlation: i32, request: InFlightRequest) {
        self.by_connection.entry(id).or_default().push_back((correlation, request));
    }

    /// Removes a request. It is the first of its connection, unless some have no response (`acks=0`).
    fn remove(&mut self, id: ConnectionId, correlation: i32) -> Option<InFlightRequest> {
        let requests = self.by_connection.get_mut(&id)?;
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
            }
            Some(InFlightRequest::Metadata { topics }) => self.on_metadata(id, version, frame, &topics),
            Some(InFlightRequest::Identity) => self.on_identity(id, version, frame),
            Some(InFlightRequest::Coordinator(key)) => self.on_coordinator(id, version, frame, &key),
            Some(InFlightRequest::Transaction(request)) => self.on_transaction_response(id, version, frame, request),
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
        let decoded = match ProduceResponse::decode(frame, version) {
            Ok(decoded) => decoded,
            Err(error) => {
                self.on_unanswered_produce();
                for batch in batches {
                    self.on_produce_result(batch, broker, ProduceResult::NoResponse);
                }
                return self.fail_connection(id, error.into());
            }
        };
        if ApiKey::Produce.client_throttles(version) {
            self.throttle(id, decoded.throttle_time_ms);
        }
        // A broker responds in the order of the request. If it does not, the responses are looked up.
        let responses = || {
            let topics = decoded.responses.iter();
            topics.flat_map(|topic| topic.partition_responses.iter().map(|response| (&topic.topic, response)))
        };
        let is_in_order = responses().count() == batches.len()
            && responses()
                .zip(batches)
                .all(|((topic, response), batch)| self.is_response_to(topic, response.index, batch));
        let mut by_name: BTreeMap<(&str, i32), &PartitionProduceResponse> = BTreeMap::new();
        let mut by_id: BTreeMap<(Uuid, i32), &PartitionProduceResponse> = BTreeMap::new();
        if !is_in_order {
            for (topic, response) in responses() {
                match topic {
                    TopicNameOrId::Name(name) => by_name.entry((name, response.index)).or_insert(response),
                    TopicNameOrId::Id(id) => by_id.entry((*id, response.index)).or_insert(response),
                };
            }
        }
        let mut in_order = responses();
        for batch in batches {
            let partition = self.accumulator.partition(batch.partition);
            let response = if is_in_order {
                in_order.next().map(|(_, response)| response)
            } else {
                let response = by_name.get(&(partition.topic(), partition.number()));
                response.or_else(|| by_id.get(&(batch.topic_id, partition.number()))).copied()
            };
            match response {
                Some(response) => {
                    let response =
                        ReceivedResponse { broker, version, data: response, endpoints: &decoded.node_endpoints };
                    self.on_produce_result(batch, broker, ProduceResult::Response(response));
                }
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
    fn is_response_to(&self, topic: &TopicNameOrId, number: i32, batch: &SentBatch) -> bool {
        let partition = self.accumulator.partition(batch.partition);
        let is_topic = match topic {
            TopicNameOrId::Name(name) => name == partition.topic(),
            TopicNameOrId::Id(id) => *id == batch.topic_id,
        };
        is_topic && number == partition.number()
    }

    /// Applies the result of one batch.
    fn on_produce_result(&mut self, batch: &SentBatch, broker: i32, result: ProduceResult<'_>) {
        let &SentBatch { partition: index, entry, .. } = batch;
        let is_refused =
            self.transition(index, |partition, context| partition.on_result(entry, broker, result, context));
        if let ProduceResult::Response(response) = result {
            if is_refused {
                self.follow_leader(index, response);
            }
        }
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
