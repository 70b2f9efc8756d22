//! ListOffsets, of the records that are written here first.

use kafka_batch_witnesses::kafka_protocol::messages::{BrokerId, ListOffsetsRequest};

use crate::batch::{Batch, Record, TIME};
use crate::requests::{list_offsets, offset_at, produce, sets};
use crate::setup::{APPEND_TIME, EMPTY, READ};
use crate::table::{Table, encoded, framed};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;

/// Adds batches whose records have these timestamps, counted from [`TIME`].
fn write(table: &mut Table, partition: i32, codec: i16, batches: &[&[i64]]) {
    for (number, times) in batches.iter().enumerate() {
        let record = |(position, time): (usize, &i64)| {
            let value =
                format!("{partition}/{number}/{position}, and what can be compressed: aaaaaaaaaaaaaaaaaaaaaaaa");
            Record { timestamp_delta: *time, ..Record::new(&value) }
        };
        let batch = Batch { codec, ..Batch::of(times.iter().enumerate().map(record).collect()) };
        let name = format!("records to be read, in partition {partition}, with codec {codec}, batch {number}");
        table.ask_with(name, 12, move |target| {
            produce(-1, vec![sets(12, target, READ, vec![(partition, Some(batch.bytes()))])])
        });
    }
}

pub(crate) fn add(table: &mut Table) {
    write(table, 0, 0, &[&[0, 10, 20], &[50, 40], &[30], &[50, 60, 60]]);
    write(table, 2, 1, &[&[0, 10, 20], &[50, 40]]);
    write(table, 2, 4, &[&[60, 50]]);
    let ask = |table: &mut Table, name: &str, version, partition, timestamp| {
        let request = list_offsets(READ, vec![offset_at(partition, timestamp)]);
        table.ask(format!("{name}, in v{version}"), version, request);
    };
    for version in 1..=10 {
        ask(table, "the end", version, 0, LATEST);
        ask(table, "the first offset", version, 0, EARLIEST);
    }
    let v11 = encoded(&list_offsets(READ, vec![offset_at(0, LATEST)]), 10);
    table.by_hand::<ListOffsetsRequest>("the end, in v11", 11, v11).responds_in(10);
    table.by_hand::<ListOffsetsRequest>("the end, in v0, which does not exist", 0, *b"\xff\xff\xff\xff\0\0\0\0");
    let v12 = encoded(&list_offsets(READ, vec![]), 10);
    table.by_hand::<ListOffsetsRequest>("offsets in v12, which does not exist", 12, v12);
    for version in [1, 4, 10] {
        for (name, time) in [
            ("the first record from before all", -5_000),
            ("the first record from a record's time", 10),
            ("the first record from a time between", 11),
            ("the first record from a time in the second batch", 41),
            ("the first record from the last time", 60),
            ("the first record from after all", 61),
        ] {
            ask(table, name, version, 0, TIME + time);
        }
    }
    for (name, time) in [("10", 10), ("45", 45), ("60", 60), ("61", 61)] {
        ask(table, &format!("the first compressed record from {name}"), 7, 2, TIME + time);
    }
    for version in [6, 7, 10] {
        ask(table, "the record with the largest timestamp", version, 0, MAX_TIMESTAMP);
    }
    ask(table, "the compressed record with the largest timestamp", 7, 2, MAX_TIMESTAMP);
    ask(table, "the record with the largest timestamp of none", 7, 1, MAX_TIMESTAMP);
    for (name, timestamp) in [("the end", LATEST), ("the first offset", EARLIEST), ("a record", TIME), ("time 0", 0)] {
        ask(table, &format!("{name} of an empty partition"), 7, 1, timestamp);
    }
    for (name, timestamp, versions) in [
        ("the first local offset", -4, &[7, 8, 9][..]),
        ("the last offset in remote storage", -5, &[8, 9, 10][..]),
        ("the first offset that is not in remote storage", -6, &[10][..]),
        ("the special timestamp −7", -7, &[10][..]),
        ("the special timestamp −100", -100, &[1, 10][..]),
    ] {
        for &version in versions {
            ask(table, name, version, 0, timestamp);
        }
    }
    let v11 = encoded(&list_offsets(READ, vec![offset_at(0, -6)]), 10);
    table
        .by_hand::<ListOffsetsRequest>("the first offset that is not in remote storage, in v11", 11, v11)
        .responds_in(10);
    for version in [1, 4, 7, 10] {
        for (name, topic, partition) in [
            ("an unknown topic", "unknown", 0),
            ("an unknown partition", READ, 3),
            ("the partition −1", READ, -1),
            ("an invalid topic", "not valid", 0),
        ] {
            let request = list_offsets(topic, vec![offset_at(partition, LATEST)]);
            table.ask(format!("the end of {name}, in v{version}"), version, request);
        }
    }
    let epoch = |epoch| list_offsets(READ, vec![offset_at(0, LATEST).with_current_leader_epoch(epoch)]);
    for (name, number) in
        [("the current", 0), ("a later", 5), ("the largest", i32::MAX), ("no", -1), ("a negative", -2)]
    {
        table.ask(format!("the end, with {name} leader epoch"), 7, epoch(number));
    }
    for level in [1, 2, -1] {
        let request = list_offsets(READ, vec![offset_at(0, LATEST)]).with_isolation_level(level);
        table.ask(format!("the end, with the isolation level {level}"), 7, request);
    }
    for replica in [-2, 1, 5] {
        let request = list_offsets(READ, vec![offset_at(0, LATEST)]).with_replica_id(BrokerId(replica));
        table.ask(format!("the end, for the replica {replica}"), 7, request);
    }
    let twice = list_offsets(READ, vec![offset_at(0, LATEST), offset_at(0, EARLIEST)]);
    table.ask("both ends of one partition", 7, twice);
    let several = list_offsets(READ, vec![offset_at(2, LATEST), offset_at(0, LATEST), offset_at(1, EARLIEST)]);
    table.ask("offsets of three partitions", 7, several);
    table.ask("offsets of no partition", 7, list_offsets(READ, vec![]));
    table.ask("offsets of no topic", 7, list_offsets(READ, vec![]).with_topics(vec![]));
    table.ask("the end of a topic without records", 7, list_offsets(EMPTY, vec![offset_at(2, LATEST)]));
    table.ask("the end of a topic with append times", 7, list_offsets(APPEND_TIME, vec![offset_at(9, EARLIEST)]));
    let body = encoded(&list_offsets(READ, vec![offset_at(0, LATEST)]), 7);
    table.raw::<ListOffsetsRequest>(
        "offsets, with a body that ends early",
        7,
        framed::<ListOffsetsRequest>(7, &body[..body.len() - 2]),
    );
}
