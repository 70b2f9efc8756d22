//! Which operations allocate memory, measured with a counting allocator. The suite `rdkafka` has a test of the same kind.

#[path = "allocation/counting.rs"]
mod counting;

use std::borrow::Cow;
use std::num::NonZeroU32;

use bytes::Bytes;
use kafka_batch::batch::Boundary;
use kafka_batch::compression::Codec;
use kafka_batch::decode::{DEFAULT_MAX_DECOMPRESSED, RecordBatches, RecordView};
use kafka_batch::message::*;
use kafka_batch::record::EncodedHeaders;
use kafka_batch::stream::PartitionedBatches;
use kafka_batch::*;
use kafka_batch_testing::TestCluster;

use crate::counting::{Taken, counted};

const NOTHING: Taken = Taken { times: 0, bytes: 0 };

#[track_caller]
fn assert_allocates_nothing<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let (result, taken) = counted(run);
    assert_eq!(taken, NOTHING, "{what}");
    result
}

const NAMES: [Header<'static>; 3] = [
    Header { name: "source", value: Some(b"sensor-7") },
    Header::null("trace"),
    Header { name: "source", value: Some(b"") },
];

fn now() -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000)
}

fn empty(options: BatchOptions) -> KafkaBatch {
    options.build(now()).expect("valid options")
}

/// Returns options of each format, with a codec and without: appending is the same for both.
fn formats() -> impl Iterator<Item = BatchOptions> {
    Magic::ALL.into_iter().flat_map(|magic| {
        [Compression::None, Compression::gzip(), Compression::Snappy, Compression::Lz4]
            .map(|codec| BatchOptions::default().magic(MagicChoice::Pinned(magic)).compression(codec))
    })
}

/// Returns records of every kind that this format can carry.
fn records(magic: Magic, encoded: &EncodedHeaders) -> Vec<Record<'_>> {
    let plain = Record::new("a value of this length").key("key-17").timestamp(now());
    let mut records = vec![plain, Record::tombstone("key"), Record::default(), Record::new("without a timestamp")];
    if magic.has_headers() {
        records.extend([plain.headers(&NAMES), plain.headers(encoded)]);
    }
    records
}

/// Appends `record` until the batch is full.
fn fill(batch: &mut KafkaBatch, record: Record<'_>) -> Full {
    loop {
        if let Append::Full(full) = batch.append(record).expect("valid in this format") {
            return full;
        }
    }
}

#[test]
fn with_a_capacity_appending_until_full_allocates_nothing_after_the_first_append() {
    let encoded = EncodedHeaders::new(&NAMES).unwrap();
    for options in formats() {
        let limits = [
            options.clone().capacity(DEFAULT_BATCH_SIZE),
            options.clone().boundary(Boundary::Aiokafka).capacity(DEFAULT_BATCH_SIZE),
            options.clone().batch_size(1_048_588).capacity(1_048_588),
            options.clone().max_records(300).capacity(DEFAULT_BATCH_SIZE),
        ];
        for options in limits {
            for record in records(empty(options.clone()).magic(), &encoded) {
                let mut batch = assert_allocates_nothing("a new batch", || empty(options.clone()));
                let (_, first) = counted(|| batch.append(record).unwrap().appended().expect("accepted"));
                assert_eq!(first.times, 1, "the first append allocates all memory at once");
                assert_allocates_nothing("appending until full, and a rejected append", || fill(&mut batch, record));
                assert!(batch.record_count() > 100, "{batch}");
            }
        }
    }
}

/// Many batches may be open, most of them with a record or a few: a producer with many partitions has one for each.
#[test]
fn a_thousand_open_batches_with_a_record_each_take_a_mebibyte_at_most() {
    const MEBIBYTE: usize = 1 << 20;
    let value = [b'x'; 100];
    let options = BatchOptions::default().batch_size(MEBIBYTE).max_message_bytes(MEBIBYTE);
    let mut batches = Vec::with_capacity(1_000);
    let ((), taken) = counted(|| {
        for _ in 0..1_000 {
            let mut batch = empty(options.clone());
            assert!(batch.append(Record::new(&value)).unwrap().appended().is_some());
            batches.push(batch);
        }
    });
    assert_eq!(taken.times, batches.len());
    assert!(taken.bytes <= MEBIBYTE, "{taken:?}");
}

/// In few steps, of which none is larger than the limits need; and what is copied on the way is less than the batch.
#[test]
fn a_batch_takes_memory_as_it_fills() {
    const SLACK: usize = 100; // header, and what wide stores need
    for options in formats() {
        for limit in [1_000, DEFAULT_BATCH_SIZE, 100_000, 1 << 20] {
            for len in [0, 10, 100, 1_000, 5_000] {
                let value = vec![b'x'; len];
                let record = Record::new(&value);
                let options = options.clone().batch_size(limit);
                let (mut batch, mut sum, mut steps, mut largest) = (empty(options.clone()), 0, 0, 0);
                loop {
                    let held = batch.size();
                    let (append, taken) = counted(|| batch.append(record).unwrap());
                    assert!(taken.times <= 1);
                    if taken.times == 1 {
                        assert!(taken.bytes <= limit.max(batch.size()) + SLACK, "{taken:?} for {batch}");
                        // A step is at most to the size of the limit, and before 8 KiB are filled to a fourfold.
                        let next = (4 * largest).max(8 * (batch.size() - held)).max(512);
                        assert!(largest > 8 << 10 || taken.bytes <= 5 * next, "{held}, then {taken:?} for {batch}");
                        (sum, steps, largest) = (sum + largest, steps + 1, taken.bytes);
                    }
                    if append.is_full() {
                        break;
                    }
                }
                assert!(sum <= batch.size() && steps <= 5, "{steps} steps, up to {sum} bytes copied, for {batch}");

                // The next batch is expected to become as large.
                let mut next = batch.next_batch();
                let (_, taken) = counted(|| fill(&mut next, record));
                assert!(taken.times <= 1 && next.record_count() == batch.record_count(), "{taken:?} for {next}");
            }
        }
    }
}

#[test]
fn a_batch_in_the_memory_of_another_one_takes_none() {
    for options in formats() {
        let record = Record::new("a value of some length");
        let filled = || {
            let mut batch = empty(options.clone());
            fill(&mut batch, record);
            batch
        };
        let stamped = || filled().seal().unwrap().without_producer_id();
        let is_compressed = stamped().codec() != Codec::None;
        let delivery = Delivery::new(TopicPartition::new("t", 0), 0, stamped());
        for (buffer, is_whole) in [
            (Some(filled().into_buffer()), true),
            (stamped().into_buffer(), !is_compressed),
            (delivery.into_buffer(), !is_compressed),
        ] {
            let mut batch = options.clone().build_with_buffer(now(), buffer.expect("nobody shares it")).unwrap();
            let (_, taken) = counted(|| fill(&mut batch, record));
            assert!(batch == filled());
            assert!(!is_whole || taken == NOTHING, "{taken:?}");
        }
    }
    let mut batch = empty(BatchOptions::default());
    fill(&mut batch, Record::new("value"));
    let stamped = batch.seal().unwrap().without_producer_id();
    let shared = stamped.bytes().clone();
    assert!(stamped.into_buffer().is_none() && !shared.is_empty(), "others still read it");
}

/// Runs the producer's task on a thread of its own, whose allocations are not counted.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

#[test]
fn a_producer_fills_batches_in_the_memory_of_delivered_ones() {
    let cluster = TestCluster::start();
    runtime().block_on(async {
        let producer = TokioProducer::builder().set("bootstrap.servers", cluster.bootstrap_servers()).build().unwrap();
        let (mut held, mut reused) = (Vec::new(), 0);
        for round in 0..30_u64 {
            let mut batch = producer.batch();
            let value = round.to_be_bytes().repeat(8);
            let (_, taken) = counted(|| fill(&mut batch, Record::new(&value)));
            // In rounds 10 and 11 the caller keeps the memory of the batch.
            let has_memory = !matches!(round, 0 | 11 | 12);
            assert_eq!(taken == NOTHING, has_memory, "{taken:?} in round {round}");
            reused += usize::from(has_memory);
            let delivery = producer.send_batch(batch, TopicPartition::new("t", 0)).await.unwrap().await.unwrap();
            match round {
                10 => held.push((round, Ok(delivery))),
                11 => held.push((round, Err(delivery.into_batch()))),
                _ => drop(delivery),
            }
        }
        for (round, kept) in &held {
            let batch = kept.as_ref().map_or_else(|batch| batch, Delivery::batch);
            let expected = round.to_be_bytes().repeat(8);
            assert!(
                batch.records().all(|record| record.value == Some(&expected[..])),
                "another batch is in its memory"
            );
        }
        assert_eq!((held.len(), reused), (2, 27));
        producer.close().await.unwrap();
    });
}

#[test]
fn a_message_is_encoded_in_the_memory_of_delivered_ones() {
    let cluster = TestCluster::start();
    let runtime = runtime();
    let _runtime = runtime.enter();
    let producer = TokioProducer::builder().set("bootstrap.servers", cluster.bootstrap_servers());
    let producer = producer.set("batch.size", "100000").build().unwrap();
    let message = Bytes::from(vec![7; 50_000]);
    for round in 0..5 {
        let (pending, taken) = counted(|| runtime.block_on(producer.enqueue("t", message.clone())));
        assert_eq!(taken.bytes < 10_000, round > 0, "{taken:?} in round {round}");
        runtime.block_on(pending.unwrap()).unwrap();
    }
}

/// Keys and values of every type are encoded in place: owned ones are neither copied nor converted first.
#[test]
fn appending_owned_shared_and_optional_fields_allocates_nothing() {
    let text = || String::from("a value of this length");
    let (bytes, cow) = (Bytes::from(text()), Cow::<str>::Owned(text()));
    let mut batch = empty(BatchOptions::default().batch_size(1 << 20).capacity(1 << 20));
    let _ = batch.append(Record::new("the first record allocates the batch")).unwrap();
    let before = batch.record_count();
    for _ in 0..100 {
        let (string, vec, shared, owned_cow) = (text(), text().into_bytes(), bytes.clone(), cow.clone());
        let optional = Some(text());
        assert_allocates_nothing("a `String`", || {
            batch.append(Record::new(string).key(7_u64.to_be_bytes())).unwrap().appended()
        });
        assert_allocates_nothing("a `Vec`", || {
            batch.append(Record::new(vec).key(optional.as_deref())).unwrap().appended()
        });
        assert_allocates_nothing("a `Bytes`", || {
            batch.append(Record::new(shared).key(None::<&str>)).unwrap().appended()
        });
        assert_allocates_nothing("a `Cow`", || batch.append(Record::new(owned_cow).key(b"key")).unwrap().appended());
        assert_allocates_nothing("an `Option`", || batch.append(Record::new(&bytes).key(optional)).unwrap().appended());
        let record = Record::new(text()).key(text());
        assert_allocates_nothing("a reference to an owned record", || batch.append(&record).unwrap().appended());
    }
    assert_eq!(batch.record_count() - before, 600);
}

/// Fields are written with stores wider than the field: there is room for that at the very end too.
#[test]
fn filling_up_to_the_last_requested_byte_allocates_nothing() {
    for record in [Record::tombstone("key"), Record::default(), Record::new("value"), Record::new("v").headers(&NAMES)]
    {
        let filled = |options: BatchOptions| {
            let mut batch = empty(options);
            let (_, first) = counted(|| batch.append(record).unwrap());
            assert_eq!(first.times, 1);
            let (_, later) = counted(|| {
                for _ in 0..20 {
                    let _ = batch.append(record).unwrap();
                }
            });
            (batch, later)
        };
        let empty_size = empty(BatchOptions::default()).size();
        let (records, _) = filled(BatchOptions::default());
        let (_, later) = filled(BatchOptions::default().capacity(records.size() - empty_size));
        assert_eq!(later, NOTHING, "{record:?}");
    }
}

#[test]
fn a_batch_without_a_size_hint_grows_in_few_steps() {
    let record = Record::new(&[b'x'; 1_000]);
    for options in [BatchOptions::default().capacity(0), BatchOptions::default().batch_size(100 << 20)] {
        let options = options.max_message_bytes(40 << 20).batch_size(30 << 20);
        let mut batch = empty(options);
        let (_, taken) = counted(|| fill(&mut batch, record));
        assert!(batch.record_count() > 30_000 && taken.times <= 20, "{taken:?} for {batch}");
    }
}

#[test]
fn queries_allocate_nothing() {
    let encoded = EncodedHeaders::new(&NAMES).unwrap();
    for options in formats() {
        for record in records(empty(options.clone()).magic(), &encoded) {
            let mut batch = empty(options.clone());
            for full in [false, true] {
                assert_allocates_nothing("cost, fits, room, sizes", || {
                    (batch.cost(record).unwrap(), batch.fits(record), batch.room(), batch.size(), batch.counted_size())
                });
                let _ = batch.append(record).unwrap();
                if !full {
                    fill(&mut batch, record);
                }
            }
        }
    }
}

#[test]
fn a_failing_append_allocates_nothing() {
    let mut old = empty(BatchOptions::default().magic(MagicChoice::Pinned(Magic::V0)).max_message_bytes(500));
    let _ = old.append(Record::new("x")).unwrap();
    let large = [0; 1_000];
    for record in [Record::new("x").headers(&NAMES), Record::new(&large)] {
        assert_allocates_nothing("a failing append", || old.append(record).unwrap_err());
    }
}

#[test]
fn marks_and_rollbacks_allocate_nothing() {
    for options in formats() {
        let mut batch = empty(options);
        let _ = batch.append(Record::new("first")).unwrap();
        assert_allocates_nothing("a mark, appends and a rollback, repeatedly", || {
            for _ in 0..100 {
                let mark = batch.mark();
                for _ in 0..10 {
                    let _ = batch.append(Record::new("and away")).unwrap();
                }
                batch.rollback(&mark).unwrap();
            }
        });
        assert_eq!(batch.record_count(), 1);
    }
}

/// If marks were set after the position of a rollback, their invalidation is recorded: once for each such
/// position still in the batch, in memory that is kept.
#[test]
fn nested_marks_allocate_once() {
    let mut batch = empty(BatchOptions::default());
    let mut round = || {
        let outer = batch.mark();
        let _ = batch.append(Record::new("x")).unwrap();
        let inner = batch.mark();
        let _ = batch.append(Record::new("y")).unwrap();
        batch.rollback(&inner).unwrap();
        batch.rollback(&outer).unwrap();
        batch.rollback(&inner).unwrap_err();
    };
    round();
    assert_allocates_nothing("nested marks, repeated", || (0..100).for_each(|_| round()));
}

#[test]
fn appending_several_records_allocates_nothing() {
    let mut batch = empty(BatchOptions::default().batch_size(100_000).capacity(100_000));
    let _ = batch.append(Record::new("first")).unwrap();
    let values = ["one of many"; 500];
    let records = values.map(Record::new);
    assert_allocates_nothing("extend", || batch.extend(records).unwrap());
    assert_allocates_nothing("try_extend", || batch.try_extend(records).unwrap());
    let mut rest = records.into_iter().peekable();
    let filled = assert_allocates_nothing("fill_from", || batch.fill_from(&mut rest).unwrap());
    assert_eq!(
        assert_allocates_nothing("appended_records", || batch.appended_records(filled.appended.positions()).count()),
        500
    );
    assert_allocates_nothing("values in bulk", || batch.bulk().key("key").timestamp(5).extend(values).unwrap());
    assert_allocates_nothing("long values in bulk", || batch.bulk().extend([[0; 500]; 10]).unwrap());
    assert_eq!(batch.record_count(), 1 + 4 * 500 + 10);
}

#[test]
fn messages_allocate_nothing_each() {
    let headers = [Header::new("source", "app")];
    let defaults = Defaults::default().key("k").correlation_id("42").headers(&headers);
    let mut batch = empty(BatchOptions::default().batch_size(500_000).capacity(500_000));
    let mut writer = batch.messages(&defaults);
    let _ = writer.append("the first message allocates batch and headers").unwrap();
    assert_allocates_nothing("texts", || {
        (0..1_000).for_each(|_| assert!(writer.append("text").unwrap().appended().is_some()));
    });
    let numbers = Json([1, 2, 3]);
    let _ = writer.append(&numbers).unwrap(); // another content type
    assert_allocates_nothing("JSON", || {
        (0..1_000).for_each(|_| assert!(writer.append(&numbers).unwrap().appended().is_some()));
    });
}

/// Reads everything in a record.
fn look(record: &RecordView<'_>) -> usize {
    let headers = record.headers.iter().map(|header| header.name.len() + header.value.map_or(0, <[u8]>::len));
    record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len) + headers.sum::<usize>()
}

#[test]
fn reading_allocates_nothing() {
    let encoded = EncodedHeaders::new(&NAMES).unwrap();
    for magic in Magic::ALL {
        let mut batch = empty(BatchOptions::default().magic(MagicChoice::Pinned(magic)));
        for record in records(magic, &encoded).into_iter().cycle().take(200) {
            assert!(batch.append(record).unwrap().appended().is_some());
        }
        let own = assert_allocates_nothing("views into an open batch", || {
            batch.records().map(|view| look(&view)).sum::<usize>()
        });
        let wire = batch.seal().unwrap().without_producer_id();
        let read = assert_allocates_nothing("views into a buffer", || {
            let mut sum = 0;
            for batch in RecordBatches::new(wire.bytes()) {
                let records = batch.unwrap().records(DEFAULT_MAX_DECOMPRESSED).unwrap();
                sum += records.iter().map(|view| look(&view.unwrap())).sum::<usize>();
            }
            sum
        });
        assert_eq!(own, read);
    }
}

/// Many sealed batches may be queued, and each counts for its size: one of ten bytes must not keep a mebibyte.
#[test]
fn sealing_releases_the_unused_capacity_of_a_batch() {
    for magic in Magic::ALL {
        let mut batch = empty(BatchOptions::default().batch_size(1 << 20).magic(MagicChoice::Pinned(magic)));
        assert!(batch.append(Record::new("a value of this length")).unwrap().appended().is_some());
        let (sealed, taken) = counted(|| batch.seal().unwrap());
        assert_eq!(taken, Taken { times: 1, bytes: sealed.size() }, "the capacity was reduced to this");
    }
}

/// Returns the address of a batch's first value, which is in its buffer.
fn place_of_value(batch: &KafkaBatch) -> *const u8 {
    batch.records().next().expect("a record").value.expect("which has a value").as_ptr()
}

#[test]
fn an_uncompressed_batch_is_sealed_stamped_and_reopened_in_place() {
    for magic in Magic::ALL {
        let mut batch = empty(BatchOptions::default().batch_size(100_000).magic(MagicChoice::Pinned(magic)));
        fill(&mut batch, Record::new("a value of this length"));
        let place = place_of_value(&batch);
        let sealed = assert_allocates_nothing("sealing", || batch.seal().unwrap());
        let (stamped, taken) = counted(|| sealed.without_producer_id());
        assert!(taken.times <= 1 && taken.bytes < 100, "a reference count, and no bytes: {taken:?}");
        assert!(stamped.bytes().as_ptr_range().contains(&place), "the bytes have not moved");
        let (shared, retry) = assert_allocates_nothing("a retry", || (stamped.bytes().clone(), stamped.clone()));
        assert_eq!((shared.as_ptr(), retry.bytes().as_ptr()), (stamped.bytes().as_ptr(), stamped.bytes().as_ptr()));
        drop((shared, retry));
        let opened = assert_allocates_nothing("reopening it", || stamped.into_batch());
        assert_eq!(place_of_value(&opened), place);
    }
}

#[test]
fn a_thousand_open_batches_take_memory_for_their_records() {
    let now = Timestamp::from_millis(0);
    let settings = BatchOptions::default().batch_size(1 << 20).build(now).unwrap();
    let mut batches = PartitionedBatches::new(&settings, NonZeroU32::new(1_000).unwrap());
    let value = [0; 100];
    let ((), taken) = counted(|| {
        for partition in 0..1_000 {
            assert!(batches.append(Record::new(&value), Some(partition), now).unwrap().full.is_none());
        }
    });
    assert_eq!(batches.open_count(), 1_000);
    assert!(
        taken.bytes <= (1 << 20) + 1_000 * 256,
        "1 MiB for the records, and 256 bytes for each batch itself: {taken:?}"
    );
}
