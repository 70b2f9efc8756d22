//! The actions of a schedule on a world: commands of the application, and faults.

use kafka_batch_core::TopicPartition;
use kafka_batch_core::machine::{CloseMode, SendErrorKind};

use super::World;
use crate::Moment;
use crate::broker::release::Release;
use crate::broker::{Interceptor, RefusedIdentities};
use crate::contents::{Recipe, Serial, fill};
use crate::laws::Breach;
use crate::laws::ledger::Promise;

/// A command, or a fault.
#[derive(Clone, Debug)]
pub enum Action {
    /// The application hands a batch over.
    Send {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// What is in it.
        recipe: Recipe,
    },
    /// The application wants to hear when everything is through.
    Flush,
    /// The application asks for a topic.
    LookupTopic(String),
    /// The application closes the producer.
    Close(CloseMode),
    /// Something is done to a request to come.
    Intercept(i32, Interceptor),
    /// A partition loses its leader, and gets another one after so long.
    Depose(String, i32, Moment),
    /// A broker dies, and returns after so long, as this release; its partitions get leaders after the other time.
    Down(i32, Moment, Moment, Release),
    /// All connections with a broker break.
    Cut(i32),
    /// Connections with a broker break after so many more bytes, to it or from it.
    CutAfter(i32, usize, bool),
    /// Connections with a broker stand still, to it or from it.
    Stall(i32, Moment, bool),
    /// A broker takes no connections for so long; or does not even answer.
    Refuse(i32, Moment, bool),
    /// Replication of a partition stands still.
    Freeze(String, i32, Moment),
    /// All that a partition has is deleted, and its producers forgotten, if nothing is under way to it.
    Expire(String, i32),
    /// A topic is deleted and made anew, if nothing is under way to it: another id, no records, no producers.
    Recreate(String),
    /// A topic gets one more partition.
    AddPartition(String),
    /// A broker, or each, refuses these producer ids and epochs from now on, with this error code.
    RefuseIdentities(Option<i32>, RefusedIdentities, i16),
    /// Faults cease: whatever still waits to go wrong does not.
    Relent,
}

impl World {
    /// Does it, now.
    pub fn act(&mut self, action: &Action) -> Result<(), Breach> {
        self.note(|| format!("== {action:?}"));
        let now = self.now;
        match action {
            Action::Send { topic, partition, recipe } => {
                self.send(topic, *partition, *recipe)?;
            }
            Action::Flush => {
                let at = self.perhaps_earlier();
                let flush = self.machine.flush(at);
                if !self.closed {
                    let open = self.ledger.promises.iter().filter(|(_, promise)| promise.outcome.is_none());
                    self.flushes.insert(flush, open.map(|(serial, _)| *serial).collect());
                }
            }
            Action::LookupTopic(topic) => self.machine.lookup_topic(topic, now),
            Action::Close(mode) => {
                let at = self.perhaps_earlier();
                self.machine.close(*mode, at);
            }
            Action::Intercept(broker, interceptor) => {
                if let Some(broker) = self.brokers.iter_mut().find(|other| other.id == *broker) {
                    broker.intercept(interceptor.clone());
                }
            }
            Action::Depose(topic, partition, without) => {
                self.count("leader moved");
                self.cluster.depose(topic, *partition, *without, now);
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
                if !self.ledger.is_unsettled(topic, *partition) {
                    self.count("producers forgotten");
                    if let Some(partition) = self.cluster.partition_mut(topic, *partition) {
                        partition.log.expire();
                    }
                }
            }
            Action::Recreate(topic) => {
                let partitions = 0..self.cluster.topics.get(topic).map_or(0, |found| found.partitions.len() as i32);
                if !partitions.clone().any(|partition| self.ledger.is_unsettled(topic, partition)) {
                    self.count("topic made anew");
                    self.cluster.recreate(topic, now);
                }
            }
            Action::AddPartition(topic) => {
                self.count("partition added");
                self.cluster.add_partition(topic, now);
            }
            Action::RefuseIdentities(broker, which, code) => {
                self.count(which.name());
                for refusing in self.brokers.iter_mut().filter(|other| broker.is_none_or(|broker| other.id == broker)) {
                    refusing.refuse(*which, *code, &self.cluster);
                }
            }
            Action::Relent => {
                self.refusing.clear();
                for link in self.links.values_mut() {
                    link.relent();
                }
                // Without acks nobody would notice that a broker is mute, before it is asked for metadata.
                let unheard = self.acks() == 0;
                for broker in &mut self.brokers {
                    broker.relent(unheard);
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

    /// Hands a batch over. Gives its number, if it was accepted.
    pub fn send(&mut self, topic: &str, partition: i32, recipe: Recipe) -> Result<Option<Serial>, Breach> {
        let serial = Serial(self.next_serial);
        let sealed = fill(serial, recipe).seal().expect("what the simulation fills can be sealed");
        let (size, records) = (sealed.size(), sealed.record_count() as u32);
        let limit = self.settings.producer.buffer_memory;
        let at = self.perhaps_earlier();
        match self.machine.send(sealed, TopicPartition::new(topic, partition), at) {
            Ok(batch) => {
                self.next_serial += 1;
                if self.batches.insert(batch, serial).is_some() {
                    return Breach::of("names of batches are not used again", format!("{batch}"));
                }
                let to = (topic.to_owned(), partition);
                let at = self.now;
                self.ledger.accepted(
                    serial,
                    Promise { to, records, size, at, attempts: Vec::new(), proven: false, outcome: None },
                );
                if self.ledger.waiting() > limit {
                    let waiting = self.ledger.waiting();
                    return Breach::of("buffer.memory is kept", format!("{waiting} bytes of {limit}"));
                }
                Ok(Some(serial))
            }
            Err(refusal) => {
                self.note(|| format!("   refused: {refusal}"));
                let waiting = self.ledger.waiting();
                match refusal {
                    SendErrorKind::Full { .. } if waiting + size <= limit => {
                        Breach::of("full is only said when it is full", format!("{waiting} + {size} of {limit}"))
                    }
                    SendErrorKind::ExceedsBufferMemory { .. } if size <= limit => {
                        Breach::of("full is only said when it is full", format!("{size} of {limit}"))
                    }
                    _ => Ok(None),
                }
            }
        }
    }
}
