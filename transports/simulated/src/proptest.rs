//! Strategies for property-based tests: seeds and schedules of faults, which shrink to fewer faults.
//!
//! ```
//! use kafka_batch_simulated::{Simulation, proptest::runs};
//! use proptest::prelude::*;
//!
//! proptest!(ProptestConfig::with_cases(16), |(run in runs(3), orders in 1_usize..20)| {
//!     run.check(&Simulation::new().brokers(3), move |world| async move {
//!         let producer = world.producer();
//!         for order in 0..orders {
//!             let _ = producer.send("orders", format!("order {order}")).await;
//!         }
//!     })?;
//! });
//! ```

use std::future::Future;
use std::time::Duration;

use kafka_batch_testing::simulated::Random;
use proptest::prelude::{Strategy, any};
use proptest::test_runner::TestCaseError;

use crate::faults::{KINDS, action};
use crate::simulation::{Outcome, Simulation};
use crate::world::World;
use crate::{FaultSchedule, ScheduledFault};

/// A seed with a schedule of faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The seed of everything else: the order of tasks, latencies, the choices of brokers.
    pub seed: u64,
    /// The faults.
    pub schedule: FaultSchedule,
}

impl Run {
    /// Runs a future with these faults.
    ///
    /// # Errors
    /// The run failed. The error has the report.
    pub fn check<F: Future<Output: Outcome> + 'static>(
        &self,
        simulation: &Simulation,
        function: impl Fn(World) -> F,
    ) -> Result<(), TestCaseError> {
        let run = simulation.run_once(self.seed, &self.schedule, false, &function).0;
        if run.is_ok() {
            return Ok(());
        }
        match simulation.run_with(self.seed, &self.schedule, function) {
            Ok(_) => Err(TestCaseError::fail(crate::Cause::NotDeterministic.to_string())),
            Err(failure) => Err(TestCaseError::fail(failure.to_string())),
        }
    }
}

/// Returns runs for a cluster of this many brokers, with up to 12 faults. They shrink to fewer and earlier faults, and to a
/// network without latency.
///
/// # Panics
/// There are no brokers.
pub fn runs(brokers: usize) -> impl Strategy<Value = Run> {
    assert!(brokers > 0, "a cluster has at least one broker");
    let faults = proptest::collection::vec(fault(brokers), 0..=12);
    let links = (proptest::sample::select(vec![0, 2, 20, 150]), proptest::sample::select(vec![0, 10, 60]));
    (any::<u64>(), links, faults).prop_map(|(seed, (latency_ms, pieces_percent), mut faults)| {
        faults.sort_by_key(|fault| fault.at);
        Run { seed, schedule: FaultSchedule { latency_ms, pieces_percent, faults } }
    })
}

/// Returns faults of a cluster of this many brokers.
fn fault(brokers: usize) -> impl Strategy<Value = ScheduledFault> {
    // The times of most faults are in the first seconds, in which most code is busy.
    let at = proptest::prop_oneof![0_u64..50, 0_u64..500, 0_u64..5_000, 0_u64..60_000];
    (at, 0..KINDS, any::<u64>()).prop_map(move |(at, kind, seed)| ScheduledFault {
        at: Duration::from_millis(at),
        action: action(kind, brokers, &mut Random::new(seed)),
    })
}
