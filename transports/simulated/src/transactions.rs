//! The transactions of the cluster, as tests see them.

use kafka_batch_testing::{CommittedOffset, CoordinatorKind, Transaction};

use crate::cluster::SimulatedCluster;

/// # Transactions
impl SimulatedCluster {
    /// Returns what the coordinators know, by ascending transactional id.
    #[must_use]
    pub fn transactions(&self) -> Vec<Transaction> {
        self.read(|state| state.network.engine.cluster.transactions())
    }

    /// Returns what the coordinator knows of a transactional id, or `None` if it was never initialised.
    #[must_use]
    pub fn transaction(&self, transactional_id: &str) -> Option<Transaction> {
        self.read(|state| state.network.engine.cluster.transaction(transactional_id))
    }

    /// Aborts the open transaction of a transactional id, as if `transaction.timeout.ms` were over: its producer is fenced.
    /// Returns whether there was one, with a coordinator.
    #[allow(clippy::must_use_candidate)] // it has an effect, through a `RefCell`
    pub fn time_out_transaction(&self, transactional_id: &str) -> bool {
        self.act(format_args!("the transaction of {transactional_id} times out"), |state, now| {
            state.network.engine.cluster.time_out_transaction(transactional_id, now)
        })
    }

    /// Forgets a transactional id without an open transaction, as after `transactional.id.expiration.ms`. Returns whether it was
    /// known.
    #[allow(clippy::must_use_candidate)] // it has an effect, through a `RefCell`
    pub fn forget_transactional_id(&self, transactional_id: &str) -> bool {
        self.act(format_args!("{transactional_id} is forgotten"), |state, _| {
            state.network.engine.cluster.forget_transactional_id(transactional_id)
        })
    }

    /// Writes no markers to a partition until they are [released](Self::release_markers).
    pub fn hold_markers(&self, topic: &str, partition: i32) {
        self.change(|state, _| state.network.engine.cluster.hold_markers(topic, partition));
    }

    /// The same for the offsets of a group.
    pub fn hold_group_markers(&self, group: &str) {
        self.change(|state, _| state.network.engine.cluster.hold_group_markers(group));
    }

    /// Writes all markers that are held.
    pub fn release_markers(&self) {
        self.change(|state, _| state.network.engine.cluster.release_markers());
    }

    /// Sets the level of the feature `transaction.version`, 0 to 2. Open transactions go on. Clients hear of it with their next
    /// connection.
    pub fn set_transaction_version(&self, level: i16) {
        self.act(format_args!("transaction.version becomes {level}"), |state, _| {
            state.network.engine.cluster.set_transaction_version(level);
        });
    }

    /// Returns the coordinator of a group or transactional id; `None` if there is none at the moment, or a client never asked.
    #[must_use]
    pub fn coordinator(&self, kind: CoordinatorKind, key: &str) -> Option<i32> {
        self.read(|state| state.network.engine.cluster.coordinator(kind, key))
    }

    /// Makes another broker the coordinator of a group or transactional id, which knows what the former one knew. Returns whether
    /// it exists.
    #[allow(clippy::must_use_candidate)] // it has an effect, through a `RefCell`
    pub fn move_coordinator(&self, kind: CoordinatorKind, key: &str, to: i32) -> bool {
        self.act(format_args!("broker {to} becomes the coordinator of {key}"), |state, now| {
            state.network.engine.cluster.set_coordinator(kind, key, Some(to), now)
        })
    }

    /// Removes the coordinator of a group or transactional id until [`move_coordinator`](Self::move_coordinator) sets one.
    pub fn remove_coordinator(&self, kind: CoordinatorKind, key: &str) {
        self.act(format_args!("{key} has no coordinator"), |state, now| {
            state.network.engine.cluster.set_coordinator(kind, key, None, now);
        });
    }

    /// Returns the offsets that a group has committed, by topic and partition.
    #[must_use]
    pub fn committed_offsets(&self, group: &str) -> Vec<((String, i32), CommittedOffset)> {
        self.read(|state| state.network.engine.cluster.committed_offsets(group))
    }

    /// Returns true if an open transaction has an offset of this partition: a consumer with `isolation.level=read_committed`
    /// waits before it reads the group's offset.
    #[must_use]
    pub fn is_offset_pending(&self, group: &str, topic: &str, partition: i32) -> bool {
        self.read(|state| state.network.engine.cluster.is_offset_pending(group, topic, partition))
    }

    /// Gives a group these members in this generation, as the classic protocol would: from then on only a member with this
    /// generation commits offsets. Static members are named with their `group.instance.id`. (The brokers do not form groups.)
    pub fn set_group_members<'a>(
        &self,
        group: &str,
        generation: i32,
        members: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    ) {
        self.act(format_args!("generation {generation} of {group}"), |state, _| {
            state.network.engine.cluster.set_group_members(group, generation, members);
        });
    }

    /// Gives a group this member in this epoch, as the new protocol would (KIP-848), which owns these partitions from then on.
    pub fn set_consumer_group_member<'a>(
        &self,
        group: &str,
        member: &str,
        epoch: i32,
        owned: impl IntoIterator<Item = (&'a str, i32)>,
    ) {
        self.act(format_args!("epoch {epoch} of {member} in {group}"), |state, _| {
            state.network.engine.cluster.set_consumer_group_member(group, member, epoch, owned);
        });
    }

    /// Removes a member of a group, of either protocol.
    pub fn remove_group_member(&self, group: &str, member: &str) {
        self.act(format_args!("{member} leaves {group}"), |state, _| {
            state.network.engine.cluster.remove_group_member(group, member);
        });
    }
}
