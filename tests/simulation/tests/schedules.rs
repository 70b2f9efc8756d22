//! Some thousand schedules, each from its seed, as run by CI. The program of this package runs any number.

use kafka_batch_simulation::run::{run, run_twice};
use kafka_batch_simulation::schedule::Schedule;
use proptest::prelude::*;

/// Runs the schedules of these seeds on this many threads.
fn all_hold(seeds: std::ops::Range<u64>, twice: bool) {
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let seeds = seeds.clone();
            scope.spawn(move || {
                for seed in seeds.filter(|seed| seed % threads == thread) {
                    let schedule = Schedule::from_seed(seed);
                    let report = if twice { run_twice(&schedule) } else { run(&schedule, false, false) };
                    if let Some(violation) = report.violation {
                        panic!("seed {seed} (see it with --seed {seed} --trace --shorten): {violation}");
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
fn outputs_do_not_depend_on_how_received_bytes_are_split() {
    all_hold(2_000_000..2_000_500, true);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Random seeds.
    #[test]
    fn the_laws_hold_for_any_seed(seed in any::<u64>()) {
        let report = run_twice(&Schedule::from_seed(seed));
        prop_assert!(report.violation.is_none(), "{}", report.violation.unwrap());
    }
}
