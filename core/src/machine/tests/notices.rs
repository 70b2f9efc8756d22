//! Tests of what the machine reports of its own work.

use super::*;
use crate::machine::{Change, Notice, ProducerIdAndEpoch};

fn world(notices: bool) -> World {
    World::new(|config| config.notices = notices)
}

fn notices(world: &World) -> Vec<&Notice> {
    fn notice(event: &Event) -> Option<&Notice> {
        if let Event::Notice(notice) = event { Some(notice) } else { None }
    }
    world.events.iter().filter_map(notice).collect()
}

/// Returns the broker and the number of each attempt.
fn attempts(world: &World) -> Vec<(u64, i32, u32)> {
    let sent = |notice: &Notice| match notice {
        Notice::Sent { id, broker, attempt, .. } => Some((id.0, *broker, *attempt)),
        _ => None,
    };
    notices(world).into_iter().filter_map(sent).collect()
}

/// Returns the broker, the number of failures, and the error of each retry.
fn retries(world: &World) -> Vec<(u64, i32, u32, Option<ErrorCode>)> {
    let retry = |notice: &Notice| match notice {
        Notice::Retry { id, retry } => Some((id.0, retry.broker, retry.failures, retry.error)),
        _ => None,
    };
    notices(world).into_iter().filter_map(retry).collect()
}

fn changes(world: &World) -> Vec<String> {
    let change = |notice: &Notice| if let Notice::Change(change) = notice { Some(change.to_string()) } else { None };
    notices(world).into_iter().filter_map(change).collect()
}

/// A leader that moves while a batch is in flight.
fn leader_moves(world: &mut World) {
    world.responses.push_back(Some(ErrorCode::NOT_LEADER_OR_FOLLOWER.0));
    world.send(&["x"], 0);
    world.run();
    world.leader = 2;
    world.pass(at(2_000));
}

#[test]
fn attempts_retries_and_the_new_leader_are_reported_in_order() {
    let mut world = world(true);
    leader_moves(&mut world);
    let shown: Vec<String> = notices(&world)
        .iter()
        .map(|notice| match notice {
            Notice::Sent { id, broker, attempt, .. } => alloc::format!("{id}: attempt {attempt} at {broker}"),
            Notice::Retry { id, retry } => alloc::format!("{id}: {retry}"),
            Notice::Change(change) => change.to_string(),
        })
        .collect();
    let [id, first, retry, leader, second] = &shown[..] else { panic!("{shown:#?}") };
    assert_eq!(id, "the producer has producer id 7, epoch 0");
    assert_eq!(first, "batch 0: attempt 1 at 1");
    let expected = "batch 0: attempt 1 at broker 1 has failed (NOT_LEADER_OR_FOLLOWER (6)): sent again after ";
    assert!(retry.starts_with(expected), "{retry}");
    assert_eq!(leader, "the leader of t-0 is broker 2 instead of 1");
    assert_eq!(second, "batch 0: attempt 2 at 2");
    let Some(Event::Notice(Notice::Sent { connection, .. })) = world.events.iter().rev().nth(1) else {
        panic!("{:?}", world.events)
    };
    assert_eq!(*connection, world.requests.last().unwrap().connection);
}

#[test]
fn nothing_is_reported_unless_it_is_wanted_and_the_requests_are_the_same() {
    let [mut with, mut without] = [true, false].map(world);
    for world in [&mut with, &mut without] {
        world.throttle = 300;
        leader_moves(world);
        world.disconnect(world.requests.last().unwrap().connection);
        world.send(&["y"], 1);
        world.pass(at(4_000));
    }
    assert!(notices(&without).is_empty() && !notices(&with).is_empty());
    assert_eq!(with.requests, without.requests);
    with.events.retain(|event| !matches!(event, Event::Notice(_)));
    assert_eq!(with.events.len(), without.events.len());
}

#[test]
fn an_attempt_without_a_response_is_reported() {
    let mut world = world(true);
    world.responses.push_back(None);
    world.send(&["x"], 0);
    world.run();
    assert_eq!(attempts(&world), [(0, 1, 1)]);
    world.disconnect(world.requests.last().unwrap().connection);
    world.pass(at(3_000));
    assert_eq!(retries(&world), [(0, 1, 1, None)]);
    assert_eq!(attempts(&world), [(0, 1, 1), (0, 1, 2)]);
}

#[test]
fn a_batch_that_fails_for_good_is_no_retry() {
    let mut world = world(true);
    world.responses.push_back(Some(ErrorCode::INVALID_RECORD.0));
    world.send(&["x"], 0);
    world.run();
    assert_eq!((attempts(&world), retries(&world)), (vec![(0, 1, 1)], vec![]));
    assert_eq!(world.fates(), [(0, NOT_WRITTEN)]);
}

#[test]
fn throttling_is_reported_with_the_broker_and_the_time() {
    let mut world = World::new(|config| config.notices = true);
    world.throttle = 250;
    world.produce = 6;
    world.send(&["x"], 0);
    world.run();
    let throttled: Vec<String> = changes(&world).into_iter().filter(|change| change.starts_with("throttled")).collect();
    assert_eq!(throttled, ["throttled by broker 1 at broker:9001 for 250 ms"]);
}

#[test]
fn each_identity_is_reported_once() {
    let mut world = World::new(|config| {
        config.notices = true;
        config.delivery_timeout = Duration::from_secs(10);
        config.request_timeout = Duration::from_secs(6);
    });
    world.responses.extend([None, None]);
    world.send(&["x"], 0);
    world.pass(at(9_000));
    world.send(&["y"], 0);
    world.pass(at(15_000));
    let identities: Vec<_> = notices(&world)
        .into_iter()
        .filter_map(|notice| match notice {
            Notice::Change(Change::ProducerId { previous, current }) => Some((*previous, *current)),
            _ => None,
        })
        .collect();
    let [first, second] = [0, 1].map(|epoch| ProducerIdAndEpoch { producer_id: 7, epoch });
    assert_eq!(identities, [(None, first), (Some(first), second)]);
}

/// An identity that is refused is replaced, and the batch is sent again without a back-off.
#[test]
fn the_retry_of_a_refused_identity_has_its_own_backoff() {
    let mut world = world(true);
    world.send(&["x"], 0);
    world.run();
    world.responses.push_back(Some(ErrorCode::UNKNOWN_PRODUCER_ID.0));
    world.responses.push_back(Some(ErrorCode::INVALID_PRODUCER_EPOCH.0));
    world.send(&["y"], 0);
    world.pass(at(2_000));
    let backoffs: Vec<bool> = notices(&world)
        .into_iter()
        .filter_map(|notice| match notice {
            Notice::Retry { retry, .. } => Some(retry.backoff.is_zero()),
            _ => None,
        })
        .collect();
    assert_eq!(backoffs, [false, true], "{:#?}", notices(&world));
}
