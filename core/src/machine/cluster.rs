//! The known metadata of the cluster: brokers, partition leaders, topic ids. Stale metadata responses change nothing.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::verdict::{TopicVerdict, metadata};
use crate::protocol::{
    ApiKey, BrokerError, ErrorCode, LeaderIdAndEpoch, MetadataBroker, MetadataResponse, MetadataTopic, NodeEndpoint,
    Uuid,
};

/// Where a broker can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

/// The known metadata of the cluster.
#[derive(Debug, Default)]
pub(super) struct Cluster {
    brokers: BTreeMap<i32, Address>,
    /// The racks of those brokers that have one.
    racks: BTreeMap<i32, String>,
    topics: BTreeMap<String, Topic>,
    /// Increases with every change of a leader or broker.
    revision: u64,
}

#[derive(Debug)]
struct Topic {
    /// Whether it was requested since the last call of [`Cluster::forget_unused`].
    used: bool,
    id: Uuid,
    /// The error of the topic in the last response.
    error: Option<BrokerError>,
    /// Whether it existed in any response.
    has_existed: bool,
    partitions: BTreeMap<i32, Leadership>,
    /// Why partitions have no leader, by the last response.
    leaderless: BTreeMap<i32, BrokerError>,
}

#[derive(Clone, Copy, Debug)]
struct Leadership {
    leader: Option<i32>,
    /// −1 if the brokers report no leader epochs.
    epoch: i32,
    /// How many consecutive responses named a leader with a lower epoch while no leader was known.
    stale_responses: u8,
}

impl Leadership {
    const fn new(leader: Option<i32>, epoch: i32) -> Self {
        Self { leader, epoch, stale_responses: 0 }
    }

    /// Returns what is known after a response with a lower epoch.
    const fn after_stale(mut self, leader: Option<i32>, epoch: i32) -> Self {
        if self.leader.is_some() || leader.is_none() {
            return self;
        }
        self.stale_responses += 1;
        if self.stale_responses < STALE_EPOCHS_ACCEPTED_AFTER { self } else { Self::new(leader, epoch) }
    }
}

/// The origin of a metadata response, and what was requested.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    /// The broker, if its id is known.
    pub(super) broker: Option<i32>,
    /// The version of Metadata.
    pub(super) version: i16,
    /// The requested topics, in their order. Others in the response are ignored.
    pub(super) requested: &'a [String],
}

/// The first version of Metadata whose leader epochs are used, as in the Java client. With older versions, brokers may
/// report old epochs while replicas are reassigned (KAFKA-9212).
const RELIABLE_EPOCHS_SINCE: i16 = 9;

/// After how many consecutive responses a lower epoch is accepted while no leader is known: on brokers without topic
/// ids, the epochs of a recreated topic start at 0 (KAFKA-12257).
const STALE_EPOCHS_ACCEPTED_AFTER: u8 = 5;

/// What a metadata response changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct MetadataChanges {
    /// The response contains no brokers, and is ignored.
    pub(super) has_no_brokers: bool,
    /// Start again from the bootstrap servers.
    pub(super) rebootstrap: bool,
    /// Topics that a broker refused, with the error, which is not retriable.
    pub(super) refused: Vec<(String, BrokerError)>,
    /// Topics that were recreated: another id under the same name.
    pub(super) recreated: Vec<String>,
}

impl Cluster {
    /// Applies a metadata response.
    pub(super) fn apply(&mut self, response: &MetadataResponse, source: Source<'_>) -> MetadataChanges {
        let mut changes = MetadataChanges::default();
        self.revision += 1;
        if metadata(response.error_code) == TopicVerdict::Rebootstrap {
            changes.rebootstrap = true;
            return changes;
        }
        if response.brokers.is_empty() {
            changes.has_no_brokers = true;
            return changes;
        }
        self.brokers = response.brokers.iter().filter_map(address).collect();
        let racks = response.brokers.iter().filter_map(|broker| Some((broker.node_id, broker.rack.clone()?)));
        self.racks = racks.collect();
        for topic in &response.topics {
            let Some(name) = topic.name.as_ref().filter(|name| source.requested.binary_search(name).is_ok()) else {
                continue;
            };
            let error = || {
                BrokerError::new(ApiKey::Metadata, topic.error_code)
                    .with_version(source.version)
                    .with_broker(source.broker)
            };
            match metadata(topic.error_code) {
                TopicVerdict::Known => {
                    if self.update_topic(name, topic, source) {
                        changes.recreated.push(name.clone());
                    }
                }
                TopicVerdict::Fail => {
                    changes.refused.push((name.clone(), error()));
                    self.topics.remove(name);
                }
                TopicVerdict::Retry | TopicVerdict::Rebootstrap => {
                    let has_existed = self.topics.get(name).is_some_and(|topic| topic.has_existed);
                    self.topics.insert(name.clone(), Topic { has_existed, ..Topic::unknown(Some(error())) });
                }
            }
        }
        changes
    }

    /// Discards everything, to start again from the bootstrap servers.
    pub(super) fn discard(&mut self) {
        *self = Self { revision: self.revision + 1, ..Self::default() };
    }

    /// Applies the metadata of one topic. Returns `true` if the topic was recreated.
    fn update_topic(&mut self, name: &str, update: &MetadataTopic, source: Source<'_>) -> bool {
        let has_reliable_epochs = source.version >= RELIABLE_EPOCHS_SINCE;
        let known = self.topics.entry(name.into()).or_insert_with(|| Topic::unknown(None));
        let recreated = !known.id.is_zero() && !update.topic_id.is_zero() && known.id != update.topic_id;
        let mut before = core::mem::take(&mut known.partitions);
        if recreated {
            before.clear();
        }
        known.used = true;
        known.has_existed = true;
        known.error = None;
        known.leaderless.clear();
        if !update.topic_id.is_zero() {
            known.id = update.topic_id;
        }
        for partition in &update.partitions {
            // REPLICA_NOT_AVAILABLE: some replica is down, and the leader is valid.
            let good = matches!(partition.error_code, ErrorCode::NONE | ErrorCode::REPLICA_NOT_AVAILABLE);
            let leader = Some(partition.leader_id).filter(|id| good && self.brokers.contains_key(id));
            if leader.is_none() {
                let code = if good { ErrorCode::LEADER_NOT_AVAILABLE } else { partition.error_code };
                let error =
                    BrokerError::new(ApiKey::Metadata, code).with_version(source.version).with_broker(source.broker);
                let message = format!("partition {} has no leader", partition.partition_index);
                known.leaderless.insert(partition.partition_index, error.with_message(message));
            }
            let epoch = if has_reliable_epochs { partition.leader_epoch } else { -1 };
            let now = match before.remove(&partition.partition_index) {
                Some(before) if epoch >= 0 && epoch < before.epoch => before.after_stale(leader, epoch),
                _ => Leadership::new(leader, epoch),
            };
            known.partitions.insert(partition.partition_index, now);
        }
        recreated
    }

    /// Returns why a partition has no leader, if a broker reported it.
    pub(super) fn leaderless(&self, topic: &str, partition: i32) -> Option<&BrokerError> {
        self.topics.get(topic)?.leaderless.get(&partition)
    }

    /// Applies the current leader of a Produce response (KIP-951). Returns `true` if it is newer than what was known.
    pub(super) fn hint(
        &mut self,
        topic: &str,
        partition: i32,
        hint: LeaderIdAndEpoch,
        endpoints: &[NodeEndpoint],
    ) -> bool {
        let known = self.topics.get_mut(topic).and_then(|topic| topic.partitions.get_mut(&partition));
        let Some(known) = known else { return false };
        if hint.leader_epoch <= known.epoch {
            return false;
        }
        let endpoint = endpoints.iter().find(|endpoint| endpoint.node_id == hint.leader_id);
        if let Some((endpoint, Ok(port))) = endpoint.map(|endpoint| (endpoint, u16::try_from(endpoint.port))) {
            self.brokers.insert(hint.leader_id, Address { host: endpoint.host.clone(), port });
            self.revision += 1;
        }
        if !self.brokers.contains_key(&hint.leader_id) {
            return false;
        }
        *known = Leadership::new(Some(hint.leader_id), hint.leader_epoch);
        self.revision += 1;
        true
    }

    /// Records the address of a broker that a response to FindCoordinator has named.
    pub(super) fn add_broker(&mut self, id: i32, host: String, port: u16) {
        let address = Address { host, port };
        if self.brokers.get(&id) != Some(&address) {
            self.brokers.insert(id, address);
            self.revision += 1;
        }
    }

    /// Records that the broker does not lead the partition: no leader is known until the next metadata. If the broker
    /// does not even know the partition, the known epoch is discarded too.
    pub(super) fn forget_leader(&mut self, topic: &str, partition: i32, leader: i32, code: Option<ErrorCode>) {
        self.revision += 1;
        let Some(topic) = self.topics.get_mut(topic) else { return };
        if let Some(known) = topic.partitions.get_mut(&partition).filter(|known| known.leader == Some(leader)) {
            known.leader = None;
            if code == Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) {
                known.epoch = -1;
            }
        }
        if matches!(code, Some(ErrorCode::UNKNOWN_TOPIC_ID | ErrorCode::INCONSISTENT_TOPIC_ID)) {
            topic.id = Uuid::ZERO;
            for known in topic.partitions.values_mut() {
                *known = Leadership::new(None, -1);
            }
        }
    }

    /// Forgets the topics that were not requested since the last call and are not in use.
    pub(super) fn forget_unused(&mut self, is_used: impl Fn(&str) -> bool) {
        self.revision += 1;
        self.topics.retain(|name, topic| core::mem::take(&mut topic.used) || is_used(name));
    }

    /// Returns `true` if no topic is known.
    pub(super) fn is_unused(&self) -> bool {
        self.topics.is_empty()
    }

    /// Returns a number that increases with every change of a leader or broker.
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// Returns `true` if the address of this broker is known.
    pub(super) fn has_broker(&self, id: i32) -> bool {
        self.brokers.contains_key(&id)
    }

    /// Returns the leader of the partition, if it is known.
    pub(super) fn leader(&self, topic: &str, partition: i32) -> Option<i32> {
        let leader = self.topics.get(topic)?.partitions.get(&partition)?.leader?;
        self.brokers.contains_key(&leader).then_some(leader)
    }

    /// Returns the topic's id, or zero if it is not known.
    pub(super) fn topic_id(&self, topic: &str) -> Uuid {
        self.topics.get(topic).map_or(Uuid::ZERO, |topic| topic.id)
    }

    /// Returns the number of partitions of a topic, if it is known.
    pub(super) fn partition_count(&self, topic: &str) -> Option<u32> {
        let known = self.topics.get(topic).filter(|known| known.error.is_none())?;
        let last = known.partitions.keys().next_back()?;
        u32::try_from(*last).ok()?.checked_add(1)
    }

    /// Returns the partitions of a topic whose leaders are in this rack, in ascending order.
    pub(super) fn led_in_rack<'c>(&'c self, topic: &str, rack: &'c str) -> impl Iterator<Item = i32> + 'c {
        let partitions = self.topics.get(topic).into_iter().flat_map(|topic| &topic.partitions);
        let is_near = move |leader: &i32| self.racks.get(leader).is_some_and(|other| other == rack);
        partitions.filter(move |(_, known)| known.leader.as_ref().is_some_and(is_near)).map(|(number, _)| *number)
    }

    /// Returns the error of the topic in the last response, if there was one.
    pub(super) fn error(&self, topic: &str) -> Option<&BrokerError> {
        self.topics.get(topic)?.error.as_ref()
    }

    /// Returns `true` if a broker does not know a topic that was known before. The broker may also be behind the others.
    pub(super) fn is_deleted(&self, topic: &str) -> bool {
        let is_unknown = |code| matches!(code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::UNKNOWN_TOPIC_ID);
        let topic = self.topics.get(topic).filter(|topic| topic.has_existed);
        topic.and_then(|topic| topic.error.as_ref()).is_some_and(|error| is_unknown(error.code))
    }

    pub(super) fn address(&self, broker: i32) -> Option<&Address> {
        self.brokers.get(&broker)
    }

    pub(super) fn brokers(&self) -> impl Iterator<Item = i32> + '_ {
        self.brokers.keys().copied()
    }
}

impl Topic {
    fn unknown(error: Option<BrokerError>) -> Self {
        let (partitions, leaderless) = (BTreeMap::new(), BTreeMap::new());
        Self { used: true, id: Uuid::ZERO, error, has_existed: false, partitions, leaderless }
    }
}

fn address(broker: &MetadataBroker) -> Option<(i32, Address)> {
    let port = u16::try_from(broker.port).ok()?;
    Some((broker.node_id, Address { host: broker.host.clone(), port }))
}

#[cfg(test)]
mod tests;
