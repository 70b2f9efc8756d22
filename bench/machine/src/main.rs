//! What the producer's state machine costs: a million batches through it and a broker in memory, beside the same batches
//! filled, sealed and stamped without it. `cargo run --release --manifest-path bench/machine/Cargo.toml`, some seconds a
//! row; writes ../results/machine.md. With `--quick`: a tenth of it, to the terminal only.

mod broker;

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Instant as SystemInstant;

use broker::{Broker, TOPIC};
use kafka_batch::batch::Stamp;
use kafka_batch::machine::{Clock, ConnectionId, Event, Input, Instant, Machine, Output, ProducerConfig};
use kafka_batch::{KafkaBatch, Record, SealedBatch, Timestamp, TopicPartition};
use kafka_batch_bench_shared::{Environment, median, results};

/// Batches that are measured at once.
const SAMPLE: usize = 10_000;

/// What is measured.
struct Row {
    says: &'static str,
    /// Partitions that are sent to.
    busy: usize,
    /// Partitions with a batch each for a broker that cannot be reached.
    waiting: usize,
    records: usize,
}

const ROWS: [Row; 6] = [
    Row { says: "one partition", busy: 1, waiting: 0, records: 10 },
    Row { says: "100 partitions", busy: 100, waiting: 0, records: 10 },
    Row { says: "1,000 partitions", busy: 1_000, waiting: 0, records: 10 },
    Row { says: "one partition, while 1,000 others wait", busy: 1, waiting: 1_000, records: 10 },
    Row { says: "one partition, while 10,000 others wait", busy: 1, waiting: 10_000, records: 10 },
    Row { says: "100 partitions, batches of 150 records", busy: 100, waiting: 0, records: 150 },
];

fn sealed(records: usize) -> SealedBatch {
    let mut batch = KafkaBatch::new(Timestamp::from_millis(1_700_000_000_000));
    let value = [b'v'; 90];
    for _ in 0..records {
        let appended = batch.append(Record::new(&value).key("key-0017")).expect("a plain record");
        debug_assert!(!appended.is_full());
    }
    batch.seal().expect("it is small")
}

/// A machine and its broker.
struct World {
    machine: Machine,
    broker: Broker,
    answers: VecDeque<(ConnectionId, Vec<u8>)>,
    delivered: usize,
}

const NOW: Instant = Instant::START;

impl World {
    fn new(row: &Row) -> Self {
        let mut config = ProducerConfig::new([(broker::HOST, 9_001)]);
        config.buffer_memory = usize::MAX;
        let clock = Clock { now: NOW, wall: Timestamp::from_millis(0) };
        let partitions = (row.busy + row.waiting) as i32;
        let mut world = Self {
            machine: Machine::new(config, clock, 1),
            broker: Broker::new(partitions, row.busy as i32),
            answers: VecDeque::new(),
            delivered: 0,
        };
        for partition in 0..partitions {
            world.send(sealed(1), partition as usize);
        }
        world.turn();
        assert_eq!(world.delivered, row.busy, "what can be delivered is");
        world
    }

    fn send(&mut self, batch: SealedBatch, partition: usize) {
        let to = TopicPartition::new(TOPIC, partition as i32);
        self.machine.send(batch, to, NOW).expect("there is room");
    }

    /// Drains the machine and lets the broker answer, until nothing happens any more.
    fn turn(&mut self) {
        loop {
            loop {
                match self.machine.poll_output(NOW) {
                    Output::Connect { connection, port: 9_001, .. } => {
                        self.machine.handle_input(Input::Connected(connection), NOW);
                    }
                    Output::Transmit { connection, bytes } => {
                        self.answers.push_back((connection, self.broker.answer(&bytes).to_vec()));
                    }
                    Output::Event(Event::Delivered { delivery, .. }) => {
                        black_box(&delivery);
                        self.delivered += 1;
                    }
                    Output::Event(Event::Failed { error, .. }) => panic!("{error}"),
                    Output::Wait(_) => break,
                    Output::Connect { .. } | Output::Close(_) | Output::Event(_) => {}
                }
            }
            let Some((connection, answer)) = self.answers.pop_front() else { return };
            self.machine.handle_input(Input::Received(connection, &answer), NOW);
        }
    }
}

/// Nanoseconds a batch: without the machine, through it, and the ratio; each the median of its samples.
fn measure(row: &Row, batches: usize) -> (f64, f64, f64) {
    let mut world = World::new(row);
    let (mut without, mut through, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let before = world.delivered;
    for _ in 0..batches / SAMPLE {
        let begun = SystemInstant::now();
        for sequence in 0..SAMPLE {
            let stamp = Stamp::NONE.producer(7, 0, sequence as i32);
            black_box(sealed(row.records).stamp(stamp).expect("magic 2"));
        }
        let one = begun.elapsed().as_nanos() as f64 / SAMPLE as f64;

        let begun = SystemInstant::now();
        for sequence in 0..SAMPLE {
            world.send(sealed(row.records), sequence % row.busy);
            // As many as a loop would find waiting for it.
            if sequence % row.busy.clamp(10, 100) == 0 {
                world.turn();
            }
        }
        world.turn();
        let other = begun.elapsed().as_nanos() as f64 / SAMPLE as f64;
        without.push(one);
        through.push(other);
        ratios.push(other / one);
    }
    assert_eq!(world.delivered - before, batches / SAMPLE * SAMPLE, "each was delivered");
    let median = |figures| median(figures).expect("a sample");
    (median(without), median(through), median(ratios))
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let batches = if quick { 100_000 } else { 1_000_000 };
    let mut table = String::from(
        "| a million batches to | records | without the machine | through it | ratio | the machine's own |\n|---|--:|--:|--:|--:|--:|\n",
    );
    for row in &ROWS {
        let (without, through, ratio) = measure(row, batches);
        let own = through - without;
        let _ = writeln!(
            table,
            "| {} | {} | {without:.0} ns | {through:.0} ns | {ratio:.2} | {own:.0} ns |",
            row.says, row.records
        );
        eprintln!("{}: {ratio:.2}", row.says);
    }
    let environment = Environment::look(env!("CARGO_PKG_NAME"), &["bytes", "crc-fast", "kafka-batch-core"]).lines();
    let text = format!(
        "# What the machine costs, for each batch\n\n{environment}\nBatches of so many records of 98 bytes, filled, sealed and stamped; \
         and the same batches handed to the producer's state machine, which stamps them, forms requests, reads the answers \
         of a broker in memory (its cost is in the figure) and tells of each delivery. Samples of {SAMPLE} batches take \
         turns; a figure is the median of its samples, the ratio that of the ratios. `bench/machine` makes it.\n\n{table}"
    );
    print!("{text}");
    if !quick {
        results::write("machine.md", &text).expect("a place for the results");
    }
}
