//! The state shared by all brokers: topics, partitions, their leaders and logs.
//!
//! A partition has one log here instead of one for each replica: a committed part that survives a change of leader, and a
//! tail that only the leader has, of which a new leader keeps a random part.

mod config;
pub(crate) mod groups;
pub(crate) mod log;
pub(crate) mod producers;
mod transaction_index;
pub(crate) mod transactions;

use std::collections::{BTreeMap, VecDeque};

pub use self::config::{ClusterSettings, CreateTopicError, LeaderChoice, TopicConfig};
pub(crate) use self::config::{MOST_PARTITIONS, check_topic, is_valid_topic_name};
use self::groups::Groups;
use self::log::{Log, StoredBatch};
use self::transactions::Transactions;
use crate::Moment;
use crate::broker::Fault;
use crate::broker::release::Release;
use crate::random::Random;

/// The identification of a topic in a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TopicRef {
    /// By name.
    Name(String),
    /// By id.
    Id([u8; 16]),
}

/// A broker, as known to the others.
#[derive(Clone, Debug)]
pub struct Member {
    /// The broker's id.
    pub id: i32,
    /// The release that it runs.
    pub release: Release,
    /// True if it is running.
    pub up: bool,
    /// The addresses under which clients can connect, one for each listener.
    pub addresses: Vec<(String, u16)>,
}

impl Member {
    /// Returns the address for clients that are connected to this listener.
    #[must_use]
    pub fn address(&self, listener: usize) -> Option<(String, u16)> {
        self.addresses.get(listener).cloned()
    }
}

/// A topic.
#[derive(Clone, Debug)]
pub struct Topic {
    /// The topic's id.
    pub id: [u8; 16],
    /// The time from which its partitions have leaders.
    pub ready_at: Moment,
    /// Its settings.
    pub config: TopicConfig,
    /// Its partitions.
    pub partitions: Vec<Partition>,
}

/// A partition.
#[derive(Clone, Debug, Default)]
pub struct Partition {
    /// The leader; `None` during an election.
    pub leader: Option<i32>,
    /// The leader epoch.
    pub epoch: i32,
    /// Its log at the leader.
    pub log: Log,
    /// When the log will be committed, and up to which offset.
    replicating: VecDeque<(Moment, i64)>,
    /// Replication is stopped until this time.
    pub frozen_until: Moment,
    /// When the next leader is elected.
    election_at: Option<Moment>,
}

/// The cluster.
#[derive(Debug)]
pub struct Cluster {
    /// Its settings.
    pub settings: ClusterSettings,
    /// Its brokers.
    pub members: Vec<Member>,
    /// Its topics.
    pub topics: BTreeMap<String, Topic>,
    /// The former ids of topics, with their names.
    former: BTreeMap<[u8; 16], String>,
    /// Batches that were lost with the uncommitted end of a log, with their partitions.
    pub lost: Vec<(String, i32, StoredBatch)>,
    /// The assigned producer ids and epochs, in order.
    pub assigned: Vec<(i64, i16)>,
    /// How often anything changed that a request may wait for.
    pub(crate) changes: u64,
    /// Faults that are applied by the first broker that receives a request which they concern.
    pub faults: Vec<Fault>,
    /// The epoch of the finalized features: increases with each change.
    pub(crate) features_epoch: i64,
    next_producer: i64,
    /// The transaction coordinators.
    pub(crate) transactions: Transactions,
    /// The group coordinators.
    pub(crate) groups: Groups,
    random: Random,
}

impl Cluster {
    /// Creates a cluster without topics.
    #[must_use]
    pub fn new(settings: ClusterSettings, releases: &[Release], mut random: Random) -> Self {
        let member = |(id, release): (usize, &Release)| {
            let id = id as i32 + 1;
            let addresses = vec![(crate::broker::host(id), crate::broker::PORT)];
            Member { id, release: *release, up: true, addresses }
        };
        let members = releases.iter().enumerate().map(member).collect();
        let next_producer = 1_000 + random.below(1_000) as i64;
        // Of a copy, so that transactions do not change what else is random.
        let transactions = Transactions::new(random.clone().fork(4));
        Self {
            settings,
            members,
            topics: BTreeMap::new(),
            former: BTreeMap::new(),
            lost: Vec::new(),
            assigned: Vec::new(),
            changes: 0,
            faults: Vec::new(),
            features_epoch: 1,
            next_producer,
            transactions,
            groups: Groups::default(),
            random,
        }
    }

    /// Creates a topic whose partitions have leaders from `ready_at` on.
    pub fn create(&mut self, name: &str, partitions: usize, ready_at: Moment) {
        self.create_with(name, partitions, self.settings.topic, ready_at);
    }

    /// Creates a topic with these settings, whose partitions have leaders from `ready_at` on.
    pub fn create_with(&mut self, name: &str, partitions: usize, config: TopicConfig, ready_at: Moment) {
        let id = self.new_topic_id();
        let partitions = (0..partitions)
            .map(|_| Partition { election_at: Some(ready_at), epoch: -1, ..Partition::default() })
            .collect();
        self.topics.insert(name.to_owned(), Topic { id, ready_at, config, partitions });
    }

    /// Chooses the id of a topic.
    pub(crate) fn new_topic_id(&mut self) -> [u8; 16] {
        let mut id = [0x11; 16];
        id[..8].copy_from_slice(&self.random.draw().to_be_bytes());
        id
    }

    /// Returns a member.
    ///
    /// # Panics
    /// There is no member with this id.
    #[must_use]
    pub fn member(&self, id: i32) -> &Member {
        self.members.iter().find(|member| member.id == id).expect("only ids of members are passed around")
    }

    /// Returns the name of a topic.
    #[must_use]
    pub fn name(&self, topic: &TopicRef) -> Option<String> {
        match topic {
            TopicRef::Name(name) => self.topics.contains_key(name).then(|| name.clone()),
            TopicRef::Id(id) => self.topics.iter().find(|(_, topic)| topic.id == *id).map(|(name, _)| name.clone()),
        }
    }

    /// Returns the name of the topic that has or had this id.
    #[must_use]
    pub fn name_ever(&self, topic: &TopicRef) -> Option<String> {
        let former = || match topic {
            TopicRef::Name(_) => None,
            TopicRef::Id(id) => self.former.get(id).cloned(),
        };
        self.name(topic).or_else(former)
    }

    /// Returns the settings of a topic.
    #[must_use]
    pub fn config(&self, topic: &str) -> TopicConfig {
        self.topics.get(topic).map_or(self.settings.topic, |topic| topic.config)
    }

    /// Returns the time of a wall clock, in milliseconds since the epoch.
    #[must_use]
    pub const fn wall_clock(&self, now: Moment) -> i64 {
        self.settings.started_at_ms + now.as_millis() as i64
    }

    /// Returns a partition.
    #[must_use]
    pub fn partition(&self, topic: &str, partition: i32) -> Option<&Partition> {
        self.topics.get(topic)?.partitions.get(usize::try_from(partition).ok()?)
    }

    /// Returns a partition mutably.
    pub fn partition_mut(&mut self, topic: &str, partition: i32) -> Option<&mut Partition> {
        self.topics.get_mut(topic)?.partitions.get_mut(usize::try_from(partition).ok()?)
    }

    /// Schedules the replication of this partition up to `end`.
    pub fn replicate(&mut self, topic: &str, partition: i32, end: i64, now: Moment) {
        self.changes += 1;
        let Some(longest) = self.settings.replication_ms else {
            if let Some(partition) = self.partition_mut(topic, partition) {
                if now >= partition.frozen_until {
                    partition.log.commit(end);
                } else {
                    partition.replicating.push_back((now, end));
                }
            }
            return;
        };
        let delay = self.random.millis(0, longest);
        if let Some(partition) = self.partition_mut(topic, partition) {
            let at = partition.replicating.back().map_or(now, |(at, _)| *at).max(now + delay);
            partition.replicating.push_back((at, end));
        }
    }

    /// Assigns a new producer id with this epoch.
    pub fn new_producer(&mut self, epoch: i16) -> (i64, i16) {
        self.next_producer += 1;
        self.assign(self.next_producer, epoch)
    }

    /// Assigns this producer id and epoch.
    pub fn assign(&mut self, id: i64, epoch: i16) -> (i64, i16) {
        self.assigned.push((id, epoch));
        (id, epoch)
    }

    /// Deletes a topic and creates it again. (Everything that was ever written stays in the logs, for the laws.)
    pub fn recreate(&mut self, name: &str, now: Moment) {
        // Before topic ids (2.8), the new topic can be distinguished from the old one only by its increasing epochs.
        let has_ids = self.members.iter().all(|member| member.release >= Release::V2_8);
        let id = self.random.draw().to_be_bytes();
        let Some(topic) = self.topics.get_mut(name) else { return };
        self.former.insert(topic.id, name.to_owned());
        topic.id[..8].copy_from_slice(&id);
        for partition in &mut topic.partitions {
            partition.log.expire();
            partition.leader = None;
            partition.replicating.clear();
            partition.election_at = Some(now + Moment::from_millis(20));
            if has_ids {
                partition.epoch = -1;
            }
        }
    }

    /// Adds partitions to a topic.
    pub fn add_partition(&mut self, topic: &str, now: Moment) {
        if let Some(topic) = self.topics.get_mut(topic) {
            topic.partitions.push(Partition { election_at: Some(now), epoch: -1, ..Partition::default() });
        }
    }

    /// Removes a partition's leader; another is elected later.
    pub fn remove_leader(&mut self, topic: &str, partition: i32, without_leader: Moment, now: Moment) {
        let mut random = self.random.fork(partition as u64);
        let Some(found) = self.partition_mut(topic, partition) else { return };
        if found.leader.take().is_none() {
            return;
        }
        let kept = random.below(found.log.uncommitted() as u64 + 1) as usize;
        found.replicating.clear();
        found.election_at = Some(now + without_leader);
        let restarted = random.below(2) == 0;
        let lost = found.log.change_leader(kept, restarted);
        self.lost.extend(lost.into_iter().map(|stored| (topic.to_owned(), partition, stored)));
    }

    /// Sets the leader of a partition, which has the whole log, or removes it. Returns whether the partition and the broker
    /// exist.
    pub fn set_leader(&mut self, topic: &str, partition: i32, leader: Option<i32>) -> bool {
        if leader.is_some_and(|leader| !self.members.iter().any(|member| member.id == leader)) {
            return false;
        }
        let Some(found) = self.partition_mut(topic, partition) else { return false };
        found.election_at = None;
        if found.leader != leader {
            found.leader = leader;
            found.epoch += 1;
            // The new leader has everything, so it is committed.
            let end = found.log.end();
            found.log.commit(end);
            found.replicating.clear();
        }
        true
    }

    /// Deletes the logs of partitions that no broker leads, with the state of their producers.
    pub fn lose_logs(&mut self) {
        for topic in self.topics.values_mut() {
            for partition in topic.partitions.iter_mut().filter(|partition| partition.leader.is_none()) {
                partition.log = Log::default();
                partition.replicating.clear();
            }
        }
    }

    /// Stops a broker: the partitions that it leads lose their leader.
    pub fn down(&mut self, id: i32, without_leader: Moment, now: Moment) {
        for member in &mut self.members {
            member.up &= member.id != id;
        }
        for (topic, partition) in self.led_by(id) {
            self.remove_leader(&topic, partition, without_leader, now);
        }
        self.transactions.coordinators.down(id, without_leader, now);
    }

    /// Starts a broker again, possibly with another release.
    pub fn up(&mut self, id: i32, release: Release) {
        for member in self.members.iter_mut().filter(|member| member.id == id) {
            (member.up, member.release) = (true, release);
        }
    }

    fn led_by(&self, id: i32) -> Vec<(String, i32)> {
        self.all_partitions().into_iter().filter(|(topic, partition)| self.leads(id, topic, *partition)).collect()
    }

    /// Iterates over all partitions.
    #[must_use]
    pub fn all_partitions(&self) -> Vec<(String, i32)> {
        let of = |(name, topic): (&String, &Topic)| {
            (0..topic.partitions.len() as i32).map(|partition| (name.clone(), partition)).collect::<Vec<_>>()
        };
        self.topics.iter().flat_map(of).collect()
    }

    /// Returns true if this broker leads this partition.
    #[must_use]
    pub fn leads(&self, id: i32, topic: &str, partition: i32) -> bool {
        self.partition(topic, partition).is_some_and(|partition| partition.leader == Some(id))
    }

    /// Performs the replication and elections that are due.
    pub fn turn(&mut self, now: Moment) {
        let up: Vec<i32> = self.members.iter().filter(|member| member.up).map(|member| member.id).collect();
        for topic in self.topics.values_mut() {
            for (index, partition) in topic.partitions.iter_mut().enumerate() {
                while let Some((_, end)) =
                    partition.replicating.front().filter(|(at, _)| at.max(&partition.frozen_until) <= &now)
                {
                    partition.log.commit(*end);
                    partition.replicating.pop_front();
                    self.changes += 1;
                }
                if partition.election_at.is_some_and(|at| at <= now) && !up.is_empty() {
                    partition.election_at = None;
                    partition.leader = Some(match self.settings.leaders {
                        LeaderChoice::InTurn => up[index % up.len()],
                        LeaderChoice::Random => *self.random.pick(&up),
                    });
                    partition.epoch += 1;
                    self.changes += 1;
                }
            }
        }
        self.turn_transactions(&up, now);
    }

    /// Returns when there is something to do for [`turn`](Self::turn).
    #[must_use]
    pub fn wakes_at(&self) -> Option<Moment> {
        let anyone_up = self.members.iter().any(|member| member.up);
        let partitions = self.topics.values().flat_map(|topic| &topic.partitions);
        let times = partitions.flat_map(|partition| {
            let commit = partition.replicating.front().map(|(at, _)| *at.max(&partition.frozen_until));
            [commit, partition.election_at.filter(|_| anyone_up)]
        });
        times.flatten().chain(self.transactions_wake_at(anyone_up)).min()
    }
}
