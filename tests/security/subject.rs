//! The transports, as far as this suite has to tell them apart.

use std::future::Future;

use kafka_batch::{AsyncStdProducer, TokioProducer, Transport};

pub(crate) trait Subject {
    type Producer: Transport;

    fn create(brokers: String, settings: &[(&str, &str)]) -> Self::Producer;

    fn block_on<T>(future: impl Future<Output = T>) -> T;
}

pub(crate) struct Tokio;

impl Subject for Tokio {
    type Producer = TokioProducer;

    fn create(brokers: String, settings: &[(&str, &str)]) -> TokioProducer {
        let builder = TokioProducer::builder().set("bootstrap.servers", brokers);
        settings.iter().fold(builder, |builder, &(name, value)| builder.set(name, value)).create().unwrap()
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }
}

pub(crate) struct AsyncStd;

impl Subject for AsyncStd {
    type Producer = AsyncStdProducer;

    fn create(brokers: String, settings: &[(&str, &str)]) -> AsyncStdProducer {
        let builder = AsyncStdProducer::builder().set("bootstrap.servers", brokers);
        settings.iter().fold(builder, |builder, &(name, value)| builder.set(name, value)).create().unwrap()
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        async_std::task::block_on(future)
    }
}
