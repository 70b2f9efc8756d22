//! Any bytes: a broker answers or closes the connection, and never panics.

use std::time::Duration;

use kafka_batch_testing::simulated::{ClusterSettings, Engine, EngineSettings, Users, Variation};
use kafka_batch_testing::wire;
use kafka_batch_testing::wire::api_versions::ApiVersionsRequest;
use kafka_batch_testing::wire::metadata::MetadataRequest;
use kafka_batch_testing::{ApiKey, Release};
use proptest::prelude::*;

fn engine(users: Users) -> Engine {
    let mut engine = Engine::new(EngineSettings {
        cluster: ClusterSettings::default(),
        releases: vec![Release::NEWEST],
        users,
        variation: Variation::NONE,
        request_max_bytes: 1 << 20,
        recording: true,
        seed: 1,
    });
    engine.cluster.create("t", 1, Duration::ZERO);
    engine.brokers[0].accept(1, 0);
    engine
}

/// A request with a valid header and any body, or one that is valid up to a point.
fn requests() -> impl Strategy<Value = Vec<u8>> {
    let any_body = (prop::sample::select(ApiKey::ALL), -1..20_i16, prop::collection::vec(any::<u8>(), 0..60));
    let any_body = any_body.prop_map(|(api, version, body)| {
        let mut frame = vec![0, 0, 0, (10 + body.len()) as u8];
        frame.extend(api.code().to_be_bytes());
        frame.extend(version.to_be_bytes());
        frame.extend([0, 0, 0, 7, 0xff, 0xff]);
        frame.extend(body);
        frame
    });
    let changed = (0..13_i16, any::<prop::sample::Index>(), any::<u8>()).prop_map(|(version, at, byte)| {
        let mut frame = wire::request(ApiKey::Metadata, version, 7, None, &MetadataRequest::default()).to_vec();
        let at = 4 + at.index(frame.len() - 4);
        frame[at] = byte;
        frame
    });
    prop_oneof![any_body, changed, prop::collection::vec(any::<u8>(), 0..40)]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_survived(requests in prop::collection::vec(requests(), 1..6), with_users in any::<bool>()) {
        let users = if with_users { Users::default().plain("u", "p") } else { Users::default() };
        let mut engine = engine(users);
        for (number, bytes) in requests.iter().enumerate() {
            engine.brokers[0].receive(1, bytes);
            let _ = engine.turn(Duration::from_millis(number as u64));
        }
        // Another connection is served.
        engine.brokers[0].accept(2, 0);
        let request = wire::request(ApiKey::ApiVersions, 0, 1, None, &ApiVersionsRequest::default());
        engine.brokers[0].receive(2, &request);
        prop_assert!(!engine.turn(Duration::from_secs(100)).is_empty());
    }
}
