//! Tests of topics: missing, created, deleted, unauthorized and unused ones.

use super::*;
use crate::protocol::ApiKey;

#[test]
fn a_batch_that_timed_out_before_it_was_sent_is_not_written_and_its_error_has_that_of_the_broker() {
    let mut world = World::new(|config| config.delivery_timeout = Duration::from_secs(10));
    world.topic_error = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.0;
    world.send(&["x"], 0);
    world.pass(at(20_000));
    assert_eq!(world.fates(), [(0, NOT_WRITTEN)]);
    let error = world.error();
    let broker_error = error.reason.broker_error().unwrap();
    assert_eq!((broker_error.api, broker_error.code), (ApiKey::Metadata, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    assert_eq!(broker_error.message, None, "the broker returned none");
    assert!(matches!(error.reason, FailureReason::TimedOut { .. }) && error.is_retriable());
    let text = error.to_string();
    assert!(text.starts_with("the batch of 1 record for t-0 failed: the batch was not acknowledged within "), "{text}");
    let expected = "before: the broker answered Metadata v1 with UNKNOWN_TOPIC_OR_PARTITION (3); create the topic, or let the \
                    broker create topics (auto.create.topics.enable) (not written)";
    assert!(text.ends_with(expected), "{text}");
    let requests = world.apis().iter().filter(|api| **api == 3).count();
    assert!((9..40).contains(&requests), "with back-off: {requests}");
}

#[test]
fn a_partition_that_the_topic_does_not_have_is_named_and_no_answer_is_invented() {
    let mut world = World::new(|config| config.delivery_timeout = Duration::from_secs(10));
    world.partitions = 3;
    world.send(&["x"], 7);
    world.pass(at(20_000));
    assert_eq!(world.fates(), [(0, NOT_WRITTEN)]);
    let error = world.error();
    assert_eq!(
        error.reason.to_string(),
        "topic \"t\" has partitions 0 to 2, but partition 7 was requested: request one of them, or add partitions"
    );
    assert!(error.reason.broker_error().is_none() && error.is_retriable(), "no broker has answered so");
}

#[test]
fn a_batch_waits_for_its_topic_to_be_created() {
    let mut world = World::new(|_| {});
    world.topic_error = ErrorCode::LEADER_NOT_AVAILABLE.0;
    world.send(&["x"], 0);
    world.pass(at(1_000));
    world.topic_error = 0;
    world.pass(at(3_000));
    assert_eq!(world.fates(), [(0, DONE)]);
}

#[test]
fn a_batch_for_an_unauthorized_topic_fails_immediately() {
    let mut world = World::new(|_| {});
    world.topic_error = ErrorCode::TOPIC_AUTHORIZATION_FAILED.0;
    world.send(&["x"], 0);
    world.run();
    assert_eq!(world.fates(), [(0, NOT_WRITTEN)]);
}

#[test]
fn an_unused_partition_is_removed_and_gets_a_new_identity_when_used_again() {
    let mut world = World::new(|config| config.metadata_max_idle = Duration::from_secs(10));
    world.send(&["x"], 0);
    world.send(&["y"], 1);
    world.pass(at(5_000));
    for second in 2..=5_u64 {
        world.send(&["y"], 1); // remains in use
        world.pass(at(second * 5_000));
    }
    world.requests.clear();
    world.send(&["y"], 1);
    world.run();
    assert_eq!(world.stamps(), [(7, 0, 5)], "a partition in use continues its sequence");
    world.send(&["x"], 0);
    world.run();
    assert_eq!(world.stamps()[1..], [(7, 1, 0)], "not (7, 0, 0), which the broker would take for a duplicate");
    world.pass(at(60_000));
    assert_eq!(world.producer.partition_count("t"), None, "the topic is unused");
    assert!(world.fates().iter().all(|(_, end)| *end == DONE), "{:?}", world.fates());
}

#[test]
fn removed_partitions_free_their_slots() {
    let mut world = World::new(|config| config.metadata_max_idle = Duration::from_secs(1));
    world.partitions = 500;
    world.ids = (0..500).map(|id| (id, 0)).collect();
    for partition in 0..500 {
        world.send(&["x"], partition);
        world.pass(at(u64::from(partition.unsigned_abs()) * 500));
    }
    assert_eq!(world.fates().len(), 500);
    assert!(world.producer.partitions_known() < 10, "{}", world.producer.partitions_known());
}

#[test]
fn a_topic_can_be_looked_up() {
    let mut world = World::new(|_| {});
    world.producer.lookup_topic("t", world.now);
    world.run();
    assert!(matches!(&world.events[..], [Event::Topic { partitions: Ok(count), .. }] if count.get() == 20));
    let mut world = World::new(|_| {});
    world.topic_error = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.0;
    world.producer.lookup_topic("t", world.now);
    world.pass(at(31_000));
    let [Event::Topic { partitions: Err(error), .. }] = &world.events[..] else { panic!("{:?}", world.events) };
    let expected = "the broker answered Metadata v1 with UNKNOWN_TOPIC_OR_PARTITION (3); create the topic";
    assert!(error.to_string().starts_with(expected), "{error}");
    assert!(error.is_retriable());
}

#[test]
fn a_lookup_of_a_known_topic_requests_metadata_after_the_back_off() {
    let mut world = World::new(|_| {});
    world.producer.lookup_topic("t", world.now);
    world.run();
    world.partitions = 21;
    world.producer.lookup_topic("t", world.now);
    world.run();
    assert_eq!(world.events.len(), 1, "retry.backoff.ms has not elapsed since the last response");
    world.pass(at(100));
    assert!(matches!(&world.events[1..], [Event::Topic { partitions: Ok(count), .. }] if count.get() == 21));
}

#[test]
fn metadata_is_requested_on_a_connection_that_is_full_of_batches() {
    let mut world = World::new(|config| config.max_in_flight_requests_per_connection = 1);
    world.send(&["x"], 0);
    world.run();
    let [(bootstrap, _), (leader, _)] = world.connects[..] else { panic!("{:?}", world.connects) };
    world.disconnect(bootstrap);
    world.responses.push_back(None);
    world.send(&["x"], 0);
    world.run();
    world.requests.clear();
    world.producer.lookup_topic("t", world.now);
    world.pass(at(150));
    assert_eq!(
        world.requests.iter().map(|request| (request.connection, request.api)).collect::<Vec<_>>(),
        [(leader, 3)]
    );
}

#[test]
fn an_unknown_topic_does_not_delay_the_lookup_of_another() {
    let mut world = World::new(|_| {});
    world.unknown_topic = Some("lost");
    world.producer.lookup_topic("lost", world.now);
    // The backoff of the unknown topic has reached its maximum.
    world.pass(at(10_000));
    world.requests.clear();
    world.run();
    assert_eq!(world.apis(), [0_i16; 0], "it is in its backoff");
    world.producer.lookup_topic("other", world.now);
    world.run();
    let found = |event: &Event| matches!(event, Event::Topic { topic, partitions: Ok(_) } if topic == "other");
    assert!(world.events.iter().any(found), "{:?}", world.events);

    // The same for a batch whose topic is not known yet.
    world.requests.clear();
    world.send(&["x"], 0);
    world.run();
    assert!(world.requests.iter().any(|request| request.api == 3 && request.topics() == ["lost", "t"]));
    assert_eq!(world.fates(), [(0, DONE)], "it was sent at once");
}

#[test]
fn the_lookups_of_other_topics_do_not_make_an_unknown_one_be_requested_less_often_or_in_a_loop() {
    let mut world = World::new(|_| {});
    world.unknown_topic = Some("lost");
    world.producer.lookup_topic("lost", world.now);
    world.run();
    world.requests.clear();
    // Lookups of a known topic, every 20 ms.
    for tick in 1..=500 {
        world.pass(at(tick * 20));
        world.producer.lookup_topic("t", world.now);
    }
    world.pass(at(10_000));
    let requests = world.apis().iter().filter(|api| **api == 3).count();
    // Those of the known topic wait for retry.backoff.ms after the last response: at most one each 100 ms.
    assert!((80..=125).contains(&requests), "{requests}");
    world.unknown_topic = None;
    world.pass(at(11_500));
    let found = |event: &Event| matches!(event, Event::Topic { topic, partitions: Ok(_) } if topic == "lost");
    assert!(world.events.iter().any(found), "found within retry.backoff.max.ms");
}

#[test]
fn a_topic_is_forgotten_when_it_was_not_used_for_metadata_max_idle_and_not_before() {
    let idle = |config: &mut MachineConfig| config.metadata_max_idle = Duration::from_secs(1);
    // Of a batch.
    let mut world = World::new(idle);
    for used in 0..5 {
        world.send(&["x"], 0);
        world.pass(at(800 * (used + 1)));
        assert_eq!(world.producer.partition_count("t"), Some(20), "it is in use");
    }
    world.pass(at(6_500));
    assert_eq!(world.producer.partition_count("t"), None);
    // Of a batch without an outcome.
    let mut world = World::new(idle);
    world.send(&["x"], 0);
    world.run();
    world.responses.push_back(None);
    world.send(&["in flight"], 0);
    world.pass(at(4_500));
    assert_eq!(world.producer.partition_count("t"), Some(20), "it is in use");
    // Of a lookup alone.
    let mut world = World::new(idle);
    world.producer.lookup_topic("t", world.now);
    world.run();
    assert_eq!(world.producer.partition_count("t"), Some(20));
    world.pass(at(3_000));
    assert_eq!(world.producer.partition_count("t"), None);
}

#[test]
fn a_topic_that_is_deleted_while_sending_is_named_as_deleted_when_the_time_is_over() {
    let mut world = World::new(|config| config.delivery_timeout = Duration::from_secs(40));
    world.send(&["x"], 0);
    world.run();
    assert_eq!(world.fates(), [(0, DONE)]);
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    world.topic_error = unknown.0;
    world.responses.push_back(Some(unknown.0));
    world.send(&["sent"], 0);
    world.run();
    world.send(&["not sent"], 0);
    world.pass(at(39_999));
    assert_eq!(world.fates().len(), 1, "the topic may be created again");
    world.pass(at(40_000));
    // With acks=all, the leader may have answered so after its own write (see `verdict`).
    assert_eq!(world.fates()[1..], [(1, UNKNOWN), (2, NOT_WRITTEN)]);
    for event in &world.events {
        let Event::Failed { error, .. } = event else { continue };
        let FailureReason::TimedOut { cause: Some(cause), .. } = &error.reason else { panic!("{error}") };
        let last = &cause.last_error.as_ref().unwrap().error;
        assert!(matches!(last, LastErrorKind::TopicDeleted(error) if error.code == unknown), "{error}");
        assert_eq!(error.reason.broker_error().map(|error| error.code), Some(unknown));
        assert!(error.to_string().contains("the topic was deleted: the broker answered Metadata v1 with"), "{error}");
        assert!(error.is_retriable());
    }
}

#[test]
fn batches_are_sent_to_the_topic_that_is_created_in_place_of_a_deleted_one() {
    let mut world = World::new(|_| {});
    world.send(&["x"], 0);
    world.run();
    world.topic_error = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.0;
    world.responses.push_back(Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.0));
    world.send(&["y"], 0);
    world.pass(at(20_000));
    assert_eq!(world.fates().len(), 1);
    world.topic_error = 0;
    world.pass(at(30_000));
    assert_eq!(world.fates(), [(0, DONE), (1, DONE)]);
}
