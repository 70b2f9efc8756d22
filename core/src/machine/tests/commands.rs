//! What the application asks for: acks, bounds, flush, close, time.

use super::*;

/// librdkafka's mock cluster answers Produce requests with acks=0, as no real broker does.
#[test]
fn without_acks_an_answer_to_a_request_that_needs_none_is_passed_over() {
    let mut world = World::new(|config| config.acks = Acks::None);
    world.send(&["x"], 0);
    world.run();
    assert_eq!(world.fates(), [(0, Ok(None))]);
    let asked = world.asked.last().unwrap().clone();
    let mut hear = |correlation: i32| {
        let answer = frame(correlation, &[0; 20]);
        world.producer.handle_input(Input::Received(asked.connection, &answer), world.now);
        world.run();
        world.closed.clone()
    };
    assert_eq!(hear(asked.correlation), []);
    assert_eq!(hear(asked.correlation + 1), [asked.connection], "nobody has sent that");
}

#[test]
fn without_acks_written_is_done() {
    let mut world = World::new(|config| config.acks = Acks::None);
    world.send(&["x"], 0);
    world.send(&["y"], 0);
    world.run();
    assert_eq!(world.fates(), [(0, Ok(None)), (1, Ok(None))]);
    assert_eq!(world.stamps(), [(-1, -1, -1), (-1, -1, -1)]);
}

#[test]
fn what_is_on_its_way_is_bounded_and_the_refused_batch_comes_back() {
    let mut world = World::new(|config| config.buffer_memory = 150);
    world.send(&["x"], 0);
    world.send(&["x"], 0);
    assert!(world.producer.has_room());
    let refused = world.producer.send(batch(&["y"]), to(0), world.now).unwrap_err();
    assert!(refused.reason.is_retriable() && refused.batch.record_count() == 1, "{refused}");
    let never = world.producer.send(batch(&["y".repeat(200).as_str()]), to(0), world.now).unwrap_err();
    assert!(matches!(never.reason, SendErrorKind::NeverFits { .. }));
    world.run();
    world.producer.send(*refused.batch, to(0), world.now).unwrap();
}

#[test]
fn flushes_are_answered_in_order_when_what_came_before_is_through() {
    let mut world = World::new(|_| {});
    let empty = world.producer.flush(world.now);
    world.run();
    assert!(matches!(world.events[..], [Event::Flushed(id)] if id == empty));
    world.answers.push_back(None);
    world.send(&["x"], 0);
    let waits = world.producer.flush(world.now);
    world.run();
    assert_eq!(world.events.len(), 1);
    let connection = world.connects[1].0;
    world.lost(connection);
    world.pass(at(3_000));
    assert!(matches!(world.events.last(), Some(Event::Flushed(id)) if *id == waits), "{:?}", world.events);
}

#[test]
fn closing_flushes_first_or_fails_everything_truthfully() {
    let mut world = World::new(|_| {});
    world.send(&["x"], 0);
    world.producer.close(CloseMode::Graceful, world.now);
    assert!(matches!(world.producer.send(batch(&["y"]), to(0), world.now).unwrap_err().reason, SendErrorKind::Closed));
    world.run();
    assert_eq!(world.fates(), [(0, DONE)]);
    assert!(matches!(world.events.last(), Some(Event::Closed)));
    assert_eq!((world.closed.len(), world.wait), (2, None));

    let mut world = World::new(|_| {});
    world.answers.push_back(None);
    world.send(&["out"], 0);
    world.run();
    world.send(&["waiting"], 0);
    world.producer.close(CloseMode::Immediate, world.now);
    world.run();
    assert_eq!(world.fates(), [(0, UNKNOWN), (1, NOT_WRITTEN)]);
    assert!(matches!(world.error().reason, FailureReason::Closed));
    assert!(matches!(world.events.last(), Some(Event::Closed)));
}

#[test]
fn an_earlier_now_counts_as_the_latest() {
    let mut world = World::new(|_| {});
    world.send(&["x"], 0);
    world.pass(at(50));
    let wait = world.wait;
    assert!(matches!(world.producer.poll_output(at(1)), Output::Wait(same) if same == wait));
}
