//! What the error of a batch or a lookup says of its cause, for each thing that a batch can wait for. The texts are a contract.

use super::*;

/// What a broker does when it is asked.
enum Reply {
    Usual,
    Silence,
    /// Closes the connection.
    Close,
    /// These bytes, as they are.
    Bytes(Vec<u8>),
    /// These bytes, and then the end of the connection.
    BytesAndClose(Vec<u8>),
}

const INIT_PRODUCER_ID: i16 = 22;
const PRODUCE: i16 = 0;
const METADATA: i16 = 3;
const API_VERSIONS: i16 = 18;

/// Drives the machine against brokers that reply so, until it has an event that `ends` it.
fn drive<T>(world: &mut World, mut reply: impl FnMut(&Asked) -> Reply, mut ends: impl FnMut(Event) -> Option<T>) -> T {
    for _ in 0..10_000 {
        match world.producer.poll_output(world.now) {
            Output::Connect { connection, .. } if !world.deaf => {
                world.producer.handle_input(Input::Connected(connection), world.now);
            }
            Output::Transmit { connection, bytes } => {
                let asked = Asked::parse(connection, &bytes);
                let (bytes, closes) = match reply(&asked) {
                    Reply::Usual => (world.answer(&asked).unwrap_or_default(), false),
                    Reply::Silence => (Vec::new(), false),
                    Reply::Close => (Vec::new(), true),
                    Reply::Bytes(bytes) => (bytes, false),
                    Reply::BytesAndClose(bytes) => (bytes, true),
                };
                world.producer.handle_input(Input::Received(connection, &bytes), world.now);
                if closes {
                    let closed = Input::Closed(connection, Disconnect::ByPeer, None);
                    world.producer.handle_input(closed, world.now);
                }
            }
            Output::Event(event) => {
                if let Some(end) = ends(event) {
                    return end;
                }
            }
            Output::Wait(next) => world.now = next.expect("a batch or a lookup waits"),
            Output::Connect { .. } | Output::Close(_) => {}
        }
    }
    panic!("it does not end");
}

/// The reason of the delivery error of a batch that has three seconds, and connections that have one for each request.
fn reason(change: impl FnOnce(&mut World, &mut ProducerConfig), reply: impl FnMut(&Asked) -> Reply) -> String {
    let mut world = World::new(|_| {});
    let mut config = ProducerConfig::new([("boot", 9092)]);
    config.delivery_timeout = Duration::from_secs(3);
    config.request_timeout = Duration::from_secs(10);
    change(&mut world, &mut config);
    let clock = Clock { now: Instant::START, wall: Timestamp::from_millis(1_000) };
    world.producer = Machine::new(config, clock, 42);
    world.send(&["x"], 0);
    drive(&mut world, reply, |event| match event {
        Event::Failed { error, .. } => Some(error.reason.to_string()),
        _ => None,
    })
}

const LATE: &str = "it was not acknowledged within delivery.timeout.ms: ";

#[track_caller]
pub(super) fn is(found: &str, expected: &str) {
    let found = found.strip_prefix(LATE).unwrap_or_else(|| panic!("{found}"));
    // How long before a try was made hangs on the jitter of waits: only those that hang on nothing are exact.
    let number = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let (mut found_rest, mut expected_rest) = (found, expected);
    while let Some((same, after)) = expected_rest.split_once('#') {
        let rest = found_rest.strip_prefix(same).unwrap_or_else(|| panic!("\n{found}\n{expected}"));
        assert!(number(rest) > 0, "\n{found}\n{expected}");
        (found_rest, expected_rest) = (&rest[number(rest)..], after);
    }
    assert_eq!(found_rest, expected_rest, "\n{found}\n{expected}");
}

fn on(api: i16, mut reply: impl FnMut(&Asked) -> Reply) -> impl FnMut(&Asked) -> Reply {
    move |asked| if asked.api == api { reply(asked) } else { Reply::Usual }
}

fn nothing(_: &mut World, _: &mut ProducerConfig) {}

/// With a delivery time-out that is no longer than the other limits, nothing has failed yet when it is over.
#[test]
fn what_is_still_pending_is_named_with_api_and_version() {
    let deaf = |world: &mut World, _: &mut ProducerConfig| world.deaf = true;
    is(&reason(deaf, |_| Reply::Usual), "waiting for a connection to boot:9092, begun 3000 ms before");
    for (api, expected) in [
        (API_VERSIONS, "waiting for boot:9092 to answer ApiVersions v3, sent 3000 ms before"),
        (METADATA, "waiting for boot:9092 to answer Metadata v1, sent 3000 ms before"),
        (INIT_PRODUCER_ID, "waiting for broker 1 at broker:9001 to answer InitProducerId v0, sent 3000 ms before"),
        (PRODUCE, "waiting for broker 1 at broker:9001 to answer Produce v3, sent 3000 ms before"),
    ] {
        is(&reason(nothing, on(api, |_| Reply::Silence)), expected);
    }
    let with_sasl = |world: &mut World, config: &mut ProducerConfig| {
        config.sasl = Some(Sasl::new(SaslMechanism::Plain, "me", "secret").unwrap());
        world.session = Some(0);
    };
    for (api, expected) in [
        (17, "waiting for boot:9092 to answer SaslHandshake v1, sent 3000 ms before"),
        (36, "waiting for boot:9092 to answer SaslAuthenticate v1, sent 3000 ms before"),
    ] {
        is(&reason(with_sasl, on(api, |_| Reply::Silence)), expected);
    }
    let without_acks = |_: &mut World, config: &mut ProducerConfig| config.acks = Acks::None;
    let expected = "waiting to write Produce v3 to broker 1 at broker:9001, begun 3000 ms before";
    is(&reason(without_acks, on(PRODUCE, |_| Reply::Silence)), expected);
}

#[test]
fn who_is_silent_for_too_long_is_named_although_the_next_connection_is_ready() {
    let impatient = |_: &mut World, config: &mut ProducerConfig| config.request_timeout = Duration::from_secs(1);
    for (api, asked, who) in [
        (API_VERSIONS, "ApiVersions v3", "boot:9092"),
        (METADATA, "Metadata v1", "boot:9092"),
        (INIT_PRODUCER_ID, "InitProducerId v0", "broker 1 at broker:9001"),
        (PRODUCE, "Produce v3", "broker 1 at broker:9001"),
    ] {
        let expected = alloc::format!(
            "waiting for {who} to answer {asked}, sent # ms before; last error # ms before: {who}: {asked} was not answered \
             within 1000 ms"
        );
        is(&reason(impatient, on(api, |_| Reply::Silence)), &expected);
    }
}

#[test]
fn who_closes_the_connection_is_named_although_the_next_one_is_ready() {
    let tried = |api: i16| {
        let mut count = 0;
        // The last connection is silent, so that there is one, ready, and the error is from before it.
        on(api, move |_| {
            count += 1;
            if count < 4 { Reply::Close } else { Reply::Silence }
        })
    };
    let expected = "waiting for boot:9092 to answer ApiVersions v3, sent # ms before; last error # ms before: boot:9092: the \
                    broker closed the connection while ApiVersions v3 was unanswered; if this port wants TLS or SASL, set \
                    security.protocol to ssl, sasl_plaintext or sasl_ssl (it is plaintext)";
    is(&reason(nothing, tried(API_VERSIONS)), expected);
    let expected = "waiting for boot:9092 to answer Metadata v1, sent # ms before; last error # ms before: boot:9092: the \
                    broker closed the connection while Metadata v1 was unanswered; if this port wants SASL, set \
                    security.protocol to sasl_plaintext (it is plaintext)";
    is(&reason(nothing, tried(METADATA)), expected);
    for (api, asked) in [(INIT_PRODUCER_ID, "InitProducerId v0"), (PRODUCE, "Produce v3")] {
        let who = "broker 1 at broker:9001";
        let expected = alloc::format!(
            "waiting for {who} to answer {asked}, sent # ms before; last error # ms before: {who}: the broker closed the \
             connection while {asked} was unanswered"
        );
        is(&reason(nothing, tried(api)), &expected);
    }
}

#[test]
fn a_broker_without_producer_ids_is_named() {
    let none = |asked: &Asked| {
        let body = [&[0; 6][..], &(-1_i64).to_be_bytes(), &(-1_i16).to_be_bytes()].concat();
        Reply::Bytes(frame(asked.correlation, &body))
    };
    is(
        &reason(nothing, on(INIT_PRODUCER_ID, none)),
        "waiting for a producer id (InitProducerId); last error # ms before: broker 1 at broker:9001: the broker \
         answered InitProducerId with producer id -1 and epoch -1, which no producer can have",
    );
    let refused = |asked: &Asked| {
        let code = ErrorCode::COORDINATOR_NOT_AVAILABLE.0.to_be_bytes();
        let body = [&[0; 4][..], &code, &(-1_i64).to_be_bytes(), &(-1_i16).to_be_bytes()].concat();
        Reply::Bytes(frame(asked.correlation, &body))
    };
    is(
        &reason(nothing, on(INIT_PRODUCER_ID, refused)),
        "waiting for a producer id (InitProducerId); last error # ms before: broker 1 at broker:9001: the broker answered \
         InitProducerId v0 with COORDINATOR_NOT_AVAILABLE (15)",
    );
}

#[test]
fn a_truncated_response_is_named_with_api_and_version() {
    for (api, who, asked) in [
        (METADATA, "boot:9092", "Metadata v1"),
        (INIT_PRODUCER_ID, "broker 1 at broker:9001", "InitProducerId v0"),
        (PRODUCE, "broker 1 at broker:9001", "Produce v3"),
    ] {
        let found = reason(nothing, on(api, |asked| Reply::Bytes(frame(asked.correlation, &[0; 3]))));
        let expected = alloc::format!(
            "last error # ms before: {who}: it does not keep to the protocol: {asked} response, byte #: a value of # bytes \
             where # are left"
        );
        // Where metadata is asked for again meanwhile, that is named first.
        let at = found.find("last error").unwrap_or_else(|| panic!("{found}"));
        is(&[LATE, &found[at..]].concat(), &expected);

        // The frame itself is cut.
        let cut = |asked: &Asked| frame(asked.correlation, &[0; 96])[..24].to_vec();
        let found = reason(nothing, on(api, |asked| Reply::BytesAndClose(cut(asked))));
        let said = alloc::format!(
            "{who}: the broker closed the connection while {asked} was unanswered (20 of 100 bytes of a response had come)"
        );
        assert!(found.contains(&said), "{found}");
        let impatient = |_: &mut World, config: &mut ProducerConfig| config.request_timeout = Duration::from_secs(1);
        let found = reason(impatient, on(api, |asked| Reply::Bytes(cut(asked))));
        let said =
            alloc::format!("{who}: {asked} was not answered within 1000 ms (20 of 100 bytes of a response had come)");
        assert!(found.contains(&said), "{found}");
    }
}

#[test]
fn a_response_that_leaves_a_batch_or_the_brokers_out_is_named() {
    let empty = |asked: &Asked| Reply::Bytes(frame(asked.correlation, &[0; 8]));
    is(
        &reason(nothing, on(PRODUCE, empty)),
        "last error # ms before: broker 1 at broker:9001: it does not keep to the protocol: its response to Produce v3 has \
         no entry for t-0",
    );
    let no_brokers = |asked: &Asked| Reply::Bytes(frame(asked.correlation, &[0; 12]));
    is(
        &reason(nothing, on(METADATA, no_brokers)),
        "waiting for Metadata; last error # ms before: boot:9092: it does not keep to the protocol: its response to Metadata \
         v1 lists no brokers",
    );
    let code_and_leader = |code: ErrorCode, leader: i32| {
        on(METADATA, move |asked| {
            let mut world = World::new(|_| {});
            (world.partitions, world.leader) = (1, leader);
            let mut answer = world.answer(asked).unwrap();
            let partition = answer.len() - 18; // code, partition, leader, and two empty lists
            answer[partition..partition + 2].copy_from_slice(&code.0.to_be_bytes());
            Reply::Bytes(answer)
        })
    };
    for (code, leader, said) in [
        (ErrorCode::LEADER_NOT_AVAILABLE, -1, "LEADER_NOT_AVAILABLE (5)"),
        (ErrorCode::NONE, -1, "LEADER_NOT_AVAILABLE (5)"),
        (ErrorCode::NONE, 7, "LEADER_NOT_AVAILABLE (5)"),
        (ErrorCode::LISTENER_NOT_FOUND, -1, "LISTENER_NOT_FOUND (72)"),
    ] {
        let expected = alloc::format!(
            "waiting for Metadata; last error # ms before: the broker answered Metadata v1 with {said}: partition 0 has no \
             leader"
        );
        is(&reason(nothing, code_and_leader(code, leader)), &expected);
    }
}

#[test]
fn a_retriable_error_of_produce_is_named_and_then_what_is_pending_too() {
    let mut codes = VecDeque::from([ErrorCode::NOT_ENOUGH_REPLICAS; 3]);
    let refuses = |asked: &Asked| match codes.pop_front() {
        Some(code) => {
            let mut world = World::new(|_| {});
            world.answers.push_back(Some(code.0));
            Reply::Bytes(world.answer(asked).unwrap())
        }
        None => Reply::Silence,
    };
    is(
        &reason(nothing, on(PRODUCE, refuses)),
        "waiting for broker 1 at broker:9001 to answer Produce v3, sent # ms before; last error # ms before: broker 1 answered \
         Produce v3 with NOT_ENOUGH_REPLICAS (19); fewer replicas are in sync than the topic's min.insync.replicas asks for",
    );
}

#[test]
fn what_the_system_said_is_passed_on_and_an_old_error_of_another_broker_is_not() {
    let mut world = World::new(|config| {
        config.bootstrap_servers = vec![("a".into(), 1), ("b".into(), 2)];
        config.delivery_timeout = Duration::from_secs(3);
    });
    world.deaf = true;
    world.send(&["x"], 0);
    let Output::Connect { connection, host, port } = world.producer.poll_output(world.now) else { panic!() };
    let refused = Some("Connection refused (os error 111)");
    world.producer.handle_input(Input::Closed(connection, Disconnect::NotConnected, refused), world.now);
    let failed = |event: Event| match event {
        Event::Failed { error, .. } => Some(error.reason.to_string()),
        _ => None,
    };
    let found = drive(&mut world, |_| Reply::Usual, failed);
    let said = alloc::format!(
        "last error 3000 ms before: {host}:{port}: could not connect: Connection refused (os error 111)"
    );
    assert!(found.ends_with(&said), "{found}");

    // The error is of no importance for a batch that came after, and waits for another broker.
    world.deaf = false;
    world.pass(at(20_000));
    world.send(&["y"], 0);
    let found = drive(&mut world, on(PRODUCE, |_| Reply::Silence), failed);
    is(&found, "waiting for broker 1 at broker:9001 to answer Produce v3, sent # ms before");
}

#[test]
fn an_error_from_before_the_batch_counts_as_long_as_it_lasts() {
    let mut world = World::new(|config| {
        config.delivery_timeout = Duration::from_millis(500);
        config.reconnect_backoff = Duration::from_secs(10);
        config.reconnect_backoff_max = Duration::from_secs(10);
    });
    world.deaf = true;
    world.producer.lookup_topic("t", world.now);
    let Output::Connect { connection, .. } = world.producer.poll_output(world.now) else { panic!() };
    world.producer.handle_input(Input::Closed(connection, Disconnect::NotConnected, Some("no route")), world.now);
    world.pass(at(1_000));
    world.send(&["x"], 0);
    world.pass(at(2_000));
    let expected = "waiting for Metadata; last error 1500 ms before: boot:9092: could not connect: no route";
    is(&world.error().reason.to_string(), expected);
}

#[test]
fn a_throttled_batch_says_so() {
    let mut world = World::new(|config| config.delivery_timeout = Duration::from_secs(3));
    world.produce = 6;
    world.throttle = 50_000;
    world.send(&["x"], 0);
    world.run();
    world.send(&["y"], 0);
    world.pass(at(4_000));
    is(&world.error().reason.to_string(), "waiting because broker 1 at broker:9001 throttles this client");
}

#[test]
fn a_lookup_says_what_it_was_waiting_for() {
    let lookup = |deaf: bool, silent: i16| {
        let mut world = World::new(|config| config.request_timeout = Duration::from_secs(5));
        world.deaf = deaf;
        world.producer.lookup_topic("t", world.now);
        drive(&mut world, on(silent, |_| Reply::Silence), |event| match event {
            Event::Topic { partitions: Err(error), .. } => Some(error.to_string()),
            _ => None,
        })
    };
    let said = "no answer came within request.timeout.ms: ";
    assert_eq!(lookup(true, -1), [said, "waiting for a connection to boot:9092, begun 5000 ms before"].concat());
    for (silent, asked) in [(API_VERSIONS, "ApiVersions v3"), (METADATA, "Metadata v1")] {
        let found = lookup(false, silent);
        assert!(found.starts_with(said) && found.contains(asked) && found.contains("boot:9092"), "{found}");
    }
}

/// What is answered on the first connection decides: nothing else has come, so it cannot be a response of such a length.
#[test]
fn what_is_no_kafka_broker_is_recognised_by_its_first_bytes_whatever_the_ceiling() {
    let sasl = || Some(Sasl::new(SaslMechanism::Plain, "me", "secret").unwrap());
    let table: [(&[u8], &str, &str); 4] = [
        (
            &[0x15, 3, 3, 0, 2, 2, 70],
            "boot:9092: it answered with a TLS alert (15 03); this port wants TLS: set security.protocol to ssl (it is \
             plaintext)",
            "boot:9092: it answered with a TLS alert (15 03); this port wants TLS: set security.protocol to sasl_ssl (it is \
             sasl_plaintext)",
        ),
        (
            &[0x16, 3, 1, 0, 200],
            "boot:9092: it answered with a TLS handshake (16 03); this port wants TLS: set security.protocol to ssl (it is \
             plaintext)",
            "boot:9092: it answered with a TLS handshake (16 03); this port wants TLS: set security.protocol to sasl_ssl (it \
             is sasl_plaintext)",
        ),
        (
            b"HTTP/1.1 400 Bad Request\r\n",
            "boot:9092: a web server answered (HTTP), not a Kafka broker: correct the address in bootstrap.servers, or in the \
             broker's advertised.listeners",
            "boot:9092: a web server answered (HTTP), not a Kafka broker: correct the address in bootstrap.servers, or in the \
             broker's advertised.listeners",
        ),
        (
            b"\xff\xfe\xfd\xfc",
            "boot:9092: it answered with ff fe fd fc, which is not Kafka's protocol: correct the address in \
             bootstrap.servers, or in the broker's advertised.listeners",
            "boot:9092: it answered with ff fe fd fc, which is not Kafka's protocol: correct the address in \
             bootstrap.servers, or in the broker's advertised.listeners",
        ),
    ];
    for (bytes, in_the_clear, with_sasl) in table {
        for (sasl, expected) in [(None, in_the_clear), (sasl(), with_sasl)] {
            for (ceiling, piece) in [(1_000, 100), (i32::MAX as usize, 100), (i32::MAX as usize, 1)] {
                let mut world = World::new(|config| {
                    config.frame_ceiling = ceiling;
                    config.sasl = sasl.clone();
                });
                world.producer.lookup_topic("t", world.now);
                let Output::Connect { connection, .. } = world.producer.poll_output(world.now) else { panic!() };
                world.producer.handle_input(Input::Connected(connection), world.now);
                assert!(matches!(world.producer.poll_output(world.now), Output::Transmit { .. }));
                for piece in bytes.chunks(piece) {
                    world.producer.handle_input(Input::Received(connection, piece), world.now);
                }
                world.run();
                let [Event::ConnectionErrorKind(kind)] = &world.events[..] else { panic!("{:?}", world.events) };
                assert_eq!(kind.to_string(), expected, "{ceiling} {piece}");
                assert_eq!(world.closed, [connection]);
            }
        }
    }
}

#[test]
fn protocols_that_do_not_meet_are_told_apart() {
    let kind = |change: &dyn Fn(&mut World, &mut ProducerConfig), reply: &dyn Fn(&Asked) -> Reply| {
        let mut world = World::new(|_| {});
        let mut config = ProducerConfig::new([("boot", 9092)]);
        change(&mut world, &mut config);
        let clock = Clock { now: Instant::START, wall: Timestamp::from_millis(1_000) };
        world.producer = Machine::new(config, clock, 42);
        world.producer.lookup_topic("t", world.now);
        drive(&mut world, reply, |event| match event {
            Event::ConnectionErrorKind(kind) => Some(kind.to_string()),
            _ => None,
        })
    };
    let with_sasl = |world: &mut World, config: &mut ProducerConfig| {
        config.sasl = Some(Sasl::new(SaslMechanism::Plain, "me", "secret").unwrap());
        world.session = Some(0);
    };
    // As Kafka answers where no SASL is wanted (KafkaApis.handleSaslHandshakeRequest).
    let no_sasl = |asked: &Asked| match asked.api {
        17 => Reply::Bytes(frame(asked.correlation, &[&34_i16.to_be_bytes()[..], &[0; 4]].concat())),
        _ => Reply::Usual,
    };
    let expected = "boot:9092: the broker answered SaslHandshake v1 with ILLEGAL_SASL_STATE (34); this port takes no SASL: \
                    set security.protocol to plaintext (it is sasl_plaintext)";
    assert_eq!(kind(&with_sasl, &no_sasl), expected);
    // A broker that does not so much as know it.
    let unlisted = |world: &mut World, config: &mut ProducerConfig| {
        with_sasl(world, config);
        world.session = None;
        config.over_tls = true;
    };
    let expected = "boot:9092: it offers no version of SaslHandshake that this client speaks (0-1); this port takes no SASL: \
                    set security.protocol to ssl (it is sasl_ssl)";
    assert_eq!(kind(&unlisted, &|_| Reply::Usual), expected);
    // Over TLS, a broker that closes the connection at the first request may want SASL.
    let over_tls = |_: &mut World, config: &mut ProducerConfig| config.over_tls = true;
    let closes = |api: i16| move |asked: &Asked| if asked.api == api { Reply::Close } else { Reply::Usual };
    let expected = "boot:9092: the broker closed the connection while Metadata v1 was unanswered; if this port wants SASL, set \
                    security.protocol to sasl_ssl (it is ssl)";
    assert_eq!(kind(&over_tls, &closes(METADATA)), expected);
    // And with SASL and TLS there is nothing more to try.
    let both = |world: &mut World, config: &mut ProducerConfig| {
        with_sasl(world, config);
        config.over_tls = true;
    };
    let expected = "boot:9092: the broker closed the connection while ApiVersions v3 was unanswered";
    assert_eq!(kind(&both, &closes(API_VERSIONS)), expected);
}

#[test]
fn once_a_broker_has_answered_a_closed_connection_says_nothing_of_the_protocol() {
    let mut world = World::new(|_| {});
    world.send(&["x"], 0);
    world.run();
    for (connection, _) in world.connects.clone() {
        world.lost(connection);
    }
    world.run();
    world.send(&["y"], 0);
    let kind = drive(&mut world, on(API_VERSIONS, |_| Reply::Close), |event| match event {
        Event::ConnectionErrorKind(kind) => Some(kind),
        _ => None,
    });
    assert_eq!(kind.mismatch, None, "{kind}");
}

/// A TLS driver tells that the other side does not take part in a handshake.
#[test]
fn tls_to_a_port_in_the_clear_is_told() {
    for (sasl, expected) in [
        (
            false,
            "boot:9092: the TLS handshake failed: closed; this port seems to speak plaintext, not TLS: set security.protocol \
             to plaintext (it is ssl)",
        ),
        (
            true,
            "boot:9092: the TLS handshake failed: closed; this port seems to speak plaintext, not TLS: set security.protocol \
             to sasl_plaintext (it is sasl_ssl)",
        ),
    ] {
        let mut world = World::new(|config| {
            config.over_tls = true;
            config.sasl = sasl.then(|| Sasl::new(SaslMechanism::Plain, "me", "secret").unwrap());
        });
        world.deaf = true;
        world.producer.lookup_topic("t", world.now);
        world.run();
        let connection = world.connects[0].0;
        world.producer.handle_input(Input::Closed(connection, Disconnect::NoTls, Some("closed")), world.now);
        world.run();
        let [Event::ConnectionErrorKind(kind)] = &world.events[..] else { panic!("{:?}", world.events) };
        assert_eq!(kind.to_string(), expected);
    }
}

#[test]
fn a_broker_that_closes_an_idle_connection_is_no_trouble() {
    for how in [Disconnect::ByPeer, Disconnect::Broken] {
        let mut world = World::new(|_| {});
        world.send(&["x"], 0);
        world.run();
        world.now = at(60_000);
        world.events.clear();
        let connection = world.connects[1].0;
        world.producer.handle_input(Input::Closed(connection, how, None), world.now);
        world.run();
        let [Event::ClosedIdle { end, idle }] = &world.events[..] else { panic!("{:?}", world.events) };
        assert_eq!((end.broker.to_string().as_str(), idle.as_secs()), ("broker 1 at broker:9001", 60));
        world.send(&["y"], 0);
        world.pass(at(61_000));
        assert_eq!(world.fates(), [(1, DONE)]);
    }
}

#[test]
fn a_connection_that_ends_while_something_is_pending_is_trouble() {
    let mut world = World::new(|_| {});
    world.send(&["x"], 0);
    world.run();
    world.fly(&["y"]);
    world.events.clear();
    world.lost(world.connects[1].0);
    world.run();
    let [Event::ConnectionErrorKind(kind)] = &world.events[..] else { panic!("{:?}", world.events) };
    let expected = "broker 1 at broker:9001: the connection broke while Produce v3 was unanswered";
    assert_eq!(kind.to_string(), expected);
}

/// Kafka refuses a batch that is not acknowledged by closing the connection: that is no end of an idle connection.
#[test]
fn without_acks_an_end_soon_after_a_batch_is_trouble() {
    for (millis, is_trouble) in [(29_999, true), (30_000, false)] {
        let mut world = World::new(|config| config.acks = Acks::None);
        world.send(&["x"], 0);
        world.run();
        world.now = at(millis);
        world.events.clear();
        world.producer.handle_input(Input::Closed(world.connects[1].0, Disconnect::ByPeer, None), world.now);
        world.run();
        assert_eq!(
            matches!(world.events[..], [Event::ConnectionErrorKind(_)]),
            is_trouble,
            "{millis}: {:?}",
            world.events
        );
    }
}

/// After metadata has named another address, an error of the old connection names the old one.
#[test]
fn an_error_names_the_address_that_the_connection_was_made_to() {
    let mut world = World::new(|config| config.metadata_max_age = Duration::from_secs(10));
    world.send(&["x"], 0);
    world.run();
    let old = world.connects[1].0;
    world.fly(&["y"]);
    // As a broker that moved: the same id, at another port.
    let moved = |asked: &Asked| match asked.api {
        METADATA => {
            let mut answer = World::new(|_| {}).answer(asked).unwrap();
            let port = answer.windows(4).position(|bytes| bytes == 9001_i32.to_be_bytes()).unwrap();
            answer[port..port + 4].copy_from_slice(&9999_i32.to_be_bytes());
            Reply::Bytes(answer)
        }
        _ => Reply::Silence,
    };
    world.now = at(10_000);
    world.producer.lookup_topic("t", world.now);
    drive(&mut world, moved, |event| matches!(event, Event::Topic { .. }).then_some(()));
    world.events.clear();
    world.lost(old);
    world.run();
    let troubles: Vec<_> = world.events.iter().filter(|event| matches!(event, Event::ConnectionErrorKind(_))).collect();
    let [Event::ConnectionErrorKind(kind)] = troubles[..] else { panic!("{:?}", world.events) };
    let expected = "broker 1 at broker:9001: the connection broke while Produce v3 was unanswered";
    assert_eq!(kind.to_string(), expected);
    world.pass(at(12_000));
    assert_eq!(world.connects.last().unwrap().1, 9999);
}
