//! Topics that are there, come, go, or are not for us; what is not used is forgotten.

use super::*;

#[test]
fn out_of_time_is_not_written_if_nothing_went_out_and_names_the_topic() {
    let mut world = World::new(|config| config.delivery_timeout = Duration::from_secs(10));
    world.topic_error = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.0;
    world.send(&["x"], 0);
    world.pass(at(20_000));
    assert_eq!(world.fates(), [(0, NOT_WRITTEN)]);
    let text = world.error().to_string();
    assert!(text.contains("UNKNOWN_TOPIC_OR_PARTITION") && text.contains("\"t\""), "{text}");
    let asked = world.apis().iter().filter(|api| **api == 3).count();
    assert!((9..40).contains(&asked), "with backoff: {asked}");
}

#[test]
fn a_topic_that_appears_gets_its_batches() {
    let mut world = World::new(|_| {});
    world.topic_error = ErrorCode::LEADER_NOT_AVAILABLE.0;
    world.send(&["x"], 0);
    world.pass(at(1_000));
    world.topic_error = 0;
    world.pass(at(3_000));
    assert_eq!(world.fates(), [(0, DONE)]);
}

#[test]
fn a_topic_that_may_not_be_written_to_fails_at_once() {
    let mut world = World::new(|_| {});
    world.topic_error = ErrorCode::TOPIC_AUTHORIZATION_FAILED.0;
    world.send(&["x"], 0);
    world.run();
    assert_eq!(world.fates(), [(0, NOT_WRITTEN)]);
}

#[test]
fn what_is_not_used_is_forgotten_and_counts_under_a_new_identity_when_it_comes_back() {
    let mut world = World::new(|config| config.metadata_max_idle = Duration::from_secs(10));
    world.send(&["x"], 0);
    world.send(&["y"], 1);
    world.pass(at(5_000));
    for second in 2..=5_u64 {
        world.send(&["y"], 1); // stays in use
        world.pass(at(second * 5_000));
    }
    world.asked.clear();
    world.send(&["y"], 1);
    world.run();
    assert_eq!(world.stamps(), [(7, 0, 5)], "whoever is in use counts on");
    world.send(&["x"], 0);
    world.run();
    assert_eq!(world.stamps()[1..], [(7, 1, 0)], "and not (7, 0, 0), which would be taken for a duplicate");
    world.pass(at(60_000));
    assert_eq!(world.producer.partition_count("t"), None, "nothing was sent for long");
    assert!(world.fates().iter().all(|(_, end)| *end == DONE), "{:?}", world.fates());
}

#[test]
fn ever_new_partitions_take_no_more_room_than_those_in_use() {
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
    let said = "the broker answered Metadata v1 with UNKNOWN_TOPIC_OR_PARTITION (3); create the topic";
    assert!(error.to_string().starts_with(said), "{error}");
    assert!(error.is_retriable());
}

#[test]
fn a_topic_that_is_known_is_asked_for_anew_but_not_at_any_rate() {
    let mut world = World::new(|_| {});
    world.producer.lookup_topic("t", world.now);
    world.run();
    world.partitions = 21;
    world.producer.lookup_topic("t", world.now);
    world.run();
    assert_eq!(world.events.len(), 1, "retry.backoff.ms is not over since the last answer");
    world.pass(at(100));
    assert!(matches!(&world.events[1..], [Event::Topic { partitions: Ok(count), .. }] if count.get() == 21));
}

#[test]
fn a_backlog_of_batches_keeps_no_metadata_away() {
    let mut world = World::new(|config| config.max_in_flight_requests_per_connection = 1);
    world.send(&["x"], 0);
    world.run();
    let [(bootstrap, _), (leader, _)] = world.connects[..] else { panic!("{:?}", world.connects) };
    world.lost(bootstrap);
    world.answers.push_back(None);
    world.send(&["x"], 0);
    world.run();
    world.asked.clear();
    world.producer.lookup_topic("t", world.now);
    world.pass(at(150));
    assert_eq!(world.asked.iter().map(|asked| (asked.connection, asked.api)).collect::<Vec<_>>(), [(leader, 3)]);
}
