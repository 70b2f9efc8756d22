//! Requests of the oracle, with what most rows have in common.

use bytes::Bytes;
use kafka_batch_witnesses::kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_batch_witnesses::kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_batch_witnesses::kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_batch_witnesses::kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_batch_witnesses::kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_batch_witnesses::kafka_protocol::messages::{
    BrokerId, CreateTopicsRequest, FetchRequest, ListOffsetsRequest, MetadataRequest, ProduceRequest, TopicName,
};
use kafka_batch_witnesses::kafka_protocol::protocol::StrBytes;

use crate::target::Target;

pub(crate) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub(crate) fn name(name: &str) -> TopicName {
    TopicName(text(name))
}

/// Returns a Metadata request for these topics; `None` is all.
pub(crate) fn metadata(version: i16, topics: Option<&[&str]>, create: bool) -> MetadataRequest {
    let each = |topic: &&str| MetadataRequestTopic::default().with_name(Some(name(topic)));
    MetadataRequest::default()
        .with_topics(topics.map(|topics| topics.iter().map(each).collect()))
        .with_allow_auto_topic_creation(version < 4 || create)
}

/// Returns a topic to create, with one replica.
pub(crate) fn new_topic(topic: &str, partitions: i32, configs: &[(&str, &str)]) -> CreatableTopic {
    let config = |(key, value): &(&str, &str)| {
        CreatableTopicConfig::default().with_name(text(key)).with_value(Some(text(value)))
    };
    CreatableTopic::default()
        .with_name(name(topic))
        .with_num_partitions(partitions)
        .with_replication_factor(1)
        .with_configs(configs.iter().map(config).collect())
}

pub(crate) fn create(topics: Vec<CreatableTopic>) -> CreateTopicsRequest {
    CreateTopicsRequest::default().with_topics(topics).with_timeout_ms(30_000)
}

/// Returns the record sets for a topic: by its name, and from v13 on by its id.
pub(crate) fn sets(version: i16, target: &Target, topic: &str, sets: Vec<(i32, Option<Bytes>)>) -> TopicProduceData {
    let each = |(index, records)| PartitionProduceData::default().with_index(index).with_records(records);
    let data = TopicProduceData::default().with_partition_data(sets.into_iter().map(each).collect());
    if version >= 13 { data.with_topic_id(target.id(topic)) } else { data.with_name(name(topic)) }
}

pub(crate) fn produce(acks: i16, topics: Vec<TopicProduceData>) -> ProduceRequest {
    ProduceRequest::default().with_acks(acks).with_timeout_ms(30_000).with_topic_data(topics)
}

/// Returns a partition to fetch from an offset on.
pub(crate) fn fetched(partition: i32, offset: i64) -> FetchPartition {
    FetchPartition::default().with_partition(partition).with_fetch_offset(offset).with_partition_max_bytes(1 << 20)
}

/// Returns partitions of a topic to fetch: by its name, and from v13 on by its id.
pub(crate) fn fetch_topic(version: i16, target: &Target, topic: &str, partitions: Vec<FetchPartition>) -> FetchTopic {
    let of = FetchTopic::default().with_partitions(partitions);
    if version >= 13 { of.with_topic_id(target.id(topic)) } else { of.with_topic(name(topic)) }
}

/// Returns a Fetch request that does not wait, without a session.
pub(crate) fn fetch(topics: Vec<FetchTopic>) -> FetchRequest {
    FetchRequest::default().with_max_wait_ms(0).with_min_bytes(1).with_max_bytes(1 << 20).with_topics(topics)
}

pub(crate) fn list_offsets(topic: &str, partitions: Vec<ListOffsetsPartition>) -> ListOffsetsRequest {
    let topics = vec![ListOffsetsTopic::default().with_name(name(topic)).with_partitions(partitions)];
    ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(topics)
}

pub(crate) fn offset_at(partition: i32, timestamp: i64) -> ListOffsetsPartition {
    ListOffsetsPartition::default().with_partition_index(partition).with_timestamp(timestamp)
}
