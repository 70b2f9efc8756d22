//! The transports under test: how each is created, and its runtime.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "__witnesses")]
use kafka_batch::{AsyncStdProducer, RdkafkaProducer};
use kafka_batch::{BatchOptions, TokioProducer, Transport};
#[cfg(feature = "__witnesses")]
use kafka_batch_witnesses::async_std;

#[cfg(feature = "__witnesses")]
use crate::futures;
use crate::recorder::Recorder;

pub(crate) type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The settings that a case needs.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) servers: String,
    pub(crate) options: BatchOptions,
    /// The limit of `buffer.memory`, in bytes, and for librdkafka the same in kibibytes.
    pub(crate) buffer: usize,
    /// The time limits for accepted batches and for topic lookups.
    pub(crate) patience: Duration,
    pub(crate) acks: &'static str,
    /// `linger.ms` of single messages. Without effect over librdkafka.
    pub(crate) linger: &'static str,
    pub(crate) seed: u64,
    /// What observes the batches, and adds a header to messages.
    pub(crate) hooks: Option<Arc<Recorder>>,
}

/// A transport under test.
pub(crate) trait Subject: Sized + 'static {
    type Producer: Transport<Pending: Send + Unpin + Debug + 'static> + Clone + Debug + Send + 'static;

    fn create(wanted: Wanted) -> Self::Producer;

    fn block_on<T>(future: impl Future<Output = T>) -> T;

    fn spawn<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> Boxed<T>;

    /// The timer of its runtime.
    fn sleep(time: Duration) -> Boxed<()>;
}

/// A builder with the functions that it is to call. The builders have no common type.
macro_rules! with_hooks {
    ($builder:expr, $wanted:ident) => {
        match $wanted.hooks {
            Some(recorder) => $builder.observer(Arc::clone(&recorder)).inject_headers(move |topic, headers| {
                recorder.inject(topic, headers);
            }),
            None => $builder,
        }
    };
}

/// The common settings of the transports over the machine.
macro_rules! create {
    ($producer:ident, $wanted:ident) => {
        with_hooks!($producer::builder(), $wanted)
            .set("bootstrap.servers", $wanted.servers)
            .set("buffer.memory", $wanted.buffer.to_string())
            .set("request.timeout.ms", $wanted.patience.as_millis().to_string())
            .set("delivery.timeout.ms", $wanted.patience.as_millis().to_string())
            .set("retry.backoff.ms", "1")
            .set("retry.backoff.max.ms", "10") // how soon a leader is found
            .set("reconnect.backoff.ms", "1")
            .set("reconnect.backoff.max.ms", "10")
            .set("acks", $wanted.acks)
            .set("linger.ms", $wanted.linger)
            .batch_options($wanted.options)
            .seed($wanted.seed)
            .build()
            .unwrap()
    };
}

pub(crate) struct Tokio;

impl Subject for Tokio {
    type Producer = TokioProducer;

    fn create(wanted: Wanted) -> TokioProducer {
        create!(TokioProducer, wanted)
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(future)
    }

    fn spawn<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> Boxed<T> {
        let task = tokio::spawn(task);
        Box::pin(async { task.await.unwrap() })
    }

    fn sleep(time: Duration) -> Boxed<()> {
        Box::pin(tokio::time::sleep(time))
    }
}

#[cfg(feature = "__witnesses")]
pub(crate) struct AsyncStd;

#[cfg(feature = "__witnesses")]
impl Subject for AsyncStd {
    type Producer = AsyncStdProducer;

    fn create(wanted: Wanted) -> AsyncStdProducer {
        create!(AsyncStdProducer, wanted)
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        async_std::task::block_on(future)
    }

    fn spawn<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> Boxed<T> {
        Box::pin(async_std::task::spawn(task))
    }

    fn sleep(time: Duration) -> Boxed<()> {
        Box::pin(async_std::task::sleep(time))
    }
}

#[cfg(feature = "__witnesses")]
pub(crate) struct Rdkafka;

#[cfg(feature = "__witnesses")]
impl Subject for Rdkafka {
    type Producer = RdkafkaProducer;

    fn create(wanted: Wanted) -> RdkafkaProducer {
        let millis = wanted.patience.as_millis().to_string();
        with_hooks!(RdkafkaProducer::builder(), wanted)
            .set("bootstrap.servers", wanted.servers)
            .set("queue.buffering.max.kbytes", (wanted.buffer / 1024).max(1).to_string())
            .set("message.timeout.ms", millis)
            .set("linger.ms", "1")
            .set("retry.backoff.ms", "1")
            .set("reconnect.backoff.ms", "1")
            .set("reconnect.backoff.max.ms", "10")
            .set("topic.metadata.refresh.fast.interval.ms", "10")
            .set("acks", wanted.acks)
            .metadata_timeout(wanted.patience)
            .batch_options(wanted.options)
            .seed(wanted.seed)
            .build()
            .unwrap()
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        futures::block_on(future) // it needs no runtime
    }

    fn spawn<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> Boxed<T> {
        Box::pin(async_std::task::spawn(task))
    }

    fn sleep(time: Duration) -> Boxed<()> {
        Box::pin(async_std::task::sleep(time))
    }
}
