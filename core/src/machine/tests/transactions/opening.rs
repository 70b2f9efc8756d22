//! Initialising transactions, and beginning them.

use super::*;

fn initialized(world: &World) -> &Result<(), InitTransactionsError> {
    let found = world.events.iter().rev().find_map(|event| match event {
        Event::Transaction(TransactionEvent::Initialized(result)) => Some(result),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("no result: {:?}", world.events))
}

#[test]
fn a_producer_id_is_requested_from_the_coordinator() {
    let mut world = uninitialized(2);
    world.producer.init_transactions(world.now).unwrap();
    world.run();
    assert!(initialized(&world).is_ok());
    assert_eq!(world.sent(), [FIND, INIT]);
    let body = &world.requests.iter().find(|request| request.api == INIT).unwrap().body;
    assert_eq!(body[..10], *b"\0\x09orders-1");
    assert_eq!(world.state(), TransactionState::Ready);
    assert_eq!(world.producer.init_transactions(world.now).unwrap_err().state, Some(TransactionState::Ready));
}

#[test]
fn the_former_transaction_is_awaited_and_the_coordinator_looked_for_until_it_is_there() {
    let mut world = uninitialized(0);
    world.answer_with(FIND, [15, 15]);
    world.answer_with(INIT, [51, 16, 14, 0]);
    world.producer.init_transactions(world.now).unwrap();
    world.wait_ms(5_000);
    assert!(initialized(&world).is_ok());
    assert_eq!(world.sent(), [FIND, FIND, FIND, INIT, INIT, FIND, INIT, INIT]);
}

#[test]
fn initialising_ends_in_time_and_can_be_repeated() {
    let mut world = uninitialized(0);
    world.answer_with(INIT, [ErrorCode::CONCURRENT_TRANSACTIONS.0; 1_000]);
    world.producer.init_transactions(world.now).unwrap();
    world.wait_ms(119_999);
    assert!(world.transaction_events().is_empty());
    world.wait_ms(1);
    let Err(InitTransactionsError::TimedOut { cause: Some(cause), .. }) = initialized(&world) else { panic!() };
    assert_eq!(cause.broker_error().unwrap().code, ErrorCode::CONCURRENT_TRANSACTIONS);
    assert_eq!(world.state(), TransactionState::Uninitialized);
    world.fake().codes.clear();
    world.events.clear();
    world.producer.init_transactions(world.now).unwrap();
    world.wait_ms(2_000);
    assert!(initialized(&world).is_ok());
}

#[test]
fn without_brokers_initialising_ends_with_the_error_of_the_connection() {
    let mut world = uninitialized(0);
    world.ignores_connects = true;
    world.producer.init_transactions(world.now).unwrap();
    world.wait_ms(120_000);
    let Err(InitTransactionsError::TimedOut { cause: Some(TransactionCause::Connection(_)), .. }) = initialized(&world)
    else {
        panic!("{:?}", initialized(&world))
    };
}

#[test]
fn permissions_end_the_producer() {
    for (api, code) in [(FIND, 53), (INIT, 53), (INIT, 50), (INIT, 31), (INIT, 90)] {
        let mut world = uninitialized(0);
        world.answer_with(api, [code]);
        world.producer.init_transactions(world.now).unwrap();
        world.run();
        let Err(InitTransactionsError::Fatal(cause)) = initialized(&world) else { panic!("{code}") };
        assert_eq!((cause.broker_error().unwrap().code.0, world.state()), (code, TransactionState::Fatal));
    }
}

/// Nothing is open then, so a new producer continues without a loss.
#[test]
fn permissions_that_are_withdrawn_end_the_producer_when_its_epoch_is_bumped() {
    for code in [31, 53] {
        let mut world = world(0);
        world.begin();
        world.responses.push_back(Some(ErrorCode::INVALID_RECORD.0));
        world.send(&["a"], 0);
        world.run();
        world.answer_with(INIT, [code]);
        world.commit();
        world.wait_ms(1_000);
        assert!(matches!(world.committed(), Err(CommitError::Aborted(_))), "{:?}", world.committed());
        assert_eq!((world.ends(), world.state()), (vec![false], TransactionState::Fatal));
        world.events.clear();
        world.producer.begin_transaction(world.now).unwrap();
        world.run();
        let [Event::Transaction(TransactionEvent::Begun(Err(BeginError::Fatal(cause))))] = &world.events[..] else {
            panic!("{:?}", world.events)
        };
        assert_eq!(cause.broker_error().unwrap().code.0, code);
    }
}

#[test]
fn brokers_without_transactions_end_the_producer() {
    let mut world = uninitialized(0);
    world.transactions = None;
    world.producer.init_transactions(world.now).unwrap();
    world.run();
    assert!(matches!(initialized(&world), Err(InitTransactionsError::Fatal(TransactionCause::Unsupported { .. }))));
}

#[test]
fn batches_are_accepted_in_a_transaction_only() {
    let mut world = world(0);
    let refusal = |world: &mut World| world.producer.send(batch(&["a"]), to(0), world.now).unwrap_err().kind;
    assert_eq!(refusal(&mut world), MachineSendErrorKind::NoTransaction);
    world.begin();
    world.send(&["a"], 0);
    world.commit();
    assert_eq!(refusal(&mut world), MachineSendErrorKind::NoTransaction);
}

#[test]
fn commands_in_the_wrong_state_are_refused() {
    let mut plain = World::new(|_| {});
    assert_eq!(plain.producer.begin_transaction(plain.now).unwrap_err().state, None);
    assert_eq!(plain.producer.transaction_state(), None);
    let mut world = world(0);
    assert_eq!(world.producer.commit_transaction(world.now).unwrap_err().state, Some(TransactionState::Ready));
    assert_eq!(world.producer.abort_transaction(world.now).unwrap_err().state, Some(TransactionState::Ready));
    world.begin();
    assert_eq!(world.producer.begin_transaction(world.now).unwrap_err().state, Some(TransactionState::Open));
}

#[test]
fn a_begin_that_waits_can_be_cancelled() {
    let mut world = world(0);
    world.begin();
    world.send(&["a"], 0);
    world.run();
    world.answer_with(END, [51; 3]);
    world.commit();
    world.producer.begin_transaction(world.now).unwrap();
    world.run();
    assert!(world.transaction_events().is_empty());
    world.abort();
    assert_eq!(world.transaction_events(), ["Aborted(Ok(()))"]);
    world.wait_ms(1_000);
    assert_eq!(world.transaction_events().len(), 2, "the commit goes on");
    assert!(world.committed().is_ok());
    assert_eq!(world.state(), TransactionState::Ready);
}

#[test]
fn a_partition_whose_addition_was_refused_is_added_in_the_next_transaction() {
    let mut world = world(0);
    world.begin();
    world.answer_with(ADD, [ErrorCode::TOPIC_AUTHORIZATION_FAILED.0]);
    world.send(&["a"], 0);
    world.run();
    assert!(matches!(world.error().reason, FailureReason::TransactionAborted));
    world.commit();
    assert!(matches!(world.committed(), Err(CommitError::Aborted(_))));
    assert_eq!(world.sent(), [ADD], "nothing was added, so nothing is to be ended");
    world.forget();
    world.begin();
    world.send(&["b"], 0);
    world.run();
    assert_eq!((world.sent(), world.fates()), (vec![ADD, PRODUCE], vec![(1, DONE)]));
}

#[test]
fn the_first_addition_waits_shortly_for_the_markers_of_the_last_transaction() {
    let mut world = world(0);
    world.begin();
    world.answer_with(ADD, [51]);
    world.send(&["a"], 0);
    world.run();
    world.wait_ms(24);
    assert_eq!(world.fates(), [(0, DONE)], "after 20 ms and jitter");
}

#[test]
fn below_level_2_partitions_with_the_current_epoch_are_not_forgotten() {
    let mut world = world(0);
    for sequence in [0, 1] {
        world.begin();
        world.send(&["a"], 0);
        world.run();
        assert_eq!(world.batches(), [((7, 0, sequence), true)]);
        world.commit();
        world.wait_ms(3_600_000);
        world.forget();
    }
}
