//! The program of a process: it copies the records of the input to the output, in transactions, until its standard input ends.
//!
//! It prints a line for each transaction: the number of records, and `committed` or the error.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kafka_batch::transaction::{CommitError, GroupMetadata};
use kafka_batch::{Record, TokioProducer, TopicPartition};
use kafka_batch_transport::TransactionalProducer;
use kafka_batch_witnesses::rdkafka::consumer::{BaseConsumer, Consumer as _};
use kafka_batch_witnesses::rdkafka::{ClientConfig, Message as _, Offset, bindings};

use crate::{GROUP, INPUT, OUTPUT, PARTITIONS};

/// The most records of a transaction, and the time to wait for them.
const MOST: usize = 600;
const LINGER: Duration = Duration::from_millis(20);

/// Why a process builds a new producer.
struct Rebuild;

pub(crate) fn run(servers: &str, transactional_id: &str) {
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new()); // an error is an end, too
        stopped.store(true, Ordering::Relaxed);
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let consumer = consumer(servers);
        consumer.subscribe(&[INPUT]).unwrap();
        while !stop.load(Ordering::Relaxed) {
            let builder = TokioProducer::builder()
                .set("bootstrap.servers", servers)
                .set("reconnect.backoff.max.ms", "200")
                .set("retry.backoff.max.ms", "200")
                .set("socket.connection.setup.timeout.ms", "2000")
                .set("request.timeout.ms", "3000")
                .set("transaction.timeout.ms", "20000")
                .transactional_id(transactional_id);
            let mut producer = match builder.build_transactional().await {
                Ok(producer) => producer,
                Err(error) => {
                    println!("0 not built: {error:?}");
                    continue;
                }
            };
            // What was read and not committed is read again.
            rewind(&consumer);
            while !stop.load(Ordering::Relaxed) {
                if transaction(&mut producer, &consumer).await.is_err() {
                    break;
                }
            }
            drop(producer.close().await);
        }
    });
}

fn consumer(servers: &str) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("group.id", GROUP)
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed")
        .set("session.timeout.ms", "6000")
        .set("heartbeat.interval.ms", "1000")
        .set("reconnect.backoff.max.ms", "200")
        .set("socket.timeout.ms", "3000")
        .set("queued.min.messages", "5000")
        .set("check.crcs", "true")
        .create()
        .unwrap()
}

/// Returns the consumer as a member of its group, in its generation; `None` if it is none at the moment.
fn membership(consumer: &BaseConsumer) -> Option<GroupMetadata> {
    // SAFETY: the pointers are librdkafka's, and the metadata is destroyed once, after its last use.
    unsafe {
        let metadata = bindings::rd_kafka_consumer_group_metadata(consumer.client().native_ptr());
        if metadata.is_null() {
            return None;
        }
        let generation = bindings::rd_kafka_consumer_group_metadata_generation_id(metadata);
        let member = bindings::rd_kafka_consumer_group_metadata_member_id(metadata);
        let member = std::ffi::CStr::from_ptr(member).to_str().unwrap_or_default().to_owned();
        bindings::rd_kafka_consumer_group_metadata_destroy(metadata);
        (generation >= 0 && !member.is_empty()).then(|| GroupMetadata::member(GROUP, generation, member))
    }
}

/// Sets the position of each assigned partition to the committed offset.
fn rewind(consumer: &BaseConsumer) {
    let Ok(assigned) = consumer.assignment() else { return };
    if assigned.count() == 0 {
        return;
    }
    loop {
        // Repeated by librdkafka while an offset is of an open transaction.
        let Ok(committed) = consumer.committed_offsets(assigned.clone(), Duration::from_secs(10)) else { continue };
        let mut is_done = true;
        for element in committed.elements() {
            let offset = match element.offset() {
                Offset::Offset(offset) => Offset::Offset(offset),
                _ => Offset::Beginning,
            };
            is_done &= consumer.seek(INPUT, element.partition(), offset, Duration::from_secs(10)).is_ok();
        }
        // A partition that was revoked meanwhile cannot be sought; it begins at the committed offset when it is assigned again.
        let is_same = consumer.assignment().is_ok_and(|now| now == assigned);
        if is_done || !is_same {
            return;
        }
    }
}

/// Reads some records, and copies them in a transaction.
async fn transaction(producer: &mut TransactionalProducer, consumer: &BaseConsumer) -> Result<(), Rebuild> {
    // Before the first record is read: if the group has a new generation then, this one is refused.
    let group = membership(consumer);
    let mut values: BTreeMap<i32, Vec<Vec<u8>>> = BTreeMap::new();
    let mut next: BTreeMap<i32, i64> = BTreeMap::new();
    let (mut count, begun) = (0, Instant::now());
    while count < MOST && begun.elapsed() < LINGER {
        let Some(Ok(message)) = consumer.poll(Duration::from_millis(5)) else { continue };
        let value = message.payload().unwrap_or_default().to_vec();
        let to = value.iter().fold(0_i32, |sum, byte| sum.wrapping_mul(31).wrapping_add(i32::from(*byte)));
        values.entry(to.rem_euclid(PARTITIONS)).or_default().push(value);
        next.insert(message.partition(), message.offset() + 1);
        count += 1;
    }
    if count == 0 {
        return Ok(());
    }
    let Some(group) = group else {
        rewind(consumer);
        return Ok(());
    };
    let transaction = match producer.begin().await {
        Ok(transaction) => transaction,
        Err(error) => {
            println!("{count} begin: {error:?}");
            return Err(Rebuild);
        }
    };
    for (partition, values) in values {
        let mut batch = transaction.batch();
        for value in values {
            assert!(!batch.append(Record::new(&value)).unwrap().is_full());
        }
        // A batch that is not accepted is not in the transaction, which could be committed without it.
        if let Err(refused) = transaction.send_batch(batch, TopicPartition::new(OUTPUT, partition)).await {
            println!("{count} not sent: {}", without_numbers(&refused.to_string()));
            let aborted = transaction.abort().await;
            rewind(consumer);
            return aborted.map_err(|_| Rebuild);
        }
    }
    let offsets = next.iter().map(|(partition, offset)| (TopicPartition::new(INPUT, *partition), *offset));
    let sent = transaction.send_offsets(&group, offsets).await;
    let outcome = transaction.commit().await;
    assert!(sent.is_ok() || outcome.is_err(), "a transaction whose offsets were refused is committed");
    match outcome {
        Ok(()) => {
            println!("{count} committed");
            Ok(())
        }
        Err(error) => {
            println!("{count} {}", name(&error));
            if matches!(error, CommitError::Aborted(_)) {
                rewind(consumer);
                return Ok(());
            }
            Err(Rebuild)
        }
    }
}

/// Returns the name of an error, and its text without numbers, so that errors that are alike are counted together.
fn name(error: &CommitError) -> String {
    let name = match error {
        CommitError::Aborted(_) => "aborted",
        CommitError::Unknown(_) => "unknown",
        CommitError::Fenced(_) => "fenced",
        _ => "fatal",
    };
    format!("{name}: {}", without_numbers(&error.to_string()))
}

fn without_numbers(text: &str) -> String {
    text.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect()
}
