//! What a client has to do.

use std::error::Error;

use kafka_batch_bench_shared::sink::Topic;

pub const TOPIC: Topic = Topic { name: "uring", partitions: 1 };

/// A client's work: to fill batches with values of `value_len` bytes, and to publish them for `seconds`.
pub struct Job {
    pub address: String,
    pub value_len: usize,
    pub batch_size: usize,
    pub seconds: f64,
}

impl Job {
    pub fn words(&self) -> [String; 4] {
        let Self { address, value_len, batch_size, seconds } = self;
        [address.clone(), value_len.to_string(), batch_size.to_string(), seconds.to_string()]
    }

    pub fn from_words(words: &[&str]) -> Result<Self, Box<dyn Error>> {
        let [address, value_len, batch_size, seconds] = words else {
            return Err("four words are needed".into());
        };
        let (value_len, batch_size) = (value_len.parse()?, batch_size.parse()?);
        Ok(Self { address: (*address).into(), value_len, batch_size, seconds: seconds.parse()? })
    }
}
