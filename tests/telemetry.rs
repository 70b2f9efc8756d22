//! Telemetry (KIP-714) with Kafka 4.4: a plugin of the broker receives what a producer pushes. Kafka's own classes decode it, and
//! Java's producer pushes the same metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kafka_batch::{KafkaBatch, Record, TokioProducer, TopicPartition};
use kafka_batch_brokers::{Broker, Options, Release, class_path};

/// Turns a wait that would not end into a failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder for the plugin and what it writes, removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("kafka-batch-telemetry-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}: {}{}", text(&output.stdout), text(&output.stderr));
}

/// A push, as the plugin has written it.
#[derive(Debug)]
struct Push {
    client_id: String,
    instance: String,
    is_terminating: bool,
    content_type: String,
    points: Vec<Point>,
}

#[derive(Debug)]
struct Point {
    name: String,
    kind: String,
    labels: BTreeMap<String, String>,
    value: f64,
    /// How long ago it was measured, in milliseconds.
    age: i64,
}

fn pushes(file: &Path) -> Vec<Push> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let mut found = Vec::new();
    // The last one may be incomplete.
    for push in
        text.rsplit_once("\n\n").map_or("", |(complete, _)| complete).split("\n\n").filter(|push| !push.is_empty())
    {
        let mut lines = push.lines().map(|line| line.split('\t').collect::<Vec<_>>());
        let head = lines.next().unwrap();
        assert_eq!(head[0], "push", "{push}");
        let points = lines.map(|line| {
            assert_eq!(line[0], "point", "{push}");
            let labels = line[3].split(' ').filter_map(|label| label.split_once('='));
            Point {
                name: line[1].to_owned(),
                kind: line[2].to_owned(),
                labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
                value: line[4].parse().unwrap(),
                age: line[5].parse().unwrap(),
            }
        });
        found.push(Push {
            client_id: head[1].to_owned(),
            instance: head[2].to_owned(),
            is_terminating: head[3] == "true",
            content_type: head[4].to_owned(),
            points: points.collect(),
        });
    }
    found
}

struct Receiver {
    broker: Broker,
    file: PathBuf,
    _folder: Folder,
}

impl Receiver {
    /// Starts a broker with the plugin, and a subscription of all clients to the metrics of producers.
    fn start() -> Self {
        let folder = Folder::new();
        let file = folder.0.join("pushes.txt");
        let java = kafka_batch_brokers::java().unwrap();
        let classes = class_path("clients/4.4.0", &["org.apache.kafka:kafka-clients:4.4.0".to_owned()]).unwrap();
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/telemetry/Receiver.java");
        // The compiler of the runtime, because a runtime need not have a program `javac`.
        let compiler = ["-m", "jdk.compiler/com.sun.tools.javac.Main"];
        run(Command::new(java).args(compiler).args(["-nowarn", "-cp", &classes, "-d"]).arg(&folder.0).arg(source));
        let options = Options {
            config: vec![("metric.reporters".to_owned(), "Receiver".to_owned())],
            class_path: vec![folder.0.clone()],
            properties: vec![("telemetry.file".to_owned(), file.display().to_string())],
            ..Options::default()
        };
        let broker = Broker::start(Release::find("4.4.0").unwrap(), &options).unwrap();
        let receiver = Self { broker, file, _folder: folder };
        // The first push comes after half of it at the earliest, and must find that a Produce request was answered.
        receiver.subscribe("org.apache.kafka.producer.", 1_000);
        receiver
    }

    fn subscribe(&self, metrics: &str, interval: u32) {
        let mut tool = self.broker.tool("org.apache.kafka.tools.ClientMetricsCommand");
        tool.args(["--bootstrap-server", &self.broker.address().to_string()]);
        tool.args(["--alter", "--name", "tests", "--metrics", metrics, "--interval", &interval.to_string()]);
        run(&mut tool);
    }

    /// Returns the pushes of a client.
    fn of(&self, client_id: &str) -> Vec<Push> {
        pushes(&self.file).into_iter().filter(|push| push.client_id == client_id).collect()
    }

    fn producer(&self, client_id: &str, more: &[(&str, &str)]) -> TokioProducer {
        let servers = self.broker.address().to_string();
        let builder = TokioProducer::builder().set("bootstrap.servers", servers).set("client.id", client_id);
        let builder = more.iter().fold(builder, |builder, (name, value)| builder.set(*name, *value));
        builder.build().unwrap()
    }
}

async fn send(producer: &TokioProducer) {
    let mut batch: KafkaBatch = producer.batch();
    batch.extend([Record::new("value")]).unwrap();
    producer.send_batch(batch, TopicPartition::new("telemetry", 0)).await.unwrap().await.unwrap();
}

/// Sends batches until this many pushes have arrived.
async fn send_until(receiver: &Receiver, producer: &TokioProducer, client_id: &str, count: usize) -> Vec<Push> {
    let begun = Instant::now();
    loop {
        send(producer).await;
        let pushes = receiver.of(client_id);
        if pushes.len() >= count {
            return pushes;
        }
        assert!(begun.elapsed() < PATIENCE, "{pushes:?}; {}", receiver.broker.end_of_log());
    }
}

/// The metrics that KIP-714 requires of producers, without the prefix of all.
const REQUIRED: [&str; 8] = [
    "connection.creation.rate",
    "connection.creation.total",
    "node.request.latency.avg",
    "node.request.latency.max",
    "produce.throttle.time.avg",
    "produce.throttle.time.max",
    "record.queue.time.avg",
    "record.queue.time.max",
];

fn required(name: &str) -> Option<&str> {
    name.strip_prefix("org.apache.kafka.producer.").filter(|name| REQUIRED.contains(name))
}

/// Returns the required metrics with their kinds and the names of their labels.
fn shape(pushes: &[Push]) -> BTreeSet<(String, String, Vec<String>)> {
    let points = pushes.iter().flat_map(|push| &push.points);
    let required = points.filter(|point| required(&point.name).is_some());
    required.map(|point| (point.name.clone(), point.kind.clone(), point.labels.keys().cloned().collect())).collect()
}

#[tokio::test]
#[ignore = "starts Kafka 4.4"]
async fn a_broker_receives_the_metrics_that_the_kip_requires_as_from_javas_producer() {
    let receiver = Receiver::start();
    let silent = receiver.producer("silent", &[("enable.metrics.push", "false")]);
    send(&silent).await;
    let producer = receiver.producer("rust", &[("compression.type", "lz4")]);
    let pushes = send_until(&receiver, &producer, "rust", 3).await;
    let names: BTreeSet<&str> = pushes[0].points.iter().filter_map(|point| required(&point.name)).collect();
    assert_eq!(names, REQUIRED.into());
    assert_eq!(pushes[0].points.len(), 8);
    let point = |push: &Push, name: &str| {
        let found = push.points.iter().find(|point| point.name.ends_with(name));
        found.map(|point| (point.value, point.age)).unwrap_or_else(|| panic!("{name}: {push:?}"))
    };
    // A bootstrap server, and the same broker by its id. With delta temporality, which Kafka asks for.
    assert_eq!(point(&pushes[0], "connection.creation.total").0, 2.0);
    assert_eq!(point(&pushes[1], "connection.creation.total").0, 0.0);
    let (average, age) = point(&pushes[2], "node.request.latency.avg");
    assert!(average > 0.0 && average <= point(&pushes[2], "node.request.latency.max").0);
    assert!((0..60_000).contains(&age), "{age} ms");
    let id = producer.stats().await.unwrap().client_instance_id.unwrap().to_string();
    assert!(pushes.iter().all(|push| push.instance == id && !push.is_terminating && push.content_type == "OTLP"));
    producer.close().await.unwrap();
    let last = receiver.of("rust").pop().unwrap();
    assert!(last.is_terminating && last.instance == id, "{last:?}");

    let mut java = receiver.broker.tool("org.apache.kafka.tools.ConsoleProducer");
    java.args(["--bootstrap-server", &receiver.broker.address().to_string(), "--topic", "telemetry"]);
    java.args(["--producer-property", "client.id=java"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut java = java.spawn().unwrap();
    let mut input = java.stdin.take().unwrap();
    let begun = Instant::now();
    // A push has averages only if something was sent since the one before.
    while shape(&receiver.of("java")).len() < REQUIRED.len() {
        std::io::Write::write_all(&mut input, b"value\n").unwrap();
        assert!(begun.elapsed() < PATIENCE, "{:?}", shape(&receiver.of("java")));
        send(&silent).await;
    }
    drop(input);
    assert!(java.wait().unwrap().success());
    assert_eq!(shape(&receiver.of("rust")), shape(&receiver.of("java")));

    // Another subscription reaches a producer in use, by UNKNOWN_SUBSCRIPTION_ID.
    let producer = receiver.producer("changed", &[]);
    send_until(&receiver, &producer, "changed", 1).await;
    receiver.subscribe("org.apache.kafka.producer.record.queue.", 100);
    let begun = Instant::now();
    let is_narrow = |push: &Push| push.points.iter().all(|point| point.name.contains(".record.queue."));
    while !receiver.of("changed").last().is_some_and(is_narrow) {
        assert!(begun.elapsed() < PATIENCE, "{:?}", receiver.of("changed"));
        send(&producer).await;
    }
    producer.close().await.unwrap();
    silent.close().await.unwrap();
    assert!(receiver.of("silent").is_empty());
}
