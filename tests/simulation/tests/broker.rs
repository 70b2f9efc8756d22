//! The simulated broker: requests that `kafka-batch-core` encodes, and responses that it decodes.

use std::time::Duration;

use bytes::Bytes;
use kafka_batch_core::Magic;
use kafka_batch_core::batch::Stamp;
use kafka_batch_core::protocol::{
    Acks, ApiKey, ApiVersionsRequest, ApiVersionsResponse, ErrorCode, InitProducerIdRequest, InitProducerIdResponse,
    MetadataRequest, MetadataResponse, PartitionProduceData, PartitionProduceResponse, ProduceRequest, ProduceResponse,
    RequestHeader, RequestedTopics, TopicProduceData, Uuid,
};
use kafka_batch_simulation::contents::{BatchSpec, Serial, fill, identify};
use kafka_batch_testing::simulated::{
    Broker, BrokerAction, Cluster, ClusterSettings, LeaderChoice, REJECTION_CODES, Random, TopicConfig, Variation,
};
use kafka_batch_testing::{ApiKey as TheirKey, AssignedProducerId, Fault, FaultKind, RejectedProducerIds, Release};

const HEADER: RequestHeader<'static> = RequestHeader { correlation_id: 7, client_id: Some("test") };
const CONNECTION: u64 = 1;

/// A connection with broker 1 of a cluster of two.
struct Dialogue {
    broker: Broker,
    cluster: Cluster,
    now: Duration,
}

/// The actions of the broker.
#[derive(Debug, PartialEq)]
enum Received {
    Frame(Bytes),
    Closed,
    Nothing,
}

impl Received {
    fn frame(self) -> Bytes {
        match self {
            Self::Frame(frame) => frame,
            other => panic!("{other:?} instead of a response"),
        }
    }
}

fn with(release: Release) -> Dialogue {
    let settings = ClusterSettings {
        default_partitions: 2,
        topic: TopicConfig::default().max_message_bytes(10_000),
        replication_ms: Some(10),
        leaders: LeaderChoice::Random,
        ..ClusterSettings::default()
    };
    let mut cluster = Cluster::new(settings, &[release, release], Random::new(5));
    cluster.create("t", 1, Duration::ZERO);
    cluster.turn(Duration::ZERO);
    cluster.partition_mut("t", 0).unwrap().leader = Some(1);
    let mut broker = Broker::new(1, release, Variation::SIMULATION, Random::new(6));
    broker.accept(CONNECTION, 0);
    Dialogue { broker, cluster, now: Duration::ZERO }
}

impl Dialogue {
    fn at(&mut self, millis: u64) -> &mut Self {
        self.now = Duration::from_millis(millis);
        self
    }

    fn request(&mut self, request: &[Bytes]) -> &mut Self {
        self.broker.receive(CONNECTION, &request.concat());
        self
    }

    /// Returns what the broker does within ten seconds.
    fn responses(&mut self) -> Received {
        let patience = self.now + Duration::from_secs(10);
        loop {
            self.cluster.turn(self.now);
            for action in self.broker.turn(&mut self.cluster, self.now) {
                match action {
                    BrokerAction::Send { bytes, .. } => return Received::Frame(bytes.slice(4..)),
                    BrokerAction::CloseConnection(_) => return Received::Closed,
                    BrokerAction::Applied(_) | BrokerAction::Received(_) => {}
                }
            }
            let next = [self.broker.wakes_at(), self.cluster.wakes_at()].into_iter().flatten().min();
            match next.filter(|next| *next < patience) {
                Some(next) => self.now = self.now.max(next),
                None => return Received::Nothing,
            }
        }
    }

    fn send_produce(&mut self, version: i16, acks: Acks, serial: u64, stamp: Stamp) -> &mut Self {
        let request = produce(&self.cluster, version, acks, serial, stamp);
        self.request(&request)
    }

    fn produce_response(&mut self, version: i16) -> PartitionProduceResponse {
        let response = ProduceResponse::decode(&self.responses().frame(), version).unwrap();
        response.responses[0].partition_responses[0].clone()
    }

    fn stored(&self) -> Vec<u64> {
        self.cluster
            .partition("t", 0)
            .unwrap()
            .log
            .stored()
            .iter()
            .map(|stored| identify(&stored.bytes).unwrap().serial.0)
            .collect()
    }
}

fn produce(cluster: &Cluster, version: i16, acks: Acks, serial: u64, stamp: Stamp) -> Vec<Bytes> {
    let magic = Magic::for_produce_version(version);
    let sealed = fill(Serial(serial), BatchSpec { records: 3, padding: 5, magic: Some(magic), ..BatchSpec::default() })
        .seal()
        .unwrap();
    let records = sealed.stamp(stamp).unwrap().bytes().clone();
    let partition_data = vec![PartitionProduceData { index: 0, records }];
    let topic_data = vec![TopicProduceData { name: "t", topic_id: Uuid(cluster.topics["t"].id), partition_data }];
    ProduceRequest { transactional_id: None, acks, timeout_ms: 1_000, topic_data }.encode(version, HEADER).unwrap()
}

#[test]
fn the_oldest_broker_closes_the_connection_on_api_versions() {
    let request = ApiVersionsRequest {
        client_software_name: "test",
        client_software_version: "1",
        cluster_id: None,
        node_id: -1,
    };
    assert_eq!(with(Release::V0_9).at(1).request(&request.encode(0, HEADER).unwrap()).responses(), Received::Closed);

    // A version that the broker does not know is responded to in v0.
    for release in [Release::V0_10, Release::V2_8, Release::V4_1] {
        let frame = with(release).at(1).request(&request.encode(5, HEADER).unwrap()).responses().frame();
        let response = ApiVersionsResponse::decode(&frame, 5).unwrap();
        assert_eq!(response.error_code, ErrorCode::UNSUPPORTED_VERSION);
        assert_eq!(response.api_keys.is_empty(), release < Release::V2_4);
    }
    let frame = with(Release::V4_1).at(1).request(&request.encode(4, HEADER).unwrap()).responses().frame();
    let response = ApiVersionsResponse::decode(&frame, 4).unwrap();
    assert_eq!(response.choose(ApiKey::Produce), Some(13));
}

#[test]
fn every_produce_version_is_accepted_by_the_brokers_that_support_it() {
    for release in Release::ALL {
        for version in 0..=13 {
            let mut dialogue = with(release);
            dialogue.at(1).send_produce(version, Acks::All, 1, Stamp::NONE);
            if release.supports(TheirKey::Produce, version) {
                let answer = dialogue.produce_response(version);
                assert_eq!((answer.error_code, answer.base_offset), (ErrorCode::NONE, 0), "{release:?} v{version}");
                assert_eq!(dialogue.stored(), [1]);
            } else {
                assert_eq!(dialogue.responses(), Received::Closed, "{release:?} v{version}");
            }
        }
    }
}

#[test]
fn a_duplicate_gets_the_original_offset() {
    let mut dialogue = with(Release::V3_9);
    let stamp = |sequence| Stamp::NONE.producer(9, 0, sequence);
    assert_eq!(dialogue.at(1).send_produce(9, Acks::All, 1, stamp(0)).produce_response(9).base_offset, 0);
    assert_eq!(dialogue.at(100).send_produce(9, Acks::All, 2, stamp(3)).produce_response(9).base_offset, 3);
    assert_eq!(dialogue.at(200).send_produce(9, Acks::All, 1, stamp(0)).produce_response(9).base_offset, 0);
    let answer = dialogue.at(300).send_produce(9, Acks::All, 4, stamp(9)).produce_response(9);
    assert_eq!(answer.error_code, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(dialogue.stored(), [1, 2]);
}

#[test]
fn acks_0_has_no_response() {
    let mut dialogue = with(Release::V4_1);
    assert_eq!(dialogue.at(1).send_produce(13, Acks::None, 1, Stamp::NONE).responses(), Received::Nothing);
    assert_eq!(dialogue.stored(), [1]);
}

#[test]
fn a_leader_that_is_replaced_while_it_waits_cannot_report_the_outcome() {
    let mut dialogue = with(Release::V4_1);
    dialogue.cluster.partition_mut("t", 0).unwrap().frozen_until = Duration::from_secs(60);
    dialogue.at(1).send_produce(13, Acks::All, 1, Stamp::NONE);
    dialogue.broker.turn(&mut dialogue.cluster, dialogue.now);
    dialogue.at(10);
    dialogue.broker.turn(&mut dialogue.cluster, dialogue.now);
    assert_eq!(dialogue.stored(), [1]);
    dialogue.cluster.remove_leader("t", 0, Duration::from_millis(100), dialogue.now);
    assert_eq!(dialogue.produce_response(13).error_code, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    assert_eq!(dialogue.stored().len() + dialogue.cluster.lost.len(), 1);
}

#[test]
fn a_wait_for_replicas_that_times_out_does_not_remove_the_batch() {
    let mut dialogue = with(Release::V2_8);
    dialogue.cluster.partition_mut("t", 0).unwrap().frozen_until = Duration::from_secs(60);
    let answer = dialogue.at(1).send_produce(9, Acks::All, 1, Stamp::NONE).produce_response(9);
    assert_eq!(answer.error_code, ErrorCode::REQUEST_TIMED_OUT);
    assert_eq!(dialogue.stored(), [1]);
}

#[test]
fn a_topic_is_created_on_request_and_has_leaders_later() {
    let mut dialogue = with(Release::V3_9);
    let mut request = MetadataRequest::new(RequestedTopics::ByName(&["new"]));
    let mut ask = |dialogue: &mut Dialogue, allowed| {
        request.allow_auto_topic_creation = allowed;
        let frame = dialogue.request(&request.encode(12, HEADER).unwrap()).responses().frame();
        MetadataResponse::decode(&frame, 12).unwrap().topics[0].clone()
    };
    assert_eq!(ask(dialogue.at(1), false).error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(ask(dialogue.at(2), true).error_code, ErrorCode::LEADER_NOT_AVAILABLE);
    let topic = ask(dialogue.at(1_000), false);
    assert_eq!((topic.error_code, topic.partitions.len()), (ErrorCode::NONE, 2));
    assert!(topic.partitions.iter().all(|partition| partition.leader_id > 0));
}

#[test]
fn producer_ids_are_always_new_and_a_fault_is_applied_once() {
    let mut dialogue = with(Release::V4_1);
    let code = ErrorCode::COORDINATOR_LOAD_IN_PROGRESS.0;
    let what = FaultKind::Refuse { code, all: true };
    dialogue.broker.inject(Fault::new(what).api(TheirKey::InitProducerId).after(1));
    let request = InitProducerIdRequest::idempotent().encode(5, HEADER).unwrap();
    let mut ask =
        |at| InitProducerIdResponse::decode(&dialogue.at(at).request(&request).responses().frame(), 5).unwrap();
    let [first, second, third] = [ask(1), ask(2), ask(3)];
    assert_eq!(second.error_code.0, code);
    assert!(first.producer_id < third.producer_id && third.producer_epoch == 0);
}

#[test]
fn identities_are_assigned_again_or_with_other_epochs_if_configured() {
    let mut dialogue = with(Release::V4_1);
    let request = InitProducerIdRequest::idempotent().encode(5, HEADER).unwrap();
    let mut ask = |how: Option<AssignedProducerId>| {
        if let Some(how) = how {
            let what = FaultKind::AssignedProducerId(how);
            dialogue.broker.inject(Fault::new(what).api(TheirKey::InitProducerId));
        }
        let answer = InitProducerIdResponse::decode(&dialogue.request(&request).responses().frame(), 5).unwrap();
        assert_eq!(answer.error_code, ErrorCode::NONE);
        (answer.producer_id, answer.producer_epoch)
    };
    let (first, _) = ask(None);
    assert_eq!(ask(None), (first + 1, 0));
    assert_eq!(ask(Some(AssignedProducerId::Again)), (first + 1, 0));
    assert_eq!(ask(Some(AssignedProducerId::First)), (first, 0));
    assert_eq!(ask(Some(AssignedProducerId::LaterEpoch)), (first + 1, 3));
    assert_eq!(ask(Some(AssignedProducerId::LateEpoch)), (first + 2, i16::MAX - 1));
    assert_eq!(ask(Some(AssignedProducerId::Invalid)), (-1, 0));
}

#[test]
fn identities_are_rejected_permanently_with_any_code() {
    for code in REJECTION_CODES {
        let mut dialogue = with(Release::V4_1);
        dialogue.cluster.assign(9, 0);
        let produce = |dialogue: &mut Dialogue, serial, (id, epoch), sequence| {
            let stamp = Stamp::NONE.producer(id, epoch, sequence);
            dialogue.send_produce(13, Acks::All, serial, stamp).produce_response(13).error_code.0
        };
        dialogue.broker.reject(RejectedProducerIds::OwnEpochs, code, &dialogue.cluster);
        assert_eq!(produce(&mut dialogue, 1, (9, 0), 0), 0);
        assert_eq!(produce(&mut dialogue, 2, (9, 1), 0), code);
        dialogue.broker.end_faults(false);
        assert_eq!(produce(&mut dialogue, 3, (9, 1), 0), code);
        dialogue.broker.reject(RejectedProducerIds::Forgotten, code, &dialogue.cluster);
        assert_eq!(produce(&mut dialogue, 4, (9, 0), 3), code);
        dialogue.cluster.assign(10, 0);
        assert_eq!(produce(&mut dialogue, 5, (10, 0), 0), 0);
        assert_eq!(dialogue.stored(), [1, 5]);
    }
}
