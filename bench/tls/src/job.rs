//! What a client has to do, and what it reports.

use std::error::Error;

use kafka_batch_bench_shared::meter::{Meter, noise};
use kafka_batch_bench_shared::sink::Topic;

use crate::security::Security;

pub const TOPIC: Topic = Topic { name: "tls", partitions: 1 };

/// A client's work: to fill batches with values of `value_len` bytes, and to publish them for `seconds`.
pub struct Job {
    pub address: String,
    pub security: Security,
    pub value_len: usize,
    pub batch_size: usize,
    pub seconds: f64,
}

impl Job {
    pub fn words(&self) -> [String; 5] {
        let Self { address, security, value_len, batch_size, seconds } = self;
        let security = security.name().to_owned();
        [address.clone(), security, value_len.to_string(), batch_size.to_string(), seconds.to_string()]
    }

    pub fn from_words(words: &[&str]) -> Result<Self, Box<dyn Error>> {
        let [address, security, value_len, batch_size, seconds] = words else {
            return Err("five words are needed".into());
        };
        let (value_len, batch_size, seconds) = (value_len.parse()?, batch_size.parse()?, seconds.parse()?);
        Ok(Self { address: (*address).into(), security: security.parse()?, value_len, batch_size, seconds })
    }

    /// Returns the value of all records.
    pub fn value(&self) -> Vec<u8> {
        noise(self.value_len)
    }

    pub fn meter(&self) -> Meter {
        Meter::start(self.seconds)
    }
}
