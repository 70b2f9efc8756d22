//! Mistakes of drivers, each made on purpose. A driver without any is never accused.

use super::*;
use crate::machine::Misuse;

fn misuses(world: &mut World) -> Vec<Misuse> {
    core::iter::from_fn(|| world.producer.take_misuse()).collect()
}

/// A machine that is connected and has delivered a batch.
fn delivered() -> World {
    let mut world = World::new(|_| {});
    world.send(&["x"], 0);
    world.run();
    assert_eq!(world.fates(), [(0, DONE)]);
    assert_eq!(misuses(&mut world), []);
    world
}

#[test]
fn a_driver_without_mistakes_is_not_accused() {
    let mut world = World::new(|config| config.delivery_timeout = Duration::from_secs(60));
    world.responses.extend([Some(6), None, Some(7), Some(0), None]);
    for step in 0..200 {
        world.send(&["x"], (step % 3) as i32);
        if step % 40 == 7 {
            if let Some(&(connection, _)) = world.connects.last() {
                if !world.closed.contains(&connection) {
                    world.disconnect(connection);
                }
            }
        }
        world.pass(at(step * 2_000));
    }
    world.producer.close(CloseMode::Graceful, world.now);
    world.pass(at(1_000_000));
    assert!(matches!(world.events.last(), Some(Event::Closed)));
    assert_eq!(misuses(&mut world), []);
}

#[test]
fn undrained_outputs() {
    let mut world = World::new(|_| {});
    world.send(&["x"], 0);
    let Output::Connect { connection, .. } = world.producer.poll_output(at(0)) else { panic!() };
    // It waits for the connection at once, and the connection takes a while.
    world.producer.handle_input(Input::Connected(connection), at(1_500));
    let Output::Transmit { .. } = world.producer.poll_output(at(1_500)) else { panic!() };
    let found = misuses(&mut world);
    assert_eq!(found, [Misuse::NotDrained { waited: Duration::from_millis(1_500) }]);
    assert_eq!(
        found[0].to_string(),
        "the outputs were not drained: poll_output was called again after 1500 ms, although it had not returned Wait; call it until \
         it does, before waiting for anything"
    );
    world.producer.poll_output(at(2_400));
    assert_eq!(misuses(&mut world), [], "less than a second may be the work of the driver");
}

#[test]
fn lost_wake_ups() {
    let mut world = delivered();
    world.pass(at(100));
    world.send(&["y"], 0);
    world.now = at(3_100); // nobody polls
    world.run();
    let found = misuses(&mut world);
    assert_eq!(found, [Misuse::NotPolled { waited: Duration::from_secs(3) }]);
    assert!(
        found[0].to_string().starts_with("a wake-up was lost: poll_output was called 3000 ms after"),
        "{}",
        found[0]
    );

    world.producer.flush(world.now);
    world.now = at(9_100);
    world.run();
    assert_eq!(misuses(&mut world), [Misuse::NotPolled { waited: Duration::from_secs(6) }]);
}

#[test]
fn missed_deadlines() {
    let mut world = World::new(|_| {});
    world.ignores_connects = true;
    world.send(&["x"], 0);
    world.run();
    let deadline = world.wait.unwrap();
    world.now = deadline + Duration::from_millis(999);
    world.run();
    assert_eq!(misuses(&mut world), [], "a thread may be scheduled late");
    let deadline = world.wait.unwrap();
    world.now = deadline + Duration::from_secs(5);
    world.run();
    let late = Duration::from_secs(5);
    let found = misuses(&mut world);
    assert_eq!(found, [Misuse::MissedDeadline { deadline, late }]);
    assert!(found[0].to_string().contains("and poll_output was called 5000 ms later"), "{}", found[0]);
}

#[test]
fn time_that_goes_back() {
    let mut world = delivered();
    world.pass(at(50));
    let _ = world.producer.poll_output(at(20));
    let found = misuses(&mut world);
    assert_eq!(found, [Misuse::TimeWentBack { by: Duration::from_millis(30) }]);
    assert!(found[0].to_string().starts_with("time went back by 30 ms"), "{}", found[0]);
}

#[test]
fn input_for_a_connection_that_was_never_asked_for() {
    let mut world = delivered();
    let connection = ConnectionId::from_u64(77);
    world.producer.handle_input(Input::Received(connection, b"x"), world.now);
    assert_eq!(misuses(&mut world), [Misuse::UnknownConnection { connection }]);
}

#[test]
fn input_for_a_connection_that_has_ended() {
    let mut world = World::new(|config| config.connections_max_idle = Duration::from_secs(1));
    world.send(&["x"], 0);
    world.run();
    let (connection, _) = world.connects[0];
    world.pass(at(5_000));
    assert!(world.closed.contains(&connection), "it was idle");
    assert_eq!(misuses(&mut world), []);
    // Bytes can be on their way from a thread that reads. The end and the beginning cannot: the driver has dropped it.
    world.producer.handle_input(Input::Received(connection, b"x"), world.now);
    world.producer.handle_input(Input::Transmitted(connection), world.now);
    assert_eq!(misuses(&mut world), []);
    world.producer.handle_input(Input::Closed(connection, Disconnect::ByPeer, None), world.now);
    world.producer.handle_input(Input::Connected(connection), world.now);
    let found = misuses(&mut world);
    assert_eq!(found, [Misuse::EndedConnection { connection }; 2]);
    assert!(found[0].to_string().starts_with("an input is for connection 0, which has ended"), "{}", found[0]);

    // After the driver itself has reported the end, it cannot have received anything.
    let mut world = delivered();
    let (connection, _) = world.connects[0];
    world.disconnect(connection);
    assert_eq!(misuses(&mut world), []);
    world.producer.handle_input(Input::Received(connection, b"x"), world.now);
    assert_eq!(misuses(&mut world), [Misuse::EndedConnection { connection }]);
}

/// Both ends can close a connection at the same moment.
#[test]
fn the_end_of_a_connection_may_be_reported_until_its_close_is_polled() {
    let mut world = delivered();
    let (connection, _) = world.connects[0];
    world.producer.handle_input(Input::Received(connection, &[0xff; 8]), world.now); // malformed: the machine closes it
    world.disconnect(connection);
    world.run();
    assert!(!world.closed.contains(&connection));
    assert_eq!(misuses(&mut world), []);
}

#[test]
fn input_before_and_after_its_time() {
    let mut world = World::new(|_| {});
    world.send(&["x"], 0);
    let Output::Connect { connection, .. } = world.producer.poll_output(world.now) else { panic!() };
    world.producer.handle_input(Input::Transmitted(connection), world.now);
    assert_eq!(misuses(&mut world), [Misuse::NotConnected { connection }]);
    world.producer.handle_input(Input::Connected(connection), world.now);
    world.producer.handle_input(Input::Connected(connection), world.now);
    assert_eq!(misuses(&mut world), [Misuse::ConnectedTwice { connection }]);
}

#[test]
fn no_more_than_sixteen_are_remembered() {
    let mut world = delivered();
    world.pass(at(50));
    for earlier in 0..30 {
        let _ = world.producer.poll_output(at(earlier));
    }
    assert_eq!(misuses(&mut world).len(), 16);
    let _ = world.producer.poll_output(at(40));
    assert_eq!(misuses(&mut world), [Misuse::TimeWentBack { by: Duration::from_millis(10) }]);
}
