//! kafka-batch: a `PartitionedPublisher` over `TokioProducer`, on one thread.

use std::error::Error;
use std::sync::OnceLock;
use std::task::{Context, Poll};
use std::time::{Instant, SystemTime};

use kafka_batch::message::{EncodeError, KeyOverride, Message, Overrides, Payload};
use kafka_batch::publisher::PartitionedPublisher;
use kafka_batch::{BatchOptions, TokioProducer};

use crate::job::{Job, Meter, Records, Report, TOPIC};

/// The messages that are taken before the clock is read again.
const BETWEEN_LOOKS: u32 = 256;

static RECORDS: OnceLock<Records> = OnceLock::new();

/// A key and a value that the application holds.
struct Keyed {
    key: &'static [u8],
    value: &'static [u8],
}

impl Message for Keyed {
    fn payload<'a>(&'a self, _: &'a mut Vec<u8>) -> Result<Payload<'a>, EncodeError> {
        Ok(Payload::new(self.value))
    }

    fn overrides(&self) -> Overrides<'_> {
        Overrides::default().key(KeyOverride::Key(self.key))
    }
}

pub fn run(job: &Job) -> Result<Report, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(publish(job))
}

async fn publish(job: &Job) -> Result<Report, Box<dyn Error>> {
    let options = BatchOptions::default().batch_size(job.batch_size);
    let producer = TokioProducer::builder().set("bootstrap.servers", &job.address).batch_options(options).build()?;
    let held = RECORDS.get_or_init(Records::new);
    let mut meter = Meter::start(job);
    let (mut order, mut taken, until) = (Records::new(), 0_u32, meter.until());
    let source = move |_: &mut Context<'_>| {
        taken = taken.wrapping_add(1);
        if taken.is_multiple_of(BETWEEN_LOOKS) && Instant::now() >= until {
            return Poll::Ready(None);
        }
        let (key, value) = held.at(order.next_position());
        Poll::Ready(Some(Keyed { key, value }))
    };
    let publisher = PartitionedPublisher::from_poll_fn(&producer, TOPIC, source, SystemTime::now).await?;
    let mut publisher = publisher.linger(job.linger, tokio::time::sleep);
    while let Some(outcome) = publisher.next().await {
        let published = outcome.map_err(|failed| failed.to_string())?;
        meter.acknowledged(published.messages.len() as u64);
        publisher.recycle(published);
    }
    producer.close().await?;
    meter.stop()
}
