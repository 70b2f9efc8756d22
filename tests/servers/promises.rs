//! What is examined of each server, in the order of the table's columns.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use kafka_batch::batch::Stamp;
use kafka_batch::proptest::{OwnedHeader, OwnedRecord};
use kafka_batch::protocol::ApiKey;
use kafka_batch::transports::tokio::ProducerBuilder;
use kafka_batch::{
    BatchOptions, Delivery, DeliveryError, KafkaBatch, Timestamp, TokioProducer, TopicPartition, Transport as _,
};
use kafka_batch_witnesses::rdkafka::ClientConfig;
use kafka_batch_witnesses::rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use kafka_batch_witnesses::rdkafka::client::DefaultClientContext;
use tokio::runtime::{Builder, Runtime};

use crate::log;
use crate::losing::Losing;
use crate::raw;
use crate::server::Server;

pub(crate) const COLUMNS: [&str; 8] = [
    "server",
    "Produce",
    "codecs",
    "nulls, repeated headers",
    "after a lost response",
    "wrong checksum",
    "records without key on a compacted topic",
    "killed in mid-run and started again",
];

/// The cells of one server.
pub(crate) type Row = [String; COLUMNS.len()];

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

/// The time of all records: of this run, since servers delete what is older than the retention time of a topic.
static NOW: LazyLock<Timestamp> = LazyLock::new(|| SystemTime::now().into());

/// Examines a server.
pub(crate) fn examine(mut server: Server) -> Row {
    let address = server.address();
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    [
        server.name.clone(),
        or_error(produce_versions(&address)),
        codecs(&runtime, &address),
        or_error(nulls_and_repeated_headers(&runtime, &address)),
        or_error(after_a_lost_response(&runtime, &address)),
        or_error(wrong_checksum(&runtime, &address)),
        or_error(records_without_key(&runtime, &address)),
        or_error(killed_and_started_again(&runtime, &mut server)),
    ]
}

/// An error is what the table says of the server, so it must not depend on ports, times and ids.
fn or_error(result: Result<String, String>) -> String {
    result.unwrap_or_else(|error| format!("**fails**: {}", error.replace('|', "/")))
}

#[allow(clippy::needless_pass_by_value)] // it is the argument of `map_err`
fn text(error: impl ToString) -> String {
    error.to_string()
}

fn builder(address: &str) -> ProducerBuilder<kafka_batch::transports::tokio::Tokio> {
    let builder = TokioProducer::builder().set("bootstrap.servers", address).set("enable.idempotence", "true");
    builder.set("delivery.timeout.ms", "30000").set("request.timeout.ms", "5000")
}

fn batch(codec: &str, records: &[OwnedRecord]) -> KafkaBatch {
    let options = BatchOptions::default().compression(codec.parse().expect("a codec"));
    let mut batch = options.build(*NOW).expect("valid options");
    batch.extend(records.iter().map(OwnedRecord::borrowed)).expect("the records fit");
    batch
}

fn values(prefix: &str, numbers: std::ops::Range<usize>) -> Vec<OwnedRecord> {
    let record =
        |number| OwnedRecord { value: Some(format!("{prefix} {number}").into_bytes()), ..OwnedRecord::default() };
    numbers.map(|number| OwnedRecord { timestamp: Some(*NOW), ..record(number) }).collect()
}

/// Publishes one batch with a producer of its own.
async fn publish(
    builder: ProducerBuilder<kafka_batch::transports::tokio::Tokio>,
    topic: &str,
    batch: KafkaBatch,
) -> Result<Delivery, PublishError> {
    let producer = builder.build().map_err(|error| PublishError::Other(text(error)))?;
    let pending = producer.send_batch(batch, TopicPartition::new(topic, 0)).await;
    let delivery = pending.map_err(|error| PublishError::Other(text(error)))?.await?;
    producer.close().await.map_err(|error| PublishError::Other(text(error)))?;
    Ok(delivery)
}

enum PublishError {
    Delivery(Box<DeliveryError>),
    Other(String),
}

impl From<DeliveryError> for PublishError {
    fn from(error: DeliveryError) -> Self {
        Self::Delivery(Box::new(error))
    }
}

impl From<PublishError> for String {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Delivery(error) => text(error),
            PublishError::Other(text) => text,
        }
    }
}

fn produce_versions(address: &str) -> Result<String, String> {
    let listed = raw::versions(address)?.versions(ApiKey::Produce).ok_or("not listed")?;
    Ok(listed.to_string().replace('-', "–"))
}

/// Each codec, by an idempotent producer; every record is read as it was written.
fn codecs(runtime: &Runtime, address: &str) -> String {
    let records: Vec<_> = values("reading", 0..200)
        .into_iter()
        .map(|record| OwnedRecord {
            key: Some(b"sensor".into()),
            headers: vec![OwnedHeader { name: "unit".into(), value: Some("°C".into()) }],
            ..record
        })
        .collect();
    let failures = CODECS.iter().filter_map(|codec| {
        let error = writes_and_reads(runtime, address, &format!("codec-{codec}"), codec, &records).err()?;
        Some(format!("{codec}: **fails**: {error}"))
    });
    let failures: Vec<_> = failures.collect();
    if failures.is_empty() { "all".into() } else { failures.join("; ") }
}

/// Publishes a batch, and compares what is in the log.
fn writes_and_reads(
    runtime: &Runtime,
    address: &str,
    topic: &str,
    codec: &str,
    records: &[OwnedRecord],
) -> Result<(), String> {
    let delivery = runtime.block_on(publish(builder(address), topic, batch(codec, records)))?;
    if delivery.base_offset() != Some(0) {
        return Err(format!("offset {:?} of the first record", delivery.base_offset()));
    }
    let found = log::read(address, topic, records.len())?;
    let expected: Vec<_> = (0..).zip(records.iter().cloned()).collect();
    let different = found.iter().zip(&expected).find(|(found, expected)| found != expected);
    match different {
        Some((found, expected)) => Err(format!("{found:?} is read, and {expected:?} was written")),
        None if found.len() == expected.len() => Ok(()),
        None => Err(format!("{} records are read, and {} were written", found.len(), expected.len())),
    }
}

fn nulls_and_repeated_headers(runtime: &Runtime, address: &str) -> Result<String, String> {
    let header = |name: &str, value: Option<&[u8]>| OwnedHeader { name: name.into(), value: value.map(Vec::from) };
    let [mut one, mut other, mut tombstone, nothing] =
        [0, 1, 2, 3].map(|_| OwnedRecord { timestamp: Some(*NOW), ..OwnedRecord::default() });
    one.headers = vec![header("a", Some(b"1")), header("b", None), header("a", Some(b"")), header("a", Some(b"1"))];
    (one.key, one.value) = (Some(Vec::new()), Some(Vec::new()));
    other.value = Some(b"no key".into());
    tombstone.key = Some(b"no value".into());
    writes_and_reads(runtime, address, "nulls", "none", &[one, other, tombstone, nothing])?;
    Ok("as written".into())
}

/// The batch is written, but its producer does not learn that.
fn after_a_lost_response(runtime: &Runtime, address: &str) -> Result<String, String> {
    let losing = Losing::default();
    let has_lost = losing.has_lost.clone();
    let sent = publish(builder(address).connector(losing), "lost", batch("none", &values("reading", 0..3)));
    let delivery = runtime.block_on(sent)?;
    assert!(has_lost.load(std::sync::atomic::Ordering::Relaxed), "a response was lost");
    let stored = log::values(address, "lost", 3)?;
    Ok(match (stored.len(), delivery.base_offset()) {
        (3, Some(0)) => "once in the log".into(),
        (3, None) => "once in the log, offset unknown".into(),
        (count, Some(offset)) => format!("**{count} records in the log**, of 3; offset {offset}"),
        (count, None) => format!("**{count} records in the log**, of 3; offset unknown"),
    })
}

fn wrong_checksum(runtime: &Runtime, address: &str) -> Result<String, String> {
    let records = values("reading", 0..1);
    runtime.block_on(publish(builder(address), "checksum", batch("none", &records)))?;
    let stamped = batch("none", &records).seal().map_err(text)?.stamp(Stamp::NONE).map_err(text)?;
    let mut bytes = stamped.bytes().to_vec();
    let last = bytes.len() - 2; // in the value: the last byte is the number of headers
    bytes[last] ^= 1;
    Ok(match raw::produce(address, "checksum", bytes.into()) {
        Ok(code) if code.is_error() => format!("refused: {}", code.name().unwrap_or("unknown code")),
        Ok(_) => "**accepted**".into(),
        Err(how) => how,
    })
}

fn records_without_key(runtime: &Runtime, address: &str) -> Result<String, String> {
    let mut settings = ClientConfig::new();
    let admin: AdminClient<DefaultClientContext> = settings.set("bootstrap.servers", address).create().map_err(text)?;
    let topic = NewTopic::new("compacted", 1, TopicReplication::Fixed(1)).set("cleanup.policy", "compact");
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(10)));
    let created =
        runtime.block_on(admin.create_topics([&topic], &options.request_timeout(Some(Duration::from_secs(10)))));
    match created.map_err(text).map(|topics| topics.into_iter().next()) {
        Ok(Some(Ok(_))) => {}
        _ => return Ok("(creates no topics)".into()),
    }
    let mut records = values("reading", 0..4);
    for position in [0, 2] {
        records[position].key = Some(b"key".into());
    }
    match runtime.block_on(publish(builder(address), "compacted", batch("none", &records))) {
        Ok(_) => Ok("**accepted**".into()),
        Err(PublishError::Delivery(error)) => {
            let code =
                error.reason.code().and_then(|code| code.name().map(str::to_owned)).ok_or_else(|| text(&error))?;
            let positions: Vec<_> = error.record_errors.iter().map(|error| error.position.to_string()).collect();
            Ok(if positions.is_empty() {
                format!("refused, no positions: {code}")
            } else {
                format!("refused, positions {}", positions.join(", "))
            })
        }
        Err(error) => Err(error.into()),
    }
}

/// Some batches are delivered before, some are in flight while the server is killed, and some are sent after it was started again.
fn killed_and_started_again(runtime: &Runtime, server: &mut Server) -> Result<String, String> {
    if !server.restarts() {
        return Ok("(cannot be started again at its address)".into());
    }
    let (address, topic) = (server.address(), TopicPartition::new("restart", 0));
    let builder = builder(&address).set("delivery.timeout.ms", "60000");
    let producer = runtime.block_on(async { builder.build() }).map_err(text)?;
    let send = |name: &'static str, number: usize| {
        let batch = batch("lz4", &values(name, number..number + 1));
        runtime.block_on(producer.send_batch(batch, topic.clone())).map_err(text)
    };
    for number in 0..20 {
        runtime.block_on(send("before", number)?).map_err(text)?;
    }
    let pending: Vec<_> = (0..20).map(|number| send("during", number)).collect::<Result<_, _>>()?;
    server.kill();
    server.start();
    let outcomes: Vec<_> = pending.into_iter().map(|pending| runtime.block_on(pending)).collect();
    for number in 0..20 {
        runtime.block_on(send("after", number)?).map_err(|error| format!("after it was started again: {error}"))?;
    }
    runtime.block_on(producer.close()).map_err(text)?;
    let stored = log::values(&address, "restart", 20)?;
    judge(&stored, outcomes.iter().map(Result::is_ok))
}

/// Compares the log with the outcomes of the batches in flight.
fn judge(stored: &[String], in_flight: impl Iterator<Item = bool>) -> Result<String, String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    stored.iter().for_each(|value| *counts.entry(value).or_default() += 1);
    let count = |value: String| counts.get(&*value).copied().unwrap_or(0);
    let missing = |name: &str| (0..20).filter(|number| count(format!("{name} {number}")) == 0).count();
    let repeated = counts.values().filter(|count| **count > 1).count();
    let delivered_but_missing = in_flight
        .enumerate()
        .filter(|(number, delivered)| *delivered && count(format!("during {number}")) == 0)
        .count();
    let order = |value: &String| {
        let (name, number) = value.split_once(' ')?;
        Some((["before", "during", "after"].iter().position(|known| *known == name)?, number.parse::<usize>().ok()?))
    };
    if !stored.iter().map(order).is_sorted() {
        return Err(format!("another order: {stored:?}"));
    }
    match (missing("before"), delivered_but_missing, missing("after"), repeated) {
        (0, 0, 0, 0) => Ok("nothing lost or repeated".into()),
        (20, _, 0, 0) => Ok("it forgets its log; what is sent later is delivered once".into()),
        found => Err(format!(
            "of 20 before, in flight and after, {found:?} are missing, the last number is of repeated ones"
        )),
    }
}
