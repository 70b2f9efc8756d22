//! Tests of the statistics: what each event counts, and that nothing counts twice.

use super::*;
#[cfg(feature = "lz4")]
use crate::{BatchOptions, Compression};

fn nth(stats: &Stats, topic: usize) -> &BatchStats {
    &stats.topics[topic].batches
}

/// Returns the statistics of the broker with this id, or of the bootstrap server.
fn broker(stats: &Stats, id: Option<i32>) -> &BrokerStats {
    stats.brokers.iter().find(|broker| broker.address.id == id).unwrap()
}

#[test]
fn a_new_producer_has_counted_nothing() {
    let world = World::new(|config| config.buffer_memory = 1_000);
    let mut expected = Stats { at: at(7), ..Stats::default() };
    expected.buffer.buffer_total_bytes = 1_000;
    expected.buffer.buffer_available_bytes = 1_000;
    assert_eq!(world.producer.stats(at(7)), expected);
    assert_eq!((expected.oldest_batch_age(), expected.connection_count(), expected.requests_in_flight()), (None, 0, 0));
}

#[test]
fn a_delivered_batch_is_counted_once_on_its_way() {
    let mut world = World::new(|_| {});
    world.pass(at(10));
    let size = batch(&["one", "two"]).size() as u64;
    world.send(&["one", "two"], 3);
    let accepted = world.producer.stats(at(15));
    assert_eq!(accepted.topics[0].topic, "t");
    assert_eq!(accepted.topics[0].oldest_batch_age, Some(Duration::from_millis(5)));
    assert_eq!(accepted.buffer.buffer_available_bytes, 33_554_432 - size);
    assert_eq!((accepted.buffer.batches_in_use, accepted.metadata_age), (1, None));
    let explicit = accepted.total.accepted.explicit;
    let sum = (explicit.batch_total, explicit.record_total, explicit.byte_total, explicit.limit_total);
    assert_eq!(sum, (1, 2, size, 16_384));
    assert_eq!(accepted.total.accepted.sum(), explicit);
    assert_eq!((accepted.total.record_send_total, accepted.total.batch_ack_total), (0, 0));
    world.pass(at(20));
    let delivered = world.producer.stats(at(30));
    let total = &delivered.total;
    assert_eq!(nth(&delivered, 0), total);
    assert_eq!((total.record_send_total, total.batch_send_total, total.byte_total), (2, 1, size));
    assert_eq!((total.record_ack_total, total.batch_ack_total), (2, 1));
    assert_eq!((total.record_retry_total, total.record_error_total, total.no_response_total), (0, 0, 0));
    assert_eq!((total.record_queue_time.count, total.ack_time.count), (1, 1));
    assert_eq!((total.batch_size_max, total.batch_size_avg()), (size, Some(size as f64)));
    assert_eq!(total.compression_rate_avg(), Some(1.0));
    assert!(total.errors.is_empty());
    assert_eq!((delivered.oldest_batch_age(), delivered.buffer.batches_in_use), (None, 0));
    assert_eq!(delivered.buffer.buffer_available_bytes, 33_554_432);
    assert_eq!(delivered.metadata_age, Some(Duration::from_millis(20)));
    assert_eq!(delivered.connection_count(), 2);
    let boot = broker(&delivered, None);
    assert_eq!((boot.request_total, boot.response_total, boot.request_latency.count), (2, 2, 0));
    let leader = broker(&delivered, Some(1));
    assert_eq!((leader.address.host.as_str(), leader.address.port, leader.is_connected), ("broker", 9001, true));
    assert_eq!((leader.request_total, leader.response_total, leader.request_latency.count), (3, 3, 1));
    assert_eq!((leader.connection_creation_total, leader.connection_close_total), (1, 0));
    assert!(leader.outgoing_byte_total > size && leader.incoming_byte_total > 0);
}

#[test]
fn the_time_in_the_queue_and_to_the_response_is_measured() {
    let mut world = World::new(|_| {});
    world.send(&["x"], 0);
    world.pass(at(0));
    let request = world.pipeline(&["y"]).pop().unwrap();
    world.pass(at(40));
    let pending = world.producer.stats(at(40));
    assert_eq!((pending.requests_in_flight(), broker(&pending, Some(1)).requests_in_flight), (1, 1));
    assert_eq!(pending.oldest_batch_age(), Some(Duration::from_millis(40)));
    world.throttle = 25;
    world.reply(&request, ErrorCode::NONE);
    world.throttle = 0;
    let opened = at(10);
    world.producer.send_gathered(batch(&["z"]), to(0), SendReason::Linger, opened, at(40)).unwrap();
    world.run();
    let stats = world.producer.stats(at(41));
    let leader = broker(&stats, Some(1));
    assert_eq!(leader.request_latency, Timing::new(3, Duration::from_millis(40), Duration::from_millis(40)));
    assert_eq!(stats.total.ack_time.max, Duration::from_millis(40));
    assert_eq!(leader.produce_throttle_time, Timing::new(3, Duration::from_millis(25), Duration::from_millis(25)));
    assert_eq!(
        leader.throttled_for,
        Duration::ZERO,
        "version 3 of Produce: the broker has delayed the response itself"
    );
    assert_eq!(stats.total.record_queue_time, Timing::new(3, Duration::from_millis(30), Duration::from_millis(30)));
    assert_eq!(stats.total.accepted.linger.batch_total, 1);
}

#[test]
fn retries_errors_and_missing_responses_are_counted() {
    let mut world = World::new(|config| config.delivery_timeout = Duration::from_secs(2));
    let errors = [ErrorCode::NOT_ENOUGH_REPLICAS, ErrorCode::NOT_LEADER_OR_FOLLOWER, ErrorCode::NOT_ENOUGH_REPLICAS];
    world.responses.extend(errors.map(|code| Some(code.0)));
    world.send(&["one", "two", "three"], 0);
    world.pass(at(3_000));
    let total = world.producer.stats(at(3_000)).total;
    let counted = [(ErrorCode::NOT_LEADER_OR_FOLLOWER, 1), (ErrorCode::NOT_ENOUGH_REPLICAS, 2)];
    assert_eq!(total.errors, counted);
    assert_eq!((total.batch_send_total, total.batch_retry_total), (4, 3));
    assert_eq!((total.record_send_total, total.record_retry_total, total.record_ack_total), (12, 9, 3));
    assert_eq!(total.record_queue_time.count, 1, "the first attempt only");
    // A code that has no name, then none at all.
    world.responses.extend([Some(9_999), None]);
    world.send(&["four"], 0);
    world.send(&["five", "six"], 0);
    world.pass(at(10_000));
    let total = world.producer.stats(at(10_000)).total;
    assert_eq!((total.errors, total.unknown_error_total), (counted.to_vec(), 1));
    assert_eq!((total.batch_error_total, total.record_error_total), (2, 3), "one refused, one timed out");
    assert_eq!(total.no_response_total, 0, "the connection is still open");
    assert_eq!((total.batch_ack_total, total.record_ack_total), (1, 3));
    let connection = world.connects[1].0;
    world.disconnect(connection);
    world.pass(at(10_000));
    let stats = world.producer.stats(at(10_000));
    assert_eq!(stats.total.no_response_total, 1);
    let leader = broker(&stats, Some(1));
    assert_eq!((leader.connection_close_total, leader.connection_error_total, leader.is_connected), (1, 1, false));
    assert_eq!(leader.failed_authentication_total, 0);
    assert!(leader.request_total > 0, "the counters outlive the connection");
}

#[test]
fn the_counters_of_a_broker_go_on_with_its_next_connection() {
    let mut world = World::new(|_| {});
    for round in 1..=3 {
        world.send(&["x"], 0);
        world.pass(world.now + Duration::from_secs(5));
        let stats = world.producer.stats(world.now);
        let leader = broker(&stats, Some(1));
        assert_eq!((leader.connection_creation_total, leader.connection_close_total), (round, round - 1));
        assert_eq!(leader.request_latency.count, round);
        let connection = world.connects.last().unwrap().0;
        world.disconnect(connection);
        world.run();
    }
}

#[test]
fn failed_authentications_are_counted_and_no_connection_was_refused_otherwise() {
    let mut world =
        World::new(|config| config.sasl = Some(Sasl::Plain(PlainCredentials::new("me", "secret").unwrap())));
    world.session = Some(0);
    world.rejects_credentials = true;
    world.send(&["x"], 0);
    world.run();
    let stats = world.producer.stats(world.now);
    let boot = broker(&stats, None);
    assert_eq!((boot.failed_authentication_total, boot.connection_error_total), (1, 1));
    assert_eq!((boot.connection_creation_total, boot.connection_close_total), (1, 1));
}

#[test]
fn a_forgotten_topic_is_still_in_the_total() {
    let mut world = World::new(|config| config.metadata_max_idle = Duration::from_secs(1));
    world.send(&["one", "two"], 0);
    world.pass(at(10_000));
    let stats = world.producer.stats(at(10_000));
    assert!(stats.topics.is_empty());
    assert_eq!((stats.total.record_ack_total, stats.total.batch_send_total), (2, 1));
    world.send(&["three"], 0);
    world.pass(at(10_000));
    let stats = world.producer.stats(at(10_000));
    assert_eq!((nth(&stats, 0).record_ack_total, stats.total.record_ack_total), (1, 3));
}

#[test]
fn a_batch_for_which_there_is_no_room_is_counted() {
    let size = batch(&["x"]).size();
    let mut world = World::new(|config| config.buffer_memory = size);
    world.send(&["x"], 0);
    for _ in 0..2 {
        let refused = world.producer.send(batch(&["x"]), to(0), at(0)).unwrap_err();
        assert!(matches!(refused.kind, MachineSendErrorKind::Full { .. }));
    }
    world.producer.send(batch(&["too large for the limit"]), to(0), at(0)).unwrap_err();
    let stats = world.producer.stats(at(0));
    assert_eq!((stats.buffer.buffer_exhausted_total, stats.buffer.buffer_available_bytes), (2, 0));
    assert_eq!(stats.total.accepted.sum().batch_total, 1);
}

#[test]
fn the_records_of_a_split_batch_are_counted_by_their_fate() {
    let mut world = World::new(|config| config.split_too_large = true);
    let too_large = Some(ErrorCode::MESSAGE_TOO_LARGE.0);
    // The whole; the first part, which is written; the others, which are refused.
    world.responses.extend([too_large, Some(0)]);
    world.responses.extend([Some(ErrorCode::INVALID_RECORD.0); 3]);
    world.send(&["one", "two", "three", "four"], 0);
    world.pass(at(5_000));
    let total = world.producer.stats(at(5_000)).total;
    assert_eq!((total.batch_split_total, total.batch_error_total, total.batch_ack_total), (1, 1, 0));
    let written = world.error().positions(Fate::Written).count() as u64;
    assert!(written > 0);
    assert_eq!((total.record_ack_total, total.record_error_total), (written, 4 - written));
    assert_eq!((total.accepted.sum().batch_total, total.ack_time.count), (1, 0));
    let sent = world.produced().len() as u64;
    assert_eq!(
        (total.batch_send_total, total.batch_retry_total),
        (sent, sent - 1),
        "the parts were in a request before"
    );
}

#[cfg(feature = "lz4")]
#[test]
fn compression_and_fill_are_those_of_the_accepted_batches() {
    let mut world = World::new(|_| {});
    let options = BatchOptions::default().batch_size(1_000).compression(Compression::Lz4);
    let mut filled = options.build(0).unwrap();
    while filled.append(Record::new("the same again and again")).unwrap().appended().is_some() {}
    let uncompressed = filled.size() as u64;
    let sealed = filled.seal().unwrap();
    let size = sealed.size() as u64;
    world.producer.send_gathered(sealed, to(0), SendReason::Full, at(0), at(0)).unwrap();
    let total = world.producer.stats(at(0)).total;
    assert_eq!((total.accepted.full.byte_total, total.sealed_byte_total), (uncompressed, size));
    assert_eq!(total.compression_rate_avg(), Some(size as f64 / uncompressed as f64));
    assert_eq!(total.accepted.full.fill_avg(), Some(uncompressed as f64 / 1_000.0));
    assert!(total.accepted.full.fill_avg().unwrap() > 0.9);
}
