//! A client's own measurement: records, time, processor time, page faults; and the values that it publishes.

use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// How long a client runs before anything is counted.
const WARM_UP: Duration = Duration::from_millis(300);

/// Returns a value that no codec makes smaller, the same in each call.
#[must_use]
pub fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..len).map(|_| next()).collect()
}

/// What a client has done: all its records, and after the warm-up its records, seconds, seconds of processor time, and minor
/// page faults.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    pub total: u64,
    pub measured: u64,
    pub seconds: f64,
    pub cpu: f64,
    pub faults: i64,
}

impl Report {
    /// Returns the number of records a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.measured as f64 / self.seconds
    }

    /// Returns the processor time for a record, in seconds.
    #[must_use]
    pub fn cpu_per_record(&self) -> f64 {
        self.cpu / self.measured as f64
    }
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
#[derive(Debug)]
pub struct Meter {
    start: Instant,
    until: Instant,
    total: u64,
    /// What was used when the warm-up ended.
    warm: Option<Used>,
}

#[derive(Debug)]
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
    /// Begins the warm-up, after which it measures for this many seconds.
    #[must_use]
    pub fn start(seconds: f64) -> Self {
        let start = Instant::now();
        Self { start, until: start + WARM_UP + Duration::from_secs_f64(seconds), total: 0, warm: None }
    }

    /// Returns `true` while another batch is to be sent.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        Instant::now() < self.until
    }

    /// Adds records that were acknowledged.
    pub fn acknowledged(&mut self, records: u64) {
        self.total += records;
        if self.warm.is_none() && self.start.elapsed() >= WARM_UP {
            self.warm = Some(Used::now(self.total));
        }
    }

    /// Returns what was done.
    ///
    /// # Errors
    /// Nothing was acknowledged after the warm-up.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let report = Report { total: 9, measured: 8, seconds: 0.5, cpu: 0.25, faults: 3 };
        let read: Report = report.to_string().parse().unwrap();
        assert_eq!((read.total, read.faults, read.rate()), (9, 3, 16.0));
        assert_eq!(read.cpu_per_record(), 0.25 / 8.0);
        assert!("1 2 3".parse::<Report>().is_err());
    }

    #[test]
    fn records_of_the_warm_up_are_not_measured() {
        let mut meter = Meter::start(0.0);
        meter.acknowledged(5);
        assert!(meter.goes_on() && meter.warm.is_none());
        meter.start -= WARM_UP;
        meter.acknowledged(5);
        meter.acknowledged(7);
        let report = meter.stop().unwrap();
        assert_eq!((report.total, report.measured), (17, 7));
        assert!(Meter::start(0.0).stop().is_err());
    }
}
