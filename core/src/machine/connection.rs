//! One connection to one broker: its handshake, its correlation ids, its requests in flight. It is independent of
//! topics and batches: the sender of a request gets the correlation id of the response.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::mem;
use core::time::Duration;

use bytes::Bytes;

use super::backoff::ConnectionRng;
use super::config::MachineConfig;
use super::handshake::{Handshake, HandshakeStep, SaslSession};
use super::node::Node;
use super::stats::{BrokerCounters, BrokerStats};
use super::versions::Versions;
use crate::cause::{BrokerAddress, ConnectionErrorKind, ForeignProtocol, PendingRequest};
use crate::magic::BrokerVersion;
use crate::protocol::{Acks, ApiKey, FrameReader, RequestHeader, correlation_id};
use crate::time::Instant;

/// A connection, or the attempt to make one.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) node: Node,
    /// The address that it was opened to. The address of the broker may have changed since.
    pub(super) address: BrokerAddress,
    /// If set: skip ApiVersions, and assume a broker of this version.
    fallback: Option<BrokerVersion>,
    rng: ConnectionRng,
    state: State,
    frames: FrameReader,
    /// Whether a frame was received.
    is_answered: bool,
    next_correlation: i32,
    /// Requests with a response, in the order of the responses.
    in_flight: VecDeque<Request>,
    /// Outputs that are not reported as transmitted, in order; `Some` for requests without a response.
    untransmitted: VecDeque<Option<Request>>,
    /// How many requests in `untransmitted` have no response.
    without_response: usize,
    /// Whether Produce was sent with `acks=0`, which a broker can refuse only by closing the connection.
    sent_without_response: bool,
    pub(super) begun: Instant,
    last_used: Instant,
    pub(super) throttled_until: Option<Instant>,
    /// No request is sent after this, because the broker closes the connection soon after (KIP-368).
    session_until: Option<Instant>,
    /// How to authenticate again then.
    session: Option<Box<SaslSession>>,
    /// Whether a request was sent since the connection has been authenticated.
    is_used: bool,
    /// What the connection's timers are set to: its [`overdue_at`](Self::overdue_at) and [`idle_at`](Self::idle_at), or earlier.
    pub(super) timers_set_to: (Option<Instant>, Option<Instant>),
    /// The counters of its node. Boxed, because a map of few connections has memory for many.
    pub(super) counters: Box<BrokerCounters>,
}

/// The least time for which a session is used, however short the broker makes it: without a minimum the client would
/// reconnect continuously without sending anything.
const SHORTEST_SESSION: Duration = Duration::from_secs(1);

#[derive(Debug)]
enum State {
    /// Being established, with this deadline.
    Connecting(Instant),
    /// Awaiting a response of the handshake, with this deadline.
    Handshake(Box<Handshake>, Instant),
    Ready(Versions),
    /// Failed, to be closed.
    Failed,
}

#[derive(Clone, Copy, Debug)]
struct Request {
    correlation: i32,
    api: ApiKey,
    version: i16,
    sent: Instant,
    deadline: Instant,
}

/// The result of an input.
#[derive(Debug)]
pub(super) enum ConnectionEvent {
    /// These bytes are to be transmitted.
    Transmit(Vec<Bytes>),
    /// The handshake is complete.
    Ready(Versions),
    /// A token of OAUTHBEARER is needed.
    TokenRequired,
    /// The connection was authenticated again.
    Reauthenticated,
    /// The session has ended, and the broker does not authenticate again.
    Expired,
    /// The response to a request arrived.
    Response { correlation: i32, version: i16, frame: Bytes },
    /// A request without a response was transmitted.
    Transmitted { correlation: i32 },
    /// The connection failed, and must be closed.
    Failed(ConnectionErrorKind),
}

impl Connection {
    pub(super) fn new(
        node: Node,
        address: BrokerAddress,
        fallback: Option<BrokerVersion>,
        rng: ConnectionRng,
        counters: Box<BrokerCounters>,
        config: &MachineConfig,
        now: Instant,
    ) -> Self {
        Self {
            node,
            address,
            fallback,
            rng,
            state: State::Connecting(now + config.socket_connection_setup_timeout),
            frames: FrameReader::new(config.receive_message_max_bytes),
            is_answered: false,
            next_correlation: 0,
            in_flight: VecDeque::new(),
            untransmitted: VecDeque::new(),
            without_response: 0,
            sent_without_response: false,
            begun: now,
            last_used: now,
            throttled_until: None,
            session_until: None,
            session: None,
            is_used: false,
            timers_set_to: (None, None),
            counters,
        }
    }

    /// Returns the API versions in use, or `None` before the connection is ready.
    pub(super) fn versions(&self) -> Option<Versions> {
        match self.state {
            State::Ready(versions) => Some(versions),
            _ => None,
        }
    }

    /// Returns `true` while ApiVersions is unanswered.
    pub(super) fn awaits_api_versions(&self) -> bool {
        matches!(&self.state, State::Handshake(handshake, _) if handshake.awaits_api_versions())
    }

    pub(super) fn is_connecting(&self) -> bool {
        matches!(self.state, State::Connecting(_))
    }

    /// Returns the statistics of its node.
    pub(super) fn stats(&self, now: Instant) -> BrokerStats {
        // A handshake that awaits a token of OAUTHBEARER has no request in flight.
        let is_handshaking = matches!(&self.state, State::Handshake(handshake, _) if handshake.request().is_some());
        BrokerStats {
            is_connected: !self.is_connecting(),
            throttled_for: self.throttled_until.map_or(Duration::ZERO, |until| until.since(now)),
            requests_in_flight: self.load() + usize::from(is_handshaking),
            ..self.counters.stats(self.address.clone())
        }
    }

    pub(super) fn load(&self) -> usize {
        self.in_flight.len() + self.without_response
    }

    /// Returns `true` if another Produce request may be sent now.
    pub(super) fn has_capacity(&self, config: &MachineConfig, now: Instant) -> bool {
        // A push must not delay a batch.
        let has_room = || self.load() < config.max_in_flight() + self.telemetry_in_flight();
        self.accepts_requests(now) && (self.load() < config.max_in_flight() || has_room())
    }

    fn telemetry_in_flight(&self) -> usize {
        let is_telemetry = |api| matches!(api, ApiKey::GetTelemetrySubscriptions | ApiKey::PushTelemetry);
        self.in_flight.iter().filter(|request| is_telemetry(request.api)).count()
    }

    /// Returns `true` if a request other than Produce may be sent now. The number of requests in flight does not
    /// matter: a backlog of batches must not delay metadata.
    pub(super) fn accepts_requests(&self, now: Instant) -> bool {
        let throttled = self.throttled_until.is_some_and(|until| now < until);
        let expired = self.session_until.is_some_and(|until| until <= now);
        !throttled && !expired
    }

    /// Returns the header of the next request.
    pub(super) fn header<'c>(&self, config: &'c MachineConfig) -> RequestHeader<'c> {
        RequestHeader { correlation_id: self.next_correlation, client_id: Some(&config.client_id) }
    }

    /// Records that a request with this [`header`](Self::header) is sent. Returns its correlation id.
    pub(super) fn sent(
        &mut self,
        api: ApiKey,
        version: i16,
        answered: bool,
        config: &MachineConfig,
        now: Instant,
    ) -> i32 {
        let correlation = self.next_correlation;
        self.next_correlation = if correlation == i32::MAX { 0 } else { correlation + 1 };
        let request = Request { correlation, api, version, sent: now, deadline: now + config.request_timeout };
        if answered {
            self.in_flight.push_back(request);
            self.record_output(config);
        } else {
            self.untransmitted.push_back(Some(request));
            self.without_response += 1;
            self.sent_without_response = true;
        }
        self.last_used = now;
        self.is_used = true;
        self.counters.on_request();
        correlation
    }

    /// Returns `true` if the session has ended, nothing is pending, and another session is worth its cost: the last one was
    /// used.
    pub(super) fn needs_reauthentication(&self, config: &MachineConfig, now: Instant) -> bool {
        let has_expired = self.session_until.is_some_and(|until| until <= now);
        let is_worth_it = self.is_used && now < self.last_used + config.connections_max_idle;
        has_expired
            && is_worth_it
            && self.session.is_some()
            && self.load() == 0
            && matches!(self.state, State::Ready(_))
    }

    /// Starts another authentication. No request may be pending: its response would be taken for one of the handshake.
    pub(super) fn reauthenticate(&mut self, config: &MachineConfig, now: Instant, events: &mut Vec<ConnectionEvent>) {
        if let Some(session) = self.session.as_deref().copied().filter(|_| self.load() == 0) {
            self.rng.authentications = self.rng.authentications.wrapping_add(1);
            self.step(Handshake::again(config, session), config, now, events);
        }
    }

    /// Returns `true` while a token of OAUTHBEARER is awaited.
    pub(super) fn awaits_token(&self) -> bool {
        matches!(&self.state, State::Handshake(handshake, _) if handshake.awaits_token())
    }

    /// Continues the handshake if the credentials have the token now that it awaits.
    pub(super) fn on_token(&mut self, config: &MachineConfig, now: Instant, events: &mut Vec<ConnectionEvent>) {
        if self.awaits_token() {
            if let State::Handshake(handshake, _) = mem::replace(&mut self.state, State::Failed) {
                self.step(handshake.on_token(config, self.rng), config, now, events);
            }
        }
    }

    pub(super) fn on_connected(&mut self, config: &MachineConfig, now: Instant, events: &mut Vec<ConnectionEvent>) {
        if self.is_connecting() {
            self.counters.on_established();
            self.step(Handshake::begin(config, self.fallback), config, now, events);
        }
    }

    pub(super) fn on_received(
        &mut self,
        mut bytes: &[u8],
        config: &MachineConfig,
        now: Instant,
        events: &mut Vec<ConnectionEvent>,
    ) {
        self.counters.on_received(bytes.len());
        while !matches!(self.state, State::Failed) {
            let error = match self.frames.next_frame(&mut bytes) {
                Ok(Some(frame)) => {
                    self.is_answered = true;
                    self.on_frame(frame, config, now, events);
                    continue;
                }
                Ok(None) if self.is_answered => return,
                Ok(None) => None,
                Err(error) => Some(error),
            };
            // Independent of the frame ceiling: "HTTP" read as a length can be below it, and the client would then wait for
            // a response of that length.
            let first = self.frames.length_prefix().filter(|_| !self.is_answered);
            if let Some(foreign) = first.and_then(ForeignProtocol::recognise) {
                return self.fail(ConnectionErrorKind::Foreign(foreign), events);
            }
            return match (error, first, self.pending(now)) {
                (None, ..) => {}
                (Some(_), Some(first), _) => {
                    self.fail(ConnectionErrorKind::Foreign(ForeignProtocol::Unknown(first)), events);
                }
                (Some(error), None, Some(request)) => {
                    let what = format!("{error}, where the response to {request} is next");
                    self.fail(ConnectionErrorKind::Protocol(what), events);
                }
                (Some(error), None, None) => self.fail(ConnectionErrorKind::Protocol(error.to_string()), events),
            };
        }
    }

    pub(super) fn on_transmitted(&mut self, now: Instant, events: &mut Vec<ConnectionEvent>) {
        if let Some(Some(request)) = self.untransmitted.pop_front() {
            self.without_response -= 1;
            self.last_used = now;
            events.push(ConnectionEvent::Transmitted { correlation: request.correlation });
        }
    }

    fn on_frame(&mut self, frame: Bytes, config: &MachineConfig, now: Instant, events: &mut Vec<ConnectionEvent>) {
        match mem::replace(&mut self.state, State::Failed) {
            State::Handshake(handshake, _) => {
                self.counters.on_other_response();
                self.step(handshake.on_frame(config, self.rng, &frame), config, now, events);
            }
            State::Ready(versions) => {
                self.last_used = now;
                let found = correlation_id(&frame).map_err(|error| error.to_string());
                let expected = self.in_flight.front();
                match (found, expected) {
                    (Ok(found), Some(request)) if found == request.correlation => {
                        let Request { correlation, version, api, sent, .. } = *request;
                        self.in_flight.pop_front();
                        self.counters.on_response(api, now.nanos_since(sent));
                        self.state = State::Ready(versions);
                        events.push(ConnectionEvent::Response { correlation, version, frame });
                    }
                    // librdkafka's mock cluster answers requests with acks=0 as well.
                    (Ok(found), _) if config.acks == Acks::None && (0..self.next_correlation).contains(&found) => {
                        self.state = State::Ready(versions);
                    }
                    (Ok(found), Some(Request { correlation, api, version, .. })) => {
                        let what = format!(
                            "it answers request {found}, where the response to {correlation} ({api} v{version}) is next"
                        );
                        self.fail(ConnectionErrorKind::Protocol(what), events);
                    }
                    (Ok(found), None) => {
                        self.fail(
                            ConnectionErrorKind::Protocol(format!(
                                "it answers request {found}, and no request is pending"
                            )),
                            events,
                        );
                    }
                    (Err(error), _) => self.fail(ConnectionErrorKind::Protocol(error), events),
                }
            }
            State::Connecting(_) | State::Failed => {
                self.fail(
                    ConnectionErrorKind::Protocol("bytes were received before the connection was established".into()),
                    events,
                );
            }
        }
    }

    fn step(
        &mut self,
        step: Result<HandshakeStep, ConnectionErrorKind>,
        config: &MachineConfig,
        now: Instant,
        events: &mut Vec<ConnectionEvent>,
    ) {
        self.last_used = now;
        match step {
            Ok(HandshakeStep::Send(bytes, handshake)) => {
                self.record_output(config);
                self.counters.on_request();
                let limit = response_limit(handshake.awaits_api_versions(), config);
                self.state = State::Handshake(Box::new(handshake), now + limit);
                events.push(ConnectionEvent::Transmit(bytes));
            }
            Ok(HandshakeStep::AwaitToken(handshake)) => {
                self.state = State::Handshake(Box::new(handshake), now + config.request_timeout);
                events.push(ConnectionEvent::TokenRequired);
            }
            Ok(HandshakeStep::Ready { versions, session }) => {
                self.session_until = session.map(|(lifetime, _)| now + self.usable_time(lifetime));
                self.session = session.map(|(_, session)| Box::new(session));
                self.is_used = false;
                self.state = State::Ready(versions);
                events.push(match self.rng.authentications {
                    0 => ConnectionEvent::Ready(versions),
                    _ => ConnectionEvent::Reauthenticated,
                });
            }
            Ok(HandshakeStep::CannotReauthenticate) => {
                self.state = State::Failed;
                events.push(ConnectionEvent::Expired);
            }
            Err(kind) => self.fail(kind, events),
        }
    }

    /// Returns how long to wait for the response to the pending request.
    pub(super) fn response_limit(&self, config: &MachineConfig) -> Duration {
        response_limit(self.awaits_api_versions(), config)
    }

    /// Returns how much of a session is used: 85 to 95 %, as in the Java client, at random, so that connections do not
    /// all expire at once.
    fn usable_time(&self, session: Duration) -> Duration {
        let thousandths = 850 + self.rng.random().below(101) as u32;
        session.saturating_mul(thousandths).checked_div(1_000).unwrap_or(session).max(SHORTEST_SESSION)
    }

    /// Records the output of a request with a response. Needed only with `acks=0`, where these reports must be matched
    /// with the requests that have no response.
    fn record_output(&mut self, config: &MachineConfig) {
        if config.acks == Acks::None {
            self.untransmitted.push_back(None);
        }
    }

    fn fail(&mut self, kind: ConnectionErrorKind, events: &mut Vec<ConnectionEvent>) {
        self.state = State::Failed;
        events.push(ConnectionEvent::Failed(kind));
    }

    /// Returns the oldest pending request, in the handshake or after it.
    pub(super) fn pending(&self, now: Instant) -> Option<PendingRequest> {
        let pending = |api, version, expects_response, since| PendingRequest {
            api,
            version,
            expects_response,
            elapsed: now.since(since),
        };
        if let State::Handshake(handshake, _) = &self.state {
            let request = handshake.request();
            return request.map(|(api, version)| pending(api, version, true, self.last_used)); // when it was sent
        }
        let answered = self.in_flight.front().map(|request| (request, true));
        let untransmitted = self.untransmitted.iter().flatten().next().map(|request| (request, false));
        let oldest = answered.into_iter().chain(untransmitted).min_by_key(|(request, _)| request.sent);
        oldest.map(|(Request { api, version, sent, .. }, expects_response)| {
            pending(*api, *version, expects_response, *sent)
        })
    }

    /// Returns the request with this correlation id, if it is pending.
    pub(super) fn pending_request(&self, correlation: i32, now: Instant) -> Option<PendingRequest> {
        let answered = self.in_flight.iter().map(|request| (request, true));
        let untransmitted = self.untransmitted.iter().flatten().map(|request| (request, false));
        let (request, expects_response) =
            answered.chain(untransmitted).find(|(request, _)| request.correlation == correlation)?;
        let Request { api, version, sent, .. } = *request;
        Some(PendingRequest { api, version, expects_response, elapsed: now.since(sent) })
    }

    /// Returns `true` if InitProducerId is pending.
    pub(super) fn requests_producer_id(&self) -> bool {
        self.in_flight.iter().any(|request| request.api == ApiKey::InitProducerId)
    }

    /// Returns how much of an incomplete response has arrived: bytes received, and the length of the response.
    pub(super) fn partial(&self) -> Option<(usize, usize)> {
        self.frames.partial_frame()
    }

    /// Returns how long nothing was pending, if it is no error that the broker closes the connection now: the
    /// connection is ready and idle. After Produce with `acks=0`, a broker refuses a batch by closing the connection
    /// (`KafkaApis.handleProduceRequest`), as soon as it has read the request.
    pub(super) fn idle_for(&self, config: &MachineConfig, now: Instant) -> Option<Duration> {
        let idle = now.since(self.last_used);
        let may_be_refusal = self.sent_without_response && idle < config.request_timeout;
        let is_idle = matches!(self.state, State::Ready(_)) && self.load() == 0 && !may_be_refusal;
        is_idle.then_some(idle)
    }

    /// Returns the deadline after which the connection is closed, unless input arrives before.
    pub(super) fn overdue_at(&self) -> Option<Instant> {
        match &self.state {
            State::Connecting(deadline) | State::Handshake(_, deadline) => Some(*deadline),
            State::Ready(_) => {
                let without_response = self.untransmitted.iter().flatten().next();
                self.in_flight.front().into_iter().chain(without_response).map(|request| request.deadline).min()
            }
            State::Failed => None,
        }
    }

    /// Returns when the idle timeout or the session ends; `None` while the connection is in use.
    pub(super) fn idle_at(&self, config: &MachineConfig) -> Option<Instant> {
        let unused = matches!(self.state, State::Ready(_)) && self.load() == 0;
        let idle = self.last_used + config.connections_max_idle;
        unused.then(|| self.session_until.map_or(idle, |expiry| expiry.min(idle)))
    }
}

/// Returns how long to wait for a response.
fn response_limit(awaits_api_versions: bool, config: &MachineConfig) -> Duration {
    if awaits_api_versions { config.versions_timeout() } else { config.request_timeout }
}
