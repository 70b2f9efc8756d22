//! Order, retries and counting: what goes out again, as what.

use super::*;

#[test]
fn from_nothing_to_a_delivery() {
    let mut world = World::new(|_| {});
    world.run();
    assert!(world.connects.is_empty() && world.wait.is_none(), "nothing to do, nobody to talk to");
    let id = world.send(&["one", "two"], 3);
    world.run();
    let ports: Vec<u16> = world.connects.iter().map(|(_, port)| *port).collect();
    assert_eq!(ports, [9092, 9001]);
    assert_eq!(world.apis(), [18, 3, 18, 22, 0]);
    assert_eq!(world.stamps(), [(7, 0, 0)]);
    assert_eq!(world.fates(), [(id.0, DONE)]);
    match &world.events[0] {
        Event::Delivered { delivery, .. } => assert_eq!(delivery.offset(1), Some(101)),
        other => panic!("{other:?}"),
    }
    let versions = Versions { produce: 3, metadata: 1, init_producer_id: Some(0) };
    assert_eq!(world.ready, [(9092, versions), (9001, versions)]);
    assert_eq!(versions.magic(), Magic::V2);
    assert_eq!(world.producer.bytes_on_their_way(), 0);
}

#[test]
fn ten_sends_make_one_request_and_rows_are_pipelined_after_the_first_success() {
    let mut world = World::new(|_| {});
    for partition in 0..10 {
        world.send(&["x"], partition);
    }
    world.run();
    assert_eq!(world.apis(), [18, 3, 18, 22, 0]);
    assert_eq!(world.produced().len(), 10);
    world.asked.clear();
    world.answers.extend([None; 20]);
    for _ in 0..10 {
        world.send(&["y", "z"], 0);
    }
    world.run();
    assert_eq!(world.stamps(), [(7, 0, 1), (7, 0, 3), (7, 0, 5), (7, 0, 7), (7, 0, 9)], "five in flight, and no more");
}

#[test]
fn until_the_first_success_one_request_is_in_flight() {
    let mut world = World::new(|_| {});
    world.answers.push_back(None);
    world.send(&["x"], 0);
    world.send(&["y"], 0);
    world.run();
    assert_eq!(world.stamps(), [(7, 0, 0)]);
}

#[test]
fn a_retry_is_the_same_bytes_and_goes_to_the_new_leader() {
    let mut world = World::new(|_| {});
    world.answers.push_back(Some(ErrorCode::NOT_LEADER_OR_FOLLOWER.0));
    world.send(&["x"], 0);
    world.send(&["y"], 0);
    world.run();
    world.leader = 2;
    world.pass(at(2_000));
    let produced = world.produced();
    assert_eq!(produced[0], produced[1]);
    assert_eq!(world.stamps(), [(7, 0, 0), (7, 0, 0), (7, 0, 1)]);
    assert_eq!(world.connects.last().unwrap().1, 9002);
    assert_eq!(world.fates(), [(0, DONE), (1, DONE)]);
}

#[test]
fn a_lost_connection_is_made_again_and_the_same_bytes_sent() {
    let mut world = World::new(|_| {});
    world.send(&["x"], 0);
    world.run();
    let connection = world.fly(&["a", "b", "c"])[0].connection;
    world.lost(connection);
    world.answers.extend([Some(ErrorCode::DUPLICATE_SEQUENCE_NUMBER.0)]);
    world.pass(at(3_000));
    assert_eq!(world.stamps()[1..], [(7, 0, 1), (7, 0, 2), (7, 0, 3), (7, 0, 1), (7, 0, 2), (7, 0, 3)]);
    assert_eq!(world.fates(), [(0, DONE), (1, Ok(None)), (2, DONE), (3, DONE)]);
    // What comes late from a connection that is gone names nobody.
    world.producer.handle_input(Input::Received(connection, b"\0\0\0\x04late"), world.now);
    world.producer.handle_input(Input::Closed(connection, Disconnect::Broken, None), world.now);
    world.run();
}

#[test]
fn after_an_unknown_outcome_the_range_is_never_used_again() {
    let mut world = World::new(|config| {
        config.delivery_timeout = Duration::from_secs(10);
        config.request_timeout = Duration::from_secs(6);
    });
    world.answers.extend([None, None]);
    world.send(&["x"], 0);
    world.pass(at(9_000));
    world.send(&["y"], 0);
    world.pass(at(15_000));
    assert_eq!(world.fates(), [(0, UNKNOWN), (1, DONE)]);
    assert!(matches!(world.error().reason, FailureReason::TimedOut { .. }));
    assert_eq!(
        world.stamps(),
        [(7, 0, 0), (7, 0, 0), (7, 1, 0), (7, 1, 0)],
        "to a connection that is silent, and the next"
    );
}

#[test]
fn who_fails_says_which_broker_answered_what() {
    let mut world = World::new(|_| {});
    world.leader = 2;
    world.answers.push_back(Some(ErrorCode::POLICY_VIOLATION.0));
    world.send(&["x"], 0);
    world.run();
    let said =
        "the batch of 1 records for t-0 failed: broker 2 answered Produce v3 with POLICY_VIOLATION (44) (not written)";
    assert_eq!(world.error().to_string(), said);
    assert_eq!(world.error().reason.code(), Some(ErrorCode::POLICY_VIOLATION));
}

#[test]
fn who_runs_out_of_time_says_what_went_wrong_last() {
    let brief = |config: &mut ProducerConfig| config.delivery_timeout = Duration::from_secs(3);
    let mut world = World::new(brief);
    world.answers.extend([Some(ErrorCode::NOT_ENOUGH_REPLICAS.0); 100]);
    world.send(&["x"], 0);
    world.pass(at(4_000));
    let said = "it was not acknowledged within delivery.timeout.ms: last error 671 ms before: broker 1 answered Produce v3 \
                with NOT_ENOUGH_REPLICAS (19); fewer replicas are in sync than the topic's min.insync.replicas asks for";
    assert_eq!((world.error().reason.to_string().as_str(), world.error().reason.code()), (said, None));
    assert_eq!(world.fates(), [(0, NOT_WRITTEN)]);

    let mut world = World::new(brief);
    world.send(&["x"], 0);
    let Output::Connect { connection, .. } = world.producer.poll_output(world.now) else { panic!("nobody is asked") };
    world.deaf = true;
    world.producer.handle_input(Input::Closed(connection, Disconnect::NotConnected, None), world.now);
    world.pass(at(4_000));
    let said = "it was not acknowledged within delivery.timeout.ms: waiting for a connection to boot:9092, begun 2940 ms \
                before; last error 3000 ms before: boot:9092: could not connect";
    assert_eq!(world.error().reason.to_string(), said);
}

#[test]
fn a_refused_batch_leaves_a_gap_and_those_behind_it_are_counted_anew() {
    let mut world = World::new(|_| {});
    world.send(&["first"], 0);
    world.run();
    let flying = world.fly(&["a", "b", "c"]);
    world.reply(&flying[0], ErrorCode::INVALID_RECORD);
    world.reply(&flying[1], ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    world.reply(&flying[2], ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    world.pass(at(5_000));
    assert_eq!(world.fates(), [(0, DONE), (1, NOT_WRITTEN), (2, DONE), (3, DONE)]);
    assert_eq!(world.stamps()[1..], [(7, 0, 1), (7, 0, 2), (7, 0, 3), (7, 1, 0), (7, 1, 1)]);
}

#[test]
fn behind_a_gap_too_a_lost_answer_is_a_doubt() {
    let mut world = World::new(|_| {});
    world.send(&["first"], 0);
    world.run();
    let flying = world.fly(&["a", "b", "c"]);
    world.reply(&flying[0], ErrorCode::INVALID_RECORD);
    world.lost(flying[0].connection);
    world.answers.extend([Some(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER.0); 2]);
    world.pass(at(5_000));
    assert_eq!(world.fates(), [(0, DONE), (1, NOT_WRITTEN), (2, UNKNOWN), (3, UNKNOWN)]);
    assert_eq!(world.stamps()[4..], [(7, 0, 2), (7, 0, 3)], "as they were");
}

#[test]
fn behind_a_gap_that_the_broker_took_for_none_a_lost_answer_is_a_doubt() {
    let mut world = World::new(|_| {});
    world.send(&["first"], 0);
    world.run();
    let flying = world.fly(&["a", "b", "c"]);
    world.reply(&flying[0], ErrorCode::NOT_ENOUGH_REPLICAS);
    world.reply(&flying[1], ErrorCode::NONE); // a broker that has forgotten us takes any first number
    world.lost(flying[0].connection); // and with it the answer to c, which may be in the log
    world.answers.push_back(Some(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER.0)); // to a, whose number is past
    world.pass(at(5_000));
    assert_eq!(world.fates()[..2], [(0, DONE), (2, DONE)]);
    let stamps = world.stamps();
    assert_eq!(stamps[..5], [(7, 0, 0), (7, 0, 1), (7, 0, 2), (7, 0, 3), (7, 0, 1)]);
    assert_eq!(stamps.iter().filter(|stamp| stamp.1 == 1).count(), 1, "a alone is counted anew: {stamps:?}");
    assert_eq!(stamps.iter().filter(|stamp| **stamp == (7, 0, 3)).count(), 2, "c goes again as it was: {stamps:?}");
}

/// `first` is in the log at offset 100; of what went behind it nothing was heard before the connection was lost.
fn first_in_the_log_and_lost_behind_it(values: &[&str]) -> World {
    let mut world = World::new(|_| {});
    world.send(&["first"], 0);
    world.run();
    let flying = world.fly(values);
    world.lost(flying[0].connection);
    world
}

/// As a broker answers that was restarted: of each producer it remembers the last batch alone.
#[test]
fn what_may_be_in_the_log_is_never_stamped_anew() {
    let mut world = first_in_the_log_and_lost_behind_it(&["a", "b"]);
    world.answers.push_back(Some(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER.0));
    world.offset = 102;
    world.pass(at(5_000));
    assert_eq!(world.stamps()[1..], [(7, 0, 1), (7, 0, 2), (7, 0, 1), (7, 0, 2)]);
    assert_eq!(
        world.fates(),
        [(0, DONE), (1, Ok(None)), (2, Ok(Some(102)))],
        "what was taken behind it says that it is there"
    );
}

#[test]
fn a_later_batch_that_lies_where_the_earlier_one_would_proves_that_it_is_not_there() {
    let mut world = first_in_the_log_and_lost_behind_it(&["a", "b"]);
    world.answers.push_back(Some(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER.0));
    world.offset = 101;
    world.pass(at(5_000));
    assert_eq!(world.fates()[1..], [(1, UNKNOWN), (2, Ok(Some(101)))]);
}

#[test]
fn without_a_later_batch_that_is_taken_it_stays_in_doubt() {
    let mut world = first_in_the_log_and_lost_behind_it(&["a", "b", "c"]);
    let out_of_order = Some(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER.0);
    world.answers.extend([out_of_order, out_of_order, Some(ErrorCode::INVALID_RECORD.0)]);
    world.pass(at(5_000));
    assert_eq!(world.stamps()[4..], [(7, 0, 1), (7, 0, 2), (7, 0, 3)]);
    assert_eq!(world.fates()[1..], [(3, UNKNOWN), (1, UNKNOWN), (2, UNKNOWN)]);
}

#[test]
fn what_a_later_batch_may_have_passed_is_not_proven_by_it() {
    let mut world = World::new(|_| {});
    world.send(&["first"], 0);
    world.run();
    let flying = world.fly(&["a", "b"]);
    world.reply(&flying[0], ErrorCode::NOT_ENOUGH_REPLICAS); // and a broker that has forgotten us takes b
    world.lost(flying[0].connection);
    let out_of_order = Some(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER.0);
    world.answers.extend([None, out_of_order]);
    world.offset = 200; // others have written meanwhile: room enough for anything
    world.pass(at(60_000));
    assert_eq!(world.fates()[1], (1, UNKNOWN), "{:?}", world.fates());
}

#[test]
fn an_earlier_batch_that_is_retried_goes_before_those_that_came_out_of_order() {
    let mut world = World::new(|_| {});
    world.send(&["first"], 0);
    world.run();
    let flying = world.fly(&["a", "b", "c"]);
    world.reply(&flying[0], ErrorCode::NOT_ENOUGH_REPLICAS);
    world.reply(&flying[1], ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    world.pass(at(1_000));
    assert_eq!(world.asked.last(), flying.last(), "its turn comes when all answers are in");
    world.reply(&flying[2], ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    world.pass(at(3_000));
    assert_eq!(world.stamps()[1..], [(7, 0, 1), (7, 0, 2), (7, 0, 3), (7, 0, 1), (7, 0, 2), (7, 0, 3)]);
    assert_eq!(world.fates(), [(0, DONE), (1, DONE), (2, DONE), (3, DONE)]);
}

#[test]
fn unknown_producer_id_starts_a_new_count() {
    let mut world = World::new(|_| {});
    world.send(&["first"], 0);
    world.run();
    world.answers.push_back(Some(ErrorCode::UNKNOWN_PRODUCER_ID.0));
    world.send(&["a"], 0);
    world.pass(at(3_000));
    assert_eq!(world.stamps(), [(7, 0, 0), (7, 0, 1), (7, 1, 0)]);
    assert_eq!(world.fates(), [(0, DONE), (1, DONE)]);
}

#[test]
fn a_request_without_an_answer_costs_the_connection_and_is_made_again() {
    let mut world = World::new(|_| {});
    world.answers.push_back(None);
    world.send(&["x"], 0);
    world.pass(at(40_000));
    assert_eq!(world.closed, [world.connects[1].0]);
    assert_eq!(world.stamps(), [(7, 0, 0), (7, 0, 0)]);
    assert_eq!(world.fates(), [(0, DONE)]);
}
