//! The parameters of a run.

use std::env;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// The minimum number of acknowledged records.
    pub(crate) records: u64,
    pub(crate) kills: u64,
    /// The offered records per second.
    pub(crate) rate: u64,
    pub(crate) seed: u64,
}

impl Plan {
    pub(crate) fn from_environment() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Self {
            records: variable("KAFKA_BATCH_CHAOS_RECORDS", 200_000),
            kills: variable("KAFKA_BATCH_CHAOS_KILLS", 2),
            rate: variable("KAFKA_BATCH_CHAOS_RATE", 12_000),
            seed: variable("KAFKA_BATCH_CHAOS_SEED", now),
        }
    }

    /// Returns the minimum number of acknowledged records between kills.
    pub(crate) const fn records_a_kill(&self) -> u64 {
        self.records / (self.kills + 2)
    }
}

fn variable(name: &str, default: u64) -> u64 {
    match env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error}; write a whole number")),
        Err(_) => default,
    }
}

/// Formatted as variables that repeat the run.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { records, kills, rate, seed } = self;
        write!(f, "KAFKA_BATCH_CHAOS_RECORDS={records} KAFKA_BATCH_CHAOS_KILLS={kills} ")?;
        write!(f, "KAFKA_BATCH_CHAOS_RATE={rate} KAFKA_BATCH_CHAOS_SEED={seed}")
    }
}
