//! A steady load of numbered records, and the outcomes that are reported for them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use kafka_batch::{BatchOptions, Compression, Fate, KafkaBatch, Record, TokioProducer, TopicPartition, Transport};
use tokio::runtime::Runtime;
use tokio::task::{JoinHandle, JoinSet};

use crate::audit::{Outcome, Sent};
use crate::plan::Plan;
use crate::progress::Progress;
use crate::random::Random;
use crate::{PARTITIONS, TOPIC, record};

/// The numbers of tasks that use the producer with the long timeout, and the other one.
const LONG_TIMEOUT: u16 = 4;
const SHORT_TIMEOUT: u16 = 2;

/// How often a task checks whether it has something to send.
const TICK: Duration = Duration::from_millis(10);

pub(crate) struct Load {
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
    producers: Vec<TokioProducer>,
}

#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) progress: Progress,
    outcomes: Mutex<Outcomes>,
    stop: AtomicBool,
}

/// The outcome of every batch.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    pub(crate) batches: Vec<Sent>,
    /// The reasons of failed batches, with counts.
    reasons: BTreeMap<String, u64>,
    /// Failed batches of the producer with the long timeout, which is longer than every election.
    pub(crate) failed_with_long_timeout: u64,
}

impl fmt::Display for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "batches: {}", self.batches.len())?;
        self.reasons.iter().try_for_each(|(reason, count)| write!(f, "\n    {count} failed: {reason}"))?;
        write!(f, "\n    {} of the producer with the long timeout failed", self.failed_with_long_timeout)
    }
}

/// The machine's defaults, with timeouts that are short compared with the run.
pub(crate) fn producer(servers: &str, seed: u64, settings: &[(&str, &str)]) -> TokioProducer {
    let builder = TokioProducer::builder()
        .set("bootstrap.servers", servers)
        .set("reconnect.backoff.max.ms", "200")
        .set("retry.backoff.max.ms", "200")
        .set("socket.connection.setup.timeout.ms", "2000")
        .seed(seed);
    settings.iter().fold(builder, |builder, (name, value)| builder.set(*name, *value)).build().unwrap()
}

impl Load {
    pub(crate) fn start(runtime: &Runtime, servers: &str, plan: &Plan) -> Self {
        let _runtime = runtime.enter();
        let long_timeout = [("request.timeout.ms", "3000"), ("delivery.timeout.ms", "120000")];
        let long_timeout = producer(servers, plan.seed, &long_timeout);
        let short_timeout = [("request.timeout.ms", "1000"), ("delivery.timeout.ms", "1500")];
        let short_timeout = producer(servers, plan.seed + 1, &short_timeout);
        // The first sender looks up the topic, for which only request.timeout.ms is allowed: brokers that have just
        // started may take longer on a slow machine. So the lookup is repeated, for a limited time.
        runtime.block_on(async {
            for _ in 0..20 {
                if long_timeout.partition_count(TOPIC).await.is_ok() {
                    break;
                }
            }
        });
        let shared = Arc::new(Shared::default());
        let rate = plan.rate as f64 / f64::from(LONG_TIMEOUT + SHORT_TIMEOUT);
        let task = |id| {
            let producer = if id < LONG_TIMEOUT { &long_timeout } else { &short_timeout };
            let random = Random::new(plan.seed, u64::from(id) + 1_000);
            tokio::spawn(offer(id, producer.clone(), Arc::clone(&shared), random, rate))
        };
        let tasks = (0..LONG_TIMEOUT + SHORT_TIMEOUT).map(task).collect();
        Self { shared, tasks, producers: vec![long_timeout, short_timeout] }
    }

    pub(crate) fn progress(&self) -> &Progress {
        &self.shared.progress
    }

    /// Stops offering records, and waits for the outcome of the last batch.
    pub(crate) fn stop(self, runtime: &Runtime) -> Outcomes {
        self.shared.stop.store(true, Ordering::Relaxed);
        runtime.block_on(async {
            for task in self.tasks {
                task.await.unwrap();
            }
            for producer in self.producers {
                producer.close().await.unwrap();
            }
        });
        std::mem::take(&mut *self.shared.outcomes())
    }
}

impl Shared {
    pub(crate) fn outcomes(&self) -> MutexGuard<'_, Outcomes> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn enter(&self, sent: Sent, failure: Option<String>) {
        self.progress.ended(sent.partition, sent.count, sent.outcome);
        let mut outcomes = self.outcomes();
        outcomes.batches.push(sent);
        if let Some(failure) = failure {
            let has_long_timeout = sent.task < LONG_TIMEOUT;
            let producer_kind = if has_long_timeout { "with the long timeout, " } else { "" };
            *outcomes.reasons.entry(format!("{producer_kind}{failure}")).or_default() += 1;
            outcomes.failed_with_long_timeout += u64::from(has_long_timeout);
        }
    }
}

/// Sends at this rate (records per second), in batches of various sizes, to all partitions.
async fn offer(task: u16, producer: TokioProducer, shared: Arc<Shared>, mut random: Random, rate: f64) {
    let mut ticks = tokio::time::interval(TICK);
    let (mut next, mut owed) = (0, 0.0);
    let mut on_their_way = JoinSet::new();
    while !shared.stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        owed += rate * TICK.as_secs_f64();
        while owed > 0.0 && !shared.stop.load(Ordering::Relaxed) {
            let count = if random.below(16) == 0 { 200 + random.below(400) } else { 1 + random.below(40) };
            owed -= count as f64;
            let partition = random.below(PARTITIONS as u64) as i32;
            let compression = if random.below(4) == 0 { Compression::Lz4 } else { Compression::None };
            let batch = batch(task, next, count, compression);
            let sent = Sent { task, partition, first: next, count, outcome: Outcome::NotWritten };
            next += count;
            match producer.send_batch(batch, TopicPartition::new(TOPIC, partition)).await {
                Err(error) => shared.enter(sent, Some(format!("rejected: {error}"))),
                Ok(pending) => {
                    let shared = Arc::clone(&shared);
                    on_their_way.spawn(async move {
                        let (outcome, failure) = outcome(pending.await);
                        shared.enter(Sent { outcome, ..sent }, failure);
                    });
                }
            }
        }
        while let Some(ended) = on_their_way.try_join_next() {
            ended.unwrap();
        }
    }
    while let Some(ended) = on_their_way.join_next().await {
        ended.unwrap();
    }
}

pub(crate) fn batch(task: u16, first: u64, count: u64, compression: Compression) -> KafkaBatch {
    let options = BatchOptions::default().batch_size(1 << 20).compression(compression);
    let mut batch = options.build(SystemTime::now()).unwrap();
    for number in first..first + count {
        assert!(!batch.append(Record::new(&record::value(task, number))).unwrap().is_full());
    }
    batch
}

/// Returns the outcome of a batch, and why it failed.
pub(crate) fn outcome(ended: Result<kafka_batch::Delivery, kafka_batch::DeliveryError>) -> (Outcome, Option<String>) {
    match ended {
        Ok(delivery) => (Outcome::Written(delivery.base_offset()), None),
        Err(error) => {
            let fate = error.fate().expect("a batch with one fate");
            let failure = Some(format!("{fate}: {}", error.reason));
            match fate {
                Fate::NotWritten => (Outcome::NotWritten, failure),
                Fate::Unknown => (Outcome::Unknown, failure),
                Fate::Written => (Outcome::Written(None), failure),
            }
        }
    }
}
