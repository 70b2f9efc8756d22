//! A machine, and its broker in memory.

use std::collections::VecDeque;
use std::hint::black_box;

use kafka_batch::machine::{Clock, ConnectionId, Event, Input, Instant, Machine, MachineConfig, Output};
use kafka_batch::{Delivery, KafkaBatch, Record, SealedBatch, Timestamp, TopicPartition};

use crate::broker::{self, Broker, TOPIC};

/// Returns a sealed batch of this many records of 98 bytes.
pub fn sealed(records: usize) -> SealedBatch {
    let mut batch = KafkaBatch::new(Timestamp::from_millis(1_700_000_000_000));
    let value = [b'v'; 90];
    for _ in 0..records {
        let appended = batch.append(Record::new(&value).key("key-0017")).expect("a plain record");
        debug_assert!(!appended.is_full());
    }
    batch.seal().expect("it is small")
}

/// A machine and its broker.
pub struct World {
    pub machine: Machine,
    pub broker: Broker,
    pub answers: VecDeque<(ConnectionId, Vec<u8>)>,
    pub delivered: usize,
}

/// The time, which does not pass.
pub const NOW: Instant = Instant::START;

impl World {
    /// Creates a machine that has delivered a batch to each of the `busy` partitions, and has one for each of the
    /// `waiting` ones, whose broker cannot be reached.
    pub fn new(busy: usize, waiting: usize, max_request_size: usize) -> Self {
        // Field by field, so that machines of other commits can be measured.
        let mut config = MachineConfig::new([(broker::HOST, 9_001)]);
        config.buffer_memory = usize::MAX;
        config.max_request_size = max_request_size;
        let clock = Clock { now: NOW, wall: Timestamp::from_millis(0) };
        let partitions = (busy + waiting) as i32;
        let mut world = Self {
            machine: Machine::new(config, clock, 1),
            broker: Broker::new(partitions, busy as i32),
            answers: VecDeque::new(),
            delivered: 0,
        };
        for partition in 0..partitions {
            world.send(sealed(1), partition as usize);
        }
        world.turn();
        assert_eq!(world.delivered, busy, "what can be delivered is");
        world
    }

    pub fn send(&mut self, batch: SealedBatch, partition: usize) {
        let to = TopicPartition::new(TOPIC, partition as i32);
        self.machine.send(batch, to, NOW).expect("there is room");
    }

    /// Drains the machine and lets the broker answer, until nothing happens any more.
    pub fn turn(&mut self) {
        loop {
            while let Some(delivery) = self.next_delivery() {
                black_box(&delivery);
                self.delivered += 1;
            }
            let Some((connection, answer)) = self.answers.pop_front() else { return };
            self.machine.handle_input(Input::Received(connection, &answer), NOW);
        }
    }

    /// Drains the machine up to the next delivery, and prepares the broker's answers. Returns `None` at the end.
    fn next_delivery(&mut self) -> Option<Delivery> {
        loop {
            match self.machine.poll_output(NOW) {
                Output::Connect { connection, port: 9_001, .. } => {
                    self.machine.handle_input(Input::Connected(connection), NOW);
                }
                Output::Transmit { connection, bytes } => {
                    self.answers.push_back((connection, self.broker.answer(&bytes).to_vec()));
                }
                Output::Event(Event::Delivered { delivery, .. }) => return Some(delivery),
                Output::Event(Event::Failed { error, .. }) => panic!("{error}"),
                Output::Wait(_) => return None,
                Output::Connect { .. } | Output::Close(_) | Output::Event(_) => {}
            }
        }
    }
}
