//! Spans of the crate `tracing` for batches, over tokio, smol and librdkafka; and headers of a trace in messages.
//!
//! The subscriber is that of the process, because a producer's task may run on any thread, so each case has a topic of its own.

mod capture;

/// What the guide shows.
mod shown {
    use kafka_batch_witnesses::opentelemetry;

    include!("../../docs/opentelemetry.rs");

    pub(super) const ADD_TRACE: fn(&str, &mut EncodedHeaders) = add_trace;
}

use std::sync::OnceLock;
use std::time::Duration;

use kafka_batch::observer::TracingObserver;
use kafka_batch::protocol::ErrorCode;
use kafka_batch::{Header, KafkaBatch, Publish, RdkafkaProducer, Record, SmolProducer, TokioProducer, TopicPartition};
use kafka_batch_testing::{ApiKey, Fault, FaultKind, TestCluster, Topic};
use kafka_batch_witnesses::opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState,
};
use kafka_batch_witnesses::{opentelemetry, opentelemetry_sdk, smol, tracing};

use crate::capture::{Capture, CapturedSpan, Fields};

fn capture() -> &'static Capture {
    static CAPTURE: OnceLock<Capture> = OnceLock::new();
    CAPTURE.get_or_init(|| {
        let capture = Capture::default();
        tracing::subscriber::set_global_default(capture.clone()).expect("nothing else sets it");
        capture
    })
}

fn cluster(topic: &str, brokers: usize) -> TestCluster {
    capture();
    let cluster = TestCluster::builder().brokers(brokers).topic(Topic::new(topic)).start().unwrap();
    assert!(cluster.move_leader(topic, 0, 1));
    cluster
}

fn batch(values: &[&str]) -> KafkaBatch {
    let mut batch = KafkaBatch::new(1_000);
    batch.extend(values.iter().map(Record::new)).unwrap();
    batch
}

/// Settings of all producers here.
macro_rules! build {
    ($producer:ident, $cluster:ident) => {
        $producer::builder()
            .set("bootstrap.servers", $cluster.bootstrap_servers())
            .set("client.id", "shop")
            .set("retry.backoff.ms", "1")
            .observer(TracingObserver::new())
    };
}

/// Waits for the spans of this topic to be closed: their tasks can run on other threads.
fn closed_spans(topic: &str, count: usize) -> Vec<CapturedSpan> {
    let limit = std::time::Instant::now() + Duration::from_secs(20);
    loop {
        let spans = capture().spans_of(topic);
        if spans.len() >= count && spans.iter().all(|span| span.is_closed) {
            assert_eq!(spans.len(), count, "{spans:#?}");
            return spans;
        }
        assert!(std::time::Instant::now() < limit, "{spans:#?}");
        std::thread::yield_now();
    }
}

fn assert_fields(fields: &Fields, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        assert_eq!(fields.get(*name).map(String::as_str), Some(*value), "{name}: {fields:#?}");
    }
}

/// The attributes that every span has, by the semantic conventions for Kafka.
fn assert_conventional(span: &CapturedSpan, topic: &str, records: usize) {
    assert_eq!(span.name, "send");
    let expected = [
        ("otel.name", &*format!("send {topic}")),
        ("otel.kind", "client"),
        ("messaging.system", "kafka"),
        ("messaging.operation.name", "send"),
        ("messaging.operation.type", "send"),
        ("messaging.destination.name", topic),
        ("messaging.destination.partition.id", "0"),
        ("messaging.batch.message_count", &*records.to_string()),
        ("messaging.client.id", "shop"),
    ];
    assert_fields(&span.fields, &expected);
}

/// Delivers two batches, the second of them after its leader has moved.
async fn deliver(producer: &kafka_batch::Producer, cluster: &TestCluster, topic: &str) {
    let to = TopicPartition::new(topic, 0);
    producer.send_batch(batch(&["one"]), to.clone()).await.unwrap().await.unwrap();
    assert!(cluster.move_leader(topic, 0, 2));
    producer.send_batch(batch(&["two", "three"]), to).await.unwrap().await.unwrap();
    producer.close().await.unwrap();
}

fn check_delivered(cluster: &TestCluster, topic: &str) {
    let spans = closed_spans(topic, 2);
    assert_conventional(&spans[0], topic, 1);
    assert_conventional(&spans[1], topic, 2);
    let address = |broker| cluster.address(broker).unwrap();
    let port = |broker| address(broker).port().to_string();
    let host = address(1).ip().to_string();
    assert_fields(
        &spans[0].fields,
        &[("server.address", &host), ("server.port", &port(1)), ("messaging.kafka.offset", "0")],
    );
    assert_fields(&spans[1].fields, &[("server.port", &port(2)), ("kafka_batch.base_offset", "1")]);
    for absent in ["error.type", "otel.status_code", "messaging.kafka.offset"] {
        assert!(!spans[1].fields.contains_key(absent), "{spans:#?}");
    }
    let events: Vec<&str> = spans[1].events.iter().map(|(_, name, _)| &**name).collect();
    for expected in ["sent", "retry", "leader change"] {
        assert!(events.contains(&expected), "{events:?}");
    }
    assert!(spans[0].events.iter().any(|(_, name, fields)| name == "producer id" && fields.contains_key("epoch")));
    let (level, _, retry) = spans[1].events.iter().find(|(_, name, _)| name == "retry").unwrap();
    assert_eq!(level, "WARN");
    assert_fields(retry, &[("broker", "1"), ("failures", "1"), ("error.type", "NOT_LEADER_OR_FOLLOWER")]);
    let is_of = |fields: &Fields| fields.get("messaging.destination.name").is_some_and(|name| name == topic);
    let outside: Vec<_> = capture().outside().into_iter().filter(|(_, fields)| is_of(fields)).collect();
    let [(name, fields)] = &outside[..] else { panic!("{outside:?}") };
    assert_eq!(name, "leader change");
    assert_fields(fields, &[("previous", "1"), ("leader", "2"), ("messaging.destination.partition.id", "0")]);
}

#[tokio::test]
async fn over_tokio() {
    let cluster = cluster("tokio", 2);
    let producer = build!(TokioProducer, cluster).build().unwrap();
    deliver(&producer, &cluster, "tokio").await;
    check_delivered(&cluster, "tokio");
}

#[test]
fn over_smol() {
    let cluster = cluster("smol", 2);
    let producer = build!(SmolProducer, cluster).build().unwrap();
    smol::block_on(deliver(&producer, &cluster, "smol"));
    check_delivered(&cluster, "smol");
}

#[test]
fn over_librdkafka() {
    let cluster = cluster("rdkafka", 1);
    let producer = build!(RdkafkaProducer, cluster).build().unwrap();
    smol::block_on(async {
        let to = TopicPartition::new("rdkafka", 0);
        producer.send_batch(batch(&["one", "two"]), to).await.unwrap().await.unwrap();
    });
    let spans = closed_spans("rdkafka", 1);
    assert_conventional(&spans[0], "rdkafka", 2);
    assert_fields(&spans[0].fields, &[("kafka_batch.base_offset", "0")]);
}

#[tokio::test]
async fn a_failure_has_its_type_its_status_and_the_fate_of_the_records() {
    let cluster = cluster("failing", 1);
    let producer = build!(TokioProducer, cluster).set("delivery.timeout.ms", "300").set("request.timeout.ms", "200");
    let producer = producer.set("linger.ms", "0").build().unwrap();
    let refuse = FaultKind::Refuse { code: ErrorCode::INVALID_RECORD.0, all: true };
    cluster.inject(Fault::new(refuse).api(ApiKey::Produce));
    let to = TopicPartition::new("failing", 0);
    producer.send_batch(batch(&["refused"]), to.clone()).await.unwrap().await.unwrap_err();
    cluster.inject(Fault::new(FaultKind::DelayResponse(Duration::MAX)).api(ApiKey::Produce).always());
    producer.send_batch(batch(&["late"]), to.clone()).await.unwrap().await.unwrap_err();
    producer.close_at_once().await.unwrap();
    let spans = closed_spans("failing", 2);
    let status = ("otel.status_code", "ERROR");
    assert_fields(&spans[0].fields, &[("error.type", "INVALID_RECORD"), status, ("kafka_batch.fate", "not written")]);
    let late = [("error.type", "timeout"), status, ("kafka_batch.fate", "unknown, perhaps written")];
    assert_fields(&spans[1].fields, &late);
    assert!(spans[1].fields["otel.status_description"].contains("delivery.timeout.ms"), "{spans:#?}");
}

#[tokio::test]
async fn a_batch_that_the_caller_gets_back_is_not_accepted() {
    let cluster = cluster("small", 1);
    let producer = build!(TokioProducer, cluster).set("buffer.memory", "100").build().unwrap();
    let error = producer.send_batch(batch(&[&"x".repeat(200)]), TopicPartition::new("small", 0)).await.unwrap_err();
    assert!(error.to_string().contains("buffer.memory"), "{error}");
    let spans = closed_spans("small", 1);
    assert_fields(&spans[0].fields, &[("error.type", "not_accepted"), ("otel.status_code", "ERROR")]);
}

#[tokio::test]
async fn throttling_is_an_event_of_the_batches_that_wait_for_it() {
    let cluster = cluster("throttled", 1);
    let producer = build!(TokioProducer, cluster).build().unwrap();
    let to = TopicPartition::new("throttled", 0);
    cluster.inject(Fault::new(FaultKind::Throttle(20)).api(ApiKey::Produce));
    // Before its first acknowledgement, a producer has one request in flight. Its response throttles the second one.
    let first = producer.send_batch(batch(&["one"]), to.clone()).await.unwrap();
    let second = producer.send_batch(batch(&["two"]), to).await.unwrap();
    first.await.unwrap();
    second.await.unwrap();
    producer.close().await.unwrap();
    let spans = closed_spans("throttled", 2);
    let port = cluster.address(1).unwrap().port().to_string();
    let outside = capture().outside();
    let is_ours = |(name, fields): &&(String, Fields)| name == "throttled" && fields["server.port"] == port;
    let Some((_, fields)) = outside.iter().find(is_ours) else { panic!("{outside:?} {spans:#?}") };
    assert_fields(fields, &[("broker", "1"), ("time_ms", "20")]);
    let [_, second] = &spans[..] else { panic!("{spans:#?}") };
    assert!(second.events.iter().any(|(_, name, _)| name == "throttled"), "{spans:#?}");
}

#[tokio::test]
async fn the_parent_is_the_span_of_the_task_that_sends() {
    let cluster = cluster("parent", 1);
    let producer = build!(TokioProducer, cluster).build().unwrap();
    let request = tracing::info_span!(target: "test", "request", messaging.destination.name = "parent of all");
    let send = producer.send_batch(batch(&["a"]), TopicPartition::new("parent", 0));
    let pending = tracing_instrument(send, request).await.unwrap();
    pending.await.unwrap();
    producer.send("parent", "a message").await.unwrap();
    let spans = closed_spans("parent", 2);
    let parent = capture().number_of("parent of all");
    assert_eq!((spans[0].parent, spans[1].parent), (parent, None), "messages of many tasks share a batch");
    assert!(parent.is_some());
}

/// Enters the span whenever the future is polled, as the crate's `Instrument` does.
async fn tracing_instrument<T>(future: impl Future<Output = T>, span: tracing::Span) -> T {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|context| span.in_scope(|| future.as_mut().poll(context))).await
}

#[tokio::test]
async fn messages_get_the_headers_of_the_trace_that_their_task_is_in() {
    tokio::task_local! { static TRACE: String; }
    let cluster = cluster("headers", 1);
    let builder = build!(TokioProducer, cluster).inject_headers(|_topic, headers| {
        let _ = TRACE.try_with(|trace| headers.push(Header::new("traceparent", trace)));
    });
    let producer = builder.build().unwrap();
    let trace = |id: u64| format!("00-{id:032x}-{id:016x}-01");
    let sending = (1..=3).map(|id| {
        let producer = producer.clone();
        tokio::spawn(TRACE.scope(trace(id), async move { producer.send("headers", id.to_string()).await.unwrap() }))
    });
    for sent in sending.collect::<Vec<_>>() {
        sent.await.unwrap();
    }
    producer.send("headers", "no trace").await.unwrap();
    let publish = Publish::to("headers").messages(&["published"]);
    TRACE.scope(trace(4), producer.publish_batch(publish)).await.unwrap();
    let mut found = traceparents(&cluster, "headers");
    found.sort();
    let expected = [("1", Some(1)), ("2", Some(2)), ("3", Some(3)), ("no trace", None), ("published", Some(4))];
    assert_eq!(found, expected.map(|(value, id)| (value.to_owned(), id.map(trace))));
}

/// The values of a log, each with its header `traceparent`.
fn traceparents(cluster: &TestCluster, topic: &str) -> Vec<(String, Option<String>)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let records = cluster.log(topic, 0).unwrap().records().unwrap().into_iter();
    let pairs = records.map(|record| {
        let traceparent = record.headers.iter().find(|(name, _)| name == "traceparent");
        (text(record.value.as_deref().unwrap()), traceparent.map(|(_, value)| text(value.as_deref().unwrap())))
    });
    pairs.collect()
}

#[tokio::test]
async fn the_propagator_of_opentelemetry_writes_the_headers() {
    let (guide, shown) = (include_str!("../../docs/guide.md"), include_str!("../../docs/opentelemetry.rs"));
    assert!(guide.contains(shown), "docs/guide.md must contain docs/opentelemetry.rs");
    let cluster = cluster("otel", 1);
    opentelemetry::global::set_text_map_propagator(opentelemetry_sdk::propagation::TraceContextPropagator::new());
    let producer = build!(TokioProducer, cluster).inject_headers(shown::ADD_TRACE).build().unwrap();
    let (trace, span) = (TraceId::from(0xabc), SpanId::from(0xdef));
    let parent = SpanContext::new(trace, span, TraceFlags::SAMPLED, true, TraceState::default());
    let pending = {
        let _entered = opentelemetry::Context::new().with_remote_span_context(parent).attach();
        let mut sending = Box::pin(producer.enqueue("otel", "in a trace"));
        // The topic is looked up first, outside of the trace.
        let polled = sending.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
        assert!(polled.is_pending());
        sending
    };
    pending.await.unwrap().await.unwrap();
    producer.send("otel", "in none").await.unwrap();
    let traceparent = "00-00000000000000000000000000000abc-0000000000000def-01".to_owned();
    let expected = [("in a trace".to_owned(), Some(traceparent)), ("in none".to_owned(), None)];
    assert_eq!(traceparents(&cluster, "otel"), expected);
}
