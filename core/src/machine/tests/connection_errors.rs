//! Tests of connection errors: what a port that is no broker of this `security.protocol` is taken for, and which ends of
//! connections are errors. The texts are a contract.

use super::causes::{API_VERSIONS, METADATA, Reply, drive, on};
use super::*;

/// The first bytes on a connection decide: before any response, they cannot be the length of one.
#[test]
fn other_protocols_are_recognised_by_their_first_bytes_with_any_frame_ceiling() {
    let sasl = || Some(Sasl::new(SaslMechanism::Plain, "me", "secret").unwrap());
    let table: [(&[u8], &str, &str); 4] = [
        (
            &[0x15, 3, 3, 0, 2, 2, 70],
            "boot:9092: it answered with a TLS alert (15 03); this port requires TLS: set security.protocol to ssl (it is \
             plaintext)",
            "boot:9092: it answered with a TLS alert (15 03); this port requires TLS: set security.protocol to sasl_ssl (it is \
             sasl_plaintext)",
        ),
        (
            &[0x16, 3, 1, 0, 200],
            "boot:9092: it answered with a TLS handshake (16 03); this port requires TLS: set security.protocol to ssl (it is \
             plaintext)",
            "boot:9092: it answered with a TLS handshake (16 03); this port requires TLS: set security.protocol to sasl_ssl (it \
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
    for (bytes, plaintext, with_sasl) in table {
        for (sasl, expected) in [(None, plaintext), (sasl(), with_sasl)] {
            for (ceiling, piece) in [(1_000, 100), (i32::MAX as usize, 100), (i32::MAX as usize, 1)] {
                let mut world = World::new(|config| {
                    config.receive_message_max_bytes = ceiling;
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
                let [Event::ConnectionError(error)] = &world.events[..] else { panic!("{:?}", world.events) };
                assert_eq!(error.to_string(), expected, "{ceiling} {piece}");
                assert_eq!(world.closed, [connection]);
            }
        }
    }
}

#[test]
fn security_protocol_mismatches_are_distinguished() {
    let text_of = |change: &dyn Fn(&mut World, &mut MachineConfig), reply: &dyn Fn(&Request) -> Reply| {
        let mut world = World::new(|_| {});
        let mut config = MachineConfig::new([("boot", 9092)]);
        change(&mut world, &mut config);
        let clock = Clock { now: Instant::START, wall: Timestamp::from_millis(1_000) };
        world.producer = Machine::new(config, clock, 42);
        world.producer.lookup_topic("t", world.now);
        drive(&mut world, reply, |event| match event {
            Event::ConnectionError(error) => Some(error.to_string()),
            _ => None,
        })
    };
    let with_sasl = |world: &mut World, config: &mut MachineConfig| {
        config.sasl = Some(Sasl::new(SaslMechanism::Plain, "me", "secret").unwrap());
        world.session = Some(0);
    };
    // The response of Kafka on a port without SASL (KafkaApis.handleSaslHandshakeRequest).
    let no_sasl = |request: &Request| match request.api {
        17 => Reply::Bytes(frame(request.correlation, &[&34_i16.to_be_bytes()[..], &[0; 4]].concat())),
        _ => Reply::Usual,
    };
    let expected = "boot:9092: the broker answered SaslHandshake v1 with ILLEGAL_SASL_STATE (34); this port does not support SASL: \
                    set security.protocol to plaintext (it is sasl_plaintext)";
    assert_eq!(text_of(&with_sasl, &no_sasl), expected);
    // A broker that does not support SaslHandshake at all.
    let unlisted = |world: &mut World, config: &mut MachineConfig| {
        with_sasl(world, config);
        world.session = None;
        config.over_tls = true;
    };
    let expected = "boot:9092: it offers no version of SaslHandshake that this client supports (0-1); this port does not support SASL: \
                    set security.protocol to ssl (it is sasl_ssl)";
    assert_eq!(text_of(&unlisted, &|_| Reply::Usual), expected);
    // Over TLS, a broker that closes the connection on the first request may require SASL.
    let over_tls = |_: &mut World, config: &mut MachineConfig| config.over_tls = true;
    let closes = |api: i16| move |request: &Request| if request.api == api { Reply::Close } else { Reply::Usual };
    let expected = "boot:9092: the broker closed the connection while Metadata v1 was unanswered; if this port requires SASL, set \
                    security.protocol to sasl_ssl (it is ssl)";
    assert_eq!(text_of(&over_tls, &closes(METADATA)), expected);
    // With SASL and TLS there is no other setting to suggest.
    let both = |world: &mut World, config: &mut MachineConfig| {
        with_sasl(world, config);
        config.over_tls = true;
    };
    let expected = "boot:9092: the broker closed the connection while ApiVersions v3 was unanswered";
    assert_eq!(text_of(&both, &closes(API_VERSIONS)), expected);
}

#[test]
fn after_any_response_a_closed_connection_is_no_security_protocol_mismatch() {
    let mut world = World::new(|_| {});
    world.send(&["x"], 0);
    world.run();
    for (connection, _) in world.connects.clone() {
        world.disconnect(connection);
    }
    world.run();
    world.send(&["y"], 0);
    let error = drive(&mut world, on(API_VERSIONS, |_| Reply::Close), |event| match event {
        Event::ConnectionError(error) => Some(error),
        _ => None,
    });
    assert_eq!(error.mismatch, None, "{error}");
}

/// The driver reports that the peer does not take part in the TLS handshake.
#[test]
fn tls_to_a_plaintext_port_is_reported() {
    for (sasl, expected) in [
        (
            false,
            "boot:9092: the TLS handshake failed: closed; this port seems to use plaintext, not TLS: set security.protocol \
             to plaintext (it is ssl)",
        ),
        (
            true,
            "boot:9092: the TLS handshake failed: closed; this port seems to use plaintext, not TLS: set security.protocol \
             to sasl_plaintext (it is sasl_ssl)",
        ),
    ] {
        let mut world = World::new(|config| {
            config.over_tls = true;
            config.sasl = sasl.then(|| Sasl::new(SaslMechanism::Plain, "me", "secret").unwrap());
        });
        world.ignores_connects = true;
        world.producer.lookup_topic("t", world.now);
        world.run();
        let connection = world.connects[0].0;
        let closed = TransportError::from(String::from("closed"));
        world.producer.handle_input(Input::Closed(connection, Disconnect::NoTls, Some(&closed)), world.now);
        world.run();
        let [Event::ConnectionError(error)] = &world.events[..] else { panic!("{:?}", world.events) };
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn a_closed_idle_connection_is_no_error() {
    for how in [Disconnect::ByPeer, Disconnect::Broken] {
        let mut world = World::new(|_| {});
        world.send(&["x"], 0);
        world.run();
        world.now = at(60_000);
        world.events.clear();
        let connection = world.connects[1].0;
        world.producer.handle_input(Input::Closed(connection, how, None), world.now);
        world.run();
        let [Event::ClosedIdle { error: end, idle }] = &world.events[..] else { panic!("{:?}", world.events) };
        assert_eq!((end.broker.to_string().as_str(), idle.as_secs()), ("broker 1 at broker:9001", 60));
        world.send(&["y"], 0);
        world.pass(at(61_000));
        assert_eq!(world.fates(), [(1, DONE)]);
    }
}

#[test]
fn a_connection_that_ends_while_a_request_is_pending_is_an_error() {
    let mut world = World::new(|_| {});
    world.send(&["x"], 0);
    world.run();
    world.pipeline(&["y"]);
    world.events.clear();
    world.disconnect(world.connects[1].0);
    world.run();
    let [Event::ConnectionError(error)] = &world.events[..] else { panic!("{:?}", world.events) };
    let expected = "broker 1 at broker:9001: the connection failed while Produce v3 was unanswered";
    assert_eq!(error.to_string(), expected);
}

/// With `acks=0`, Kafka refuses a batch by closing the connection, which must not be taken for closing an idle one.
#[test]
fn without_acks_a_connection_that_ends_soon_after_a_batch_is_an_error() {
    for (millis, is_error) in [(29_999, true), (30_000, false)] {
        let mut world = World::new(|config| config.acks = Acks::None);
        world.send(&["x"], 0);
        world.run();
        world.now = at(millis);
        world.events.clear();
        world.producer.handle_input(Input::Closed(world.connects[1].0, Disconnect::ByPeer, None), world.now);
        world.run();
        assert_eq!(matches!(world.events[..], [Event::ConnectionError(_)]), is_error, "{millis}: {:?}", world.events);
    }
}

/// The old connection's error has the old address, even after metadata has returned a new one.
#[test]
fn an_error_names_the_address_of_its_connection() {
    let mut world = World::new(|config| config.metadata_max_age = Duration::from_secs(10));
    world.send(&["x"], 0);
    world.run();
    let old = world.connects[1].0;
    world.pipeline(&["y"]);
    // A broker that moved: the same id at another port.
    let moved = |request: &Request| match request.api {
        METADATA => {
            let mut answer = World::new(|_| {}).answer(request).unwrap();
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
    world.disconnect(old);
    world.run();
    let errors: Vec<_> = world.events.iter().filter(|event| matches!(event, Event::ConnectionError(_))).collect();
    let [Event::ConnectionError(error)] = errors[..] else { panic!("{:?}", world.events) };
    let expected = "broker 1 at broker:9001: the connection failed while Produce v3 was unanswered";
    assert_eq!(error.to_string(), expected);
    world.pass(at(12_000));
    assert_eq!(world.connects.last().unwrap().1, 9999);
}
