//! Publishes batches with nothing but `std::net` and threads that block, reads them back, and compares.
//!
//! ```text
//! cargo run --example blocking
//! cargo run --example blocking -- --brokers localhost:9092 --topic readings --compression gzip --count 100000
//! ```
//!
//! [`driver`] drives the machine, and explains how that is done. This file is an application that uses it:
//! it hands batches over while there is room for them, and listens to what became of each.

mod args;
mod cluster;
mod driver;
mod failure;
#[path = "../publish/readback.rs"]
mod readback;

use std::fmt;
use std::io::{self, Write};
use std::mem;
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::Parser;
use kafka_batch::machine::{CloseMode, Event, ProducerConfig, SendErrorKind, Versions};
use kafka_batch::protocol::Acks;
use kafka_batch::{BatchOptions, Delivery, Record, SealedBatch, TopicPartition};

use args::Args;
use cluster::Cluster;
use driver::BlockingProducer;
use failure::Failure;
use readback::ReadBack;

fn main() -> ExitCode {
    let args = Args::parse();
    match publish(&args) {
        Ok(summary) => {
            say(format_args!("\n{summary}"));
            ExitCode::SUCCESS
        }
        Err(failure) => {
            complain(format_args!("{failure}"));
            ExitCode::FAILURE
        }
    }
}

/// Publishes all records, a batch at a time; many batches are on their way at once. Answers with a summary.
fn publish(args: &Args) -> Result<String, Failure> {
    let cluster = Cluster::find(args)?;
    let config = ProducerConfig {
        acks: args.acks,
        request_timeout: args.timeout,
        delivery_timeout: args.timeout,
        ..ProducerConfig::new(cluster.addresses.clone())
    };
    let mut application = Application { producer: BlockingProducer::new(config), deliveries: Vec::new() };
    let partitions = application.partitions(args)?;

    let values: Vec<String> = (0..args.count).map(|n| format!("reading {n}: {}.{} °C", n % 40, n % 10)).collect();
    let keys = ["sensor-1", "sensor-2", "sensor-3"];
    let mut records = values.iter().zip(keys.iter().cycle()).map(|(value, key)| Record::new(value).key(key)).peekable();

    let options = BatchOptions::default().batch_size(args.batch_size).compression(args.compression);
    let mut batch = options.build(SystemTime::now()).map_err(unfit)?;
    let mut partition = partitions.cycle();
    while records.peek().is_some() {
        batch.set_now(SystemTime::now());
        let _ = batch.fill_from(&mut records).map_err(unfit)?; // full, or those were the last
        let next = batch.next_batch();
        let sealed = mem::replace(&mut batch, next).seal().map_err(unfit)?;
        application.send(sealed, TopicPartition::new(&args.topic, partition.next().unwrap_or(0)))?;
    }
    let deliveries = application.finish()?;
    let (batches, count) = (deliveries.len(), deliveries.iter().map(Delivery::record_count).sum::<usize>());
    let read_back = read_back(args, &cluster, deliveries)?;
    Ok(format!("batches  {batches}\nrecords  {count}, {read_back}"))
}

/// Batches cannot be made like this.
fn unfit(error: impl fmt::Display) -> Failure {
    Failure::new(error, "give another --batch-size or --compression")
}

struct Application {
    producer: BlockingProducer,
    deliveries: Vec<Delivery>,
}

impl Application {
    /// Far longer than the machine keeps silent while anything is on its way.
    const PATIENCE: Duration = Duration::from_secs(7_200);

    /// Sees that there is somebody to send to, before anything is sent. Answers with the partitions to send to.
    fn partitions(&mut self, args: &Args) -> Result<impl Iterator<Item = i32> + Clone + use<>, Failure> {
        self.producer.lookup_topic(&args.topic);
        let count = loop {
            match self.hear()? {
                Some(Event::Topic { partitions: Ok(count), .. }) => break NonZeroU32::get(count) as i32,
                Some(Event::Topic { topic, partitions: Err(error) }) => {
                    let what = format!("topic {topic:?} cannot be published to: {error}");
                    return Err(Failure::new(what, "see that the brokers run and the topic is there, or name others"));
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

    /// Hands a batch over; while there is no room for it, listens what becomes of those before it.
    fn send(&mut self, batch: SealedBatch, to: TopicPartition) -> Result<(), Failure> {
        let mut sent = self.producer.send(batch, to);
        while let Err(refused) = sent {
            if !matches!(refused.reason, SendErrorKind::Full { .. }) {
                return Err(Failure::new(refused, "give a smaller --batch-size"));
            }
            self.hear()?;
            sent = self.producer.send(*refused.batch, refused.to);
        }
        Ok(())
    }

    /// Sees everything through.
    fn finish(mut self) -> Result<Vec<Delivery>, Failure> {
        self.producer.close(CloseMode::Graceful);
        while !matches!(self.hear()?, Some(Event::Closed)) {}
        Ok(self.deliveries)
    }

    /// The next event, reported on screen. A batch that failed ends the program: the others are not waited for.
    fn hear(&mut self) -> Result<Option<Event>, Failure> {
        let Some(event) = self.producer.next_event(Self::PATIENCE) else {
            return Err(Failure::new("nothing happens any more", "none: this is a fault of this program"));
        };
        match event {
            Event::Delivered { batch, delivery } => {
                say(format_args!("{batch}: {}", place(&delivery)));
                self.deliveries.push(delivery);
                return Ok(None);
            }
            Event::Failed { batch, error } => {
                let delivered = self.deliveries.len();
                let what = format!("{batch}: {error}\n  delivered before it: {delivered} batches");
                return Err(Failure::new(what, "see what is in the topic, and publish the rest"));
            }
            Event::Ready { ref host, port, versions } => {
                say(format_args!("{host}:{port}: {}", spoken(&versions)));
            }
            Event::ConnectionErrorKind(ref kind) => complain(format_args!("{kind}")),
            _ => {}
        }
        Ok(Some(event))
    }
}

// Whether anybody reads it changes nothing about the publishing: so a closed pipe is no reason to stop.

fn say(text: fmt::Arguments<'_>) {
    let _ = writeln!(io::stdout(), "{text}");
}

fn complain(text: fmt::Arguments<'_>) {
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
        None => format!("{count} records in {to}, and nobody says where"),
    }
}

/// Reads every record back with another client, where it is known at which offset it is.
fn read_back(args: &Args, cluster: &Cluster, mut deliveries: Vec<Delivery>) -> Result<&'static str, Failure> {
    if args.acks == Acks::None {
        return Ok("not read back, for with --acks 0 nobody says where they are");
    }
    let mut readback = ReadBack::new(&cluster.bootstrap_servers(), args.timeout)?;
    deliveries.sort_by_key(|delivery| (delivery.topic_partition().partition, delivery.base_offset()));
    for delivery in deliveries {
        readback.compare(delivery)?;
    }
    Ok("all read back as they were published")
}
