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
                Output::Event(Event::ConnectionErrorKind(found)) => {
                    assert_eq!((found.kind, world.now), (ConnectionErrorKind::RequestTimeout, at(until)));
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

fn with_session(millis: i64, change: impl FnOnce(&mut ProducerConfig)) -> World {
    let mut world = World::new(|config| {
        config.sasl = Some(Sasl::new(SaslMechanism::Plain, "me", "secret").unwrap());
        change(config);
    });
    world.session = Some(millis);
    world
}

#[test]
fn whoever_asks_for_a_topic_hears_at_once_that_we_are_not_let_in() {
    let mut world = with_session(0, |_| {});
    world.refuses_us = true;
    for topic in ["t", "u"] {
        world.producer.lookup_topic(topic, world.now);
    }
    world.run();
    let told = |event: &Event| match event {
        Event::Topic { topic, partitions: Err(error @ TopicLookupError::NotLetIn(_)) } => {
            assert!(!error.is_retriable());
            Some((topic.clone(), error.to_string()))
        }
        _ => None,
    };
    let told: Vec<_> = world.events.iter().filter_map(told).collect();
    assert_eq!(told.iter().map(|(topic, _)| topic.as_str()).collect::<Vec<_>>(), ["t", "u"]);
    let said = "boot:9092: the broker answered SaslAuthenticate v1 with SASL_AUTHENTICATION_FAILED (58): who?; see to ";
    assert!(told.iter().all(|(_, error)| error.starts_with(said)), "{told:?}");
    assert_eq!(world.connects.len(), 1);
    world.pass(at(100_000));
    assert_eq!(world.connects.len(), 1, "nobody waits any more");
    // Whoever asks later, asks anew.
    world.deaf = true;
    world.producer.lookup_topic("t", world.now);
    world.run();
    let connection = world.connects.last().unwrap().0;
    world.producer.handle_input(Input::Closed(connection, Disconnect::Untrusted, None), world.now);
    world.events.clear();
    world.run();
    let [Event::Topic { partitions: Err(error), .. }, Event::ConnectionErrorKind(_)] = &world.events[..] else {
        panic!("{:?}", world.events)
    };
    assert_eq!(error.to_string(), "boot:9092: one side does not trust the other's certificate");
    (world.refuses_us, world.deaf) = (false, false);
    world.pass(at(200_000));
    world.producer.lookup_topic("t", world.now);
    world.run();
    assert!(matches!(world.events.last(), Some(Event::Topic { partitions: Ok(_), .. })), "{:?}", world.events);
}

#[test]
fn a_connection_is_not_used_beyond_its_session_and_another_one_takes_its_place() {
    let mut world = with_session(100_000, |_| {});
    world.send(&["x"], 0);
    world.pass(at(84_999));
    assert_eq!(world.closed, []);
    world.send(&["y"], 0);
    world.run();
    assert_eq!((world.connects.len(), world.closed.len()), (2, 0), "85 % of it are used");
    world.pass(at(95_000));
    assert_eq!(world.closed.len(), 2, "and not more than 95 %");
    assert_eq!(world.connects.len(), 2, "nobody needs one now");
    world.send(&["z"], 0);
    world.run();
    assert_eq!(world.fates(), [(0, DONE), (1, DONE), (2, DONE)]);
    assert_eq!(world.stamps(), [(7, 0, 0), (7, 0, 1), (7, 0, 2)], "who we are to the log stays");
    assert_eq!(world.events.len(), 3, "no trouble: {:?}", world.events);
}

#[test]
fn at_the_end_of_a_session_the_last_answers_are_awaited_and_nothing_more_is_asked() {
    let mut world = with_session(20_000, |_| {});
    world.send(&["x"], 0);
    world.pass(at(16_000));
    let old = world.connects[1].0;
    let flying = world.fly(&["y"]);
    world.now = at(19_000);
    world.send(&["z"], 0);
    world.send(&["other"], 1);
    world.run();
    assert!(!world.closed.contains(&old), "an answer is missing");
    assert_eq!(world.asked.last(), Some(&flying[0]), "nothing more is asked");
    world.reply(&flying[0], ErrorCode::NONE);
    assert!(world.closed.contains(&old));
    let after: Vec<_> = world.asked.iter().filter(|asked| asked.api == 0).map(|asked| asked.connection).collect();
    assert!(after[2..].iter().all(|connection| *connection != old), "{after:?} after {old}");
    assert_eq!(world.fates(), [(0, DONE), (1, DONE), (2, DONE), (3, DONE)]);
}

#[test]
fn without_answers_sessions_end_as_well() {
    let mut world = with_session(20_000, |config| config.acks = Acks::None);
    world.send(&["x"], 0);
    world.pass(at(20_000));
    assert_eq!(world.closed.len(), 2);
    world.send(&["y"], 0);
    world.pass(at(21_000));
    assert_eq!(world.produced().len(), 2);
}

/// Connecting again costs no backoff, since it is nobody's fault. But it is not done for nothing.
#[test]
fn a_broker_that_grants_no_time_to_speak_of_does_not_keep_us_connecting() {
    let mut world = with_session(1, |_| {});
    for second in 0..10 {
        world.send(&["x"], 0);
        world.pass(at(1_000 * second + 999));
    }
    assert_eq!(world.fates().len(), 10);
    assert!((10..=20).contains(&world.connects.len()), "{:?}", world.connects);
}

#[test]
fn a_session_of_any_length_is_taken() {
    for millis in [1_001, i64::from(u32::MAX), i64::MAX] {
        let mut world = with_session(millis, |config| config.connections_max_idle = Duration::from_secs(1 << 40));
        world.send(&["x"], 0);
        world.run();
        assert_eq!(world.fates(), [(0, DONE)], "{millis}");
    }
}

/// The whole conversation as text, with the received bytes cut into pieces of this size.
fn conversation(piece: usize, seed: u64) -> String {
    let mut world = World::new(|_| {});
    let clock = Clock { now: Instant::START, wall: Timestamp::from_millis(0) };
    world.producer = Machine::new(ProducerConfig::new([("boot", 9092), ("other", 9093)]), clock, seed);
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

#[test]
fn one_silent_bootstrap_server_keeps_nobody_from_the_others() {
    let mut world = World::new(|config| config.bootstrap_servers = vec![("a".into(), 1), ("b".into(), 2)]);
    world.deaf = true; // it takes the connection, and that is all
    world.producer.lookup_topic("t", world.now);
    world.run();
    world.deaf = false;
    world.pass(at(1_500));
    assert_eq!(world.connects.len(), 2, "{:?}", world.connects);
    assert!(matches!(&world.events[..], [Event::Topic { partitions: Ok(_), .. }]), "{:?}", world.events);
}
