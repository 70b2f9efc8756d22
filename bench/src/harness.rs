//! Sampling: all contenders in turns on one core, many times over, so that whatever slows the machine down slows all.

use std::hint::black_box;
use std::time::{Duration, Instant};

use kafka_batch_bench_shared as shared;

/// Something to be measured.
pub struct Case<'a> {
    pub name: &'static str,
    pub run: Box<dyn Fn() + 'a>,
}

/// What was measured of one case.
#[derive(Clone)]
pub struct Samples {
    pub name: &'static str,
    /// Nanoseconds for each run, one figure a round.
    pub rounds: Vec<f64>,
    /// Pages that the kernel had to hand out for each run: what fresh memory costs beside the instructions.
    pub page_faults: f64,
}

/// How long to measure.
#[derive(Clone, Copy)]
pub struct Effort {
    /// How long one sample lasts at least.
    pub sample: Duration,
    /// How long all samples of a row last together, at most.
    pub row: Duration,
    /// How many rounds there are at most, and at least.
    pub rounds: (usize, usize),
}

impl Effort {
    pub const FULL: Self = Self { sample: Duration::from_micros(500), row: Duration::from_secs(8), rounds: (400, 15) };
    pub const QUICK: Self = Self { sample: Duration::from_micros(200), row: Duration::from_secs(1), rounds: (50, 5) };
}

/// Runs all cases in turns. Each round begins with another one, so that none always follows the same neighbour.
pub fn sample(cases: &[Case<'_>], effort: Effort) -> Vec<Samples> {
    let mut samples: Vec<Samples> =
        cases.iter().map(|case| Samples { name: case.name, rounds: Vec::new(), page_faults: 0.0 }).collect();
    let repeats: Vec<u32> = cases.iter().map(|case| repeats(case, effort.sample)).collect();
    let begun = Instant::now();
    let (most, least) = effort.rounds;
    for round in 0..most {
        if round >= least && begun.elapsed() > effort.row {
            break;
        }
        for turn in 0..cases.len() {
            let index = (round + turn) % cases.len();
            (cases[index].run)(); // not timed: it finds the caches and the allocator as its predecessor left them
            let before = page_faults();
            let took = time(&cases[index], repeats[index]);
            samples[index].page_faults += (page_faults() - before) / f64::from(repeats[index]);
            samples[index].rounds.push(took.as_nanos() as f64 / f64::from(repeats[index]));
        }
    }
    for sample in &mut samples {
        sample.page_faults /= sample.rounds.len() as f64;
    }
    samples
}

/// How many runs make a sample long enough; and a warm-up.
fn repeats(case: &Case<'_>, least: Duration) -> u32 {
    let mut repeats = 1;
    loop {
        let took = time(case, repeats);
        if took >= least {
            return repeats;
        }
        let wanted = least.as_secs_f64() / took.as_secs_f64().max(1e-9);
        repeats = (f64::from(repeats) * wanted.clamp(1.2, 16.0)).ceil() as u32;
    }
}

fn time(case: &Case<'_>, repeats: u32) -> Duration {
    let begun = Instant::now();
    for _ in 0..repeats {
        black_box(&case.run)();
    }
    begun.elapsed()
}

/// The minor page faults of this process so far, where the system tells; else 0.
fn page_faults() -> f64 {
    const BEHIND_THE_NAME: usize = 7; // proc(5): minflt is the tenth field, and the name, in brackets, the second
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let behind = stat.rsplit(')').next().unwrap_or_default();
    behind.split_whitespace().nth(BEHIND_THE_NAME).and_then(|field| field.parse().ok()).unwrap_or_default()
}

fn median(figures: Vec<f64>) -> f64 {
    shared::median(figures).expect("a sample")
}

impl Samples {
    /// Nanoseconds for each run: the median of the rounds.
    pub fn median(&self) -> f64 {
        median(self.rounds.clone())
    }

    /// How many times as long as `other` it took: the median of the ratios within each round.
    pub fn ratio(&self, other: &Self) -> f64 {
        median(self.rounds.iter().zip(&other.rounds).map(|(mine, other)| mine / other).collect())
    }
}
