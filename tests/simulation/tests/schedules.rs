//! Some thousand schedules, each from its seed: what CI runs. The program of this package runs as many as asked for.

use kafka_batch_simulation::run::{run, run_twice};
use kafka_batch_simulation::schedule::Schedule;
use proptest::prelude::*;

/// Runs the schedules of these seeds on so many threads.
fn all_hold(seeds: std::ops::Range<u64>, twice: bool) {
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let seeds = seeds.clone();
            scope.spawn(move || {
                for seed in seeds.filter(|seed| seed % threads == thread) {
                    let schedule = Schedule::from_seed(seed);
                    let report = if twice { run_twice(&schedule) } else { run(&schedule, false, false) };
                    if let Some(breach) = report.breach {
                        panic!("seed {seed} (see it with --seed {seed} --trace --shorten): {breach}");
                    }
                }
            });
        }
    });
}

#[test]
fn the_laws_hold() {
    all_hold(1_000_000..1_002_000, false);
}

#[test]
fn the_same_run_with_its_bytes_cut_anywhere_puts_out_the_same() {
    all_hold(2_000_000..2_000_500, true);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Seeds that nobody chose.
    #[test]
    fn the_laws_hold_for_any_seed(seed in any::<u64>()) {
        let report = run_twice(&Schedule::from_seed(seed));
        prop_assert!(report.breach.is_none(), "{}", report.breach.unwrap());
    }
}
