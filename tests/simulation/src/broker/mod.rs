//! A broker as a state machine: takes the bytes of connections, and returns bytes when it is polled.
//!
//! Like a real broker, it processes one request of a connection at a time, and responds in their order.

mod api_versions;
pub mod identities;
mod init_producer_id;
pub mod intercept;
mod metadata;
mod produce;
pub mod release;
pub mod sasl;

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::ApiKey;

pub use self::identities::RejectedIdentities;
use self::identities::Rule;
pub use self::intercept::{AssignedIdentity, Garbage, Intercept, Interceptor};
use self::release::Release;
use self::sasl::SaslState;
use crate::Moment;
use crate::cluster::Cluster;
use crate::random::Random;
use crate::wire::{self, Frames, Request};

/// The port on which every broker listens.
pub const PORT: i32 = 9092;

/// Returns the host name of a broker.
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
    /// An interceptor was used.
    Intercepted(Interceptor),
}

/// The state of a request.
#[derive(Debug)]
enum Phase {
    /// It is executed at this time.
    Accepted { request: Request, at: Moment, intercept: Option<Intercept> },
    /// It waits for replicas.
    Waiting { request: Request, pending: Box<produce::Pending>, intercept: Option<Intercept> },
    /// The response is sent at this time.
    Answering { at: Moment, answer: Bytes, corrupted: bool },
    /// There is no response, but the next request waits until this time.
    Pausing { at: Moment },
    /// The connection is to be closed.
    Closing,
    /// Nothing is ever sent again on this connection.
    Unresponsive,
}

#[derive(Debug, Default)]
struct Connection {
    frames: Frames,
    requests: VecDeque<Bytes>,
    phase: Option<Phase>,
    login: SaslState,
    /// The client has closed the connection: its requests are still executed, but the responses are discarded.
    client_closed: bool,
}

/// The result of executing a request.
enum ExecuteResult {
    Answer(Bytes),
    Silent,
    CloseConnection,
    Wait(Box<produce::Pending>),
}

/// A broker.
#[derive(Debug)]
pub struct Broker {
    /// The broker's id.
    pub id: i32,
    /// The release that it runs.
    pub release: Release,
    /// Violations of the protocol by the client.
    pub violations: Vec<String>,
    /// True if clients have to authenticate.
    pub sasl: bool,
    /// The maximum time that a request takes, in milliseconds.
    pub max_delay: u64,
    interceptors: Vec<Interceptor>,
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
    pub const fn new(id: i32, release: Release, random: Random) -> Self {
        Self {
            id,
            release,
            violations: Vec::new(),
            sasl: false,
            max_delay: 4,
            interceptors: Vec::new(),
            rules: Vec::new(),
            connections: BTreeMap::new(),
            remembered: None,
            throttle: None,
            random,
        }
    }

    /// Applies this to a later request.
    pub fn intercept(&mut self, interceptor: Interceptor) {
        self.interceptors.push(interceptor);
    }

    /// Rejects these identities from now on, with this error code.
    pub fn reject(&mut self, which: RejectedIdentities, code: i16, cluster: &Cluster) {
        self.rules.push(Rule { which, code, assigned: cluster.assigned.len() });
    }

    /// Returns true if it rejects any identities.
    #[must_use]
    pub const fn rejects_identities(&self) -> bool {
        !self.rules.is_empty()
    }

    /// Ends the faults, except for rejected identities: removes all interceptors and, if requested, closes unresponsive
    /// connections.
    pub fn end_faults(&mut self, close_unresponsive: bool) {
        self.interceptors.clear();
        for connection in self.connections.values_mut().filter(|_| close_unresponsive) {
            if matches!(connection.phase, Some(Phase::Unresponsive)) {
                connection.phase = Some(Phase::Closing);
            }
        }
    }

    /// Accepts a connection of a client.
    pub fn accept(&mut self, connection: u64) {
        let login = if self.sasl { SaslState::Mechanism } else { SaslState::ExecuteResult };
        self.connections.insert(connection, Connection { login, ..Connection::default() });
    }

    /// Receives bytes.
    pub fn receive(&mut self, connection: u64, bytes: &[u8]) {
        if let Some(connection) = self.connections.get_mut(&connection) {
            connection.frames.push(bytes);
            while let Some(frame) = connection.frames.next_frame() {
                connection.requests.push_back(frame);
            }
        }
    }

    /// The client has closed the connection. Requests received before may still be executed.
    pub fn client_closed(&mut self, connection: u64) {
        if let Some(connection) = self.connections.get_mut(&connection) {
            connection.client_closed = true;
            if self.random.percent(50) {
                connection.requests.clear();
            }
        }
    }

    /// Stops the broker: all its connections are lost, and requests that were not executed are not executed.
    pub fn crash(&mut self) {
        self.connections.clear();
    }

    fn report_violation(&mut self, violation: String) {
        self.violations.push(violation);
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

    /// Works on a connection until nothing is due. Returns whether it stays open.
    fn work(
        &mut self,
        id: u64,
        connection: &mut Connection,
        cluster: &mut Cluster,
        now: Moment,
        actions: &mut Vec<BrokerAction>,
    ) -> bool {
        loop {
            let next = match connection.phase.take() {
                None => match connection.requests.pop_front() {
                    None => return !connection.client_closed,
                    Some(token) if connection.login == SaslState::BareToken => {
                        connection.login = SaslState::ExecuteResult;
                        let answer = Phase::Answering { at: now, answer: sasl::BARE_ANSWER, corrupted: false };
                        Some(if sasl::is_right(&token) { answer } else { Phase::Closing })
                    }
                    Some(frame) => self.begin(frame, now, actions),
                },
                Some(Phase::Accepted { request, at, intercept }) if at <= now => {
                    match self.execute(&request, intercept.as_ref(), &mut connection.login, cluster, now) {
                        ExecuteResult::Wait(pending) => Some(Phase::Waiting { request, pending, intercept }),
                        done => self.finish(&request, intercept.as_ref(), done, now),
                    }
                }
                Some(Phase::Waiting { request, pending, intercept }) => match self.wait(*pending, cluster, now) {
                    ExecuteResult::Wait(pending) => {
                        connection.phase = Some(Phase::Waiting { request, pending, intercept });
                        return true;
                    }
                    done => self.finish(&request, intercept.as_ref(), done, now),
                },
                Some(Phase::Answering { at, answer, corrupted }) if at <= now => {
                    if corrupted {
                        connection.login = SaslState::Undefined;
                    }
                    if !connection.client_closed {
                        actions.push(BrokerAction::Send { connection: id, bytes: answer, corrupted });
                    }
                    None
                }
                Some(Phase::Pausing { at }) if at <= now => None,
                Some(Phase::Closing) => {
                    actions.push(BrokerAction::CloseConnection(id));
                    return false;
                }
                later @ Some(_) => {
                    connection.phase = later;
                    return true;
                }
            };
            connection.phase = next;
        }
    }

    fn begin(&mut self, frame: Bytes, now: Moment, actions: &mut Vec<BrokerAction>) -> Option<Phase> {
        let request = match wire::open(frame) {
            Ok(request) => request,
            Err(error) => {
                self.report_violation(format!("a request whose header cannot be read: {error}"));
                return Some(Phase::Closing);
            }
        };
        let intercept = self.take_interceptor(request.api, actions);
        let mut at = now + self.random.millis(0, self.max_delay);
        match &intercept {
            Some(Intercept::DropRequest) => return Some(Phase::Unresponsive),
            Some(Intercept::CloseConnection { done: false }) => return Some(Phase::Closing),
            Some(Intercept::DelayRequest(delay)) => at += *delay,
            Some(Intercept::Throttle(millis)) => self.throttle = Some(*millis),
            _ => {}
        }
        Some(Phase::Accepted { request, at, intercept })
    }

    fn take_interceptor(&mut self, api: ApiKey, actions: &mut Vec<BrokerAction>) -> Option<Intercept> {
        let position = self.interceptors.iter().position(|waiting| waiting.api == api)?;
        if let Some(less) = self.interceptors[position].after.checked_sub(1) {
            self.interceptors[position].after = less;
            return None;
        }
        let taken = self.interceptors.remove(position);
        actions.push(BrokerAction::Intercepted(taken.clone()));
        Some(taken.what)
    }

    fn execute(
        &mut self,
        request: &Request,
        intercept: Option<&Intercept>,
        login: &mut SaslState,
        cluster: &mut Cluster,
        now: Moment,
    ) -> ExecuteResult {
        let is_open = matches!(request.api, ApiKey::ApiVersions | ApiKey::SaslHandshake | ApiKey::SaslAuthenticate);
        if *login == SaslState::Undefined && !is_open && self.sasl {
            return ExecuteResult::CloseConnection;
        }
        if !matches!(login, SaslState::ExecuteResult | SaslState::Undefined) && !is_open {
            self.report_violation(format!("{:?} of an unauthenticated client", request.api));
            return ExecuteResult::CloseConnection;
        }
        if request.api != ApiKey::ApiVersions && !self.release.supports(request.api, request.version) {
            let release = self.release.version();
            self.report_violation(format!("{:?} v{}, which {release} does not support", request.api, request.version));
            return ExecuteResult::CloseConnection;
        }
        match request.api {
            ApiKey::ApiVersions => self.api_versions(request, intercept),
            ApiKey::SaslHandshake => self.sasl_handshake(request, intercept, login),
            ApiKey::SaslAuthenticate => self.sasl_authenticate(request, intercept, login),
            ApiKey::Metadata => self.metadata(request, intercept, cluster, now),
            ApiKey::InitProducerId => self.init_producer_id(request, intercept, cluster),
            ApiKey::Produce => self.produce(request, intercept, cluster, now),
            _ => ExecuteResult::CloseConnection,
        }
    }

    fn finish(
        &mut self,
        request: &Request,
        intercept: Option<&Intercept>,
        done: ExecuteResult,
        now: Moment,
    ) -> Option<Phase> {
        let answer = match done {
            ExecuteResult::Answer(answer) => answer,
            ExecuteResult::Silent => return Some(Phase::Pausing { at: now }),
            ExecuteResult::CloseConnection => return Some(Phase::Closing),
            ExecuteResult::Wait(_) => unreachable!("a waiting request is not finished"),
        };
        let mut at = now;
        let mut corrupted = false;
        let answer = match intercept {
            Some(Intercept::DropResponse) => return Some(Phase::Unresponsive),
            Some(Intercept::CloseConnection { .. }) => return Some(Phase::Closing),
            Some(Intercept::DelayResponse(delay)) => {
                at += *delay;
                answer
            }
            Some(Intercept::RespondTwice) => {
                // A second response is distinguished by the world's own count of responses.
                let mut twice = BytesMut::from(&answer[..]);
                twice.extend_from_slice(&answer);
                twice.freeze()
            }
            Some(Intercept::Garbage(garbage)) => {
                corrupted = true;
                self.corrupt(request, *garbage, &answer)
            }
            _ => answer,
        };
        Some(Phase::Answering { at, answer, corrupted })
    }

    fn corrupt(&mut self, request: &Request, garbage: Garbage, answer: &Bytes) -> Bytes {
        let mut bytes = BytesMut::from(&answer[..]);
        // A response with UNSUPPORTED_VERSION need not be readable: only the rejection counts.
        let is_rejected = request.api == ApiKey::ApiVersions && answer.get(8..10) == Some(&[0, 35]);
        match if is_rejected { Garbage::Correlation } else { garbage } {
            Garbage::Body => {
                // Any 16 bytes are a response to InitProducerId, and a plausible one is not garbage.
                let longest = if request.api == ApiKey::InitProducerId { 15 } else { 40 };
                let body: Vec<u8> = (0..self.random.between(1, longest)).map(|_| self.random.draw() as u8).collect();
                return wire::framed(request.api, request.version, request.correlation, &body);
            }
            Garbage::Correlation => bytes[4..8].copy_from_slice(&(request.correlation ^ 0x5555).to_be_bytes()),
            Garbage::Short => {
                let cut = self.random.between(1, (bytes.len() as u64 - 8).min(6)) as usize;
                bytes.truncate(bytes.len() - cut);
            }
            Garbage::Long => bytes.extend_from_slice(b"more"),
            Garbage::Negative => bytes[..4].copy_from_slice(&(-1i32).to_be_bytes()),
            Garbage::Huge => bytes[..4].copy_from_slice(&i32::MAX.to_be_bytes()),
            Garbage::Empty => return Bytes::from_static(&[0; 4]),
        }
        if matches!(garbage, Garbage::Short | Garbage::Long) {
            let length = bytes.len() as u32 - 4;
            bytes[..4].copy_from_slice(&length.to_be_bytes());
        }
        bytes.freeze()
    }

    /// Returns when there is something to do for [`turn`](Self::turn), if nothing else happens.
    #[must_use]
    pub fn wakes_at(&self) -> Option<Moment> {
        let of = |connection: &Connection| match &connection.phase {
            Some(Phase::Accepted { at, .. } | Phase::Answering { at, .. } | Phase::Pausing { at }) => Some(*at),
            Some(Phase::Waiting { pending, .. }) => Some(pending.until()),
            _ => None,
        };
        self.connections.values().filter_map(of).min()
    }
}
