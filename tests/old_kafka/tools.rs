//! The command-line tools of the release: its dump tool and its console consumer.

use std::path::Path;

use super::release::OldKafka;
use super::run::run;

/// A record as read by a tool; keys and values are text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) offset: i64,
    pub(crate) timestamp: Option<i64>,
    pub(crate) key: Option<String>,
    pub(crate) value: Option<String>,
}

/// The output of the dump tool for a segment.
#[derive(Debug)]
pub(crate) struct Dump {
    pub(crate) records: Vec<Seen>,
    /// The formats, without repetitions.
    pub(crate) magics: Vec<i8>,
    /// The producer ids, without repetitions.
    pub(crate) producers: Vec<i64>,
    pub(crate) text: String,
}

/// Runs the release's dump tool on a segment, with every batch decompressed. Each record must be valid.
pub(crate) fn dump(_: &OldKafka, segment: &Path) -> Dump {
    let file = segment.to_str().unwrap();
    let text = run("KAFKA_BATCH_KAFKA_DUMP_LOG", &["--deep-iteration", "--print-data-log", "--files", file]);
    let (mut records, mut magics, mut producers) = (Vec::new(), Vec::new(), Vec::new());
    for line in text.lines() {
        assert!(!line.contains("bytes are not valid") && !line.contains("Found"), "{line}");
        let number = |name: &str| {
            let (_, rest) = line.split_once(&format!("{name}: "))?;
            rest.split([' ', ',']).next()?.parse::<i64>().ok()
        };
        magics.extend(number("magic").map(|magic| magic as i8));
        producers.extend(number("producerId").filter(|id| *id >= 0));
        if !["payloadsize: ", "valuesize: ", "valueSize: "].iter().any(|size| line.contains(size)) {
            continue; // a line about a file or a batch
        }
        assert!(line.to_lowercase().contains("isvalid: true"), "{line}");
        // Null is not printed; if the value is null, the key is not printed either before 2.0.
        let (fields, value) =
            line.split_once(" payload: ").map_or((line, None), |(fields, value)| (fields, Some(value)));
        let key = fields.split_once(" key: ").map(|(_, key)| key.to_owned());
        let (offset, timestamp) = (number("offset").unwrap(), number("CreateTime"));
        records.push(Seen { offset, timestamp, key, value: value.map(str::to_owned) });
    }
    magics.dedup();
    producers.dedup();
    Dump { records, magics, producers, text }
}

/// Returns the first `count` records of a topic with one partition as read by the release's console consumer.
pub(crate) fn consume(kafka: &OldKafka, topic: &str, count: usize) -> Vec<Seen> {
    let count_text = count.to_string();
    let mut arguments = vec!["--bootstrap-server", &kafka.address, "--topic", topic, "--from-beginning"];
    arguments.extend(["--max-messages", &count_text, "--timeout-ms", "60000"]);
    arguments.extend(["--property", "print.key=true"]);
    let (old_times, has_times) = (kafka.line() == "0.9", kafka.magic().has_timestamps());
    if has_times {
        arguments.extend(["--property", "print.timestamp=true"]);
    }
    if old_times {
        arguments.push("--new-consumer"); // the old consumer, over ZooKeeper, is still the default
    }
    let printed = run("KAFKA_BATCH_KAFKA_CONSOLE_CONSUMER", &arguments);
    let text = |field: &str| Some(field.to_owned()).filter(|text| text != "null");
    let seen = |(offset, line): (i64, &str)| {
        let fields: Vec<&str> = line.split('\t').collect();
        let (timestamp, [key, value]) = match fields[..] {
            [timestamp, key, value] if has_times => (timestamp.strip_prefix("CreateTime:"), [key, value]),
            [key, value] if !has_times => (None, [key, value]),
            _ => panic!("{line:?}"),
        };
        Seen { offset, timestamp: timestamp.map(|millis| millis.parse().unwrap()), key: text(key), value: text(value) }
    };
    // It does not print offsets: there is one partition, read from its beginning.
    let seen: Vec<_> = (0..).zip(printed.lines()).map(seen).collect();
    assert_eq!(seen.len(), count, "{printed}");
    seen
}
