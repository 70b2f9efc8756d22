//! The machine against a broker of a few lines: answers are made by hand, time passes only where a test says so.

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
pub(super) struct Asked {
    pub(super) connection: ConnectionId,
    pub(super) api: i16,
    version: i16,
    pub(super) correlation: i32,
    body: Vec<u8>,
}

impl Asked {
    pub(super) fn parse(connection: ConnectionId, bytes: &[bytes::Bytes]) -> Self {
        let frame = bytes.concat();
        let short = |from: usize| i16::from_be_bytes([frame[from], frame[from + 1]]);
        assert_eq!(i32::from_be_bytes(frame[..4].try_into().unwrap()) as usize, frame.len() - 4);
        let client = short(12).max(0) as usize;
        let body = frame[14 + client..].to_vec();
        let correlation = i32::from_be_bytes(frame[8..12].try_into().unwrap());
        Self { connection, api: short(4), version: short(6), correlation, body }
    }

    /// Partition and batch of each record set of a Produce request without topic ids, v3 to v8.
    pub(super) fn produced(&self) -> Vec<(i32, Vec<u8>)> {
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

pub(super) fn frame(correlation: i32, body: &[u8]) -> Vec<u8> {
    let mut frame = ((body.len() + 4) as i32).to_be_bytes().to_vec();
    frame.extend(correlation.to_be_bytes());
    frame.extend(body);
    frame
}

pub(super) fn string(text: &str) -> Vec<u8> {
    [&(text.len() as i16).to_be_bytes()[..], text.as_bytes()].concat()
}

/// What the brokers of a test are like, and what came out of the machine.
pub(super) struct World {
    pub(super) producer: Producer,
    pub(super) now: Instant,
    /// Highest Produce version: 3 and more comes with Metadata v1 and InitProducerId v0, less without the latter.
    produce: i16,
    init_producer_id: i16,
    pub(super) leader: i32,
    pub(super) partitions: i32,
    topic_error: i16,
    /// Answers to Produce requests; `None` stays silent. Without one: success at offset 100.
    answers: VecDeque<Option<i16>>,
    pub(super) ids: VecDeque<(i64, i16)>,
    throttle: i32,
    deaf: bool,
    /// Connections that gave no answer once: they give none any more, for answers come in order.
    mute: Vec<ConnectionId>,
    asked: Vec<Asked>,
    connects: Vec<(ConnectionId, u16)>,
    closed: Vec<ConnectionId>,
    /// What was negotiated with each broker that was reached.
    ready: Vec<(u16, Versions)>,
    pub(super) events: Vec<Event>,
    pub(super) wait: Option<Instant>,
}

impl World {
    pub(super) fn new(change: impl FnOnce(&mut ProducerConfig)) -> Self {
        let mut config = ProducerConfig::new([("boot", 9092)]);
        change(&mut config);
        let clock = Clock { now: Instant::START, wall: Timestamp::from_millis(1_000) };
        Self {
            producer: Producer::new(config, clock, 42),
            now: Instant::START,
            produce: 3,
            init_producer_id: 0,
            leader: 1,
            partitions: 20,
            topic_error: 0,
            answers: VecDeque::new(),
            ids: VecDeque::from([(7, 0), (8, 0), (9, 0)]),
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

    pub(super) fn send(&mut self, values: &[&str], partition: i32) -> BatchId {
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

    pub(super) fn answer(&mut self, asked: &Asked) -> Option<Vec<u8>> {
        let body = match asked.api {
            18 => {
                let apis = [(0, self.produce), (3, 1), (22, self.init_producer_id)];
                let apis = apis.iter().filter(|(api, _)| *api != 22 || self.produce >= 3);
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
                    body.extend(self.leader.to_be_bytes());
                    body.extend([0; 8]);
                }
                body
            }
            22 => {
                let (id, epoch) = self.ids.pop_front().unwrap();
                let mut body = vec![0; 6];
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
                for (partition, _) in produced {
                    body.extend(partition.to_be_bytes());
                    body.extend(code.to_be_bytes());
                    body.extend((if code == 0 { 100_i64 } else { -1 }).to_be_bytes());
                    if asked.version >= 2 {
                        body.extend((-1_i64).to_be_bytes());
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
        self.producer.handle_input(Input::Closed(connection, Disconnect::Broken), self.now);
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

#[test]
fn from_nothing_to_a_delivery() {
    let mut world = World::new(|_| {});
    world.run();
    assert!(world.connects.is_empty() && world.wait.is_none(), "nothing to do, nobody to talk to");
    let id = world.send(&["one", "two"], 3);
    world.run();
    let ports: Vec<u16> = world.connects.iter().map(|(_, port)| *port).collect();
    assert_eq!(ports, [9092, 9001]);
    assert_eq!(world.apis(), [18, 3, 18, 22, 0]);
    assert_eq!(world.stamps(), [(7, 0, 0)]);
    assert_eq!(world.fates(), [(id.0, DONE)]);
    match &world.events[0] {
        Event::Delivered { delivery, .. } => assert_eq!(delivery.offset(1), Some(101)),
        other => panic!("{other:?}"),
    }
    let versions = Versions { produce: 3, metadata: 1, init_producer_id: Some(0) };
    assert_eq!(world.ready, [(9092, versions), (9001, versions)]);
    assert_eq!(versions.magic(), Magic::V2);
    assert_eq!(world.producer.bytes_on_their_way(), 0);
}

#[test]
fn ten_sends_make_one_request_and_rows_are_pipelined_after_the_first_success() {
    let mut world = World::new(|_| {});
    for partition in 0..10 {
        world.send(&["x"], partition);
    }
    world.run();
    assert_eq!(world.apis(), [18, 3, 18, 22, 0]);
    assert_eq!(world.produced().len(), 10);
    world.asked.clear();
    world.answers.extend([None; 20]);
    for _ in 0..10 {
        world.send(&["y", "z"], 0);
    }
    world.run();
    assert_eq!(world.stamps(), [(7, 0, 1), (7, 0, 3), (7, 0, 5), (7, 0, 7), (7, 0, 9)], "five in flight, and no more");
}

#[test]
fn until_the_first_success_one_request_is_in_flight() {
    let mut world = World::new(|_| {});
    world.answers.push_back(None);
    world.send(&["x"], 0);
    world.send(&["y"], 0);
    world.run();
    assert_eq!(world.stamps(), [(7, 0, 0)]);
}

#[test]
fn a_retry_is_the_same_bytes_and_goes_to_the_new_leader() {
    let mut world = World::new(|_| {});
    world.answers.push_back(Some(ErrorCode::NOT_LEADER_OR_FOLLOWER.0));
    world.send(&["x"], 0);
    world.send(&["y"], 0);
    world.run();
    world.leader = 2;
    world.pass(at(2_000));
    let produced = world.produced();
    assert_eq!(produced[0], produced[1]);
    assert_eq!(world.stamps(), [(7, 0, 0), (7, 0, 0), (7, 0, 1)]);
    assert_eq!(world.connects.last().unwrap().1, 9002);
    assert_eq!(world.fates(), [(0, DONE), (1, DONE)]);
}

#[test]
fn a_lost_connection_is_made_again_and_the_same_bytes_sent() {
    let mut world = World::new(|_| {});
    world.send(&["x"], 0);
    world.run();
    let connection = world.fly(&["a", "b", "c"])[0].connection;
    world.lost(connection);
    world.answers.extend([Some(ErrorCode::DUPLICATE_SEQUENCE_NUMBER.0)]);
    world.pass(at(3_000));
    assert_eq!(world.stamps()[1..], [(7, 0, 1), (7, 0, 2), (7, 0, 3), (7, 0, 1), (7, 0, 2), (7, 0, 3)]);
    assert_eq!(world.fates(), [(0, DONE), (1, Ok(None)), (2, DONE), (3, DONE)]);
    // What comes late from a connection that is gone names nobody.
    world.producer.handle_input(Input::Received(connection, b"\0\0\0\x04late"), world.now);
    world.producer.handle_input(Input::Closed(connection, Disconnect::Broken), world.now);
    world.run();
}

#[test]
fn after_an_unknown_outcome_the_range_is_never_used_again() {
    let mut world = World::new(|config| {
        config.delivery_timeout = Duration::from_secs(10);
        config.request_timeout = Duration::from_secs(6);
    });
    world.answers.extend([None, None]);
    world.send(&["x"], 0);
    world.pass(at(9_000));
    world.send(&["y"], 0);
    world.pass(at(15_000));
    assert_eq!(world.fates(), [(0, UNKNOWN), (1, DONE)]);
    assert!(matches!(world.error().reason, FailureReason::TimedOut));
    assert_eq!(world.stamps(), [(7, 0, 0), (7, 0, 0), (8, 0, 0)]);
}

#[test]
fn out_of_time_is_not_written_if_nothing_went_out_and_names_the_topic() {
    let mut world = World::new(|config| config.delivery_timeout = Duration::from_secs(10));
    world.topic_error = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.0;
    world.send(&["x"], 0);
    world.pass(at(20_000));
    assert_eq!(world.fates(), [(0, NOT_WRITTEN)]);
    let text = world.error().to_string();
    assert!(text.contains("UNKNOWN_TOPIC_OR_PARTITION") && text.contains("\"t\""), "{text}");
    let asked = world.apis().iter().filter(|api| **api == 3).count();
    assert!((9..40).contains(&asked), "with backoff: {asked}");
}

#[test]
fn a_topic_that_appears_gets_its_batches() {
    let mut world = World::new(|_| {});
    world.topic_error = ErrorCode::LEADER_NOT_AVAILABLE.0;
    world.send(&["x"], 0);
    world.pass(at(1_000));
    world.topic_error = 0;
    world.pass(at(3_000));
    assert_eq!(world.fates(), [(0, DONE)]);
}

#[test]
fn a_topic_that_may_not_be_written_to_fails_at_once() {
    let mut world = World::new(|_| {});
    world.topic_error = ErrorCode::TOPIC_AUTHORIZATION_FAILED.0;
    world.send(&["x"], 0);
    world.run();
    assert_eq!(world.fates(), [(0, NOT_WRITTEN)]);
}

#[test]
fn a_refused_batch_leaves_a_gap_and_those_behind_it_are_counted_anew() {
    let mut world = World::new(|_| {});
    world.send(&["first"], 0);
    world.run();
    let flying = world.fly(&["a", "b", "c"]);
    world.reply(&flying[0], ErrorCode::INVALID_RECORD);
    world.reply(&flying[1], ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    world.reply(&flying[2], ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    world.pass(at(5_000));
    assert_eq!(world.fates(), [(0, DONE), (1, NOT_WRITTEN), (2, DONE), (3, DONE)]);
    assert_eq!(world.stamps()[1..], [(7, 0, 1), (7, 0, 2), (7, 0, 3), (8, 0, 0), (8, 0, 1)]);
}

#[test]
fn behind_a_gap_too_a_lost_answer_is_a_doubt() {
    let mut world = World::new(|_| {});
    world.send(&["first"], 0);
    world.run();
    let flying = world.fly(&["a", "b", "c"]);
    world.reply(&flying[0], ErrorCode::INVALID_RECORD);
    world.lost(flying[0].connection);
    world.answers.extend([Some(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER.0); 2]);
    world.pass(at(5_000));
    assert_eq!(world.fates(), [(0, DONE), (1, NOT_WRITTEN), (2, UNKNOWN), (3, UNKNOWN)]);
    assert_eq!(world.stamps()[4..], [(7, 0, 2), (7, 0, 3)], "as they were");
}

#[test]
fn behind_a_gap_that_the_broker_took_for_none_a_lost_answer_is_a_doubt() {
    let mut world = World::new(|_| {});
    world.send(&["first"], 0);
    world.run();
    let flying = world.fly(&["a", "b", "c"]);
    world.reply(&flying[0], ErrorCode::NOT_ENOUGH_REPLICAS);
    world.reply(&flying[1], ErrorCode::NONE); // a broker that has forgotten us takes any first number
    world.lost(flying[0].connection); // and with it the answer to c, which may be in the log
    world.answers.push_back(Some(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER.0)); // to a, whose number is past
    world.pass(at(5_000));
    assert_eq!(world.fates()[..2], [(0, DONE), (2, DONE)]);
    let stamps = world.stamps();
    assert_eq!(stamps[..5], [(7, 0, 0), (7, 0, 1), (7, 0, 2), (7, 0, 3), (7, 0, 1)]);
    assert_eq!(stamps.iter().filter(|stamp| stamp.0 == 8).count(), 1, "a alone is counted anew: {stamps:?}");
    assert_eq!(stamps.iter().filter(|stamp| **stamp == (7, 0, 3)).count(), 2, "c goes again as it was: {stamps:?}");
}

#[test]
fn what_may_be_in_the_log_is_never_stamped_anew() {
    let mut world = World::new(|_| {});
    world.send(&["first"], 0);
    world.run();
    let flying = world.fly(&["a", "b"]);
    world.lost(flying[0].connection);
    world.answers.push_back(Some(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER.0));
    world.pass(at(5_000));
    assert_eq!(world.fates()[1], (1, UNKNOWN), "{:?}", world.events);
    assert_eq!(world.stamps()[1..], [(7, 0, 1), (7, 0, 2), (7, 0, 1), (7, 0, 2)]);
    assert_eq!(world.fates()[2], (2, DONE));
}

#[test]
fn an_earlier_batch_that_is_retried_goes_before_those_that_came_out_of_order() {
    let mut world = World::new(|_| {});
    world.send(&["first"], 0);
    world.run();
    let flying = world.fly(&["a", "b", "c"]);
    world.reply(&flying[0], ErrorCode::NOT_ENOUGH_REPLICAS);
    world.reply(&flying[1], ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    world.pass(at(1_000));
    assert_eq!(world.asked.last(), flying.last(), "its turn comes when all answers are in");
    world.reply(&flying[2], ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    world.pass(at(3_000));
    assert_eq!(world.stamps()[1..], [(7, 0, 1), (7, 0, 2), (7, 0, 3), (7, 0, 1), (7, 0, 2), (7, 0, 3)]);
    assert_eq!(world.fates(), [(0, DONE), (1, DONE), (2, DONE), (3, DONE)]);
}

#[test]
fn unknown_producer_id_starts_a_new_count() {
    let mut world = World::new(|_| {});
    world.send(&["first"], 0);
    world.run();
    world.answers.push_back(Some(ErrorCode::UNKNOWN_PRODUCER_ID.0));
    world.send(&["a"], 0);
    world.pass(at(3_000));
    assert_eq!(world.stamps(), [(7, 0, 0), (7, 0, 1), (8, 0, 0)]);
    assert_eq!(world.fates(), [(0, DONE), (1, DONE)]);
}

#[test]
fn too_large_fails_and_comes_back() {
    let mut world = World::new(|_| {});
    world.answers.push_back(Some(ErrorCode::MESSAGE_TOO_LARGE.0));
    world.send(&["x", "y"], 0);
    world.pass(at(1_000));
    assert_eq!(world.fates(), [(0, NOT_WRITTEN)]);
    assert_eq!(world.error().batch.record_count(), 2);
}

#[test]
fn too_large_is_split_if_wished_and_has_one_event() {
    let mut world = World::new(|config| config.split_too_large = true);
    world.answers.extend([Some(ErrorCode::MESSAGE_TOO_LARGE.0), Some(0), Some(ErrorCode::MESSAGE_TOO_LARGE.0)]);
    world.send(&["a", "b", "c", "d"], 0);
    world.send(&["behind"], 0);
    world.pass(at(5_000));
    let fates = world.fates();
    assert_eq!(fates.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [0, 1], "{fates:?}");
    match &world.events[0] {
        Event::Delivered { delivery, .. } => {
            assert_eq!(delivery.record_count(), 4);
            let offsets: Vec<Option<i64>> = (0..4).map(|position| delivery.offset(position)).collect();
            assert_eq!(offsets, [Some(100), Some(100), Some(100), Some(101)], "parts of one, one and two records");
        }
        other => panic!("{other:?}"),
    }
}

/// librdkafka's mock cluster answers Produce requests with acks=0, as no real broker does.
#[test]
fn without_acks_an_answer_to_a_request_that_needs_none_is_passed_over() {
    let mut world = World::new(|config| config.acks = Acks::None);
    world.send(&["x"], 0);
    world.run();
    assert_eq!(world.fates(), [(0, Ok(None))]);
    let asked = world.asked.last().unwrap().clone();
    let mut hear = |correlation: i32| {
        let answer = frame(correlation, &[0; 20]);
        world.producer.handle_input(Input::Received(asked.connection, &answer), world.now);
        world.run();
        world.closed.clone()
    };
    assert_eq!(hear(asked.correlation), []);
    assert_eq!(hear(asked.correlation + 1), [asked.connection], "nobody has sent that");
}

/// What real brokers do: they name no record when they refuse one for its size.
#[test]
fn a_record_that_is_too_large_alone_is_named() {
    let mut world = World::new(|config| config.split_too_large = true);
    let too_large = Some(ErrorCode::MESSAGE_TOO_LARGE.0);
    world.answers.extend([too_large, Some(0), too_large]); // both, the first, the second
    world.send(&["small", "huge"], 0);
    world.pass(at(5_000));
    let error = world.error();
    assert_eq!(error.record_errors.iter().map(|error| error.position).collect::<Vec<_>>(), [1], "{error}");
    assert_eq!((error.fate_of(0), error.fate_of(1)), (Some(Fate::Written), Some(Fate::NotWritten)));
    assert_eq!(error.good_remainder().record_count(), 1);
}

#[test]
fn a_part_that_was_there_already_has_no_offset() {
    let mut world = World::new(|config| config.split_too_large = true);
    let duplicate = ErrorCode::DUPLICATE_SEQUENCE_NUMBER.0;
    world.answers.extend([Some(ErrorCode::MESSAGE_TOO_LARGE.0), Some(duplicate), Some(0)]);
    world.send(&["a", "b"], 0);
    world.pass(at(5_000));
    match &world.events[..] {
        [.., Event::Delivered { delivery, .. }] => assert_eq!([0, 1].map(|at| delivery.offset(at)), [None, Some(100)]),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_broke_by_itself_before_the_drain_is_not_closed() {
    let mut world = World::new(|_| {});
    world.answers.push_back(None);
    world.send(&["x"], 0);
    world.run();
    let connection = world.connects[1].0;
    world.producer.handle_input(Input::Received(connection, b"HTTP/1.1 400 Bad Request"), world.now);
    world.lost(connection);
    world.pass(at(3_000));
    assert_eq!(world.closed, []);
    assert_eq!(world.fates(), [(0, DONE)]);
}

#[test]
fn an_older_broker_gets_an_older_format_or_the_losses_are_named() {
    let mut world = World::new(|_| {});
    world.produce = 2;
    world.send(&["x"], 0);
    let mut with_headers = KafkaBatch::new(Timestamp::from_millis(0));
    let headers = [Header::new("h", "v")];
    with_headers.extend([Record::new("x").headers(&headers)]).unwrap();
    world.producer.send(with_headers.seal().unwrap(), to(1), world.now).unwrap();
    world.run();
    assert_eq!(world.fates().len(), 2);
    assert!(world.fates().contains(&(0, DONE)) && world.fates().contains(&(1, NOT_WRITTEN)));
    let produced = world.produced();
    assert_eq!(RecordBatches::new(&produced[0].1).next().unwrap().unwrap().magic(), Magic::V1);
    assert!(world.error().to_string().contains("magic 1 cannot carry the 1 headers of record 0"), "{}", world.error());
}

#[test]
fn a_broker_that_hangs_up_on_the_question_is_spoken_to_as_configured() {
    let mut world = World::new(|config| config.broker_version_fallback = Some("0.9".parse().unwrap()));
    world.send(&["x"], 0);
    let mut versions = Vec::new();
    for _ in 0..100 {
        match world.producer.poll_output(world.now) {
            Output::Connect { connection, .. } => world.producer.handle_input(Input::Connected(connection), world.now),
            Output::Transmit { connection, bytes } => {
                let asked = Asked::parse(connection, &bytes);
                versions.push((asked.api, asked.version));
                if asked.api == 18 {
                    world.producer.handle_input(Input::Closed(connection, Disconnect::ByPeer), world.now);
                }
            }
            Output::Wait(Some(next)) if next < at(1_000) => world.now = next,
            Output::Wait(_) => break,
            _ => {}
        }
    }
    assert_eq!(versions, [(18, 3), (3, 0)]);
}

/// As brokers of 0.9.0 do: they take no notice of a question that they do not know.
#[test]
fn a_broker_that_keeps_silent_at_the_question_is_spoken_to_as_configured() {
    for (fallback, until) in [(Some("0.9".parse().unwrap()), 10_000), (None, 30_000)] {
        let mut world = World::new(|config| config.broker_version_fallback = fallback);
        world.send(&["x"], 0);
        let (mut asked_at, mut asked) = (None, Vec::new());
        for _ in 0..100 {
            match world.producer.poll_output(world.now) {
                Output::Connect { connection, .. } => {
                    world.producer.handle_input(Input::Connected(connection), world.now);
                }
                Output::Transmit { connection, bytes } => {
                    let Asked { api, version, .. } = Asked::parse(connection, &bytes);
                    asked.push((api, version));
                    asked_at.get_or_insert(world.now);
                }
                Output::Event(Event::Trouble { trouble, .. }) => {
                    assert_eq!((trouble, world.now), (Trouble::RequestTimeout, at(until)));
                }
                Output::Wait(Some(next)) if next < at(until + 1_000) => world.now = next,
                Output::Wait(_) => break,
                _ => {}
            }
        }
        assert_eq!(asked_at, Some(at(0)));
        assert_eq!(asked, [(18, 3), if fallback.is_some() { (3, 0) } else { (18, 3) }]);
    }
}

#[test]
fn without_acks_written_is_done() {
    let mut world = World::new(|config| config.acks = Acks::None);
    world.send(&["x"], 0);
    world.send(&["y"], 0);
    world.run();
    assert_eq!(world.fates(), [(0, Ok(None)), (1, Ok(None))]);
    assert_eq!(world.stamps(), [(-1, -1, -1), (-1, -1, -1)]);
}

#[test]
fn what_is_on_its_way_is_bounded_and_the_refused_batch_comes_back() {
    let mut world = World::new(|config| config.buffer_memory = 150);
    world.send(&["x"], 0);
    world.send(&["x"], 0);
    assert!(world.producer.has_room());
    let refused = world.producer.send(batch(&["y"]), to(0), world.now).unwrap_err();
    assert!(refused.reason.is_retriable() && refused.batch.record_count() == 1, "{refused}");
    let never = world.producer.send(batch(&["y".repeat(200).as_str()]), to(0), world.now).unwrap_err();
    assert!(matches!(never.reason, Refusal::NeverFits { .. }));
    world.run();
    world.producer.send(*refused.batch, to(0), world.now).unwrap();
}

#[test]
fn flushes_are_answered_in_order_when_what_came_before_is_through() {
    let mut world = World::new(|_| {});
    let empty = world.producer.flush(world.now);
    world.run();
    assert!(matches!(world.events[..], [Event::Flushed(id)] if id == empty));
    world.answers.push_back(None);
    world.send(&["x"], 0);
    let waits = world.producer.flush(world.now);
    world.run();
    assert_eq!(world.events.len(), 1);
    let connection = world.connects[1].0;
    world.lost(connection);
    world.pass(at(3_000));
    assert!(matches!(world.events.last(), Some(Event::Flushed(id)) if *id == waits), "{:?}", world.events);
}

#[test]
fn closing_flushes_first_or_fails_everything_truthfully() {
    let mut world = World::new(|_| {});
    world.send(&["x"], 0);
    world.producer.close(CloseMode::Flushing, world.now);
    assert!(matches!(world.producer.send(batch(&["y"]), to(0), world.now).unwrap_err().reason, Refusal::Closed));
    world.run();
    assert_eq!(world.fates(), [(0, DONE)]);
    assert!(matches!(world.events.last(), Some(Event::Closed)));
    assert_eq!((world.closed.len(), world.wait), (2, None));

    let mut world = World::new(|_| {});
    world.answers.push_back(None);
    world.send(&["out"], 0);
    world.run();
    world.send(&["waiting"], 0);
    world.producer.close(CloseMode::AtOnce, world.now);
    world.run();
    assert_eq!(world.fates(), [(0, UNKNOWN), (1, NOT_WRITTEN)]);
    assert!(matches!(world.error().reason, FailureReason::Closed));
    assert!(matches!(world.events.last(), Some(Event::Closed)));
}

#[test]
fn a_request_without_an_answer_costs_the_connection_and_is_made_again() {
    let mut world = World::new(|_| {});
    world.answers.push_back(None);
    world.send(&["x"], 0);
    world.pass(at(40_000));
    assert_eq!(world.closed, [world.connects[1].0]);
    assert_eq!(world.stamps(), [(7, 0, 0), (7, 0, 0)]);
    assert_eq!(world.fates(), [(0, DONE)]);
}

#[test]
fn nobody_there_is_tried_again_with_backoff() {
    let mut world = World::new(|config| config.delivery_timeout = Duration::from_secs(60));
    world.deaf = true;
    world.send(&["x"], 0);
    world.pass(at(61_000));
    assert_eq!(world.fates(), [(0, NOT_WRITTEN)]);
    assert_eq!(world.connects.len(), 6, "one each 10 s and a little");
}

#[test]
fn throttling_is_obeyed_where_the_broker_leaves_it_to_the_client() {
    let mut world = World::new(|_| {});
    world.produce = 6;
    world.throttle = 500;
    world.send(&["x"], 0);
    world.run();
    world.throttle = 0;
    world.send(&["y"], 0);
    world.pass(at(499));
    assert_eq!(world.fates().len(), 1);
    world.pass(at(500));
    assert_eq!(world.fates().len(), 2);
}

#[test]
fn idle_connections_are_closed_and_then_there_is_nothing_to_wait_for() {
    let mut world = World::new(|_| {});
    world.send(&["x"], 0);
    world.pass(at(600_000));
    assert_eq!(world.closed.len(), 2);
    assert_eq!(world.wait, None);
    world.send(&["y"], 0);
    world.run();
    assert_eq!(world.fates().len(), 2);
}

#[test]
fn what_is_not_used_is_forgotten_and_counts_under_a_new_identity_when_it_comes_back() {
    let mut world = World::new(|config| config.metadata_max_idle = Duration::from_secs(10));
    world.send(&["x"], 0);
    world.send(&["y"], 1);
    world.pass(at(5_000));
    for second in 2..=5_u64 {
        world.send(&["y"], 1); // stays in use
        world.pass(at(second * 5_000));
    }
    world.asked.clear();
    world.send(&["y"], 1);
    world.run();
    assert_eq!(world.stamps(), [(7, 0, 5)], "whoever is in use counts on");
    world.send(&["x"], 0);
    world.run();
    assert_eq!(world.stamps()[1..], [(8, 0, 0)], "and not (7, 0, 0), which would be taken for a duplicate");
    world.pass(at(60_000));
    assert_eq!(world.producer.partition_count("t"), None, "nothing was sent for long");
    assert!(world.fates().iter().all(|(_, end)| *end == DONE), "{:?}", world.fates());
}

#[test]
fn ever_new_partitions_take_no_more_room_than_those_in_use() {
    let mut world = World::new(|config| config.metadata_max_idle = Duration::from_secs(1));
    world.partitions = 500;
    world.ids = (0..500).map(|id| (id, 0)).collect();
    for partition in 0..500 {
        world.send(&["x"], partition);
        world.pass(at(u64::from(partition.unsigned_abs()) * 500));
    }
    assert_eq!(world.fates().len(), 500);
    assert!(world.producer.partitions_known() < 10, "{}", world.producer.partitions_known());
}

#[test]
fn a_topic_can_be_looked_up() {
    let mut world = World::new(|_| {});
    world.producer.look_up("t", world.now);
    world.run();
    assert!(matches!(&world.events[..], [Event::Topic { partitions: Ok(count), .. }] if count.get() == 20));
    let mut world = World::new(|_| {});
    world.topic_error = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.0;
    world.producer.look_up("t", world.now);
    world.pass(at(31_000));
    let expected = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    assert!(matches!(&world.events[..], [Event::Topic { partitions: Err(code), .. }] if *code == expected));
}

#[test]
fn garbage_costs_the_connection_and_nothing_else() {
    let mut world = World::new(|_| {});
    world.answers.push_back(None);
    world.send(&["x"], 0);
    world.run();
    let connection = world.connects[1].0;
    world.producer.handle_input(Input::Received(connection, b"HTTP/1.1 400 Bad Request"), world.now);
    world.pass(at(3_000));
    assert_eq!(world.closed, [connection]);
    assert_eq!(world.fates(), [(0, DONE)]);
}

#[test]
fn an_earlier_now_counts_as_the_latest() {
    let mut world = World::new(|_| {});
    world.send(&["x"], 0);
    world.pass(at(50));
    let wait = world.wait;
    assert!(matches!(world.producer.poll_output(at(1)), Output::Wait(same) if same == wait));
}

/// The whole conversation as text, with the received bytes cut into pieces of this size.
fn conversation(piece: usize, seed: u64) -> String {
    let mut world = World::new(|_| {});
    let clock = Clock { now: Instant::START, wall: Timestamp::from_millis(0) };
    world.producer = Producer::new(ProducerConfig::new([("boot", 9092), ("other", 9093)]), clock, seed);
    world.answers.extend([Some(6), None, Some(7), Some(0)]);
    let mut told = String::new();
    for step in 0..60_u64 {
        if step < 5 {
            world.send(&["x", "y"], (step % 2) as i32);
        }
        loop {
            let output = world.producer.poll_output(world.now);
            told += &match &output {
                Output::Event(Event::Delivered { batch, delivery }) => {
                    alloc::format!("{:?} {batch} Delivered at {:?}\n", world.now, delivery.base_offset())
                }
                output => alloc::format!("{:?} {output:?}\n", world.now),
            };
            match output {
                Output::Connect { connection, .. } => {
                    world.producer.handle_input(Input::Connected(connection), world.now);
                }
                Output::Transmit { connection, bytes } => {
                    let asked = Asked::parse(connection, &bytes);
                    let answer = world.answer(&asked).unwrap_or_default();
                    for piece in answer.chunks(piece) {
                        world.producer.handle_input(Input::Received(connection, piece), world.now);
                    }
                }
                Output::Wait(next) => {
                    world.now = next.unwrap_or(world.now).min(world.now + Duration::from_secs(1));
                    break;
                }
                _ => {}
            }
        }
    }
    told
}

#[test]
fn bytes_may_be_cut_anywhere_and_the_same_seed_gives_the_same_conversation() {
    let whole = conversation(usize::MAX, 1);
    assert!(whole.contains("Delivered"));
    for piece in [1, 2, 3, 7, 50] {
        assert!(conversation(piece, 1) == whole, "in pieces of {piece}");
    }
    assert!(conversation(1, 2) != whole);
}

#[test]
fn the_bytes_of_a_batch_are_never_copied() {
    let mut world = World::new(|_| {});
    let mut places = Vec::new();
    world.send(&["x"], 0);
    for _ in 0..200 {
        match world.producer.poll_output(world.now) {
            Output::Connect { connection, .. } => {
                world.producer.handle_input(Input::Connected(connection), world.now);
            }
            Output::Transmit { connection, bytes } => {
                let asked = Asked::parse(connection, &bytes);
                if asked.api == 0 {
                    places.push(bytes[1].as_ptr());
                    world.answers.push_back(Some(ErrorCode::NOT_ENOUGH_REPLICAS.0));
                }
                let answer = world.answer(&asked).unwrap();
                world.producer.handle_input(Input::Received(connection, &answer), world.now);
            }
            Output::Wait(Some(next)) if places.len() < 3 => world.now = next,
            _ => {}
        }
    }
    assert!(places.len() == 3 && places.iter().all(|place| *place == places[0]), "{places:?}");
}
