//! Explorations: what producer handles share, each scenario under thousands of schedules of `shuttle`, which decides at each
//! use of a lock or an atomic which thread continues. A wake-up that is lost leaves all threads blocked, which `shuttle`
//! reports as a deadlock. See `exploration/README.md`.

mod blocked;
mod completion;
mod handles;
pub(crate) mod once_lock;
mod oneshot;
mod queue;
mod semaphore;
mod task;
mod topics;
mod wake_flag;

use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::panicking;

use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::{DfsScheduler, PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner};

/// The seed of all schedules, so that a run can be repeated. `EXPLORE_SEED` replaces it.
const SEED: u64 = 20_261_129;

/// The number of preemptions of a schedule of the PCT scheduler, which chooses where they are.
const PREEMPTIONS: usize = 3;

/// The limit of [`explore_all`], so that a scenario that has become too large is noticed.
const MAX_SCHEDULES: usize = 400_000;

/// The stack of each of shuttle's threads, in bytes. Its default of 32 KiB is too little for the driver in a debug build, and
/// going past it ends the process.
const STACK_SIZE: usize = 1 << 19;

/// Runs a scenario with `schedules` random schedules, and with as many that have few preemptions. `EXPLORE_FACTOR` multiplies
/// the number.
fn explore(schedules: usize, scenario: fn()) {
    let seed = variable("EXPLORE_SEED").unwrap_or(SEED);
    let schedules = schedules * variable("EXPLORE_FACTOR").unwrap_or(1) as usize;
    run("random", RandomScheduler::new_from_seed(seed, schedules), scenario);
    run("PCT", PctScheduler::new_from_seed(seed, PREEMPTIONS, schedules), scenario);
}

/// Runs a small scenario with every schedule that it has. It must not call [`any_of`].
fn explore_all(scenario: fn()) {
    let schedules = run("exhaustive", DfsScheduler::new(Some(MAX_SCHEDULES), false), scenario);
    assert!(schedules < MAX_SCHEDULES, "the scenario has too many schedules to try each");
}

/// Returns the number of schedules.
fn run(kind: &str, scheduler: impl Scheduler + 'static, scenario: fn()) -> usize {
    let begun = Arc::new(AtomicUsize::new(0));
    let report = Report { kind, begun: Arc::clone(&begun) };
    let mut config = Config::new();
    config.stack_size = STACK_SIZE;
    let schedules = Runner::new(scheduler, config).run(move || {
        begun.fetch_add(1, Ordering::Relaxed);
        scenario();
    });
    drop(report);
    schedules
}

/// Prints the number of schedules, and whether the last one has failed.
struct Report<'k> {
    kind: &'k str,
    begun: Arc<AtomicUsize>,
}

impl Drop for Report<'_> {
    fn drop(&mut self) {
        let outcome = if panicking() { "schedules, of which the last has failed" } else { "schedules" };
        println!("{}: {} {outcome}", self.kind, self.begun.load(Ordering::Relaxed));
    }
}

fn variable(name: &str) -> Option<u64> {
    env::var(name).ok().map(|value| value.parse().expect("a number"))
}

/// Returns a number below `count`, chosen by the schedule.
fn any_of(count: usize) -> usize {
    thread_rng().gen_range(0..count)
}
