//! Publishes batches with `std::net` and blocking threads, without an async runtime; reads them back and compares them.
//!
//! ```text
//! cargo run --example blocking
//! cargo run --example blocking -- --brokers localhost:9092 --topic readings --compression gzip --count 100000
//! cargo run --example blocking -- --transactional-id readings-1 --group published
//! ```
//!
//! [`driver`] drives the producer state machine, and explains how. This file is an application of it: it sends batches
//! while the producer has room for them, and handles the outcome of each.

mod args;
mod cluster;
#[path = "../../docs/blocking_driver.rs"]
mod driver;
mod failure;
#[path = "../readback/mod.rs"]
mod readback;
mod transactions;

use std::fmt;
use std::io::{self, Write};
use std::mem;
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::Parser;
use kafka_batch::machine::{CloseMode, Event, MachineConfig, MachineSendErrorKind, Versions};
use kafka_batch::protocol::Acks;
use kafka_batch::{BatchOptions, Delivery, Record, SealedBatch, TopicPartition};

use args::Args;
use cluster::Cluster;
use driver::BlockingProducer;
use failure::Failure;
use readback::ReadBack;
use transactions::Transaction;

fn main() -> ExitCode {
    let args = Args::parse();
    match publish(&args) {
        Ok(summary) => {
            print(format_args!("\n{summary}"));
            ExitCode::SUCCESS
        }
        Err(failure) => {
            print_error(format_args!("{failure}"));
            ExitCode::FAILURE
        }
    }
}

/// Publishes all records in batches, many of which are in flight at once. Returns a summary.
fn publish(args: &Args) -> Result<String, Failure> {
    let cluster = Cluster::find(args)?;
    let mut config = MachineConfig::new(cluster.addresses.clone());
    config.acks = args.acks;
    config.request_timeout = args.timeout;
    config.delivery_timeout = args.timeout;
    config.transactional_id = args.transactional_id.as_deref().map(Into::into);
    let producer = BlockingProducer::new(config);
    let mut application = Application { producer, deliveries: Vec::new(), transaction: Transaction::new(args) };
    application.init_transactions()?;
    let partitions = application.partitions(args)?;

    let values: Vec<String> = (0..args.count).map(|n| format!("reading {n}: {}.{} °C", n % 40, n % 10)).collect();
    let keys = ["sensor-1", "sensor-2", "sensor-3"];
    let mut records = values.iter().zip(keys.iter().cycle()).map(|(value, key)| Record::new(value).key(key)).peekable();

    let options = BatchOptions::default().batch_size(args.batch_size).compression(args.compression);
    let mut batch = options.build(SystemTime::now()).map_err(invalid_batch)?;
    let mut partition = partitions.cycle();
    while records.peek().is_some() {
        batch.set_now(SystemTime::now());
        let _ = batch.fill_from(&mut records).map_err(invalid_batch)?; // full, or out of records
        let next = batch.next_batch();
        let sealed = mem::replace(&mut batch, next).seal().map_err(invalid_batch)?;
        let count = sealed.record_count();
        application.begin()?;
        application.send(sealed, TopicPartition::new(&args.topic, partition.next().unwrap_or(0)))?;
        application.commit_if_full(count)?;
    }
    application.commit()?;
    let transactions = application.transaction.summary();
    let deliveries = application.finish()?;
    let (batches, count) = (deliveries.len(), deliveries.iter().map(Delivery::record_count).sum::<usize>());
    let read_back = read_back(args, &cluster, deliveries)?;
    Ok(format!("batches  {batches}\n{transactions}records  {count}, {read_back}"))
}

/// Returns the failure for batches that cannot be built with these arguments.
fn invalid_batch(error: impl fmt::Display) -> Failure {
    Failure::new(error, "give another --batch-size or --compression")
}

struct Application {
    producer: BlockingProducer,
    deliveries: Vec<Delivery>,
    transaction: Transaction,
}

impl Application {
    /// Far longer than the machine emits no event while a batch is in flight or a lookup is pending.
    const EVENT_TIMEOUT: Duration = Duration::from_secs(7_200);

    /// Looks up the topic, so that errors occur before anything is sent. Returns the partitions to send to.
    fn partitions(&mut self, args: &Args) -> Result<impl Iterator<Item = i32> + Clone + use<>, Failure> {
        self.producer.lookup_topic(&args.topic);
        let count = loop {
            match self.next_event()? {
                Some(Event::Topic { partitions: Ok(count), .. }) => break NonZeroU32::get(count) as i32,
                Some(Event::Topic { topic, partitions: Err(error) }) => {
                    let what = format!("topic {topic:?} cannot be published to: {error}");
                    return Err(Failure::new(
                        what,
                        "check that the brokers run and the topic exists, or choose others",
                    ));
                }
                _ => {}
            }
        };
        match args.partition {
            Some(asked) if asked >= count => {
                let what = format!("--partition {asked}: topic {} has {count} of them", args.topic);
                Err(Failure::new(what, format!("name one from 0 to {}", count - 1)))
            }
            Some(asked) => Ok(asked..asked + 1),
            None => Ok(0..count),
        }
    }

    /// Sends a batch. While the producer is full, handles the outcomes of earlier batches.
    fn send(&mut self, batch: SealedBatch, to: TopicPartition) -> Result<(), Failure> {
        let mut sent = self.producer.send(batch, to);
        while let Err(rejected) = sent {
            match rejected.kind {
                // If the transaction can only be aborted, the next events include that of a failed batch, which has the cause.
                MachineSendErrorKind::Full { .. } | MachineSendErrorKind::TransactionAborted => {}
                _ => {
                    self.abort();
                    return Err(Failure::new(rejected, "give a smaller --batch-size"));
                }
            }
            self.next_event()?;
            sent = self.producer.send(*rejected.batch, rejected.to);
        }
        Ok(())
    }

    /// Closes the producer, and waits until every batch is delivered.
    fn finish(mut self) -> Result<Vec<Delivery>, Failure> {
        self.producer.close(CloseMode::Graceful);
        while !matches!(self.next_event()?, Some(Event::Closed)) {}
        Ok(self.deliveries)
    }

    /// Returns the next event, after printing it. A failed batch ends the program without waiting for the others.
    fn next_event(&mut self) -> Result<Option<Event>, Failure> {
        let Some(event) = self.producer.next_event(Self::EVENT_TIMEOUT) else {
            return Err(Failure::new("the producer emits no more events", "none: this is a fault of this program"));
        };
        match event {
            Event::Delivered { id, delivery } => {
                print(format_args!("{id}: {}", place(&delivery)));
                self.deliveries.push(delivery);
                return Ok(None);
            }
            Event::Failed { id, error } => {
                self.abort();
                let delivered = self.deliveries.len();
                let what = format!("{id}: {error}\n  delivered before it: {delivered} batches");
                return Err(Failure::new(what, "check which records are in the topic, and publish the rest"));
            }
            Event::Ready { ref host, port, versions } => {
                print(format_args!("{host}:{port}: {}", spoken(&versions)));
            }
            Event::ConnectionError(ref error) => print_error(format_args!("{error}")),
            _ => {}
        }
        Ok(Some(event))
    }
}

// Errors of writing are ignored: publishing continues even if the output is a closed pipe.

fn print(text: fmt::Arguments<'_>) {
    let _ = writeln!(io::stdout(), "{text}");
}

fn print_error(text: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{text}");
}

fn spoken(versions: &Versions) -> String {
    let id = versions.init_producer_id.map_or("no producer ids".into(), |id| format!("InitProducerId v{id}"));
    format!("Produce v{}, which takes {}; Metadata v{}; {id}", versions.produce, versions.magic(), versions.metadata)
}

fn place(delivery: &Delivery) -> String {
    let (to, count) = (delivery.topic_partition(), delivery.record_count());
    match delivery.base_offset().zip(count.checked_sub(1).and_then(|last| delivery.offset(last))) {
        Some((first, last)) => format!("{count} records at offsets {first} to {last} of {to}"),
        None => format!("{count} records in {to}, at unknown offsets"),
    }
}

/// Reads every record back, unless the offsets are unknown.
fn read_back(args: &Args, cluster: &Cluster, mut deliveries: Vec<Delivery>) -> Result<String, Failure> {
    if args.acks == Acks::None {
        return Ok("not read back: with --acks 0 their offsets are unknown".to_owned());
    }
    let brokers = cluster.bootstrap_servers();
    let mut readback = ReadBack::new(cluster.embedded.as_ref(), &brokers, args.timeout)?;
    deliveries.sort_by_key(|delivery| (delivery.topic_partition().partition, delivery.base_offset()));
    for delivery in deliveries {
        readback.compare(delivery)?;
    }
    Ok(readback.result(&brokers, &args.topic))
}
