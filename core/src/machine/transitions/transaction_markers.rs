//! DescribeTransactions: whether the markers of the last transaction are written. See
//! [`markers`](crate::machine::transactions::markers).

use super::Machine;
use super::responses::InFlightRequest;
use super::transaction_requests::Frame;
use crate::machine::io::ConnectionId;
use crate::machine::network::NodeStatus;
use crate::machine::node::Node;
use crate::machine::schedule::Condition;
use crate::protocol::{ApiKey, DescribeTransactionsRequest, DescribeTransactionsResponse, ErrorCode};

/// The beginning of the names of the states in which markers are being written.
const PENDING: &str = "Prepare";

impl Machine {
    /// Returns DescribeTransactions, if it is due. Without a connection on which it can be sent at once it is not sent at all.
    pub(super) fn request_markers(&mut self) -> Option<Frame> {
        self.limit_wait_for_markers();
        let due = self.transactions.as_deref()?.markers.due()?;
        if due > self.now {
            self.set_transaction_timer(due);
            return None;
        }
        let sent = self.send_describe();
        let transactions = self.transactions.as_deref_mut()?;
        match sent {
            Some(_) => transactions.markers.on_sent(self.now),
            None => self.markers_unknown(),
        }
        sent
    }

    /// Lets the requests of a transaction be sent when they have waited for the response long enough.
    fn limit_wait_for_markers(&mut self) {
        let Some(transactions) = self.transactions.as_deref_mut() else { return };
        if !transactions.state().has_transaction() {
            return;
        }
        let Some(limit) = transactions.markers.limit() else { return };
        if limit <= self.now {
            transactions.markers.on_limit(self.now);
            self.markers_changed();
        } else {
            self.set_transaction_timer(limit);
        }
    }

    fn send_describe(&mut self) -> Option<Frame> {
        let node = Node::Broker(self.transactions.as_deref()?.coordinator.broker()?);
        let NodeStatus::Ready(id) = self.network.status(node, self.now) else { return None };
        let connection = self.network.connections.get(&id).filter(|found| found.accepts_requests(self.now))?;
        let version = connection.versions()?.transactions.describe_transactions?;
        let transactional_ids = &[self.config.transactional_id.as_deref()?];
        let request = DescribeTransactionsRequest { transactional_ids };
        let bytes = request.encode(version, connection.header(&self.config)).ok()?;
        self.register(id, ApiKey::DescribeTransactions, version, InFlightRequest::Markers);
        Some((id, bytes))
    }

    pub(super) fn on_markers(&mut self, id: ConnectionId, version: i16, frame: &[u8]) {
        let response = match DescribeTransactionsResponse::decode(frame, version) {
            Ok(response) => response,
            Err(error) => {
                self.markers_unknown();
                return self.fail_connection(id, error.into());
            }
        };
        if ApiKey::DescribeTransactions.client_throttles(version) {
            self.throttle(id, response.throttle_time_ms);
        }
        let name = self.config.transactional_id.as_deref();
        let mut found = response.transactions.iter();
        let found = found.find(|found| Some(found.transactional_id.as_str()) == name);
        let Some(transactions) = self.transactions.as_deref_mut() else { return };
        match found.map(|found| (found.error_code, found.state.starts_with(PENDING))) {
            Some((ErrorCode::NONE, is_pending)) => transactions.markers.on_response(is_pending, self.now),
            Some((ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED, _)) => transactions.markers.on_refused(),
            Some(_) | None => transactions.markers.on_unknown(),
        }
        self.markers_changed();
    }

    /// Records that the coordinator does not say whether markers are written.
    pub(super) fn markers_unknown(&mut self) {
        if let Some(transactions) = self.transactions.as_deref_mut() {
            transactions.markers.on_unknown();
        }
        self.markers_changed();
    }

    /// Lets the partitions be examined that have waited for the markers, once they are written.
    fn markers_changed(&mut self) {
        if self.transactions.as_deref().is_some_and(|transactions| transactions.markers.are_written()) {
            self.accumulator.schedule.wake(Condition::Markers);
        }
        self.dirty = true;
    }
}
