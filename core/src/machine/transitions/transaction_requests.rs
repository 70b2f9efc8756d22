//! The requests of transactions to the transaction coordinator: which one is due, and how it is encoded.

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use super::Machine;
use super::responses::InFlightRequest;
use crate::machine::index::PartitionIndex;
use crate::machine::io::ConnectionId;
use crate::machine::query::QueryState;
use crate::machine::schedule::Condition;
use crate::machine::timers::Timer;
use crate::machine::transactions::request::{CoordinatorKey, TransactionRequest};
use crate::machine::transactions::{TransactionState, Transition};
use crate::machine::versions::Versions;
use crate::protocol::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, AddPartitionsToTxnTopic, ApiKey, EndTxnRequest,
    InitProducerIdRequest, RequestEncodeError, RequestHeader,
};
use crate::transaction::TransactionCause;

/// The latest version of EndTxn for transactions below level 2; the next one returns the epoch of the next transaction.
const LAST_END_TXN_BELOW_LEVEL_2: i16 = 4;

/// The first version of InitProducerId that bumps an epoch (KIP-360).
const FIRST_BUMP: i16 = 3;

/// A request that is to be transmitted.
pub(super) type Frame = (ConnectionId, Vec<Bytes>);

/// Why a request cannot be made.
pub(super) enum RequestError {
    /// The broker does not support it.
    Unsupported(ApiKey),
    Encode(RequestEncodeError),
}

impl From<RequestEncodeError> for RequestError {
    fn from(error: RequestEncodeError) -> Self {
        Self::Encode(error)
    }
}

impl From<RequestError> for TransactionCause {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Unsupported(api) => Self::Unsupported {
                api,
                what: "transactions need Kafka 0.11, and with transaction.version=2 Kafka 4.0",
            },
            RequestError::Encode(error) => Self::Request(error),
        }
    }
}

/// An API with its version and a frame.
type EncodedRequest = (ApiKey, i16, Vec<Bytes>);

impl Machine {
    /// Returns a request for transactions, if one is due and allowed now.
    pub(super) fn request_for_transaction(&mut self) -> Option<Frame> {
        self.request_markers().or_else(|| self.request_to_coordinator()).or_else(|| self.request_offset_commit())
    }

    /// Returns what the transaction coordinator has to be asked for next. One request is in flight to it at a time.
    fn due_request(&mut self) -> Option<TransactionRequest> {
        let transactions = self.transactions.as_deref()?;
        let must_abort = transactions.current.abort_cause.is_some();
        match transactions.state() {
            TransactionState::Initializing => Some(TransactionRequest::InitProducerId { is_bump: false }),
            TransactionState::Bumping => Some(TransactionRequest::InitProducerId { is_bump: true }),
            TransactionState::Open | TransactionState::Committing if !must_abort => {
                if transactions.must_be_added_to().is_some() && transactions.markers.are_written() {
                    let group = transactions.offsets.first().map(|offsets| offsets.group.group());
                    let group = group.filter(|group| !transactions.offsets.has_added(group)).map(String::from);
                    let partitions = self.accumulator.schedule.all_waiting_for(Condition::AddPartitions);
                    if !partitions.is_empty() {
                        return Some(TransactionRequest::AddPartitions(partitions));
                    }
                    if let Some(group) = group {
                        return Some(TransactionRequest::AddOffsets(group));
                    }
                }
                self.end_if_complete(TransactionState::Committing)
            }
            TransactionState::Aborting => self.end_if_complete(TransactionState::Aborting),
            _ => None,
        }
    }

    fn end_if_complete(&self, state: TransactionState) -> Option<TransactionRequest> {
        let is_due = self.transactions.as_deref()?.state() == state && self.is_transaction_complete();
        is_due.then_some(TransactionRequest::EndTxn { is_commit: state == TransactionState::Committing })
    }

    fn request_to_coordinator(&mut self) -> Option<Frame> {
        let request = self.due_request()?;
        match self.transactions.as_deref()?.query.state(self.now) {
            QueryState::Due => {}
            QueryState::InFlight => return None,
            QueryState::BackingOff(moment) => {
                self.set_transaction_timer(moment);
                return None;
            }
        }
        let (id, versions) = match self.connection_to_coordinator(&CoordinatorKey::Transaction) {
            Ok(found) => found,
            Err(request) => return request,
        };
        let header = self.network.connections.get(&id)?.header(&self.config);
        match self.encode_for_coordinator(&request, versions, header) {
            Ok((api, version, bytes)) => {
                let transactions = self.transactions.as_deref_mut()?;
                transactions.query.sent();
                if let TransactionRequest::EndTxn { is_commit } = request {
                    transactions.current.is_commit_in_flight = is_commit;
                }
                self.register(id, api, version, InFlightRequest::Transaction(request));
                Some((id, bytes))
            }
            Err(error) => {
                let cause = TransactionCause::from(error);
                match request {
                    // The name of the group is too long, or too many partitions are added.
                    TransactionRequest::AddPartitions(_) | TransactionRequest::AddOffsets(_)
                        if matches!(cause, TransactionCause::Request(_)) =>
                    {
                        self.require_abort(cause);
                    }
                    _ => self.fail_transactions(Transition::Fail, cause),
                }
                None
            }
        }
    }

    fn encode_for_coordinator(
        &self,
        request: &TransactionRequest,
        versions: Versions,
        header: RequestHeader<'_>,
    ) -> Result<EncodedRequest, RequestError> {
        let transactional_id = self.config.transactional_id.as_deref().unwrap_or_default();
        let (producer_id, producer_epoch) =
            self.identities.current().map_or((-1, -1), |identity| (identity.id, identity.epoch));
        let is_level_2 = self.transactions.as_deref().is_some_and(|transactions| transactions.is_level_2());
        let supported = |api, version: Option<i16>| version.ok_or(RequestError::Unsupported(api));
        match request {
            TransactionRequest::InitProducerId { is_bump } => {
                let api = ApiKey::InitProducerId;
                let version = supported(api, versions.init_producer_id)?;
                let (producer_id, producer_epoch) = if *is_bump { (producer_id, producer_epoch) } else { (-1, -1) };
                let timeout = self.config.transaction_timeout.as_millis();
                let request = InitProducerIdRequest {
                    transactional_id: Some(transactional_id),
                    transaction_timeout_ms: i32::try_from(timeout).unwrap_or(i32::MAX),
                    producer_id,
                    producer_epoch,
                };
                Ok((api, version, request.encode(version, header)?))
            }
            TransactionRequest::AddPartitions(partitions) => {
                let api = ApiKey::AddPartitionsToTxn;
                let version = supported(api, versions.transactions.add_partitions_to_txn)?;
                let topics = self.partitions_by_topic(partitions);
                let request = AddPartitionsToTxnRequest { transactional_id, producer_id, producer_epoch, topics };
                Ok((api, version, request.encode(version, header)?))
            }
            TransactionRequest::AddOffsets(group_id) => {
                let api = ApiKey::AddOffsetsToTxn;
                let version = supported(api, versions.transactions.add_offsets_to_txn)?;
                let request = AddOffsetsToTxnRequest { transactional_id, producer_id, producer_epoch, group_id };
                Ok((api, version, request.encode(version, header)?))
            }
            TransactionRequest::EndTxn { is_commit } => {
                let api = ApiKey::EndTxn;
                let version = supported(api, versions.transactions.end_txn)?;
                let version = match is_level_2 {
                    true => Some(version).filter(|version| *version > LAST_END_TXN_BELOW_LEVEL_2),
                    false => Some(version.min(LAST_END_TXN_BELOW_LEVEL_2)),
                };
                let version = supported(api, version)?;
                let request = EndTxnRequest { transactional_id, producer_id, producer_epoch, committed: *is_commit };
                Ok((api, version, request.encode(version, header)?))
            }
        }
    }

    fn partitions_by_topic(&self, partitions: &[PartitionIndex]) -> Vec<AddPartitionsToTxnTopic<'_>> {
        let mut sorted: Vec<_> = partitions.iter().map(|&index| self.accumulator.partition(index)).collect();
        sorted.sort_by(|one, other| one.compare(other));
        let mut topics: Vec<AddPartitionsToTxnTopic<'_>> = Vec::new();
        for partition in sorted {
            match topics.last_mut().filter(|last| last.name == partition.topic()) {
                Some(topic) => topic.partitions.push(partition.number()),
                None => {
                    let partitions = Vec::from([partition.number()]);
                    topics.push(AddPartitionsToTxnTopic { name: partition.topic(), partitions });
                }
            }
        }
        topics
    }

    /// Wakes the machine at this moment, or before.
    pub(super) fn set_transaction_timer(&mut self, moment: crate::time::Instant) {
        let earliest = self.timers.deadline(Timer::Transaction).map_or(moment, |set| set.min(moment));
        self.timers.set(Timer::Transaction, earliest);
    }

    /// Records that the transaction can only be aborted.
    pub(super) fn require_abort(&mut self, cause: TransactionCause) {
        if let Some(transactions) = self.transactions.as_deref_mut() {
            transactions.require_abort(cause);
        }
        self.dirty = true;
    }
}

/// Returns `true` if this version of InitProducerId bumps an epoch.
pub(super) fn can_bump(versions: Versions) -> bool {
    versions.init_producer_id.is_some_and(|version| version >= FIRST_BUMP)
}
