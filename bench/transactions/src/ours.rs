//! The measured programs with this library, each in a process of its own.

use std::error::Error;
use std::time::{Duration, Instant};

use kafka_batch::{Pending, Record, TokioProducer, TopicPartition};
use kafka_batch_bench_shared::median;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

use crate::{BATCHES_OF_1_MIB, PARTITIONS, RECORDS, SIZE, TOPIC, TRANSACTIONS, WARM_UP};

/// Returns the processor time of this process, in milliseconds.
fn processor_ms() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("it is always there");
    (usage.user_time().num_microseconds() + usage.system_time().num_microseconds()) as f64 / 1e3
}

fn runtime() -> Result<tokio::runtime::Runtime, Box<dyn Error>> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// Commits transactions, one after the other. Prints the processor time and the median time in ms, both for one transaction.
pub fn commit(servers: &str, id: &str) -> Result<(), Box<dyn Error>> {
    runtime()?.block_on(async {
        let builder = TokioProducer::builder().set("bootstrap.servers", servers).transactional_id(id);
        let mut producer = builder.build_transactional().await?;
        let value = vec![0; SIZE];
        let mut times = Vec::new();
        let mut processor = 0.0;
        for number in 0..WARM_UP + TRANSACTIONS {
            if number == WARM_UP {
                processor = processor_ms();
            }
            let begun = Instant::now();
            let transaction = producer.begin().await?;
            for partition in 0..PARTITIONS {
                let mut batch = transaction.batch();
                for _ in 0..RECORDS {
                    batch.extend([Record::new(&value)])?;
                }
                drop(transaction.send_batch(batch, TopicPartition::new(TOPIC, partition)).await?);
            }
            transaction.commit().await?;
            if number >= WARM_UP {
                times.push(begun.elapsed().as_secs_f64() * 1e3);
            }
        }
        let processor = (processor_ms() - processor) / f64::from(TRANSACTIONS);
        println!("{processor} {}", median(times).ok_or("no transactions")?);
        producer.close().await?;
        Ok(())
    })
}

/// Publishes for this time: in transactions of 1 MiB, or without transactions. Prints records a second.
pub fn publish(servers: &str, id: Option<&str>, time: Duration) -> Result<(), Box<dyn Error>> {
    runtime()?.block_on(async {
        let value = vec![0; SIZE];
        let builder = TokioProducer::builder().set("bootstrap.servers", servers);
        let warm_up = time / 4;
        let begun = Instant::now();
        let (mut records, mut from, mut until) = (0_u64, None, begun);
        // Counts from the end of the warm-up on, and without what is completed while the producer is closed.
        let mut count = |more: u64| {
            let now = Instant::now();
            if now - begun >= warm_up {
                match from {
                    None => from = Some(now),
                    Some(_) => (records, until) = (records + more, now),
                }
            }
            now - begun < warm_up + time
        };
        let of_batch = RECORDS as u64;
        match id {
            Some(id) => {
                let mut producer = builder.transactional_id(id).build_transactional().await?;
                loop {
                    let transaction = producer.begin().await?;
                    for number in 0..BATCHES_OF_1_MIB {
                        let mut batch = transaction.batch();
                        for _ in 0..RECORDS {
                            batch.extend([Record::new(&value)])?;
                        }
                        let to = TopicPartition::new(TOPIC, number as i32 % PARTITIONS);
                        drop(transaction.send_batch(batch, to).await?);
                    }
                    transaction.commit().await?;
                    if !count(of_batch * BATCHES_OF_1_MIB as u64) {
                        break;
                    }
                }
                producer.close().await?;
            }
            None => {
                let producer = builder.build()?;
                // As many batches in flight as a transaction has, twice: each is awaited when as many were sent after it.
                let mut pending = std::collections::VecDeque::<Pending>::new();
                for number in 0.. {
                    let mut batch = producer.batch();
                    for _ in 0..RECORDS {
                        batch.extend([Record::new(&value)])?;
                    }
                    pending
                        .push_back(producer.send_batch(batch, TopicPartition::new(TOPIC, number % PARTITIONS)).await?);
                    if pending.len() > 2 * BATCHES_OF_1_MIB {
                        pending.pop_front().ok_or("one is pending")?.await?;
                        if !count(of_batch) {
                            break;
                        }
                    }
                }
                for each in pending {
                    each.await?;
                }
                producer.close().await?;
            }
        }
        let seconds = (until - from.ok_or("too short")?).as_secs_f64();
        println!("{}", records as f64 / seconds);
        Ok(())
    })
}
