//! Kills leaders and restarts nodes cleanly, while the load continues.

use std::fmt;
use std::time::Duration;

use kafka_batch_brokers::Cluster;

use crate::plan::Plan;
use crate::progress::Progress;
use crate::random::Random;
use crate::view::View;
use crate::{PARTITIONS, TOPIC};

/// The time for a clean shutdown, which transfers the leaderships first.
const LIMIT: Duration = Duration::from_secs(120);

/// What was done to the nodes.
#[derive(Debug, Default)]
pub(crate) struct Kills {
    /// Nodes that were killed while they led partitions.
    pub(crate) leaders: u64,
    /// The partitions that they led.
    moved: u64,
    /// Nodes that were restarted cleanly.
    pub(crate) in_good_order: u64,
}

impl fmt::Display for Kills {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "leader kills: {}, of {} partitions; ", self.leaders, self.moved)?;
        write!(f, "clean restarts: {}", self.in_good_order)
    }
}

/// Kills leaders, one after the other.
pub(crate) fn kill_leaders(
    cluster: &mut Cluster,
    view: &View,
    progress: &Progress,
    plan: &Plan,
    report_progress: &dyn Fn(&str),
) -> Kills {
    let mut random = Random::new(plan.seed, 1);
    let mut kills = Kills::default();
    let mut since = 0;
    // The records are divided between the kills and the rolling restart.
    let enough = |since| move |written| written >= since + plan.records_a_kill();
    for number in 1..=plan.kills {
        let counts = progress.wait("records since the last kill", |counts| enough(since)(counts.written));
        let partitions = view.wait_until_whole();
        let victim = partitions[random.below(PARTITIONS as u64) as usize].leader;
        let led = partitions.iter().filter(|partition| partition.leader == victim).count() as u64;
        since = counts.written;
        cluster.kill(victim as usize);
        report_progress(&format!(
            "kill {number}: node {victim}, the leader of {led} partitions of {TOPIC:?}; {counts:?}"
        ));
        view.wait_until_without(victim);
        wait_for_each_partition(progress);
        restart(cluster, victim as usize);
        view.wait_until_whole();
        kills.leaders += 1;
        kills.moved += led;
    }
    kills
}

/// Restarts each node cleanly.
pub(crate) fn restart_each(
    cluster: &mut Cluster,
    view: &View,
    progress: &Progress,
    kills: &mut Kills,
    report_progress: &dyn Fn(&str),
) {
    for node in 0..cluster.node_count() {
        wait_for_each_partition(progress);
        assert!(cluster.stop(node, LIMIT), "node {node} did not shut down cleanly:\n{}", cluster.end_of_log(node));
        report_progress(&format!("node {node} has shut down cleanly; {:?}", progress.counts()));
        view.wait_until_without(node as i32);
        wait_for_each_partition(progress);
        restart(cluster, node);
        view.wait_until_whole();
        kills.in_good_order += 1;
    }
}

/// Waits for the last records of the load.
pub(crate) fn wait_for_all(progress: &Progress, plan: &Plan) {
    wait_for_each_partition(progress);
    progress.wait("all records", |counts| counts.written >= plan.records);
}

fn restart(cluster: &mut Cluster, node: usize) {
    cluster.restart(node).unwrap_or_else(|error| panic!("node {node}: {error}"));
}

/// Waits until the producers have found every leader.
fn wait_for_each_partition(progress: &Progress) {
    let before = progress.counts();
    progress.wait("records of each partition", |counts| {
        counts.by_partition.iter().zip(before.by_partition).all(|(now, before)| *now > before)
    });
}
