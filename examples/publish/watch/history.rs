//! What is drawn: the statistics of the producer, their differences in the last seconds, and what an observer of its batches sees.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use kafka_batch::Delivery;
use kafka_batch::machine::Stats;
use kafka_batch::observer::{BatchToSeal, Observer};

/// How many values are kept of each curve, and how many batches.
const KEPT: usize = 200;

/// The batches since the last picture.
pub(crate) struct Recent {
    /// In bytes.
    batch_size: usize,
    batches: Mutex<Batches>,
}

#[derive(Default)]
struct Batches {
    /// Bytes before compression, in percent of `batch.size`.
    fills: Vec<u64>,
    /// From sealing to the acknowledgement, in microseconds.
    latencies: Vec<u64>,
}

impl Recent {
    pub(crate) fn new(batch_size: usize) -> Self {
        Self { batch_size, batches: Mutex::default() }
    }

    fn update(&self, update: impl FnOnce(&mut Batches)) {
        update(&mut self.batches.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Observer for Recent {
    type Batch = Instant;

    fn before_seal(&self, batch: &BatchToSeal<'_>) -> Instant {
        let percent = batch.batch.size() * 100 / self.batch_size.max(1);
        self.update(|batches| batches.fills.push(percent as u64));
        Instant::now()
    }

    fn on_acknowledgement(&self, sealed: Instant, _: &Delivery) {
        let micros = sealed.elapsed().as_micros() as u64;
        self.update(|batches| batches.latencies.push(micros));
    }
}

pub(crate) struct History {
    recent: Arc<Recent>,
    pub(crate) topic: String,
    pub(crate) brokers: String,
    /// The last two snapshots.
    pub(crate) before: Stats,
    pub(crate) stats: Stats,
    /// The last batches, in percent of `batch.size`.
    pub(crate) fills: VecDeque<u64>,
    pub(crate) records_a_second: VecDeque<u64>,
    /// Sealed bytes.
    pub(crate) bytes_a_second: VecDeque<u64>,
    /// In microseconds.
    pub(crate) median_latency: VecDeque<u64>,
    pub(crate) highest_latency: VecDeque<u64>,
}

impl History {
    pub(crate) fn new(recent: Arc<Recent>, topic: String, brokers: String) -> Self {
        Self {
            recent,
            topic,
            brokers,
            before: Stats::default(),
            stats: Stats::default(),
            fills: VecDeque::new(),
            records_a_second: VecDeque::new(),
            bytes_a_second: VecDeque::new(),
            median_latency: VecDeque::new(),
            highest_latency: VecDeque::new(),
        }
    }

    /// Adds a snapshot, and the batches since the last one.
    pub(crate) fn add(&mut self, stats: Stats) {
        self.before = mem::replace(&mut self.stats, stats);
        let seconds = self.stats.at.since(self.before.at).as_secs_f64();
        let rate = |now: u64, before: u64| ((now.saturating_sub(before)) as f64 / seconds.max(0.001)) as u64;
        let (now, before) = (&self.stats.total, &self.before.total);
        keep(&mut self.records_a_second, [rate(now.record_ack_total, before.record_ack_total)]);
        keep(&mut self.bytes_a_second, [rate(now.byte_total, before.byte_total)]);
        let mut batches = Batches::default();
        self.recent.update(|recent| batches = mem::take(recent));
        keep(&mut self.fills, batches.fills);
        batches.latencies.sort_unstable();
        let latencies = batches.latencies;
        keep(&mut self.median_latency, latencies.get(latencies.len() / 2).copied());
        keep(&mut self.highest_latency, latencies.last().copied());
    }
}

fn keep(values: &mut VecDeque<u64>, new: impl IntoIterator<Item = u64>) {
    values.extend(new);
    values.drain(..values.len().saturating_sub(KEPT));
}
