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

pub use self::identities::RefusedIdentities;
use self::identities::Rule;
pub use self::intercept::{Garbage, HandOut, Intercept, Interceptor};
use self::release::Release;
use self::sasl::Login;
use crate::Moment;
use crate::cluster::Cluster;
use crate::random::Random;
use crate::wire::{self, Frames, Request};

/// Where every broker listens.
pub const PORT: i32 = 9092;

/// The host name of a broker.
#[must_use]
pub fn host(id: i32) -> String {
    format!("broker-{id}")
}

/// What a broker does to a connection.
#[derive(Clone, Debug)]
pub enum Deed {
    /// Bytes for the client.
    Send {
        /// The connection.
        connection: u64,
        /// The bytes.
        bytes: Bytes,
        /// Nothing that comes from here on means anything.
        spoilt: bool,
    },
    /// The connection is closed.
    HangUp(u64),
    /// An interceptor was used.
    Intercepted(Interceptor),
}

/// How far a request is.
#[derive(Debug)]
enum Phase {
    /// It will be carried out at this moment.
    Accepted { request: Request, at: Moment, intercept: Option<Intercept> },
    /// It waits for replicas.
    Waiting { request: Request, pending: Box<produce::Pending>, intercept: Option<Intercept> },
    /// The answer goes out at this moment.
    Answering { at: Moment, answer: Bytes, spoilt: bool },
    /// There is no answer, but the next request waits for this moment.
    Resting { at: Moment },
    /// The connection is to be closed.
    Closing,
    /// Nothing will ever be answered on this connection.
    Mute,
}

#[derive(Debug, Default)]
struct Connection {
    frames: Frames,
    requests: VecDeque<Bytes>,
    phase: Option<Phase>,
    login: Login,
    /// The client has closed it: what it had asked is still done, but nobody hears the answer.
    deserted: bool,
}

/// What carrying out a request comes to.
enum Done {
    Answer(Bytes),
    Silent,
    HangUp,
    Wait(Box<produce::Pending>),
}

/// A broker.
#[derive(Debug)]
pub struct Broker {
    /// Its id.
    pub id: i32,
    /// What it runs.
    pub release: Release,
    /// What it found wrong with what the client sent: each is a fault of the client.
    pub complaints: Vec<String>,
    /// Whether clients have to log in.
    pub sasl: bool,
    /// How long requests take, in milliseconds, at most.
    pub slowness: u64,
    interceptors: Vec<Interceptor>,
    /// Identities that it refuses, for good.
    rules: Vec<Rule>,
    connections: BTreeMap<u64, Connection>,
    remembered: Option<metadata::View>,
    /// By how much the next answer says that a quota is exceeded.
    throttle: Option<i32>,
    random: Random,
}

impl Broker {
    /// A broker without connections.
    #[must_use]
    pub const fn new(id: i32, release: Release, random: Random) -> Self {
        Self {
            id,
            release,
            complaints: Vec::new(),
            sasl: false,
            slowness: 4,
            interceptors: Vec::new(),
            rules: Vec::new(),
            connections: BTreeMap::new(),
            remembered: None,
            throttle: None,
            random,
        }
    }

    /// Does this to a request to come.
    pub fn intercept(&mut self, interceptor: Interceptor) {
        self.interceptors.push(interceptor);
    }

    /// From now on it refuses these identities, with this error code.
    pub fn refuse(&mut self, which: RefusedIdentities, code: i16, cluster: &Cluster) {
        self.rules.push(Rule { which, code, handed_out: cluster.handed_out.len() });
    }

    /// Whether it refuses any identities.
    #[must_use]
    pub const fn refuses_identities(&self) -> bool {
        !self.rules.is_empty()
    }

    /// Faults cease (but it refuses on, what it refuses): no interceptor waits any more; and, if so wanted, connections that are mute are closed.
    pub fn relent(&mut self, close_mute: bool) {
        self.interceptors.clear();
        for connection in self.connections.values_mut().filter(|_| close_mute) {
            if matches!(connection.phase, Some(Phase::Mute)) {
                connection.phase = Some(Phase::Closing);
            }
        }
    }

    /// A client has connected.
    pub fn accept(&mut self, connection: u64) {
        let login = if self.sasl { Login::Mechanism } else { Login::Done };
        self.connections.insert(connection, Connection { login, ..Connection::default() });
    }

    /// Bytes have come.
    pub fn receive(&mut self, connection: u64, bytes: &[u8]) {
        if let Some(connection) = self.connections.get_mut(&connection) {
            connection.frames.push(bytes);
            while let Some(frame) = connection.frames.next_frame() {
                connection.requests.push_back(frame);
            }
        }
    }

    /// The client has closed the connection. What has come before may still be done.
    pub fn deserted(&mut self, connection: u64) {
        if let Some(connection) = self.connections.get_mut(&connection) {
            connection.deserted = true;
            if self.random.percent(50) {
                connection.requests.clear();
            }
        }
    }

    /// The broker dies: all its connections are gone, and what was asked and not done is not done.
    pub fn crash(&mut self) {
        self.connections.clear();
    }

    fn complain(&mut self, complaint: String) {
        self.complaints.push(complaint);
    }

    /// Does what is due.
    pub fn turn(&mut self, cluster: &mut Cluster, now: Moment) -> Vec<Deed> {
        let mut deeds = Vec::new();
        let ids: Vec<u64> = self.connections.keys().copied().collect();
        for id in ids {
            // Taken out, so that the broker itself is free while it works on it.
            let mut connection = self.connections.remove(&id).expect("only this function removes connections here");
            if self.work(id, &mut connection, cluster, now, &mut deeds) {
                self.connections.insert(id, connection);
            }
        }
        deeds
    }

    /// Works on a connection until there is nothing due. Gives whether it stays open.
    fn work(
        &mut self,
        id: u64,
        connection: &mut Connection,
        cluster: &mut Cluster,
        now: Moment,
        deeds: &mut Vec<Deed>,
    ) -> bool {
        loop {
            let next = match connection.phase.take() {
                None => match connection.requests.pop_front() {
                    None => return !connection.deserted,
                    Some(token) if connection.login == Login::BareToken => {
                        connection.login = Login::Done;
                        let answer = Phase::Answering { at: now, answer: sasl::BARE_ANSWER, spoilt: false };
                        Some(if sasl::is_right(&token) { answer } else { Phase::Closing })
                    }
                    Some(frame) => self.begin(frame, now, deeds),
                },
                Some(Phase::Accepted { request, at, intercept }) if at <= now => {
                    match self.carry_out(&request, intercept.as_ref(), &mut connection.login, cluster, now) {
                        Done::Wait(pending) => Some(Phase::Waiting { request, pending, intercept }),
                        done => self.finish(&request, intercept.as_ref(), done, now),
                    }
                }
                Some(Phase::Waiting { request, pending, intercept }) => match self.wait(*pending, cluster, now) {
                    Done::Wait(pending) => {
                        connection.phase = Some(Phase::Waiting { request, pending, intercept });
                        return true;
                    }
                    done => self.finish(&request, intercept.as_ref(), done, now),
                },
                Some(Phase::Answering { at, answer, spoilt }) if at <= now => {
                    if spoilt {
                        connection.login = Login::Misled;
                    }
                    if !connection.deserted {
                        deeds.push(Deed::Send { connection: id, bytes: answer, spoilt });
                    }
                    None
                }
                Some(Phase::Resting { at }) if at <= now => None,
                Some(Phase::Closing) => {
                    deeds.push(Deed::HangUp(id));
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

    fn begin(&mut self, frame: Bytes, now: Moment, deeds: &mut Vec<Deed>) -> Option<Phase> {
        let request = match wire::open(frame) {
            Ok(request) => request,
            Err(error) => {
                self.complain(format!("a request whose header cannot be read: {error}"));
                return Some(Phase::Closing);
            }
        };
        let intercept = self.take_interceptor(request.api, deeds);
        let mut at = now + self.random.millis(0, self.slowness);
        match &intercept {
            Some(Intercept::DropRequest) => return Some(Phase::Mute),
            Some(Intercept::HangUp { done: false }) => return Some(Phase::Closing),
            Some(Intercept::DelayRequest(delay)) => at += *delay,
            Some(Intercept::Throttle(millis)) => self.throttle = Some(*millis),
            _ => {}
        }
        Some(Phase::Accepted { request, at, intercept })
    }

    fn take_interceptor(&mut self, api: ApiKey, deeds: &mut Vec<Deed>) -> Option<Intercept> {
        let position = self.interceptors.iter().position(|waiting| waiting.api == api)?;
        if let Some(less) = self.interceptors[position].after.checked_sub(1) {
            self.interceptors[position].after = less;
            return None;
        }
        let taken = self.interceptors.remove(position);
        deeds.push(Deed::Intercepted(taken.clone()));
        Some(taken.what)
    }

    fn carry_out(
        &mut self,
        request: &Request,
        intercept: Option<&Intercept>,
        login: &mut Login,
        cluster: &mut Cluster,
        now: Moment,
    ) -> Done {
        let is_open = matches!(request.api, ApiKey::ApiVersions | ApiKey::SaslHandshake | ApiKey::SaslAuthenticate);
        if *login == Login::Misled && !is_open && self.sasl {
            return Done::HangUp;
        }
        if !matches!(login, Login::Done | Login::Misled) && !is_open {
            self.complain(format!("{:?} of somebody who has not logged in", request.api));
            return Done::HangUp;
        }
        if request.api != ApiKey::ApiVersions && !self.release.speaks(request.api, request.version) {
            let release = self.release.version();
            self.complain(format!("{:?} v{}, which {release} does not speak", request.api, request.version));
            return Done::HangUp;
        }
        match request.api {
            ApiKey::ApiVersions => self.api_versions(request, intercept),
            ApiKey::SaslHandshake => self.sasl_handshake(request, intercept, login),
            ApiKey::SaslAuthenticate => self.sasl_authenticate(request, intercept, login),
            ApiKey::Metadata => self.metadata(request, intercept, cluster, now),
            ApiKey::InitProducerId => self.init_producer_id(request, intercept, cluster),
            ApiKey::Produce => self.produce(request, intercept, cluster, now),
            _ => Done::HangUp,
        }
    }

    fn finish(&mut self, request: &Request, intercept: Option<&Intercept>, done: Done, now: Moment) -> Option<Phase> {
        let answer = match done {
            Done::Answer(answer) => answer,
            Done::Silent => return Some(Phase::Resting { at: now }),
            Done::HangUp => return Some(Phase::Closing),
            Done::Wait(_) => unreachable!("what waits is not finished"),
        };
        let mut at = now;
        let mut spoilt = false;
        let answer = match intercept {
            Some(Intercept::DropAnswer) => return Some(Phase::Mute),
            Some(Intercept::HangUp { .. }) => return Some(Phase::Closing),
            Some(Intercept::DelayAnswer(delay)) => {
                at += *delay;
                answer
            }
            Some(Intercept::AnswerTwice) => {
                // The second one is told from the first by the world's own count of answers.
                let mut twice = BytesMut::from(&answer[..]);
                twice.extend_from_slice(&answer);
                twice.freeze()
            }
            Some(Intercept::Garbage(garbage)) => {
                spoilt = true;
                self.spoil(request, *garbage, &answer)
            }
            _ => answer,
        };
        Some(Phase::Answering { at, answer, spoilt })
    }

    fn spoil(&mut self, request: &Request, garbage: Garbage, answer: &Bytes) -> Bytes {
        let mut bytes = BytesMut::from(&answer[..]);
        // What comes with UNSUPPORTED_VERSION need not be readable: that it is refused is all that counts.
        let is_refused = request.api == ApiKey::ApiVersions && answer.get(8..10) == Some(&[0, 35]);
        match if is_refused { Garbage::Correlation } else { garbage } {
            Garbage::Body => {
                // Any 16 bytes are an answer to InitProducerId, and one that makes sense is no garbage.
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
            Garbage::Endless => bytes[..4].copy_from_slice(&i32::MAX.to_be_bytes()),
            Garbage::Empty => return Bytes::from_static(&[0; 4]),
        }
        if matches!(garbage, Garbage::Short | Garbage::Long) {
            let length = bytes.len() as u32 - 4;
            bytes[..4].copy_from_slice(&length.to_be_bytes());
        }
        bytes.freeze()
    }

    /// When there is something to do for [`turn`](Self::turn), if nothing else happens.
    #[must_use]
    pub fn wakes_at(&self) -> Option<Moment> {
        let of = |connection: &Connection| match &connection.phase {
            Some(Phase::Accepted { at, .. } | Phase::Answering { at, .. } | Phase::Resting { at }) => Some(*at),
            Some(Phase::Waiting { pending, .. }) => Some(pending.until()),
            _ => None,
        };
        self.connections.values().filter_map(of).min()
    }
}
