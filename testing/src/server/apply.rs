//! Lets faults happen that are values.

use super::TestCluster;
use crate::ClusterFault;

impl TestCluster {
    /// Lets a fault happen now. Returns whether the brokers, topics and partitions exist that it names; if not, nothing
    /// happens.
    ///
    /// # Panics
    /// A broker is to start again, and another program has taken its port meanwhile.
    pub fn apply(&self, fault: &ClusterFault) -> bool {
        let has_broker = |broker| self.shared.read(|engine| engine.brokers.iter().any(|other| other.id == broker));
        match fault {
            ClusterFault::Request(fault) => self.inject(fault.clone()),
            ClusterFault::Cut { broker } if has_broker(*broker) => self.cut(*broker),
            ClusterFault::CutAfter { broker, direction, bytes } if has_broker(*broker) => {
                self.cut_after(*broker, *direction, *bytes);
            }
            ClusterFault::SlowDisk { broker, delay } if has_broker(*broker) => self.slow_disk(*broker, *delay),
            ClusterFault::Cut { .. } | ClusterFault::CutAfter { .. } | ClusterFault::SlowDisk { .. } => return false,
            ClusterFault::Kill { broker } => return self.kill(*broker),
            ClusterFault::Restart { broker, remembers_producers } => {
                if !remembers_producers {
                    self.forget_producers_of(*broker);
                }
                return self.kill(*broker) && self.restart(*broker).expect("the port of the broker is free");
            }
            ClusterFault::MoveLeader { topic, partition, to } => return self.move_leader(topic, *partition, *to),
            ClusterFault::RemoveLeader { topic, partition } => return self.remove_leader(topic, *partition),
            ClusterFault::StopReplication { topic, partition, time } => {
                return self.stop_replication(topic, *partition, *time);
            }
            ClusterFault::RejectIdentities { which, code } => self.reject_identities(*which, *code),
            ClusterFault::ForgetProducers { topic, partition } => return self.forget_producers(topic, *partition),
            ClusterFault::ForgetTopic { topic } => return self.forget_topic(topic),
        }
        true
    }

    /// Forgets the producers of all partitions that a broker leads.
    fn forget_producers_of(&self, broker: i32) {
        self.shared.change(|engine, _| {
            let partitions = engine.cluster.topics.values_mut().flat_map(|topic| &mut topic.partitions);
            partitions.filter(|partition| partition.leader == Some(broker)).for_each(|partition| {
                partition.log.forget_producers();
            });
        });
    }
}
