//! What librdkafka calls: delivery reports go into the ledger, errors are logged and the last one is kept.

use std::sync::{Arc, Mutex};

use kafka_batch_transport::waiting::lock;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message, Timestamp};
use rdkafka::producer::{DefaultProducerContext, ProducerContext};

use crate::foreign;
use crate::ledger::Ledger;
use crate::native;
use crate::secrets::Secrets;

#[derive(Debug)]
pub(crate) struct Context {
    ledger: Arc<Ledger>,
    secrets: Arc<Secrets>,
    /// What librdkafka last complained of, such as a broker that refuses connections: an answer that says no more than
    /// "timed out" is told apart by it.
    last_error: Mutex<Option<(RDKafkaErrorCode, String)>>,
}

impl Context {
    pub(crate) const fn new(ledger: Arc<Ledger>, secrets: Arc<Secrets>) -> Self {
        Self { ledger, secrets, last_error: Mutex::new(None) }
    }

    pub(crate) fn last_error(&self) -> Option<(RDKafkaErrorCode, String)> {
        lock(&self.last_error).clone()
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let message = self.secrets.hide(message);
        foreign::call(|| DefaultProducerContext.log(level, facility, message)); // whoever logs is foreign too
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let reason = self.secrets.hide(reason);
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
        *lock(&self.last_error) = Some((code, reason.to_owned()));
        foreign::call(|| DefaultProducerContext.error(error, reason));
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: usize) {
        match result {
            Ok(message) => self.ledger.delivered(ticket, message.offset(), || match message.timestamp() {
                Timestamp::LogAppendTime(time) => time,
                Timestamp::CreateTime(_) | Timestamp::NotAvailable => -1,
            }),
            Err((error, message)) => {
                let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
                self.ledger.failed(ticket, code, native::broker(message), native::fate(message));
            }
        }
    }
}
