//! The clients: how each sends one message and awaits its offset.

use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kafka_batch::{Append, BatchOptions, Delivery, Record, TokioProducer, TopicPartition};
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rskafka::client::ClientBuilder;
use rskafka::client::partition::{Compression, UnknownTopicHandling};
use rskafka::client::producer::BatchProducerBuilder;
use rskafka::client::producer::aggregator::RecordAggregator;
use tokio::sync::{mpsc, oneshot};

use crate::job::Report;
use crate::meter::Meter;
use crate::one_message::{Job, Settings};

type Outcome = Result<Report, Box<dyn Error>>;

pub struct Client {
    pub name: &'static str,
    pub run: fn(&Job) -> Outcome,
    pub is_peer: bool,
    /// Settings to choose the best from.
    pub settings: &'static [Settings],
}

pub const OURS: &str = "kafka-batch, send";

const fn with(linger_ms: u64, batch_size: usize) -> Settings {
    Settings { linger_ms, batch_size }
}

const KIB: usize = 1 << 10;

pub const CLIENTS: [Client; 4] = [
    Client {
        name: OURS,
        run: ours,
        is_peer: false,
        settings: &[with(0, 16 * KIB), with(0, 64 * KIB), with(0, 256 * KIB), with(0, 1_000 * KIB)],
    },
    Client {
        name: "kafka-batch, by hand",
        run: by_hand,
        is_peer: false,
        settings: &[with(0, 16 * KIB), with(0, 256 * KIB)],
    },
    Client {
        name: "rdkafka, FutureProducer",
        run: rdkafka,
        is_peer: true,
        settings: &[with(0, 1_000 * KIB), with(1, 1_000 * KIB), with(5, 1_000 * KIB)],
    },
    Client {
        name: "rskafka 0.6.0, BatchProducer",
        run: rskafka,
        is_peer: true,
        settings: &[with(0, 64 * KIB), with(0, 1_000 * KIB), with(1, 64 * KIB), with(5, 1_000 * KIB)],
    },
];

/// One message in this many of a task is timed: reading the clock takes a part of what sending takes.
const SAMPLED: u64 = 16;

/// An error of one message.
type Failed = Box<dyn Error + Send + Sync>;

/// Runs the tasks, each of which sends one message after the other by `send`, until the time is over.
async fn run_tasks<F>(job: &Job, send: impl Fn() -> F + Clone + Send + 'static) -> Outcome
where
    F: Future<Output = Result<(), Failed>> + Send,
{
    for _ in 0..3 {
        send().await.map_err(|error| error.to_string())?; // connections, metadata, producer id
    }
    let mut meter = Meter::begin(job.seconds, 3);
    let (is_over, trips) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
    let tasks: Vec<_> = (0..job.tasks)
        .map(|task| {
            let (send, is_over, trips) = (send.clone(), Arc::clone(&is_over), Arc::clone(&trips));
            tokio::spawn(async move {
                let mut count = 0;
                while !is_over.load(Ordering::Relaxed) {
                    let begun = (count + task as u64).is_multiple_of(SAMPLED).then(Instant::now);
                    send().await?;
                    if let Some(begun) = begun {
                        trips.lock().expect("no panic").push(begun.elapsed());
                    }
                    count += 1;
                }
                Ok::<u64, Failed>(count)
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs_f64(job.seconds)).await;
    is_over.store(true, Ordering::Relaxed);
    let mut records = 0;
    for task in tasks {
        records += task.await?.map_err(|error| error.to_string())?;
    }
    meter.trips(std::mem::take(&mut *trips.lock().expect("no panic")));
    Ok(meter.stop(records))
}

/// All clients have one core, so their tasks have one thread.
fn on_one_thread<F: Future<Output = Outcome>>(work: impl FnOnce() -> F) -> Outcome {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work())
}

fn value(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut noise = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..len).map(|_| noise()).collect()
}

fn producer(job: &Job) -> Result<TokioProducer, Box<dyn Error>> {
    let Settings { linger_ms, batch_size } = job.settings;
    Ok(TokioProducer::builder()
        .set("bootstrap.servers", &job.brokers)
        .set("linger.ms", linger_ms.to_string())
        .batch_options(BatchOptions::default().batch_size(batch_size))
        .build()?)
}

fn ours(job: &Job) -> Outcome {
    on_one_thread(|| async {
        let (producer, topic, value): (_, Arc<str>, Arc<[u8]>) =
            (producer(job)?, job.topic.as_str().into(), value(job.value_len).into());
        let send = move || {
            let (producer, topic, value) = (producer.clone(), Arc::clone(&topic), Arc::clone(&value));
            async move {
                let delivery = producer.send((&*topic, 0), Record::new(&*value)).await?;
                assert!(delivery.offset.is_some());
                Ok(())
            }
        };
        run_tasks(job, send).await
    })
}

/// What a careful programmer would write over `send_batch`: a queue of messages; what is there goes into a batch, five of
/// which are in flight.
fn by_hand(job: &Job) -> Outcome {
    const IN_FLIGHT: usize = 5;
    type Message = (Arc<[u8]>, oneshot::Sender<i64>);
    on_one_thread(|| async {
        let producer = producer(job)?;
        let to = TopicPartition::new(&job.topic, 0);
        let value: Arc<[u8]> = value(job.value_len).into();
        let (sender, mut receiver) = mpsc::unbounded_channel::<Message>();
        tokio::spawn(async move {
            let mut in_flight = VecDeque::new();
            let mut first = receiver.recv().await;
            let answer = |delivery: Delivery, waiting: Vec<oneshot::Sender<i64>>| {
                for (position, sender) in waiting.into_iter().enumerate() {
                    let _ = sender.send(delivery.offset(position).expect("acknowledged"));
                }
            };
            loop {
                if let Some((value, sender)) = first.take() {
                    let mut batch = producer.batch();
                    assert!(matches!(batch.append(Record::new(&*value)), Ok(Append::Appended(_))));
                    let mut waiting = vec![sender];
                    while let Ok((value, sender)) = receiver.try_recv() {
                        if !matches!(batch.append(Record::new(&*value)), Ok(Append::Appended(_))) {
                            first = Some((value, sender));
                            break;
                        }
                        waiting.push(sender);
                    }
                    let pending = producer.send_batch(batch, to.clone()).await.expect("it is accepted");
                    in_flight.push_back((pending, waiting));
                }
                if in_flight.len() >= IN_FLIGHT {
                    let (pending, waiting) = in_flight.pop_front().expect("it was sent");
                    answer(pending.await.expect("it is delivered"), waiting);
                    continue;
                }
                if first.is_none() {
                    match in_flight.front_mut() {
                        None => match receiver.recv().await {
                            Some(message) => first = Some(message),
                            None => return,
                        },
                        Some((pending, _)) => tokio::select! {
                            biased;
                            delivery = pending => {
                                let (_, waiting) = in_flight.pop_front().expect("it was sent");
                                answer(delivery.expect("it is delivered"), waiting);
                            }
                            message = receiver.recv() => match message {
                                Some(message) => first = Some(message),
                                None => return,
                            },
                        },
                    }
                }
            }
        });
        let send = move || {
            let (sender, value) = (sender.clone(), Arc::clone(&value));
            async move {
                let (answer, offset) = oneshot::channel();
                sender.send((value, answer)).map_err(|_| "the queue is closed")?;
                offset.await?;
                Ok(())
            }
        };
        run_tasks(job, send).await
    })
}

fn rdkafka(job: &Job) -> Outcome {
    let mut config = ClientConfig::new();
    for (name, value) in [
        ("bootstrap.servers", job.brokers.clone()),
        ("enable.idempotence", "true".into()),
        ("batch.size", job.settings.batch_size.to_string()),
        ("message.max.bytes", "1048588".into()),
        ("batch.num.messages", "1000000".into()),
        ("linger.ms", job.settings.linger_ms.to_string()),
        ("queue.buffering.max.messages", "1000000".into()),
        ("queue.buffering.max.kbytes", "262144".into()),
        ("socket.nagle.disable", "true".into()),
    ] {
        config.set(name, value);
    }
    on_one_thread(|| async {
        let producer: FutureProducer = config.create()?;
        let (topic, value): (Arc<str>, Arc<[u8]>) = (job.topic.as_str().into(), value(job.value_len).into());
        let send = move || {
            let (producer, topic, value) = (producer.clone(), Arc::clone(&topic), Arc::clone(&value));
            async move {
                let record = FutureRecord::<(), [u8]>::to(&topic).payload(&value).partition(0);
                producer.send(record, Duration::from_secs(60)).await.map_err(|(error, _)| error)?;
                Ok(())
            }
        };
        run_tasks(job, send).await
    })
}

fn rskafka(job: &Job) -> Outcome {
    on_one_thread(|| async {
        let client = ClientBuilder::new(vec![job.brokers.clone()]).build().await?;
        let partition = client.partition_client(&job.topic, 0, UnknownTopicHandling::Retry).await?;
        let Settings { linger_ms, batch_size } = job.settings;
        let producer = BatchProducerBuilder::new(Arc::new(partition))
            .with_compression(Compression::NoCompression)
            .with_linger(Duration::from_millis(linger_ms))
            .build(RecordAggregator::new(batch_size));
        let (producer, value): (_, Arc<[u8]>) = (Arc::new(producer), value(job.value_len).into());
        let send = move || {
            let (producer, value) = (Arc::clone(&producer), Arc::clone(&value));
            async move {
                let headers = BTreeMap::new();
                let timestamp = chrono::Utc::now();
                let record = rskafka::record::Record { key: None, value: Some(value.to_vec()), headers, timestamp };
                producer.produce(record).await?;
                Ok(())
            }
        };
        run_tasks(job, send).await
    })
}
