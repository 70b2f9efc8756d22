//! The measured programs with this library, each in a process of its own. They do and print the same as `java/Transactions.java`.

use std::collections::VecDeque;
use std::error::Error;
use std::time::Instant;

use kafka_batch::transaction::{CommitError, Transaction, TransactionalProducer};
use kafka_batch::{KafkaBatch, Pending, Record, TokioProducer, TopicPartition};
use kafka_batch_bench_shared::median;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

use crate::{Load, PARTITIONS, RECORDS, SIZE};

/// Returns the processor time of this process, in milliseconds.
fn processor_ms() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("it is always there");
    (usage.user_time().num_microseconds() + usage.system_time().num_microseconds()) as f64 / 1e3
}

pub fn runtime() -> Result<tokio::runtime::Runtime, Box<dyn Error>> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// Where a program publishes.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub servers: &'a str,
    pub topic: &'a str,
    pub id: &'a str,
}

/// A producer of transactions that repeats those that fail.
pub struct Repeating<'a> {
    place: Place<'a>,
    producer: TransactionalProducer,
    value: Vec<u8>,
    aborted: u32,
    replaced: u32,
}

impl<'a> Repeating<'a> {
    async fn new(place: Place<'a>) -> Result<Self, Box<dyn Error>> {
        let producer = Self::producer(place).await?;
        Ok(Self { place, producer, value: vec![0; SIZE], aborted: 0, replaced: 0 })
    }

    async fn producer(place: Place<'_>) -> Result<TransactionalProducer, Box<dyn Error>> {
        let builder = TokioProducer::builder().set("bootstrap.servers", place.servers).transactional_id(place.id);
        Ok(builder.build_transactional().await?)
    }

    /// Commits a transaction of so many batches. Repeats it until it is committed.
    async fn transaction(&mut self, batches: usize) -> Result<(), Box<dyn Error>> {
        loop {
            let transaction = self.producer.begin().await?;
            fill(&transaction, self.place.topic, batches, &self.value).await?;
            match transaction.commit().await {
                Ok(()) => return Ok(()),
                Err(CommitError::Aborted(cause)) => {
                    eprintln!("kafka-batch: aborted: {cause}");
                    self.aborted += 1;
                }
                Err(error) => {
                    eprintln!("kafka-batch: {error}");
                    self.producer = Self::producer(self.place).await?;
                    self.replaced += 1;
                }
            }
        }
    }

    async fn close(self) -> Result<(), Box<dyn Error>> {
        self.producer.close().await?;
        println!("failures {} {}", self.aborted, self.replaced);
        Ok(())
    }
}

fn filled(mut batch: KafkaBatch, value: &[u8]) -> Result<KafkaBatch, Box<dyn Error>> {
    for _ in 0..RECORDS {
        batch.extend([Record::new(value)])?;
    }
    Ok(batch)
}

/// Sends so many batches, one partition after the other.
pub async fn fill(
    transaction: &Transaction<'_>,
    topic: &str,
    batches: usize,
    value: &[u8],
) -> Result<(), Box<dyn Error>> {
    for number in 0..batches {
        let batch = filled(transaction.batch(), value)?;
        let to = TopicPartition::new(topic, number as i32 % PARTITIONS);
        drop(transaction.send_batch(batch, to).await?); // its outcome is part of the commit
    }
    Ok(())
}

/// Commits transactions of a batch for each partition, one after the other.
pub fn commit(place: Place<'_>, warm_up: usize, transactions: usize) -> Result<(), Box<dyn Error>> {
    runtime()?.block_on(async {
        let mut producer = Repeating::new(place).await?;
        let mut times = Vec::new();
        let mut processor = 0.0;
        for number in 0..warm_up + transactions {
            if number == warm_up {
                processor = processor_ms();
            }
            let begun = Instant::now();
            producer.transaction(PARTITIONS as usize).await?;
            if number >= warm_up {
                times.push(begun.elapsed().as_secs_f64() * 1e3);
            }
        }
        let processor = (processor_ms() - processor) / transactions as f64;
        let mean = times.iter().sum::<f64>() / transactions as f64;
        println!("{processor} {} {mean}", median(times).ok_or("no transactions")?);
        producer.close().await
    })
}

/// Publishes batches without transactions, so many at a time.
pub struct Window<'a> {
    producer: &'a TokioProducer,
    topic: &'a str,
    value: &'a [u8],
    most: usize,
    pending: VecDeque<Pending>,
    number: i32,
}

impl<'a> Window<'a> {
    pub fn new(producer: &'a TokioProducer, topic: &'a str, most: usize, value: &'a [u8]) -> Self {
        Self { producer, topic, value, most, pending: VecDeque::new(), number: 0 }
    }

    /// Sends a batch to the next partition. If as many are in flight as may be, awaits the oldest.
    pub async fn publish(&mut self) -> Result<(), Box<dyn Error>> {
        let batch = filled(self.producer.batch(), self.value)?;
        let to = TopicPartition::new(self.topic, self.number % PARTITIONS);
        self.number += 1;
        self.pending.push_back(self.producer.send_batch(batch, to).await?);
        if self.pending.len() > self.most {
            self.pending.pop_front().ok_or("one is pending")?.await?;
        }
        Ok(())
    }

    /// Awaits all that are in flight.
    pub async fn finish(&mut self) -> Result<(), Box<dyn Error>> {
        while let Some(each) = self.pending.pop_front() {
            each.await?;
        }
        Ok(())
    }
}

/// Publishes in turns: with an idempotent producer, with the same and `flush`, and in transactions.
pub fn stream(place: Place<'_>, Load { batches, turns, time }: Load) -> Result<(), Box<dyn Error>> {
    runtime()?.block_on(async {
        let idempotent = TokioProducer::builder().set("bootstrap.servers", place.servers).build()?;
        let mut producer = Repeating::new(place).await?;
        let value = vec![0; SIZE];
        // As many in flight as two transactions have.
        let mut window = Window::new(&idempotent, place.topic, 2 * batches, &value);
        let rate = |steps: usize, begun: Instant| (steps * batches * RECORDS) as f64 / begun.elapsed().as_secs_f64();
        for _ in 0..turns {
            let mut rates = [0.0; 3];
            for (flushes, result) in [false, true].into_iter().zip(&mut rates) {
                let (begun, mut steps) = (Instant::now(), 0);
                while begun.elapsed() < time {
                    for _ in 0..batches {
                        window.publish().await?;
                    }
                    if flushes {
                        window.finish().await?;
                    }
                    steps += 1;
                }
                window.finish().await?;
                *result = rate(steps, begun);
            }
            let (begun, mut steps) = (Instant::now(), 0);
            while begun.elapsed() < time {
                producer.transaction(batches).await?;
                steps += 1;
            }
            rates[2] = rate(steps, begun);
            let [pipelined, flushed, in_transactions] = rates;
            println!("{pipelined} {flushed} {in_transactions}");
        }
        idempotent.close().await?;
        producer.close().await
    })
}
