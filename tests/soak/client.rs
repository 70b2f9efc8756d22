//! The client's process: producers with SCRAM and with OAUTHBEARER, and a steady load of numbered records. Its memory is that of
//! the producers: it keeps no outcome, but prints it.
//!
//! Its standard input has a line for each command: the brokers' addresses (of the listener for SCRAM, and of the one for tokens),
//! with which it starts; `measure`, and `stop`. If the input ends without that, so does the process.

use std::io::{self, BufRead, Write};
use std::path::Path;
use std::process;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kafka_batch::transports::common::token_file;
use kafka_batch::{Compression, Fate, KafkaBatch, Record, TokioProducer, TopicPartition, Transport};
use log::{Level, LevelFilter, Log, Metadata};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::audit::{Outcome, Sent};
use crate::line::{Ended, Line, Memory};
use crate::random::Random;
use crate::{PARTITIONS, PASSWORD, TOPIC, USER, memory, record};

/// How often a task checks whether it has something to send.
const TICK: Duration = Duration::from_millis(20);

/// Of each producer's records, this part is sent one by one.
const MESSAGES: f64 = 0.2;

/// The producers, by number: their tasks have the numbers `2 * producer` (batches) and `2 * producer + 1` (messages).
pub(crate) const PRODUCERS: u16 = 4;

/// True for the tasks of producers whose `delivery.timeout.ms` is longer than every fault, so that nothing may fail.
pub(crate) const fn has_long_timeout(task: u16) -> bool {
    task / 2 < 2
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Run,
    /// Nothing is sent, and nothing is in flight.
    Pause,
    Stop,
}

/// Runs the process with its arguments: the directory of the credentials, the seed, and the records per second.
pub(crate) fn run(arguments: &[String]) {
    let [folder, seed, rate] = arguments else { panic!("three arguments, and not {arguments:?}") };
    let (seed, rate): (u64, f64) = (seed.parse().expect("a seed"), rate.parse().expect("a rate"));
    log::set_boxed_logger(Box::new(Logger)).expect("the first logger");
    log::set_max_level(LevelFilter::Debug);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let (sender, commands) = mpsc::channel(1);
    print(&Line::Ready);
    std::thread::spawn(move || read_commands(&sender));
    runtime.block_on(load(Path::new(folder), seed, rate, commands));
}

/// Passes on the lines of the standard input.
fn read_commands(sender: &mpsc::Sender<String>) {
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        let is_last = line == "stop";
        if sender.blocking_send(line).is_err() || is_last {
            return;
        }
    }
    process::exit(1); // the test has ended, and nobody reads the outcomes
}

async fn load(folder: &Path, seed: u64, rate: f64, mut commands: mpsc::Receiver<String>) {
    let servers = commands.recv().await.expect("the brokers' addresses");
    let (scram, tokens) = servers.split_once(' ').expect("two lists of addresses");
    let long = [("request.timeout.ms", "3000"), ("delivery.timeout.ms", "180000")];
    // Shorter than many faults, so batches fail in every way; but longer than an election and a pause of a busy machine.
    let short = [("request.timeout.ms", "2500"), ("delivery.timeout.ms", "5000")];
    let producers: Vec<TokioProducer> = (0..PRODUCERS)
        .map(|number| {
            let timeouts = if has_long_timeout(2 * number) { long } else { short };
            let servers = if number % 2 == 0 { scram } else { tokens };
            producer(folder, servers, number % 2 == 1, seed + u64::from(number), &timeouts)
        })
        .collect();
    // The first lookup has only `request.timeout.ms`, and brokers that have just started may take longer.
    for producer in &producers {
        for _ in 0..20 {
            if producer.partition_count(TOPIC).await.is_ok() {
                break;
            }
        }
    }
    let (mode, _) = watch::channel(Mode::Run);
    let (idle, mut idle_tasks) = mpsc::channel(usize::from(2 * PRODUCERS));
    let mut tasks = JoinSet::new();
    for task in 0..2 * PRODUCERS {
        let producer = producers[usize::from(task / 2)].clone();
        let share = if task % 2 == 0 { 1.0 - MESSAGES } else { MESSAGES };
        let load = Load {
            task,
            producer,
            rate: rate / f64::from(PRODUCERS) * share,
            random: Random::new(seed, u64::from(task) + 1_000),
            mode: mode.subscribe(),
            idle: idle.clone(),
            next: 0,
        };
        tasks.spawn(load.run());
    }
    while let Some(command) = commands.recv().await {
        match &*command {
            "measure" => {
                mode.send_replace(Mode::Pause);
                for _ in 0..2 * PRODUCERS {
                    idle_tasks.recv().await.expect("the tasks run");
                }
                let (heap, peak, resident) = (memory::live(), memory::peak(), memory::resident());
                print(&Line::Memory(Memory { heap, peak, resident }));
                memory::forget_peak();
                mode.send_replace(Mode::Run);
            }
            "stop" => break,
            other => panic!("unknown command {other:?}"),
        }
    }
    mode.send_replace(Mode::Stop);
    while let Some(ended) = tasks.join_next().await {
        ended.expect("a task");
    }
    for producer in producers {
        producer.close().await.expect("everything is delivered or has failed");
    }
}

fn producer(folder: &Path, servers: &str, has_tokens: bool, seed: u64, timeouts: &[(&str, &str)]) -> TokioProducer {
    let file = |name: &str| folder.join(name).to_str().expect("UTF-8").to_owned();
    let builder = TokioProducer::builder()
        .set("bootstrap.servers", servers)
        .set("security.protocol", "sasl_ssl")
        .set("ssl.ca.location", file("ca.pem"))
        .set("ssl.certificate.location", file("client.pem"))
        .set("ssl.key.location", file("client.key"))
        .set("reconnect.backoff.max.ms", "200")
        .set("retry.backoff.max.ms", "200")
        .set("socket.connection.setup.timeout.ms", "2000")
        .seed(seed);
    let builder = timeouts.iter().fold(builder, |builder, (name, value)| builder.set(*name, *value));
    if has_tokens {
        builder.set("sasl.mechanism", "OAUTHBEARER").token_provider(token_file(folder.join("token"))).build()
    } else {
        let builder = builder.set("sasl.mechanism", "SCRAM-SHA-512");
        builder.set("sasl.username", USER).set("sasl.password", PASSWORD).build()
    }
    .expect("a producer")
}

/// One task.
struct Load {
    task: u16,
    producer: TokioProducer,
    /// Records per second.
    rate: f64,
    random: Random,
    mode: watch::Receiver<Mode>,
    idle: mpsc::Sender<()>,
    /// The number of the next record.
    next: u64,
}

impl Load {
    async fn run(mut self) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut owed, mut in_flight) = (0.0, JoinSet::new());
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = self.mode.changed() => {}
            }
            let mode = *self.mode.borrow_and_update();
            if mode != Mode::Run {
                while let Some(ended) = in_flight.join_next().await {
                    print(&Line::Ended(ended.expect("an outcome")));
                }
                if mode == Mode::Stop {
                    return;
                }
                let _ = self.idle.send(()).await;
                self.mode.wait_for(|mode| *mode != Mode::Pause).await.expect("the commands are read");
                ticks.reset();
                continue;
            }
            owed += self.rate * TICK.as_secs_f64();
            while owed > 0.0 {
                owed -= self.send(&mut in_flight).await as f64;
            }
            while let Some(ended) = in_flight.try_join_next() {
                print(&Line::Ended(ended.expect("an outcome")));
            }
        }
    }

    /// Sends a batch or a message. Returns the number of records.
    async fn send(&mut self, in_flight: &mut JoinSet<Ended>) -> u64 {
        let partition = self.random.below(PARTITIONS as u64) as i32;
        let to = TopicPartition::new(TOPIC, partition);
        let (task, first, from) = (self.task, self.next, now());
        let is_message = task % 2 == 1;
        let count = if is_message { 1 } else { 1 + self.random.below(40) };
        self.next += count;
        let ended = move |outcome, failure| {
            let sent = Sent { task, partition, first, count, outcome };
            Ended { sent, from, to: now(), failure }
        };
        let rejected = |error: &dyn std::fmt::Display| {
            print(&Line::Ended(ended(Outcome::NotWritten, Some(format!("rejected: {error}")))));
        };
        if is_message {
            match self.producer.enqueue((TOPIC, partition), Record::new(&record::value(task, first))).await {
                Ok(pending) => drop(in_flight.spawn(async move {
                    match pending.await {
                        Ok(delivery) => ended(Outcome::Written(delivery.offset), None),
                        Err(error) => ended(outcome_of(error.fate), Some(error.reason.to_string())),
                    }
                })),
                Err(error) => rejected(&error),
            }
        } else {
            let compression = if self.random.below(4) == 0 { Compression::Lz4 } else { Compression::None };
            match self.producer.send_batch(batch(task, first, count, compression), to).await {
                Ok(pending) => drop(in_flight.spawn(async move {
                    match pending.await {
                        Ok(delivery) => ended(Outcome::Written(delivery.base_offset()), None),
                        Err(error) => {
                            let fate = error.fate().expect("a batch with one fate");
                            ended(outcome_of(fate), Some(error.reason.to_string()))
                        }
                    }
                })),
                Err(error) => rejected(&error),
            }
        }
        count
    }
}

const fn outcome_of(fate: Fate) -> Outcome {
    match fate {
        Fate::NotWritten => Outcome::NotWritten,
        Fate::Written => Outcome::Written(None),
        Fate::Unknown => Outcome::Unknown,
    }
}

fn batch(task: u16, first: u64, count: u64, compression: Compression) -> KafkaBatch {
    let options = kafka_batch::BatchOptions::default().batch_size(1 << 20).compression(compression);
    let mut batch = options.build(SystemTime::now()).expect("options");
    for number in first..first + count {
        assert!(!batch.append(Record::new(&record::value(task, number))).expect("a small record").is_full());
    }
    batch
}

/// Returns the time in ms since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

fn print(line: &Line) {
    // If nobody reads it, the test has ended.
    if writeln!(io::stdout().lock(), "{line}").is_err() {
        process::exit(1);
    }
}

/// Prints what the library logs about connections.
struct Logger;

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("kafka_batch")
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            print(&Line::Log { is_warning: record.level() <= Level::Warn, text: record.args().to_string() });
        }
    }

    fn flush(&self) {}
}
