//! The end of a run: faults cease, and what is open comes to its end.

use std::time::Duration;

use kafka_batch_simulated::World;

use super::plan::{OUTPUT, PARTITIONS};

/// When the last fault of a schedule is over: the last one begins within a minute, and lasts 40 seconds at most.
const FAULTS_END: Duration = Duration::from_secs(110);
/// After this time, every request that was sent is executed or lost: when faults cease, brokers delay one of each connection by up
/// to 35 seconds still (drawn in `faults.rs` and `transaction_faults.rs` of kafka-batch-simulated), and no other.
const IN_TRANSIT: Duration = Duration::from_secs(36);
/// The time in which every transaction has to come to its end then: `transaction.timeout.ms` is a minute at most.
const LIMIT: u32 = 200;

/// Waits until faults have ceased and every transaction has ended.
pub(super) async fn settle(world: &World) -> Result<(), String> {
    world.sleep(FAULTS_END.saturating_sub(world.elapsed())).await;
    let cluster = world.cluster();
    cluster.end_faults();
    cluster.release_markers();
    cluster.release_held();
    // Until then, a request of a producer that is gone may still fence its successor.
    world.sleep(IN_TRANSIT).await;
    let is_stable = |partition| cluster.log(OUTPUT, partition).is_some_and(|log| log.last_stable_offset() == log.end());
    for _ in 0..LIMIT {
        if (0..PARTITIONS).all(is_stable) {
            return Ok(());
        }
        world.sleep(Duration::from_secs(1)).await;
    }
    Err(format!("the last stable offset reaches the end: {:?}", cluster.transactions()))
}
