//! The callbacks of librdkafka: delivery reports update the batches in flight; errors are logged, and the last one is kept.

use std::sync::{Arc, Mutex};

use kafka_batch_transport::waiting::lock;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message, Timestamp};
use rdkafka::producer::{DefaultProducerContext, ProducerContext};
use rdkafka::{ClientContext, Statistics};

use crate::catch_panic;
use crate::ffi;
use crate::in_flight::InFlight;
use crate::secrets::Secrets;

#[derive(Debug)]
pub(crate) struct Context {
    in_flight: Arc<InFlight>,
    secrets: Arc<Secrets>,
    /// librdkafka's last client-level error, such as a refused connection: the likely cause of an error that says only
    /// "timed out".
    last_error: Mutex<Option<(RDKafkaErrorCode, String)>>,
    statistics: Mutex<Option<Arc<Statistics>>>,
}

impl Context {
    pub(crate) const fn new(in_flight: Arc<InFlight>, secrets: Arc<Secrets>) -> Self {
        Self { in_flight, secrets, last_error: Mutex::new(None), statistics: Mutex::new(None) }
    }

    pub(crate) fn last_error(&self) -> Option<(RDKafkaErrorCode, String)> {
        lock(&self.last_error).clone()
    }

    /// Returns the last statistics that librdkafka has emitted.
    pub(crate) fn statistics(&self) -> Option<Arc<Statistics>> {
        lock(&self.statistics).clone()
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let message = self.secrets.hide(message);
        catch_panic::catch_panic(|| DefaultProducerContext.log(level, facility, message)); // the logger is foreign code
    }

    fn stats(&self, statistics: Statistics) {
        *lock(&self.statistics) = Some(Arc::new(statistics));
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let reason = self.secrets.hide(reason);
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
        *lock(&self.last_error) = Some((code, reason.to_owned()));
        catch_panic::catch_panic(|| DefaultProducerContext.error(error, reason));
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
