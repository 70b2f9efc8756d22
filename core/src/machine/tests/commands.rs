//! Tests of acks, `buffer.memory`, flush, close, and time.

use alloc::format;
use alloc::string::ToString;

use super::*;

/// librdkafka's mock cluster responds to Produce requests with acks=0, which real brokers do not.
#[test]
fn without_acks_a_response_to_produce_is_ignored() {
    let mut world = World::new(|config| config.acks = Acks::None);
    world.send(&["x"], 0);
    world.run();
    assert_eq!(world.fates(), [(0, Ok(None))]);
    let request = world.requests.last().unwrap().clone();
    let mut receive = |correlation: i32| {
        let answer = frame(correlation, &[0; 20]);
        world.producer.handle_input(Input::Received(request.connection, &answer), world.now);
        world.run();
        world.closed.clone()
    };
    assert_eq!(receive(request.correlation), []);
    assert_eq!(receive(request.correlation + 1), [request.connection], "no request has this correlation id");
}

#[test]
fn without_acks_a_written_batch_is_delivered() {
    let mut world = World::new(|config| config.acks = Acks::None);
    world.send(&["x"], 0);
    world.send(&["y"], 0);
    world.run();
    assert_eq!(world.fates(), [(0, Ok(None)), (1, Ok(None))]);
    assert_eq!(world.stamps(), [(-1, -1, -1), (-1, -1, -1)]);
}

#[test]
fn buffered_bytes_are_bounded_and_a_rejected_batch_is_returned() {
    let mut world = World::new(|config| config.buffer_memory = 150);
    world.send(&["x"], 0);
    world.send(&["x"], 0);
    assert!(world.producer.has_room());
    let refused = world.producer.send(batch(&["y"]), to(0), world.now).unwrap_err();
    assert!(refused.kind.is_retriable() && refused.batch.record_count() == 1, "{refused}");
    let never = world.producer.send(batch(&["y".repeat(200).as_str()]), to(0), world.now).unwrap_err();
    assert!(matches!(never.kind, MachineSendErrorKind::ExceedsBufferMemory { .. }));
    world.run();
    world.producer.send(*refused.batch, to(0), world.now).unwrap();
}

#[test]
fn batches_for_topics_and_partitions_that_cannot_exist_are_returned() {
    let mut world = World::new(|_| {});
    let longest = "t".repeat(249);
    let mut refusal = |topic: &str, partition| {
        let refused = world.producer.send(batch(&["x"]), TopicPartition::new(topic, partition), world.now).err()?;
        assert!(!refused.kind.is_retriable() && refused.batch.record_count() == 1);
        Some((refused.kind, refused.to_string()))
    };
    let name = "the name of a topic has 1 to 249 characters";
    let too_long = "t".repeat(250);
    for topic in ["", &too_long] {
        let text = format!("the batch for {topic}-0 was not accepted: {name}");
        assert_eq!(refusal(topic, 0), Some((MachineSendErrorKind::InvalidTopic, text)));
    }
    let text = "the batch for t (no partition) was not accepted: partitions are numbered from 0";
    assert_eq!(refusal("t", -1), Some((MachineSendErrorKind::InvalidPartition, text.to_string())));
    assert_eq!(refusal(&longest, i32::MAX), None);
}

#[test]
fn flushes_complete_in_order_after_all_earlier_batches() {
    let mut world = World::new(|_| {});
    let empty = world.producer.flush(world.now);
    world.run();
    assert!(matches!(world.events[..], [Event::Flushed(id)] if id == empty));
    world.responses.push_back(None);
    world.send(&["x"], 0);
    let pending = world.producer.flush(world.now);
    world.run();
    assert_eq!(world.events.len(), 1);
    let connection = world.connects[1].0;
    world.disconnect(connection);
    world.pass(at(3_000));
    assert!(matches!(world.events.last(), Some(Event::Flushed(id)) if *id == pending), "{:?}", world.events);
}

#[test]
fn close_flushes_or_fails_each_batch_with_its_fate() {
    let mut world = World::new(|_| {});
    world.send(&["x"], 0);
    world.producer.close(CloseMode::Graceful, world.now);
    assert!(matches!(
        world.producer.send(batch(&["y"]), to(0), world.now).unwrap_err().kind,
        MachineSendErrorKind::Closed
    ));
    world.run();
    assert_eq!(world.fates(), [(0, DONE)]);
    assert!(matches!(world.events.last(), Some(Event::Closed)));
    assert_eq!((world.closed.len(), world.wait), (2, None));

    let mut world = World::new(|_| {});
    world.responses.push_back(None);
    world.send(&["in flight"], 0);
    world.run();
    world.send(&["waiting"], 0);
    world.producer.close(CloseMode::Immediate, world.now);
    world.run();
    assert_eq!(world.fates(), [(0, UNKNOWN), (1, NOT_WRITTEN)]);
    assert!(matches!(world.error().reason, FailureReason::Closed));
    assert!(matches!(world.events.last(), Some(Event::Closed)));
}

#[test]
fn an_earlier_now_is_replaced_by_the_latest() {
    let mut world = World::new(|_| {});
    world.send(&["x"], 0);
    world.pass(at(50));
    let wait = world.wait;
    assert!(matches!(world.producer.poll_output(at(1)), Output::Wait(same) if same == wait));
}
