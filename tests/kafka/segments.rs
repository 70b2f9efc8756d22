//! Log segments, read by this library and by Kafka's dump tool.

use kafka_batch::decode::{RecordBatch, TimestampType};

use super::rows::{Row, batches, records};
use super::tools::{DumpedBatch, dump};

use std::path::PathBuf;

/// Compares what this library reads in each segment with the output of Kafka's dump tool, field by field. Returns
/// the number of records.
pub(crate) fn compare_with_dump(segments: &[PathBuf]) -> usize {
    let mut count = 0;
    for (segment, dumped) in segments.iter().zip(dump(segments)) {
        let log = std::fs::read(segment).unwrap();
        let read = batches(&log);
        assert_eq!(read.len(), dumped.len(), "{}", segment.display());
        for (batch, dumped) in read.iter().zip(&dumped) {
            compare_headers(batch, dumped);
            let records = records(batch);
            assert_eq!(records.len(), dumped.records.len(), "{dumped:?}");
            count += records.len();
            for (record, dumped) in records.iter().zip(&dumped.records) {
                let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(-1, |bytes| bytes.len() as i64);
                assert_eq!(dumped["offset"], record.offset.to_string());
                assert_eq!(dumped["keySize"], length(&record.key).to_string(), "{dumped:?}");
                assert_eq!(dumped["valueSize"], length(&record.value).to_string(), "{dumped:?}");
                assert_eq!(dumped[time_field(batch)], record.timestamp.to_string(), "{dumped:?}");
                compare_text(record, &dumped["key and payload"], &dumped["headerKeys"]);
            }
        }
    }
    count
}

fn compare_headers(batch: &RecordBatch<'_>, dumped: &DumpedBatch) {
    let header = batch.header().expect("magic 2, which today's brokers write");
    let codec = batch.codec();
    let last_sequence = if header.base_sequence < 0 { -1 } else { header.base_sequence + header.last_offset_delta };
    let horizon = batch
        .delete_horizon()
        .map_or("OptionalLong.empty".to_owned(), |horizon| format!("OptionalLong[{}]", horizon.millis()));
    let this_crate = [
        ("magic", batch.magic().id().to_string()),
        ("compresscodec", codec.name().to_owned()),
        ("position", batch.position().start.to_string()),
        ("size", batch.bytes().len().to_string()),
        ("crc", header.crc.to_string()),
        ("baseOffset", header.base_offset.to_string()),
        ("lastOffset", (header.base_offset + i64::from(header.last_offset_delta)).to_string()),
        ("count", header.record_count.to_string()),
        ("partitionLeaderEpoch", header.partition_leader_epoch.to_string()),
        ("producerId", header.producer_id.to_string()),
        ("producerEpoch", header.producer_epoch.to_string()),
        ("baseSequence", header.base_sequence.to_string()),
        ("lastSequence", last_sequence.to_string()),
        ("isTransactional", batch.is_transactional().to_string()),
        ("isControl", batch.is_control().to_string()),
        ("deleteHorizonMs", horizon),
        (time_field(batch), header.max_timestamp.to_string()),
    ];
    for (name, value) in this_crate {
        assert_eq!(dumped.field(name), value, "{name} in {dumped:?}");
    }
}

fn time_field(batch: &RecordBatch<'_>) -> &'static str {
    match batch.timestamp_type().unwrap() {
        TimestampType::CreateTime => "CreateTime",
        TimestampType::LogAppendTime => "LogAppendTime",
    }
}

/// The tool prints keys and values as text where possible, and only the names of headers.
fn compare_text(record: &Row, dumped: &str, names: &str) {
    let expected: Vec<_> = record.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, format!("[{}]", expected.join(",")));
    let text = |bytes: &Option<Vec<u8>>| {
        let text = String::from_utf8(bytes.clone()?).ok()?;
        (!text.contains(char::is_control)).then_some(text)
    };
    if let (Some(key), Some(value)) = (text(&record.key), text(&record.value)) {
        assert_eq!(dumped, format!("{key} payload: {value}"));
    }
}
