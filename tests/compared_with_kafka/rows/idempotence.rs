//! Produce: sequence numbers. The producer ids are not assigned by a broker, which Kafka does not check.

use super::produce::send_to;
use crate::batch::Batch;
use crate::setup::PLAIN;
use crate::table::Table;

/// A producer with a partition of its own.
struct Producer {
    id: i64,
    partition: i32,
}

impl Producer {
    fn new(table: &mut Table) -> Self {
        let partition = table.partition();
        Self { id: 1_000 + i64::from(partition), partition }
    }

    fn send(&self, table: &mut Table, row: impl Into<String>, epoch: i16, sequence: i32, records: usize) {
        let batch = Batch::stamped(self.id, epoch, sequence, records);
        send_to(table, row, 12, (PLAIN, self.partition), -1, batch.bytes());
    }

    fn send_batch(&self, table: &mut Table, row: &str, batch: &Batch) {
        send_to(table, row, 12, (PLAIN, self.partition), -1, batch.bytes());
    }
}

pub(crate) fn add(table: &mut Table) {
    let producer = Producer::new(table);
    for number in 0..7 {
        producer.send(table, format!("seven batches: the sequence {number}"), 0, number, 1);
    }
    for number in (0..7).rev() {
        producer.send(table, format!("a duplicate of the sequence {number} after seven batches"), 0, number, 1);
    }
    producer.send(table, "a gap after seven batches", 0, 8, 1);
    producer.send(table, "a large gap", 0, 1_000_000, 1);
    producer.send(table, "the next of seven batches", 0, 7, 3);
    for (row, sequence, records) in [
        ("the start of the last batch", 7, 2),
        ("the end of the last batch", 8, 2),
        ("the last batch and one more", 7, 4),
        ("two batches in one", 5, 2),
        ("the last batch", 7, 3),
        ("half of the last batch and one more", 9, 2),
    ] {
        producer.send(table, format!("a repetition of {row}"), 0, sequence, records);
    }
    for (row, version) in [("in v3", 3), ("in v13", 13)] {
        let batch = Batch::stamped(producer.id, 0, 7, 3);
        send_to(table, format!("a duplicate, {row}"), version, (PLAIN, producer.partition), -1, batch.bytes());
        let batch = Batch::stamped(producer.id, 0, 70, 3);
        send_to(table, format!("a gap, {row}"), version, (PLAIN, producer.partition), -1, batch.bytes());
    }
    let batch = Batch::stamped(producer.id, 0, 7, 3);
    send_to(table, "a duplicate, with acks=1", 12, (PLAIN, producer.partition), 1, batch.bytes());
    send_to(table, "a duplicate, with acks=0", 12, (PLAIN, producer.partition), 0, batch.bytes()).no_response();
    let batch = Batch::stamped(producer.id, 0, 70, 3);
    send_to(table, "a gap, with acks=0", 12, (PLAIN, producer.partition), 0, batch.bytes());
    epochs(table);
    first_sequences(table);
    wrap(table);
    identities(table);
}

fn epochs(table: &mut Table) {
    let producer = Producer::new(table);
    producer.send(table, "epoch 5: the sequence 0", 5, 0, 2);
    producer.send(table, "epoch 5: the sequence 2", 5, 2, 2);
    producer.send(table, "an older epoch, with the next sequence", 4, 4, 1);
    producer.send(table, "an older epoch, with the sequence 0", 4, 0, 1);
    producer.send(table, "an older epoch, with a duplicate's sequence", 4, 2, 2);
    producer.send(table, "a newer epoch, with the next sequence", 6, 4, 1);
    producer.send(table, "a newer epoch, with the sequence 1", 6, 1, 1);
    producer.send(table, "the same epoch after that", 5, 4, 1);
    producer.send(table, "a newer epoch, with the sequence 0", 6, 0, 1);
    producer.send(table, "its duplicate", 6, 0, 1);
    producer.send(table, "the epoch before, after the newer one", 5, 5, 1);
    producer.send(table, "the largest epoch, with the sequence 0", i16::MAX, 0, 1);
    producer.send(table, "the largest epoch, with the sequence 1", i16::MAX, 1, 1);
    producer.send(table, "an epoch before the largest", i16::MAX - 1, 2, 1);
}

fn first_sequences(table: &mut Table) {
    for sequence in [1, 7, i32::MAX] {
        let producer = Producer::new(table);
        producer.send(table, format!("an unknown producer, with the sequence {sequence}"), 0, sequence, 1);
        producer.send(table, format!("the producer that began with {sequence}, with the same again"), 0, sequence, 1);
        producer.send(table, format!("the producer that began with {sequence}, with the sequence 0"), 0, 0, 1);
    }
    let producer = Producer::new(table);
    producer.send(table, "an unknown producer, with an epoch of 3 and the sequence 9", 3, 9, 1);
    producer.send(table, "the same producer, with the next sequence", 3, 10, 1);
}

fn wrap(table: &mut Table) {
    let producer = Producer::new(table);
    producer.send(table, "the sequences 2³¹ − 2 and 2³¹ − 1", 0, i32::MAX - 1, 2);
    producer.send(table, "the sequence 1 after the largest", 0, 1, 1);
    producer.send(table, "the sequence 0 after the largest", 0, 0, 1);
    producer.send(table, "a duplicate from before the largest", 0, i32::MAX - 1, 2);
    producer.send(table, "the sequence 1 after 0", 0, 1, 1);
    producer.send(table, "the largest sequence, again", 0, i32::MAX, 1);
    let producer = Producer::new(table);
    producer.send(table, "the sequence 2³¹ − 1, in a batch that ends after 0", 0, i32::MAX, 2);
    producer.send(table, "the sequence 1 after that batch", 0, 1, 1);
    producer.send(table, "a duplicate of a batch across the largest sequence", 0, i32::MAX, 2);
}

fn identities(table: &mut Table) {
    let one = |table: &mut Table, row: &str, change: fn(Batch) -> Batch| {
        let producer = Producer::new(table);
        let batch = change(Batch::stamped(producer.id, 0, 0, 1));
        producer.send_batch(table, row, &batch);
        producer.send_batch(table, &format!("{row}, again"), &batch);
    };
    one(table, "a producer id without a sequence", |batch| Batch { base_sequence: -1, ..batch });
    one(table, "a producer id with the sequence −2", |batch| Batch { base_sequence: -2, ..batch });
    one(table, "a producer id with the least sequence", |batch| Batch { base_sequence: i32::MIN, ..batch });
    one(table, "a producer id without an epoch", |batch| Batch { producer_epoch: -1, ..batch });
    one(table, "a producer id with the epoch −2", |batch| Batch { producer_epoch: -2, ..batch });
    one(table, "the producer id −2", |batch| Batch { producer_id: -2, ..batch });
    one(table, "the producer id 0", |batch| Batch { producer_id: 0, ..batch });
    one(table, "the largest producer id", |batch| Batch { producer_id: i64::MAX, ..batch });
    one(table, "a sequence without a producer id", |batch| Batch { producer_id: -1, ..batch });
    one(table, "an epoch without a producer id", |batch| Batch { producer_id: -1, base_sequence: -1, ..batch });
    one(table, "a compressed batch of an idempotent producer", |batch| Batch { codec: 1, ..batch });
    one(table, "a batch of an idempotent producer with a wrong checksum", |batch| Batch { crc: Some(1), ..batch });
    let producer = Producer::new(table);
    producer.send(table, "a batch before one with the same sequences and other records", 0, 0, 2);
    let other = Batch { codec: 1, base_timestamp: 5, ..Batch::stamped(producer.id, 0, 0, 2) };
    producer.send_batch(table, "the same sequences with other records", &other);
}
