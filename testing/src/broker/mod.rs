//! A broker as a state machine: takes the bytes of connections, and returns bytes when it is polled.
//!
//! Like a real broker, it processes one request of a connection at a time, and responds in their order.

mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod api_versions;
mod connection;
mod corrupt;
mod create_topics;
mod describe_transactions;
mod end_txn;
pub(crate) mod fault;
mod fetch;
mod find_coordinator;
pub(crate) mod identities;
mod init_producer_id;
mod list_offsets;
mod metadata;
mod offset_commit;
mod offset_fetch;
mod offset_for_leader_epoch;
mod offsets;
mod produce;
pub(crate) mod release;
mod requested;
pub(crate) mod sasl;
mod transactional;
mod txn_offset_commit;

use std::collections::BTreeMap;

use bytes::Bytes;

use self::connection::{Connection, Phase};
pub(crate) use self::fault::Fault;
use self::fault::{AssignedProducerId, FaultKind, Garbage};
use self::identities::{RejectedProducerIds, Rule};
use self::release::Release;
pub use self::requested::{ReceivedRequest, RequestedTopic};
use self::sasl::{SaslState, Users};
use crate::Moment;
use crate::api_key::ApiKey;
use crate::cluster::Cluster;
use crate::random::Random;
use crate::wire::{self, Field, Malformed, Request};

/// The port on which every broker listens in simulated networks.
pub const PORT: u16 = 9092;

/// The number of violations that a broker remembers.
const MOST_VIOLATIONS: usize = 1_000;

/// Returns the host name of a broker in simulated networks.
#[must_use]
pub fn host(id: i32) -> String {
    format!("broker-{id}")
}

/// What a broker does to a connection.
#[derive(Clone, Debug)]
pub enum BrokerAction {
    /// Bytes for the client.
    Send {
        /// The connection.
        connection: u64,
        /// The bytes.
        bytes: Bytes,
        /// Bytes from here on are meaningless.
        corrupted: bool,
    },
    /// The connection is closed.
    CloseConnection(u64),
    /// A fault was applied to a request.
    Applied(Fault),
    /// A request was received. Only if [`Broker::recording`] is set.
    Received(ReceivedRequest),
}

/// The random variation of a broker's behaviour, all of which the protocol permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variation {
    /// The maximum time that a request takes, in milliseconds; `None`: it takes no time.
    pub delay_ms: Option<u64>,
    /// The maximum time for which a topic that is created on request has no leaders, in milliseconds.
    pub creation_ms: u64,
    /// The percentage of cases in which a broker that is not the leader names the leader (KIP-951).
    pub hint_percent: u64,
    /// The percentage of cases in which the partitions of Metadata are listed in reverse.
    pub reordered_percent: u64,
    /// The percentage of cases in which requests are discarded that were received before their connection was closed.
    pub discarded_percent: u64,
    /// True if Produce responses before v3 have a separate entry for each partition.
    pub topics_apart: bool,
    /// True if a client whose authentication failed may try again on the same connection.
    pub lenient_sasl: bool,
}

impl Variation {
    /// No variation: a broker responds at once, and in the usual way.
    pub const NONE: Self = Self {
        delay_ms: None,
        creation_ms: 0,
        hint_percent: 100,
        reordered_percent: 0,
        discarded_percent: 0,
        topics_apart: false,
        lenient_sasl: false,
    };

    /// The variation with which clients are best tested.
    pub const SIMULATION: Self = Self {
        delay_ms: Some(4),
        creation_ms: 400,
        hint_percent: 70,
        reordered_percent: 20,
        discarded_percent: 50,
        topics_apart: true,
        lenient_sasl: true,
    };
}

/// The result of executing a request.
enum ExecuteResult {
    Answer(Bytes),
    /// The response is the last one: the connection is closed after it.
    LastAnswer(Bytes),
    /// There is no response.
    Silent,
    CloseConnection,
    /// Nothing is ever sent again on this connection.
    Unresponsive,
    Wait(Box<Pending>),
}

/// A request that is executed in part, and waits.
#[derive(Debug)]
enum Pending {
    /// For replicas.
    Produce(produce::Pending),
    /// For records.
    Fetch(fetch::Pending),
}

impl Pending {
    /// Returns when the broker stops waiting.
    const fn until(&self) -> Moment {
        match self {
            Self::Produce(pending) => pending.until(),
            Self::Fetch(pending) => pending.until(),
        }
    }
}

/// A request that is executed.
#[derive(Clone, Copy)]
struct Call<'a> {
    request: &'a Request,
    fault: Option<&'a FaultKind>,
    /// The listener of its connection, which determines the addresses that the client can use.
    listener: usize,
    now: Moment,
}

/// A broker.
#[derive(Debug)]
pub struct Broker {
    /// The broker's id.
    pub id: i32,
    /// The release that it runs.
    pub release: Release,
    /// Violations of the protocol by clients, up to a thousand.
    pub violations: Vec<String>,
    /// The users; clients have to authenticate if there are any.
    pub users: Users,
    /// The variation of its behaviour.
    pub variation: Variation,
    /// `socket.request.max.bytes`: the maximum size of a request, in bytes. A larger one closes its connection.
    pub request_max_bytes: usize,
    /// True if each request is reported ([`BrokerAction::Received`]).
    pub recording: bool,
    /// The time that it takes to append (a slow disk).
    pub append_delay: Moment,
    faults: Vec<Fault>,
    /// The identities that it rejects permanently.
    rules: Vec<Rule>,
    connections: BTreeMap<u64, Connection>,
    remembered: Option<metadata::View>,
    /// By how much a quota is exceeded in the next response.
    throttle: Option<i32>,
    random: Random,
}

impl Broker {
    /// Creates a broker without connections.
    #[must_use]
    pub fn new(id: i32, release: Release, variation: Variation, random: Random) -> Self {
        Self {
            id,
            release,
            violations: Vec::new(),
            users: Users::default(),
            variation,
            request_max_bytes: 100 << 20,
            recording: false,
            append_delay: Moment::ZERO,
            faults: Vec::new(),
            rules: Vec::new(),
            connections: BTreeMap::new(),
            remembered: None,
            throttle: None,
            random,
        }
    }

    /// Applies this to a later request.
    pub fn inject(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// Rejects these identities from now on, with this error code.
    pub fn reject(&mut self, which: RejectedProducerIds, code: i16, cluster: &Cluster) {
        self.rules.push(Rule { which, code, assigned: cluster.assigned.len() });
    }

    /// Returns true if it rejects any identities.
    #[must_use]
    pub fn rejects_identities(&self) -> bool {
        !self.rules.is_empty()
    }

    /// Accepts all identities again.
    pub fn accept_identities(&mut self) {
        self.rules.clear();
    }

    /// Ends the faults, except for rejected identities: removes all that have not happened and, if requested, closes
    /// unresponsive connections.
    pub fn end_faults(&mut self, close_unresponsive: bool) {
        self.faults.clear();
        for connection in self.connections.values_mut().filter(|_| close_unresponsive) {
            if matches!(connection.phase, Some(Phase::Unresponsive)) {
                connection.phase = Some(Phase::Closing);
            }
        }
    }

    /// Continues requests and sends responses that a fault holds until they are released.
    pub fn release_held(&mut self, now: Moment) {
        for connection in self.connections.values_mut() {
            connection.release_held(now);
        }
    }

    /// Accepts a connection of a client at this listener.
    pub fn accept(&mut self, connection: u64, listener: usize) {
        let login = if self.users.is_empty() { SaslState::Authenticated } else { SaslState::Handshake };
        self.connections.insert(connection, Connection::new(login, listener));
    }

    /// Limits the responses of a connection that its client has not received: from some megabytes on, no further request is
    /// executed until [`sent`](Self::sent) is called.
    pub(crate) fn limit_unsent(&mut self, connection: u64) {
        if let Some(connection) = self.connections.get_mut(&connection) {
            connection.limit_unsent();
        }
    }

    /// The client has received this many bytes of responses.
    pub(crate) fn sent(&mut self, connection: u64, bytes: usize) {
        if let Some(connection) = self.connections.get_mut(&connection) {
            connection.sent(bytes);
        }
    }

    /// Receives bytes.
    pub fn receive(&mut self, connection: u64, bytes: &[u8]) {
        if let Some(connection) = self.connections.get_mut(&connection) {
            connection.receive(bytes, self.request_max_bytes);
        }
    }

    /// Returns true if no bytes should be read from this connection now: a broker reads a request after it has responded
    /// to the one before.
    #[must_use]
    pub fn is_muted(&self, connection: u64) -> bool {
        self.connections.get(&connection).is_some_and(Connection::is_muted)
    }

    /// Returns the number of bytes of a connection that were received and are not executed.
    pub(crate) fn waiting_bytes(&self, connection: u64) -> usize {
        self.connections.get(&connection).map_or(0, Connection::waiting_bytes)
    }

    /// The client has closed the connection. Requests received before may still be executed, except for those that wait for
    /// records.
    pub fn client_closed(&mut self, connection: u64) {
        if let Some(connection) = self.connections.get_mut(&connection) {
            connection.client_closed = true;
            if self.random.percent(self.variation.discarded_percent) {
                connection.requests.clear();
            }
        }
    }

    /// Stops the broker: all its connections are lost, and requests that were not executed are not executed.
    pub fn crash(&mut self) {
        self.connections.clear();
    }

    fn report_violation(&mut self, violation: String) {
        if self.violations.len() < MOST_VIOLATIONS {
            self.violations.push(violation);
        }
    }

    /// Decodes the body of a request. Bytes after it are ignored, as in Kafka, although no client should send them.
    fn body<T: Field>(&mut self, request: &Request) -> Result<T, Malformed> {
        let (body, left) = wire::read_first(request.api, request.version, request.body.clone())?;
        if left > 0 {
            self.report_violation(format!("{left} bytes after a {:?} v{} request", request.api, request.version));
        }
        Ok(body)
    }

    /// Records that a request cannot be decoded, at which a broker closes the connection.
    fn unreadable(&mut self, request: &Request, error: Malformed) -> ExecuteResult {
        self.report_violation(format!("a {:?} v{} request that cannot be read: {error}", request.api, request.version));
        ExecuteResult::CloseConnection
    }

    /// Does what is due.
    pub fn turn(&mut self, cluster: &mut Cluster, now: Moment) -> Vec<BrokerAction> {
        let mut actions = Vec::new();
        let ids: Vec<u64> = self.connections.keys().copied().collect();
        for id in ids {
            // Removed meanwhile, so that the broker can be borrowed.
            let mut connection = self.connections.remove(&id).expect("only this function removes connections here");
            if self.work(id, &mut connection, cluster, now, &mut actions) {
                self.connections.insert(id, connection);
            }
        }
        actions
    }

    fn execute(&mut self, call: &Call<'_>, login: &mut SaslState, cluster: &mut Cluster) -> ExecuteResult {
        let request = call.request;
        let is_open = matches!(request.api, ApiKey::ApiVersions | ApiKey::SaslHandshake | ApiKey::SaslAuthenticate);
        if matches!(login, SaslState::Undefined) && !is_open && !self.users.is_empty() {
            return ExecuteResult::CloseConnection;
        }
        if matches!(login, SaslState::Session { until, .. } if *until < call.now) && !is_open {
            // No violation: the session may have ended while the request was sent.
            return ExecuteResult::CloseConnection;
        }
        let is_authenticated =
            matches!(login, SaslState::Authenticated | SaslState::Session { .. } | SaslState::Undefined);
        if !is_authenticated && !is_open {
            self.report_violation(format!("{:?} of an unauthenticated client", request.api));
            return ExecuteResult::CloseConnection;
        }
        if request.api != ApiKey::ApiVersions && !self.release.supports(request.api, request.version) {
            let release = self.release.version();
            self.report_violation(format!("{:?} v{}, which {release} does not support", request.api, request.version));
            return ExecuteResult::CloseConnection;
        }
        match request.api {
            ApiKey::ApiVersions => self.api_versions(call, cluster),
            ApiKey::SaslHandshake => self.sasl_handshake(call, login),
            ApiKey::SaslAuthenticate => self.sasl_authenticate(call, login),
            ApiKey::Metadata => self.metadata(call, cluster),
            ApiKey::InitProducerId => self.init_producer_id(call, cluster),
            ApiKey::Produce => self.produce(call, cluster),
            ApiKey::Fetch => self.fetch(call, cluster),
            ApiKey::ListOffsets => self.list_offsets(call, cluster),
            ApiKey::OffsetForLeaderEpoch => self.offset_for_leader_epoch(call, cluster),
            ApiKey::CreateTopics => self.create_topics(call, cluster),
            ApiKey::FindCoordinator => self.find_coordinator(call, cluster),
            ApiKey::AddPartitionsToTxn => self.add_partitions_to_txn(call, cluster),
            ApiKey::AddOffsetsToTxn => self.add_offsets_to_txn(call, cluster),
            ApiKey::EndTxn => self.end_txn(call, cluster),
            ApiKey::TxnOffsetCommit => self.txn_offset_commit(call, cluster),
            ApiKey::OffsetCommit => self.offset_commit(call, cluster),
            ApiKey::OffsetFetch => self.offset_fetch(call, cluster),
            ApiKey::DescribeTransactions => self.describe_transactions(call, cluster),
        }
    }

    /// Continues a request that waits.
    fn resume(&mut self, request: &Request, pending: Pending, cluster: &Cluster, now: Moment) -> ExecuteResult {
        match pending {
            Pending::Produce(pending) => self.wait(request, pending, cluster, now),
            Pending::Fetch(pending) => self.fetch_or_wait(request, pending, cluster, now),
        }
    }

    /// Returns when there is something to do for [`turn`](Self::turn), if nothing else happens.
    #[must_use]
    pub fn wakes_at(&self) -> Option<Moment> {
        self.connections.values().filter_map(Connection::wakes_at).min()
    }
}
