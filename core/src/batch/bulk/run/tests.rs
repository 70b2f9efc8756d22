//! That runs take the records for which they exist, exactly up to their limits, and write the bytes of the ordinary path. The
//! ordinary path would hide a run that takes nothing.

use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::batch::{BatchOptions, FullReason};
use crate::headers::HeaderList;
use crate::record::Record;

const KEYS: [Option<&[u8]>; 6] =
    [None, Some(b""), Some(b"k"), Some(b"7 bytes"), Some(b"fifteen bytes.."), Some(b"a key of thirty-one characters.")];

/// Returns a batch that has a record, and memory for `room` bytes of further ones.
fn batch(room: usize) -> KafkaBatch {
    let options = BatchOptions::default().batch_size(1 << 20).max_message_bytes(1 << 20);
    let first = options.clone().build(0).unwrap().cost(Record::new("first")).unwrap();
    let mut batch = options.capacity(first + room).build(0).unwrap();
    let _ = batch.append(Record::new("first")).unwrap();
    batch
}

/// Appends one value in a run of its own. Returns whether the run took it.
fn append(batch: &mut KafkaBatch, key: Option<&[u8]>, value: &[u8]) -> bool {
    Run::begin(batch, SharedKey::new(key), None).is_some_and(|mut run| run.append(Some(value), None))
}

#[test]
fn runs_take_values_of_up_to_64_kib_with_short_keys() {
    let value = vec![7; MAX_VALUE];
    for key in KEYS {
        for len in [0, 1, 20, 47, 48, 49, 64, 128, 160, 161, 1_000, MAX_VALUE] {
            let mut batch = batch(100_000);
            let mut looped = batch.clone();
            assert!(append(&mut batch, key, &value[..len]), "{key:?}, {len} bytes");
            let _ = looped.append(Record { key, ..Record::new(&value[..len]) }).unwrap();
            assert_eq!(batch, looped);
        }
        assert!(Run::is_possible(&batch(0), &Common { key, headers: HeaderList::EMPTY, timestamp: None }));
    }
    assert!(Run::takes(Some(&value)) && !Run::takes(None));
    assert!(!Run::takes(Some(&vec![7; MAX_VALUE + 1])));
    let long = [7; SharedKey::STORE];
    assert!(!Run::is_possible(&batch(0), &Common { key: Some(&long), headers: HeaderList::EMPTY, timestamp: None }));
}

#[test]
fn runs_take_what_the_memory_suffices_for_and_no_more() {
    // Short and medium values need a window of zeros; a long value needs room for the longest possible fields around it.
    let key = 1; // the length of a null key takes a byte
    for (len, room) in [(20, WINDOW), (100, WINDOW + 100), (1_000, 3 + 1 + 3 + 3 + 3 + 1 + key + 1_000)] {
        let value = vec![7; len];
        for (room, taken) in [(room, true), (room - 1, false)] {
            let mut batch = batch(room);
            let looped = batch.clone();
            assert_eq!(append(&mut batch, None, &value), taken, "{len} bytes, room for {room}");
            assert_eq!(batch == looped, !taken);
        }
    }
}

#[test]
fn a_closed_batch_takes_no_run() {
    let mut batch = batch(100_000);
    batch.close();
    assert!(!append(&mut batch, None, b"value"));
    let error = batch.bulk().extend(["value"]).unwrap_err();
    assert!(matches!(error, crate::ExtendError::Overflow(overflow) if overflow.full.reason == FullReason::Closed));
    assert_eq!(batch.record_count(), 1);
}

#[test]
fn zeros_are_appended_in_few_steps() {
    let mut batch = batch(100_000);
    let mut run = Run::begin(&mut batch, SharedKey::new(None), None).unwrap();
    let (mut steps, mut len) = (0, run.batch.buffer.len());
    for _ in 0..1_000 {
        assert!(run.append(Some(b"a short value"), None));
        steps += usize::from(run.batch.buffer.len() != len);
        len = run.batch.buffer.len();
    }
    let written = run.at - run.begin.0;
    assert!(steps < 60, "{steps} steps for {written} bytes");
}

/// The lengths of values at every length of the fields in front of them.
#[test]
fn all_lengths_of_all_fields_are_written_as_by_the_ordinary_path() {
    let values: Vec<Vec<u8>> = (0..170).map(|len| (0..len).collect()).collect();
    let deltas = [0, 63, 64, -64, -65, 8_191, 8_192, (1 << 20) - 1, 1 << 20, -(1 << 20), -(1 << 20) - 1];
    for offset in [0, 63, 64, 8_000, 8_191, 8_192, 100_000, MAX_OFFSET - 200, MAX_OFFSET - 100, MAX_OFFSET] {
        for delta in deltas {
            for key in KEYS {
                let options = BatchOptions::default().batch_size(1 << 20).capacity(50_000);
                let mut batch = options.build(0).unwrap();
                let _ = batch.append_at(offset, Record::new("first")).unwrap();
                let mut looped = batch.clone();
                let timestamp = Timestamp::from_millis(delta);
                let record = |value| Record { key, ..Record::new(value).timestamp(timestamp) };
                looped.extend(values.iter().map(|value| record(&value[..]))).unwrap();
                batch.bulk().key(key).timestamp(timestamp).extend(&values).unwrap();
                assert!(batch == looped, "offset {offset}, delta {delta}, key {key:?}: {batch}");
            }
        }
    }
}
