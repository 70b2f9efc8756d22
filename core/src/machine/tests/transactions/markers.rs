//! The next transaction begins when the markers of the last one are written.

use super::*;

/// Returns a world whose coordinator describes transactions.
fn world_that_describes(level: i16) -> World {
    let mut world = uninitialized(level);
    world.fake().describes = true;
    world.producer.init_transactions(world.now).unwrap();
    world.run();
    world.forget();
    world
}

/// Commits a transaction with one batch.
fn commit_one(world: &mut World) {
    world.producer.begin_transaction(world.now).unwrap();
    world.run();
    world.send(&["a"], 0);
    world.run();
    world.commit();
    assert!(world.committed().is_ok());
    world.events.clear();
}

#[test]
fn the_next_transaction_begins_when_the_markers_are_written() {
    for level in [0, 1, 2] {
        let mut world = world_that_describes(level);
        world.fake().pending = 3;
        commit_one(&mut world);
        assert_eq!(world.sent()[world.sent().len() - 5..], [END, DESCRIBE, DESCRIBE, DESCRIBE, DESCRIBE]);
        world.forget();
        world.begin();
        assert_eq!(world.sent(), [0_i16; 0]);
    }
}

#[test]
fn a_transaction_that_is_begun_meanwhile_waits_at_most_20_ms_and_batches_with_it() {
    let mut world = world_that_describes(2);
    world.fake().pending = usize::MAX;
    commit_one(&mut world);
    world.forget();
    world.producer.begin_transaction(world.now).unwrap();
    world.run();
    assert_eq!(world.transaction_events(), [""; 0]);
    world.wait_ms(10);
    assert_eq!(world.transaction_events(), [""; 0]);
    world.wait_ms(10);
    assert_eq!(world.transaction_events(), ["Begun(Ok(()))"]);
    let asked = world.sent().len();
    assert!((10..25).contains(&asked), "asked {asked} times");
    world.wait_ms(1_000);
    assert_eq!(world.sent().len(), asked, "it is not asked any more");
}

#[test]
fn a_coordinator_that_does_not_say_it_holds_nothing_up() {
    for (level, code) in [(0, Some(53)), (2, Some(16)), (2, None)] {
        let mut world = world_that_describes(level);
        world.answer_with(DESCRIBE, [code]);
        commit_one(&mut world);
        world.producer.begin_transaction(world.now).unwrap();
        world.run();
        if code.is_none() {
            assert!(!world.transaction_events().contains(&"Begun(Ok(()))".into()), "the response may come");
            world.wait_ms(20);
        }
        assert_eq!(world.transaction_events().last().unwrap(), "Begun(Ok(()))");
        assert_eq!(world.state(), TransactionState::Open);
    }
}

#[test]
fn an_empty_transaction_and_a_broker_without_the_api_are_not_asked_about() {
    let mut world = world_that_describes(2);
    world.begin();
    world.commit();
    world.events.clear();
    world.begin();
    assert!(!world.sent().contains(&DESCRIBE));
    let mut world = self::world(2);
    commit_one(&mut world);
    world.begin();
    assert!(!world.sent().contains(&DESCRIBE));
}

#[test]
fn closing_does_not_wait_for_markers() {
    let mut world = world_that_describes(2);
    world.answer_with(DESCRIBE, [None]);
    commit_one(&mut world);
    world.producer.close(CloseMode::Graceful, world.now);
    world.run();
    assert!(matches!(world.events.last(), Some(Event::Closed)));
}
