//! Produce responses, encoded by the oracle.

use kafka_batch_core::protocol::{ProduceResponse, TopicNameOrId, Uuid};
use kafka_batch_witnesses::kafka_protocol::messages::ProduceResponse as Oracle;
use kafka_batch_witnesses::kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
};
use proptest::collection::vec;
use proptest::prelude::*;

use super::responses::{check, framed, same, unknown};
use super::{nullable, str_bytes, string, uuid};

fn partition(version: i16) -> impl Strategy<Value = PartitionProduceResponse> {
    let record_error = (any::<i32>(), nullable()).prop_map(|(index, message)| {
        BatchIndexAndErrorMessage::default().with_batch_index(index).with_batch_index_error_message(message)
    });
    let leader = (0.., any::<i32>()).prop_map(|(id, epoch): (i32, i32)| {
        LeaderIdAndEpoch::default().with_leader_id(id.into()).with_leader_epoch(epoch)
    });
    let details = (vec(record_error, 0..3), nullable(), proptest::option::of(leader));
    (any::<i32>(), any::<i16>(), any::<[i64; 3]>(), details).prop_map(
        move |(index, error, [offset, time, start], (errors, message, leader))| {
            PartitionProduceResponse::default()
                .with_index(index)
                .with_error_code(error)
                .with_base_offset(offset)
                .with_log_append_time_ms(time)
                .with_log_start_offset(start)
                .with_record_errors(from::<8, _>(version, errors))
                .with_error_message(from::<8, _>(version, message))
                .with_current_leader(from::<10, _>(version, leader).unwrap_or_default())
        },
    )
}

fn response(version: i16) -> impl Strategy<Value = Oracle> {
    let topic = (string(), any::<[u8; 16]>(), vec(partition(version), 0..4)).prop_map(|(name, id, partitions)| {
        TopicProduceResponse::default()
            .with_name(name.into())
            .with_topic_id(uuid(&Uuid(id)))
            .with_partition_responses(partitions)
    });
    let endpoint = (any::<[i32; 2]>(), string(), nullable()).prop_map(|([id, port], host, rack)| {
        NodeEndpoint::default().with_node_id(id.into()).with_host(host).with_port(port).with_rack(rack)
    });
    (vec(topic, 0..4), any::<i32>(), vec(endpoint, 0..3)).prop_map(move |(topics, throttle, endpoints)| {
        Oracle::default()
            .with_responses(topics)
            .with_throttle_time_ms(throttle)
            .with_node_endpoints(from::<10, _>(version, endpoints))
    })
}

fn tagged(version: i16, mut response: Oracle) -> Oracle {
    response.unknown_tagged_fields = unknown();
    response.node_endpoints.iter_mut().for_each(|each| each.unknown_tagged_fields = unknown());
    for topic in &mut response.responses {
        topic.unknown_tagged_fields = unknown();
        for partition in &mut topic.partition_responses {
            partition.unknown_tagged_fields = unknown();
            partition.record_errors.iter_mut().for_each(|each| each.unknown_tagged_fields = unknown());
            // If the leader is unknown, this makes the field present, which must have no effect.
            partition.current_leader.unknown_tagged_fields = from::<10, _>(version, unknown());
        }
    }
    response
}

fn back(decoded: ProduceResponse) -> Oracle {
    let topics = decoded.responses.into_iter().map(|topic| {
        let partitions = topic.partition_responses.into_iter().map(|partition| {
            let errors = partition.record_errors.into_iter().map(|error| {
                BatchIndexAndErrorMessage::default()
                    .with_batch_index(error.batch_index)
                    .with_batch_index_error_message(error.message.map(str_bytes))
            });
            let leader = partition.current_leader.map(|leader| {
                LeaderIdAndEpoch::default()
                    .with_leader_id(leader.leader_id.into())
                    .with_leader_epoch(leader.leader_epoch)
            });
            PartitionProduceResponse::default()
                .with_index(partition.index)
                .with_error_code(partition.error_code.0)
                .with_base_offset(partition.base_offset)
                .with_log_append_time_ms(partition.log_append_time_ms)
                .with_log_start_offset(partition.log_start_offset)
                .with_record_errors(errors.collect())
                .with_error_message(partition.error_message.map(str_bytes))
                .with_current_leader(leader.unwrap_or_default())
        });
        let response = TopicProduceResponse::default().with_partition_responses(partitions.collect());
        match topic.topic {
            TopicNameOrId::Name(name) => response.with_name(str_bytes(name).into()),
            TopicNameOrId::Id(id) => response.with_topic_id(uuid(&id)),
        }
    });
    let endpoints = decoded.node_endpoints.into_iter().map(|endpoint| {
        NodeEndpoint::default()
            .with_node_id(endpoint.node_id.into())
            .with_host(str_bytes(endpoint.host))
            .with_port(endpoint.port)
            .with_rack(endpoint.rack.map(str_bytes))
    });
    Oracle::default()
        .with_responses(topics.collect())
        .with_throttle_time_ms(decoded.throttle_time_ms)
        .with_node_endpoints(endpoints.collect())
}

proptest! {
    #[test]
    fn decoded((version, plain) in (3i16..=13).prop_flat_map(|v| (Just(v), response(v)))) {
        check(version, &plain, &tagged(version, plain.clone()), ProduceResponse::decode, back);
    }
}

/// The decoder rejects a count that the remaining bytes cannot contain; here they just do.
#[test]
fn many_smallest_elements() {
    let topic = TopicProduceResponse::default;
    let partition = PartitionProduceResponse::default;
    for version in 3..=13 {
        let errors = vec![BatchIndexAndErrorMessage::default(); from::<8, _>(version, 40)];
        let endpoints = vec![NodeEndpoint::default(); from::<10, _>(version, 40)];
        let partitions = vec![partition(); 40];
        for topics in [
            vec![topic(); 40],
            vec![topic().with_partition_responses(partitions)],
            vec![topic().with_partition_responses(vec![partition().with_record_errors(errors)])],
        ] {
            let response = Oracle::default().with_responses(topics).with_node_endpoints(endpoints.clone());
            same(version, &response, ProduceResponse::decode, back);
        }
    }
}

#[test]
fn leader_minus_one_means_no_leader() {
    let leader = LeaderIdAndEpoch::default().with_leader_id((-1).into()).with_leader_epoch(7);
    let partition = PartitionProduceResponse::default().with_current_leader(leader);
    let topic = TopicProduceResponse::default().with_partition_responses(vec![partition]);
    let frame = framed(&Oracle::default().with_responses(vec![topic]), 10, false);
    let response = ProduceResponse::decode(&frame, 10).unwrap();
    assert_eq!(response.responses[0].partition_responses[0].current_leader, None);
}

fn from<const MIN: i16, T: Default>(version: i16, value: T) -> T {
    if version >= MIN { value } else { T::default() }
}
