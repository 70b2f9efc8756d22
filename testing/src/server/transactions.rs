//! Transactions of a running cluster: what a test sees of them and does with them.

use std::time::{Duration, Instant};

use super::TestCluster;
use super::state::State;
use crate::cluster::groups::CommittedOffset;
use crate::cluster::transactions::{CoordinatorKind, Transaction};

/// # Transactions
///
/// Coordinators, markers and groups. A transaction is committed or aborted in each partition by a marker, which its coordinator
/// writes after it has answered EndTxn.
///
/// ```
/// use std::time::Duration;
///
/// use kafka_batch_testing::{ApiKey, CoordinatorKind, Fault, FaultKind, TestCluster};
///
/// let cluster = TestCluster::builder().brokers(3).topic("orders").start()?;
/// cluster.hold_markers("orders", 0); // transactions end later, until then CONCURRENT_TRANSACTIONS (51)
/// let lost = Fault::new(FaultKind::DropResponse).api(ApiKey::EndTxn).transactional_id("shop-1");
/// cluster.inject(lost); // executed, not answered
/// // … a client commits a transaction with the id `shop-1` …
/// cluster.move_coordinator(CoordinatorKind::Transaction, "shop-1", 2); // the former one answers NOT_COORDINATOR (16)
/// cluster.time_out_transaction("shop-1"); // if it is open: its producer is fenced
/// cluster.release_markers();
/// let committed = cluster.log("orders", 0).expect("it exists").committed_values();
/// # assert_eq!(committed.expect("codecs"), Vec::<String>::new());
/// # Ok::<(), std::io::Error>(())
/// ```
impl TestCluster {
    /// Returns what the coordinators know, by ascending transactional id.
    #[must_use]
    pub fn transactions(&self) -> Vec<Transaction> {
        self.shared.read(|engine| engine.cluster.transactions())
    }

    /// Returns what the coordinator knows of a transactional id, or `None` if it was never initialised.
    #[must_use]
    pub fn transaction(&self, transactional_id: &str) -> Option<Transaction> {
        self.shared.read(|engine| engine.cluster.transaction(transactional_id))
    }

    /// Waits until `condition` is true for a transactional id, and returns what the coordinator knows of it; `None` if it is not
    /// within `limit`.
    #[must_use]
    pub fn wait_for_transaction(
        &self,
        transactional_id: &str,
        limit: Duration,
        mut condition: impl FnMut(&Transaction) -> bool,
    ) -> Option<Transaction> {
        self.shared.wait_for(Instant::now().checked_add(limit), |State { engine, .. }| {
            engine.cluster.transaction(transactional_id).filter(|transaction| condition(transaction))
        })
    }

    /// Aborts the open transaction of a transactional id, as if `transaction.timeout.ms` were over: its producer is fenced.
    /// Returns whether there was one, with a coordinator.
    pub fn time_out_transaction(&self, transactional_id: &str) -> bool {
        self.shared.change(|engine, now| engine.cluster.time_out_transaction(transactional_id, now))
    }

    /// Forgets a transactional id without an open transaction, as after `transactional.id.expiration.ms`: requests with it fail
    /// with INVALID_PRODUCER_ID_MAPPING until it is initialised again. Returns whether it was known.
    pub fn forget_transactional_id(&self, transactional_id: &str) -> bool {
        self.shared.change(|engine, _| engine.cluster.forget_transactional_id(transactional_id))
    }

    /// Writes no markers to a partition until they are [released](Self::release_markers): a transaction that has it stays
    /// `PrepareCommit` or `PrepareAbort`, requests are answered with CONCURRENT_TRANSACTIONS, and consumers of committed records
    /// wait.
    pub fn hold_markers(&self, topic: &str, partition: i32) {
        self.shared.change(|engine, _| engine.cluster.hold_markers(topic, partition));
    }

    /// The same for the offsets of a group.
    pub fn hold_group_markers(&self, group: &str) {
        self.shared.change(|engine, _| engine.cluster.hold_group_markers(group));
    }

    /// Writes all markers that are held.
    pub fn release_markers(&self) {
        self.shared.change(|engine, _| engine.cluster.release_markers());
    }

    /// Sets the level of the feature `transaction.version`, 0 to 2. Open transactions go on. Clients hear of it with their next
    /// connection.
    pub fn set_transaction_version(&self, level: i16) {
        self.shared.change(|engine, _| engine.cluster.set_transaction_version(level));
    }

    /// Returns the coordinator of a group or transactional id; `None` if there is none at the moment, or a client never asked.
    #[must_use]
    pub fn coordinator(&self, kind: CoordinatorKind, key: &str) -> Option<i32> {
        self.shared.read(|engine| engine.cluster.coordinator(kind, key))
    }

    /// Makes another broker the coordinator of a group or transactional id, which knows what the former one knew. Returns whether
    /// it exists. (Ids that share a partition of the coordinators' topic move together.)
    pub fn move_coordinator(&self, kind: CoordinatorKind, key: &str, to: i32) -> bool {
        self.shared.change(|engine, now| engine.cluster.set_coordinator(kind, key, Some(to), now))
    }

    /// Removes the coordinator of a group or transactional id until [`move_coordinator`](Self::move_coordinator) sets one.
    pub fn remove_coordinator(&self, kind: CoordinatorKind, key: &str) {
        self.shared.change(|engine, now| engine.cluster.set_coordinator(kind, key, None, now));
    }

    /// Returns the offsets that a group has committed, by topic and partition.
    #[must_use]
    pub fn committed_offsets(&self, group: &str) -> Vec<((String, i32), CommittedOffset)> {
        self.shared.read(|engine| engine.cluster.committed_offsets(group))
    }

    /// Gives a group these members in this generation, as the classic protocol would: from then on only a member with this
    /// generation commits offsets. Static members are named with their `group.instance.id`. (The brokers do not form groups.)
    pub fn set_group_members<'a>(
        &self,
        group: &str,
        generation: i32,
        members: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    ) {
        self.shared.change(|engine, _| engine.cluster.set_group_members(group, generation, members));
    }

    /// Gives a group this member in this epoch, as the new protocol would (KIP-848), which owns these partitions from then on:
    /// offsets are then committed only by a member, with its epoch, or with an earlier one for a partition that it has owned
    /// since then. Members of the classic protocol, if there are any, are removed.
    pub fn set_consumer_group_member<'a>(
        &self,
        group: &str,
        member: &str,
        epoch: i32,
        owned: impl IntoIterator<Item = (&'a str, i32)>,
    ) {
        self.shared.change(|engine, _| engine.cluster.set_consumer_group_member(group, member, epoch, owned));
    }

    /// Removes a member of a group, of either protocol.
    pub fn remove_group_member(&self, group: &str, member: &str) {
        self.shared.change(|engine, _| engine.cluster.remove_group_member(group, member));
    }
}
