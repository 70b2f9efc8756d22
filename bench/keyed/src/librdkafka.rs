//! rdkafka's `ThreadedProducer`: a call and a callback for each record; librdkafka chooses the partition of the key.

use std::error::Error;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, ClientContext};

use crate::job::{Job, Meter, Records, Report, TOPIC};

/// How long a full queue is left alone. Shorter pauses take processor time from librdkafka's own threads.
const PAUSE: Duration = Duration::from_millis(5);

struct Count(Mutex<(Option<Meter>, u64)>);

impl ClientContext for Count {}

impl ProducerContext for Count {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let Ok(mut state) = self.0.lock() else { return };
        match (result, &mut state.0) {
            (Ok(_), Some(meter)) => meter.acknowledged(1),
            _ => state.1 += 1,
        }
    }
}

pub fn run(job: &Job) -> Result<Report, Box<dyn Error>> {
    let meter = Meter::start(job);
    let until = meter.until();
    let producer: ThreadedProducer<Count> = ClientConfig::new()
        .set("bootstrap.servers", &job.address)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("partitioner", "murmur2_random")
        .set("batch.size", (job.batch_size + 4_096).to_string())
        .set("message.max.bytes", "1048588")
        .set("batch.num.messages", "1000000")
        .set("linger.ms", job.linger.as_millis().to_string())
        .set("queue.buffering.max.messages", "1000000")
        .set("queue.buffering.max.kbytes", "1048576")
        .set("socket.nagle.disable", "true")
        .create_with_context(Count(Mutex::new((Some(meter), 0))))?;
    let mut records = Records::new();
    let mut sent = 0_u32;
    'all: loop {
        sent = sent.wrapping_add(1);
        if sent.is_multiple_of(256) && Instant::now() >= until {
            break;
        }
        let (key, value) = records.next();
        let mut record = BaseRecord::to(TOPIC).key(key).payload(value);
        while let Err((error, refused)) = producer.send(record) {
            if !matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)) {
                return Err(error.into());
            }
            if Instant::now() >= until {
                break 'all;
            }
            std::thread::sleep(PAUSE);
            record = refused;
        }
    }
    producer.flush(Duration::from_secs(120))?;
    let mut state = producer.context().0.lock().map_err(|_| "a callback panicked")?;
    match (state.0.take(), state.1) {
        (Some(meter), 0) => meter.stop(),
        (_, failed) => Err(format!("{failed} records failed").into()),
    }
}
