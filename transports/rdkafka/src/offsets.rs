//! Offsets to commit in a transaction, in librdkafka's representation.

use std::collections::BTreeMap;

use kafka_batch_core::TopicPartition;
use kafka_batch_core::transaction::{GroupMetadata, OffsetAndMetadata};
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::{Offset, TopicPartitionList};

use crate::error::UnsendableOffsets;
use crate::{ffi, produce};

/// Offsets of a consumer group.
pub(crate) struct Offsets {
    pub(crate) group: Group,
    pub(crate) list: TopicPartitionList,
}

/// Whose offsets they are.
pub(crate) enum Group {
    Values(ffi::Group),
    OfConsumer(ConsumerGroupMetadata),
}

impl Group {
    /// Copies the values of a group.
    ///
    /// # Errors
    /// One of the names contains a NUL.
    pub(crate) fn from_values(group: &GroupMetadata) -> Result<Self, UnsendableOffsets> {
        let copied =
            ffi::Group::new(group).map_err(|_| UnsendableOffsets::Group { group: group.group().to_owned() })?;
        Ok(Self::Values(copied))
    }
}

impl Offsets {
    /// Copies the offsets. Of several of one partition, the last is used.
    ///
    /// # Errors
    /// librdkafka would misinterpret or omit one of them.
    pub(crate) fn new(
        group: Group,
        offsets: impl IntoIterator<Item = (TopicPartition, OffsetAndMetadata)>,
    ) -> Result<Self, UnsendableOffsets> {
        let offsets: BTreeMap<_, _> =
            offsets.into_iter().map(|(of, offset)| ((of.topic, of.partition), offset)).collect();
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for ((topic, partition), offset) in offsets {
            let to = || TopicPartition::new(topic.as_str(), partition);
            if produce::check_topic(&topic).is_err() || partition < 0 {
                return Err(UnsendableOffsets::Partition { to: to() });
            }
            if list.add_partition_offset(&topic, partition, Offset::Offset(offset.offset)).is_err() {
                return Err(UnsendableOffsets::Negative { to: to(), offset: offset.offset });
            }
            if let (false, Some(mut element)) = (offset.metadata.is_empty(), list.find_partition(&topic, partition)) {
                element.set_metadata(&offset.metadata);
            }
            ffi::set_leader_epoch(&mut list, &topic, partition, offset.leader_epoch)
                .map_err(|_| UnsendableOffsets::Partition { to: to() })?;
        }
        Ok(Self { group, list })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offsets(offsets: impl IntoIterator<Item = (&'static str, i32, i64)>) -> Result<Offsets, UnsendableOffsets> {
        let group = Group::from_values(&GroupMetadata::unfenced("g")).unwrap();
        let offsets = offsets.into_iter().map(|(topic, partition, offset)| {
            (TopicPartition::new(topic, partition), OffsetAndMetadata::from(offset).metadata("m").leader_epoch(3))
        });
        Offsets::new(group, offsets)
    }

    #[test]
    fn each_partition_has_its_last_offset_and_the_metadata() {
        let offsets = offsets([("a", 0, 5), ("b", 1, 0), ("a", 0, 7)]).unwrap();
        let found: Vec<_> = offsets
            .list
            .elements()
            .iter()
            .map(|element| {
                (element.topic().to_owned(), element.partition(), element.offset(), element.metadata().to_owned())
            })
            .collect();
        let expected =
            |topic: &str, partition, offset| (topic.to_owned(), partition, Offset::Offset(offset), "m".to_owned());
        assert_eq!(found, [expected("a", 0, 7), expected("b", 1, 0)]);
    }

    #[test]
    fn what_librdkafka_would_omit_or_misinterpret_is_refused() {
        let error = |result: Result<Offsets, UnsendableOffsets>| result.map(drop).unwrap_err().to_string();
        assert!(error(offsets([("a", 0, 5), ("a", 1, -1)])).contains("is negative"), "librdkafka omits it");
        for cannot_exist in [("a", -1, 5), ("a\0b", 0, 5), ("", 0, 5)] {
            assert!(error(offsets([cannot_exist])).contains("cannot exist"), "{cannot_exist:?}");
        }
        let group = Group::from_values(&GroupMetadata::unfenced("g\0h")).map(drop).unwrap_err();
        assert!(group.to_string().contains("g\\0h"), "{group}");
    }
}
