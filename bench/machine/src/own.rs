//! The machine's own cost for each batch, as work accumulates: over many partitions, behind many batches of one
//! partition, and in a burst.

use std::collections::VecDeque;
use std::time::{Duration, Instant as SystemInstant};

use bytes::Bytes;
use kafka_batch::machine::{ConnectionId, Event, Input, Output};
use kafka_batch::{Delivery, SealedBatch, TopicPartition};

use crate::broker::TOPIC;
use crate::world::{NOW, World, sealed};

/// What is measured.
#[derive(Clone, Copy)]
pub enum Row {
    /// Each of this many partitions has one batch of 1 KiB at any time.
    Partitions(usize),
    /// One partition has this many batches of 1 KiB at any time.
    Waiting(usize),
    /// This many batches of one record are accepted for 100 partitions before anything is sent.
    Burst(usize),
}

pub const ROWS: [Row; 12] = [
    Row::Partitions(1),
    Row::Partitions(100),
    Row::Partitions(1_000),
    Row::Partitions(3_000),
    Row::Partitions(10_000),
    Row::Partitions(30_000),
    Row::Waiting(5),
    Row::Waiting(100),
    Row::Waiting(1_000),
    Row::Waiting(10_000),
    Row::Waiting(100_000),
    Row::Burst(1_000_000),
];

/// Partitions of the burst.
const BURST_PARTITIONS: usize = 100;

impl Row {
    /// Returns the row for `--quick`.
    #[must_use]
    pub const fn quick(self) -> Self {
        match self {
            Self::Burst(batches) => Self::Burst(batches / 10),
            other => other,
        }
    }

    /// Returns its name.
    pub fn name(self) -> String {
        let number = |number: usize| match number {
            0..1_000 => number.to_string(),
            _ => format!("{},{:03}", number / 1_000, number % 1_000).replace(",000,", ",000 "),
        };
        match self {
            Self::Partitions(1) => "1 partition".into(),
            Self::Partitions(count) => format!("{} partitions", number(count)),
            Self::Waiting(count) => format!("{} batches waiting", number(count)),
            Self::Burst(count) => format!("burst of {} thousand", number(count / 1_000)),
        }
    }

    /// Returns the nanoseconds that the machine itself needs for a batch.
    pub fn measure(self, budget: Duration) -> f64 {
        match self {
            Self::Partitions(partitions) => steady(partitions, 1, budget),
            Self::Waiting(depth) => steady(1, depth, budget),
            Self::Burst(batches) => burst(batches),
        }
    }
}

/// A stopwatch that runs only while the measured code does, less what reading the clock takes.
struct Stopwatch {
    time: Duration,
    begun: SystemInstant,
    /// How long an interval seems to be in which nothing is done.
    nothing: Duration,
}

impl Stopwatch {
    fn new() -> Self {
        let pairs = 10_000_u32;
        let mut time = Duration::ZERO;
        for _ in 0..pairs {
            let begun = SystemInstant::now();
            time += begun.elapsed();
        }
        Self { time: Duration::ZERO, begun: SystemInstant::now(), nothing: time / pairs }
    }

    fn start(&mut self) {
        self.begun = SystemInstant::now();
    }

    fn stop(&mut self) {
        self.time += self.begun.elapsed().saturating_sub(self.nothing);
    }

    /// Returns the nanoseconds for each of this many since the last call.
    fn lap(&mut self, count: usize) -> f64 {
        std::mem::take(&mut self.time).as_nanos() as f64 / count as f64
    }
}

/// Batches of a sample, at least.
const SAMPLE: usize = 1_000;

/// Measures how long stamping alone takes for a batch, in nanoseconds, because the machine does that, too. `waiting`
/// batches exist at any time, and `together` are stamped at once, as by the machine: what is in the processor's caches
/// then is the same.
fn stamping(waiting: usize, together: usize, records: usize, budget: Duration) -> f64 {
    let mut queue: VecDeque<SealedBatch> = (0..waiting).map(|_| sealed(records)).collect();
    let mut stopwatch = Stopwatch::new();
    let mut figures = Vec::new();
    let mut stamped = Vec::with_capacity(together);
    let begun = SystemInstant::now();
    while figures.is_empty() || begun.elapsed() < budget {
        let mut count = 0;
        while count < SAMPLE {
            stopwatch.start();
            for batch in queue.drain(..together) {
                stamped.push(batch.stamp(Default::default()).expect("magic 2"));
            }
            stopwatch.stop();
            count += together;
            stamped.clear();
            queue.extend((0..together).map(|_| sealed(records)));
        }
        figures.push(stopwatch.lap(count));
    }
    low(figures)
}

/// Drives the machine and measures only the time that is spent in it.
struct Driver {
    world: World,
    transmitted: Vec<(ConnectionId, Vec<Bytes>)>,
    deliveries: Vec<Delivery>,
    stopwatch: Stopwatch,
}

impl Driver {
    fn new(world: World) -> Self {
        Self { world, transmitted: Vec::new(), deliveries: Vec::new(), stopwatch: Stopwatch::new() }
    }

    /// Passes batches, or answers of the broker, to the machine, and polls it until it has no output.
    fn run(&mut self, batches: Vec<(SealedBatch, TopicPartition)>, answers: &[(ConnectionId, Vec<u8>)]) {
        self.stopwatch.start();
        for (batch, to) in batches {
            self.world.machine.send(batch, to, NOW).expect("there is room");
        }
        for (connection, answer) in answers {
            self.world.machine.handle_input(Input::Received(*connection, answer), NOW);
        }
        loop {
            match self.world.machine.poll_output(NOW) {
                Output::Transmit { connection, bytes } => self.transmitted.push((connection, bytes)),
                Output::Event(Event::Delivered { delivery, .. }) => self.deliveries.push(delivery),
                Output::Event(Event::Failed { error, .. }) => panic!("{error}"),
                Output::Wait(_) => break,
                Output::Connect { .. } | Output::Close(_) | Output::Event(_) => {}
            }
        }
        self.stopwatch.stop();
    }

    /// Returns the broker's answers to what was transmitted.
    fn answers(&mut self) -> Vec<(ConnectionId, Vec<u8>)> {
        let broker = &mut self.world.broker;
        self.transmitted.drain(..).map(|(connection, bytes)| (connection, broker.answer(&bytes).to_vec())).collect()
    }
}

fn to(partition: usize) -> TopicPartition {
    TopicPartition::new(TOPIC, partition as i32)
}

/// Records of a batch: 1 KiB.
const RECORDS: usize = 10;

/// The largest request in the steady rows, in bytes: it has room for as many batches of 1 KiB as the default has for
/// batches of 16 KiB. Of a batch's bytes the machine sees only the length, except for the checksum, which is measured
/// separately; larger batches would measure the memory's bandwidth.
const MAX_REQUEST_SIZE: usize = 65_536 + 16_384;

fn steady(partitions: usize, depth: usize, budget: Duration) -> f64 {
    let records = RECORDS;
    let together = partitions.min(64);
    let stamping = stamping(partitions * depth, together, records, budget / 2);
    let mut driver = Driver::new(World::new(partitions, 0, MAX_REQUEST_SIZE));
    driver.run((0..partitions * depth).map(|number| (sealed(records), to(number % partitions))).collect(), &[]);
    driver.stopwatch.lap(1);
    let mut figures = Vec::new();
    let begun = SystemInstant::now();
    let mut count = 0;
    while figures.is_empty() || begun.elapsed() < budget {
        let answers = driver.answers();
        assert!(!answers.is_empty(), "something is in flight");
        driver.run(Vec::new(), &answers);
        count += driver.deliveries.len();
        // Each delivered batch is replaced: the state is steady.
        let again = driver.deliveries.drain(..).map(|delivery| (sealed(records), delivery.topic_partition().clone()));
        let again = again.collect();
        driver.run(again, &[]);
        if count >= SAMPLE || begun.elapsed() > budget {
            figures.push(driver.stopwatch.lap(count));
            count = 0;
        }
    }
    low(figures) - stamping
}

fn burst(batches: usize) -> f64 {
    let stamping = stamping(batches, BURST_PARTITIONS, 1, Duration::from_millis(200));
    let mut driver = Driver::new(World::new(BURST_PARTITIONS, 0, 1_048_576));
    driver.run((0..batches).map(|number| (sealed(1), to(number % BURST_PARTITIONS))).collect(), &[]);
    let mut delivered = 0;
    while delivered < batches {
        let answers = driver.answers();
        driver.run(Vec::new(), &answers);
        delivered += driver.deliveries.len();
        driver.deliveries.clear();
    }
    assert_eq!(delivered, batches, "each was delivered");
    driver.stopwatch.lap(batches) - stamping
}

/// Returns the lower quartile: what else runs on the machine only adds to a figure.
fn low(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 4]
}
