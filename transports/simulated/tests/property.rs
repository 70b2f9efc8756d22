//! The proptest adapter: schedules of faults as inputs, which shrink.

use std::time::Duration;

use kafka_batch_simulated::proptest::{Run, runs};
use kafka_batch_simulated::{Simulation, World};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

/// Sends an order, and wrongly expects that this never takes longer than two seconds.
async fn impatient(world: World) {
    let sent = world.producer().send("orders", "three books").await;
    world.note(format!("{sent:?}"));
    assert!(world.elapsed() < Duration::from_secs(2), "too late");
}

/// Sends an order, and expects that an acknowledged one is stored once.
async fn patient(world: World) {
    let sent = world.producer().send("orders", "three books").await;
    let stored: usize = world.cluster().logs("orders").iter().map(|log| log.values().unwrap().len()).sum();
    assert!(sent.is_err() || stored == 1, "{sent:?}, stored {stored} times");
}

fn runner() -> TestRunner {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    TestRunner::new_with_rng(Config { cases: 256, failure_persistence: None, ..Config::default() }, rng)
}

#[test]
fn a_property_that_holds_holds_for_random_schedules() {
    let simulation = Simulation::new();
    runner().run(&runs(3), |run| run.check(&simulation, patient)).unwrap();
}

#[test]
fn a_failing_schedule_shrinks_to_few_faults() {
    let simulation = Simulation::new();
    let check = |run: &Run| -> Result<(), TestCaseError> { run.check(&simulation, impatient) };
    let Err(TestError::Fail(report, run)) = runner().run(&runs(3), |run| check(&run)) else {
        panic!("256 schedules do not delay an order by two seconds");
    };
    assert!((1..=2).contains(&run.schedule.faults.len()), "{run:?}");
    assert!(run.schedule.latency_ms <= 2, "{run:?}");
    for part in ["panicked: too late", "note: ", "*** fault"] {
        assert!(report.to_string().contains(part), "{part:?} is missing in {report}");
    }
    let mut without = run;
    without.schedule.faults.clear();
    check(&without).unwrap();
}
