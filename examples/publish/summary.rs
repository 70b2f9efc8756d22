//! Totals of what was published.

use std::collections::BTreeMap;

use kafka_batch::{Compression, Delivery};

use crate::args::Args;

#[derive(Default)]
pub(crate) struct Summary {
    pub(crate) batches: usize,
    records: usize,
    raw: usize,
    sealed: usize,
    partitions: BTreeMap<i32, Share>,
    pub(crate) one_batch_on_the_wire: bool,
    /// What was found by reading the records back.
    pub(crate) read_back: String,
}

/// The totals of one partition.
#[derive(Default)]
struct Share {
    batches: usize,
    records: usize,
    first: Option<i64>,
    last: Option<i64>,
}

impl Summary {
    pub(crate) fn add(&mut self, delivery: &Delivery, raw: usize, sealed: usize) {
        let records = delivery.record_count();
        self.batches += 1;
        self.records += records;
        self.raw += raw;
        self.sealed += sealed;
        let share = self.partitions.entry(delivery.topic_partition().partition).or_default();
        share.batches += 1;
        share.records += records;
        share.first = share.first.or(delivery.base_offset());
        share.last = delivery.offset(records - 1);
    }

    /// Returns what was published so far, for an error message.
    pub(crate) fn so_far(&self) -> String {
        match self.batches {
            0 => "nothing".into(),
            batches => format!("{} ({})", count(batches, "batch", "es"), count(self.records, "record", "s")),
        }
    }

    pub(crate) fn message(&self, args: &Args) -> String {
        let Self { batches, records, raw, sealed, read_back, .. } = self;
        let codec = args.compression.codec();
        let percent = sealed * 100 / raw.max(&1);
        // The sizes counted here are those on the wire only if the transport sends the filled batches themselves.
        let whose = if self.one_batch_on_the_wire || args.compression == Compression::None {
            ""
        } else {
            ", sealed here; librdkafka makes and compresses batches of its own, and what it sent can differ"
        };
        let mut text = format!(
            "\nbatches      {batches}\nrecords      {records}, {read_back}\n\
             raw          {raw} bytes\ncompressed   {sealed} bytes, {percent} % ({codec}{whose})"
        );
        for (partition, share) in &self.partitions {
            let Share { batches, records, .. } = share;
            let offsets = offsets(share.first, share.last);
            let (records, batches) = (count(*records, "record", "s"), count(*batches, "batch", "es"));
            text += &format!("\npartition {partition:<2} {offsets}: {records} in {batches}");
        }
        text
    }
}

/// Returns the partition and offsets of a batch.
pub(crate) fn place(delivery: &Delivery) -> String {
    let last = delivery.record_count().checked_sub(1).and_then(|last| delivery.offset(last));
    format!("partition {}, {}", delivery.topic_partition().partition, offsets(delivery.base_offset(), last))
}

fn offsets(first: Option<i64>, last: Option<i64>) -> String {
    match first.zip(last) {
        Some((first, last)) => format!("offsets {first} to {last}"),
        None => "offsets unknown".into(),
    }
}

fn count(count: usize, word: &str, plural: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { plural })
}
