//! The state shared by all brokers: topics, partitions, their leaders and logs.
//!
//! A partition has one log here instead of one for each replica: a committed part that survives a change of leader, and a
//! tail that only the leader has, of which a new leader keeps a random part.

pub mod log;
pub mod producers;

use std::collections::{BTreeMap, VecDeque};

use self::log::{Log, Stored};
use crate::Moment;
use crate::broker::release::Release;
use crate::random::Random;
use crate::wire::produce::TopicRef;

/// A broker, as known to the others.
#[derive(Clone, Debug)]
pub struct Member {
    /// The broker's id.
    pub id: i32,
    /// The release that it runs.
    pub release: Release,
    /// True if it is running.
    pub up: bool,
}

/// A topic.
#[derive(Clone, Debug)]
pub struct Topic {
    /// The topic's id.
    pub id: [u8; 16],
    /// The time from which its partitions have leaders.
    pub ready_at: Moment,
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

/// The settings of a cluster.
#[derive(Clone, Debug)]
pub struct ClusterSettings {
    /// True if topics are created when they are requested.
    pub auto_create: bool,
    /// The number of partitions of such a topic.
    pub default_partitions: usize,
    /// `max.message.bytes`.
    pub max_message_bytes: usize,
    /// The maximum time that replication takes, in milliseconds.
    pub replication_ms: u64,
    /// True if clients have to authenticate.
    pub sasl: bool,
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
    pub lost: Vec<(String, i32, Stored)>,
    /// The assigned producer ids and epochs, in order.
    pub assigned: Vec<(i64, i16)>,
    next_producer: i64,
    random: Random,
}

impl Cluster {
    /// Creates a cluster without topics.
    #[must_use]
    pub fn new(settings: ClusterSettings, releases: &[Release], mut random: Random) -> Self {
        let member = |(id, release): (usize, &Release)| Member { id: id as i32 + 1, release: *release, up: true };
        let members = releases.iter().enumerate().map(member).collect();
        let next_producer = 1_000 + random.below(1_000) as i64;
        Self {
            settings,
            members,
            topics: BTreeMap::new(),
            former: BTreeMap::new(),
            lost: Vec::new(),
            assigned: Vec::new(),
            next_producer,
            random,
        }
    }

    /// Creates a topic whose partitions have leaders from `ready_at` on.
    pub fn create(&mut self, name: &str, partitions: usize, ready_at: Moment) {
        let mut id = [0x11; 16];
        id[..8].copy_from_slice(&self.random.draw().to_be_bytes());
        let partitions = (0..partitions)
            .map(|_| Partition { election_at: Some(ready_at), epoch: -1, ..Partition::default() })
            .collect();
        self.topics.insert(name.to_owned(), Topic { id, ready_at, partitions });
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
        let delay = self.random.millis(0, self.settings.replication_ms);
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

    /// Stops a broker: the partitions that it leads lose their leader.
    pub fn down(&mut self, id: i32, without_leader: Moment, now: Moment) {
        for member in &mut self.members {
            member.up &= member.id != id;
        }
        for (topic, partition) in self.led_by(id) {
            self.remove_leader(&topic, partition, without_leader, now);
        }
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
            for partition in &mut topic.partitions {
                while let Some((_, end)) =
                    partition.replicating.front().filter(|(at, _)| at.max(&partition.frozen_until) <= &now)
                {
                    partition.log.commit(*end);
                    partition.replicating.pop_front();
                }
                if partition.election_at.is_some_and(|at| at <= now) && !up.is_empty() {
                    partition.election_at = None;
                    partition.leader = Some(*self.random.pick(&up));
                    partition.epoch += 1;
                }
            }
        }
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
        times.flatten().min()
    }
}
