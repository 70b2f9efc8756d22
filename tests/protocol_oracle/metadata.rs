//! Metadata responses, encoded by the oracle.

use kafka_batch_core::protocol::{MetadataResponse, Uuid};
use kafka_batch_witnesses::kafka_protocol::messages::MetadataResponse as Oracle;
use kafka_batch_witnesses::kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use proptest::collection::vec;
use proptest::prelude::*;

use super::responses::{check, same, unknown};
use super::{nullable, str_bytes, string, uuid};

fn partition() -> impl Strategy<Value = MetadataResponsePartition> {
    let nodes = || vec(any::<i32>().prop_map_into(), 0..4);
    (any::<i16>(), any::<[i32; 3]>(), [nodes(), nodes(), nodes()]).prop_map(
        |(error, [index, leader, epoch], [replicas, isr, offline])| {
            MetadataResponsePartition::default()
                .with_error_code(error)
                .with_partition_index(index)
                .with_leader_id(leader.into())
                .with_leader_epoch(epoch)
                .with_replica_nodes(replicas)
                .with_isr_nodes(isr)
                .with_offline_replicas(offline)
        },
    )
}

fn topic(version: i16) -> impl Strategy<Value = MetadataResponseTopic> {
    let partitions = vec(partition(), 0..4);
    (any::<i16>(), nullable(), any::<[u8; 16]>(), any::<bool>(), partitions, any::<i32>()).prop_map(
        move |(error, name, id, internal, partitions, operations)| {
            let name = if version >= 12 { name } else { Some(name.unwrap_or_default()) };
            MetadataResponseTopic::default()
                .with_error_code(error)
                .with_name(name.map(Into::into))
                .with_topic_id(uuid(&Uuid(id)))
                .with_is_internal(internal)
                .with_partitions(partitions)
                .with_topic_authorized_operations(if version >= 8 { operations } else { i32::MIN })
        },
    )
}

fn response(version: i16) -> impl Strategy<Value = Oracle> {
    let broker = (any::<[i32; 2]>(), string(), nullable()).prop_map(|([id, port], host, rack)| {
        MetadataResponseBroker::default().with_node_id(id.into()).with_host(host).with_port(port).with_rack(rack)
    });
    let lists = (vec(broker, 0..4), vec(topic(version), 0..4));
    (any::<[i32; 3]>(), nullable(), lists, any::<i16>()).prop_map(
        move |([throttle, controller, operations], cluster, (brokers, topics), error)| {
            let requested = (8..=10).contains(&version);
            Oracle::default()
                .with_throttle_time_ms(throttle)
                .with_brokers(brokers)
                .with_cluster_id(cluster)
                .with_controller_id(controller.into())
                .with_topics(topics)
                .with_cluster_authorized_operations(if requested { operations } else { i32::MIN })
                .with_error_code(error)
        },
    )
}

fn tagged(mut response: Oracle) -> Oracle {
    response.unknown_tagged_fields = unknown();
    response.brokers.iter_mut().for_each(|each| each.unknown_tagged_fields = unknown());
    for topic in &mut response.topics {
        topic.unknown_tagged_fields = unknown();
        topic.partitions.iter_mut().for_each(|each| each.unknown_tagged_fields = unknown());
    }
    response
}

fn back(decoded: MetadataResponse) -> Oracle {
    let brokers = decoded.brokers.into_iter().map(|broker| {
        MetadataResponseBroker::default()
            .with_node_id(broker.node_id.into())
            .with_host(str_bytes(broker.host))
            .with_port(broker.port)
            .with_rack(broker.rack.map(str_bytes))
    });
    let ids = |nodes: Vec<i32>| nodes.into_iter().map(Into::into).collect();
    let topics = decoded.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter().map(|partition| {
            MetadataResponsePartition::default()
                .with_error_code(partition.error_code.0)
                .with_partition_index(partition.partition_index)
                .with_leader_id(partition.leader_id.into())
                .with_leader_epoch(partition.leader_epoch)
                .with_replica_nodes(ids(partition.replica_nodes))
                .with_isr_nodes(ids(partition.isr_nodes))
                .with_offline_replicas(ids(partition.offline_replicas))
        });
        MetadataResponseTopic::default()
            .with_error_code(topic.error_code.0)
            .with_name(topic.name.map(|name| str_bytes(name).into()))
            .with_topic_id(uuid(&topic.topic_id))
            .with_is_internal(topic.is_internal)
            .with_partitions(partitions.collect())
            .with_topic_authorized_operations(topic.topic_authorized_operations)
    });
    Oracle::default()
        .with_throttle_time_ms(decoded.throttle_time_ms)
        .with_brokers(brokers.collect())
        .with_cluster_id(decoded.cluster_id.map(str_bytes))
        .with_controller_id(decoded.controller_id.into())
        .with_topics(topics.collect())
        .with_cluster_authorized_operations(decoded.cluster_authorized_operations)
        .with_error_code(decoded.error_code.0)
}

proptest! {
    #[test]
    fn decoded((version, plain) in (0i16..=13).prop_flat_map(|v| (Just(v), response(v)))) {
        check(version, &plain, &tagged(plain.clone()), MetadataResponse::decode, back);
    }
}

/// The decoder rejects a count that the remaining bytes cannot contain; here they just do.
#[test]
fn many_smallest_elements() {
    let topic = || MetadataResponseTopic::default().with_name(Some(Default::default()));
    let partitions = vec![MetadataResponsePartition::default(); 40];
    let responses = [
        Oracle::default().with_brokers(vec![MetadataResponseBroker::default(); 40]),
        Oracle::default().with_topics(vec![topic(); 40]),
        Oracle::default().with_topics(vec![topic().with_partitions(partitions)]),
    ];
    for version in 0..=13 {
        for response in &responses {
            same(version, response, MetadataResponse::decode, back);
        }
    }
}
