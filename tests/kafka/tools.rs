//! Kafka's console consumer and its dump tool for log segments.

use std::collections::HashMap;
use std::path::PathBuf;

use super::broker::Kafka;
use super::rows::Row;
use super::run::run;

/// A record's partition, the type of its timestamp, and the record.
pub(crate) type Consumed = (i32, String, Row);

/// Returns the records of one partition, in order.
pub(crate) fn of_partition(consumed: &[Consumed], partition: i32) -> Vec<Row> {
    consumed.iter().filter(|(of, _, _)| *of == partition).map(|(_, _, row)| row.clone()).collect()
}

/// Returns the first `count` records of a topic as read by Kafka's console consumer, in order within each partition.
pub(crate) fn consume(kafka: &Kafka, topic: &str, count: usize, committed: bool) -> Vec<Consumed> {
    // This deserializer prints bytes as text, with unprintable ones escaped. It does not handle null, so null is
    // printed as a text that no value has.
    const ESCAPING: &str = "org.apache.kafka.common.serialization.BytesDeserializer";
    let property = if kafka.major() >= 4 { "--formatter-property" } else { "--property" };
    let properties: Vec<String> = ["timestamp", "partition", "offset", "headers", "key", "value"]
        .map(|part| format!("print.{part}=true"))
        .into_iter()
        .chain(["key", "value", "headers"].map(|part| format!("{part}.deserializer={ESCAPING}")))
        .chain([
            format!("null.literal={NULL}"),
            format!("key.separator={FIELD}"),
            format!("headers.separator={HEADER}"),
        ])
        .collect();
    let isolation = if committed { "read_committed" } else { "read_uncommitted" };
    let count_text = count.to_string();
    let mut arguments = vec!["--bootstrap-server", &kafka.address, "--topic", topic, "--from-beginning"];
    arguments.extend(["--max-messages", &count_text, "--timeout-ms", "60000", "--isolation-level", isolation]);
    arguments.extend(properties.iter().flat_map(|given| [property, given]));
    let printed = run("KAFKA_BATCH_KAFKA_CONSOLE_CONSUMER", &arguments);
    let rows: Vec<_> = printed.lines().map(consumed).collect();
    assert_eq!(rows.len(), count, "{printed}");
    rows
}

const NULL: &str = "(null)";
const FIELD: char = '\t';
const HEADER: char = '\u{1f}';

fn consumed(line: &str) -> Consumed {
    let fields: Vec<&str> = line.split(FIELD).collect();
    let [timestamp, partition, offset, headers, key, value] = fields[..] else { panic!("{line:?}") };
    let number = |field: &str, name: &str| field.strip_prefix(name).unwrap().parse::<i64>().unwrap();
    let (kind, timestamp) = timestamp.split_once(':').unwrap_or((timestamp, "-1"));
    let header = |header: &str| {
        let (name, value) = header.split_once(':').unwrap();
        (name.to_owned(), bytes(value))
    };
    let headers = match headers {
        "NO_HEADERS" => Vec::new(),
        _ => headers.split(HEADER).map(header).collect(),
    };
    let offset = number(offset, "Offset:");
    let row = Row { offset, timestamp: timestamp.parse().unwrap(), headers, key: bytes(key), value: bytes(value) };
    (number(partition, "Partition:") as i32, kind.to_owned(), row)
}

/// Decodes `\x0A` to bytes. The backslash itself is always escaped.
fn bytes(escaped: &str) -> Option<Vec<u8>> {
    if escaped == NULL {
        return None;
    }
    let mut pieces = escaped.split("\\x");
    let mut bytes = pieces.next().unwrap().as_bytes().to_vec();
    for piece in pieces {
        let (byte, rest) = piece.split_at(2);
        bytes.push(u8::from_str_radix(byte, 16).unwrap());
        bytes.extend_from_slice(rest.as_bytes());
    }
    Some(bytes)
}

/// A batch as shown by Kafka's dump tool: its fields by name, and its records.
#[derive(Debug)]
pub(crate) struct DumpedBatch {
    pub(crate) fields: HashMap<String, String>,
    pub(crate) records: Vec<HashMap<String, String>>,
}

impl DumpedBatch {
    pub(crate) fn field(&self, name: &str) -> &str {
        &self.fields[name]
    }
}

/// Returns the output of Kafka's dump tool for segments, file by file, with each batch decompressed and each record
/// shown. Fails if the tool reports an invalid batch.
pub(crate) fn dump(segments: &[PathBuf]) -> Vec<Vec<DumpedBatch>> {
    let files: Vec<_> = segments.iter().map(|segment| segment.to_str().unwrap()).collect();
    let arguments = ["--deep-iteration", "--print-data-log", "--files", &files.join(",")];
    let printed = run("KAFKA_BATCH_KAFKA_DUMP_LOG", &arguments);
    let mut dumps: Vec<Vec<DumpedBatch>> = Vec::new();
    for line in printed.lines() {
        if line.starts_with("Dumping ") {
            dumps.push(Vec::new());
        } else if line.starts_with("baseOffset: ") {
            let fields = fields(line);
            assert_eq!(fields["isvalid"], "true", "{line}");
            dumps.last_mut().unwrap().push(DumpedBatch { fields, records: Vec::new() });
        } else if let Some(record) = line.strip_prefix("| ") {
            dumps.last_mut().unwrap().last_mut().unwrap().records.push(fields(record));
        } else {
            // Values are printed as they are, including line ends; the tool reports damage with these texts:
            assert!(!line.contains("bytes are not valid") && !line.contains("Found"), "{line}");
        }
    }
    assert_eq!(dumps.len(), segments.len(), "{printed}");
    dumps
}

/// Parses `name: value name: value …`, up to the key and payload at the end, which are printed as they are.
fn fields(line: &str) -> HashMap<String, String> {
    let (line, free) = line.split_once(" key: ").unwrap_or((line, ""));
    let mut fields = HashMap::new();
    let mut words = line.split(' ').filter(|word| !word.is_empty()).peekable();
    while let Some(word) = words.next() {
        if let (Some(name), Some(value)) = (word.strip_suffix(':'), words.peek()) {
            fields.insert(name.to_owned(), (*value).to_owned());
        }
    }
    fields.insert("key and payload".to_owned(), free.to_owned());
    fields
}
