//! Tests of starting again from the bootstrap servers (KIP-899, KIP-1102).

use super::*;

/// Returns the ports that were connected to since this number of attempts.
fn ports(world: &World, since: usize) -> Vec<u16> {
    world.connects[since..].iter().map(|(_, port)| *port).collect()
}

/// Has the brokers accept no connection any more, and sends a batch.
fn lose_all(world: &mut World) -> usize {
    world.send(&["x"], 0);
    world.run();
    assert_eq!(ports(world, 0), [9092, 9001], "the bootstrap server, and the leader");
    for (connection, _) in world.connects.clone() {
        world.disconnect(connection);
    }
    world.ignores_connects = true;
    let before = world.connects.len();
    world.send(&["y"], 0);
    before
}

#[test]
fn bootstrap_servers_are_used_again_unless_the_strategy_is_none() {
    for (strategy, is_used) in [(MetadataRecoveryStrategy::Rebootstrap, true), (MetadataRecoveryStrategy::None, false)]
    {
        let mut world = World::new(|config| {
            config.metadata_recovery_strategy = strategy;
            config.delivery_timeout = Duration::MAX;
        });
        let before = lose_all(&mut world);
        world.pass(at(1_000_000));
        let ports = ports(&world, before);
        assert!(ports.contains(&9001) && ports.contains(&9002), "{ports:?}");
        assert_eq!(ports.contains(&9092), is_used, "{strategy:?}: {ports:?}");
    }
}

/// Returns when the machine has started again, in milliseconds.
fn rebootstrapped(world: &World) -> usize {
    let is_one = |event: &&Event| matches!(event, Event::ConnectionError(error) if matches!(error.kind, ConnectionErrorKind::Rebootstrap { .. }));
    world.events.iter().filter(is_one).count()
}

/// Has both brokers connected, and no response to Metadata from then on.
fn without_metadata(trigger: Duration, strategy: MetadataRecoveryStrategy) -> World {
    let mut world = World::new(|config| {
        config.metadata_recovery_rebootstrap_trigger = trigger;
        config.metadata_recovery_strategy = strategy;
        config.metadata_max_age = Duration::from_secs(10);
        config.delivery_timeout = Duration::MAX;
        config.connections_max_idle = Duration::MAX;
    });
    world.send(&["x"], 0);
    world.run();
    world
}

#[test]
fn without_metadata_for_the_time_of_the_trigger_all_connections_are_closed() {
    let trigger = Duration::from_secs(60);
    let mut world = without_metadata(trigger, MetadataRecoveryStrategy::Rebootstrap);
    let before = world.connects.len();
    // The brokers answer, but not with metadata.
    world.lists_no_brokers = true;
    world.pass(at(10_000));
    for second in 10..70 {
        world.producer.lookup_topic("other", world.now);
        world.send(&["y"], 0);
        world.pass(at(second * 1_000 + 999));
    }
    assert_eq!((rebootstrapped(&world), world.closed.len()), (0, 0), "metadata is needed for 59.999 s");
    assert_eq!(world.fates().len(), 61, "batches are delivered meanwhile");
    world.lists_no_brokers = false;
    world.pass(at(70_500));
    world.send(&["z"], 0);
    world.pass(at(71_000));
    assert!(rebootstrapped(&world) > 0 && world.closed.len() >= 2, "{:?}", world.closed);
    assert_eq!(ports(&world, before)[0], 9092, "and the bootstrap server is connected to");
    assert!(world.fates().iter().all(|(_, outcome)| *outcome == DONE), "{:?}", world.fates());
}

#[test]
fn the_trigger_can_be_off() {
    for (trigger, strategy) in [
        (Duration::MAX, MetadataRecoveryStrategy::Rebootstrap),
        (Duration::from_secs(1), MetadataRecoveryStrategy::None),
    ] {
        let mut world = without_metadata(trigger, strategy);
        world.lists_no_brokers = true;
        for second in 1..=600 {
            world.pass(at(second * 1_000));
            world.producer.lookup_topic("other", world.now);
        }
        assert_eq!((rebootstrapped(&world), world.closed.len()), (0, 0), "{strategy:?}");
    }
}

#[test]
fn metadata_in_time_stops_the_trigger() {
    let trigger = Duration::from_secs(60);
    let mut world = without_metadata(trigger, MetadataRecoveryStrategy::Rebootstrap);
    world.lists_no_brokers = true;
    for second in 1..=300 {
        // For 50 of 55 seconds there is no metadata.
        world.lists_no_brokers = second % 55 != 0;
        world.pass(at(second * 1_000));
        world.producer.lookup_topic("other", world.now);
    }
    assert_eq!(rebootstrapped(&world), 0);
}

#[test]
fn a_trigger_of_0_ends_no_poll_in_a_loop() {
    let mut world = without_metadata(Duration::ZERO, MetadataRecoveryStrategy::Rebootstrap);
    world.pass(at(30_000));
    assert_eq!(world.fates(), [(0, DONE)]);
}
