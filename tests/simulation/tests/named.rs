//! Seeds that once failed, each with what was wrong. A seed means what it meant only as long as the generator of
//! schedules is as it was: what they found is therefore told in words, and has a scenario where that can be written.

use kafka_batch_simulation::run::run_twice;
use kafka_batch_simulation::schedule::Schedule;

fn holds(seed: u64) {
    let report = run_twice(&Schedule::from_seed(seed));
    assert!(report.breach.is_none(), "seed {seed}: {}", report.breach.unwrap());
}

/// The world was wrong: the machine had heard of a throttled answer at an earlier `now`, and counted from there, as it
/// may. The tap counts from the latest moment that the machine was told.
#[test]
fn silence_is_counted_from_the_machines_own_now() {
    holds(250);
}

/// The law was wrong: the broker had forgotten the producer, and took the second of two batches in flight while it
/// refused the first for its size. Order cannot be had from such a partition; see `Log::has_forgotten`.
#[test]
fn a_forgotten_producer_may_begin_anywhere() {
    holds(782);
}

/// The broker was wrong: it answered DUPLICATE_SEQUENCE_NUMBER to a batch that it had just refused.
#[test]
fn only_what_was_done_can_be_denied() {
    for seed in [104_057, 106_498, 113_846, 119_140, 119_586] {
        holds(seed);
    }
}
