//! Nothing is sent in a transaction until the markers of the last one are written.

use super::*;
use crate::transaction::GroupMetadata;

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

/// Begins a transaction, and sends a batch and offsets in it, while the markers of the last one are being written.
fn begin_while_pending(level: i16) -> World {
    let mut world = world_that_describes(level);
    world.fake().pending = usize::MAX;
    commit_one(&mut world);
    world.forget();
    world.begin();
    world.send(&["b"], 0);
    world.run();
    let offsets = vec![(TopicPartition::new("in", 0), 42.into())];
    world.producer.send_offsets(GroupMetadata::unfenced("g"), offsets, world.now).unwrap();
    world.run();
    world.wait_ms(10);
    let asked = world.sent().len();
    assert!(asked >= 5 && world.sent().iter().all(|api| *api == DESCRIBE), "{:?}", world.sent());
    assert_eq!(world.transaction_events(), [""; 0]);
    world
}

#[test]
fn a_transaction_begins_at_once_and_its_requests_wait_for_the_markers_of_the_last_one() {
    for level in [0, 1, 2] {
        let mut world = begin_while_pending(level);
        world.fake().pending = 0;
        world.forget();
        world.wait_ms(2);
        let mut sent = world.sent();
        assert_eq!(sent.remove(0), DESCRIBE);
        sent.sort_unstable();
        let expected: &[i16] = match level {
            2 => &[PRODUCE, FIND, OFFSET_COMMIT],
            _ => &[PRODUCE, FIND, ADD, ADD_OFFSETS, OFFSET_COMMIT],
        };
        assert_eq!(sent, expected, "level {level}");
        world.events.clear();
        world.commit();
        assert!(world.committed().is_ok());
    }
}

#[test]
fn they_wait_at_most_20_ms() {
    for level in [0, 2] {
        let mut world = begin_while_pending(level);
        world.wait_ms(10);
        assert!(world.sent().contains(&PRODUCE) && world.sent().contains(&OFFSET_COMMIT), "{:?}", world.sent());
        let asked = world.sent().iter().filter(|api| **api == DESCRIBE).count();
        assert!((10..25).contains(&asked), "asked {asked} times");
        world.forget();
        world.wait_ms(1_000);
        assert_eq!(world.sent(), [0_i16; 0], "it is not asked any more");
    }
}

#[test]
fn what_waits_for_markers_can_be_aborted_and_nothing_of_it_is_sent() {
    for level in [0, 2] {
        let mut world = begin_while_pending(level);
        world.forget();
        world.abort();
        let [event, ended] = &world.transaction_events()[..] else { panic!("{:?}", world.transaction_events()) };
        assert!(event.starts_with("OffsetsSent") && ended == "Aborted(Ok(()))", "{event}, {ended}");
        assert_eq!(world.fates().len(), 1);
        world.wait_ms(1_000);
        assert!(world.sent().iter().all(|api| *api == DESCRIBE), "{:?}", world.sent());
    }
}

#[test]
fn a_coordinator_that_does_not_say_it_holds_nothing_up() {
    for (level, code) in [(0, Some(53)), (2, Some(16)), (2, None)] {
        let mut world = world_that_describes(level);
        world.answer_with(DESCRIBE, [code]);
        commit_one(&mut world);
        world.forget();
        world.begin();
        world.send(&["b"], 0);
        world.run();
        if code.is_none() {
            assert_eq!(world.sent(), [0_i16; 0], "the response may come");
            world.wait_ms(20);
        }
        assert!(world.sent().contains(&PRODUCE) || world.sent().contains(&ADD), "{:?}", world.sent());
        assert_eq!(world.state(), TransactionState::Open);
    }
}

#[test]
fn a_coordinator_that_does_not_permit_it_is_not_asked_again() {
    for (code, expected) in [(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED, 1), (ErrorCode::NOT_COORDINATOR, 3)] {
        let mut world = world_that_describes(2);
        world.answer_with(DESCRIBE, [Some(code.0); 3]);
        for _ in 0..3 {
            commit_one(&mut world);
        }
        let asked = world.sent().iter().filter(|api| **api == DESCRIBE).count();
        assert_eq!(asked, expected, "{code}");
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
