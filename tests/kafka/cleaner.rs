//! Batches sealed by this library after the log cleaner has compacted them.

use kafka_batch::Compression;
use kafka_batch::batch::Stamp;
use kafka_batch::compression::Codec;

use super::broker::{Kafka, until};
use super::producers::stamped;
use super::rows::{NOON, Row, at_offsets, batches, records, rows};
use super::transaction::idempotent_producer;
use super::wire::Wire;
use super::{codecs, segments};

/// The cleaner rewrites segments: it leaves gaps between offsets, batches without records, and delete horizons.
#[test]
#[ignore = "needs a real broker: cargo with-kafka --kafka 4 -- cargo witnesses --test kafka -- --ignored"]
fn what_the_log_cleaner_leaves_is_read() {
    let kafka = Kafka::here();
    let mut wire = Wire::connect(&kafka);
    let eager = [("cleanup.policy", "compact"), ("min.cleanable.dirty.ratio", "0"), ("segment.ms", "60000")];
    let topic = wire.topic("cleaned", 5, &eager);
    // Each key as often as it has letters, and a tombstone at the end; all by one producer, whose sequence the log has
    // to remember.
    let value = |key: &str, value: &str| Row::new(Some(key.as_bytes()), Some(value.as_bytes()));
    let repeated = "a shorter text is not compressed, because no codec would make it smaller; ".repeat(9);
    let old = [value("a", "1"), value("bb", "1"), value("a", "2"), value("bb", &repeated)];
    let gone = [value("c", "1"), value("c", &repeated)];
    let newer = [value("c", &repeated), Row::new(Some(b"bb"), None), value("d", &repeated)];
    for (partition, compression) in (0..).zip(codecs()) {
        let (id, epoch) = idempotent_producer(&mut wire);
        let (gone_id, gone_epoch) = idempotent_producer(&mut wire);
        let stamp = |sequence| Stamp::default().producer(id, epoch, sequence);
        let gone_stamp = Stamp::default().producer(gone_id, gone_epoch, 0);
        wire.append((&topic, partition), &stamped(&old, compression, stamp(0)));
        wire.append((&topic, partition), &stamped(&gone, compression, gone_stamp));
        wire.append((&topic, partition), &stamped(&newer, compression, stamp(4)));
        // A day later by the records' timestamps: that closes the segment, and only closed segments are cleaned.
        let later = Row { timestamp: NOON + 86_400_000, ..value("later", "1") };
        wire.append((&topic, partition), &stamped(&[later], Compression::None, stamp(7)));
    }
    for (partition, compression) in (0..).zip(codecs()) {
        let log = until("the log cleaner", || {
            let log = wire.log(&topic, partition);
            (rows(&log).len() <= 5).then_some(log)
        });
        let offsets: Vec<_> = rows(&log).iter().map(|row| row.offset).collect();
        assert_eq!(offsets, [2, 6, 7, 8, 9], "{compression}");
        let read = batches(&log);
        let counts: Vec<_> = read.iter().map(|batch| batch.record_count().unwrap()).collect();
        assert_eq!(counts, [1, 0, 3, 1], "{compression}");
        assert!(read[2].delete_horizon().is_some());
        assert_eq!(read[1].codec(), Codec::None, "a batch without records is not compressed");
        assert_eq!(records(&read[2]), at_offsets(&newer, 6));
        segments::compare_with_dump(&[kafka.segment(&topic.name, partition)]);
    }
}
