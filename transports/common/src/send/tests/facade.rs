//! The statistics through the facade of the crate `metrics`.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use kafka_batch_core::machine::{Stats, TopicStats};
use kafka_batch_core::protocol::ErrorCode;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit, with_local_recorder};

use super::stats::stats;
use super::*;
use crate::StatsRecorder;

/// Keeps the values of all metrics, by their name and labels as text.
#[derive(Default)]
struct Values {
    counters: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
    gauges: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
    units: Mutex<BTreeMap<String, Option<Unit>>>,
}

fn text(key: &Key) -> String {
    let mut text = key.name().to_owned();
    for label in key.labels() {
        text += &format!(" {}={}", label.key(), label.value());
    }
    text
}

impl Recorder for Values {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.units.lock().unwrap().insert(name.as_str().to_owned(), unit);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe_counter(name, unit, description);
    }

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::clone(self.counters.lock().unwrap().entry(text(key)).or_default()))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Arc::clone(self.gauges.lock().unwrap().entry(text(key)).or_default()))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        panic!("no histogram is expected: {key}")
    }
}

impl Values {
    #[track_caller]
    fn counter(&self, key: &str) -> u64 {
        let counters = self.counters.lock().unwrap();
        counters.get(key).unwrap_or_else(|| panic!("{key}: {:#?}", counters.keys())).load(Ordering::SeqCst)
    }

    #[track_caller]
    fn gauge(&self, key: &str) -> f64 {
        let gauges = self.gauges.lock().unwrap();
        f64::from_bits(gauges.get(key).unwrap_or_else(|| panic!("{key}: {:#?}", gauges.keys())).load(Ordering::SeqCst))
    }
}

#[test]
fn counters_grow_with_the_statistics_and_gauges_follow_them() {
    let values = Values::default();
    let mut world = World::new(Duration::ZERO, 1 << 20, BatchOptions::default());
    with_local_recorder(&values, || {
        let mut recorder = StatsRecorder::new("me");
        for round in 1..=3 {
            drop(world.accepted(Some(0), None, "a"));
            let open = stats(&mut world).unwrap();
            recorder.record(&open);
            assert!(values.gauge("kafka_producer_buffer_available_bytes client_id=me") < f64::from(1 << 20));
            world.settle();
            let stats = stats(&mut world).unwrap();
            recorder.record(&stats);
            let of_topic = format!("client_id=me topic={TOPIC}");
            assert_eq!(values.counter(&format!("kafka_producer_record_ack_total {of_topic}")), round);
            assert_eq!(values.counter(&format!("kafka_producer_byte_total {of_topic}")), stats.total.byte_total);
            let lingered = format!("kafka_producer_accepted_record_total {of_topic} reason=linger");
            assert_eq!(values.counter(&lingered), round);
            let leader = stats.brokers.iter().find(|broker| broker.address.id.is_some()).unwrap();
            let (id, host, port) = (leader.address.id.unwrap(), &leader.address.host, leader.address.port);
            let of_leader = format!("client_id=me node_id={id} broker={host}:{port}");
            assert_eq!(values.counter(&format!("kafka_producer_request_total {of_leader}")), leader.request_total);
            assert_eq!(values.gauge(&format!("kafka_producer_connection_count {of_leader}")), 1.0);
            assert_eq!(values.gauge("kafka_producer_buffer_available_bytes client_id=me"), f64::from(1 << 20));
        }
        recorder.record(&stats(&mut world).unwrap());
        assert_eq!(values.counter(&format!("kafka_producer_record_ack_total client_id=me topic={TOPIC}")), 3);
        assert!(values.counters.lock().unwrap().keys().any(|key| key.contains("node_id=bootstrap broker=broker:9092")));
        let mut moved = stats(&mut world).unwrap();
        let leader = moved.brokers.iter_mut().find(|broker| broker.address.id.is_some()).unwrap();
        let host = mem::replace(&mut leader.address.host, "elsewhere".to_owned());
        let (id, port) = (leader.address.id.unwrap(), leader.address.port);
        recorder.record(&moved);
        let connected = |host: &str| {
            values.gauge(&format!("kafka_producer_connection_count client_id=me node_id={id} broker={host}:{port}"))
        };
        assert_eq!((connected(&host), connected("elsewhere")), (0.0, 1.0));
    });
    let units = values.units.lock().unwrap();
    assert_eq!(units["kafka_producer_byte_total"], Some(Unit::Bytes));
    assert_eq!(units["kafka_producer_request_latency_max"], Some(Unit::Seconds));
    let described = |key: &String| units.contains_key(key.split(' ').next().unwrap());
    assert!(values.counters.lock().unwrap().keys().chain(values.gauges.lock().unwrap().keys()).all(described));
}

#[test]
fn a_topic_that_begins_again_is_added_to_what_was_counted() {
    let values = Values::default();
    let with = |sent: u64, errors: &[(ErrorCode, u64)]| {
        let mut topic = TopicStats::default();
        topic.topic = "t".into();
        topic.batches.record_send_total = sent;
        topic.batches.errors = errors.to_vec();
        topic.batches.unknown_error_total = 1;
        let mut stats = Stats::default();
        stats.topics.push(topic);
        stats
    };
    with_local_recorder(&values, || {
        let mut recorder = StatsRecorder::new("me");
        recorder.record(&with(10, &[(ErrorCode::NOT_LEADER_OR_FOLLOWER, 2)]));
        recorder.record(&with(15, &[(ErrorCode::NOT_LEADER_OR_FOLLOWER, 3), (ErrorCode::INVALID_RECORD, 1)]));
        recorder.record(&Stats::default());
        recorder.record(&with(4, &[]));
        recorder.record(&with(1, &[])); // and again, between two calls
    });
    assert_eq!(values.counter("kafka_producer_record_send_total client_id=me topic=t"), 20);
    let errors =
        |name: &str| values.counter(&format!("kafka_producer_response_error_total client_id=me topic=t error={name}"));
    assert_eq!((errors("NOT_LEADER_OR_FOLLOWER"), errors("INVALID_RECORD"), errors("unknown")), (3, 1, 2));
}
