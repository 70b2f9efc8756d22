//! Tests of what metadata changes.

use super::*;
use crate::protocol::MetadataPartition;
use alloc::vec;

fn partition(index: i32, leader: i32, epoch: i32) -> MetadataPartition {
    MetadataPartition {
        error_code: ErrorCode::NONE,
        partition_index: index,
        leader_id: leader,
        leader_epoch: epoch,
        replica_nodes: vec![],
        isr_nodes: vec![],
        offline_replicas: vec![],
    }
}

fn topic(code: ErrorCode, id: u8, partitions: Vec<MetadataPartition>) -> MetadataTopic {
    MetadataTopic {
        error_code: code,
        name: Some("t".into()),
        topic_id: Uuid([id; 16]),
        is_internal: false,
        partitions,
        topic_authorized_operations: i32::MIN,
    }
}

fn response(brokers: &[i32], topics: Vec<MetadataTopic>) -> MetadataResponse {
    let broker = |&id: &i32| MetadataBroker { node_id: id, host: "h".into(), port: 9000 + id, rack: None };
    MetadataResponse {
        throttle_time_ms: 0,
        brokers: brokers.iter().map(broker).collect(),
        cluster_id: None,
        controller_id: -1,
        topics,
        cluster_authorized_operations: i32::MIN,
        error_code: ErrorCode::NONE,
    }
}

fn from() -> Source<'static> {
    static REQUESTED: std::sync::LazyLock<[String; 1]> = std::sync::LazyLock::new(|| ["t".into()]);
    Source { broker: None, version: 12, requested: &*REQUESTED }
}

#[test]
fn leaders_are_learned_and_stale_metadata_changes_nothing() {
    let mut cluster = Cluster::default();
    cluster.apply(
        &response(&[1, 2], vec![topic(ErrorCode::NONE, 1, vec![partition(0, 1, 5), partition(1, 2, 3)])]),
        from(),
    );
    assert_eq!((cluster.leader("t", 0), cluster.leader("t", 1), cluster.leader("t", 2)), (Some(1), Some(2), None));
    assert_eq!(cluster.partition_count("t"), Some(2));
    cluster.apply(
        &response(&[1, 2], vec![topic(ErrorCode::NONE, 1, vec![partition(0, 2, 4), partition(1, 1, 4)])]),
        from(),
    );
    assert_eq!((cluster.leader("t", 0), cluster.leader("t", 1)), (Some(1), Some(1)));
    assert_eq!(cluster.address(2).unwrap().port, 9002);
}

#[test]
fn a_lower_epoch_is_accepted_in_the_end_if_no_leader_is_known() {
    let mut cluster = Cluster::default();
    let answer = |epoch| response(&[1], vec![topic(ErrorCode::NONE, 0, vec![partition(0, 1, epoch)])]);
    cluster.apply(&answer(i32::MAX), from());
    cluster.forget_leader("t", 0, 1, Some(ErrorCode::NOT_LEADER_OR_FOLLOWER));
    let leaders = [0; 5].map(|_| {
        cluster.apply(&answer(4), from());
        cluster.leader("t", 0)
    });
    assert_eq!(leaders, [None, None, None, None, Some(1)]);
    cluster.apply(&answer(3), from());
    assert_eq!(cluster.leader("t", 0), Some(1), "the known leader is kept");
}

#[test]
fn epochs_of_old_metadata_versions_are_ignored() {
    let mut cluster = Cluster::default();
    let answer = |leader, epoch| response(&[1, 2], vec![topic(ErrorCode::NONE, 0, vec![partition(0, leader, epoch)])]);
    cluster.apply(&answer(1, 5), Source { version: 8, ..from() });
    cluster.apply(&answer(2, 4), Source { version: 8, ..from() });
    assert_eq!(cluster.leader("t", 0), Some(2));
}

#[test]
fn topics_not_requested_are_ignored_and_removed_partitions_are_forgotten() {
    let mut cluster = Cluster::default();
    let two = response(&[1], vec![topic(ErrorCode::NONE, 1, vec![partition(0, 1, 1), partition(1, 1, 1)])]);
    cluster.apply(&two, Source { requested: &[], ..from() });
    assert!(cluster.is_unused());
    cluster.apply(&two, from());
    assert_eq!(cluster.partition_count("t"), Some(2));
    cluster.apply(&response(&[1], vec![topic(ErrorCode::NONE, 1, vec![partition(0, 1, 2)])]), from());
    assert_eq!(cluster.partition_count("t"), Some(1));
}

#[test]
fn a_leader_that_is_not_among_the_brokers_is_unknown() {
    let mut cluster = Cluster::default();
    cluster
        .apply(&response(&[1], vec![topic(ErrorCode::NONE, 1, vec![partition(0, 7, 5), partition(1, 1, 1)])]), from());
    assert_eq!(cluster.leader("t", 0), None);
    cluster.apply(&response(&[2], vec![]), from());
    assert_eq!(cluster.leader("t", 1), None, "it left the cluster");
}

#[test]
fn a_response_without_brokers_is_ignored() {
    let mut cluster = Cluster::default();
    cluster.apply(&response(&[1], vec![topic(ErrorCode::NONE, 1, vec![partition(0, 1, 5)])]), from());
    assert!(
        cluster
            .apply(&response(&[], vec![topic(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, 0, vec![])]), from())
            .has_no_brokers
    );
    assert_eq!(cluster.leader("t", 0), Some(1));
}

#[test]
fn topics_become_known_are_recreated_and_refused() {
    let mut cluster = Cluster::default();
    cluster.apply(&response(&[1], vec![topic(ErrorCode::LEADER_NOT_AVAILABLE, 0, vec![])]), from());
    assert_eq!(cluster.error("t").unwrap().code, ErrorCode::LEADER_NOT_AVAILABLE);
    cluster.apply(&response(&[1], vec![topic(ErrorCode::NONE, 1, vec![partition(0, 1, 9)])]), from());
    assert_eq!((cluster.error("t"), cluster.topic_id("t")), (None, Uuid([1; 16])));
    let changes = cluster.apply(&response(&[1], vec![topic(ErrorCode::NONE, 2, vec![partition(0, 1, 0)])]), from());
    assert_eq!(changes.recreated, ["t"]);
    assert_eq!((cluster.leader("t", 0), cluster.topic_id("t")), (Some(1), Uuid([2; 16])));
    let denied = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
    let changes = cluster.apply(&response(&[1], vec![topic(denied, 0, vec![])]), Source { broker: Some(1), ..from() });
    assert_eq!(
        changes.refused,
        [("t".into(), BrokerError::new(ApiKey::Metadata, denied).with_version(12).with_broker(1))]
    );
    assert_eq!(cluster.leader("t", 0), None);
}

#[test]
fn a_topic_that_is_no_longer_known_was_deleted() {
    let mut cluster = Cluster::default();
    let unknown = response(&[1], vec![topic(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, 0, vec![])]);
    cluster.apply(&unknown, from());
    assert!(!cluster.is_deleted("t"), "it has never existed");
    cluster.apply(&response(&[1], vec![topic(ErrorCode::NONE, 1, vec![partition(0, 1, 5)])]), from());
    assert!(!cluster.is_deleted("t"));
    for _ in 0..2 {
        cluster.apply(&unknown, from());
        assert!(cluster.is_deleted("t"));
    }
    cluster.apply(&response(&[1], vec![topic(ErrorCode::LEADER_NOT_AVAILABLE, 0, vec![])]), from());
    assert!(!cluster.is_deleted("t"), "it is being created again");
}

#[test]
fn a_forgotten_leader_is_known_again_after_metadata() {
    let mut cluster = Cluster::default();
    let answer = response(&[1, 2], vec![topic(ErrorCode::NONE, 1, vec![partition(0, 1, 5)])]);
    cluster.apply(&answer, from());
    cluster.forget_leader("t", 0, 2, Some(ErrorCode::NOT_LEADER_OR_FOLLOWER));
    assert_eq!(cluster.leader("t", 0), Some(1), "another broker leads");
    cluster.forget_leader("t", 0, 1, Some(ErrorCode::NOT_LEADER_OR_FOLLOWER));
    assert_eq!(cluster.leader("t", 0), None);
    cluster.apply(&response(&[1, 2], vec![topic(ErrorCode::NONE, 1, vec![partition(0, 2, 4)])]), from());
    assert_eq!(cluster.leader("t", 0), None, "stale metadata");
    cluster.apply(&answer, from());
    assert_eq!(cluster.leader("t", 0), Some(1));
    cluster.forget_leader("t", 0, 1, Some(ErrorCode::UNKNOWN_TOPIC_ID));
    assert_eq!((cluster.leader("t", 0), cluster.topic_id("t")), (None, Uuid::ZERO));
    cluster.apply(&response(&[1, 2], vec![topic(ErrorCode::NONE, 3, vec![partition(0, 2, 0)])]), from());
    assert_eq!(cluster.leader("t", 0), Some(2), "epochs start again");
}

#[test]
fn leader_hints_are_followed_if_they_are_newer_and_have_an_address() {
    let mut cluster = Cluster::default();
    cluster.apply(&response(&[1], vec![topic(ErrorCode::NONE, 1, vec![partition(0, 1, 5)])]), from());
    let hint = |leader_id, leader_epoch| LeaderIdAndEpoch { leader_id, leader_epoch };
    let endpoint = NodeEndpoint { node_id: 3, host: "new".into(), port: 9003, rack: None };
    assert!(!cluster.hint("t", 0, hint(3, 5), core::slice::from_ref(&endpoint)), "not newer");
    assert!(!cluster.hint("t", 0, hint(4, 6), core::slice::from_ref(&endpoint)), "no address is known");
    assert!(cluster.hint("t", 0, hint(3, 6), &[endpoint]));
    assert_eq!((cluster.leader("t", 0), cluster.address(3).unwrap().host.as_str()), (Some(3), "new"));
}

#[test]
fn after_rebootstrap_nothing_is_known() {
    let mut cluster = Cluster::default();
    cluster.apply(&response(&[1], vec![topic(ErrorCode::NONE, 1, vec![partition(0, 1, 5)])]), from());
    let answer = MetadataResponse { error_code: ErrorCode::REBOOTSTRAP_REQUIRED, ..response(&[], vec![]) };
    let revision = cluster.revision();
    assert!(cluster.apply(&answer, from()).rebootstrap);
    assert_eq!((cluster.leader("t", 0), cluster.brokers().count()), (Some(1), 1), "that is up to the machine");
    cluster.discard();
    assert_eq!((cluster.leader("t", 0), cluster.brokers().count()), (None, 0));
    assert!(cluster.revision() > revision);
}

#[test]
fn partitions_whose_leaders_are_in_a_rack() {
    let mut cluster = Cluster::default();
    let partitions = vec![partition(0, 1, 1), partition(1, 2, 1), partition(2, 3, 1), partition(3, 1, 1)];
    let mut answer = response(&[1, 2, 3], vec![topic(ErrorCode::NONE, 1, partitions)]);
    answer.brokers[0].rack = Some("a".into());
    answer.brokers[1].rack = Some("b".into());
    cluster.apply(&answer, from());
    let led = |rack, topic| cluster.led_in_rack(topic, rack).collect::<Vec<_>>();
    assert_eq!((led("a", "t"), led("b", "t"), led("c", "t"), led("a", "other")), (vec![0, 3], vec![1], vec![], vec![]));
    cluster.forget_leader("t", 0, 1, Some(ErrorCode::NOT_LEADER_OR_FOLLOWER));
    assert_eq!(cluster.led_in_rack("t", "a").collect::<Vec<_>>(), [3]);
}
