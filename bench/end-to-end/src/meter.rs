//! A client's own clock: time, processor, memory.

use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use crate::job::{Job, Report};

pub struct Meter {
    begun: Instant,
    cpu: f64,
    until: Instant,
    trips: Vec<Duration>,
}

impl Meter {
    pub fn start(job: &Job) -> Self {
        let begun = Instant::now();
        Self { begun, cpu: cpu_seconds(), until: begun + Duration::from_secs_f64(job.seconds), trips: Vec::new() }
    }

    /// Whether a further batch is to be begun.
    pub fn goes_on(&self) -> bool {
        Instant::now() < self.until
    }

    pub fn trip(&mut self, since: Instant) {
        self.trips.push(since.elapsed());
    }

    pub fn stop(mut self, records: u64) -> Report {
        let seconds = self.begun.elapsed().as_secs_f64();
        let cpu_seconds = cpu_seconds() - self.cpu;
        self.trips.sort_unstable();
        let percentile = |share: f64| {
            let index = (self.trips.len() as f64 * share) as usize;
            self.trips.get(index).map(|trip| trip.as_secs_f64() * 1e6)
        };
        let peak_kib = getrusage(UsageWho::RUSAGE_SELF).expect("it is always there").max_rss() as u64;
        Report { records, seconds, cpu_seconds, peak_kib, p50: percentile(0.5), p99: percentile(0.99) }
    }
}

fn cpu_seconds() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("it is always there");
    (usage.user_time().num_microseconds() + usage.system_time().num_microseconds()) as f64 / 1e6
}
