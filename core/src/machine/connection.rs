//! One connection to one broker: its handshake, its correlation ids, what is in flight on it. It knows no topic and no
//! batch: whoever sends a request gets the number under which the answer will come.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::mem;
use core::time::Duration;

use bytes::Bytes;

use super::backoff::ConnectionRng;
use super::cause::{BrokerAddress, PendingRequest};
use super::config::ProducerConfig;
use super::event::ConnectionErrorKind;
use super::handshake::{Handshake, Step, Versions};
use super::mismatch::ForeignProtocol;
use super::network::Node;
use crate::magic::BrokerVersion;
use crate::protocol::{Acks, ApiKey, FrameReader, RequestHeader, correlation_id};
use crate::time::Instant;

/// A connection, or the attempt to make one.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) node: Node,
    /// The address that it was made to. That of the broker may have changed since.
    pub(super) address: BrokerAddress,
    /// Speak as with a broker of this version, and do not ask.
    fallback: Option<BrokerVersion>,
    rng: ConnectionRng,
    state: State,
    frames: FrameReader,
    /// Whether a frame has come.
    is_answered: bool,
    next_correlation: i32,
    /// What will be answered, in this order.
    in_flight: VecDeque<Request>,
    /// What was handed out and not reported as written, in this order; requests only where no answer comes.
    unwritten: VecDeque<Option<Request>>,
    silent: usize,
    /// Whether Produce was sent with `acks=0`, to which the broker can answer only by closing the connection.
    sends_unanswered: bool,
    pub(super) begun: Instant,
    last_used: Instant,
    pub(super) throttled_until: Option<Instant>,
    /// From then on nothing more is asked, because the broker hangs up soon after (KIP-368).
    session_until: Option<Instant>,
}

/// However short a session the broker grants, it is used for so long: nobody connects over and over for nothing.
const SHORTEST_SESSION: Duration = Duration::from_secs(1);

#[derive(Debug)]
enum State {
    /// Until it stands, or this moment.
    Connecting(Instant),
    /// Until it is answered, or this moment.
    Handshake(Handshake, Instant),
    Ready(Versions),
    /// Nothing more will come of it.
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

/// What became of bytes that came, or went.
#[derive(Debug)]
pub(super) enum ConnectionEvent {
    /// Write this.
    Transmit(Vec<Bytes>),
    /// It can be used.
    Ready(Versions),
    /// The answer to a request.
    Answer { correlation: i32, version: i16, frame: Bytes },
    /// A request that gets no answer is written.
    Written { correlation: i32 },
    /// It is of no more use, and must be closed.
    Failed(ConnectionErrorKind),
}

impl Connection {
    pub(super) fn new(
        node: Node,
        address: BrokerAddress,
        fallback: Option<BrokerVersion>,
        rng: ConnectionRng,
        config: &ProducerConfig,
        now: Instant,
    ) -> Self {
        Self {
            node,
            address,
            fallback,
            rng,
            state: State::Connecting(now + config.socket_connection_setup_timeout),
            frames: FrameReader::new(config.frame_ceiling),
            is_answered: false,
            next_correlation: 0,
            in_flight: VecDeque::new(),
            unwritten: VecDeque::new(),
            silent: 0,
            sends_unanswered: false,
            begun: now,
            last_used: now,
            throttled_until: None,
            session_until: None,
        }
    }

    /// What it speaks, once it is ready.
    pub(super) fn versions(&self) -> Option<Versions> {
        match self.state {
            State::Ready(versions) => Some(versions),
            _ => None,
        }
    }

    /// Whether the broker hangs up on the very question what it speaks, if it hangs up now; or keeps silent at it.
    pub(super) fn hangs_up_on_versions(&self) -> bool {
        matches!(&self.state, State::Handshake(handshake, _) if handshake.asks_versions())
    }

    pub(super) fn is_connecting(&self) -> bool {
        matches!(self.state, State::Connecting(_))
    }

    pub(super) fn load(&self) -> usize {
        self.in_flight.len() + self.silent
    }

    /// Whether another Produce request may go out now.
    pub(super) fn has_capacity(&self, config: &ProducerConfig, now: Instant) -> bool {
        self.may_be_asked(now) && self.load() < config.max_in_flight()
    }

    /// Whether the broker may be asked something now. How much is in flight does not matter: a backlog of batches must not
    /// keep metadata away.
    pub(super) fn may_be_asked(&self, now: Instant) -> bool {
        let throttled = self.throttled_until.is_some_and(|until| now < until);
        let over = self.session_until.is_some_and(|until| until <= now);
        !throttled && !over
    }

    /// The correlation id for the next request.
    pub(super) fn header<'c>(&self, config: &'c ProducerConfig) -> RequestHeader<'c> {
        RequestHeader { correlation_id: self.next_correlation, client_id: Some(&config.client_id) }
    }

    /// A request with [`header`](Self::header) goes out.
    pub(super) fn sent(
        &mut self,
        api: ApiKey,
        version: i16,
        answered: bool,
        config: &ProducerConfig,
        now: Instant,
    ) -> i32 {
        let correlation = self.next_correlation;
        self.next_correlation = if correlation == i32::MAX { 0 } else { correlation + 1 };
        let request = Request { correlation, api, version, sent: now, deadline: now + config.request_timeout };
        if answered {
            self.in_flight.push_back(request);
            self.handed_out(config);
        } else {
            self.unwritten.push_back(Some(request));
            self.silent += 1;
            self.sends_unanswered = true;
        }
        self.last_used = now;
        correlation
    }

    pub(super) fn on_connected(
        &mut self,
        config: &ProducerConfig,
        now: Instant,
        happenings: &mut Vec<ConnectionEvent>,
    ) {
        if self.is_connecting() {
            self.step(Handshake::begin(config, self.fallback), config, now, happenings);
        }
    }

    pub(super) fn on_received(
        &mut self,
        mut bytes: &[u8],
        config: &ProducerConfig,
        now: Instant,
        happenings: &mut Vec<ConnectionEvent>,
    ) {
        while !matches!(self.state, State::Failed) {
            let error = match self.frames.next_frame(&mut bytes) {
                Ok(Some(frame)) => {
                    self.is_answered = true;
                    self.on_frame(frame, config, now, happenings);
                    continue;
                }
                Ok(None) => None,
                Err(error) => Some(error),
            };
            // Whatever the ceiling is: a response as long as "HTTP" claims to be would be waited for.
            let first = self.frames.length_prefix().filter(|_| !self.is_answered);
            if let Some(foreign) = first.and_then(ForeignProtocol::recognise) {
                return self.spoil(ConnectionErrorKind::Foreign(foreign), happenings);
            }
            return match (error, first, self.pending(now)) {
                (None, ..) => {}
                (Some(_), Some(first), _) => {
                    self.spoil(ConnectionErrorKind::Foreign(ForeignProtocol::Unknown(first)), happenings);
                }
                (Some(error), None, Some(request)) => {
                    let what = format!("{error}, where the response to {request} is next");
                    self.spoil(ConnectionErrorKind::Protocol(what), happenings);
                }
                (Some(error), None, None) => self.spoil(ConnectionErrorKind::Protocol(error.to_string()), happenings),
            };
        }
    }

    pub(super) fn on_written(&mut self, now: Instant, happenings: &mut Vec<ConnectionEvent>) {
        if let Some(Some(request)) = self.unwritten.pop_front() {
            self.silent -= 1;
            self.last_used = now;
            happenings.push(ConnectionEvent::Written { correlation: request.correlation });
        }
    }

    fn on_frame(&mut self, frame: Bytes, config: &ProducerConfig, now: Instant, happenings: &mut Vec<ConnectionEvent>) {
        match mem::replace(&mut self.state, State::Failed) {
            State::Handshake(handshake, _) => {
                self.step(handshake.on_frame(config, self.rng, &frame), config, now, happenings);
            }
            State::Ready(versions) => {
                self.last_used = now;
                let found = correlation_id(&frame).map_err(|error| error.to_string());
                let expected = self.in_flight.front();
                match (found, expected) {
                    (Ok(found), Some(request)) if found == request.correlation => {
                        let Request { correlation, version, .. } = *request;
                        self.in_flight.pop_front();
                        self.state = State::Ready(versions);
                        happenings.push(ConnectionEvent::Answer { correlation, version, frame });
                    }
                    // librdkafka's mock cluster answers requests with acks=0 as well.
                    (Ok(found), _) if config.acks == Acks::None && (0..self.next_correlation).contains(&found) => {
                        self.state = State::Ready(versions);
                    }
                    (Ok(found), Some(Request { correlation, api, version, .. })) => {
                        let what = format!("it answers request {found} where {correlation} ({api} v{version}) is next");
                        self.spoil(ConnectionErrorKind::Protocol(what), happenings);
                    }
                    (Ok(found), None) => {
                        self.spoil(
                            ConnectionErrorKind::Protocol(format!("it answers request {found}, and none is open")),
                            happenings,
                        );
                    }
                    (Err(error), _) => self.spoil(ConnectionErrorKind::Protocol(error), happenings),
                }
            }
            State::Connecting(_) | State::Failed => {
                self.spoil(ConnectionErrorKind::Protocol("it speaks before it is connected".into()), happenings);
            }
        }
    }

    fn step(
        &mut self,
        step: Result<Step, ConnectionErrorKind>,
        config: &ProducerConfig,
        now: Instant,
        happenings: &mut Vec<ConnectionEvent>,
    ) {
        self.last_used = now;
        match step {
            Ok(Step::Send(bytes, handshake)) => {
                self.handed_out(config);
                let asks_versions = handshake.asks_versions();
                let limit = if asks_versions { config.versions_timeout() } else { config.request_timeout };
                self.state = State::Handshake(handshake, now + limit);
                happenings.push(ConnectionEvent::Transmit(bytes));
            }
            Ok(Step::Ready { versions, session }) => {
                self.session_until = session.map(|session| now + self.usable(session));
                self.state = State::Ready(versions);
                happenings.push(ConnectionEvent::Ready(versions));
            }
            Err(kind) => self.spoil(kind, happenings),
        }
    }

    /// How much of a session is used: 85 to 95 %, as the Java client does, and not of all connections the same.
    fn usable(&self, session: Duration) -> Duration {
        let thousandths = 850 + self.rng.random().below(101) as u32;
        session.saturating_mul(thousandths).checked_div(1_000).unwrap_or(session).max(SHORTEST_SESSION)
    }

    /// Something that will be answered goes out. Its place among what is written counts only where something else is not
    /// answered.
    fn handed_out(&mut self, config: &ProducerConfig) {
        if config.acks == Acks::None {
            self.unwritten.push_back(None);
        }
    }

    fn spoil(&mut self, kind: ConnectionErrorKind, happenings: &mut Vec<ConnectionEvent>) {
        self.state = State::Failed;
        happenings.push(ConnectionEvent::Failed(kind));
    }

    /// The oldest request that is pending, of the handshake or after it.
    pub(super) fn pending(&self, now: Instant) -> Option<PendingRequest> {
        let pending =
            |api, version, is_answered, since| PendingRequest { api, version, is_answered, pending: now.since(since) };
        if let State::Handshake(handshake, _) = &self.state {
            let (api, version) = handshake.request();
            return Some(pending(api, version, true, self.last_used)); // when it was sent
        }
        let answered = self.in_flight.front().map(|request| (request, true));
        let unwritten = self.unwritten.iter().flatten().next().map(|request| (request, false));
        let oldest = answered.into_iter().chain(unwritten).min_by_key(|(request, _)| request.sent);
        oldest.map(|(Request { api, version, sent, .. }, is_answered)| pending(*api, *version, is_answered, *sent))
    }

    /// The request with this correlation id, if it is pending.
    pub(super) fn pending_request(&self, correlation: i32, now: Instant) -> Option<PendingRequest> {
        let answered = self.in_flight.iter().map(|request| (request, true));
        let unwritten = self.unwritten.iter().flatten().map(|request| (request, false));
        let (request, is_answered) =
            answered.chain(unwritten).find(|(request, _)| request.correlation == correlation)?;
        let Request { api, version, sent, .. } = *request;
        Some(PendingRequest { api, version, is_answered, pending: now.since(sent) })
    }

    /// Whether InitProducerId is pending on it.
    pub(super) fn asks_producer_id(&self) -> bool {
        self.in_flight.iter().any(|request| request.api == ApiKey::InitProducerId)
    }

    /// How much of an unfinished response has come: bytes, and how many it is to have.
    pub(super) fn partial(&self) -> Option<(usize, usize)> {
        self.frames.unfinished()
    }

    /// How long nothing was pending, if the broker may close the connection now without a fault of anybody: it is ready and
    /// idle. After Produce with `acks=0` closing is how a broker refuses a batch (KafkaApis.handleProduceRequest), which it
    /// does as soon as it has read the request.
    pub(super) fn idle_for(&self, config: &ProducerConfig, now: Instant) -> Option<Duration> {
        let idle = now.since(self.last_used);
        let may_be_refusal = self.sends_unanswered && idle < config.request_timeout;
        let is_idle = matches!(self.state, State::Ready(_)) && self.load() == 0 && !may_be_refusal;
        is_idle.then_some(idle)
    }

    /// When it is to be given up, unless something comes before.
    pub(super) fn overdue_at(&self) -> Option<Instant> {
        match &self.state {
            State::Connecting(deadline) | State::Handshake(_, deadline) => Some(*deadline),
            State::Ready(_) => {
                let silent = self.unwritten.iter().flatten().next();
                self.in_flight.front().into_iter().chain(silent).map(|request| request.deadline).min()
            }
            State::Failed => None,
        }
    }

    /// When it will have been of no use for long, or its session is over; `None` while it is in use.
    pub(super) fn idle_at(&self, config: &ProducerConfig) -> Option<Instant> {
        let unused = matches!(self.state, State::Ready(_)) && self.load() == 0;
        let idle = self.last_used + config.connections_max_idle;
        unused.then(|| self.session_until.map_or(idle, |over| over.min(idle)))
    }
}
