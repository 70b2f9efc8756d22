//! Tests of telemetry (KIP-714): what is pushed and when, and that it never delays batches.

use alloc::format;

use super::*;
use crate::compression::Codec;
use crate::protocol::Uuid;

/// The broker's side: a subscription, and what was pushed.
pub(super) struct Subscriber {
    id: [u8; 16],
    subscription: i32,
    interval: i32,
    max_bytes: i32,
    is_delta: bool,
    metrics: Vec<&'static str>,
    accepted: Vec<u8>,
    /// Error codes of the next responses to GetTelemetrySubscriptions; when empty: none.
    get_errors: VecDeque<i16>,
    /// Error codes of the next responses to PushTelemetry; `None` sends no response. When empty: none.
    push_errors: VecDeque<Option<i16>>,
    /// The ids in GetTelemetrySubscriptions.
    gets: Vec<Vec<u8>>,
    pushes: Vec<Push>,
}

struct Push {
    id: Vec<u8>,
    subscription: i32,
    is_terminating: bool,
    codec: u8,
    metrics: Vec<u8>,
}

impl Default for Subscriber {
    fn default() -> Self {
        Self {
            id: [7; 16],
            subscription: 40,
            interval: 10_000,
            max_bytes: 1_000_000,
            is_delta: false,
            metrics: vec![""],
            accepted: vec![],
            get_errors: VecDeque::new(),
            push_errors: VecDeque::new(),
            gets: Vec::new(),
            pushes: Vec::new(),
        }
    }
}

impl Subscriber {
    pub(super) fn answers(&self, api: i16) -> bool {
        matches!(api, 71 | 72)
    }

    pub(super) fn answer(&mut self, request: &Request) -> Option<Vec<u8>> {
        let body = &request.body[1..]; // after the tagged fields of the header
        let mut answer = vec![0, 0, 0, 0, 0];
        if request.api == 71 {
            self.gets.push(body[..16].to_vec());
            answer.extend(self.get_errors.pop_front().unwrap_or(0).to_be_bytes());
            answer.extend(self.id);
            answer.extend(self.subscription.to_be_bytes());
            answer.push(self.accepted.len() as u8 + 1);
            answer.extend(&self.accepted);
            answer.extend(self.interval.to_be_bytes());
            answer.extend(self.max_bytes.to_be_bytes());
            answer.push(self.is_delta.into());
            answer.push(self.metrics.len() as u8 + 1);
            for metric in &self.metrics {
                answer.push(metric.len() as u8 + 1);
                answer.extend(metric.as_bytes());
            }
        } else {
            let (length, at) = varint(&body[22..]);
            let metrics = body[22 + at..][..length as usize - 1].to_vec();
            self.pushes.push(Push {
                id: body[..16].to_vec(),
                subscription: i32::from_be_bytes(body[16..20].try_into().unwrap()),
                is_terminating: body[20] != 0,
                codec: body[21],
                metrics,
            });
            answer.extend(self.push_errors.pop_front().unwrap_or(Some(0))?.to_be_bytes());
        }
        answer.push(0);
        Some(frame(request.correlation, &answer))
    }
}

/// Returns a varint, and how many bytes it has.
fn varint(bytes: &[u8]) -> (u64, usize) {
    let length = bytes.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
    (bytes[..length].iter().rev().fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f)), length)
}

/// A protobuf field.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// Returns the fields of a protobuf message with their numbers.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Field<'_>)> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let (key, length) = varint(bytes);
        bytes = &bytes[length..];
        let field = match key & 7 {
            0 => {
                let (value, length) = varint(bytes);
                bytes = &bytes[length..];
                Field::Number(value)
            }
            1 => {
                let (value, rest) = bytes.split_at(8);
                bytes = rest;
                Field::Number(u64::from_le_bytes(value.try_into().unwrap()))
            }
            2 => {
                let (size, length) = varint(bytes);
                let (value, rest) = bytes[length..].split_at(size as usize);
                bytes = rest;
                Field::Bytes(value)
            }
            other => panic!("wire type {other}"),
        };
        found.push((key >> 3, field));
    }
    found
}

fn messages(bytes: &[u8], number: u64) -> Vec<&[u8]> {
    let found = fields(bytes).into_iter().filter(|(field, _)| *field == number);
    found.filter_map(|(_, field)| if let Field::Bytes(bytes) = field { Some(bytes) } else { None }).collect()
}

fn number(bytes: &[u8], number: u64) -> Option<u64> {
    let found = fields(bytes).into_iter().find(|(field, _)| *field == number);
    found.and_then(|(_, field)| if let Field::Number(value) = field { Some(value) } else { None })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn attribute(key_value: &[u8]) -> String {
    let value = messages(messages(key_value, 2)[0], 1)[0];
    format!("{}={}", text(messages(key_value, 1)[0]), text(value))
}

/// Returns the points of a push, one a line: name without prefix, kind, labels, value, and the length of its time in seconds.
fn points(data: &[u8]) -> Vec<String> {
    let resource_metrics = messages(data, 1)[0];
    let labels: Vec<String> = messages(messages(resource_metrics, 1)[0], 1).into_iter().map(attribute).collect();
    let mut lines = Vec::new();
    for metric in messages(messages(resource_metrics, 2)[0], 2) {
        let name = text(messages(metric, 1)[0]);
        let name = name.strip_prefix("org.apache.kafka.producer.").unwrap();
        let unit = text(messages(metric, 3)[0]);
        let (kind, data) = match (messages(metric, 5).first(), messages(metric, 7).first()) {
            (Some(gauge), None) => ("gauge".to_string(), *gauge),
            (None, Some(sum)) => {
                assert_eq!(number(sum, 3), Some(1), "it is monotonic");
                (["", "delta", "cumulative"][number(sum, 2).unwrap() as usize].to_string(), *sum)
            }
            _ => panic!("{name} is neither a gauge nor a sum"),
        };
        for point in messages(data, 1) {
            let value = match (number(point, 4), number(point, 6)) {
                (Some(bits), None) => format!("{:.1}", f64::from_bits(bits)),
                (None, Some(value)) => format!("{value}"),
                _ => panic!("{name} has no value"),
            };
            let seconds = number(point, 2).map(|start| (number(point, 3).unwrap() - start) / 1_000_000_000);
            let seconds = seconds.map_or(String::new(), |seconds| format!(" over {seconds} s"));
            let mut own = labels.clone();
            own.extend(messages(point, 7).into_iter().map(attribute));
            lines.push(format!("{kind} {name} [{}] {value} {unit}{seconds}", own.join(" ")));
        }
    }
    lines
}

fn world(change: impl FnOnce(&mut Subscriber)) -> World {
    let mut world = World::new(|_| {});
    let mut subscriber = Subscriber::default();
    change(&mut subscriber);
    world.telemetry = Some(subscriber);
    world
}

impl World {
    fn subscriber(&self) -> &Subscriber {
        self.telemetry.as_ref().unwrap()
    }

    fn pushed(&self) -> Vec<Vec<String>> {
        self.subscriber().pushes.iter().map(|push| points(&push.metrics)).collect()
    }
}

#[test]
fn metrics_are_pushed_at_the_interval_and_the_first_time_with_jitter() {
    let mut world = world(|_| {});
    world.send(&["x"], 0);
    world.pass(at(0));
    assert_eq!(world.subscriber().gets, [[0; 16]], "the broker assigns the id");
    assert_eq!(world.producer.stats(at(0)).client_instance_id, Some(Uuid([7; 16])));
    world.pass(at(4_999));
    assert_eq!(world.subscriber().pushes.len(), 0);
    world.pass(at(15_000));
    assert_eq!(world.subscriber().pushes.len(), 1, "between half the interval and one and a half");
    let push = &world.subscriber().pushes[0];
    assert_eq!((push.id.as_slice(), push.subscription, push.is_terminating), (&[7; 16][..], 40, false));
    let lines = points(&push.metrics);
    let names: Vec<&str> = lines.iter().map(|line| line.split(' ').nth(1).unwrap()).collect();
    let expected = [
        "connection.creation.rate",
        "connection.creation.total",
        "node.request.latency.avg",
        "node.request.latency.max",
        "produce.throttle.time.avg",
        "produce.throttle.time.max",
        "record.queue.time.avg",
        "record.queue.time.max",
    ];
    assert_eq!(names, expected);
    assert!(lines[1].starts_with("cumulative connection.creation.total [] 2 1 over"), "{}", lines[1]);
    assert_eq!(lines[2], "gauge node.request.latency.avg [node_id=1] 0.0 ms");
    world.pass(at(40_000));
    let pushes = world.subscriber().pushes.len();
    assert!((3..=4).contains(&pushes), "{pushes}");
    assert_eq!(world.subscriber().gets.len(), 1);
}

#[test]
fn averages_are_those_since_the_last_push_and_sums_are_as_the_subscription_wants_them() {
    for is_delta in [false, true] {
        let mut world = world(|subscriber| subscriber.is_delta = is_delta);
        world.send(&["x"], 0);
        world.pass(at(15_000));
        let request = world.pipeline(&["y"]).pop().unwrap();
        world.pass(at(15_040));
        world.reply(&request, ErrorCode::NONE);
        let before = world.subscriber().pushes.len();
        world.pass(at(26_000));
        let lines = world.pushed().swap_remove(before);
        let (kind, total) = if is_delta { ("delta", "0 1 over 10 s") } else { ("cumulative", "2 1 over") };
        assert!(lines[1].starts_with(&format!("{kind} connection.creation.total [] {total}")), "{}", lines[1]);
        assert_eq!(lines[2], "gauge node.request.latency.avg [node_id=1] 40.0 ms");
        world.pass(at(40_000));
        let lines = world.pushed().pop().unwrap();
        assert_eq!(lines.len(), 2, "nothing was measured since: {lines:?}");
    }
}

#[test]
fn the_longest_times_are_those_since_the_last_push_that_a_broker_has_taken() {
    let mut world = world(|_| {});
    world.send(&["x"], 0);
    world.pass(at(15_000));
    let request = world.pipeline(&["y"]).pop().unwrap();
    world.pass(at(15_040));
    world.reply(&request, ErrorCode::NONE);
    let before = world.subscriber().pushes.len();
    let refused = Some(ErrorCode::THROTTLING_QUOTA_EXCEEDED.0);
    world.telemetry.as_mut().unwrap().push_errors.push_back(refused);
    world.pass(at(46_000));
    for lines in &world.pushed()[before..][..2] {
        assert_eq!(lines[2], "gauge node.request.latency.avg [node_id=1] 40.0 ms");
        assert_eq!(lines[3], "gauge node.request.latency.max [node_id=1] 40.0 ms");
    }
}

#[test]
fn a_subscription_selects_by_prefix_and_one_to_nothing_is_requested_again() {
    let mut world = world(|subscriber| subscriber.metrics = vec!["org.apache.kafka.producer.connection.", "other"]);
    world.send(&["x"], 0);
    world.pass(at(15_000));
    assert_eq!(world.pushed()[0].len(), 2);
    let mut world = self::world(|subscriber| subscriber.metrics = vec![]);
    world.send(&["x"], 0);
    world.pass(at(35_000));
    assert_eq!((world.subscriber().pushes.len(), world.subscriber().gets.len()), (0, 4));
    assert_eq!(world.subscriber().gets[1], [7; 16]);
}

#[test]
fn each_error_has_its_consequence() {
    let refused = |world: &World| world.events.iter().any(|event| matches!(event, Event::TelemetryRefused(_)));
    // The code; requests for a subscription, pushes and whether it is refused, after 60 s of an interval of 10 s.
    for (code, gets, at_least, is_refused) in [
        (ErrorCode::UNKNOWN_SUBSCRIPTION_ID, 2, 5, false),
        (ErrorCode::UNSUPPORTED_COMPRESSION_TYPE, 2, 5, false),
        (ErrorCode::TELEMETRY_TOO_LARGE, 2, 4, false),
        (ErrorCode::THROTTLING_QUOTA_EXCEEDED, 1, 5, false),
        (ErrorCode::INVALID_RECORD, 1, 1, true),
        (ErrorCode::INVALID_REQUEST, 1, 1, true),
        (ErrorCode::UNSUPPORTED_VERSION, 1, 1, true),
    ] {
        let mut world = world(|subscriber| subscriber.push_errors.push_back(Some(code.0)));
        world.send(&["x"], 0);
        world.pass(at(60_000));
        let pushes = world.subscriber().pushes.len();
        assert_eq!((world.subscriber().gets.len(), refused(&world)), (gets, is_refused), "{code}");
        assert!(if is_refused { pushes == 1 } else { pushes >= at_least }, "{code}: {pushes}");
        assert_eq!(world.fates().len(), 1, "batches are sent in any case");

        let mut world = self::world(|subscriber| subscriber.get_errors.extend([code.0; 3]));
        world.send(&["x"], 0);
        world.pass(at(299_000));
        assert_eq!((world.subscriber().gets.len(), world.subscriber().pushes.len()), (1, 0), "{code}");
        world.pass(at(2_000_000));
        assert_eq!(world.subscriber().gets.len(), if is_refused { 1 } else { 4 }, "{code}");
    }
}

#[test]
fn metrics_that_are_too_large_are_reduced_and_then_omitted() {
    let mut world = world(|subscriber| subscriber.push_errors.extend([Some(118), Some(118)]));
    world.send(&["x"], 0);
    world.pass(at(100_000));
    let sizes =
        |world: &World| -> Vec<usize> { world.subscriber().pushes.iter().map(|push| push.metrics.len()).collect() };
    let refused = sizes(&world);
    assert!(refused.len() == 2 && refused[1] < refused[0], "{refused:?}");
    assert!(!world.pushed()[1].iter().any(|line| line.contains("node_id")));
    // Nothing that is small enough is left to push, so the subscription is requested at every other interval, until it allows more.
    let gets = world.subscriber().gets.len();
    assert!((5..=7).contains(&gets), "{gets}");
    world.pass(at(150_000));
    assert_eq!(sizes(&world), refused);
    assert!((2..=3).contains(&(world.subscriber().gets.len() - gets)));
    world.telemetry.as_mut().unwrap().max_bytes += 1;
    world.pass(at(200_000));
    let after = sizes(&world);
    assert!(after.len() > 4 && after[2] == refused[0], "{after:?}");
}

#[test]
fn the_first_codec_that_is_compiled_in_compresses() {
    let compiled: Vec<Codec> = Codec::ALL.into_iter().filter(|codec| codec.is_compiled()).collect();
    for codec in compiled {
        let mut world = world(|subscriber| subscriber.accepted = vec![9, 0x80, codec.id(), 0]);
        world.send(&["x"], 0);
        world.pass(at(15_000));
        let push = &world.subscriber().pushes[0];
        assert_eq!(push.codec, codec.id());
        let metrics = codec.decompress(Magic::V2, &push.metrics, 10_000).unwrap();
        assert_eq!(points(&metrics).len(), 8);
    }
}

#[test]
fn a_close_pushes_for_the_last_time_and_does_not_wait_long() {
    for (error, waits) in [(Some(0), 0), (Some(42), 0), (None, 1_000)] {
        let mut world = world(|_| {});
        world.send(&["x"], 0);
        world.pass(at(100));
        world.telemetry.as_mut().unwrap().push_errors.push_back(error);
        world.producer.close(CloseMode::Graceful, world.now);
        world.run();
        let is_closed = |world: &World| matches!(world.events.last(), Some(Event::Closed));
        assert_eq!(is_closed(&world), waits == 0);
        world.pass(at(100 + waits));
        assert!(is_closed(&world));
        let pushes: Vec<bool> = world.subscriber().pushes.iter().map(|push| push.is_terminating).collect();
        assert_eq!(pushes, [true]);
    }
    let mut world = world(|_| {});
    world.send(&["x"], 0);
    world.pass(at(100));
    world.producer.close(CloseMode::Immediate, world.now);
    world.run();
    assert!(matches!(world.events.last(), Some(Event::Closed)) && world.subscriber().pushes.is_empty());
}

#[test]
fn the_last_push_follows_one_that_is_in_flight() {
    for (code, expected) in [(ErrorCode::NONE, &[false, true][..]), (ErrorCode::UNKNOWN_SUBSCRIPTION_ID, &[false])] {
        let mut world = world(|subscriber| subscriber.push_errors.push_back(None));
        world.send(&["x"], 0);
        world.pass(at(15_000));
        let request = world.requests.last().unwrap().clone();
        assert_eq!(request.api, 72);
        world.producer.close(CloseMode::Graceful, world.now);
        world.run();
        assert!(!matches!(world.events.last(), Some(Event::Closed)));
        world.silent_connections.clear();
        let answer = frame(request.correlation, &[&[0; 5][..], &code.0.to_be_bytes(), &[0]].concat());
        world.producer.handle_input(Input::Received(request.connection, &answer), world.now);
        world.run();
        assert!(matches!(world.events.last(), Some(Event::Closed)), "{code}");
        let pushes: Vec<bool> = world.subscriber().pushes.iter().map(|push| push.is_terminating).collect();
        assert_eq!(pushes, expected);
    }
}

#[test]
fn a_push_without_a_response_delays_no_batch() {
    let mut world = world(|subscriber| subscriber.push_errors.push_back(None));
    world.producer = Machine::new(
        {
            let mut config = MachineConfig::new([("boot", 9092)]);
            config.max_in_flight_requests_per_connection = 1;
            config
        },
        Clock { now: Instant::START, wall: Timestamp::from_millis(1_000) },
        42,
    );
    world.send(&["x"], 0);
    world.pass(at(15_000));
    assert_eq!(world.subscriber().pushes.len(), 1);
    let produced = world.produced().len();
    world.send(&["y"], 0);
    world.run();
    assert_eq!(world.produced().len(), produced + 1, "it is sent while the push is in flight");
    world.pass(at(120_000));
    assert!(world.subscriber().pushes.len() > 2, "after request.timeout.ms telemetry goes on with another connection");
}

#[test]
fn nothing_is_requested_if_it_is_switched_off_or_no_broker_takes_it() {
    let mut world = world(|_| {});
    world.producer = {
        let mut config = MachineConfig::new([("boot", 9092)]);
        config.enable_metrics_push = false;
        Machine::new(config, Clock { now: Instant::START, wall: Timestamp::from_millis(1_000) }, 42)
    };
    world.send(&["x"], 0);
    world.pass(at(60_000));
    assert!(world.subscriber().gets.is_empty());
    let mut world = World::new(|_| {});
    world.send(&["x"], 0);
    world.pass(at(60_000));
    assert!(!world.apis().iter().any(|api| [71, 72].contains(api)));
}

#[test]
fn what_a_broker_must_not_answer_does_no_harm() {
    // Intervals that are none: the default is five minutes; the shortest is 100 ms.
    for (interval, least, most) in [(0, 0, 0), (-5, 0, 0), (i32::MIN, 0, 0), (1, 5, 20), (i32::MAX, 0, 0)] {
        let mut world = world(|subscriber| subscriber.interval = interval);
        world.send(&["x"], 0);
        world.pass(at(1_000));
        let pushes = world.subscriber().pushes.len();
        assert!((least..=most).contains(&pushes), "{interval}: {pushes}");
    }
    // No id, and sizes for which nothing is small enough.
    for change in [
        (|subscriber| subscriber.id = [0; 16]) as fn(&mut Subscriber),
        |subscriber| subscriber.max_bytes = 0,
        |subscriber| subscriber.max_bytes = -1,
    ] {
        let mut world = world(change);
        world.send(&["x"], 0);
        world.pass(at(60_000));
        assert_eq!(world.subscriber().pushes.len(), 0);
        assert_eq!(world.fates().len(), 1);
        world.producer.close(CloseMode::Graceful, world.now);
        world.run();
        assert!(matches!(world.events.last(), Some(Event::Closed)));
    }
}
