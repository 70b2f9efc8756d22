//! The partition leaders known to the client, from metadata and from hints (KIP-951). Older epochs are ignored.

use std::collections::{BTreeMap, BTreeSet};

use kafka_batch_testing::simulated::TopicRef;
use kafka_batch_testing::wire::metadata::MetadataResponse;

use crate::wire::SetResponse;

const UNKNOWN_TOPIC: i16 = 3;
const REPLICA_NOT_AVAILABLE: i16 = 9;
const UNKNOWN_TOPIC_ID: i16 = 100;
const INCONSISTENT_TOPIC_ID: i16 = 103;
const RELIABLE_EPOCHS_SINCE: i16 = 9;

/// What the client knows of the leaders.
#[derive(Debug, Default)]
pub struct KnownLeaders {
    brokers: BTreeSet<i32>,
    topics: BTreeMap<String, Topic>,
}

#[derive(Debug, Default)]
struct Topic {
    id: Vec<u8>,
    /// For each partition: the newest epoch, its leader, and leaders of older epochs.
    partitions: BTreeMap<i32, (i32, Option<i32>, Vec<i32>)>,
}

impl KnownLeaders {
    /// Returns the epoch that the client knows of a partition, if this broker was the leader only in an older
    /// one.
    #[must_use]
    pub fn is_outdated(&self, topic: &str, partition: i32, broker: i32) -> Option<i32> {
        let (epoch, leader, older) = self.topics.get(topic)?.partitions.get(&partition)?;
        (*epoch >= 0 && *leader != Some(broker) && older.contains(&broker)).then_some(*epoch)
    }

    /// Records a response to this version of Metadata. Epochs of versions before 9 are not used, as in the Java client: brokers
    /// may report old ones (KAFKA-9212).
    pub fn metadata(&mut self, version: i16, response: &MetadataResponse) {
        if response.error_code != 0 {
            *self = Self::default();
        }
        if response.brokers.is_empty() {
            return;
        }
        self.brokers = response.brokers.iter().map(|broker| broker.node_id).collect();
        for described in &response.topics {
            let Some(name) = &described.name else { continue };
            if described.error_code != 0 {
                self.topics.remove(name.as_str());
                continue;
            }
            let topic = self.topics.entry(name.to_string()).or_default();
            let id = described.topic_id.to_vec();
            if topic.id != id {
                *topic = Topic { id, partitions: BTreeMap::new() };
            }
            for partition in &described.partitions {
                let leader = partition.leader_id;
                let good = matches!(partition.error_code, 0 | REPLICA_NOT_AVAILABLE) && self.brokers.contains(&leader);
                let epoch = if version >= RELIABLE_EPOCHS_SINCE { partition.leader_epoch } else { -1 };
                topic.learn(partition.partition_index, epoch, Some(leader).filter(|_| good));
            }
        }
    }

    /// Records a response to Produce. `name` returns the names of topics that are identified by ids.
    pub fn produced<'a>(
        &mut self,
        sets: impl Iterator<Item = &'a SetResponse>,
        endpoints: &[(i32, String, i32)],
        name: impl Fn(&TopicRef) -> Option<String>,
    ) {
        for set in sets {
            let Some(topic) = name(&set.topic).and_then(|name| self.topics.get_mut(&name)) else { continue };
            match set.code {
                UNKNOWN_TOPIC | UNKNOWN_TOPIC_ID | INCONSISTENT_TOPIC_ID => topic.partitions.clear(),
                _ => {
                    let Some((leader, epoch)) = set.leader else { continue };
                    let is_newer = topic.partitions.get(&set.partition).is_some_and(|known| epoch > known.0);
                    let is_known = self.brokers.contains(&leader) || endpoints.iter().any(|(id, ..)| *id == leader);
                    if is_newer && is_known {
                        topic.learn(set.partition, epoch, Some(leader));
                    }
                }
            }
        }
    }
}

impl Topic {
    fn learn(&mut self, partition: i32, epoch: i32, leader: Option<i32>) {
        let known = self.partitions.entry(partition).or_insert((epoch, None, Vec::new()));
        if epoch >= known.0 || epoch < 0 {
            if epoch > known.0 {
                known.2.extend(known.1);
            }
            (known.0, known.1) = (epoch, leader);
        }
    }
}
