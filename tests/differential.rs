//! `kafka-protocol` and `rskafka`, which share no code with each other or with this crate, read what this crate writes, and it
//! reads what they write.
//!
//! The record codec of `kafka-protocol` is public. That of `rskafka` is private, so it is tested through the client: over TCP
//! with a small broker (`stub_broker`), which stores the bytes that the client produces, and returns this crate's bytes when
//! it fetches.
//!
//! What the peers do not support is left out by the generators:
//!
//! | | `kafka-protocol` 0.18 | `rskafka` 0.6 |
//! |---|---|---|
//! | magic 0 and 1 | neither read nor written (the suites `vectors` and `kafka` use other peers) | the same |
//! | repeated header names | collapse into one ([`kafka_protocol_peer::supported`]) | the same ([`rskafka_peer::supported`]) |
//! | order of headers | kept | sorted by name |
//! | null header values | read and written | a decode error; not supported |
//! | timestamps so far apart that their difference wraps | overflow | an error |
//! | timestamps outside the range of `chrono` | read and written | an error |
//! | log-append-time | the flag is returned, the records keep their timestamps | the flag is ignored |
//! | producer id, epoch, sequence, transactional bit | read and written | ignored; always written as "none" |
//! | delete horizon | read and written as a flag | ignored |
//! | relative offsets with gaps | read and written | read; never written |
//! | Snappy format that it writes | xerial framing | raw |

#[path = "differential/kafka_protocol_peer.rs"]
mod kafka_protocol_peer;
#[path = "differential/rskafka_peer.rs"]
mod rskafka_peer;
#[path = "differential/stub_broker.rs"]
mod stub_broker;

use ::proptest::prelude::*;
use ::proptest::test_runner::TestCaseError;
use kafka_batch::batch::StampedBatch;
use kafka_batch::compression::Codec;
use kafka_batch::decode::{DEFAULT_MAX_DECOMPRESSED, RecordBatches};
use kafka_batch::proptest::{OwnedHeader, OwnedRecord};
use kafka_batch::*;

/// The default number of cases (or `PROPTEST_CASES`) divided by `divisor`. Seeds are not stored: each failure is to become a
/// named test.
fn config(divisor: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: default.cases.div_ceil(divisor), failure_persistence: None, ..default }
}

fn fail(error: impl std::fmt::Debug) -> TestCaseError {
    TestCaseError::fail(format!("{error:?}"))
}

fn batch_of(compression: Compression, records: &[OwnedRecord]) -> KafkaBatch {
    let options = BatchOptions::default().batch_size(1 << 20).compression(compression);
    let mut batch = options.build(Timestamp::from_millis(0)).expect("valid options");
    let borrowed: Vec<_> = records.iter().map(OwnedRecord::borrowed).collect();
    batch.extend(&borrowed).expect("room for all records");
    batch
}

/// Reads one batch: its codec, and each record with its offset.
fn read(bytes: &[u8]) -> Result<(Codec, Vec<(i64, OwnedRecord)>), TestCaseError> {
    let mut batches = RecordBatches::new(bytes);
    let batch = batches.next().ok_or_else(|| TestCaseError::fail("no batch"))?.map_err(fail)?;
    let records = batch.records(DEFAULT_MAX_DECOMPRESSED).map_err(fail)?;
    records.validate().map_err(fail)?;
    let views = records.iter().map(|view| view.map(|view| (view.offset, OwnedRecord::from(view))));
    let records = views.collect::<Result<_, _>>().map_err(fail)?;
    prop_assert!(batches.next().is_none() && batches.tail().is_none(), "more than one batch");
    Ok((batch.codec(), records))
}

fn stamped(records: &[OwnedRecord]) -> StampedBatch {
    batch_of(Compression::None, records).seal().expect("the batch is within the limits").without_producer_id()
}

/// Returns a batch of one record with a repeated header name.
fn repeated_names() -> StampedBatch {
    let headers = vec![OwnedHeader::new("a", "1"), OwnedHeader::new("a", "2")];
    stamped(&[OwnedRecord { headers, ..OwnedRecord::default() }])
}

/// Returns a batch of one record in an older format.
fn of_magic(magic: Magic) -> StampedBatch {
    let mut batch = BatchOptions::default().magic(MagicChoice::Pinned(magic)).build(0).expect("valid options");
    let _ = batch.append(Record::new("x")).expect("valid in every format");
    batch.seal().expect("the batch is within the limits").without_producer_id()
}

/// Returns the headers without those that repeat an earlier name.
fn without_repeats(headers: Vec<OwnedHeader>) -> Vec<OwnedHeader> {
    let mut kept: Vec<OwnedHeader> = Vec::new();
    for header in headers {
        if kept.iter().all(|other| other.name != header.name) {
            kept.push(header);
        }
    }
    kept
}

/// Returns the timestamp, reduced to less than `limit` milliseconds before or after 1970.
fn within(limit: i64, record: &OwnedRecord) -> Option<Timestamp> {
    Some(Timestamp::from_millis(record.timestamp.map_or(0, |timestamp| timestamp.millis() % limit)))
}

/// Returns records of about 300 kB in all, which is more than one block of every codec: runs and noise.
fn large_records() -> Vec<OwnedRecord> {
    let mut state = 1_u32;
    let mut noise = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let value = |kind: usize, noise: &mut dyn FnMut() -> u8| -> Vec<u8> {
        (0..50_000 + kind).map(|at| if kind % 2 == 0 { noise() } else { (at / 100) as u8 }).collect()
    };
    (0..6)
        .map(|kind| OwnedRecord {
            timestamp: Some(Timestamp::from_millis(5)),
            ..OwnedRecord::new(value(kind, &mut noise))
        })
        .collect()
}
