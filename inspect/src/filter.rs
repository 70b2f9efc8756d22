//! Which records are shown.

use std::ops::RangeInclusive;

use kafka_batch_core::decode::{RawRecordView, RecordBatch};

use crate::args::Args;

/// The conditions of the command line, all of which a record must meet.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    key: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    from: Option<i64>,
    until: Option<i64>,
    offsets: Option<RangeInclusive<i64>>,
    producer_id: Option<i64>,
}

impl Filter {
    pub(crate) fn new(args: &Args) -> Self {
        let header = |text: &String| match text.split_once('=') {
            Some((name, value)) => (name.into(), Some(value.into())),
            None => (text.clone().into_bytes(), None),
        };
        Self {
            key: args.key.as_ref().map(|key| key.clone().into_bytes()),
            headers: args.header.iter().map(header).collect(),
            from: args.from,
            until: args.until,
            offsets: args.offsets.clone(),
            producer_id: args.producer_id,
        }
    }

    /// Returns whether there is a condition on single records.
    pub(crate) fn examines_records(&self) -> bool {
        self.key.is_some()
            || !self.headers.is_empty()
            || self.from.is_some()
            || self.until.is_some()
            || self.offsets.is_some()
    }

    /// Returns whether records of a batch can match, by its header. What has no header has no producer id.
    pub(crate) fn admits(&self, batch: Option<&RecordBatch<'_>>) -> bool {
        let header = batch.and_then(RecordBatch::header);
        let is_in_range = match (&self.offsets, header, batch.and_then(RecordBatch::next_offset)) {
            // The header's last offset is that of readers, too: an earlier batch is not searched for later offsets.
            (Some(offsets), Some(header), Some(next)) => {
                header.base_offset <= *offsets.end() && next > *offsets.start()
            }
            _ => true,
        };
        is_in_range && self.producer_id.is_none_or(|id| header.is_some_and(|header| header.producer_id == id))
    }

    /// Returns whether a record of an admitted batch matches.
    pub(crate) fn matches(&self, record: &RawRecordView<'_>) -> bool {
        let millis = record.timestamp.millis();
        self.offsets.as_ref().is_none_or(|offsets| offsets.contains(&record.offset))
            && self.from.is_none_or(|from| millis >= from)
            && self.until.is_none_or(|until| millis < until)
            && self.key.as_deref().is_none_or(|key| record.key == Some(key))
            && self.headers.iter().all(|(name, value)| {
                let mut headers = record.headers.iter().filter(|header| header.name == name);
                headers.any(|header| value.as_deref().is_none_or(|value| header.value == Some(value)))
            })
    }
}
