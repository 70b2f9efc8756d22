//! `publish`: publishes lines of JSON.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_batch_testing::{ApiKey, Fault, FaultKind, TestCluster, Topic};

use crate::{Run, example, number, run};

/// Error codes of Kafka's protocol.
const REQUEST_TIMED_OUT: i16 = 7;
const TOPIC_AUTHORIZATION_FAILED: i16 = 29;

fn publish(arguments: &[&str], input: impl AsRef<[u8]>) -> Run {
    run(example("publish").args(arguments), input.as_ref())
}

#[test]
fn publish_without_arguments_publishes_the_whole_sample() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/bike-stations.jsonl");
    let lines = fs::read_to_string(sample).expect("the sample").lines().count();
    let run = publish(&[], "");
    assert_eq!((run.status, run.err.as_str()), (0, ""), "{}", run.out);
    assert_eq!(number(&run, "records"), lines);
    assert!(number(&run, "batches") > 10);
    assert!(number(&run, "compressed") < number(&run, "raw"));
    let batches: Vec<_> = run.out.lines().filter(|line| line.starts_with("batch ")).collect();
    assert_eq!(batches.len(), number(&run, "batches"));
    let (last, full) = batches.split_last().expect("batches");
    assert!(full.iter().all(|line| line.contains("full (batch size): next needs ")), "{full:#?}");
    assert!(last.contains("end of input"), "{last}");
}

#[test]
fn publish_prints_the_same_figures_with_every_transport() {
    let transports =
        [("tokio", true), ("async-std", cfg!(feature = "async-std")), ("rdkafka", cfg!(feature = "rdkafka"))];
    let built_in = transports.iter().filter(|(_, is_built_in)| *is_built_in);
    let figures: Vec<_> = built_in
        .map(|(transport, _)| {
            let run = publish(&["--transport", transport], "");
            assert_eq!((run.status, run.err.as_str()), (0, ""), "{transport}: {}", run.out);
            ["batches", "records", "raw", "compressed"].map(|word| number(&run, word))
        })
        .collect();
    assert!(figures.iter().all(|of_one| *of_one == figures[0]), "{figures:?}");
    for (transport, _) in transports.iter().filter(|(_, is_built_in)| !is_built_in) {
        publish(&["--transport", transport], "")
            .fails(1, &["without the transport", &format!("--features {transport} -- --transport {transport}")]);
    }
}

#[test]
fn publish_sets_headers_keys_and_timestamps_as_its_options_say() {
    let cluster = TestCluster::start();
    cluster.create_topic(Topic::new("orders").partitions(2)).unwrap();
    let brokers = cluster.bootstrap_servers();
    let mut arguments = vec!["--brokers", &brokers, "--topic", "orders", "--partition", "1"];
    arguments.extend(["--compression", "gzip:9", "--correlation-id", "42", "--reply-to", "answers", "-"]);
    arguments.extend(["--header", "a=1", "--header", "b=", "--header", "a=x=y"]);
    arguments.extend(["--key-field", "id", "--time-field", "when"]);
    let run = publish(&arguments, "{\"id\":7,\"when\":1234567890123}\n\n  \"no key\" \n");
    assert_eq!((run.status, run.err.as_str()), (0, ""), "{}", run.out);

    let stored = cluster.log("orders", 1).expect("the partition").records().expect("valid batches");
    let [first, second] = &stored[..] else { panic!("{stored:?}") };
    assert_eq!(first.key.as_deref(), Some(&b"7"[..]));
    assert_eq!(first.value.as_deref(), Some(&br#"{"id":7,"when":1234567890123}"#[..]));
    assert_eq!(first.timestamp_ms, 1_234_567_890_123);
    let expected = [
        ("content-type", "application/json"),
        ("correlation_id", "42"),
        ("reply_to", "answers"),
        ("a", "1"),
        ("b", ""),
        ("a", "x=y"),
    ];
    assert_eq!(first.headers, expected.map(|(name, value)| (name.to_owned(), Some(Bytes::from(value)))));
    assert_eq!((second.key.as_deref(), second.value.as_deref()), (None, Some(&br#""no key""#[..])));
}

#[test]
fn publish_puts_a_record_that_does_not_fit_into_the_next_batch() {
    let lines: String = (0..50).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    let run = publish(&["--batch-size", "200", "--compression", "none", "-"], &lines);
    assert_eq!(run.status, 0, "{}", run.err);
    assert_eq!(number(&run, "records"), 50);
    assert!(number(&run, "batches") > 10);
    assert_eq!(number(&run, "compressed"), number(&run, "raw"));
}

#[test]
fn publish_names_an_invalid_line_and_what_was_published_before_it() {
    let valid = "{\"n\":1}\n".repeat(20);
    let rest = "not published: line 21 and after";
    let run = publish(&["--batch-size", "400", "-"], format!("{valid}{{\"n\":oops}}\n{valid}"));
    run.fails(1, &["error: line 21 of standard input is not JSON", "column 6", "remedy: "]);
    run.fails(1, &["published: 3 batches (20 records)", rest]);

    let large = format!("{valid}\"{}\"\n{valid}", "x".repeat(2_000_000));
    let run = publish(&["--compression", "none", "-"], &large);
    run.fails(1, &["error: line 21: the record alone", "make that record smaller", "1 batch (20 records)", rest]);

    let noise: String = (1u64..250_000).map(|n| format!("{:x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    let run = publish(&["-"], format!("{valid}\"{noise}\"\n{valid}"));
    run.fails(1, &["error: line 21: ", "even when compressed", "make that record smaller", rest]);

    let run = publish(&["-"], b"{}\n\xff\n");
    run.fails(1, &["line 2 of standard input is not UTF-8", "1 batch (1 record)", "not published: line 2"]);
}

#[test]
fn publish_reports_the_batches_that_were_accepted_before_one_was_rejected() {
    let cluster = TestCluster::start();
    cluster.create_topic("orders").unwrap();
    let refuse = FaultKind::Refuse { code: TOPIC_AUTHORIZATION_FAILED, all: true };
    cluster.inject(Fault::new(refuse).api(ApiKey::Produce).after(2));
    let lines: String = (0..50).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    let brokers = cluster.bootstrap_servers();
    let run = publish(&["--brokers", &brokers, "--topic", "orders", "--batch-size", "200", "-"], &lines);
    run.fails(1, &["error: lines 7 to 9: ", "TOPIC_AUTHORIZATION_FAILED"]);
    run.fails(1, &["published: 2 batches (6 records)", "not published: line 7 and after"]);
}

#[test]
fn publish_reports_unknown_outcomes() {
    let cluster = TestCluster::start();
    cluster.create_topic("orders").unwrap();
    let time_out = FaultKind::ExecuteAndRefuse { code: REQUEST_TIMED_OUT };
    cluster.inject(Fault::new(time_out).api(ApiKey::Produce).always());
    let brokers = cluster.bootstrap_servers();
    let run = publish(&["--brokers", &brokers, "--topic", "orders", "--timeout", "1", "-"], "{}\n{}\n");
    run.fails(
        1,
        &["error: lines 1 to 2: ", "published: nothing", "of lines 1 to 2: 0 written, 0 not written, 2 unknown"],
    );
}

#[test]
fn publish_names_an_invalid_option() {
    publish(&["--compression", "brotli"], "")
        .fails(2, &["--compression", "brotli", "none, gzip, snappy, lz4 and zstd"]);
    publish(&["--compression", "gzip:99"], "").fails(2, &["--compression", "gzip:99", "9"]);
    publish(&["--header", "plain"], "").fails(2, &["--header", "plain", "NAME=VALUE"]);
    publish(&["--timeout", "0"], "").fails(2, &["--timeout", "1 to 3600"]);
    publish(&["--partition", "-1"], "").fails(2, &["--partition"]);
    publish(&["no-such-file"], "").fails(1, &["no-such-file cannot be opened", "remedy: ", "published: nothing"]);
    publish(&["--partition", "3"], "").fails(1, &["--partition", "3", "name one from 0 to 2", "published: nothing"]);
}

#[test]
fn publish_fails_within_the_timeout_if_no_broker_responds() {
    let started = Instant::now();
    let run = publish(&["--brokers", "127.0.0.1:1", "--timeout", "2"], "");
    run.fails(1, &["127.0.0.1:1", "--brokers", "remedy: ", "published: nothing"]);
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

#[cfg(not(feature = "watch"))]
#[test]
fn publish_without_the_feature_watch_names_the_command() {
    publish(&["--watch"], "")
        .fails(1, &["cargo run --example publish --features watch -- --watch", "published: nothing"]);
}

#[cfg(feature = "watch")]
#[test]
fn publish_watches_and_records_what_it_sees() {
    let svg = std::env::temp_dir().join(format!("kafka-batch-watch-{}.svg", std::process::id()));
    let path = svg.to_str().expect("a path in UTF-8");
    let run = publish(&["--watch", "--seconds", "3", "--rate", "2000", "--svg", path], "");
    assert_eq!((run.status, run.err.as_str()), (0, ""), "{}", run.out);
    assert!(number(&run, "published") > 100, "{}", run.out);
    let recorded = fs::read_to_string(&svg).expect("the recording");
    fs::remove_file(&svg).expect("it was there");
    for part in
        ["<svg ", "kafka-batch", "sent because", "linger.ms", "from sealing to the acknowledgement", "<animate "]
    {
        assert!(recorded.contains(part), "{part}: {recorded}");
    }
    assert!(recorded.len() < 60_000, "{} bytes", recorded.len());
    publish(&["--watch"], "").fails(1, &["no terminal", "--svg FILE", "published: nothing"]);
    publish(&["--svg", path], "").fails(2, &["--watch"]);
}
