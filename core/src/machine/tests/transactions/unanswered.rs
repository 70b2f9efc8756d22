//! Batches that were sent without a response, when their transaction is aborted: the request may still arrive.

use super::*;

/// A world whose transaction has a batch that was delivered, and one that was sent on a connection that has ended.
fn with_an_unanswered_batch(level: i16) -> World {
    let mut world = world(level);
    world.begin();
    world.send(&["a"], 0);
    world.run();
    world.forget();
    let request = world.pipeline(&["b"]).remove(0);
    world.disconnect(request.connection);
    world
}

/// Returns the sequence number of each batch sent since the last call of `forget`.
fn sequences(world: &World) -> Vec<i32> {
    world.stamps().into_iter().map(|(_, _, sequence)| sequence).collect()
}

#[test]
fn below_level_2_an_abort_waits_until_a_batch_without_response_was_answered() {
    for level in [0, 1] {
        let mut world = with_an_unanswered_batch(level);
        world.abort();
        assert!(world.transaction_events().is_empty() && world.ends().is_empty(), "it may still arrive");
        world.wait_ms(1_000);
        assert_eq!(world.transaction_events(), ["Aborted(Ok(()))"]);
        assert_eq!(world.fates(), [(1, DONE)]);
        assert_eq!(sequences(&world), [1, 1], "with the same sequence number");
        let sent: Vec<i16> = world.sent().into_iter().filter(|api| *api != FIND).collect();
        assert_eq!(sent, [PRODUCE, PRODUCE, END, INIT]);
        assert_eq!(world.ends(), [false]);
        world.events.clear();
        world.begin();
    }
}

#[test]
fn below_level_2_a_transaction_that_can_only_be_aborted_waits_for_them_and_for_nothing_else() {
    let mut world = world(0);
    world.other_leader = Some((1, -1));
    world.begin();
    world.send(&["a"], 0);
    world.run();
    world.forget();
    let never_sent = world.send(&["b"], 1);
    world.run();
    let unanswered = world.pipeline(&["c"]).remove(0);
    world.disconnect(unanswered.connection);
    world.producer.fail_transaction(&to(2), &FailureReason::Closed, world.now);
    world.run();
    assert_eq!(world.fates(), [(never_sent.0, NOT_WRITTEN)]);
    world.commit();
    assert!(world.transaction_events().is_empty() && world.ends().is_empty(), "it may still arrive");
    world.wait_ms(1_000);
    assert!(matches!(world.committed(), Err(CommitError::Aborted(TransactionCause::Batch { .. }))));
    assert_eq!((world.fates().len(), world.fates()[1]), (2, (2, DONE)));
    assert_eq!((sequences(&world), world.ends()), (vec![1, 1], vec![false]));
}

#[test]
fn with_level_2_an_abort_does_not_wait_because_a_late_batch_has_a_stale_epoch() {
    let mut world = with_an_unanswered_batch(2);
    world.abort();
    assert_eq!(world.fates(), [(1, UNKNOWN)]);
    world.wait_ms(1_000);
    assert_eq!(world.transaction_events(), ["Aborted(Ok(()))"]);
    assert_eq!((sequences(&world), world.ends()), (vec![1], vec![false]));
}

#[test]
fn below_level_2_a_batch_that_is_never_answered_is_waited_for_until_it_expires() {
    for can_bump in [true, false] {
        let mut world = uninitialized(0);
        world.fake().init = if can_bump { 3 } else { 1 };
        world.producer.init_transactions(world.now).unwrap();
        world.run();
        world.events.clear();
        world.begin();
        world.responses.extend([None; 20]);
        world.send(&["a"], 0);
        world.wait_ms(31_000);
        world.abort();
        world.wait_ms(60_000);
        assert!(world.transaction_events().is_empty() && world.ends().is_empty());
        world.wait_ms(60_000);
        assert_eq!((world.fates(), world.ends()), (vec![(0, UNKNOWN)], vec![false]));
        assert_eq!(world.transaction_events(), ["Aborted(Ok(()))"]);
        let expected = if can_bump { TransactionState::Ready } else { TransactionState::Fatal };
        assert_eq!((world.state(), world.sent().last() == Some(&INIT)), (expected, can_bump));
    }
}

#[test]
fn below_level_2_a_batch_that_is_not_answered_while_it_is_waited_for_is_sent_again() {
    let mut world = with_an_unanswered_batch(0);
    world.responses.push_back(None);
    world.abort();
    world.wait_ms(20_000);
    assert!(world.transaction_events().is_empty() && world.ends().is_empty());
    world.wait_ms(20_000);
    assert_eq!((world.fates(), world.ends()), (vec![(1, DONE)], vec![false]));
    assert_eq!(sequences(&world), [1, 1, 1]);
}

#[test]
fn a_fence_fails_a_batch_without_response_at_once() {
    let mut world = with_an_unanswered_batch(0);
    world.responses.push_back(Some(ErrorCode::PRODUCER_FENCED.0));
    world.send(&["c"], 1);
    world.answer_with(ADD, [ErrorCode::PRODUCER_FENCED.0]);
    world.run();
    world.wait_ms(100);
    assert_eq!(world.state(), TransactionState::Fenced);
    assert_eq!(world.fates(), [(1, UNKNOWN), (2, NOT_WRITTEN)]);
}
