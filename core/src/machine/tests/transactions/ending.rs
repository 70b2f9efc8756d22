//! How transactions end.

use super::*;

/// A world whose transaction has one batch, which is delivered.
fn with_a_batch(level: i16) -> World {
    let mut world = world(level);
    world.begin();
    world.send(&["a"], 0);
    world.run();
    assert_eq!(world.fates(), [(0, DONE)]);
    world.forget();
    world
}

#[test]
fn an_empty_transaction_sends_nothing() {
    for level in [0, 2] {
        let mut world = world(level);
        world.begin();
        world.commit();
        assert!(world.committed().is_ok());
        world.events.clear();
        world.begin();
        world.abort();
        assert_eq!(world.transaction_events(), ["Aborted(Ok(()))"]);
        assert!(world.requests.is_empty(), "{:?}", world.sent());
        assert_eq!(world.state(), TransactionState::Ready);
    }
}

#[test]
fn a_commit_waits_for_every_batch() {
    let mut world = world(2);
    world.begin();
    world.responses.push_back(Some(ErrorCode::NOT_ENOUGH_REPLICAS.0));
    world.send(&["a"], 0);
    world.commit();
    assert!(world.transaction_events().is_empty() && world.ends().is_empty());
    world.wait_ms(1_000);
    assert_eq!((world.committed().is_ok(), world.ends()), (true, vec![true]));
}

#[test]
fn a_batch_that_was_refused_aborts_the_transaction_and_the_producer_goes_on() {
    for level in [0, 2] {
        let mut world = world(level);
        world.begin();
        world.responses.extend([Some(0), Some(ErrorCode::INVALID_RECORD.0)]);
        world.send(&["a"], 0);
        world.run();
        world.send(&["b"], 0);
        world.run();
        let refused = world.producer.send(batch(&["c"]), to(0), world.now).unwrap_err();
        assert_eq!(refused.kind, MachineSendErrorKind::TransactionAborted);
        world.commit();
        let Err(CommitError::Aborted(cause)) = world.committed() else { panic!("{:?}", world.committed()) };
        assert_eq!(cause.broker_error().unwrap().code, ErrorCode::INVALID_RECORD);
        assert_eq!(world.ends(), [false]);
        world.wait_ms(1_000);
        world.events.clear();
        world.begin();
    }
}

#[test]
fn a_batch_that_expired_aborts_the_transaction() {
    let mut world = with_a_batch(2);
    world.leader = -1;
    world.producer.lookup_topic("t", world.now);
    world.wait_ms(1_000);
    world.events.clear();
    world.send(&["b"], 0);
    world.commit();
    world.wait_ms(130_000);
    assert!(matches!(world.committed(), Err(CommitError::Aborted(TransactionCause::Batch { .. }))));
    assert_eq!(world.ends(), [false]);
}

#[test]
fn if_nothing_was_added_before_the_batches_expired_the_commit_fails() {
    let mut world = world(0);
    world.begin();
    world.leader = -1;
    world.send(&["a"], 0);
    world.commit();
    world.wait_ms(130_000);
    assert!(matches!(world.committed(), Err(CommitError::Aborted(_))));
    assert_eq!(world.sent(), [0_i16; 0]);
}

#[test]
fn with_level_2_a_transaction_whose_batches_were_all_refused_is_ended_on_the_wire() {
    let mut world = world(2);
    world.begin();
    world.responses.push_back(Some(ErrorCode::MESSAGE_TOO_LARGE.0));
    world.send(&["a"], 0);
    world.run();
    world.abort();
    assert_eq!((world.sent(), world.ends()), (vec![PRODUCE, END], vec![false]));
}

#[test]
fn a_commit_without_response_is_repeated_and_never_becomes_an_abort() {
    for level in [0, 2] {
        let mut world = with_a_batch(level);
        world.answer_with(END, [None, Some(ErrorCode::CONCURRENT_TRANSACTIONS.0), Some(0)]);
        world.commit();
        world.wait_ms(60_000);
        assert!(world.committed().is_ok());
        assert_eq!(world.ends(), [true; 3]);
    }
}

#[test]
fn a_producer_that_is_fenced_after_a_commit_without_response_does_not_know_its_outcome() {
    for level in [0, 2] {
        let mut world = with_a_batch(level);
        world.answer_with(END, [None, Some(ErrorCode::PRODUCER_FENCED.0)]);
        world.commit();
        world.wait_ms(60_000);
        assert!(matches!(world.committed(), Err(CommitError::Unknown(_))), "{:?}", world.committed());
        assert_eq!((world.ends(), world.state()), (vec![true; 2], TransactionState::Fenced));
        let sent = world.sent();
        world.wait_ms(600_000);
        assert_eq!(world.sent(), sent, "nothing after it");
    }
}

#[test]
fn below_level_2_a_fenced_commit_is_not_committed() {
    for code in [ErrorCode::PRODUCER_FENCED, ErrorCode::INVALID_PRODUCER_EPOCH] {
        let mut world = with_a_batch(0);
        world.answer_with(END, [code.0]);
        world.commit();
        assert!(matches!(world.committed(), Err(CommitError::Fenced(_))));
        assert_eq!(world.ends(), [true]);
        world.events.clear();
        world.producer.begin_transaction(world.now).unwrap();
        world.run();
        assert!(matches!(&world.events[..], [Event::Transaction(TransactionEvent::Begun(Err(BeginError::Fenced(_))))]));
    }
}

#[test]
fn with_level_2_a_transaction_that_the_coordinator_has_timed_out_is_aborted_and_the_producer_goes_on() {
    for code in [ErrorCode::INVALID_TXN_STATE, ErrorCode::PRODUCER_FENCED] {
        let mut world = with_a_batch(2);
        world.answer_with(END, [code.0]);
        world.commit();
        let Err(CommitError::Aborted(cause)) = world.committed() else { panic!("{:?}", world.committed()) };
        assert_eq!(cause.broker_error().unwrap().code, code);
        assert_eq!(world.ends(), [true, false]);
        world.events.clear();
        world.begin();
    }
}

#[test]
fn with_level_2_a_fenced_producer_learns_it_from_the_answer_to_its_abort() {
    let mut world = with_a_batch(2);
    world.answer_with(END, [ErrorCode::PRODUCER_FENCED.0, ErrorCode::PRODUCER_FENCED.0]);
    world.commit();
    assert!(matches!(world.committed(), Err(CommitError::Fenced(_))));
    assert_eq!(world.ends(), [true, false]);
}

#[test]
fn with_level_2_a_batch_with_a_stale_epoch_leaves_the_decision_to_end_txn() {
    for (end, is_fenced) in [(0, false), (ErrorCode::PRODUCER_FENCED.0, true)] {
        let mut world = with_a_batch(2);
        world.responses.push_back(Some(ErrorCode::INVALID_PRODUCER_EPOCH.0));
        world.send(&["b"], 0);
        world.answer_with(END, [end]);
        world.commit();
        assert_eq!(matches!(world.committed(), Err(CommitError::Fenced(_))), is_fenced, "{:?}", world.committed());
        assert_eq!(world.ends(), [false]);
        assert_eq!(world.state(), if is_fenced { TransactionState::Fenced } else { TransactionState::Ready });
    }
}

/// While the markers of the last transaction are due, Kafka 4.4 refuses to abort one that it does not know of in this way, too.
#[test]
fn with_level_2_the_next_epoch_tells_whether_a_producer_is_fenced_that_has_added_nothing() {
    for (init, is_fenced) in [(0, false), (ErrorCode::PRODUCER_FENCED.0, true)] {
        let mut world = world(2);
        world.begin();
        world.responses.push_back(Some(ErrorCode::INVALID_PRODUCER_EPOCH.0));
        world.send(&["a"], 0);
        world.answer_with(END, [ErrorCode::PRODUCER_FENCED.0]);
        world.answer_with(INIT, [init]);
        world.commit();
        world.wait_ms(1_000);
        assert!(matches!(world.committed(), Err(CommitError::Aborted(_))), "{:?}", world.committed());
        assert_eq!((world.ends(), *world.sent().last().unwrap()), (vec![false], INIT));
        assert_eq!(world.state(), if is_fenced { TransactionState::Fenced } else { TransactionState::Ready });
    }
}

#[test]
fn where_epochs_cannot_be_bumped_a_producer_ends_with_a_request_that_was_not_answered() {
    let mut world = uninitialized(0);
    world.fake().init = 1;
    world.producer.init_transactions(world.now).unwrap();
    world.run();
    world.events.clear();
    world.begin();
    world.send(&["a"], 0);
    world.run();
    world.answer_with(END, [None]);
    world.commit();
    world.wait_ms(60_000);
    assert!(world.committed().is_ok());
    assert_eq!(world.state(), TransactionState::Fatal, "a late EndTxn would commit half of the next transaction");
}

#[test]
fn a_leader_that_names_a_fence_ends_the_producer() {
    let mut world = world(2);
    world.begin();
    world.responses.push_back(Some(ErrorCode::PRODUCER_FENCED.0));
    world.send(&["a"], 0);
    world.commit();
    assert!(matches!(world.committed(), Err(CommitError::Fenced(TransactionCause::Batch { .. }))));
    assert!(world.ends().is_empty());
}

#[test]
fn an_unexpected_error_of_a_commit_is_no_success() {
    for (code, is_unknown) in [(-1, true), (9_999, true), (30, true), (49, false), (53, false)] {
        let mut world = with_a_batch(2);
        world.answer_with(END, [code]);
        world.commit();
        match world.committed() {
            Err(CommitError::Unknown(_)) => assert!(is_unknown, "{code}"),
            Err(CommitError::Fatal(_)) => assert!(!is_unknown, "{code}"),
            other => panic!("{other:?}"),
        }
        assert_eq!((world.ends(), world.state()), (vec![true], TransactionState::Fatal));
    }
}

/// As with Java's client. The next transaction has another epoch, as after each failure.
#[test]
fn a_commit_whose_producer_id_is_unknown_is_aborted_and_the_producer_goes_on() {
    for level in [0, 2] {
        let mut world = with_a_batch(level);
        world.answer_with(END, [ErrorCode::UNKNOWN_PRODUCER_ID.0]);
        world.commit();
        world.wait_ms(1_000);
        let Err(CommitError::Aborted(cause)) = world.committed() else { panic!("{:?}", world.committed()) };
        assert_eq!(cause.broker_error().unwrap().code, ErrorCode::UNKNOWN_PRODUCER_ID);
        assert_eq!(world.ends(), [true, false]);
        assert_eq!(world.sent().contains(&INIT), level == 0);
        world.events.clear();
        world.begin();
        // It says nothing of a former attempt.
        world.send(&["b"], 0);
        world.run();
        world.forget();
        world.answer_with(END, [None, Some(ErrorCode::UNKNOWN_PRODUCER_ID.0)]);
        world.commit();
        world.wait_ms(60_000);
        assert!(matches!(world.committed(), Err(CommitError::Unknown(_))), "{:?}", world.committed());
        assert_eq!((world.ends(), world.state()), (vec![true; 2], TransactionState::Fatal));
    }
}

/// With Java's client, the first one is fatal, too, and the second one is not possible.
#[test]
fn codes_that_end_txn_does_not_have_end_the_producer() {
    for (code, is_commit) in [(ErrorCode::GROUP_AUTHORIZATION_FAILED, true), (ErrorCode::UNKNOWN_PRODUCER_ID, false)] {
        let mut world = with_a_batch(2);
        world.answer_with(END, [code.0]);
        if is_commit {
            world.commit();
        } else {
            world.abort();
        }
        assert_eq!((world.ends(), world.state()), (vec![is_commit], TransactionState::Fatal), "{code}");
    }
}

#[test]
fn a_coordinator_that_has_moved_is_looked_for() {
    let mut world = with_a_batch(2);
    world.fake().broker = 2;
    world.answer_with(END, [ErrorCode::NOT_COORDINATOR.0]);
    world.commit();
    world.wait_ms(1_000);
    assert!(world.committed().is_ok());
    assert_eq!(world.sent(), [END, FIND, END]);
    let ends: Vec<ConnectionId> =
        world.requests.iter().filter(|request| request.api == END).map(|request| request.connection).collect();
    assert_ne!(ends[0], ends[1]);
}

#[test]
fn a_coordinator_that_cannot_be_reached_is_looked_for() {
    let mut world = with_a_batch(2);
    let connection = world.connects.iter().rev().find(|(_, port)| *port == 9001).unwrap().0;
    world.fake().broker = 2;
    world.disconnect(connection);
    world.commit();
    world.wait_ms(3_000);
    assert!(world.committed().is_ok());
    assert_eq!(world.sent(), [FIND, END]);
}

#[test]
fn markers_that_take_minutes_are_no_failure() {
    let mut world = with_a_batch(0);
    world.answer_with(END, [ErrorCode::CONCURRENT_TRANSACTIONS.0; 100]);
    world.commit();
    world.wait_ms(60_000);
    assert!(world.transaction_events().is_empty());
    world.wait_ms(60_000);
    assert!(world.committed().is_ok());
}

#[test]
fn an_abort_fails_what_was_not_sent_and_nothing_of_it_is_sent_later() {
    let mut world = with_a_batch(0);
    world.leader = -1;
    world.producer.lookup_topic("t", world.now);
    world.wait_ms(1_000);
    world.forget();
    let id = world.send(&["b"], 0);
    world.run();
    world.abort();
    assert_eq!((world.fates(), world.ends()), (vec![(id.0, NOT_WRITTEN)], vec![false]));
    assert!(matches!(world.error().reason, FailureReason::TransactionAborted));
    world.events.clear();
    world.leader = 1;
    world.begin();
    world.wait_ms(1_000);
    assert!(!world.sent().contains(&PRODUCE));
}

#[test]
fn an_abort_waits_for_what_is_in_flight() {
    let mut world = with_a_batch(0);
    let request = world.pipeline(&["b"]).remove(0);
    world.abort();
    assert!(world.transaction_events().is_empty() && world.ends().is_empty());
    world.reply(&request, ErrorCode::NONE);
    assert_eq!((world.transaction_events(), world.ends()), (vec!["Aborted(Ok(()))".into()], vec![false]));
}

#[test]
fn below_level_2_an_abort_of_what_was_perhaps_added_succeeds_if_nothing_was() {
    let mut world = world(0);
    world.begin();
    world.answer_with(ADD, [None]);
    world.send(&["a"], 0);
    world.run();
    world.abort();
    world.answer_with(END, [ErrorCode::INVALID_TXN_STATE.0]);
    world.wait_ms(40_000);
    assert_eq!(world.transaction_events(), ["Aborted(Ok(()))"]);
    world.wait_ms(1_000);
    assert_eq!(world.state(), TransactionState::Ready);
    assert_eq!(*world.sent().last().unwrap(), INIT);
}

#[test]
fn an_abort_without_permission_is_fatal() {
    let mut world = with_a_batch(2);
    world.answer_with(END, [ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED.0]);
    world.abort();
    let [Event::Transaction(TransactionEvent::Aborted(Err(error)))] = &world.events[..] else { panic!() };
    assert!(matches!(error, AbortError::Fatal(TransactionCause::Broker(_))), "{error}");
}

#[test]
fn a_batch_that_is_answered_after_another_has_failed_is_not_waited_for() {
    for level in [0, 2] {
        let mut world = with_a_batch(level);
        world.responses.push_back(None);
        for value in ["b", "c"] {
            world.send(&[value], 0);
            world.run();
        }
        world.silent_connections.clear();
        let sent: Vec<Request> = world.requests.iter().filter(|request| request.api == PRODUCE).cloned().collect();
        world.commit();
        world.reply(&sent[0], ErrorCode::INVALID_RECORD);
        assert!(world.transaction_events().is_empty(), "a batch is in flight");
        world.reply(&sent[1], ErrorCode::NOT_ENOUGH_REPLICAS); // to be sent again, if the transaction could be committed
        assert!(matches!(world.committed(), Err(CommitError::Aborted(_))));
        assert_eq!(world.ends(), [false]);
    }
}

#[test]
fn what_the_coordinator_may_have_added_nevertheless_is_aborted_there() {
    for code in [7, 15, 16] {
        let mut world = world(0);
        world.begin();
        world.answer_with(ADD, [code]);
        world.send(&["a"], 0);
        world.run();
        world.answer_with(END, [ErrorCode::INVALID_TXN_STATE.0]); // it has not
        world.abort();
        world.wait_ms(1_000);
        assert_eq!((world.ends(), world.state()), (vec![false], TransactionState::Ready), "{code}");
        assert_eq!(*world.transaction_events().last().unwrap(), "Aborted(Ok(()))", "{code}");
    }
}

#[test]
fn a_fenced_producer_sends_nothing_again() {
    for answer in [Some(ErrorCode::NOT_ENOUGH_REPLICAS), None] {
        let mut world = with_a_batch(0);
        world.responses.push_back(None);
        for value in ["b", "c"] {
            world.send(&[value], 0);
            world.run();
        }
        world.silent_connections.clear();
        let sent: Vec<Request> = world.requests.iter().filter(|request| request.api == PRODUCE).cloned().collect();
        world.reply(&sent[0], ErrorCode::PRODUCER_FENCED);
        assert_eq!((world.state(), world.fates().len()), (TransactionState::Fenced, 1), "one batch is in flight still");
        world.forget();
        match answer {
            Some(code) => world.reply(&sent[1], code),
            None => world.disconnect(sent[1].connection),
        }
        world.wait_ms(10_000);
        assert_eq!((world.sent(), world.fates().len()), (vec![], 1), "{answer:?}");
    }
}
