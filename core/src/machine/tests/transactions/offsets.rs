//! Offsets of a group in a transaction.

use super::*;
use crate::transaction::GroupMetadata;

fn send_offsets(world: &mut World) -> OffsetsId {
    let offsets = vec![(TopicPartition::new("in", 0), 42.into())];
    let id = world.producer.send_offsets(GroupMetadata::unfenced("g"), offsets, world.now).unwrap();
    world.run();
    id
}

fn result(world: &World) -> &Result<(), SendOffsetsError> {
    let found = world.events.iter().find_map(|event| match event {
        Event::Transaction(TransactionEvent::OffsetsSent { result, .. }) => Some(result),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("no result: {:?}", world.events))
}

#[test]
fn below_level_2_the_group_is_added_first_and_once() {
    let mut world = world(0);
    world.begin();
    send_offsets(&mut world);
    assert!(result(&world).is_ok());
    send_offsets(&mut world);
    assert_eq!(world.sent(), [ADD_OFFSETS, FIND, OFFSET_COMMIT, OFFSET_COMMIT]);
    assert!(world.requests.last().unwrap().version < 5);
    world.commit();
    assert!(world.committed().is_ok());
    world.forget();
    world.begin();
    send_offsets(&mut world);
    assert_eq!(world.sent(), [ADD_OFFSETS, OFFSET_COMMIT], "the next transaction adds it again");
}

#[test]
fn with_level_2_the_group_is_not_added() {
    let mut world = world(2);
    world.begin();
    send_offsets(&mut world);
    assert!(result(&world).is_ok());
    assert_eq!(world.sent(), [FIND, OFFSET_COMMIT]);
    assert_eq!(world.requests.last().unwrap().version, 5);
    world.commit();
    assert_eq!((world.committed().is_ok(), world.ends()), (true, vec![true]));
}

#[test]
fn a_commit_waits_for_the_offsets() {
    let mut world = world(2);
    world.begin();
    world.answer_with(OFFSET_COMMIT, [14, 16, 0]);
    send_offsets(&mut world);
    world.commit();
    assert!(world.ends().is_empty());
    world.wait_ms(2_000);
    assert_eq!((world.committed().is_ok(), world.ends()), (true, vec![true]));
    assert_eq!(world.sent(), [FIND, OFFSET_COMMIT, OFFSET_COMMIT, FIND, OFFSET_COMMIT, END]);
}

#[test]
fn offsets_that_are_refused_abort_the_whole_transaction() {
    for code in [22, 25, 69, 82, 113, 30, 120, 47] {
        let mut world = world(2);
        world.begin();
        world.send(&["a"], 0);
        world.run();
        world.answer_with(OFFSET_COMMIT, [code]);
        send_offsets(&mut world);
        assert!(matches!(result(&world), Err(SendOffsetsError::Aborted(_))), "{code}");
        assert_eq!(
            world.producer.send(batch(&["b"]), to(0), world.now).unwrap_err().kind,
            MachineSendErrorKind::TransactionAborted
        );
        world.commit();
        assert!(matches!(world.committed(), Err(CommitError::Aborted(_))), "{code}");
        assert_eq!(world.ends(), [false]);
    }
}

#[test]
fn a_dead_coordinator_of_the_group_is_looked_for() {
    let mut world = world(2);
    world.begin();
    send_offsets(&mut world);
    world.forget();
    world.answer_with(OFFSET_COMMIT, [None]);
    send_offsets(&mut world);
    world.fake().broker = 2;
    world.wait_ms(40_000);
    assert!(result(&world).is_ok());
    assert_eq!(world.sent(), [OFFSET_COMMIT, FIND, OFFSET_COMMIT]);
}

#[test]
fn an_abort_fails_offsets_that_wait() {
    let mut world = world(2);
    world.begin();
    world.answer_with(FIND, [15; 50]);
    send_offsets(&mut world);
    world.abort();
    assert!(matches!(result(&world), Err(SendOffsetsError::Aborted(TransactionCause::Aborted))));
    assert_eq!(*world.transaction_events().last().unwrap(), "Aborted(Ok(()))");
}

#[test]
fn no_offsets_need_no_request() {
    let mut world = world(0);
    world.begin();
    let id = world.producer.send_offsets(GroupMetadata::unfenced("g"), Vec::new(), world.now).unwrap();
    world.run();
    assert_eq!(id, OffsetsId(0));
    assert!(result(&world).is_ok());
    assert!(world.requests.is_empty());
}

#[test]
fn a_member_that_the_brokers_cannot_check_is_an_error() {
    let mut world = uninitialized(0);
    world.fake().newest = 2;
    world.producer.init_transactions(world.now).unwrap();
    world.run();
    world.events.clear();
    world.begin();
    let offsets = vec![(TopicPartition::new("in", 0), 42.into())];
    world.producer.send_offsets(GroupMetadata::member("g", 3, "m"), offsets, world.now).unwrap();
    world.run();
    let Err(SendOffsetsError::Aborted(cause)) = result(&world) else { panic!("{:?}", result(&world)) };
    assert!(cause.to_string().contains("KIP-447"), "{cause}");
}

#[test]
fn offsets_that_no_coordinator_accepts_are_given_up_after_the_delivery_timeout() {
    for (api, level) in [(OFFSET_COMMIT, 2), (OFFSET_COMMIT, 0), (FIND, 2), (ADD_OFFSETS, 0)] {
        let mut world = world(level);
        world.begin();
        world.answer_with(api, [3; 10_000]); // UNKNOWN_TOPIC_OR_PARTITION
        send_offsets(&mut world);
        world.commit();
        world.wait_ms(119_000);
        assert!(world.transaction_events().is_empty(), "{:?}", world.transaction_events());
        world.wait_ms(2_000);
        let Err(CommitError::Aborted(cause)) = world.committed() else { panic!("{:?}", world.committed()) };
        let TransactionCause::OffsetsTimedOut { limit, last: Some(last) } = cause else { panic!("{cause:?}") };
        assert_eq!(*limit, Duration::from_secs(120));
        assert_eq!(last.broker_error().unwrap().code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "{cause}");
        assert!(matches!(result(&world), Err(SendOffsetsError::Aborted(_))));
    }
}

#[test]
fn a_late_answer_about_a_group_does_not_concern_the_next_transaction() {
    for code in [30_i16, 120, -1] {
        let mut world = world(2);
        world.begin();
        world.answer_with(FIND, [None]);
        send_offsets(&mut world);
        let find = world.requests.last().unwrap().clone();
        assert_eq!(find.api, FIND);
        world.abort();
        world.forget();
        world.begin();
        world.send(&["a"], 0);
        world.run();
        world.answer_with(FIND, [code]);
        let late = world.answer(&find).unwrap();
        world.silent_connections.clear();
        world.producer.handle_input(Input::Received(find.connection, &late), world.now);
        world.run();
        assert_eq!(world.state(), TransactionState::Open, "{code}");
        if let Some(produce) = world.requests.iter().find(|request| request.api == PRODUCE).cloned() {
            if world.fates().is_empty() {
                world.reply(&produce, ErrorCode::NONE);
            }
        }
        world.commit();
        assert!(world.committed().is_ok(), "{code}: {:?}", world.committed());
    }
}
