//! The machine against a broker of a few lines: answers are made by hand, time passes only where a test says so.

mod causes;
mod commands;
mod connections;
mod identities;
mod never;
mod retries;
mod sizes;
mod topics;
mod unfinished;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::*;
use crate::protocol::{Acks, ErrorCode};
use crate::{
    FailureReason, Fate, Header, KafkaBatch, Magic, Record, RecordBatches, SealedBatch, Timestamp, TopicPartition,
};

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

/// What a request is, as far as these tests want to know.
#[derive(Clone, Debug, PartialEq)]
struct Asked {
    connection: ConnectionId,
    api: i16,
    version: i16,
    correlation: i32,
    body: Vec<u8>,
}

impl Asked {
    fn parse(connection: ConnectionId, bytes: &[bytes::Bytes]) -> Self {
        let frame = bytes.concat();
        let short = |from: usize| i16::from_be_bytes([frame[from], frame[from + 1]]);
        assert_eq!(i32::from_be_bytes(frame[..4].try_into().unwrap()) as usize, frame.len() - 4);
        let client = short(12).max(0) as usize;
        let body = frame[14 + client..].to_vec();
        let correlation = i32::from_be_bytes(frame[8..12].try_into().unwrap());
        Self { connection, api: short(4), version: short(6), correlation, body }
    }

    /// Partition and batch of each record set of a Produce request without topic ids, v3 to v8.
    fn produced(&self) -> Vec<(i32, Vec<u8>)> {
        let mut rest = &self.body[if self.version >= 3 { 8 } else { 6 }..];
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

/// The error code that a batch gets before it is appended, from its partition, its producer id and its epoch, and the
/// identities that were handed out so far.
type IdentityCheck = Box<dyn Fn(i32, (i64, i16), &[(i64, i16)]) -> ErrorCode>;

/// What the brokers of a test are like, and what came out of the machine.
struct World {
    producer: Machine,
    now: Instant,
    /// Highest Produce version: 3 and more comes with Metadata v1 and InitProducerId v0, less without the latter.
    produce: i16,
    init_producer_id: i16,
    /// How many milliseconds a session lasts, where brokers want SASL.
    session: Option<i64>,
    /// They do not take us for who we say.
    refuses_us: bool,
    leader: i32,
    /// The leader of this partition, if it is another one.
    other_leader: Option<(i32, i32)>,
    partitions: i32,
    topic_error: i16,
    /// Answers to Produce requests; `None` stays silent. Without one: success at this offset.
    answers: VecDeque<Option<i16>>,
    offset: i64,
    /// When they say that they appended it; −1: each record keeps its own time.
    append_time: i64,
    /// The next identities that are handed out; then ids from 1,000 on, with epoch 0.
    ids: VecDeque<(i64, i16)>,
    /// What InitProducerId answers, if not an identity.
    init_errors: VecDeque<ErrorCode>,
    handed_out: Vec<(i64, i16)>,
    check_identity: IdentityCheck,
    throttle: i32,
    deaf: bool,
    /// Connections that gave no answer once: they give none any more, for answers come in order.
    mute: Vec<ConnectionId>,
    asked: Vec<Asked>,
    connects: Vec<(ConnectionId, u16)>,
    closed: Vec<ConnectionId>,
    /// What was negotiated with each broker that was reached.
    ready: Vec<(u16, Versions)>,
    events: Vec<Event>,
    wait: Option<Instant>,
}

impl World {
    fn new(change: impl FnOnce(&mut ProducerConfig)) -> Self {
        let mut config = ProducerConfig::new([("boot", 9092)]);
        change(&mut config);
        let clock = Clock { now: Instant::START, wall: Timestamp::from_millis(1_000) };
        Self {
            producer: Machine::new(config, clock, 42),
            now: Instant::START,
            produce: 3,
            init_producer_id: 0,
            session: None,
            refuses_us: false,
            leader: 1,
            other_leader: None,
            partitions: 20,
            topic_error: 0,
            answers: VecDeque::new(),
            offset: 100,
            append_time: -1,
            ids: VecDeque::from([(7, 0), (8, 0), (9, 0)]),
            init_errors: VecDeque::new(),
            handed_out: Vec::new(),
            check_identity: Box::new(|_, _, _| ErrorCode::NONE),
            throttle: 0,
            deaf: false,
            mute: Vec::new(),
            asked: Vec::new(),
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

    /// Drains the machine, and answers all it asks.
    fn run(&mut self) {
        loop {
            match self.producer.poll_output(self.now) {
                Output::Connect { connection, port, .. } => {
                    self.connects.push((connection, port));
                    if !self.deaf {
                        self.producer.handle_input(Input::Connected(connection), self.now);
                    }
                }
                Output::Transmit { connection, bytes } => {
                    let asked = Asked::parse(connection, &bytes);
                    self.producer.handle_input(Input::Written(connection), self.now);
                    let answer = if self.mute.contains(&connection) { None } else { self.answer(&asked) };
                    match answer {
                        Some(answer) => self.producer.handle_input(Input::Received(connection, &answer), self.now),
                        None => self.mute.push(connection),
                    }
                    self.asked.push(asked);
                }
                Output::Close(connection) => self.closed.push(connection),
                Output::Event(Event::Ready { port, versions, .. }) => self.ready.push((port, versions)),
                Output::Event(event) => self.events.push(event),
                Output::Wait(wait) => {
                    assert!(wait.is_none_or(|wait| wait > self.now), "drained means the deadline is in the future");
                    self.wait = wait;
                    return;
                }
            }
        }
    }

    /// Lets time pass, and drains the machine at every moment that it asked for.
    fn pass(&mut self, until: Instant) {
        self.run();
        while let Some(next) = self.wait.filter(|next| *next <= until) {
            self.now = next;
            self.run();
        }
        self.now = until;
        self.run();
    }

    fn answer(&mut self, asked: &Asked) -> Option<Vec<u8>> {
        let body = match asked.api {
            18 => {
                let apis = [(0, self.produce), (3, 1), (22, self.init_producer_id), (17, 1), (36, 1)];
                let apis = apis.iter().filter(|(api, _)| *api != 22 || self.produce >= 3);
                let apis = apis.filter(|(api, _)| ![17, 36].contains(api) || self.session.is_some());
                let mut body = vec![0, 0, apis.clone().count() as u8 + 1];
                for (api, newest) in apis {
                    body.extend([0, *api, 0, 0, 0, *newest as u8, 0]);
                }
                body.extend([0, 0, 0, 0, 0]);
                body
            }
            3 => {
                let mut body = 2_i32.to_be_bytes().to_vec();
                for id in 1..=2_i32 {
                    body.extend(id.to_be_bytes());
                    body.extend(string("broker"));
                    body.extend((9000 + id).to_be_bytes());
                    body.extend((-1_i16).to_be_bytes());
                }
                body.extend(1_i32.to_be_bytes());
                body.extend(1_i32.to_be_bytes());
                body.extend(self.topic_error.to_be_bytes());
                body.extend(string("t"));
                body.push(0);
                let partitions = if self.topic_error == 0 { self.partitions } else { 0 };
                body.extend(partitions.to_be_bytes());
                for partition in 0..partitions {
                    body.extend(0_i16.to_be_bytes());
                    body.extend(partition.to_be_bytes());
                    let other = self.other_leader.filter(|(other, _)| *other == partition);
                    body.extend(other.map_or(self.leader, |(_, leader)| leader).to_be_bytes());
                    body.extend([0; 8]);
                }
                body
            }
            17 => vec![0; 6],
            36 if self.refuses_us => [&[0, 58][..], &string("who?"), &[0; 12]].concat(),
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
                if asked.body[2..4] == [0, 0] && asked.version >= 3 {
                    return None; // acks=0
                }
                let code = self.answers.pop_front().unwrap_or(Some(0))?;
                let mut body = 1_i32.to_be_bytes().to_vec();
                body.extend(string("t"));
                let produced = asked.produced();
                body.extend((produced.len() as i32).to_be_bytes());
                for (partition, batch) in produced {
                    let code = match RecordBatches::new(&batch).next() {
                        Some(Ok(found)) if code == 0 && found.magic() == Magic::V2 => {
                            let (id, epoch, _) = stamp_of(&batch);
                            (self.check_identity)(partition, (id, epoch), &self.handed_out).0
                        }
                        _ => code,
                    };
                    body.extend(partition.to_be_bytes());
                    body.extend(code.to_be_bytes());
                    body.extend((if code == 0 { self.offset } else { -1 }).to_be_bytes());
                    if asked.version >= 2 {
                        body.extend(self.append_time.to_be_bytes());
                    }
                    if asked.version >= 5 {
                        body.extend(0_i64.to_be_bytes());
                    }
                }
                body.extend(self.throttle.to_be_bytes());
                body
            }
            other => panic!("nobody knows API {other}"),
        };
        Some(frame(asked.correlation, &body))
    }

    fn apis(&self) -> Vec<i16> {
        self.asked.iter().map(|asked| asked.api).collect()
    }

    fn produced(&self) -> Vec<(i32, Vec<u8>)> {
        self.asked.iter().filter(|asked| asked.api == 0).flat_map(Asked::produced).collect()
    }

    fn stamps(&self) -> Vec<(i64, i16, i32)> {
        self.produced().iter().map(|(_, batch)| stamp_of(batch)).collect()
    }

    /// Sends batches to partition 0, all of which are on the wire before the first answer comes.
    fn fly(&mut self, values: &[&str]) -> Vec<Asked> {
        self.mute.push(self.connects[1].0);
        for value in values {
            self.send(&[value], 0);
        }
        self.run();
        self.mute.clear();
        self.asked[self.asked.len() - values.len()..].to_vec()
    }

    /// The answer to a request that flies.
    fn reply(&mut self, asked: &Asked, code: ErrorCode) {
        self.answers.push_front(Some(code.0));
        let answer = self.answer(asked).unwrap();
        self.producer.handle_input(Input::Received(asked.connection, &answer), self.now);
        self.run();
    }

    fn lost(&mut self, connection: ConnectionId) {
        self.producer.handle_input(Input::Closed(connection, Disconnect::Broken, None), self.now);
    }

    /// What became of each batch, in the order of the events: its offset, or its fate.
    fn fates(&self) -> Vec<(u64, End)> {
        let fate = |event: &Event| match event {
            Event::Delivered { batch, delivery } => Some((batch.0, Ok(delivery.base_offset()))),
            Event::Failed { batch, error } => Some((batch.0, Err(error.fate()))),
            _ => None,
        };
        self.events.iter().filter_map(fate).collect()
    }

    fn error(&self) -> &crate::DeliveryError {
        let error = |event: &Event| matches!(event, Event::Failed { .. });
        match self.events.iter().find(|event| error(event)) {
            Some(Event::Failed { error, .. }) => error,
            _ => panic!("nothing failed: {:?}", self.events),
        }
    }
}

/// An offset, or a fate.
type End = Result<Option<i64>, Option<Fate>>;

const DONE: End = Ok(Some(100));
const NOT_WRITTEN: End = Err(Some(Fate::NotWritten));
const UNKNOWN: End = Err(Some(Fate::Unknown));
