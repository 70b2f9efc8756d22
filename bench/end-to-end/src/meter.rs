//! A client's own clock: time, processor, memory.

use std::time::{Duration, Instant};

use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use crate::cores;
use crate::job::{Job, Report};

pub struct Meter {
    warm_up: u64,
    begun: Instant,
    cpu: f64,
    core: f64,
    until: Instant,
    trips: Vec<Duration>,
}

impl Meter {
    /// Begins after `warm_up` records that do not count.
    pub fn start(job: &Job, warm_up: u64) -> Self {
        Self::begin(job.seconds, warm_up)
    }

    /// Begins a measurement of this many seconds.
    pub fn begin(seconds: f64, warm_up: u64) -> Self {
        let begun = Instant::now();
        let until = begun + Duration::from_secs_f64(seconds);
        Self { warm_up, begun, cpu: cpu_seconds(), core: cores::busy_seconds(), until, trips: Vec::new() }
    }

    /// Whether a further batch is to be begun.
    pub fn goes_on(&self) -> bool {
        Instant::now() < self.until
    }

    pub fn trip(&mut self, since: Instant) {
        self.trips.push(since.elapsed());
    }

    /// Adds trips that were timed elsewhere.
    pub fn trips(&mut self, trips: Vec<Duration>) {
        self.trips.extend(trips);
    }

    pub fn stop(mut self, records: u64) -> Report {
        let seconds = self.begun.elapsed().as_secs_f64();
        let cpu_seconds = cpu_seconds() - self.cpu;
        let others = (cores::busy_seconds() - self.core - cpu_seconds).max(0.0) / seconds;
        self.trips.sort_unstable();
        let percentile = |share: f64| {
            let index = (self.trips.len() as f64 * share) as usize;
            self.trips.get(index).map(|trip| trip.as_secs_f64() * 1e6)
        };
        let (warm_up, peak_kib, p50, p99) = (self.warm_up, peak_kib(), percentile(0.5), percentile(0.99));
        Report { warm_up, records, seconds, cpu_seconds, others, peak_kib, p50, p99 }
    }
}

fn usage() -> Usage {
    getrusage(UsageWho::RUSAGE_SELF).expect("it is always there")
}

fn cpu_seconds() -> f64 {
    let usage = usage();
    (usage.user_time().num_microseconds() + usage.system_time().num_microseconds()) as f64 / 1e6
}

/// The most memory that this program held. What `getrusage` says of it begins with what the program held that started this
/// one, so it is only asked where there is no other word.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse().ok());
    peak.unwrap_or_else(|| usage().max_rss() as u64)
}
