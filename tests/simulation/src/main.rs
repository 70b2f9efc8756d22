//! Runs the requested number of schedules on all cores: `--schedules N [--seed S] [--jobs J]`; or one: `--seed S --trace`.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use kafka_batch_simulation::distinct::Distinct;
use kafka_batch_simulation::run::{Report, run, run_twice, shorten};
use kafka_batch_simulation::schedule::Schedule;

const USAGE: &str = "--schedules N: the number of schedules (default 1000)
--seed S: the first seed (default 0)
--jobs J: the number of threads (default: all cores)
--keep-going: do not stop at the first failure; count failures by law
--trace: run one, and print its trace
--shorten: with --trace, leave out first what the failure does not need
--transactions: schedules of transactional producers, in plans of 64 seeds that begin at multiples of 64; with --trace the one of --seed";

struct Args {
    schedules: u64,
    seed: u64,
    jobs: u64,
    keep_going: bool,
    trace: bool,
    shorten: bool,
    transactions: bool,
}

fn args() -> Option<Args> {
    let jobs = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let mut args =
        Args { schedules: 1_000, seed: 0, jobs, keep_going: false, trace: false, shorten: false, transactions: false };
    let mut given = std::env::args().skip(1);
    while let Some(name) = given.next() {
        let mut number = || given.next()?.parse().ok();
        match name.as_str() {
            "--schedules" => args.schedules = number()?,
            "--seed" => args.seed = number()?,
            "--jobs" => args.jobs = number()?,
            "--keep-going" => args.keep_going = true,
            "--trace" => args.trace = true,
            "--shorten" => args.shorten = true,
            "--transactions" => args.transactions = true,
            _ => return None,
        }
    }
    Some(args)
}

/// The number of failures of one kind, and the first seeds with details.
type Failures = (u64, Vec<(u64, String)>);

/// Sums over runs.
#[derive(Default)]
struct Sums {
    schedules: u64,
    accepted: u64,
    delivered: u64,
    not_written: u64,
    unknown: u64,
    steps: u64,
    faults: BTreeMap<&'static str, u64>,
    states: Distinct,
    /// Failures by law: the number, and the first seeds.
    failures: BTreeMap<&'static str, Failures>,
}

impl Sums {
    fn add(&mut self, seed: u64, report: Report) {
        self.schedules += 1;
        self.accepted += report.accepted;
        self.delivered += report.delivered;
        self.not_written += report.not_written;
        self.unknown += report.unknown;
        self.steps += report.counts.steps;
        for (fault, count) in report.counts.faults {
            *self.faults.entry(fault).or_default() += count;
        }
        self.states.extend(report.counts.states);
        if let Some(violation) = report.violation {
            let (count, seeds) = self.failures.entry(violation.law).or_default();
            *count += 1;
            if seeds.len() < 5 {
                seeds.push((seed, violation.what));
            }
        }
    }

    fn print(&self) {
        let Self { schedules, accepted, delivered, not_written, unknown, steps, .. } = self;
        println!("{schedules} schedules, {steps} steps, {} distinct states (estimated)", self.states.count());
        println!("{accepted} batches: {delivered} delivered, {not_written} not written, {unknown} unknown");
        for (fault, count) in &self.faults {
            println!("{count:>12} × {fault}");
        }
        for (law, (count, seeds)) in &self.failures {
            println!("BROKEN {count} times: {law}");
            for (seed, what) in seeds {
                println!("    seed {seed}: {what}");
            }
        }
    }
}

fn main() -> ExitCode {
    let Some(args) = args() else {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    };
    std::panic::set_hook(Box::new(|_| {})); // a panic is reported as a violation
    match (args.transactions, args.trace) {
        (true, _) => of_transactions(&args),
        (false, true) => one(&args),
        (false, false) => many(&args),
    }
}

/// Runs schedules of transactional producers.
fn of_transactions(args: &Args) -> ExitCode {
    use kafka_batch_simulation::transactions::{Counts, RUNS_OF_A_PLAN, check};

    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let (sums, failures) = (Mutex::new(Counts::default()), Mutex::new(BTreeMap::<String, Failures>::new()));
    let begin = Instant::now();
    // With one seed the plan is that of the seed.
    let (first, most) =
        if args.trace { (args.seed, 1) } else { (args.seed - args.seed % RUNS_OF_A_PLAN, RUNS_OF_A_PLAN) };
    let schedules = if args.trace { 1 } else { args.schedules };
    std::thread::scope(|scope| {
        for _ in 0..args.jobs.max(1) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let number = next.fetch_add(most, Ordering::Relaxed);
                    if number >= schedules {
                        break;
                    }
                    let mut seed = first + number;
                    let end = seed + most;
                    while seed < end {
                        match check(seed..end, args.trace && args.shorten) {
                            Ok(counts) => {
                                let mut sums = sums.lock().expect("no panic while it is locked");
                                *sums += counts;
                                break;
                            }
                            Err(failure) => {
                                let text = failure.cause.to_string();
                                eprintln!("seed {}: {text}", failure.seed);
                                if args.trace {
                                    println!("{failure}");
                                }
                                let law = text.split(':').take(2).collect::<Vec<_>>().join(":");
                                let mut failures = failures.lock().expect("no panic while it is locked");
                                let (count, seeds) = failures.entry(law).or_default();
                                *count += 1;
                                if seeds.len() < 5 {
                                    seeds.push((failure.seed, text));
                                }
                                if !args.keep_going {
                                    stop.store(true, Ordering::Relaxed);
                                    return;
                                }
                                seed = failure.seed + 1;
                            }
                        }
                    }
                }
            });
        }
    });
    let (counts, failures) = (sums.into_inner(), failures.into_inner());
    let (counts, failures) = (counts.expect("no panic"), failures.expect("no panic"));
    println!("{counts:#?}");
    for (law, (count, seeds)) in &failures {
        println!("BROKEN {count} times: {law}");
        seeds.iter().for_each(|(seed, what)| println!("    seed {seed}: {what}"));
    }
    let time = begin.elapsed().as_secs_f64();
    println!("{time:.1} s, {:.0} schedules a second", counts.runs as f64 / time);
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn one(args: &Args) -> ExitCode {
    let mut schedule = Schedule::from_seed(args.seed);
    let report = run_twice(&schedule);
    if let Some(violation) = report.violation.filter(|_| args.shorten) {
        schedule = shorten(&schedule, violation.law);
    }
    println!("{:#?}\nending: {:?}", schedule.settings, schedule.ending);
    let report = run(&schedule, false, true);
    for line in &report.trace {
        println!("{line}");
    }
    match report.violation.or_else(|| run_twice(&schedule).violation) {
        None => ExitCode::SUCCESS,
        Some(violation) => {
            println!("BROKEN: {violation}");
            ExitCode::FAILURE
        }
    }
}

fn many(args: &Args) -> ExitCode {
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let sums = Mutex::new(Sums::default());
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..args.jobs.max(1) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= args.schedules {
                        break;
                    }
                    let seed = args.seed + number;
                    let schedule = Schedule::from_seed(seed);
                    // Every eighth run is made twice, the second time with received bytes split anywhere.
                    let report =
                        if seed.is_multiple_of(8) { run_twice(&schedule) } else { run(&schedule, false, false) };
                    if report.violation.is_some() && !args.keep_going {
                        stop.store(true, Ordering::Relaxed);
                    }
                    if let Some(violation) = &report.violation {
                        eprintln!("seed {seed}: {violation}");
                    }
                    let mut sums = sums.lock().expect("no panic while it is locked");
                    sums.add(seed, report);
                    if sums.schedules.is_multiple_of(100_000) {
                        let rate = sums.schedules as f64 / begin.elapsed().as_secs_f64();
                        eprintln!("{} schedules, {rate:.0} a second", sums.schedules);
                    }
                }
            });
        }
    });
    let sums = sums.into_inner().expect("no panic while it is locked");
    sums.print();
    let time = begin.elapsed().as_secs_f64();
    println!("{time:.1} s, {:.0} schedules a second", sums.schedules as f64 / time);
    let Some((law, (_, seeds))) = sums.failures.first_key_value() else { return ExitCode::SUCCESS };
    if !args.keep_going {
        let seed = seeds[0].0;
        println!("\nseed {seed}, shortened, violates \"{law}\":");
        let shorter = shorten(&Schedule::from_seed(seed), law);
        for line in run(&shorter, false, true).trace {
            println!("{line}");
        }
    }
    ExitCode::FAILURE
}
