//! Tests of the machine against a minimal simulated broker: responses are built by hand, and time advances only where a
//! test advances it.

mod causes;
mod commands;
mod connection_errors;
mod connections;
mod flexible;
mod identities;
mod limits;
#[cfg(debug_assertions)]
mod misuse;
mod never;
mod notices;
mod oauth;
mod rate;
mod recovery;
mod responses;
mod retries;
mod sizes;
mod stats;
mod telemetry;
mod topics;
mod transactions;
mod turns;
mod unfinished;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::*;
use crate::batch::decode::RecordBatches;
use crate::protocol::{Acks, ErrorCode};
use crate::transport_error::TransportError;
use crate::{FailureReason, Fate, Header, KafkaBatch, Magic, Record, SealedBatch, Timestamp, TopicPartition};

fn at(millis: u64) -> Instant {
    Instant::START + Duration::from_millis(millis)
}

fn batch(values: &[&str]) -> SealedBatch {
    let mut batch = KafkaBatch::new(Timestamp::from_millis(0));
    batch.extend(values.iter().map(Record::new)).unwrap();
    batch.seal().unwrap()
}

fn to(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

/// A request that the machine sent, as far as these tests decode it.
#[derive(Clone, Debug, PartialEq)]
struct Request {
    connection: ConnectionId,
    api: i16,
    version: i16,
    correlation: i32,
    body: Vec<u8>,
}

impl Request {
    fn parse(connection: ConnectionId, bytes: &[bytes::Bytes]) -> Self {
        let frame = bytes.concat();
        let short = |from: usize| i16::from_be_bytes([frame[from], frame[from + 1]]);
        assert_eq!(i32::from_be_bytes(frame[..4].try_into().unwrap()) as usize, frame.len() - 4);
        let client = short(12).max(0) as usize;
        let body = frame[14 + client..].to_vec();
        let correlation = i32::from_be_bytes(frame[8..12].try_into().unwrap());
        Self { connection, api: short(4), version: short(6), correlation, body }
    }

    /// Returns the topics of a Metadata v1 request.
    fn topics(&self) -> Vec<String> {
        let (count, mut rest) = self.body.split_at(4);
        let count = i32::from_be_bytes(count.try_into().unwrap());
        let next = |_| {
            let (length, names) = rest.split_at(2);
            let (name, others) = names.split_at(u16::from_be_bytes([length[0], length[1]]).into());
            rest = others;
            String::from_utf8(name.to_vec()).unwrap()
        };
        (0..count).map(next).collect()
    }

    /// Returns the partition and the batch of each record set of a Produce request without topic ids, up to v12.
    fn produced(&self) -> Vec<(i32, Vec<u8>)> {
        if self.version >= flexible::FIRST {
            return flexible::produced(&self.body);
        }
        let transactional_id = i16::from_be_bytes([self.body[0], self.body[1]]).max(0) as usize;
        let mut rest = &self.body[if self.version >= 3 { 8 + transactional_id } else { 6 }..];
        let mut int = |length: usize| -> (Vec<u8>, i32) {
            let (taken, left) = rest.split_at(length);
            rest = left;
            (taken.to_vec(), taken.iter().fold(0, |sum, &byte| sum << 8 | i32::from(byte)))
        };
        let mut found = Vec::new();
        for _ in 0..int(4).1 {
            let name = int(2).1;
            assert_eq!(int(name as usize).0, b"t");
            for _ in 0..int(4).1 {
                let (partition, length) = (int(4).1, int(4).1);
                found.push((partition, int(length as usize).0));
            }
        }
        found
    }
}

fn stamp_of(batch: &[u8]) -> (i64, i16, i32) {
    let batch = RecordBatches::new(batch).next().unwrap().unwrap();
    let header = batch.header().unwrap();
    (header.producer_id, header.producer_epoch, header.base_sequence)
}

fn frame(correlation: i32, body: &[u8]) -> Vec<u8> {
    let mut frame = ((body.len() + 4) as i32).to_be_bytes().to_vec();
    frame.extend(correlation.to_be_bytes());
    frame.extend(body);
    frame
}

fn string(text: &str) -> Vec<u8> {
    [&(text.len() as i16).to_be_bytes()[..], text.as_bytes()].concat()
}

/// Returns the error code for a batch from its partition, its producer id and epoch, and the identities that the
/// brokers have issued so far. `NONE` appends the batch.
type IdentityCheck = Box<dyn Fn(i32, (i64, i16), &[(i64, i16)]) -> ErrorCode>;

/// A machine, the simulated brokers of a test, and what the machine has output.
struct World {
    producer: Machine,
    now: Instant,
    /// The latest Produce version. Metadata is v1; InitProducerId is supported only with Produce v3 and later.
    produce: i16,
    init_producer_id: i16,
    /// The transaction coordinator, if the brokers have transactions.
    transactions: Option<transactions::FakeCoordinator>,
    /// What subscribes to telemetry, if the brokers take it.
    telemetry: Option<telemetry::Subscriber>,
    /// The session lifetime in milliseconds, if the brokers require SASL.
    session: Option<i64>,
    /// Whether SASL authentication fails.
    rejects_credentials: bool,
    /// The error code of SaslHandshake.
    sasl_error: i16,
    /// The token of OAUTHBEARER that the brokers accept, with its message.
    bearer: Option<Vec<u8>>,
    leader: i32,
    /// A partition with another leader, and that leader.
    other_leader: Option<(i32, i32)>,
    partitions: i32,
    topic_error: i16,
    /// Whether responses to Metadata contain no brokers.
    lists_no_brokers: bool,
    /// A topic that does not exist, whatever `topic_error` is.
    unknown_topic: Option<&'static str>,
    /// Error codes for the next Produce requests, 0 for success; `None` sends no response. When empty: success.
    responses: VecDeque<Option<i16>>,
    /// The base offset of successful responses.
    offset: i64,
    /// The log append time in responses; −1: each record keeps its own timestamp.
    append_time: i64,
    /// The next identities to issue; when empty: ids from 1,000 on, with epoch 0.
    ids: VecDeque<(i64, i16)>,
    /// Error codes for the next InitProducerId requests; when empty: an identity is issued.
    init_errors: VecDeque<ErrorCode>,
    handed_out: Vec<(i64, i16)>,
    check_identity: IdentityCheck,
    throttle: i32,
    ignores_connects: bool,
    /// Connections on which a response was withheld. Responses are sent in order, so that nothing follows on them.
    silent_connections: Vec<ConnectionId>,
    requests: Vec<Request>,
    connects: Vec<(ConnectionId, u16)>,
    closed: Vec<ConnectionId>,
    /// The versions negotiated with each broker, by port.
    ready: Vec<(u16, Versions)>,
    events: Vec<Event>,
    wait: Option<Instant>,
}

impl World {
    fn new(change: impl FnOnce(&mut MachineConfig)) -> Self {
        let mut config = MachineConfig::new([("boot", 9092)]);
        change(&mut config);
        let clock = Clock { now: Instant::START, wall: Timestamp::from_millis(1_000) };
        Self {
            producer: Machine::new(config, clock, 42),
            now: Instant::START,
            produce: 3,
            init_producer_id: 0,
            transactions: None,
            telemetry: None,
            session: None,
            rejects_credentials: false,
            sasl_error: 0,
            bearer: None,
            leader: 1,
            other_leader: None,
            partitions: 20,
            topic_error: 0,
            lists_no_brokers: false,
            unknown_topic: None,
            responses: VecDeque::new(),
            offset: 100,
            append_time: -1,
            ids: VecDeque::from([(7, 0), (8, 0), (9, 0)]),
            init_errors: VecDeque::new(),
            handed_out: Vec::new(),
            check_identity: Box::new(|_, _, _| ErrorCode::NONE),
            throttle: 0,
            ignores_connects: false,
            silent_connections: Vec::new(),
            requests: Vec::new(),
            connects: Vec::new(),
            closed: Vec::new(),
            ready: Vec::new(),
            events: Vec::new(),
            wait: None,
        }
    }

    fn send(&mut self, values: &[&str], partition: i32) -> BatchId {
        self.producer.send(batch(values), to(partition), self.now).unwrap()
    }

    /// Polls the machine until it waits, and responds to its requests.
    fn run(&mut self) {
        loop {
            match self.producer.poll_output(self.now) {
                Output::Connect { connection, port, .. } => {
                    self.connects.push((connection, port));
                    if !self.ignores_connects {
                        self.producer.handle_input(Input::Connected(connection), self.now);
                    }
                }
                Output::Transmit { connection, bytes } => {
                    let request = Request::parse(connection, &bytes);
                    self.producer.handle_input(Input::Transmitted(connection), self.now);
                    let answer =
                        if self.silent_connections.contains(&connection) { None } else { self.answer(&request) };
                    match answer {
                        Some(answer) => self.producer.handle_input(Input::Received(connection, &answer), self.now),
                        None => self.silent_connections.push(connection),
                    }
                    self.requests.push(request);
                }
                Output::Close(connection) => self.closed.push(connection),
                Output::Event(Event::Ready { port, versions, .. }) => self.ready.push((port, versions)),
                Output::Event(event) => self.events.push(event),
                Output::Wait(wait) => {
                    assert!(
                        wait.is_none_or(|wait| wait > self.now),
                        "the machine must not wait for a time in the past"
                    );
                    self.wait = wait;
                    return;
                }
            }
        }
    }

    /// Advances the time, and polls the machine at every instant that it waits for.
    fn pass(&mut self, until: Instant) {
        self.run();
        while let Some(next) = self.wait.filter(|next| *next <= until) {
            self.now = next;
            self.run();
        }
        self.now = until;
        self.run();
    }

    fn answer(&mut self, request: &Request) -> Option<Vec<u8>> {
        if let Some(coordinator) = &mut self.transactions {
            if coordinator.answers(request.api) {
                return coordinator.answer(request);
            }
        }
        if let Some(subscriber) = self.telemetry.as_mut().filter(|subscriber| subscriber.answers(request.api)) {
            return subscriber.answer(request);
        }
        let body = match request.api {
            18 => {
                let apis = [(0, self.produce), (3, 1), (22, self.init_producer_id), (17, 1), (36, 1), (71, 0), (72, 0)];
                let has_producer_ids = self.produce >= 3 && self.init_producer_id >= 0;
                let apis = apis.iter().filter(|(api, _)| *api != 22 || has_producer_ids);
                let apis = apis.filter(|(api, _)| ![71, 72].contains(api) || self.telemetry.is_some());
                let apis = apis.filter(|(api, _)| ![17, 36].contains(api) || self.session.is_some());
                let mut body = vec![0, 0, apis.clone().count() as u8 + 1];
                for (api, newest) in apis {
                    body.extend([0, *api, 0, 0, 0, *newest as u8, 0]);
                }
                body.extend([0, 0, 0, 0, 0]);
                body
            }
            3 => {
                let brokers = if self.lists_no_brokers { 0 } else { 2_i32 };
                let mut body = brokers.to_be_bytes().to_vec();
                for id in 1..=brokers {
                    body.extend(id.to_be_bytes());
                    body.extend(string("broker"));
                    body.extend((9000 + id).to_be_bytes());
                    body.extend((-1_i16).to_be_bytes());
                }
                body.extend(1_i32.to_be_bytes());
                let topics = request.topics();
                body.extend((topics.len() as i32).to_be_bytes());
                for topic in topics {
                    let is_unknown = self.unknown_topic == Some(&*topic);
                    let code = if is_unknown { ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.0 } else { self.topic_error };
                    body.extend(code.to_be_bytes());
                    body.extend(string(&topic));
                    body.push(0);
                    let partitions = if code == 0 { self.partitions } else { 0 };
                    body.extend(partitions.to_be_bytes());
                    for partition in 0..partitions {
                        body.extend(0_i16.to_be_bytes());
                        body.extend(partition.to_be_bytes());
                        let other = self.other_leader.filter(|(other, _)| *other == partition);
                        body.extend(other.map_or(self.leader, |(_, leader)| leader).to_be_bytes());
                        body.extend([0; 8]);
                    }
                }
                body
            }
            17 => [&self.sasl_error.to_be_bytes()[..], &[0; 4]].concat(),
            36 if self.bearer.is_some() => self.answer_bearer(&request.body),
            36 if self.rejects_credentials => [&[0, 58][..], &string("who?"), &[0; 12]].concat(),
            36 => [&[0, 0, 255, 255, 0, 0, 0, 0][..], &self.session.unwrap().to_be_bytes()].concat(),
            22 => {
                let code = self.init_errors.pop_front().unwrap_or(ErrorCode::NONE);
                let (id, epoch) = if code.is_error() {
                    (-1, -1)
                } else {
                    self.ids.pop_front().unwrap_or((1_000 + self.handed_out.len() as i64, 0))
                };
                self.handed_out.push((id, epoch));
                let mut body = vec![0; 4];
                body.extend(code.0.to_be_bytes());
                body.extend(id.to_be_bytes());
                body.extend(epoch.to_be_bytes());
                body
            }
            0 => {
                if request.body[2..4] == [0, 0] && request.version >= 3 {
                    return None; // acks=0
                }
                let code = self.responses.pop_front().unwrap_or(Some(0))?;
                let code_of = |(partition, batch): (i32, Vec<u8>)| match RecordBatches::new(&batch).next() {
                    Some(Ok(found)) if code == 0 && found.magic() == Magic::V2 => {
                        let (id, epoch, _) = stamp_of(&batch);
                        (partition, (self.check_identity)(partition, (id, epoch), &self.handed_out).0)
                    }
                    _ => (partition, code),
                };
                let produced: Vec<(i32, i16)> = request.produced().into_iter().map(code_of).collect();
                if request.version >= flexible::FIRST {
                    let body = flexible::response(&produced, self.offset, self.append_time, self.throttle);
                    return Some(frame(request.correlation, &body));
                }
                let mut body = 1_i32.to_be_bytes().to_vec();
                body.extend(string("t"));
                body.extend((produced.len() as i32).to_be_bytes());
                for (partition, code) in produced {
                    body.extend(partition.to_be_bytes());
                    body.extend(code.to_be_bytes());
                    body.extend((if code == 0 { self.offset } else { -1 }).to_be_bytes());
                    if request.version >= 2 {
                        body.extend(self.append_time.to_be_bytes());
                    }
                    if request.version >= 5 {
                        body.extend(0_i64.to_be_bytes());
                    }
                }
                body.extend(self.throttle.to_be_bytes());
                body
            }
            other => panic!("the simulated broker does not support API {other}"),
        };
        Some(frame(request.correlation, &body))
    }

    /// Answers a message of OAUTHBEARER as Kafka does.
    fn answer_bearer(&self, body: &[u8]) -> Vec<u8> {
        const REFUSAL: &[u8] = br#"{"status":"invalid_token"}"#;
        let (message, bearer) = (&body[4..], self.bearer.as_deref().unwrap());
        if message == [1] {
            return [&[0, 58, 0, REFUSAL.len() as u8][..], REFUSAL, &[0; 12]].concat();
        }
        let answer = if message == bearer { &b""[..] } else { REFUSAL };
        let session = if message == bearer { self.session.unwrap() } else { 0 };
        [&[0, 0, 255, 255, 0, 0, 0, answer.len() as u8][..], answer, &session.to_be_bytes()].concat()
    }

    fn apis(&self) -> Vec<i16> {
        self.requests.iter().map(|request| request.api).collect()
    }

    fn produced(&self) -> Vec<(i32, Vec<u8>)> {
        self.requests.iter().filter(|request| request.api == 0).flat_map(Request::produced).collect()
    }

    fn stamps(&self) -> Vec<(i64, i16, i32)> {
        self.produced().iter().map(|(_, batch)| stamp_of(batch)).collect()
    }

    /// Sends batches to partition 0, which are all in flight at once. Returns their requests.
    fn pipeline(&mut self, values: &[&str]) -> Vec<Request> {
        self.silent_connections.push(self.connects[1].0);
        for value in values {
            self.send(&[value], 0);
        }
        self.run();
        self.silent_connections.clear();
        self.requests[self.requests.len() - values.len()..].to_vec()
    }

    /// Responds to a request in flight, with this error code.
    fn reply(&mut self, request: &Request, code: ErrorCode) {
        self.responses.push_front(Some(code.0));
        let answer = self.answer(request).unwrap();
        self.producer.handle_input(Input::Received(request.connection, &answer), self.now);
        self.run();
    }

    fn disconnect(&mut self, connection: ConnectionId) {
        self.producer.handle_input(Input::Closed(connection, Disconnect::Broken, None), self.now);
    }

    /// Returns the outcome of each batch, in the order of the events.
    fn fates(&self) -> Vec<(u64, Outcome)> {
        let outcome = |event: &Event| match event {
            Event::Delivered { id, delivery } => Some((id.0, Ok(delivery.base_offset()))),
            Event::Failed { id, error } => Some((id.0, Err(error.fate()))),
            _ => None,
        };
        self.events.iter().filter_map(outcome).collect()
    }

    fn error(&self) -> &crate::DeliveryError {
        let error = |event: &Event| matches!(event, Event::Failed { .. });
        match self.events.iter().find(|event| error(event)) {
            Some(Event::Failed { error, .. }) => error,
            _ => panic!("nothing failed: {:?}", self.events),
        }
    }
}

/// The base offset of a delivered batch, or the fate of a failed one.
type Outcome = Result<Option<i64>, Option<Fate>>;

const DONE: Outcome = Ok(Some(100));
const NOT_WRITTEN: Outcome = Err(Some(Fate::NotWritten));
const UNKNOWN: Outcome = Err(Some(Fate::Unknown));
