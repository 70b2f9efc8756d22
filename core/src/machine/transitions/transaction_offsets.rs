//! TxnOffsetCommit: commits offsets of a group in a transaction, at the coordinator of the group.

use alloc::string::String;
use alloc::vec::Vec;

use super::Machine;
use super::responses::InFlightRequest;
use super::transaction_requests::{Frame, RequestError};
use crate::machine::event::TransactionEvent;
use crate::machine::io::ConnectionId;
use crate::machine::query::QueryState;
use crate::machine::transactions::TransactionState;
use crate::machine::transactions::Transition;
use crate::machine::transactions::request::{CoordinatorKey, codes_by_partition};
use crate::machine::transactions::verdict::{self, Verdict};
use crate::protocol::{ApiKey, BrokerError, ErrorCode, TxnOffsetCommitRequest, TxnOffsetCommitResponse};
use crate::record::TopicPartition;
use crate::transaction::TransactionCause;

/// The first version of TxnOffsetCommit that adds the group to the transaction, for transactions of level 2.
const FIRST_OF_LEVEL_2: i16 = 5;

impl Machine {
    /// Returns TxnOffsetCommit for the first offsets, if it is allowed now.
    pub(super) fn request_offset_commit(&mut self) -> Option<Frame> {
        let transactions = self.transactions.as_deref()?;
        let is_open = matches!(transactions.state(), TransactionState::Open | TransactionState::Committing);
        let first = transactions.offsets.first().filter(|_| is_open && transactions.current.abort_cause.is_none())?;
        if transactions.must_be_added_to().is_some() && !transactions.offsets.has_added(first.group.group()) {
            return None; // AddOffsetsToTxn comes first
        }
        if !transactions.markers.are_written() {
            return None;
        }
        match transactions.offsets.query.state(self.now) {
            QueryState::Due => {}
            QueryState::InFlight => return None,
            QueryState::BackingOff(moment) => {
                self.set_transaction_timer(moment);
                return None;
            }
        }
        let group = String::from(first.group.group());
        let (id, versions) = match self.connection_to_coordinator(&CoordinatorKey::Group(group.clone())) {
            Ok(found) => found,
            Err(request) => return request,
        };
        match self.encode_offset_commit(id, versions.transactions.txn_offset_commit) {
            Ok((version, bytes)) => {
                let transactions = self.transactions.as_deref_mut()?;
                transactions.offsets.query.sent();
                transactions.current.is_known = true; // with level 2, also if the offsets are refused
                self.register(id, ApiKey::TxnOffsetCommit, version, InFlightRequest::OffsetCommit(group));
                Some((id, bytes))
            }
            Err(RequestError::Encode(error)) => {
                self.require_abort(error.into());
                None
            }
            Err(error @ RequestError::Unsupported(_)) => {
                self.fail_transactions(Transition::Fail, error.into());
                None
            }
        }
    }

    fn encode_offset_commit(
        &self,
        id: ConnectionId,
        version: Option<i16>,
    ) -> Result<(i16, Vec<bytes::Bytes>), RequestError> {
        let unsupported = || RequestError::Unsupported(ApiKey::TxnOffsetCommit);
        let connection = self.network.connections.get(&id).ok_or_else(unsupported)?;
        let transactions = self.transactions.as_deref().ok_or_else(unsupported)?;
        let transactional_id = self.config.transactional_id.as_deref().ok_or_else(unsupported)?;
        let identity = self.identities.current().ok_or_else(unsupported)?;
        let first = transactions.offsets.first().ok_or_else(unsupported)?;
        let version = match transactions.is_level_2() {
            true => version.filter(|version| *version >= FIRST_OF_LEVEL_2),
            false => version.map(|version| version.min(FIRST_OF_LEVEL_2 - 1)),
        };
        let version = version.ok_or_else(unsupported)?;
        let request = TxnOffsetCommitRequest {
            transactional_id,
            group_id: first.group.group(),
            producer_id: identity.id,
            producer_epoch: identity.epoch,
            generation_id: first.group.generation(),
            member_id: first.group.member_id(),
            group_instance_id: first.group.group_instance_id(),
            topics: first.topics(),
        };
        Ok((version, request.encode(version, connection.header(&self.config))?))
    }

    /// Handles TxnOffsetCommit that got no response, or none that can be decoded. It may have been executed, or may yet be.
    pub(super) fn offset_commit_unanswered(&mut self) {
        let backoff = self.retry_backoff();
        let Self { transactions: Some(transactions), random, now, .. } = self else { return };
        transactions.unanswered();
        transactions.offsets.query.failed(*now, backoff, random);
    }

    pub(super) fn on_offset_commit(&mut self, id: ConnectionId, version: i16, frame: &[u8], group: String) {
        let response = match TxnOffsetCommitResponse::decode(frame, version) {
            Ok(response) => response,
            Err(error) => {
                self.offset_commit_unanswered();
                return self.fail_connection(id, error.into());
            }
        };
        if ApiKey::TxnOffsetCommit.client_throttles(version) {
            self.throttle(id, response.throttle_time_ms);
        }
        let broker = self.network.broker(id);
        let (backoff, now) = (self.retry_backoff(), self.now);
        let Self { transactions: Some(transactions), random, .. } = self else { return };
        transactions.offsets.query.on_response();
        // If it is gone, the transaction has failed meanwhile.
        let Some(first) = transactions.offsets.first() else { return };
        let results = codes_by_partition(&response.topics);
        let of = |to: &TopicPartition| results.get(&(to.topic.as_str(), to.partition)).copied();
        let codes: Option<Vec<ErrorCode>> = first.offsets.iter().map(|(to, _)| of(to)).collect();
        let Some(codes) = codes else {
            return self.require_abort(TransactionCause::Incomplete(ApiKey::TxnOffsetCommit));
        };
        // The worst of them decides: if one offset is refused, none is committed.
        let worst = codes.into_iter().max_by_key(|code| verdict::offset_commit(*code)).unwrap_or(ErrorCode::NONE);
        let error = BrokerError::new(ApiKey::TxnOffsetCommit, worst).with_version(version).with_broker(broker);
        let key = CoordinatorKey::Group(group);
        match verdict::offset_commit(worst) {
            Verdict::Done => {
                transactions.offsets.query.reset(now);
                let id = transactions.offsets.pop().map(|offsets| offsets.id);
                transactions.current.is_confirmed = true;
                transactions.last_error = None;
                if let Some(coordinator) = self.coordinator(&key) {
                    coordinator.confirmed();
                }
                if let Some(id) = id {
                    self.transaction_event(TransactionEvent::OffsetsSent { id, result: Ok(()) });
                }
            }
            verdict @ (Verdict::Retry | Verdict::Coordinator) => {
                transactions.last_error = Some(error.into());
                transactions.offsets.query.failed(now, backoff, random);
                if verdict == Verdict::Coordinator {
                    self.forget_coordinator(&key);
                }
            }
            verdict => self.on_refusal(verdict, error),
        }
    }
}
