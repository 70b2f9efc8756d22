//! The actions of a schedule on a world: commands of the application, and faults.

use kafka_batch_core::TopicPartition;
use kafka_batch_core::machine::{CloseMode, MachineSendErrorKind};
use kafka_batch_testing::{Fault, RejectedProducerIds, Release};

use super::World;
use crate::Moment;
use crate::contents::{BatchSpec, Serial, fill};
use crate::laws::Violation;
use crate::laws::history::AcceptedBatch;

/// An action of the application, or a fault.
#[derive(Clone, Debug)]
pub enum Action {
    /// The application sends a batch.
    Send {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The contents.
        spec: BatchSpec,
    },
    /// The application requests a flush.
    Flush,
    /// The application looks up a topic.
    LookupTopic(String),
    /// The application closes the producer.
    Close(CloseMode),
    /// A fault is applied to a later request.
    Inject(i32, Fault),
    /// A partition loses its leader, and gets another one after this time.
    RemoveLeader(String, i32, Moment),
    /// A broker stops, and restarts after this time, with this release; its partitions get leaders after the other
    /// time.
    Down(i32, Moment, Moment, Release),
    /// All connections with a broker are lost.
    Cut(i32),
    /// Connections with a broker are cut after this many more bytes, in one direction.
    CutAfter(i32, usize, bool),
    /// Connections with a broker stall, in one direction.
    Stall(i32, Moment, bool),
    /// A broker refuses connections for this time, or does not respond to them.
    Refuse(i32, Moment, bool),
    /// Replication of a partition stops.
    Freeze(String, i32, Moment),
    /// All records of a partition are deleted and its producers forgotten, if nothing is in flight to it.
    Expire(String, i32),
    /// A topic is deleted and created again, if nothing is in flight to it: with another id, without records and
    /// producers.
    Recreate(String),
    /// A topic gets another partition.
    AddPartition(String),
    /// A broker, or all, reject these producer ids and epochs from now on, with this error code.
    RejectIdentities(Option<i32>, RejectedProducerIds, i16),
    /// The faults end, also those that have not happened yet.
    EndFaults,
}

impl World {
    /// Performs the action.
    pub fn act(&mut self, action: &Action) -> Result<(), Violation> {
        self.note(|| format!("== {action:?}"));
        let now = self.now;
        match action {
            Action::Send { topic, partition, spec } => {
                self.send(topic, *partition, *spec)?;
            }
            Action::Flush => {
                let at = self.perhaps_earlier();
                let flush = self.machine.flush(at);
                if !self.closed {
                    let open = self.history.accepted_batches.iter().filter(|(_, accepted)| accepted.outcome.is_none());
                    self.flushes.insert(flush, open.map(|(serial, _)| *serial).collect());
                }
            }
            Action::LookupTopic(topic) => self.machine.lookup_topic(topic, now),
            Action::Close(mode) => {
                let at = self.perhaps_earlier();
                self.machine.close(*mode, at);
            }
            Action::Inject(broker, fault) => {
                if let Some(broker) = self.brokers.iter_mut().find(|other| other.id == *broker) {
                    broker.inject(fault.clone());
                }
            }
            Action::RemoveLeader(topic, partition, without) => {
                self.count("leader moved");
                self.cluster.remove_leader(topic, *partition, *without, now);
            }
            Action::Down(broker, back_after, without, release) => {
                self.count("broker down");
                self.cluster.down(*broker, *without, now);
                self.returns.insert(*broker, (now + *back_after, *release));
                self.cut(*broker);
                for dead in self.brokers.iter_mut().filter(|other| other.id == *broker) {
                    dead.crash();
                }
            }
            Action::Cut(broker) => {
                self.count("connections cut");
                self.cut(*broker);
            }
            Action::CutAfter(broker, bytes, to_broker) => {
                self.count("connection cut after n bytes");
                for link in self.links.values_mut().filter(|link| link.broker == *broker) {
                    link.cut_after(*bytes, *to_broker);
                }
            }
            Action::Stall(broker, time, to_broker) => {
                self.count("connection stalled");
                for link in self.links.values_mut().filter(|link| link.broker == *broker) {
                    link.stall(now + *time, *to_broker);
                }
            }
            Action::Refuse(broker, time, silently) => {
                self.count(if *silently { "connecting swallowed" } else { "connecting refused" });
                self.refusing.insert(*broker, (now + *time, *silently));
            }
            Action::Freeze(topic, partition, time) => {
                self.count("replication frozen");
                if let Some(partition) = self.cluster.partition_mut(topic, *partition) {
                    partition.frozen_until = now + *time;
                }
            }
            Action::Expire(topic, partition) => {
                if !self.history.is_unsettled(topic, *partition) {
                    self.count("producers forgotten");
                    if let Some(partition) = self.cluster.partition_mut(topic, *partition) {
                        partition.log.expire();
                    }
                }
            }
            Action::Recreate(topic) => {
                let partitions = 0..self.cluster.topics.get(topic).map_or(0, |found| found.partitions.len() as i32);
                if !partitions.clone().any(|partition| self.history.is_unsettled(topic, partition)) {
                    self.count("topic created again");
                    self.cluster.recreate(topic, now);
                }
            }
            Action::AddPartition(topic) => {
                self.count("partition added");
                self.cluster.add_partition(topic, now);
            }
            Action::RejectIdentities(broker, which, code) => {
                self.count(which.name());
                for refusing in self.brokers.iter_mut().filter(|other| broker.is_none_or(|broker| other.id == broker)) {
                    refusing.reject(*which, *code, &self.cluster);
                }
            }
            Action::EndFaults => {
                self.refusing.clear();
                for link in self.links.values_mut() {
                    link.end_faults();
                }
                // With acks=0 the client would not notice an unresponsive broker until it requests metadata.
                let unheard = self.acks() == 0;
                for broker in &mut self.brokers {
                    broker.end_faults(unheard);
                }
            }
        }
        Ok(())
    }

    fn cut(&mut self, broker: i32) {
        for link in self.links.values_mut().filter(|link| link.broker == broker) {
            link.cut(self.now);
        }
    }

    /// Sends a batch. Returns its number, if it was accepted.
    pub fn send(&mut self, topic: &str, partition: i32, spec: BatchSpec) -> Result<Option<Serial>, Violation> {
        let serial = Serial(self.next_serial);
        let sealed = fill(serial, spec).seal().expect("a batch that can be sealed");
        let (size, records) = (sealed.size(), sealed.record_count() as u32);
        let limit = self.settings.producer.buffer_memory;
        let at = self.perhaps_earlier();
        match self.machine.send(sealed, TopicPartition::new(topic, partition), at) {
            Ok(batch) => {
                self.next_serial += 1;
                if self.batches.insert(batch, serial).is_some() {
                    return Violation::of("batch ids are not reused", format!("{batch}"));
                }
                let to = (topic.to_owned(), partition);
                let at = self.now;
                self.history.accepted(
                    serial,
                    AcceptedBatch { to, records, size, at, attempts: Vec::new(), proven: false, outcome: None },
                );
                if self.history.waiting() > limit {
                    let waiting = self.history.waiting();
                    return Violation::of("buffer.memory is not exceeded", format!("{waiting} bytes of {limit}"));
                }
                Ok(Some(serial))
            }
            Err(refusal) => {
                self.note(|| format!("   rejected: {refusal}"));
                let waiting = self.history.waiting();
                match refusal {
                    MachineSendErrorKind::Full { .. } if waiting + size <= limit => Violation::of(
                        "full is reported only if the buffer is full",
                        format!("{waiting} + {size} of {limit}"),
                    ),
                    MachineSendErrorKind::ExceedsBufferMemory { .. } if size <= limit => {
                        Violation::of("full is reported only if the buffer is full", format!("{size} of {limit}"))
                    }
                    _ => Ok(None),
                }
            }
        }
    }
}
