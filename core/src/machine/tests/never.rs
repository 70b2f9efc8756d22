//! Tests of time limits that never expire: [`Duration::MAX`].

use super::*;

#[test]
fn without_a_delivery_timeout_a_batch_is_retried_until_it_is_accepted() {
    let mut world = World::new(|config| config.delivery_timeout = Duration::MAX);
    world.responses.extend([Some(ErrorCode::NOT_LEADER_OR_FOLLOWER.0); 1_000]);
    world.send(&["x"], 0);
    world.pass(at(200_000));
    assert!(world.responses.len() < 900 && !world.responses.is_empty(), "{} left", world.responses.len());
    assert!(world.fates().is_empty(), "after more than the default timeout: {:?}", world.events);
    world.responses.clear();
    world.pass(at(300_000));
    assert_eq!(world.fates(), [(0, Ok(Some(100)))]);
}

#[test]
fn a_connection_without_an_idle_limit_is_not_closed() {
    let year = Duration::from_secs(366 * 24 * 3_600).as_millis() as u64;
    let mut world = World::new(|config| {
        config.connections_max_idle = Duration::MAX;
        config.metadata_max_age = Duration::MAX;
    });
    world.send(&["x"], 0);
    world.pass(at(year));
    world.send(&["y"], 0);
    world.pass(at(2 * year));
    assert_eq!(world.fates().len(), 2);
    assert!(world.closed.is_empty() && world.connects.len() == 2, "{:?}", world.connects);
}
