//! The feature `transaction.version`.

use kafka_batch_testing::wire::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use kafka_batch_testing::{ApiKey, CoordinatorKind, Release, TestCluster, TransactionState};

use crate::common::Client;
use crate::producer::{Producer, values};

const T0: (&str, i32) = ("t", 0);

/// Returns the supported and the finalized levels, and the epoch.
fn features(cluster: &TestCluster, version: i16) -> (Option<(i16, i16)>, Option<i16>, i64) {
    let request = ApiVersionsRequest {
        client_software_name: "test".into(),
        client_software_version: "1".into(),
        ..Default::default()
    };
    let response: ApiVersionsResponse = Client::new(cluster, 1).ask(ApiKey::ApiVersions, version, &request);
    let supported = response.supported_features.iter().find(|feature| feature.name == "transaction.version");
    let finalized = response.finalized_features.iter().find(|feature| feature.name == "transaction.version");
    (
        supported.map(|feature| (feature.min_version, feature.max_version)),
        finalized.map(|feature| feature.max_version_level),
        response.finalized_features_epoch,
    )
}

#[test]
fn api_versions_names_the_level() {
    let cluster = TestCluster::start();
    assert_eq!(features(&cluster, 3), (None, Some(2), 1), "v3 has no lowest level of 0");
    assert_eq!(features(&cluster, 4), (Some((0, 2)), Some(2), 1));
    cluster.set_transaction_version(1);
    assert_eq!(features(&cluster, 4), (Some((0, 2)), Some(1), 2));
    cluster.set_transaction_version(0);
    assert_eq!(features(&cluster, 4), (Some((0, 2)), None, 3));
    let old = TestCluster::builder().release(Release::V3_9).start().unwrap();
    assert_eq!(features(&old, 4), (None, None, -1));
    let mixed = TestCluster::builder().releases([Release::V4_4, Release::V3_9]).start().unwrap();
    assert_eq!(features(&mixed, 4).1, None, "the oldest broker has none");
}

#[test]
fn at_level_0_requests_of_level_2_end_in_a_state_that_nothing_ends() {
    let cluster = TestCluster::builder().transaction_version(0).brokers(1).topic("t").start().unwrap();
    let mut producer = Producer::ready(&cluster, "a");
    assert_eq!(producer.produce(12, T0, 0, &["x"]), 35);
    assert_eq!((producer.add(3, "t", &[0]), producer.init(), producer.end(4, true)), (vec![51], 51, 51));
    assert!(!cluster.time_out_transaction("a"));
    // A coordinator that loads the log again knows nothing of it.
    cluster.remove_coordinator(CoordinatorKind::Transaction, "a");
    assert!(cluster.move_coordinator(CoordinatorKind::Transaction, "a", 1));
    assert_eq!(producer.add(3, "t", &[0]), [0]);
    assert_eq!(producer.produce(11, T0, 0, &["x"]), 0);
    assert_eq!(producer.end(5, true), 35);
    assert_eq!(producer.end(4, true), 51);
}

#[test]
fn open_transactions_survive_changes_of_the_level() {
    let cluster = TestCluster::builder().topic("t").start().unwrap();
    let mut producer = Producer::ready(&cluster, "a");
    for (level, next) in [(2, 1), (1, 2), (2, 0), (0, 2)] {
        cluster.set_transaction_version(level);
        let (produce, end) = if level == 2 { (12, 5) } else { (11, 4) };
        if level < 2 {
            assert_eq!(producer.bump(), 0, "sequences begin again");
            assert_eq!(producer.add(3, "t", &[0]), [0]);
        }
        assert_eq!(producer.produce(produce, T0, 0, &["x"]), 0, "level {level}");
        cluster.set_transaction_version(next);
        if next == 0 {
            // Clients notice the change by the answer to ApiVersions, before they end it.
            assert_eq!(producer.end(4, true), 0);
        } else {
            assert_eq!(producer.end(end, true), 0, "from level {level} to {next}");
        }
        if level < 2 {
            assert_eq!(producer.bump(), 0);
        }
    }
    assert_eq!(values(&cluster).1, ["x"; 4]);
    assert_eq!(cluster.transaction("a").unwrap().state, TransactionState::Empty);
}
