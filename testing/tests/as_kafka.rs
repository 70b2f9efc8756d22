//! What Apache Kafka 4.4 responds to requests that are odd or wrong, without one at hand. (The suite `compared_with_kafka` of the
//! repository compares these facts, and many more.)

mod common;

use bytes::Bytes;
use common::{Client, TIME, batch, stamped};
use kafka_batch_core::batch::Stamp;
use kafka_batch_testing::wire::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, CreateTopicsResponse,
};
use kafka_batch_testing::wire::fetch::FetchResponse;
use kafka_batch_testing::wire::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use kafka_batch_testing::wire::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
};
use kafka_batch_testing::wire::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use kafka_batch_testing::wire::produce::{PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData};
use kafka_batch_testing::wire::sasl::{SaslHandshakeRequest, SaslHandshakeResponse};
use kafka_batch_testing::{ApiKey, TestCluster, Topic};

fn named(name: &str) -> MetadataRequestTopic {
    MetadataRequestTopic { name: Some(name.into()), ..Default::default() }
}

fn with_id(topic_id: [u8; 16]) -> MetadataRequestTopic {
    MetadataRequestTopic { topic_id, name: None }
}

#[test]
fn metadata_has_each_topic_once_and_ids_replace_names() {
    let cluster = TestCluster::builder().topic("a").topic("b").auto_create(false).start().unwrap();
    let mut client = Client::new(&cluster, 1);
    let id = client.metadata(12, "a").topics[0].topic_id;
    let mut ask = |version, topics: Vec<MetadataRequestTopic>| {
        let request = MetadataRequest { topics: Some(topics), ..Default::default() };
        let response: MetadataResponse = client.ask(ApiKey::Metadata, version, &request);
        let each = response.topics.into_iter().map(|topic| (topic.error_code, topic.name.unwrap_or_default()));
        (response.brokers.len(), each.collect::<Vec<_>>())
    };
    let topic = |code, name: &str| (code, name.to_owned());
    assert_eq!(ask(9, vec![named("a"), named("b"), named("a")]), (1, vec![topic(0, "a"), topic(0, "b")]));
    assert_eq!(ask(12, vec![named("b"), with_id(id)]), (1, vec![topic(0, "a")]));
    let both = MetadataRequestTopic { topic_id: [9; 16], ..named("a") };
    assert_eq!(ask(12, vec![both.clone()]), (1, vec![topic(100, "")]));
    assert_eq!(ask(11, vec![both]), (0, vec![topic(42, "a")]), "before v12, ids are not supported");
    assert_eq!(ask(12, vec![with_id([0; 16])]), (0, vec![topic(-1, "")]));
    client.send(ApiKey::Metadata, 9, &MetadataRequest { topics: Some(vec![with_id([0; 16])]), ..Default::default() });
    assert!(client.is_closed(), "a null name");
}

#[test]
fn authorized_operations_are_all() {
    let cluster = TestCluster::builder().topic("a").start().unwrap();
    let request = MetadataRequest {
        topics: Some(vec![named("a")]),
        include_cluster_authorized_operations: true,
        include_topic_authorized_operations: true,
        ..Default::default()
    };
    let response: MetadataResponse = Client::new(&cluster, 1).ask(ApiKey::Metadata, 8, &request);
    assert_eq!(response.topics[0].topic_authorized_operations, 3576);
    assert_eq!(response.cluster_authorized_operations, 8096);
}

#[test]
fn bytes_after_a_request_are_ignored_and_reported() {
    let cluster = TestCluster::builder().topic("a").start().unwrap();
    let mut client = Client::new(&cluster, 1);
    // Metadata v1 for the topic "a", and three bytes.
    let frame = [&[0, 0, 0, 20][..], &[0, 3, 0, 1, 0, 0, 0, 7, 0xff, 0xff], &[0, 0, 0, 1, 0, 1, b'a'], b"abc"].concat();
    std::io::Write::write_all(&mut client.0, &frame).unwrap();
    let response: MetadataResponse = client.receive(ApiKey::Metadata, 1);
    assert_eq!(response.topics[0].name.as_deref(), Some("a"));
    assert_eq!(cluster.violations().len(), 1);
    // The same with a name that is not UTF-8, and with a negative count, which is null: all topics.
    for (body, name) in [(&b"\0\0\0\x01\0\x01\xff"[..], "\u{fffd}"), (b"\xff\xff\xff\xfe", "a")] {
        let length = 10 + body.len() as u8;
        let frame = [&[0, 0, 0, length][..], &[0, 3, 0, 1, 0, 0, 0, 7, 0xff, 0xff], body].concat();
        std::io::Write::write_all(&mut client.0, &frame).unwrap();
        let response: MetadataResponse = client.receive(ApiKey::Metadata, 1);
        assert_eq!(response.topics[0].name.as_deref(), Some(name));
    }
}

#[test]
fn topics_are_created_by_the_rules_of_kafka() {
    let cluster = TestCluster::builder().topic("there_is").start().unwrap();
    let mut client = Client::new(&cluster, 1);
    let mut ask = |topics: Vec<CreatableTopic>, validate_only| {
        let request = CreateTopicsRequest { topics, timeout_ms: 1_000, validate_only };
        let response: CreateTopicsResponse = client.ask(ApiKey::CreateTopics, 7, &request);
        response.topics
    };
    let topic = |name: &str| CreatableTopic {
        name: name.into(),
        num_partitions: 1,
        replication_factor: 1,
        ..Default::default()
    };
    let mut code = |topic: CreatableTopic| ask(vec![topic], false)[0].error_code;
    assert_eq!(code(topic("there.is")), 17, "the name collides");
    assert_eq!(code(topic("there_is")), 36);
    let set = |name: &str, value: &str| {
        let config = CreatableTopicConfig { name: name.into(), value: Some(value.into()) };
        CreatableTopic { configs: vec![config], ..topic("new") }
    };
    for (name, value) in [
        ("max.message.bytes", "many"),
        ("max.message.bytes", "-1"),
        ("max.message.bytes", "3000000000"),
        ("cleanup.policy", "never"),
        ("cleanup.policy", "compact,never"),
        ("message.timestamp.type", "Sometimes"),
        ("message.timestamp.before.max.ms", "-1"),
    ] {
        assert_eq!(code(set(name, value)), 40, "{name}={value}");
    }
    let null = CreatableTopicConfig { name: "any".into(), value: None };
    assert_eq!(code(CreatableTopic { configs: vec![null], ..topic("new") }), 40);
    let assigned = |assignments: &[(i32, &[i32])]| CreatableTopic {
        num_partitions: -1,
        replication_factor: -1,
        assignments: assignments
            .iter()
            .map(|(index, ids)| CreatableReplicaAssignment { partition_index: *index, broker_ids: ids.to_vec() })
            .collect(),
        ..topic("new")
    };
    let wrong: [&[(i32, &[i32])]; 6] =
        [&[(1, &[1])], &[(0, &[1]), (2, &[1])], &[(0, &[1]), (0, &[1])], &[(0, &[])], &[(0, &[9])], &[(0, &[1, 1])]];
    for assignments in wrong {
        assert_eq!(code(assigned(assignments)), 39, "{assignments:?}");
    }
    assert_eq!(code(CreatableTopic { num_partitions: 1, ..assigned(&[(0, &[1])]) }), 42);
    let twice = ask(vec![topic("new"), topic("new")], false);
    assert_eq!((twice.len(), twice[0].error_code), (1, 42));
    let checked = ask(vec![assigned(&[(0, &[1]), (1, &[1])])], true);
    assert_eq!((checked[0].num_partitions, checked[0].replication_factor), (2, 1));
    assert_ne!(checked[0].topic_id, [0; 16]);
    assert_eq!(cluster.topics(), ["there_is"]);
}

#[test]
fn list_offsets_has_each_partition_once_and_knows_what_each_version_can_ask() {
    let cluster = TestCluster::builder().topic("t").start().unwrap();
    let mut client = Client::new(&cluster, 1);
    let mut codes = |version, isolation_level, timestamp, epoch, count| {
        let partition = ListOffsetsPartition { timestamp, current_leader_epoch: epoch, ..Default::default() };
        let topic =
            |name: &str, count| ListOffsetsTopic { name: name.into(), partitions: vec![partition.clone(); count] };
        let topics = vec![topic("u", 0), topic("t", count)];
        let request = ListOffsetsRequest { replica_id: -1, isolation_level, topics, timeout_ms: 0 };
        let response: ListOffsetsResponse = client.ask(ApiKey::ListOffsets, version, &request);
        assert_eq!(response.topics.len(), 1, "a topic without partitions is left out");
        response.topics[0].partitions.iter().map(|partition| partition.error_code).collect::<Vec<_>>()
    };
    assert_eq!(codes(7, 0, -1, -1, 2), [42]);
    assert_eq!(codes(7, 2, -1, -1, 1), [-1]);
    assert_eq!(codes(7, 0, -1, -2, 1), [74]);
    for (timestamp, since) in [(-3, 7), (-4, 8), (-5, 9), (-6, 11)] {
        assert_eq!(codes(since - 1, 0, timestamp, -1, 1), [35], "{timestamp}");
        assert_eq!(codes(since, 0, timestamp, -1, 1), [0], "{timestamp}");
    }
    assert_eq!(codes(11, 0, -7, -1, 1), [35]);
}

#[test]
fn fetch_refuses_what_java_cannot_represent() {
    let cluster = TestCluster::builder().topic("t").start().unwrap();
    let mut client = Client::new(&cluster, 1);
    assert_eq!(client.produce(12, "t", batch(&["a"])).error_code, 0);
    let good = client.fetch_request(12, "t", 0);
    let mut ask = |request| {
        let response: FetchResponse = client.ask(ApiKey::Fetch, 12, &request);
        let code = response.responses.first().map(|topic| topic.partitions[0].error_code);
        (response.error_code, code)
    };
    let mut negative = good.clone();
    negative.topics[0].partitions[0].partition_max_bytes = -1;
    assert_eq!(ask(negative), (0, Some(-1)));
    let mut ahead = good.clone();
    ahead.topics[0].partitions[0].last_fetched_epoch = 3;
    assert_eq!(ask(ahead), (0, Some(1)));
    let mut level = good.clone();
    level.isolation_level = 2;
    assert_eq!(ask(level), (-1, Some(-1)));
    let mut session = good.clone();
    session.session_epoch = 1;
    assert_eq!(ask(session), (70, None));
    assert_eq!(ask(good), (0, Some(0)));
}

#[test]
fn half_an_identity_and_an_empty_transactional_id_are_invalid() {
    let cluster = TestCluster::start();
    let mut client = Client::new(&cluster, 1);
    let mut code = |transactional_id: Option<&str>, producer_id, producer_epoch| {
        let transactional_id = transactional_id.map(str::to_owned);
        let request = InitProducerIdRequest {
            transactional_id,
            transaction_timeout_ms: 1_000,
            producer_id,
            producer_epoch,
            ..Default::default()
        };
        client.ask::<InitProducerIdResponse>(ApiKey::InitProducerId, 4, &request).error_code
    };
    assert_eq!([code(None, 5, -1), code(None, -1, 3), code(Some(""), -1, -1)], [42; 3]);
    assert_eq!([code(None, 5, 3), code(None, -1, -1)], [0; 2]);
}

#[test]
fn a_listener_without_sasl_stays_open_after_a_handshake() {
    let cluster = TestCluster::start();
    let mut client = Client::new(&cluster, 1);
    let request = SaslHandshakeRequest { mechanism: "PLAIN".into() };
    let response: SaslHandshakeResponse = client.ask(ApiKey::SaslHandshake, 1, &request);
    assert_eq!(response.error_code, 34);
    assert_eq!(client.metadata(12, "t").topics[0].error_code, 0);
}

#[test]
fn an_unknown_topic_comes_before_a_wrong_batch_and_a_batch_that_cannot_be_found_before_all() {
    let cluster = TestCluster::builder().topic("t").start().unwrap();
    let mut client = Client::new(&cluster, 1);
    assert_eq!(client.produce(12, "unknown", Bytes::new()).error_code, 3);
    let mut magic_3 = batch(&["a"]).to_vec();
    magic_3[16] = 3;
    assert_eq!(client.produce(12, "unknown", magic_3.clone()).error_code, 2);
    let set = |name: &str, records: Bytes| TopicProduceData {
        name: name.into(),
        partition_data: vec![PartitionProduceData { index: 0, records: Some(records) }],
        ..Default::default()
    };
    let topic_data = vec![set("t", batch(&["good"])), set("unknown", magic_3.into())];
    let request = ProduceRequest { transactional_id: None, acks: -1, timeout_ms: 1_000, topic_data };
    let response: ProduceResponse = client.ask(ApiKey::Produce, 12, &request);
    let each: Vec<_> = response.responses.iter().map(|topic| topic.partition_responses[0].error_code).collect();
    assert_eq!(each, [2, 2]);
    assert_eq!(cluster.log("t", 0).unwrap().end(), 0);
    // 16 bytes of zeros are a batch of a wrong length, and 3 bytes are not looked at.
    let good = batch(&["a"]);
    assert_eq!(client.produce(12, "t", [&good[..], &[0; 16]].concat()).error_code, 2);
    assert_eq!(client.produce(12, "t", [&good[..], &[0; 3]].concat()).error_code, 0);
}

#[test]
fn a_repeated_batch_has_its_largest_timestamp_for_the_append_time() {
    let append_time = Topic::new("append-time").log_append_time();
    let cluster = TestCluster::builder().topic("t").topic(append_time).start().unwrap();
    let mut client = Client::new(&cluster, 1);
    let records = stamped(&["a", "b"], Stamp::NONE.producer(7, 0, 0));
    assert_eq!(client.produce(12, "t", records.clone()).log_append_time_ms, -1);
    assert_eq!(client.produce(12, "t", records.clone()).log_append_time_ms, TIME + 1);
    let first = client.produce(12, "append-time", records.clone());
    assert!(first.log_append_time_ms > TIME + 1);
    assert_eq!(client.produce(12, "append-time", records), first);
}
