//! The topics of the known partitions, by name.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::index::{PartitionIndex, TopicIndex};
use super::partition_numbers::PartitionNumbers;
use super::stats::{TopicCounters, Window};

/// The known topics, each with its known partitions.
#[derive(Debug, Default)]
pub(super) struct Topics {
    by_name: BTreeMap<Arc<str>, TopicIndex>,
    topics: Vec<Topic>,
    free: Vec<TopicIndex>,
    /// The sum of the counters of removed topics.
    removed: Option<Box<TopicCounters>>,
}

#[derive(Debug)]
struct Topic {
    name: Arc<str>,
    partitions: PartitionNumbers,
    /// How many of the partitions have unfinished batches.
    active: usize,
    /// Boxed, because a vector of few topics has memory for more.
    counters: Box<TopicCounters>,
}

impl Topics {
    /// Returns the index of a partition, if it is known.
    pub(super) fn find(&self, topic: &str, partition: i32) -> Option<PartitionIndex> {
        self.topics[*self.by_name.get(topic)?].partitions.get(partition)
    }

    /// Adds a partition. Returns the index of its topic, and the topic's name, which all its partitions share.
    pub(super) fn insert(&mut self, topic: &str, partition: i32, index: PartitionIndex) -> (TopicIndex, Arc<str>) {
        let at = match self.by_name.get(topic) {
            Some(&at) => at,
            None => {
                let name: Arc<str> = topic.into();
                let topic = Topic {
                    name: Arc::clone(&name),
                    partitions: PartitionNumbers::default(),
                    active: 0,
                    counters: Box::default(),
                };
                let at = match self.free.pop() {
                    Some(at) => {
                        self.topics[at] = topic;
                        at
                    }
                    None => {
                        self.topics.push(topic);
                        self.topics.len() - 1
                    }
                };
                self.by_name.insert(name, at);
                at
            }
        };
        let topic = &mut self.topics[at];
        topic.partitions.insert(partition, index);
        (at, Arc::clone(&topic.name))
    }

    /// Removes the partitions that are not to be kept.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(PartitionIndex) -> bool) {
        let Self { by_name, topics, free, removed } = self;
        by_name.retain(|_, at| {
            let topic = &mut topics[*at];
            topic.partitions.retain(&mut keep);
            let is_known = !topic.partitions.is_empty();
            if !is_known {
                free.push(*at);
                removed.get_or_insert_default().add(&topic.counters);
            }
            is_known
        });
    }

    /// Returns the counters of a topic.
    pub(super) fn counters(&mut self, at: TopicIndex) -> &mut TopicCounters {
        &mut self.topics[at].counters
    }

    /// Returns the times in the queue of all topics, also of removed ones, with the longest since the last call.
    pub(super) fn take_queue_window(&mut self) -> Window {
        let Self { by_name, topics, removed, .. } = self;
        let mut window = removed.as_mut().map(|removed| removed.take_queue_window()).unwrap_or_default();
        by_name.values().for_each(|at| window.add(topics[*at].counters.take_queue_window()));
        window
    }

    /// Returns the sum of the counters of removed topics.
    pub(super) fn removed_counters(&self) -> Option<&TopicCounters> {
        self.removed.as_deref()
    }

    /// Returns the names of the known topics, in their order, with their counters and partitions.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &TopicCounters, impl Iterator<Item = PartitionIndex>)> {
        self.by_name.iter().map(|(name, at)| {
            let topic = &self.topics[*at];
            (&**name, &*topic.counters, topic.partitions.indices())
        })
    }

    /// Records that a partition of a topic has unfinished batches from now on, or none any more.
    pub(super) fn set_active(&mut self, at: TopicIndex, is_active: bool) {
        let active = &mut self.topics[at].active;
        if is_active { *active += 1 } else { *active -= 1 }
    }

    /// Returns the names of the topics that have unfinished batches, in their order.
    pub(super) fn active(&self) -> impl Iterator<Item = &str> {
        self.by_name.iter().filter(|(_, at)| self.topics[**at].active > 0).map(|(name, _)| &**name)
    }

    /// Returns the known partitions of a topic.
    pub(super) fn partitions(&self, topic: &str) -> impl Iterator<Item = PartitionIndex> + '_ {
        let known = self.by_name.get(topic).map(|at| &self.topics[*at].partitions);
        known.into_iter().flat_map(|partitions| partitions.indices())
    }

    /// Returns `true` if any partition of the topic is known.
    pub(super) fn knows(&self, topic: &str) -> bool {
        self.by_name.contains_key(topic)
    }

    /// Returns `true` if no partition is known.
    pub(super) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_found_by_name_and_number_until_they_are_removed() {
        let mut topics = Topics::default();
        assert!(topics.is_empty());
        let (one, name) = topics.insert("one", 0, 7);
        let (two, _) = topics.insert("two", 0, 8);
        assert_eq!(topics.insert("one", 3, 9), (one, name));
        assert_eq!([0, 1, 3].map(|partition| topics.find("one", partition)), [Some(7), None, Some(9)]);
        assert_eq!(topics.partitions("one").collect::<Vec<_>>(), [7, 9]);
        topics.retain(|index| index == 9);
        assert_eq!((topics.find("one", 0), topics.find("one", 3)), (None, Some(9)));
        assert!(topics.knows("one") && !topics.knows("two"));
        assert_eq!(topics.insert("three", 1, 7).0, two, "the index is reused");
        assert_eq!(topics.partitions("two").count(), 0);
    }

    #[test]
    fn a_topic_is_active_while_any_of_its_partitions_is() {
        let mut topics = Topics::default();
        let (b, _) = topics.insert("b", 0, 0);
        let (a, _) = topics.insert("a", 0, 1);
        for (topic, is_active, expected) in [
            (b, true, &["b"][..]),
            (a, true, &["a", "b"]),
            (b, true, &["a", "b"]),
            (b, false, &["a", "b"]),
            (b, false, &["a"]),
        ] {
            topics.set_active(topic, is_active);
            assert_eq!(topics.active().collect::<Vec<_>>(), expected);
        }
    }
}
