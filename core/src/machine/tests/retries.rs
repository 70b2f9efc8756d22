//! Tests of order, retries and sequences: which batches are sent again, and under which sequence.

use super::*;

#[test]
fn the_first_batch_connects_and_is_delivered() {
    let mut world = World::new(|_| {});
    world.run();
    assert!(world.connects.is_empty() && world.wait.is_none(), "without batches there are no connections");
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
    let versions = Versions {
        produce: 3,
        metadata: 1,
        init_producer_id: Some(0),
        transactions: Default::default(),
        telemetry: None,
    };
    assert_eq!(world.ready, [(9092, versions), (9001, versions)]);
    assert_eq!(versions.magic(), Magic::V2);
    assert_eq!(world.producer.bytes_buffered(), 0);
}

#[test]
fn ten_partitions_share_one_request_and_batches_are_pipelined_after_the_first_success() {
    let mut world = World::new(|_| {});
    for partition in 0..10 {
        world.send(&["x"], partition);
    }
    world.run();
    assert_eq!(world.apis(), [18, 3, 18, 22, 0]);
    assert_eq!(world.produced().len(), 10);
    world.requests.clear();
    world.responses.extend([None; 20]);
    for _ in 0..10 {
        world.send(&["y", "z"], 0);
    }
    world.run();
    assert_eq!(world.stamps(), [(7, 0, 1), (7, 0, 3), (7, 0, 5), (7, 0, 7), (7, 0, 9)], "at most five in flight");
}

#[test]
fn before_the_first_success_one_request_is_in_flight() {
    let mut world = World::new(|_| {});
    world.responses.push_back(None);
    world.send(&["x"], 0);
    world.send(&["y"], 0);
    world.run();
    assert_eq!(world.stamps(), [(7, 0, 0)]);
}

#[test]
fn a_retry_has_the_same_bytes_and_is_sent_to_the_new_leader() {
    let mut world = World::new(|_| {});
    world.responses.push_back(Some(ErrorCode::NOT_LEADER_OR_FOLLOWER.0));
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
fn after_a_disconnect_the_same_bytes_are_sent_on_a_new_connection() {
    let mut world = World::new(|_| {});
    world.send(&["x"], 0);
    world.run();
    let connection = world.pipeline(&["a", "b", "c"])[0].connection;
    world.disconnect(connection);
    world.responses.extend([Some(ErrorCode::DUPLICATE_SEQUENCE_NUMBER.0)]);
    world.pass(at(3_000));
    assert_eq!(world.stamps()[1..], [(7, 0, 1), (7, 0, 2), (7, 0, 3), (7, 0, 1), (7, 0, 2), (7, 0, 3)]);
    assert_eq!(world.fates(), [(0, DONE), (1, Ok(None)), (2, DONE), (3, DONE)]);
    // Late input of a connection that has ended is ignored.
    world.producer.handle_input(Input::Received(connection, b"\0\0\0\x04late"), world.now);
    world.producer.handle_input(Input::Closed(connection, Disconnect::Broken, None), world.now);
    world.run();
}

#[test]
fn after_an_unknown_outcome_the_sequence_is_not_used_again() {
    let mut world = World::new(|config| {
        config.delivery_timeout = Duration::from_secs(10);
        config.request_timeout = Duration::from_secs(6);
    });
    world.responses.extend([None, None]);
    world.send(&["x"], 0);
    world.pass(at(9_000));
    world.send(&["y"], 0);
    world.pass(at(15_000));
    assert_eq!(world.fates(), [(0, UNKNOWN), (1, DONE)]);
    assert!(matches!(world.error().reason, FailureReason::TimedOut { .. }));
    assert_eq!(
        world.stamps(),
        [(7, 0, 0), (7, 0, 0), (7, 1, 0), (7, 1, 0)],
        "each on a silent connection and on the next one"
    );
}

#[test]
fn the_error_of_a_batch_names_the_broker_and_its_response() {
    let mut world = World::new(|_| {});
    world.leader = 2;
    world.responses.push_back(Some(ErrorCode::POLICY_VIOLATION.0));
    world.send(&["x"], 0);
    world.run();
    let expected =
        "the batch of 1 record for t-0 failed: broker 2 answered Produce v3 with POLICY_VIOLATION (44) (not written)";
    assert_eq!(world.error().to_string(), expected);
    assert_eq!(world.error().reason.code(), Some(ErrorCode::POLICY_VIOLATION));
}

#[test]
fn the_error_of_a_timeout_has_the_last_error() {
    let brief = |config: &mut MachineConfig| config.delivery_timeout = Duration::from_secs(3);
    let mut world = World::new(brief);
    world.responses.extend([Some(ErrorCode::NOT_ENOUGH_REPLICAS.0); 100]);
    world.send(&["x"], 0);
    world.pass(at(4_000));
    let expected = "the batch was not acknowledged within delivery.timeout.ms (3000): last error 671 ms before: broker 1 answered Produce v3 \
                with NOT_ENOUGH_REPLICAS (19); fewer replicas are in sync than the topic's min.insync.replicas \
         requires: wait for replicas, or lower it";
    assert_eq!((world.error().reason.to_string().as_str(), world.error().reason.code()), (expected, None));
    assert_eq!(world.fates(), [(0, NOT_WRITTEN)]);

    let mut world = World::new(brief);
    world.send(&["x"], 0);
    let Output::Connect { connection, .. } = world.producer.poll_output(world.now) else {
        panic!("the machine must connect")
    };
    world.ignores_connects = true;
    world.producer.handle_input(Input::Closed(connection, Disconnect::NotConnected, None), world.now);
    world.pass(at(4_000));
    let expected = "the batch was not acknowledged within delivery.timeout.ms (3000): waiting for a connection to boot:9092, begun 2940 ms \
                before; last error 3000 ms before: boot:9092: could not connect";
    assert_eq!(world.error().reason.to_string(), expected);
}

#[test]
fn batches_after_a_failed_one_get_new_sequences() {
    let mut world = World::new(|_| {});
    world.send(&["first"], 0);
    world.run();
    let in_flight = world.pipeline(&["a", "b", "c"]);
    world.reply(&in_flight[0], ErrorCode::INVALID_RECORD);
    world.reply(&in_flight[1], ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    world.reply(&in_flight[2], ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    world.pass(at(5_000));
    assert_eq!(world.fates(), [(0, DONE), (1, NOT_WRITTEN), (2, DONE), (3, DONE)]);
    assert_eq!(world.stamps()[1..], [(7, 0, 1), (7, 0, 2), (7, 0, 3), (7, 1, 0), (7, 1, 1)]);
}

#[test]
fn after_a_failed_batch_a_missing_response_is_an_unknown_outcome() {
    let mut world = World::new(|_| {});
    world.send(&["first"], 0);
    world.run();
    let in_flight = world.pipeline(&["a", "b", "c"]);
    world.reply(&in_flight[0], ErrorCode::INVALID_RECORD);
    world.disconnect(in_flight[0].connection);
    world.responses.extend([Some(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER.0); 2]);
    world.pass(at(5_000));
    assert_eq!(world.fates(), [(0, DONE), (1, NOT_WRITTEN), (2, UNKNOWN), (3, UNKNOWN)]);
    assert_eq!(world.stamps()[4..], [(7, 0, 2), (7, 0, 3)], "with the same sequences");
}

#[test]
fn after_a_gap_that_the_broker_did_not_detect_a_missing_response_is_an_unknown_outcome() {
    let mut world = World::new(|_| {});
    world.send(&["first"], 0);
    world.run();
    let in_flight = world.pipeline(&["a", "b", "c"]);
    world.reply(&in_flight[0], ErrorCode::NOT_ENOUGH_REPLICAS);
    world.reply(&in_flight[1], ErrorCode::NONE); // a broker that has lost the producer state accepts any first sequence
    world.disconnect(in_flight[0].connection); // without the response to c, which may be in the log
    world.responses.push_back(Some(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER.0)); // to a, whose sequence has passed
    world.pass(at(5_000));
    assert_eq!(world.fates()[..2], [(0, DONE), (2, DONE)]);
    let stamps = world.stamps();
    assert_eq!(stamps[..5], [(7, 0, 0), (7, 0, 1), (7, 0, 2), (7, 0, 3), (7, 0, 1)]);
    assert_eq!(stamps.iter().filter(|stamp| stamp.1 == 1).count(), 1, "only a gets a new sequence: {stamps:?}");
    assert_eq!(
        stamps.iter().filter(|stamp| **stamp == (7, 0, 3)).count(),
        2,
        "c is sent again with the same sequence: {stamps:?}"
    );
}

/// `first` is in the log at offset 100; these batches were sent after it, and the connection ended before any response.
fn disconnected_after_the_first(values: &[&str]) -> World {
    let mut world = World::new(|_| {});
    world.send(&["first"], 0);
    world.run();
    let in_flight = world.pipeline(values);
    world.disconnect(in_flight[0].connection);
    world
}

/// A restarted broker remembers only the last batch of each producer.
#[test]
fn a_batch_that_may_be_in_the_log_never_gets_a_new_sequence() {
    let mut world = disconnected_after_the_first(&["a", "b"]);
    world.responses.push_back(Some(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER.0));
    world.offset = 102;
    world.pass(at(5_000));
    assert_eq!(world.stamps()[1..], [(7, 0, 1), (7, 0, 2), (7, 0, 1), (7, 0, 2)]);
    assert_eq!(
        world.fates(),
        [(0, DONE), (1, Ok(None)), (2, Ok(Some(102)))],
        "the later batch proves that this one is in the log"
    );
}

#[test]
fn a_later_batch_at_the_offset_of_the_earlier_one_does_not_prove_it() {
    let mut world = disconnected_after_the_first(&["a", "b"]);
    world.responses.push_back(Some(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER.0));
    world.offset = 101;
    world.pass(at(5_000));
    assert_eq!(world.fates()[1..], [(1, UNKNOWN), (2, Ok(Some(101)))]);
}

#[test]
fn without_an_accepted_later_batch_the_outcome_is_unknown() {
    let mut world = disconnected_after_the_first(&["a", "b", "c"]);
    let out_of_order = Some(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER.0);
    world.responses.extend([out_of_order, out_of_order, Some(ErrorCode::INVALID_RECORD.0)]);
    world.pass(at(5_000));
    assert_eq!(world.stamps()[4..], [(7, 0, 1), (7, 0, 2), (7, 0, 3)]);
    assert_eq!(world.fates()[1..], [(3, UNKNOWN), (1, UNKNOWN), (2, UNKNOWN)]);
}

#[test]
fn a_later_batch_that_may_have_been_accepted_alone_proves_nothing() {
    let mut world = World::new(|_| {});
    world.send(&["first"], 0);
    world.run();
    let in_flight = world.pipeline(&["a", "b"]);
    world.reply(&in_flight[0], ErrorCode::NOT_ENOUGH_REPLICAS); // and a broker that has lost the producer state accepts b
    world.disconnect(in_flight[0].connection);
    let out_of_order = Some(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER.0);
    world.responses.extend([None, out_of_order]);
    world.offset = 200; // other producers have written: the offsets leave room
    world.pass(at(60_000));
    assert_eq!(world.fates()[1], (1, UNKNOWN), "{:?}", world.fates());
}

#[test]
fn a_retried_batch_is_sent_before_later_ones_that_were_out_of_order() {
    let mut world = World::new(|_| {});
    world.send(&["first"], 0);
    world.run();
    let in_flight = world.pipeline(&["a", "b", "c"]);
    world.reply(&in_flight[0], ErrorCode::NOT_ENOUGH_REPLICAS);
    world.reply(&in_flight[1], ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    world.pass(at(1_000));
    assert_eq!(world.requests.last(), in_flight.last(), "it is retried after all responses have arrived");
    world.reply(&in_flight[2], ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    world.pass(at(3_000));
    assert_eq!(world.stamps()[1..], [(7, 0, 1), (7, 0, 2), (7, 0, 3), (7, 0, 1), (7, 0, 2), (7, 0, 3)]);
    assert_eq!(world.fates(), [(0, DONE), (1, DONE), (2, DONE), (3, DONE)]);
}

#[test]
fn unknown_producer_id_starts_a_new_epoch() {
    let mut world = World::new(|_| {});
    world.send(&["first"], 0);
    world.run();
    world.responses.push_back(Some(ErrorCode::UNKNOWN_PRODUCER_ID.0));
    world.send(&["a"], 0);
    world.pass(at(3_000));
    assert_eq!(world.stamps(), [(7, 0, 0), (7, 0, 1), (7, 1, 0)]);
    assert_eq!(world.fates(), [(0, DONE), (1, DONE)]);
}

#[test]
fn a_request_without_a_response_is_retried_on_a_new_connection() {
    let mut world = World::new(|_| {});
    world.responses.push_back(None);
    world.send(&["x"], 0);
    world.pass(at(40_000));
    assert_eq!(world.closed, [world.connects[1].0]);
    assert_eq!(world.stamps(), [(7, 0, 0), (7, 0, 0)]);
    assert_eq!(world.fates(), [(0, DONE)]);
}

/// Kafka responds to a batch that it already has with the batch's largest timestamp as log append time.
#[test]
fn a_repeated_batch_keeps_the_timestamps_of_its_records() {
    let times = [5_000, 7_000, 6_000];
    for (append_time, expected) in [(7_000, times), (9_000, [9_000; 3])] {
        let mut world = World::new(|_| {});
        let mut batch = KafkaBatch::new(Timestamp::from_millis(0));
        batch.extend(times.map(|time| Record::new("x").timestamp(Timestamp::from_millis(time)))).unwrap();
        let sealed = batch.seal().unwrap();
        world.responses.push_back(Some(ErrorCode::REQUEST_TIMED_OUT.0));
        world.append_time = append_time;
        world.producer.send(sealed, to(0), world.now).unwrap();
        world.pass(at(5_000));
        assert_eq!(world.stamps(), [(7, 0, 0); 2], "it was sent twice");
        let [Event::Delivered { delivery, .. }] = &world.events[..] else { panic!("{:?}", world.events) };
        assert_eq!(delivery.records().map(|record| record.timestamp.millis()).collect::<Vec<_>>(), expected);
    }
}

/// The next batch of a partition depends on its leader: a batch that the old one refused as out of order is sent to the new one.
#[test]
fn a_new_leader_ends_the_backoff_of_a_later_batch() {
    let mut world = disconnected_after_the_first(&["a", "b"]);
    world.responses.extend([Some(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER.0), None]);
    world.pass(at(29_000));
    assert_eq!(world.stamps()[3..], [(7, 0, 1), (7, 0, 2)]);
    world.leader = 2;
    world.pass(at(30_200)); // 30 s after b was sent: its time is over, and metadata names the new leader
    assert_eq!(world.stamps()[5..], [(7, 0, 1)], "b waits for its backoff, a does not");
    assert_eq!(world.connects.last().unwrap().1, 9002);
    world.pass(at(31_000));
    assert_eq!(world.stamps()[6..], [(7, 0, 2)]);
}
