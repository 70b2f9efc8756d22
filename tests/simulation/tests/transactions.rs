//! Some hundred schedules of transactional producers, as run by CI. The program of this package runs any number
//! (`--transactions`).

use std::sync::atomic::{AtomicU64, Ordering};

use kafka_batch_simulation::transactions::{Counts, check_plan};

/// The number of plans, each with 64 schedules.
const PLANS: u64 = 8;
/// The first plan.
const FIRST: u64 = 1_000;

#[test]
fn the_laws_hold() {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicU64::new(FIRST);
    let counts = std::sync::Mutex::new(Counts::default());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let plan = next.fetch_add(1, Ordering::Relaxed);
                    if plan >= FIRST + PLANS {
                        return;
                    }
                    match check_plan(plan) {
                        Ok(of_plan) => *counts.lock().unwrap() += of_plan,
                        Err(failure) => panic!("{failure}"),
                    }
                }
            });
        }
    });
    let counts = counts.into_inner().unwrap();
    println!("{counts:?}");
    let each = [counts.committed, counts.not_committed, counts.fenced, counts.untold, counts.inputs];
    assert!(each.iter().all(|count| *count > 20), "what the laws are about happens: {counts:?}");
}
