//! What a client has to do, and what it reports.

use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use kafka_batch_bench_shared::sink::Topic;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use crate::security::Security;

pub const TOPIC: Topic = Topic { name: "tls", partitions: 1 };

/// How long a client runs before anything is counted.
const WARM_UP: Duration = Duration::from_millis(300);

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

    /// Returns the value of all records: noise.
    pub fn value(&self) -> Vec<u8> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut noise = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        };
        (0..self.value_len).map(|_| noise()).collect()
    }
}

/// What a client has done: all its records, and after the warm-up its records, seconds, seconds of processor time, and minor
/// page faults.
#[derive(Clone, Copy)]
pub struct Report {
    pub total: u64,
    pub measured: u64,
    pub seconds: f64,
    pub cpu: f64,
    pub faults: i64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { total, measured, seconds, cpu, faults } = self;
        write!(f, "{total} {measured} {seconds} {cpu} {faults}")
    }
}

impl FromStr for Report {
    type Err = Box<dyn Error>;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let [total, measured, seconds, cpu, faults] = text.split_whitespace().collect::<Vec<_>>()[..] else {
            return Err(format!("no report: {text}").into());
        };
        let (total, measured, seconds) = (total.parse()?, measured.parse()?, seconds.parse()?);
        Ok(Self { total, measured, seconds, cpu: cpu.parse()?, faults: faults.parse()? })
    }
}

/// Counts acknowledged records, and tells when to stop.
pub struct Meter {
    start: Instant,
    until: Instant,
    total: u64,
    /// What was used when the warm-up ended.
    warm: Option<Used>,
}

struct Used {
    at: Instant,
    cpu: f64,
    faults: i64,
    records: u64,
}

impl Used {
    fn now(records: u64) -> Self {
        let usage = getrusage(UsageWho::RUSAGE_SELF).expect("it is always available");
        let cpu = (usage.user_time().num_microseconds() + usage.system_time().num_microseconds()) as f64 / 1e6;
        Self { at: Instant::now(), cpu, faults: usage.minor_page_faults(), records }
    }
}

impl Meter {
    pub fn start(job: &Job) -> Self {
        let start = Instant::now();
        Self { start, until: start + WARM_UP + Duration::from_secs_f64(job.seconds), total: 0, warm: None }
    }

    /// Returns `true` while another batch is to be sent.
    pub fn goes_on(&self) -> bool {
        Instant::now() < self.until
    }

    pub fn acknowledged(&mut self, records: u64) {
        self.total += records;
        if self.warm.is_none() && self.start.elapsed() >= WARM_UP {
            self.warm = Some(Used::now(self.total));
        }
    }

    pub fn stop(self) -> Result<Report, Box<dyn Error>> {
        let warm = self.warm.ok_or("nothing was acknowledged after the warm-up")?;
        let end = Used::now(self.total);
        Ok(Report {
            total: self.total,
            measured: self.total - warm.records,
            seconds: (end.at - warm.at).as_secs_f64(),
            cpu: end.cpu - warm.cpu,
            faults: end.faults - warm.faults,
        })
    }
}
