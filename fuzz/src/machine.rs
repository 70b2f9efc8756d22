//! The machine against anything: connections that open, end and send bytes as the fuzzer chooses, a clock that jumps, commands at
//! any time. Whatever happens, each drain ends, each accepted batch has one event, and a closed producer comes to its end.

use std::collections::BTreeSet;
use std::time::Duration;

use arbitrary::Arbitrary;
use kafka_batch_core::machine::{
    BatchId, Clock, CloseMode, ConnectionId, Disconnect, Event, Input, Instant, Machine, MachineConfig, OAuthBearer,
    OAuthToken, Output, Sasl, SaslMechanism,
};
use kafka_batch_core::protocol::Acks;
use kafka_batch_core::{KafkaBatch, Record, Timestamp, TopicPartition};

/// One thing that happens.
#[derive(Arbitrary, Debug)]
pub enum Step {
    /// Settings; they count where they come first.
    Settings {
        acks: u8,
        sasl: u8,
        fallback: bool,
        split: bool,
        memory: u16,
    },
    /// A batch of `records` records, for this partition.
    Send {
        partition: u8,
        records: u8,
    },
    Flush,
    LookupTopic(u8),
    /// `millis` milliseconds pass; or the clock runs backwards.
    Pass {
        millis: u16,
        backwards: bool,
    },
    /// The time comes that the machine waits for.
    Wait,
    Connected(u8),
    Transmitted(u8),
    Closed {
        connection: u8,
        how: u8,
    },
    /// Bytes as they are.
    Bytes {
        connection: u8,
        bytes: Vec<u8>,
    },
    /// An answer to the oldest request that is open there, with this body.
    Answer {
        connection: u8,
        body: Vec<u8>,
    },
    /// A good answer to it, if it is one of the handshake's, of Metadata or of InitProducerId; or to Produce, with this
    /// error code.
    Good {
        connection: u8,
        code: i8,
    },
    Close {
        at_once: bool,
    },
    /// A token of OAUTHBEARER that is valid for so long, or an error in place of it.
    Token {
        millis: Option<u16>,
    },
}

struct World {
    machine: Machine,
    now: Instant,
    deadline: Option<Instant>,
    connections: Vec<ConnectionId>,
    /// For each request that is open: where, which API, its correlation id, and the partitions of a Produce request.
    asked: Vec<(ConnectionId, u8, [u8; 4], Vec<[u8; 4]>)>,
    open: BTreeSet<BatchId>,
    closed: bool,
}

/// Runs them.
pub fn run(steps: &[Step]) {
    let mut config = MachineConfig::new([("one", 1), ("two", 2)]);
    if let Some(Step::Settings { acks, sasl, fallback, split, memory }) = steps.first() {
        config.acks = [Acks::All, Acks::None, Acks::Leader][usize::from(*acks) % 3];
        let mechanism = SaslMechanism::ALL.get(usize::from(*sasl) % 5);
        config.sasl = mechanism.map(|mechanism| match mechanism {
            SaslMechanism::OAuthBearer => OAuthBearer::new().into(),
            other => Sasl::new(*other, "u", "p").expect("these can be carried"),
        });
        config.broker_version_fallback = fallback.then(|| "0.9".parse().expect("a version"));
        config.split_too_large = *split;
        config.buffer_memory = usize::from(*memory) + 100;
    }
    let clock = Clock { now: Instant::START, wall: Timestamp::from_millis(0) };
    let mut world = World {
        machine: Machine::new(config, clock, steps.len() as u64),
        now: Instant::START,
        deadline: None,
        connections: Vec::new(),
        asked: Vec::new(),
        open: BTreeSet::new(),
        closed: false,
    };
    for step in steps.iter().take(300) {
        world.step(step);
        world.drain();
    }
    world.machine.close(CloseMode::Graceful, world.now);
    world.drain();
    for _ in 0..100_000 {
        let Some(deadline) = world.deadline else { break };
        world.now = deadline;
        world.drain();
    }
    assert!(world.closed && world.open.is_empty(), "it comes to its end, and {} batches have none", world.open.len());
}

impl World {
    fn step(&mut self, step: &Step) {
        let now = self.now;
        match step {
            Step::Settings { .. } => {}
            Step::Send { partition, records } => {
                let mut batch = KafkaBatch::new(Timestamp::from_millis(0));
                for _ in 0..records % 8 + 1 {
                    let _ = batch.append(Record::new("value")).expect("a plain record");
                }
                let to = TopicPartition::new("t", i32::from(*partition) - 1);
                if let Ok(id) = self.machine.send(batch.seal().expect("small"), to, now) {
                    assert!(self.open.insert(id), "names are not used again");
                }
            }
            Step::Flush => drop(self.machine.flush(now)),
            Step::LookupTopic(name) => self.machine.lookup_topic(&"x".repeat(usize::from(*name)), now),
            Step::Pass { millis, backwards: false } => self.now = now + Duration::from_millis(u64::from(*millis)),
            Step::Pass { millis, .. } => {
                let back = now.since_start().saturating_sub(Duration::from_millis(u64::from(*millis)));
                self.machine.poll(Instant::from_start(back), &mut self.deadline);
            }
            Step::Wait => self.now = self.deadline.unwrap_or(now),
            Step::Connected(at) => self.input(*at, Input::Connected),
            Step::Transmitted(at) => self.input(*at, Input::Transmitted),
            Step::Closed { connection, how } => {
                let all = [
                    Disconnect::NotConnected,
                    Disconnect::Untrusted,
                    Disconnect::ByPeer,
                    Disconnect::Broken,
                    Disconnect::NoTls,
                ];
                let how = all[usize::from(*how) % all.len()];
                self.input(*connection, |id| Input::Closed(id, how, None));
            }
            Step::Bytes { connection, bytes } => self.input(*connection, |id| Input::Received(id, bytes)),
            Step::Answer { connection, body } => self.answer(*connection, |_, _| body.clone()),
            Step::Good { connection, code } => self.answer(*connection, |api, partitions| good(api, partitions, *code)),
            Step::Token { millis } => {
                let token = |millis: &u16| {
                    let token = OAuthToken::new("t").expect("a valid token");
                    token.lifetime(Duration::from_millis(u64::from(*millis)))
                };
                let token = millis.as_ref().map(token).ok_or_else(|| "none".to_owned().into());
                self.machine.set_token(token, now);
            }
            Step::Close { at_once } => {
                self.machine.close(if *at_once { CloseMode::Immediate } else { CloseMode::Graceful }, now);
            }
        }
    }

    /// Connections of long ago are named as well: that must not matter.
    fn input<'a>(&mut self, at: u8, input: impl FnOnce(ConnectionId) -> Input<'a>) {
        if let Some(&id) = self.connections.get(usize::from(at) % self.connections.len().max(1)) {
            self.machine.handle_input(input(id), self.now);
        }
    }

    fn answer(&mut self, at: u8, body: impl FnOnce(u8, &[[u8; 4]]) -> Vec<u8>) {
        let Some(&id) = self.connections.get(usize::from(at) % self.connections.len().max(1)) else { return };
        let Some(open) = self.asked.iter().position(|(asked, ..)| *asked == id) else { return };
        let (_, api, correlation, partitions) = self.asked.remove(open);
        let body = body(api, &partitions);
        let frame = [&((body.len() + 4) as i32).to_be_bytes()[..], &correlation, &body].concat();
        self.machine.handle_input(Input::Received(id, &frame), self.now);
    }

    fn drain(&mut self) {
        for _ in 0..10_000 {
            match self.machine.poll_output(self.now) {
                Output::Connect { connection, .. } => {
                    assert!(!self.connections.contains(&connection), "names are not used again");
                    self.connections.push(connection);
                }
                Output::Transmit { connection, bytes } => {
                    let head = bytes.concat();
                    let correlation = head.get(8..12).and_then(|id| id.try_into().ok()).unwrap_or_default();
                    let set = |envelope: &bytes::Bytes| {
                        envelope.len().checked_sub(8).map(|at| envelope[at..at + 4].try_into())
                    };
                    let sets = bytes.iter().step_by(2).take(bytes.len() / 2).filter_map(set).flatten().collect();
                    self.asked.push((connection, head.get(5).copied().unwrap_or_default(), correlation, sets));
                }
                Output::Event(Event::Delivered { id, .. } | Event::Failed { id, .. }) => {
                    assert!(self.open.remove(&id), "one event for each batch");
                }
                Output::Event(Event::Closed) => self.closed = true,
                Output::Close(_) | Output::Event(_) => {}
                Output::Wait(deadline) => {
                    assert!(deadline.is_none_or(|deadline| deadline > self.now), "drained means a deadline to come");
                    self.deadline = deadline;
                    return;
                }
            }
        }
        panic!("a drain ends");
    }
}

trait Poll {
    fn poll(&mut self, earlier: Instant, deadline: &mut Option<Instant>);
}

impl Poll for Machine {
    /// After a drain an earlier moment changes nothing.
    fn poll(&mut self, earlier: Instant, deadline: &mut Option<Instant>) {
        match self.poll_output(earlier) {
            Output::Wait(same) => *deadline = same,
            other => panic!("{other:?} after the drain"),
        }
    }
}

/// The body of a good answer: ApiVersions v3 or v0, Metadata v1, InitProducerId v0, Produce v3, SaslHandshake v0.
fn good(api: u8, partitions: &[[u8; 4]], code: i8) -> Vec<u8> {
    match api {
        0 => {
            let mut body = vec![0, 0, 0, 1, 0, 1, b't'];
            body.extend((partitions.len() as i32).to_be_bytes());
            for partition in partitions {
                body.extend(partition);
                body.extend(i16::from(code).to_be_bytes());
                body.extend([0; 8]);
                body.extend([0xff; 8]);
            }
            body.extend([0; 4]);
            body
        }
        3 => {
            let mut body = 2_i32.to_be_bytes().to_vec();
            for id in 1..=2_u8 {
                body.extend([0, 0, 0, id, 0, 1, b'h', 0, 0, 35, id, 0xff, 0xff]);
            }
            body.extend([0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, b't', 0, 0, 0, 0, 4]);
            for partition in 0..4_u8 {
                body.extend([0, 0, 0, 0, 0, partition, 0, 0, 0, partition % 2 + 1]);
                body.extend([0; 8]);
            }
            body
        }
        17 => vec![0, 0, 0, 0, 0, 0],
        18 => {
            let mut body = vec![0, 0, 5];
            for (api, newest) in [(0, 3), (3, 1), (22, 0), (17, 0)] {
                body.extend([0, api, 0, 0, 0, newest, 0]);
            }
            body.extend([0; 5]);
            body
        }
        22 => {
            let mut body = vec![0; 6];
            body.extend(i64::from(code).to_be_bytes());
            body.extend([0, 0]);
            body
        }
        _ => Vec::new(),
    }
}
