//! Tests of the cause in the error of a batch or a lookup, for each thing that it can wait for. The texts are a
//! contract.

use super::*;

/// How a broker reacts to a request.
pub(super) enum Reply {
    Usual,
    Silence,
    /// Closes the connection.
    Close,
    /// Sends these bytes.
    Bytes(Vec<u8>),
    /// Sends these bytes, and closes the connection.
    BytesAndClose(Vec<u8>),
}

const INIT_PRODUCER_ID: i16 = 22;
const PRODUCE: i16 = 0;
pub(super) const METADATA: i16 = 3;
pub(super) const API_VERSIONS: i16 = 18;

/// Drives the machine against brokers that reply as specified, until `ends` returns a value for an event.
pub(super) fn drive<T>(
    world: &mut World,
    mut reply: impl FnMut(&Request) -> Reply,
    mut ends: impl FnMut(Event) -> Option<T>,
) -> T {
    for _ in 0..10_000 {
        match world.producer.poll_output(world.now) {
            Output::Connect { connection, .. } if !world.ignores_connects => {
                world.producer.handle_input(Input::Connected(connection), world.now);
            }
            Output::Transmit { connection, bytes } => {
                let request = Request::parse(connection, &bytes);
                let (bytes, closes) = match reply(&request) {
                    Reply::Usual => (world.answer(&request).unwrap_or_default(), false),
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
            Output::Wait(next) => world.now = next.expect("a pending batch or lookup has a deadline"),
            Output::Connect { .. } | Output::Close(_) => {}
        }
    }
    panic!("no event ended the run");
}

/// Returns the reason why a batch failed, by default with a delivery timeout of 3 s and a request timeout of 10 s.
fn reason(change: impl FnOnce(&mut World, &mut MachineConfig), reply: impl FnMut(&Request) -> Reply) -> String {
    let mut world = World::new(|_| {});
    let mut config = MachineConfig::new([("boot", 9092)]);
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

const LATE: &str = "the batch was not acknowledged within delivery.timeout.ms (3000): ";

#[track_caller]
pub(super) fn is(found: &str, expected: &str) {
    // Most durations depend on the jitter of the back-off: `#` stands for any number, and only the others are exact.
    let number = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let late = found.strip_prefix("the batch was not acknowledged within delivery.timeout.ms (");
    let late = late.and_then(|rest| rest[number(rest)..].strip_prefix("): "));
    let found = late.unwrap_or_else(|| panic!("{found}"));
    let (mut found_rest, mut expected_rest) = (found, expected);
    while let Some((same, after)) = expected_rest.split_once('#') {
        let rest = found_rest.strip_prefix(same).unwrap_or_else(|| panic!("\n{found}\n{expected}"));
        assert!(number(rest) > 0, "\n{found}\n{expected}");
        (found_rest, expected_rest) = (&rest[number(rest)..], after);
    }
    assert_eq!(found_rest, expected_rest, "\n{found}\n{expected}");
}

pub(super) fn on(api: i16, mut reply: impl FnMut(&Request) -> Reply) -> impl FnMut(&Request) -> Reply {
    move |request| if request.api == api { reply(request) } else { Reply::Usual }
}

fn nothing(_: &mut World, _: &mut MachineConfig) {}

/// The delivery timeout is shorter than the other limits, so nothing has failed before it expires.
#[test]
fn the_pending_request_is_named_with_api_and_version() {
    let ignores_connects = |world: &mut World, _: &mut MachineConfig| world.ignores_connects = true;
    is(&reason(ignores_connects, |_| Reply::Usual), "waiting for a connection to boot:9092, begun 3000 ms before");
    for (api, expected) in [
        (API_VERSIONS, "waiting for boot:9092 to answer ApiVersions v3, sent 3000 ms before"),
        (METADATA, "waiting for boot:9092 to answer Metadata v1, sent 3000 ms before"),
        (INIT_PRODUCER_ID, "waiting for broker 1 at broker:9001 to answer InitProducerId v0, sent 3000 ms before"),
        (PRODUCE, "waiting for broker 1 at broker:9001 to answer Produce v3, sent 3000 ms before"),
    ] {
        is(&reason(nothing, on(api, |_| Reply::Silence)), expected);
    }
    let with_sasl = |world: &mut World, config: &mut MachineConfig| {
        config.sasl = Some(Sasl::new(SaslMechanism::Plain, "me", "secret").unwrap());
        world.session = Some(0);
    };
    for (api, expected) in [
        (17, "waiting for boot:9092 to answer SaslHandshake v1, sent 3000 ms before"),
        (36, "waiting for boot:9092 to answer SaslAuthenticate v1, sent 3000 ms before"),
    ] {
        is(&reason(with_sasl, on(api, |_| Reply::Silence)), expected);
    }
    let without_acks = |_: &mut World, config: &mut MachineConfig| config.acks = Acks::None;
    let expected = "waiting to write Produce v3 to broker 1 at broker:9001, begun 3000 ms before";
    is(&reason(without_acks, on(PRODUCE, |_| Reply::Silence)), expected);
}

#[test]
fn the_connection_to_the_leader_is_named_while_it_is_not_ready() {
    let mut first = None;
    let silent = on(API_VERSIONS, move |request| {
        let is_first = *first.get_or_insert(request.connection) == request.connection;
        if is_first { Reply::Usual } else { Reply::Silence }
    });
    is(&reason(nothing, silent), "waiting for broker 1 at broker:9001 to answer ApiVersions v3, sent 3000 ms before");
}

#[test]
fn a_broker_that_did_not_respond_is_named_although_the_next_connection_is_ready() {
    let impatient = |_: &mut World, config: &mut MachineConfig| config.request_timeout = Duration::from_secs(1);
    for (api, request, broker) in [
        (API_VERSIONS, "ApiVersions v3", "boot:9092"),
        (METADATA, "Metadata v1", "boot:9092"),
        (INIT_PRODUCER_ID, "InitProducerId v0", "broker 1 at broker:9001"),
        (PRODUCE, "Produce v3", "broker 1 at broker:9001"),
    ] {
        let expected = alloc::format!(
            "waiting for {broker} to answer {request}, sent # ms before; last error # ms before: {broker}: {request} was not answered \
             within request.timeout.ms (1000)"
        );
        is(&reason(impatient, on(api, |_| Reply::Silence)), &expected);
    }
}

#[test]
fn a_broker_that_closed_the_connection_is_named_although_the_next_one_is_ready() {
    let tried = |api: i16| {
        let mut count = 0;
        // The last connection gets no response, so that it is ready, and the error is from an earlier one.
        on(api, move |_| {
            count += 1;
            if count < 4 { Reply::Close } else { Reply::Silence }
        })
    };
    let expected = "waiting for boot:9092 to answer ApiVersions v3, sent # ms before; last error # ms before: boot:9092: the \
                    broker closed the connection while ApiVersions v3 was unanswered; if this port requires TLS or SASL, set \
                    security.protocol to ssl, sasl_plaintext or sasl_ssl (it is plaintext)";
    is(&reason(nothing, tried(API_VERSIONS)), expected);
    let expected = "waiting for boot:9092 to answer Metadata v1, sent # ms before; last error # ms before: boot:9092: the \
                    broker closed the connection while Metadata v1 was unanswered; if this port requires SASL, set \
                    security.protocol to sasl_plaintext (it is plaintext)";
    is(&reason(nothing, tried(METADATA)), expected);
    for (api, request) in [(INIT_PRODUCER_ID, "InitProducerId v0"), (PRODUCE, "Produce v3")] {
        let broker = "broker 1 at broker:9001";
        let expected = alloc::format!(
            "waiting for {broker} to answer {request}, sent # ms before; last error # ms before: {broker}: the broker closed the \
             connection while {request} was unanswered"
        );
        is(&reason(nothing, tried(api)), &expected);
    }
}

#[test]
fn a_broker_that_issues_no_producer_id_is_named() {
    let none = |request: &Request| {
        let body = [&[0; 6][..], &(-1_i64).to_be_bytes(), &(-1_i16).to_be_bytes()].concat();
        Reply::Bytes(frame(request.correlation, &body))
    };
    is(
        &reason(nothing, on(INIT_PRODUCER_ID, none)),
        "waiting for a producer id (InitProducerId); last error # ms before: broker 1 at broker:9001: the broker \
         answered InitProducerId with producer id -1 and epoch -1, which no producer can have",
    );
    let refused = |request: &Request| {
        let code = ErrorCode::COORDINATOR_NOT_AVAILABLE.0.to_be_bytes();
        let body = [&[0; 4][..], &code, &(-1_i64).to_be_bytes(), &(-1_i16).to_be_bytes()].concat();
        Reply::Bytes(frame(request.correlation, &body))
    };
    is(
        &reason(nothing, on(INIT_PRODUCER_ID, refused)),
        "waiting for a producer id (InitProducerId); last error # ms before: broker 1 at broker:9001: the broker answered \
         InitProducerId v0 with COORDINATOR_NOT_AVAILABLE (15)",
    );
}

/// As nafka, which accepts magic 2 and has no InitProducerId: the batch is sent without a producer id.
#[test]
fn a_broker_without_producer_ids_is_named_once_the_batch_was_sent() {
    let without = "; the batch has no producer id, which the broker does not support (InitProducerId), so each attempt may have been \
                   written";
    for (produce, init_producer_id) in [(8, -1), (2, 0)] {
        let has_no_producer_ids = |world: &mut World, _: &mut MachineConfig| {
            (world.produce, world.init_producer_id) = (produce, init_producer_id);
        };
        let expected =
            alloc::format!("waiting for broker 1 at broker:9001 to answer Produce v{produce}, sent 3000 ms before");
        is(&reason(has_no_producer_ids, on(PRODUCE, |_| Reply::Silence)), &[&expected, without].concat());
        let waits = "waiting for boot:9092 to answer Metadata v1, sent 3000 ms before";
        is(&reason(has_no_producer_ids, on(METADATA, |_| Reply::Silence)), waits);
        let not_idempotent = |world: &mut World, config: &mut MachineConfig| {
            has_no_producer_ids(world, config);
            config.enable_idempotence = false;
        };
        is(&reason(not_idempotent, on(PRODUCE, |_| Reply::Silence)), &expected);
    }
}

#[test]
fn a_truncated_response_is_named_with_api_and_version() {
    for (api, broker, request) in [
        (METADATA, "boot:9092", "Metadata v1"),
        (INIT_PRODUCER_ID, "broker 1 at broker:9001", "InitProducerId v0"),
        (PRODUCE, "broker 1 at broker:9001", "Produce v3"),
    ] {
        let found = reason(nothing, on(api, |request| Reply::Bytes(frame(request.correlation, &[0; 3]))));
        let expected = alloc::format!(
            "last error # ms before: {broker}: it violates the protocol: {request} response, byte #: a value of # bytes \
             where # are left"
        );
        // A Metadata request that is pending at that time is named first.
        let at = found.find("last error").unwrap_or_else(|| panic!("{found}"));
        is(&[LATE, &found[at..]].concat(), &expected);

        // The frame itself is truncated.
        let cut = |request: &Request| frame(request.correlation, &[0; 96])[..24].to_vec();
        let found = reason(nothing, on(api, |request| Reply::BytesAndClose(cut(request))));
        let expected = alloc::format!(
            "{broker}: the broker closed the connection while {request} was unanswered (20 of 100 bytes of a response had arrived)"
        );
        assert!(found.contains(&expected), "{found}");
        let impatient = |_: &mut World, config: &mut MachineConfig| config.request_timeout = Duration::from_secs(1);
        let found = reason(impatient, on(api, |request| Reply::Bytes(cut(request))));
        let expected = alloc::format!(
            "{broker}: {request} was not answered within request.timeout.ms (1000) (20 of 100 bytes of a response had arrived)"
        );
        assert!(found.contains(&expected), "{found}");
    }
}

#[test]
fn a_response_without_the_batch_or_the_brokers_is_named() {
    let empty = |request: &Request| Reply::Bytes(frame(request.correlation, &[0; 8]));
    is(
        &reason(nothing, on(PRODUCE, empty)),
        "last error # ms before: broker 1 at broker:9001: it violates the protocol: its response to Produce v3 has \
         no entry for t-0",
    );
    let no_brokers = |request: &Request| Reply::Bytes(frame(request.correlation, &[0; 12]));
    is(
        &reason(nothing, on(METADATA, no_brokers)),
        "waiting for Metadata; last error # ms before: boot:9092: it violates the protocol: its response to Metadata \
         v1 lists no brokers",
    );
    let code_and_leader = |code: ErrorCode, leader: i32| {
        on(METADATA, move |request| {
            let mut world = World::new(|_| {});
            (world.partitions, world.leader) = (1, leader);
            let mut answer = world.answer(request).unwrap();
            let partition = answer.len() - 18; // code, partition, leader, and two empty lists
            answer[partition..partition + 2].copy_from_slice(&code.0.to_be_bytes());
            Reply::Bytes(answer)
        })
    };
    let remedy = "; leaders are missing while a topic is created, and while its brokers are down: try again later";
    for (code, leader, error, remedy) in [
        (ErrorCode::LEADER_NOT_AVAILABLE, -1, "LEADER_NOT_AVAILABLE (5)", remedy),
        (ErrorCode::NONE, -1, "LEADER_NOT_AVAILABLE (5)", remedy),
        (ErrorCode::NONE, 7, "LEADER_NOT_AVAILABLE (5)", remedy),
        (ErrorCode::LISTENER_NOT_FOUND, -1, "LISTENER_NOT_FOUND (72)", ""),
    ] {
        let expected = alloc::format!(
            "waiting for Metadata; last error # ms before: the broker answered Metadata v1 with {error}: partition 0 has no \
             leader{remedy}"
        );
        is(&reason(nothing, code_and_leader(code, leader)), &expected);
    }
}

#[test]
fn a_retriable_produce_error_is_named_together_with_the_pending_request() {
    let mut codes = VecDeque::from([ErrorCode::NOT_ENOUGH_REPLICAS; 3]);
    let refuses = |request: &Request| match codes.pop_front() {
        Some(code) => {
            let mut world = World::new(|_| {});
            world.responses.push_back(Some(code.0));
            Reply::Bytes(world.answer(request).unwrap())
        }
        None => Reply::Silence,
    };
    is(
        &reason(nothing, on(PRODUCE, refuses)),
        "waiting for broker 1 at broker:9001 to answer Produce v3, sent # ms before; last error # ms before: broker 1 answered \
         Produce v3 with NOT_ENOUGH_REPLICAS (19); fewer replicas are in sync than the topic's min.insync.replicas \
         requires: wait for replicas, or lower it",
    );
}

#[test]
fn the_error_of_the_system_is_included_but_not_an_old_error_of_another_broker() {
    let mut world = World::new(|config| {
        config.bootstrap_servers = vec![("a".into(), 1), ("b".into(), 2)];
        config.delivery_timeout = Duration::from_secs(3);
    });
    world.ignores_connects = true;
    world.send(&["x"], 0);
    let Output::Connect { connection, host, port } = world.producer.poll_output(world.now) else { panic!() };
    let refused = TransportError::from(String::from("Connection refused (os error 111)"));
    world.producer.handle_input(Input::Closed(connection, Disconnect::NotConnected, Some(&refused)), world.now);
    let failed = |event: Event| match event {
        Event::Failed { error, .. } => Some(error.reason.to_string()),
        _ => None,
    };
    let found = drive(&mut world, |_| Reply::Usual, failed);
    let expected = alloc::format!(
        "last error 3000 ms before: {host}:{port}: could not connect: Connection refused (os error 111)"
    );
    assert!(found.ends_with(&expected), "{found}");

    // The error is irrelevant for a later batch that waits for another broker.
    world.ignores_connects = false;
    world.pass(at(20_000));
    world.send(&["y"], 0);
    let found = drive(&mut world, on(PRODUCE, |_| Reply::Silence), failed);
    is(&found, "waiting for broker 1 at broker:9001 to answer Produce v3, sent # ms before");
}

#[test]
fn an_error_from_before_the_batch_counts_while_there_is_no_connection() {
    let mut world = World::new(|config| {
        config.delivery_timeout = Duration::from_millis(500);
        config.reconnect_backoff = Duration::from_secs(10);
        config.reconnect_backoff_max = Duration::from_secs(10);
    });
    world.ignores_connects = true;
    world.producer.lookup_topic("t", world.now);
    let Output::Connect { connection, .. } = world.producer.poll_output(world.now) else { panic!() };
    let unreachable = TransportError::from(String::from("no route"));
    world.producer.handle_input(Input::Closed(connection, Disconnect::NotConnected, Some(&unreachable)), world.now);
    world.pass(at(1_000));
    world.send(&["x"], 0);
    world.pass(at(2_000));
    let expected = "waiting for Metadata; last error 1500 ms before: boot:9092: could not connect: no route";
    is(&world.error().reason.to_string(), expected);
}

#[test]
fn the_error_of_a_throttled_batch_names_the_throttling() {
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
fn the_error_of_a_lookup_names_what_it_was_waiting_for() {
    let lookup = |ignores_connects: bool, silent: i16| {
        let mut world = World::new(|config| config.request_timeout = Duration::from_secs(5));
        world.ignores_connects = ignores_connects;
        world.producer.lookup_topic("t", world.now);
        drive(&mut world, on(silent, |_| Reply::Silence), |event| match event {
            Event::Topic { partitions: Err(error), .. } => Some(error.to_string()),
            _ => None,
        })
    };
    let expected = "no response arrived within request.timeout.ms (5000): ";
    assert_eq!(lookup(true, -1), [expected, "waiting for a connection to boot:9092, begun 5000 ms before"].concat());
    for (silent, request) in [(API_VERSIONS, "ApiVersions v3"), (METADATA, "Metadata v1")] {
        let found = lookup(false, silent);
        assert!(found.starts_with(expected) && found.contains(request) && found.contains("boot:9092"), "{found}");
    }
}
