//! What a client has to do, and what it reports.

use std::error::Error;
use std::time::{Duration, Instant};

pub const TOPIC: &str = "keyed";

/// How long a client runs before its records are counted.
const WARM_UP: Duration = Duration::from_millis(500);

const KEY_LEN: usize = 16;

const VALUE_LEN: usize = 100;

/// The keys take turns. There are more than partitions, so that most partitions have some.
const KEYS: usize = 1 << 16;

pub struct Job {
    pub address: String,
    pub partitions: i32,
    pub batch_size: usize,
    pub linger: Duration,
    pub seconds: f64,
}

impl Job {
    pub fn words(&self) -> [String; 5] {
        let Self { address, partitions, batch_size, linger, seconds } = self;
        let linger = linger.as_millis();
        [address.clone(), partitions.to_string(), batch_size.to_string(), linger.to_string(), seconds.to_string()]
    }

    pub fn from_words(words: &[&str]) -> Result<Self, Box<dyn Error>> {
        let [address, partitions, batch_size, linger, seconds] = words else {
            return Err("five words are needed".into());
        };
        let (partitions, batch_size) = (partitions.parse()?, batch_size.parse()?);
        let linger = Duration::from_millis(linger.parse()?);
        Ok(Self { address: (*address).into(), partitions, batch_size, linger, seconds: seconds.parse()? })
    }
}

/// The records: keys and values that the application holds.
pub struct Records {
    bytes: Vec<u8>,
    next: usize,
}

impl Records {
    pub fn new() -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut noise = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        };
        Self { bytes: (0..KEYS * KEY_LEN + VALUE_LEN).map(|_| noise()).collect(), next: 0 }
    }

    /// Returns the next key and its value.
    pub fn next(&mut self) -> (&[u8], &[u8]) {
        let position = self.next_position();
        self.at(position)
    }

    /// Returns the position of the next record.
    pub fn next_position(&mut self) -> usize {
        let position = self.next;
        self.next = (position + 1) % KEYS;
        position
    }

    pub fn at(&self, position: usize) -> (&[u8], &[u8]) {
        let at = position * KEY_LEN;
        (&self.bytes[at..at + KEY_LEN], &self.bytes[at..at + VALUE_LEN])
    }
}

/// The acknowledged records of a client, all of them and those after the warm-up.
pub struct Report {
    pub total: u64,
    pub measured: u64,
    pub seconds: f64,
}

/// Counts acknowledged records, and tells when to stop.
pub struct Meter {
    start: Instant,
    until: Instant,
    total: u64,
    /// The time after the warm-up, and the records until then.
    warm: Option<(Instant, u64)>,
}

impl Meter {
    pub fn start(job: &Job) -> Self {
        let start = Instant::now();
        Self { start, until: start + WARM_UP + Duration::from_secs_f64(job.seconds), total: 0, warm: None }
    }

    /// Returns the time at which to take no further records.
    pub fn until(&self) -> Instant {
        self.until
    }

    pub fn acknowledged(&mut self, records: u64) {
        self.total += records;
        if self.warm.is_none() && self.start.elapsed() >= WARM_UP {
            self.warm = Some((Instant::now(), self.total));
        }
    }

    pub fn stop(self) -> Result<Report, Box<dyn Error>> {
        let (since, before) = self.warm.ok_or("nothing was acknowledged after the warm-up")?;
        Ok(Report { total: self.total, measured: self.total - before, seconds: since.elapsed().as_secs_f64() })
    }
}
