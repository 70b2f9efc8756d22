//! Reads from the log of a cluster in this process.

use kafka_batch::Delivery;
use kafka_batch::decode::{DEFAULT_MAX_DECOMPRESSED, DecodeError, RecordBatches, RecordView};
use kafka_batch_testing::TestCluster;

use super::{Stored, check, unread};
use crate::failure::Failure;

pub(super) fn compare(cluster: &TestCluster, delivery: Delivery) -> Result<(), Failure> {
    let to = delivery.topic_partition().clone();
    let Some(log) = cluster.log(&to.topic, to.partition) else {
        return Err(unread(&to, &"it does not exist"));
    };
    let offsets: Option<Vec<_>> = delivery.records().map(|record| record.offset).collect();
    let Some(offsets) = offsets else {
        return Err(unread(&to, &"the broker did not say at which offsets its records are"));
    };
    let batch = delivery.into_batch();
    let mut published = offsets.into_iter().zip(batch.records()).peekable();
    for stored in log.batches() {
        let Some(&(next, _)) = published.peek() else { break };
        if stored.end() <= next {
            continue; // is not decompressed
        }
        let mut found = Ok(());
        let read = for_each_record(&stored.bytes, |offset, record| {
            if let Some((_, published)) = published.next_if(|(next, _)| *next == offset) {
                if found.is_ok() {
                    found = check(&to, offset, &published, record);
                }
            }
        });
        read.map_err(|error| unread(&to, &error))?;
        found?;
    }
    match published.next() {
        Some((offset, _)) => Err(unread(&to, &format!("offset {offset} is not in the log"))),
        None => Ok(()),
    }
}

fn for_each_record(bytes: &[u8], mut each: impl FnMut(i64, &Stored<'_>)) -> Result<(), DecodeError> {
    for batch in RecordBatches::new(bytes) {
        for record in &batch?.records(DEFAULT_MAX_DECOMPRESSED)? {
            let RecordView { offset, timestamp, key, value, headers, .. } = record?;
            let headers = headers.iter().map(|header| (header.name, header.value)).collect();
            each(offset, &Stored { key, value, headers, timestamp_ms: Some(timestamp.millis()) });
        }
    }
    Ok(())
}
