//! The responses of the transaction coordinator, and missing responses.

use alloc::string::String;

use super::Machine;
use super::transaction_requests::can_bump;
use crate::machine::backoff::Backoff;
use crate::machine::event::TransactionEvent;
use crate::machine::identity::Identity;
use crate::machine::index::PartitionIndex;
use crate::machine::io::ConnectionId;
use crate::machine::schedule::Condition;
use crate::machine::transactions::request::{CoordinatorKey, TransactionRequest, codes_by_partition};
use crate::machine::transactions::verdict::{self, Verdict};
use crate::machine::transactions::{CONCURRENT_BACKOFF, TransactionState, Transition};
use crate::protocol::{
    AddOffsetsToTxnResponse, AddPartitionsToTxnResponse, ApiKey, BrokerError, EndTxnResponse, ErrorCode,
    InitProducerIdResponse,
};

impl Machine {
    pub(super) fn on_transaction_response(
        &mut self,
        id: ConnectionId,
        version: i16,
        frame: &[u8],
        request: TransactionRequest,
    ) {
        let (api, decoded) = match &request {
            TransactionRequest::InitProducerId { .. } => {
                let response = InitProducerIdResponse::decode(frame, version);
                let decoded = response.map(|found| CoordinatorResponse {
                    throttle: found.throttle_time_ms,
                    code: found.error_code,
                    identity: Some(Identity { id: found.producer_id, epoch: found.producer_epoch }),
                });
                (ApiKey::InitProducerId, decoded)
            }
            TransactionRequest::AddPartitions(partitions) => {
                let response = AddPartitionsToTxnResponse::decode(frame, version);
                let decoded = response.map(|found| {
                    let code = self.worst_of(partitions, &found);
                    CoordinatorResponse { throttle: found.throttle_time_ms, code, identity: None }
                });
                (ApiKey::AddPartitionsToTxn, decoded)
            }
            TransactionRequest::AddOffsets(_) => {
                let response = AddOffsetsToTxnResponse::decode(frame, version);
                let decoded = response.map(|found| CoordinatorResponse {
                    throttle: found.throttle_time_ms,
                    code: found.error_code,
                    identity: None,
                });
                (ApiKey::AddOffsetsToTxn, decoded)
            }
            TransactionRequest::EndTxn { .. } => {
                let response = EndTxnResponse::decode(frame, version);
                let decoded = response.map(|found| CoordinatorResponse {
                    throttle: found.throttle_time_ms,
                    code: found.error_code,
                    identity: (version >= 5).then_some(Identity { id: found.producer_id, epoch: found.producer_epoch }),
                });
                (ApiKey::EndTxn, decoded)
            }
        };
        let CoordinatorResponse { throttle, code, identity } = match decoded {
            Ok(decoded) => decoded,
            Err(error) => {
                self.on_no_transaction_response(&request);
                return self.fail_connection(id, error.into());
            }
        };
        if api.client_throttles(version) {
            self.throttle(id, throttle);
        }
        if let Some(transactions) = self.transactions.as_deref_mut() {
            transactions.query.on_response();
        }
        let error = BrokerError::new(api, code).with_version(version).with_broker(self.network.broker(id));
        match request {
            TransactionRequest::InitProducerId { is_bump } => self.on_assigned(identity, is_bump, error),
            TransactionRequest::AddPartitions(partitions) => self.on_partitions_added(&partitions, error),
            TransactionRequest::AddOffsets(group) => self.on_offsets_added(group, error),
            TransactionRequest::EndTxn { is_commit } => {
                let versions = self.network.connections.get(&id).and_then(|connection| connection.versions());
                self.on_end_txn(is_commit, identity, error, versions.is_some_and(can_bump));
            }
        }
    }

    /// Returns the error code that decides about these partitions: all of them are added, or none.
    fn worst_of(&self, partitions: &[PartitionIndex], response: &AddPartitionsToTxnResponse) -> ErrorCode {
        let results = codes_by_partition(&response.topics);
        let code_of = |index: &PartitionIndex| {
            let partition = self.accumulator.partition(*index);
            let found = results.get(&(partition.topic(), partition.number()));
            found.copied().unwrap_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
        };
        let codes = partitions.iter().map(code_of).chain(results.values().copied());
        // One that was not attempted is not added, also if the response has no error of another one.
        let rank = |code: &ErrorCode| (verdict::add_partitions(*code), *code == ErrorCode::OPERATION_NOT_ATTEMPTED);
        let worst = codes.max_by_key(rank).unwrap_or(ErrorCode::NONE);
        // Without another error, "not attempted" has no cause, so it is attempted again.
        let not_attempted = worst == ErrorCode::OPERATION_NOT_ATTEMPTED;
        if not_attempted { ErrorCode::COORDINATOR_LOAD_IN_PROGRESS } else { worst }
    }

    fn on_assigned(&mut self, identity: Option<Identity>, is_bump: bool, error: BrokerError) {
        let Some(transactions) = self.transactions.as_deref_mut() else { return };
        let expected = if is_bump { TransactionState::Bumping } else { TransactionState::Initializing };
        if transactions.state() != expected {
            return; // it was given up
        }
        match (verdict::init_producer_id(error.code, is_bump), identity) {
            (Verdict::Done, Some(identity)) => match self.identities.obtain(identity) {
                Ok(()) => {
                    transactions.on_assigned();
                    transactions.change(Transition::Assigned);
                    transactions.query.reset(self.now);
                    transactions.coordinator.confirmed();
                    if !is_bump {
                        self.transaction_event(TransactionEvent::Initialized(Ok(())));
                    }
                }
                Err(error) => self.fail_transactions(Transition::Fail, error.into()),
            },
            (verdict, _) => self.on_refusal(verdict, error),
        }
    }

    fn on_partitions_added(&mut self, partitions: &[PartitionIndex], error: BrokerError) {
        let verdict = verdict::add_partitions(error.code);
        if verdict != Verdict::Done {
            return self.on_not_added(verdict, error);
        }
        self.on_added();
        let Some(transactions) = self.transactions.as_deref_mut() else { return };
        let is_open = matches!(transactions.state(), TransactionState::Open | TransactionState::Committing);
        // Partitions of a transaction that is aborted may be forgotten already.
        if is_open && transactions.current.abort_cause.is_none() {
            let serial = transactions.current.serial;
            for &index in partitions {
                self.accumulator.partition_mut(index).on_added_to(serial);
            }
            self.accumulator.schedule.wake(Condition::AddPartitions);
        }
    }

    fn on_offsets_added(&mut self, group: String, error: BrokerError) {
        let verdict = verdict::add_offsets(error.code);
        if verdict != Verdict::Done {
            return self.on_not_added(verdict, error);
        }
        self.on_added();
        if let Some(transactions) = self.transactions.as_deref_mut() {
            transactions.offsets.added(group);
        }
    }

    /// Handles an error of AddPartitionsToTxn or AddOffsetsToTxn.
    fn on_not_added(&mut self, verdict: Verdict, error: BrokerError) {
        if let Some(transactions) = self.transactions.as_deref_mut() {
            // After these, the coordinator may have it in its log nevertheless, or get it there later.
            transactions.current.is_known |=
                verdict == Verdict::Coordinator || error.code == ErrorCode::REQUEST_TIMED_OUT;
        }
        self.on_refusal(verdict, error);
    }

    fn on_added(&mut self) {
        let Some(transactions) = self.transactions.as_deref_mut() else { return };
        transactions.current.is_known = true;
        transactions.current.is_confirmed = true;
        transactions.last_error = None;
        transactions.query.reset(self.now);
        transactions.coordinator.confirmed();
    }

    fn on_end_txn(&mut self, is_commit: bool, next: Option<Identity>, error: BrokerError, can_bump: bool) {
        let Some(transactions) = self.transactions.as_deref_mut() else { return };
        let (is_level_2, current) = (transactions.is_level_2(), &mut transactions.current);
        current.is_commit_in_flight = false;
        if !transactions.state().has_transaction() {
            return; // it was given up
        }
        let current = &mut transactions.current;
        let is_stale = matches!(error.code, ErrorCode::INVALID_PRODUCER_EPOCH | ErrorCode::PRODUCER_FENCED);
        // What was never added below level 2 cannot be aborted, and needs not.
        let was_never_added =
            !is_commit && !is_level_2 && !current.is_confirmed && error.code == ErrorCode::INVALID_TXN_STATE;
        // While the markers of the last transaction are due, Kafka 4.4 refuses to abort one that it does not know of, as if the
        // producer were fenced. InitProducerId with the same epoch aborts what there is, and is refused only if it is.
        let maybe_fenced = !is_commit && is_level_2 && !current.is_confirmed && is_stale;
        current.maybe_fenced |= maybe_fenced;
        let verdict = match verdict::end_txn(error.code, is_commit, is_level_2) {
            _ if was_never_added || maybe_fenced => Verdict::Done,
            // The former attempt may have been executed, after which another producer has taken over.
            Verdict::Abort if is_stale && current.is_maybe_committed => Verdict::Fenced,
            // This attempt was not executed, which says nothing of the former one.
            Verdict::Abort if error.code == ErrorCode::UNKNOWN_PRODUCER_ID && current.is_maybe_committed => {
                Verdict::Unknown
            }
            verdict => verdict,
        };
        match verdict {
            Verdict::Done => {
                current.is_maybe_committed = false;
                transactions.query.reset(self.now);
                transactions.coordinator.confirmed();
                transactions.last_error = None;
                transactions.markers.on_ended(self.now);
                self.transaction_ended(next.filter(|_| !maybe_fenced), can_bump);
            }
            Verdict::Abort => {
                current.is_maybe_committed = false; // the coordinator says so
                transactions.require_abort(error.into());
                transactions.change(Transition::NotCommitted);
            }
            Verdict::Unknown => {
                current.is_maybe_committed = true;
                self.fail_transactions(Transition::Fail, error.into());
            }
            // After these, the coordinator may have the decision in its log nevertheless, or get it there later.
            Verdict::Coordinator => {
                current.is_maybe_committed |= is_commit;
                self.on_refusal(verdict, error);
            }
            Verdict::Retry => {
                current.is_maybe_committed |= is_commit && error.code == ErrorCode::REQUEST_TIMED_OUT;
                self.on_refusal(verdict, error);
            }
            Verdict::Fenced | Verdict::Fatal => self.on_refusal(verdict, error),
        }
    }

    /// Handles an error of the transaction coordinator; with a verdict that no retry helps, of any coordinator.
    pub(super) fn on_refusal(&mut self, verdict: Verdict, error: BrokerError) {
        match verdict {
            Verdict::Retry | Verdict::Coordinator | Verdict::Done => {
                let backoff = match error.code {
                    ErrorCode::CONCURRENT_TRANSACTIONS => Backoff {
                        first: CONCURRENT_BACKOFF.min(self.config.retry_backoff),
                        most: self.config.retry_backoff_max,
                    },
                    _ => self.retry_backoff(),
                };
                if let Some(transactions) = self.transactions.as_deref_mut() {
                    transactions.query.failed(self.now, backoff, &mut self.random);
                    transactions.last_error = Some(error.into());
                }
                if verdict == Verdict::Coordinator {
                    self.forget_coordinator(&CoordinatorKey::Transaction);
                }
            }
            Verdict::Abort => self.require_abort(error.into()),
            Verdict::Fenced => self.fail_transactions(Transition::Fence, error.into()),
            Verdict::Fatal | Verdict::Unknown => self.fail_transactions(Transition::Fail, error.into()),
        }
    }

    /// Handles a request that got no response, or none that can be decoded. It may have been executed, or may yet be.
    pub(super) fn on_no_transaction_response(&mut self, request: &TransactionRequest) {
        let backoff = self.retry_backoff();
        let Self { transactions: Some(transactions), random, now, .. } = self else { return };
        match request {
            TransactionRequest::InitProducerId { .. } => {}
            TransactionRequest::AddPartitions(_) | TransactionRequest::AddOffsets(_) => transactions.unanswered(),
            TransactionRequest::EndTxn { is_commit } => {
                transactions.unanswered();
                transactions.current.is_commit_in_flight = false;
                transactions.current.is_maybe_committed |= *is_commit && transactions.state().has_transaction();
            }
        }
        transactions.query.failed(*now, backoff, random);
    }
}

/// What matters of a response of the transaction coordinator.
struct CoordinatorResponse {
    throttle: i32,
    code: ErrorCode,
    identity: Option<Identity>,
}
