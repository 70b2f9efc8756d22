//! The transports under test.

use std::future::Future;

#[cfg(feature = "__witnesses")]
use kafka_batch::{AsyncStdProducer, SmolProducer};
use kafka_batch::{TokioProducer, Transport};
#[cfg(feature = "__witnesses")]
use kafka_batch_witnesses::{async_std, smol};

pub(crate) trait Subject {
    type Producer: Transport;

    fn create(brokers: String, settings: &[(&str, &str)]) -> Self::Producer;

    fn block_on<T>(future: impl Future<Output = T>) -> T;
}

macro_rules! subject {
    ($name:ident, $producer:ident, $block_on:expr) => {
        pub(crate) struct $name;

        impl Subject for $name {
            type Producer = $producer;

            fn create(brokers: String, settings: &[(&str, &str)]) -> $producer {
                let builder = $producer::builder().set("bootstrap.servers", brokers);
                settings.iter().fold(builder, |builder, &(name, value)| builder.set(name, value)).build().unwrap()
            }

            fn block_on<T>(future: impl Future<Output = T>) -> T {
                $block_on(future)
            }
        }
    };
}

subject! { Tokio, TokioProducer, |future| {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
} }
#[cfg(feature = "__witnesses")]
subject! { AsyncStd, AsyncStdProducer, async_std::task::block_on }
#[cfg(feature = "__witnesses")]
subject! { Smol, SmolProducer, smol::block_on }
