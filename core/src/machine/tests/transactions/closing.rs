//! Closing a producer with a transaction.

use super::*;

fn open(level: i16) -> World {
    let mut world = world(level);
    world.begin();
    world.send(&["a"], 0);
    world.run();
    world.forget();
    world
}

fn is_closed(world: &World) -> bool {
    matches!(world.events.last(), Some(Event::Closed))
}

#[test]
fn closing_aborts_an_open_transaction() {
    let mut world = open(2);
    world.producer.close(CloseMode::Graceful, world.now);
    world.run();
    assert_eq!(world.ends(), [false]);
    assert!(is_closed(&world));
}

#[test]
fn closing_waits_for_a_commit() {
    let mut world = open(0);
    world.answer_with(END, [51, 51]);
    world.commit();
    world.producer.close(CloseMode::Graceful, world.now);
    world.run();
    assert!(!is_closed(&world));
    world.wait_ms(1_000);
    assert!(world.committed().is_ok() && is_closed(&world));
}

#[test]
fn closing_gives_up_a_commit_after_the_delivery_timeout() {
    let mut world = open(0);
    world.answer_with(END, [51; 1_000]);
    world.commit();
    world.producer.close(CloseMode::Graceful, world.now);
    world.wait_ms(121_000);
    assert!(matches!(world.committed(), Err(CommitError::Fatal(TransactionCause::Closed))), "each answer excludes it");
    assert!(is_closed(&world));
}

#[test]
fn closing_at_once_knows_whether_a_commit_was_sent() {
    let mut world = open(0);
    world.answer_with(END, [None]);
    world.commit();
    world.producer.close(CloseMode::Immediate, world.now);
    world.run();
    assert!(matches!(world.committed(), Err(CommitError::Unknown(TransactionCause::Closed))));
    assert!(is_closed(&world));

    let mut world = open(0);
    world.responses.push_back(None);
    world.send(&["b"], 0);
    world.commit();
    world.producer.close(CloseMode::Immediate, world.now);
    world.run();
    assert!(matches!(world.committed(), Err(CommitError::Fatal(TransactionCause::Closed))));
    assert!(is_closed(&world));
    world.producer.begin_transaction(world.now).unwrap_err();
}

#[test]
fn closing_ends_what_waits_to_begin_or_to_be_initialised() {
    let mut world = open(0);
    world.answer_with(END, [51; 3]);
    world.commit();
    world.producer.begin_transaction(world.now).unwrap();
    world.producer.close(CloseMode::Graceful, world.now);
    world.wait_ms(1_000);
    assert!(world.transaction_events().iter().any(|event| event.starts_with("Begun(Err(Fatal")));
    assert!(world.committed().is_ok() && is_closed(&world));

    let mut world = uninitialized(0);
    world.producer.init_transactions(world.now).unwrap();
    world.producer.close(CloseMode::Graceful, world.now);
    world.run();
    assert!(world.transaction_events()[0].starts_with("Initialized(Err(Fatal(Closed"));
    assert!(is_closed(&world));
}

#[test]
fn transactions_are_not_initialised_while_the_producer_is_closed() {
    let mut world = uninitialized(2);
    world.producer.close(CloseMode::Graceful, world.now);
    world.producer.init_transactions(world.now).unwrap();
    world.run();
    assert_eq!(world.transaction_events(), ["Initialized(Err(Fatal(Closed)))"]);
    assert!(is_closed(&world));
}
