//! The level of `transaction.version`: which requests are sent, and which epoch the next transaction has.

use super::*;
use crate::protocol::ApiKey;

#[test]
fn below_level_2_partitions_are_added_before_the_first_batch_and_sequences_go_on() {
    for level in [0, 1] {
        let mut world = world(level);
        world.begin();
        world.send(&["a", "b"], 0);
        world.send(&["c"], 1);
        world.run();
        assert_eq!(world.sent(), [ADD, PRODUCE]);
        world.send(&["d"], 0);
        world.send(&["e"], 2);
        world.run();
        assert_eq!(world.sent()[2..], [PRODUCE, ADD, PRODUCE], "a partition is added once");
        world.commit();
        assert_eq!((world.committed().is_ok(), world.ends()), (true, vec![true]));
        assert_eq!(world.fates().len(), 4);
        world.forget();
        world.begin();
        world.send(&["f"], 0);
        world.run();
        assert_eq!(world.sent(), [ADD, PRODUCE]);
        assert_eq!(world.batches(), [((7, 0, 3), true)], "epoch and sequence numbers go on");
    }
}

#[test]
fn with_level_2_nothing_is_added_and_each_transaction_has_an_epoch_of_its_own() {
    let mut world = world(2);
    for epoch in 0..3 {
        world.begin();
        world.send(&["a", "b"], 0);
        world.run();
        world.commit();
        assert!(world.committed().is_ok());
        assert_eq!(world.sent(), [PRODUCE, END]);
        assert_eq!(world.requests.last().unwrap().version, 5);
        assert_eq!(world.batches(), [((7, epoch, 0), true)]);
        world.forget();
    }
}

/// A leader accepts the first batch of an epoch with any sequence number, except with level 2: there it is 0.
#[test]
fn with_level_2_a_transaction_begins_with_five_requests_in_flight_and_below_with_one_in_its_first_epoch() {
    for (level, at_once) in [(0, 1), (1, 1), (2, 5)] {
        let mut world = world(level);
        world.begin();
        world.responses.extend([None; 5]);
        for value in ["a", "b", "c", "d", "e", "f"] {
            world.send(&[value], 0);
        }
        world.run();
        let sent = world.sent().into_iter().filter(|api| *api == PRODUCE).count();
        assert_eq!(sent, at_once, "level {level}");
        let first: Vec<_> = world.batches().into_iter().map(|((_, _, sequence), _)| sequence).collect();
        assert_eq!(first, (0..at_once).map(|at| at as i32).collect::<Vec<_>>(), "level {level}");
    }
}

#[test]
fn the_level_is_that_of_the_feature_and_not_of_the_versions_that_brokers_list() {
    let mut world = uninitialized(1);
    world.producer.init_transactions(world.now).unwrap();
    world.run();
    let (_, versions) = world.ready.last().unwrap();
    let TransactionVersions { level, features_epoch, end_txn, .. } = versions.transactions;
    assert_eq!((level, features_epoch, end_txn), (1, 7, Some(5)), "version 5 is of level 2");
}

/// From v12 on, Produce adds the partition itself, and is refused below level 2 although brokers list it.
#[test]
fn below_level_2_produce_is_of_v11_whatever_brokers_list() {
    for (level, expected) in [(0, 11), (1, 11), (2, 12)] {
        let mut world = uninitialized(level);
        world.fake().produce = 12;
        world.producer.init_transactions(world.now).unwrap();
        world.run();
        world.events.clear();
        world.begin();
        world.responses.push_back(None);
        world.send(&["a"], 0);
        world.run();
        let produce = world.requests.iter().find(|request| request.api == PRODUCE).unwrap();
        assert_eq!(produce.version, expected, "level {level}");
    }
}

/// A broker that replaces a newer one in a downgrade, or a proxy.
#[test]
fn a_leader_without_the_produce_version_of_level_2_gets_no_batch_and_the_transaction_is_aborted() {
    for newest in [11, 7, 3] {
        let mut world = world(2);
        world.begin();
        world.send(&["a"], 0);
        world.run();
        world.fake().produce = newest;
        reconnect(&mut world);
        world.forget();
        let id = world.send(&["b"], 0);
        world.wait_ms(1_000);
        assert_eq!(world.fates(), [(id.0, NOT_WRITTEN)]);
        change_level(&mut world, 1);
        world.commit();
        world.wait_ms(1_000);
        let Err(CommitError::Aborted(cause)) = world.committed() else { panic!("{:?}", world.committed()) };
        assert!(matches!(cause, TransactionCause::Unsupported { api: ApiKey::Produce, .. }), "{cause:?}");
        let sent: Vec<i16> = world.sent().into_iter().filter(|api| *api != FIND).collect();
        assert_eq!((sent, world.ends()), (vec![END], vec![false]));
        // The level is lowered, too, so transactions go on.
        world.forget();
        world.begin();
        world.send(&["c"], 0);
        world.run();
        world.commit();
        world.wait_ms(1_000);
        assert!(world.committed().is_ok(), "{newest}: {:?}", world.committed());
        let version = |api| world.requests.iter().find(|request| request.api == api).unwrap().version;
        assert_eq!((version(PRODUCE), version(END)), (newest, 4));
    }
}

#[test]
fn if_every_leader_lacks_the_produce_version_nothing_is_sent() {
    let mut world = uninitialized(2);
    world.fake().produce = 11;
    world.producer.init_transactions(world.now).unwrap();
    world.run();
    world.forget();
    for _ in 0..3 {
        world.events.clear();
        world.begin();
        world.send(&["a"], 0);
        world.wait_ms(1_000);
        world.commit();
        world.wait_ms(1_000);
        let Err(CommitError::Aborted(cause)) = world.committed() else { panic!("{:?}", world.committed()) };
        assert!(matches!(cause, TransactionCause::Unsupported { api: ApiKey::Produce, .. }), "{cause:?}");
    }
    assert_eq!(world.sent(), [0_i16; 0], "no coordinator knows of it");
}

/// Lets the connections end, and the producer connect again.
fn reconnect(world: &mut World) {
    for connection in world.connects.clone() {
        world.disconnect(connection.0);
    }
    world.run();
    world.wait_ms(1_000);
}

/// Lets all brokers report this level, on new connections.
fn change_level(world: &mut World, level: i16) {
    let fake = world.fake();
    (fake.level, fake.epoch) = (level, fake.epoch + 1);
    reconnect(world);
}

#[test]
fn an_upgrade_takes_effect_with_the_next_transaction_which_has_a_bumped_epoch() {
    let mut world = world(1);
    world.begin();
    world.send(&["a"], 0);
    world.run();
    change_level(&mut world, 2);
    world.send(&["b"], 0);
    world.wait_ms(1_000);
    world.forget();
    world.commit();
    world.wait_ms(1_000);
    assert_eq!(world.sent(), [FIND, END, INIT]);
    assert!(world.requests.iter().find(|request| request.api == END).unwrap().version < 5, "it keeps its level");
    world.forget();
    world.begin();
    world.send(&["c"], 0);
    world.run();
    assert_eq!(world.sent(), [PRODUCE]);
    assert_eq!(world.batches(), [((7, 1, 0), true)]);
}

#[test]
fn a_downgrade_takes_effect_with_the_next_transaction() {
    let mut world = world(2);
    world.begin();
    world.send(&["a"], 0);
    world.run();
    change_level(&mut world, 1);
    world.send(&["b"], 0);
    world.wait_ms(1_000);
    world.commit();
    world.wait_ms(1_000);
    assert!(world.committed().is_ok());
    assert_eq!(world.requests.iter().find(|request| request.api == END).unwrap().version, 5);
    world.forget();
    world.begin();
    world.send(&["c"], 0);
    world.run();
    assert_eq!(world.sent(), [ADD, PRODUCE]);
}

/// Sends one batch whose first attempt is not answered.
fn with_an_unanswered_produce(level: i16) -> World {
    let mut world = world(level);
    world.begin();
    world.responses.push_back(None);
    world.send(&["a"], 0);
    world.wait_ms(40_000);
    assert_eq!(world.fates(), [(0, DONE)], "it was sent again");
    world.forget();
    world.commit();
    world.wait_ms(1_000);
    world
}

#[test]
fn below_level_2_an_unanswered_produce_has_the_epoch_bumped_before_the_next_transaction() {
    let mut world = with_an_unanswered_produce(0);
    assert!(world.committed().is_ok());
    assert_eq!(world.sent(), [FIND, END, INIT]);
    let bump = world.requests.last().unwrap();
    assert_eq!(bump.body[bump.body.len() - 11..], [0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0], "with id 7 and epoch 0");
    world.forget();
    world.begin();
    world.send(&["b"], 0);
    world.run();
    assert_eq!(world.batches(), [((7, 1, 0), true)]);
}

#[test]
fn with_level_2_an_unanswered_produce_needs_no_bump() {
    let world = with_an_unanswered_produce(2);
    assert!(world.committed().is_ok());
    assert_eq!(world.sent(), [FIND, END]);
}

#[test]
fn below_level_2_an_unanswered_end_has_the_epoch_bumped_before_the_next_transaction() {
    let mut world = world(0);
    world.begin();
    world.send(&["a"], 0);
    world.run();
    world.forget();
    world.answer_with(END, [None]);
    world.commit();
    world.wait_ms(40_000);
    assert!(world.committed().is_ok());
    assert_eq!(world.ends(), [true, true], "repeated with the same epoch");
    assert_eq!(*world.sent().last().unwrap(), INIT);
    assert_eq!(world.state(), TransactionState::Ready);
}

#[test]
fn the_next_transaction_waits_for_the_bump() {
    let mut world = world(0);
    world.begin();
    world.send(&["a"], 0);
    world.run();
    world.responses.push_back(Some(ErrorCode::INVALID_RECORD.0));
    world.send(&["b"], 0);
    world.run();
    world.answer_with(INIT, [51, 51]);
    world.events.clear();
    world.commit();
    assert!(matches!(world.committed(), Err(CommitError::Aborted(TransactionCause::Batch { .. }))));
    world.producer.begin_transaction(world.now).unwrap();
    world.run();
    assert_eq!((world.state(), world.transaction_events().len()), (TransactionState::Bumping, 1));
    world.wait_ms(1_000);
    assert_eq!((world.state(), world.transaction_events().len()), (TransactionState::Open, 2));
}

#[test]
fn where_epochs_cannot_be_bumped_a_producer_ends_with_a_batch_that_failed() {
    let mut world = uninitialized(0);
    world.fake().init = 1;
    world.producer.init_transactions(world.now).unwrap();
    world.run();
    world.events.clear();
    world.begin();
    world.responses.push_back(Some(ErrorCode::INVALID_RECORD.0));
    world.send(&["a"], 0);
    world.run();
    world.commit();
    assert!(matches!(world.committed(), Err(CommitError::Aborted(_))));
    world.events.clear();
    world.producer.begin_transaction(world.now).unwrap();
    world.run();
    let [Event::Transaction(TransactionEvent::Begun(Err(error)))] = &world.events[..] else {
        panic!("{:?}", world.events)
    };
    assert!(matches!(error, BeginError::Fatal(TransactionCause::Unsupported { .. })), "{error}");
}
