//! An observer that keeps what it was told.

use std::sync::Mutex;

use kafka_batch::machine::{Change, Retry};
use kafka_batch::observer::{BatchToSeal, Observer, Sent};
use kafka_batch::record::EncodedHeaders;
use kafka_batch::{Delivery, DeliveryError, Header};

/// The calls of an observer, as text.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    calls: Mutex<Vec<String>>,
    /// The call that panics.
    panics_at: Option<&'static str>,
}

/// What it keeps with a batch: the number of records.
#[derive(Debug)]
pub(crate) struct Observed(usize);

impl Recorder {
    pub(crate) fn that_panics(at: &'static str) -> Self {
        Self { panics_at: Some(at), ..Self::default() }
    }

    /// Returns the calls that begin with one of these words, in order.
    pub(crate) fn calls(&self, words: &[&str]) -> Vec<String> {
        let calls = self.calls.lock().unwrap();
        calls.iter().filter(|call| words.iter().any(|word| call.starts_with(word))).cloned().collect()
    }

    fn record(&self, call: String) {
        let panics = self.panics_at.is_some_and(|at| call.starts_with(at));
        self.calls.lock().unwrap().push(call);
        assert!(!panics, "an observer panics, as this test wants");
    }

    pub(crate) fn inject(&self, topic: &str, headers: &mut EncodedHeaders) {
        self.record("inject".into());
        headers.push(Header::new("traceparent", topic)).unwrap();
    }
}

impl Observer for Recorder {
    type Batch = Observed;

    fn before_seal(&self, batch: &BatchToSeal<'_>) -> Observed {
        let records = batch.batch.record_count();
        self.record(format!("seal {} records for partition {}", records, batch.partition));
        Observed(records)
    }

    fn on_sent(&self, batch: &mut Observed, sent: &Sent<'_>) {
        self.record(format!("sent {} records, attempt {}", batch.0, sent.attempt));
    }

    fn on_retry(&self, batch: &mut Observed, retry: &Retry) {
        self.record(format!("retry of {} records: {:?}", batch.0, retry.error));
    }

    fn on_change(&self, change: &Change) {
        self.record(format!("change: {change}"));
    }

    fn on_change_during(&self, batch: &mut Observed, change: &Change) {
        self.record(format!("during {} records: {change}", batch.0));
    }

    fn on_acknowledgement(&self, batch: Observed, delivery: &Delivery) {
        assert_eq!(batch.0, delivery.record_count());
        self.record(format!("acknowledged {} records", batch.0));
    }

    fn on_failure(&self, batch: Observed, error: &DeliveryError) {
        assert_eq!(batch.0, error.record_count());
        self.record(format!("failed {} records", batch.0));
    }
}
