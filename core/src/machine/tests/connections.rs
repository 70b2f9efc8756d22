//! Tests of brokers that do not respond, close connections, throttle, or send invalid data.

use super::*;

#[test]
fn a_connection_that_ended_before_the_poll_is_not_closed() {
    let mut world = World::new(|_| {});
    world.responses.push_back(None);
    world.send(&["x"], 0);
    world.run();
    let connection = world.connects[1].0;
    world.producer.handle_input(Input::Received(connection, b"HTTP/1.1 400 Bad Request"), world.now);
    world.disconnect(connection);
    world.pass(at(3_000));
    assert_eq!(world.closed, []);
    assert_eq!(world.fates(), [(0, DONE)]);
}

#[test]
fn the_fallback_version_is_used_after_a_broker_closed_the_connection_on_api_versions() {
    let mut world = World::new(|config| config.broker_version_fallback = Some("0.9".parse().unwrap()));
    world.send(&["x"], 0);
    let mut versions = Vec::new();
    for _ in 0..100 {
        match world.producer.poll_output(world.now) {
            Output::Connect { connection, .. } => world.producer.handle_input(Input::Connected(connection), world.now),
            Output::Transmit { connection, bytes } => {
                let request = Request::parse(connection, &bytes);
                versions.push((request.api, request.version));
                if request.api == 18 {
                    world.producer.handle_input(Input::Closed(connection, Disconnect::ByPeer, None), world.now);
                }
            }
            Output::Wait(Some(next)) if next < at(1_000) => world.now = next,
            Output::Wait(_) => break,
            _ => {}
        }
    }
    assert_eq!(versions, [(18, 3), (3, 0)]);
}

/// Brokers of Kafka 0.9.0 ignore requests that they do not know.
#[test]
fn the_fallback_version_is_used_after_a_broker_ignored_api_versions() {
    for (fallback, until) in [(Some("0.9".parse().unwrap()), 10_000), (None, 30_000)] {
        let mut world = World::new(|config| config.broker_version_fallback = fallback);
        world.send(&["x"], 0);
        let (mut first_sent, mut requests) = (None, Vec::new());
        for _ in 0..100 {
            match world.producer.poll_output(world.now) {
                Output::Connect { connection, .. } => {
                    world.producer.handle_input(Input::Connected(connection), world.now);
                }
                Output::Transmit { connection, bytes } => {
                    let Request { api, version, .. } = Request::parse(connection, &bytes);
                    requests.push((api, version));
                    first_sent.get_or_insert(world.now);
                }
                Output::Event(Event::ConnectionError(found)) => {
                    let limit = Duration::from_millis(until);
                    assert_eq!((found.kind, world.now), (ConnectionErrorKind::RequestTimeout { limit }, at(until)));
                }
                Output::Wait(Some(next)) if next < at(until + 1_000) => world.now = next,
                Output::Wait(_) => break,
                _ => {}
            }
        }
        assert_eq!(first_sent, Some(at(0)));
        assert_eq!(requests, [(18, 3), if fallback.is_some() { (3, 0) } else { (18, 3) }]);
    }
}

#[test]
fn an_unreachable_broker_is_retried_with_back_off() {
    let mut world = World::new(|config| config.delivery_timeout = Duration::from_secs(60));
    world.ignores_connects = true;
    world.send(&["x"], 0);
    world.pass(at(61_000));
    assert_eq!(world.fates(), [(0, NOT_WRITTEN)]);
    assert_eq!(world.connects.len(), 6, "one every 10 s, plus the back-off");
}

#[test]
fn throttling_is_applied_if_the_client_must_apply_it() {
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

/// A corrupt response in a simulation throttled the producer for days (seed 100,199,716).
#[test]
fn an_implausible_throttle_time_is_limited() {
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
fn idle_connections_are_closed_and_no_timer_remains() {
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
fn invalid_data_closes_only_the_connection() {
    let mut world = World::new(|_| {});
    world.responses.push_back(None);
    world.send(&["x"], 0);
    world.run();
    let connection = world.connects[1].0;
    world.producer.handle_input(Input::Received(connection, b"HTTP/1.1 400 Bad Request"), world.now);
    world.pass(at(3_000));
    assert_eq!(world.closed, [connection]);
    assert_eq!(world.fates(), [(0, DONE)]);
}

fn with_session(millis: i64, change: impl FnOnce(&mut MachineConfig)) -> World {
    let mut world = World::new(|config| {
        config.sasl = Some(Sasl::new(SaslMechanism::Plain, "me", "secret").unwrap());
        change(config);
    });
    world.session = Some(millis);
    world
}

#[test]
fn lookups_fail_immediately_if_authentication_fails() {
    let mut world = with_session(0, |_| {});
    world.rejects_credentials = true;
    for topic in ["t", "u"] {
        world.producer.lookup_topic(topic, world.now);
    }
    world.run();
    let lookup_error = |event: &Event| match event {
        Event::Topic { topic, partitions: Err(error @ TopicLookupError::Authentication(_)) } => {
            assert!(!error.is_retriable());
            Some((topic.clone(), error.to_string()))
        }
        _ => None,
    };
    let found: Vec<_> = world.events.iter().filter_map(lookup_error).collect();
    assert_eq!(found.iter().map(|(topic, _)| topic.as_str()).collect::<Vec<_>>(), ["t", "u"]);
    let expected =
        "boot:9092: the broker answered SaslAuthenticate v1 with SASL_AUTHENTICATION_FAILED (58): who?; check ";
    assert!(found.iter().all(|(_, error)| error.starts_with(expected)), "{found:?}");
    assert_eq!(world.connects.len(), 1);
    world.pass(at(100_000));
    assert_eq!(world.connects.len(), 1, "no lookup is pending");
    // A later lookup connects again.
    world.ignores_connects = true;
    world.producer.lookup_topic("t", world.now);
    world.run();
    let connection = world.connects.last().unwrap().0;
    world.producer.handle_input(Input::Closed(connection, Disconnect::Untrusted, None), world.now);
    world.events.clear();
    world.run();
    let [Event::Topic { partitions: Err(error), .. }, Event::ConnectionError(_)] = &world.events[..] else {
        panic!("{:?}", world.events)
    };
    assert_eq!(error.to_string(), "boot:9092: one side does not trust the other's certificate");
    (world.rejects_credentials, world.ignores_connects) = (false, false);
    world.pass(at(200_000));
    world.producer.lookup_topic("t", world.now);
    world.run();
    assert!(matches!(world.events.last(), Some(Event::Topic { partitions: Ok(_), .. })), "{:?}", world.events);
}

#[test]
fn a_connection_in_use_authenticates_again_before_its_session_expires() {
    let mut world = with_session(100_000, |_| {});
    world.send(&["x"], 0);
    world.pass(at(84_999));
    assert_eq!(world.closed, []);
    world.send(&["y"], 0);
    world.run();
    assert_eq!((world.connects.len(), world.closed.len()), (2, 0), "at least 85 % of the session is used");
    let logins = |world: &World| world.apis().iter().filter(|&&api| api == 36).count();
    assert_eq!(logins(&world), 2);
    world.pass(at(95_000));
    assert_eq!(logins(&world), 4, "at most 95 % of the session is used");
    assert_eq!((world.connects.len(), world.closed.len()), (2, 0), "on the connections that exist");
    world.send(&["z"], 0);
    world.run();
    assert_eq!(world.fates(), [(0, DONE), (1, DONE), (2, DONE)]);
    assert_eq!(world.stamps(), [(7, 0, 0), (7, 0, 1), (7, 0, 2)], "the producer identity is kept");
    let again = |event: &&Event| matches!(event, Event::Reauthenticated { .. });
    assert_eq!(world.events.iter().filter(again).count(), 2);
    assert_eq!(world.events.len(), 5, "no connection errors: {:?}", world.events);
    // Only one of the connections was used in its second session.
    world.pass(at(190_000));
    assert_eq!((logins(&world), world.closed.len()), (5, 1));
    world.pass(at(300_000));
    assert_eq!((logins(&world), world.closed.len()), (5, 2));
}

#[test]
fn a_broker_that_does_not_authenticate_again_gets_another_connection() {
    let mut world = with_session(100_000, |_| {});
    world.send(&["x"], 0);
    world.pass(at(80_000));
    world.sasl_error = 34;
    world.pass(at(95_000));
    assert_eq!((world.connects.len(), world.closed.len()), (2, 2));
    world.sasl_error = 0;
    world.send(&["y"], 0);
    world.run();
    assert_eq!(world.fates(), [(0, DONE), (1, DONE)]);
    assert_eq!(world.events.len(), 2, "no connection errors: {:?}", world.events);
}

#[test]
fn a_password_that_is_refused_later_is_an_error() {
    let mut world = with_session(100_000, |_| {});
    world.send(&["x"], 0);
    world.pass(at(80_000));
    world.rejects_credentials = true;
    world.send(&["y"], 0);
    world.pass(at(95_000));
    let errors = world.events.iter().filter(|event| matches!(event, Event::ConnectionError(_))).count();
    assert_eq!(errors, 2, "{:?}", world.events);
}

#[test]
fn at_the_end_of_a_session_pending_responses_are_awaited_and_nothing_more_is_sent() {
    let mut world = with_session(20_000, |_| {});
    world.send(&["x"], 0);
    world.pass(at(16_000));
    let old = world.connects[1].0;
    let in_flight = world.pipeline(&["y"]);
    world.now = at(19_000);
    world.send(&["z"], 0);
    world.send(&["other"], 1);
    world.run();
    let on_it = |world: &World| -> Vec<i16> {
        let requests = world.requests.iter().filter(|request| request.connection == old);
        requests.map(|request| request.api).collect()
    };
    assert_eq!(on_it(&world).last(), Some(&0), "a response is pending, so nothing more is sent");
    let before = on_it(&world).len();
    assert_eq!(world.requests.iter().rfind(|request| request.connection == old), Some(&in_flight[0]));
    world.reply(&in_flight[0], ErrorCode::NONE);
    assert!(!world.closed.contains(&old));
    assert_eq!(on_it(&world)[before..before + 2], [17, 36]);
    assert!(on_it(&world)[before + 2..].iter().all(|&api| api == 0) && on_it(&world).len() > before + 2);
    assert_eq!(world.fates(), [(0, DONE), (1, DONE), (2, DONE), (3, DONE)]);
}

#[test]
fn sessions_expire_without_acks_too() {
    let mut world = with_session(20_000, |config| config.acks = Acks::None);
    world.send(&["x"], 0);
    world.run();
    world.silent_connections.clear(); // Produce has no response, but what follows has
    world.pass(at(20_000));
    assert_eq!(world.apis().iter().filter(|&&api| api == 36).count(), 4);
    world.send(&["y"], 0);
    world.pass(at(21_000));
    assert_eq!((world.produced().len(), world.closed.len()), (2, 0));
}

/// Another authentication at the end of a session has no back-off, since it is not an error. It must still not be done in a
/// busy loop; and brokers refuse a second one within a second.
#[test]
fn a_very_short_session_does_not_cause_endless_authentications() {
    let mut world = with_session(1, |_| {});
    for second in 0..10 {
        world.send(&["x"], 0);
        world.pass(at(1_000 * second + 999));
    }
    assert_eq!(world.fates().len(), 10);
    let logins = world.apis().iter().filter(|&&api| api == 36).count();
    assert!((10..=20).contains(&logins), "{logins}");
}

#[test]
fn a_session_of_any_length_is_accepted() {
    for millis in [1_001, i64::from(u32::MAX), i64::MAX] {
        let mut world = with_session(millis, |config| config.connections_max_idle = Duration::from_secs(1 << 40));
        world.send(&["x"], 0);
        world.run();
        assert_eq!(world.fates(), [(0, DONE)], "{millis}");
    }
}

/// Returns all output as text, with the received bytes split into pieces of this size.
fn transcript(piece: usize, seed: u64) -> String {
    let mut world = World::new(|_| {});
    let clock = Clock { now: Instant::START, wall: Timestamp::from_millis(0) };
    world.producer = Machine::new(MachineConfig::new([("boot", 9092), ("other", 9093)]), clock, seed);
    world.responses.extend([Some(6), None, Some(7), Some(0)]);
    let mut transcript = String::new();
    for step in 0..60_u64 {
        if step < 5 {
            world.send(&["x", "y"], (step % 2) as i32);
        }
        loop {
            let output = world.producer.poll_output(world.now);
            transcript += &match &output {
                Output::Event(Event::Delivered { id, delivery }) => {
                    alloc::format!("{:?} {id} Delivered at {:?}\n", world.now, delivery.base_offset())
                }
                Output::Transmit { connection, bytes } => {
                    alloc::format!("{:?} Transmit({connection:?}, {bytes:?})\n", world.now)
                }
                output => alloc::format!("{:?} {output:?}\n", world.now),
            };
            match output {
                Output::Connect { connection, .. } => {
                    world.producer.handle_input(Input::Connected(connection), world.now);
                }
                Output::Transmit { connection, bytes } => {
                    let request = Request::parse(connection, &bytes);
                    let answer = world.answer(&request).unwrap_or_default();
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
    transcript
}

#[test]
fn output_depends_on_the_seed_but_not_on_how_input_is_split() {
    let whole = transcript(usize::MAX, 1);
    assert!(whole.contains("Delivered"));
    for piece in [1, 2, 3, 7, 50] {
        assert!(transcript(piece, 1) == whole, "in pieces of {piece}");
    }
    assert!(transcript(1, 2) != whole);
}

#[test]
fn a_silent_bootstrap_server_does_not_block_the_others() {
    let mut world = World::new(|config| config.bootstrap_servers = vec![("a".into(), 1), ("b".into(), 2)]);
    world.ignores_connects = true; // the connection attempt does not complete
    world.producer.lookup_topic("t", world.now);
    world.run();
    world.ignores_connects = false;
    world.pass(at(1_500));
    assert_eq!(world.connects.len(), 2, "{:?}", world.connects);
    assert!(matches!(&world.events[..], [Event::Topic { partitions: Ok(_), .. }]), "{:?}", world.events);
}
