//! The callbacks of librdkafka: delivery reports update the batches in flight; errors are logged, and the last one is kept.

use std::sync::{Arc, Mutex};

use kafka_batch_transport::waiting::lock;
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message, Timestamp};
use rdkafka::producer::{DefaultProducerContext, ProducerContext};

use crate::catch_panic;
use crate::ffi;
use crate::in_flight::InFlight;

#[derive(Debug)]
pub(crate) struct Context {
    in_flight: Arc<InFlight>,
    /// librdkafka's last client-level error, such as a refused connection: the likely cause of an error that says only
    /// "timed out".
    last_error: Mutex<Option<(RDKafkaErrorCode, String)>>,
}

impl Context {
    pub(crate) const fn new(in_flight: Arc<InFlight>) -> Self {
        Self { in_flight, last_error: Mutex::new(None) }
    }

    pub(crate) fn last_error(&self) -> Option<(RDKafkaErrorCode, String)> {
        lock(&self.last_error).clone()
    }
}

impl ClientContext for Context {
    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
        *lock(&self.last_error) = Some((code, reason.to_owned()));
        catch_panic::catch_panic(|| DefaultProducerContext.error(error, reason)); // the logger is foreign code
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, id: usize) {
        match result {
            Ok(message) => self.in_flight.delivered(id, message.offset(), || match message.timestamp() {
                Timestamp::LogAppendTime(time) => time,
                Timestamp::CreateTime(_) | Timestamp::NotAvailable => -1,
            }),
            Err((error, message)) => {
                let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
                self.in_flight.failed(id, code, ffi::broker(message), ffi::fate(message));
            }
        }
    }
}
