//! Brokers that are silent, hang up, throttle or talk nonsense.

use super::*;

#[test]
fn what_broke_by_itself_before_the_drain_is_not_closed() {
    let mut world = World::new(|_| {});
    world.answers.push_back(None);
    world.send(&["x"], 0);
    world.run();
    let connection = world.connects[1].0;
    world.producer.handle_input(Input::Received(connection, b"HTTP/1.1 400 Bad Request"), world.now);
    world.lost(connection);
    world.pass(at(3_000));
    assert_eq!(world.closed, []);
    assert_eq!(world.fates(), [(0, DONE)]);
}

#[test]
fn a_broker_that_hangs_up_on_the_question_is_spoken_to_as_configured() {
    let mut world = World::new(|config| config.broker_version_fallback = Some("0.9".parse().unwrap()));
    world.send(&["x"], 0);
    let mut versions = Vec::new();
    for _ in 0..100 {
        match world.producer.poll_output(world.now) {
            Output::Connect { connection, .. } => world.producer.handle_input(Input::Connected(connection), world.now),
            Output::Transmit { connection, bytes } => {
                let asked = Asked::parse(connection, &bytes);
                versions.push((asked.api, asked.version));
                if asked.api == 18 {
                    world.producer.handle_input(Input::Closed(connection, Disconnect::ByPeer), world.now);
                }
            }
            Output::Wait(Some(next)) if next < at(1_000) => world.now = next,
            Output::Wait(_) => break,
            _ => {}
        }
    }
    assert_eq!(versions, [(18, 3), (3, 0)]);
}

/// As brokers of 0.9.0 do: they take no notice of a question that they do not know.
#[test]
fn a_broker_that_keeps_silent_at_the_question_is_spoken_to_as_configured() {
    for (fallback, until) in [(Some("0.9".parse().unwrap()), 10_000), (None, 30_000)] {
        let mut world = World::new(|config| config.broker_version_fallback = fallback);
        world.send(&["x"], 0);
        let (mut asked_at, mut asked) = (None, Vec::new());
        for _ in 0..100 {
            match world.producer.poll_output(world.now) {
                Output::Connect { connection, .. } => {
                    world.producer.handle_input(Input::Connected(connection), world.now);
                }
                Output::Transmit { connection, bytes } => {
                    let Asked { api, version, .. } = Asked::parse(connection, &bytes);
                    asked.push((api, version));
                    asked_at.get_or_insert(world.now);
                }
                Output::Event(Event::Trouble { trouble, .. }) => {
                    assert_eq!((trouble, world.now), (Trouble::RequestTimeout, at(until)));
                }
                Output::Wait(Some(next)) if next < at(until + 1_000) => world.now = next,
                Output::Wait(_) => break,
                _ => {}
            }
        }
        assert_eq!(asked_at, Some(at(0)));
        assert_eq!(asked, [(18, 3), if fallback.is_some() { (3, 0) } else { (18, 3) }]);
    }
}

#[test]
fn nobody_there_is_tried_again_with_backoff() {
    let mut world = World::new(|config| config.delivery_timeout = Duration::from_secs(60));
    world.deaf = true;
    world.send(&["x"], 0);
    world.pass(at(61_000));
    assert_eq!(world.fates(), [(0, NOT_WRITTEN)]);
    assert_eq!(world.connects.len(), 6, "one each 10 s and a little");
}

#[test]
fn throttling_is_obeyed_where_the_broker_leaves_it_to_the_client() {
    let mut world = World::new(|_| {});
    world.produce = 6;
    world.throttle = 500;
    world.send(&["x"], 0);
    world.run();
    world.throttle = 0;
    world.send(&["y"], 0);
    world.pass(at(499));
    assert_eq!(world.fates().len(), 1);
    world.pass(at(500));
    assert_eq!(world.fates().len(), 2);
}

/// A simulated answer of garbage was read as a throttling for days (seed 100,199,716).
#[test]
fn a_throttling_that_no_broker_would_ask_for_is_not_believed() {
    let mut world = World::new(|_| {});
    world.produce = 6;
    world.throttle = i32::MAX;
    world.send(&["x"], 0);
    world.run();
    world.throttle = 0;
    world.send(&["y"], 0);
    world.pass(at(59_999));
    assert_eq!(world.fates().len(), 1);
    world.pass(at(60_000));
    assert_eq!(world.fates().len(), 2);
}

#[test]
fn idle_connections_are_closed_and_then_there_is_nothing_to_wait_for() {
    let mut world = World::new(|_| {});
    world.send(&["x"], 0);
    world.pass(at(600_000));
    assert_eq!(world.closed.len(), 2);
    assert_eq!(world.wait, None);
    world.send(&["y"], 0);
    world.run();
    assert_eq!(world.fates().len(), 2);
}

#[test]
fn garbage_costs_the_connection_and_nothing_else() {
    let mut world = World::new(|_| {});
    world.answers.push_back(None);
    world.send(&["x"], 0);
    world.run();
    let connection = world.connects[1].0;
    world.producer.handle_input(Input::Received(connection, b"HTTP/1.1 400 Bad Request"), world.now);
    world.pass(at(3_000));
    assert_eq!(world.closed, [connection]);
    assert_eq!(world.fates(), [(0, DONE)]);
}

/// The whole conversation as text, with the received bytes cut into pieces of this size.
fn conversation(piece: usize, seed: u64) -> String {
    let mut world = World::new(|_| {});
    let clock = Clock { now: Instant::START, wall: Timestamp::from_millis(0) };
    world.producer = Producer::new(ProducerConfig::new([("boot", 9092), ("other", 9093)]), clock, seed);
    world.answers.extend([Some(6), None, Some(7), Some(0)]);
    let mut told = String::new();
    for step in 0..60_u64 {
        if step < 5 {
            world.send(&["x", "y"], (step % 2) as i32);
        }
        loop {
            let output = world.producer.poll_output(world.now);
            told += &match &output {
                Output::Event(Event::Delivered { batch, delivery }) => {
                    alloc::format!("{:?} {batch} Delivered at {:?}\n", world.now, delivery.base_offset())
                }
                output => alloc::format!("{:?} {output:?}\n", world.now),
            };
            match output {
                Output::Connect { connection, .. } => {
                    world.producer.handle_input(Input::Connected(connection), world.now);
                }
                Output::Transmit { connection, bytes } => {
                    let asked = Asked::parse(connection, &bytes);
                    let answer = world.answer(&asked).unwrap_or_default();
                    for piece in answer.chunks(piece) {
                        world.producer.handle_input(Input::Received(connection, piece), world.now);
                    }
                }
                Output::Wait(next) => {
                    world.now = next.unwrap_or(world.now).min(world.now + Duration::from_secs(1));
                    break;
                }
                _ => {}
            }
        }
    }
    told
}

#[test]
fn bytes_may_be_cut_anywhere_and_the_same_seed_gives_the_same_conversation() {
    let whole = conversation(usize::MAX, 1);
    assert!(whole.contains("Delivered"));
    for piece in [1, 2, 3, 7, 50] {
        assert!(conversation(piece, 1) == whole, "in pieces of {piece}");
    }
    assert!(conversation(1, 2) != whole);
}
