//! The whole cluster is down while the application continues to publish: sending waits, and memory stays bounded.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::Poll;

use kafka_batch::{Compression, TokioProducer, TopicPartition, Transport};
use kafka_batch_brokers::Cluster;
use tokio::runtime::Runtime;

use crate::audit::{Outcome, Sent};
use crate::load::{Outcomes, batch, outcome, producer};
use crate::memory;
use crate::progress::look_until;
use crate::proxy::Proxy;
use crate::view::View;
use crate::{PARTITIONS, TOPIC};

/// `buffer.memory`.
const BUFFER: usize = 16 << 20;

/// Allowed besides the buffer: the batch that each publisher waits with; a mebibyte for each batch that is
/// being filled; a fifth of the buffer for the capacity of its batches beyond their size.
const SLACK: usize = 8 << 20;

const PUBLISHERS: u16 = 30;

/// Task numbers from here on; those of the load are smaller.
const FIRST_TASK: u16 = 1_000;

/// Records per batch: about 64 KiB.
const RECORDS: u64 = 700;

/// The number of batches that each publisher tries to send and gives up.
const GIVEN_UP: usize = 40;

/// The number of connection attempts during the outage.
const ATTEMPTS: u64 = 30;

#[derive(Debug)]
pub(crate) struct Outage {
    offered: usize,
    accepted: usize,
    /// The maximum growth of the heap, in bytes.
    heap: usize,
    /// The growth of resident memory when all publishers waited.
    resident: usize,
    delivered: usize,
    batches: usize,
}

impl Outage {
    pub(crate) const fn is_bounded(&self) -> bool {
        let bound = BUFFER + SLACK;
        self.accepted <= BUFFER
            && self.offered > 4 * BUFFER
            && self.heap <= bound
            && self.resident <= bound
            && self.delivered == self.batches
    }
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: usize| bytes as f64 / f64::from(1 << 20);
        let (offered, accepted, heap, resident) =
            (mib(self.offered), mib(self.accepted), mib(self.heap), mib(self.resident));
        writeln!(
            f,
            "outage: {offered:.1} MiB offered, {accepted:.1} MiB accepted of buffer.memory={:.1} MiB",
            mib(BUFFER)
        )?;
        let given_up = GIVEN_UP as u64 * u64::from(PUBLISHERS) * RECORDS;
        writeln!(f, "    given up before they were accepted, so not written: {given_up} records")?;
        writeln!(
            f,
            "    memory grew by {heap:.1} MiB of heap, {resident:.1} MiB resident; limit {:.1}",
            mib(BUFFER + SLACK)
        )?;
        write!(f, "    delivered afterwards: {} batches of {}", self.delivered, self.batches)
    }
}

#[derive(Default)]
struct Meter {
    /// Bytes.
    offered: AtomicUsize,
    accepted: AtomicUsize,
    /// The number of publishers that wait for room.
    waiting: AtomicUsize,
}

pub(crate) fn endure(
    runtime: &Runtime,
    cluster: &mut Cluster,
    view: &View,
    servers: &str,
    proxies: &[Proxy],
    outcomes: &mut Outcomes,
) -> Outage {
    view.wait_until_whole();
    let size = BUFFER.to_string();
    let settings = [("buffer.memory", &*size), ("request.timeout.ms", "3000"), ("delivery.timeout.ms", "900000")];
    let guard = runtime.enter();
    let producer = producer(servers, 3, &settings);
    drop(guard);
    runtime.block_on(producer.partition_count(TOPIC)).unwrap();

    (0..cluster.node_count()).for_each(|node| cluster.kill(node));
    let (live, resident) = (memory::live(), memory::resident());
    memory::forget_peak();
    let turned_away = || proxies.iter().map(|proxy| proxy.tally().turned_away).sum::<u64>();
    let before = turned_away();
    let meter = Arc::new(Meter::default());
    let publishers: Vec<_> = (FIRST_TASK..FIRST_TASK + PUBLISHERS)
        .map(|task| runtime.spawn(publish(task, producer.clone(), Arc::clone(&meter))))
        .collect();
    look_until("all publishers to wait", || {
        let waiting = meter.waiting.load(Relaxed);
        if waiting == usize::from(PUBLISHERS) { Ok(()) } else { Err(format!("{waiting} wait")) }
    });
    look_until("attempts to connect", || {
        let attempts = turned_away() - before;
        if attempts >= ATTEMPTS { Ok(()) } else { Err(format!("{attempts} attempts")) }
    });
    assert_eq!(meter.waiting.load(Relaxed), usize::from(PUBLISHERS), "a batch was delivered during the outage");
    let accepted = meter.accepted.load(Relaxed);
    let (heap, resident) = (memory::peak() - live, memory::resident().saturating_sub(resident));

    cluster.restart_all().unwrap();
    view.wait_until_whole();
    let sent: Vec<Sent> = runtime.block_on(async {
        let mut sent = Vec::new();
        for publisher in publishers {
            sent.extend(publisher.await.unwrap());
        }
        producer.close().await.unwrap();
        sent
    });
    let delivered = sent.iter().filter(|sent| matches!(sent.outcome, Outcome::Written(_))).count();
    let batches = sent.len() - GIVEN_UP * usize::from(PUBLISHERS);
    outcomes.batches.extend(sent);
    Outage { offered: meter.offered.load(Relaxed), accepted, heap, resident, delivered, batches }
}

/// Sends until there is no room, then gives up some batches, then waits with one.
async fn publish(task: u16, producer: TokioProducer, meter: Arc<Meter>) -> Vec<Sent> {
    let (mut next, mut given_up) = (0, 0);
    let (mut pending, mut ended) = (Vec::new(), Vec::new());
    loop {
        let batch = batch(task, next, RECORDS, Compression::None);
        let size = batch.size();
        let partition = (next / RECORDS % PARTITIONS as u64) as i32;
        let sent = Sent { task, partition, first: next, count: RECORDS, outcome: Outcome::NotWritten };
        next += RECORDS;
        meter.offered.fetch_add(size, Relaxed);
        let mut sending = pin!(producer.send_batch(batch, TopicPartition::new(TOPIC, partition)));
        match poll_fn(|context| Poll::Ready(sending.as_mut().poll(context))).await {
            Poll::Ready(accepted) => {
                meter.accepted.fetch_add(size, Relaxed);
                pending.push((sent, accepted.unwrap()));
            }
            Poll::Pending if given_up < GIVEN_UP => {
                given_up += 1;
                ended.push(sent); // dropped, so it is not sent
            }
            Poll::Pending => {
                meter.waiting.fetch_add(1, Relaxed);
                let accepted = sending.await.unwrap();
                meter.waiting.fetch_sub(1, Relaxed);
                pending.push((sent, accepted));
                break;
            }
        }
    }
    for (sent, pending) in pending {
        let (outcome, _) = outcome(pending.await);
        ended.push(Sent { outcome, ..sent });
    }
    ended
}
