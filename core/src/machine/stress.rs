//! Tests the guarantees of the machine over random schedules, against a model of a broker with a log and Kafka's rules
//! for sequence numbers. A small version of the simulation in `tests/` that runs with the unit tests.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use super::tests::{Request as Asked, World, frame, string};
use super::*;
use crate::protocol::ErrorCode;
use crate::splitmix64::SplitMix64 as Random;
use crate::{Fate, RecordBatches};

/// One partition: its records, and the state of each producer id.
#[derive(Default)]
struct Log {
    values: Vec<String>,
    producers: BTreeMap<i64, ProducerState>,
}

#[derive(Default)]
struct ProducerState {
    epoch: i16,
    last: i32,
    recent: VecDeque<(i32, usize)>,
}

impl Log {
    /// Kafka's `ProducerAppendInfo.checkSequence` and the search for duplicates, for batches of one record.
    fn append(&mut self, batch: &[u8]) -> (ErrorCode, usize) {
        let batch = RecordBatches::new(batch).next().unwrap().unwrap();
        let header = batch.header().unwrap();
        let (id, epoch, sequence) = (header.producer_id, header.producer_epoch, header.base_sequence);
        if id >= 0 {
            if let Some(known) = self.producers.get(&id) {
                if epoch < known.epoch {
                    return (ErrorCode::INVALID_PRODUCER_EPOCH, 0);
                }
                if let Some((_, offset)) =
                    known.recent.iter().find(|(first, _)| epoch == known.epoch && *first == sequence)
                {
                    return (ErrorCode::NONE, *offset);
                }
                let follows = if epoch > known.epoch { sequence == 0 } else { sequence == known.last + 1 };
                if !follows {
                    let seen = epoch == known.epoch && sequence <= known.last;
                    let code = ErrorCode::DUPLICATE_SEQUENCE_NUMBER;
                    return (if seen { code } else { ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER }, 0);
                }
            }
            let offset = self.values.len();
            let known = self.producers.entry(id).or_default();
            if epoch > known.epoch {
                known.recent.clear();
            }
            (known.epoch, known.last) = (epoch, sequence);
            known.recent.push_back((sequence, offset));
            if known.recent.len() > 5 {
                known.recent.pop_front();
            }
        }
        let records = batch.records(1 << 20).unwrap();
        let value = records.iter().next().unwrap().unwrap().value.unwrap().to_vec();
        self.values.push(String::from_utf8(value).unwrap());
        (ErrorCode::NONE, self.values.len() - 1)
    }
}

/// The requests on a connection that the broker has not handled yet.
#[derive(Default)]
struct Connection {
    queue: VecDeque<Asked>,
    /// Whether the broker no longer handles or answers requests on it.
    is_stalled: bool,
}

struct Schedule {
    seed: u64,
    world: World,
    random: Random,
    logs: BTreeMap<i32, Log>,
    links: BTreeMap<ConnectionId, Connection>,
    /// Requests of closed connections that the broker has not handled yet.
    late: VecDeque<Asked>,
    failure_rate: usize,
    ids: i64,
    bump: bool,
    /// The error code for epochs that the broker did not assign.
    on_local_epoch: ErrorCode,
}

const PARTITIONS: i32 = 3;

impl Schedule {
    fn new(seed: u64, change: impl FnOnce(&mut ProducerConfig)) -> Self {
        let mut world = World::new(|config| {
            config.delivery_timeout = Duration::from_secs(3);
            config.request_timeout = Duration::from_secs(1);
            change(config);
        });
        world.partitions = PARTITIONS;
        let mut random = Random::new(seed);
        let failure_rate = random.below(30);
        let bump = random.below(2) == 0;
        // NONE: the broker accepts them (KIP-360).
        let on_local_epoch = [
            ErrorCode::NONE,
            ErrorCode::NONE,
            ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
            ErrorCode::UNKNOWN_PRODUCER_ID,
            ErrorCode::INVALID_PRODUCER_ID_MAPPING,
            ErrorCode::PRODUCER_FENCED,
        ];
        let on_local_epoch = on_local_epoch[random.below(on_local_epoch.len())];
        let (logs, links, late) = (BTreeMap::new(), BTreeMap::new(), VecDeque::new());
        Self { seed, world, random, logs, links, late, failure_rate, ids: 0, bump, on_local_epoch }
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.random.below(100) < percent
    }

    fn drain(&mut self) {
        loop {
            match self.world.producer.poll_output(self.world.now) {
                Output::Connect { connection, .. } => {
                    if self.chance(self.failure_rate / 2) {
                        let how = [Disconnect::NotConnected, Disconnect::Untrusted][self.random.below(2)];
                        self.world.producer.handle_input(Input::Closed(connection, how, None), self.world.now);
                    } else {
                        self.links.insert(connection, Connection::default());
                        self.world.producer.handle_input(Input::Connected(connection), self.world.now);
                    }
                }
                Output::Transmit { connection, bytes } => {
                    let asked = Asked::parse(connection, &bytes);
                    self.links
                        .get_mut(&connection)
                        .expect("nothing is sent on a closed connection")
                        .queue
                        .push_back(asked);
                }
                Output::Close(connection) => self.remove(connection),
                Output::Event(event) => self.world.events.push(event),
                Output::Wait(wait) => {
                    assert!(wait.is_none_or(|wait| wait > self.world.now));
                    self.world.wait = wait;
                    return;
                }
            }
        }
    }

    /// Removes a connection. The broker may still handle Produce requests that were sent on it.
    fn remove(&mut self, connection: ConnectionId) {
        let link = self.links.remove(&connection).unwrap_or_default();
        if self.chance(50) {
            self.late.extend(link.queue.into_iter().filter(|asked| asked.api == 0));
        }
    }

    fn disconnect(&mut self, connection: ConnectionId) {
        self.remove(connection);
        self.world.producer.handle_input(Input::Closed(connection, Disconnect::Broken, None), self.world.now);
    }

    /// Lets the broker handle one request.
    fn serve(&mut self, connection: ConnectionId) {
        let Some(link) = self.links.get_mut(&connection) else { return };
        if link.is_stalled {
            return;
        }
        let Some(asked) = link.queue.pop_front() else { return };
        let answer = match asked.api {
            0 => self.produce(&asked),
            22 => {
                // Both are valid responses: the next epoch, or a new id.
                let (id, epoch) = (self.ids, 0);
                self.ids += 1;
                self.world.ids = VecDeque::from([(id, epoch)]);
                if self.bump && self.ids > 1 {
                    self.world.ids = VecDeque::from([(0, (self.ids - 1) as i16)]);
                }
                self.world.answer(&asked)
            }
            _ => self.world.answer(&asked),
        };
        let failure_rate = self.failure_rate;
        if self.chance(failure_rate / 3) {
            self.links.get_mut(&connection).unwrap().is_stalled = true;
        } else if self.chance(failure_rate / 3) {
            self.disconnect(connection);
        } else if let Some(answer) = answer {
            self.world.producer.handle_input(Input::Received(connection, &answer), self.world.now);
        }
    }

    fn produce(&mut self, asked: &Asked) -> Option<Vec<u8>> {
        let mut body = [&1_i32.to_be_bytes()[..], &string("t")].concat();
        let produced = asked.produced();
        body.extend((produced.len() as i32).to_be_bytes());
        for (partition, batch) in produced {
            let before = [
                ErrorCode::NOT_ENOUGH_REPLICAS,
                ErrorCode::NOT_LEADER_OR_FOLLOWER,
                ErrorCode::CORRUPT_MESSAGE,
                ErrorCode::INVALID_RECORD,
                ErrorCode::MESSAGE_TOO_LARGE,
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                ErrorCode::THROTTLING_QUOTA_EXCEEDED,
            ];
            let after = [
                ErrorCode::REQUEST_TIMED_OUT,
                ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND,
                ErrorCode::NOT_LEADER_OR_FOLLOWER,
                ErrorCode::KAFKA_STORAGE_ERROR,
                ErrorCode::UNKNOWN_SERVER_ERROR,
            ];
            let (code, offset) = if self.chance(self.failure_rate) {
                (before[self.random.below(before.len())], 0)
            } else {
                let (code, offset) = match self.identity_check(&batch) {
                    ErrorCode::NONE => self.logs.entry(partition).or_default().append(&batch),
                    code => (code, 0),
                };
                if code == ErrorCode::NONE && self.chance(self.failure_rate / 2) {
                    (after[self.random.below(after.len())], 0)
                } else {
                    (code, offset)
                }
            };
            body.extend(partition.to_be_bytes());
            body.extend(code.0.to_be_bytes());
            body.extend((if code == ErrorCode::NONE { offset as i64 } else { -1 }).to_be_bytes());
            body.extend((-1_i64).to_be_bytes());
        }
        body.extend(0_i32.to_be_bytes());
        Some(frame(asked.correlation, &body))
    }

    fn identity_check(&self, batch: &[u8]) -> ErrorCode {
        let batch = RecordBatches::new(batch).next().unwrap().unwrap();
        let header = batch.header().unwrap();
        let identity = (header.producer_id, header.producer_epoch);
        let is_local = identity.0 >= 0 && !self.world.handed_out.contains(&identity);
        if is_local { self.on_local_epoch } else { ErrorCode::NONE }
    }

    fn run(mut self, steps: usize, idempotent: bool) {
        let mut names: Vec<(i32, String)> = Vec::new();
        for _ in 0..steps {
            match self.random.below(10) {
                0..=2 => {
                    let (partition, name) = (self.random.below(PARTITIONS as usize) as i32, names.len().to_string());
                    self.world.send(&[&name], partition);
                    names.push((partition, name));
                }
                3..=6 => {
                    let ids: Vec<ConnectionId> = self.links.keys().copied().collect();
                    if !ids.is_empty() {
                        let at = self.random.below(ids.len());
                        self.serve(ids[at]);
                    }
                }
                7 => {
                    if let Some(late) = self.late.pop_front() {
                        self.produce(&late);
                    }
                }
                8 => {
                    let millis = self.random.below(200) as u64;
                    self.world.now = self.world.now + Duration::from_millis(millis);
                }
                _ => {
                    if self.chance(10) {
                        self.world.leader = 3 - self.world.leader;
                    }
                }
            }
            self.drain();
        }
        if self.chance(20) {
            self.world.producer.close(CloseMode::Immediate, self.world.now);
        } else {
            self.world.producer.close(CloseMode::Graceful, self.world.now);
        }
        for _ in 0..10_000 {
            self.drain();
            if matches!(self.world.events.last(), Some(Event::Closed)) {
                break;
            }
            let ids: Vec<ConnectionId> = self.links.keys().copied().collect();
            for id in ids {
                self.serve(id);
            }
            self.drain();
            if self.links.values().all(|link| link.is_stalled || link.queue.is_empty()) {
                self.world.now = self.world.wait.unwrap_or(self.world.now);
            }
        }
        assert!(matches!(self.world.events.last(), Some(Event::Closed)), "seed {}: the producer closes", self.seed);
        while let Some(late) = self.late.pop_front() {
            self.produce(&late);
        }
        self.check(&names, idempotent);
    }

    fn check(&self, names: &[(i32, String)], idempotent: bool) {
        let seed = self.seed;
        let mut fates: BTreeMap<u64, Fate> = BTreeMap::new();
        for event in &self.world.events {
            let (batch, fate) = match event {
                Event::Delivered { batch, .. } => (batch.0, Fate::Written),
                Event::Failed { batch, error } => (batch.0, error.fate().unwrap()),
                _ => continue,
            };
            assert!(fates.insert(batch, fate).is_none(), "seed {seed}: batch {batch} ends in exactly one event");
        }
        assert_eq!(fates.len(), names.len(), "seed {seed}: each batch ends in one event");
        let mut last: BTreeMap<i32, usize> = BTreeMap::new();
        for (batch, fate) in fates {
            let (partition, name) = &names[batch as usize];
            let offsets: Vec<usize> = self
                .logs
                .get(partition)
                .map_or(Vec::new(), |log| (0..log.values.len()).filter(|&at| log.values[at] == *name).collect());
            match fate {
                Fate::Written => {
                    assert!(!offsets.is_empty(), "seed {seed}: batch {batch} is reported as written and is missing");
                    if idempotent {
                        assert_eq!(offsets.len(), 1, "seed {seed}: batch {batch} is in the log more than once");
                        let before = last.insert(*partition, offsets[0]);
                        assert!(
                            before.is_none_or(|before| before < offsets[0]),
                            "seed {seed}: batch {batch} is out of order"
                        );
                    }
                }
                Fate::NotWritten => {
                    assert!(offsets.is_empty(), "seed {seed}: batch {batch} is reported as not written");
                }
                Fate::Unknown => {}
            }
        }
    }
}

#[test]
fn idempotent_batches_are_written_once_and_in_order_despite_failures() {
    for seed in 0..300 {
        Schedule::new(seed, |_| {}).run(400, true);
    }
}

#[test]
fn without_idempotence_each_acknowledged_batch_is_in_the_log() {
    for seed in 0..100 {
        Schedule::new(seed, |config| config.enable_idempotence = false).run(400, false);
    }
}
