//! Each way to a partition, each way out, and any interleaving of them beside a model.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec;

use proptest::collection::vec as vec_of;
use proptest::prelude::*;

use super::*;
use crate::batch::BatchOptions;

const LINGER: u64 = 10;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn count(partitions: u32) -> NonZeroU32 {
    NonZeroU32::new(partitions).unwrap()
}

fn options() -> BatchOptions {
    BatchOptions::default().batch_size(200).max_message_bytes(300).max_records(4)
}

fn batches(partitions: u32) -> PartitionedBatches {
    let settings = options().build(0).unwrap();
    PartitionedBatches::new(&settings, count(partitions)).linger(Duration::from_millis(LINGER))
}

fn values(batch: &KafkaBatch) -> Vec<String> {
    batch.records().map(|record| String::from_utf8(record.value.unwrap().to_vec()).unwrap()).collect()
}

/// Appends to an explicit partition, and expects no full batch.
#[track_caller]
fn put(batches: &mut PartitionedBatches, partition: i32, value: &str, now: i64) {
    let placement = batches.append(Record::new(value), Some(partition), at(now)).unwrap();
    assert_eq!((placement.partition, placement.full), (partition, None));
}

#[test]
fn an_explicit_partition_goes_before_the_key() {
    let mut batches = batches(50);
    let record = Record::new("a").key("sensor-7");
    let of_key = partition_for_key(b"sensor-7", count(50));
    assert_eq!(batches.append(record, None, at(0)).unwrap().partition, of_key);
    let other = (of_key + 1) % 50;
    assert_eq!(batches.append(record, Some(other), at(0)).unwrap().partition, other);
    assert_eq!(batches.open_count(), 2);
}

#[test]
fn settings_that_route_by_key_do_not_limit_explicit_partitions() {
    let settings = options().route_by_key(count(50)).build(0).unwrap();
    let mut batches = PartitionedBatches::new(&settings, count(50));
    for key in ["a", "b", "c"] {
        assert_eq!(batches.append(Record::new("v").key(key), Some(3), at(0)).unwrap().partition, 3);
    }
}

#[test]
fn a_rejected_record_changes_nothing() {
    let mut batches = batches(3);
    put(&mut batches, 1, "a", 0);
    let before = (batches.open_count(), batches.open_bytes());
    for partition in [-1, 3, i32::MIN, i32::MAX] {
        let error = batches.append(Record::new("b"), Some(partition), at(0)).unwrap_err();
        assert!(matches!(error, PartitionedAppendError::UnknownPartition { .. }), "{error}");
    }
    let large = Record::new(&[0; 400]);
    for partition in [Some(1), Some(2), None] {
        let error = batches.append(large, partition, at(0)).unwrap_err();
        let too_large = matches!(error, PartitionedAppendError::Append(AppendError::TooLarge { limit: 300, .. }));
        assert!(too_large, "{error}");
    }
    assert_eq!((batches.open_count(), batches.open_bytes()), before);
    assert_eq!(values(&batches.take_oldest().unwrap().batch), ["a"]);
}

#[test]
fn a_record_that_does_not_fit_begins_the_next_batch_of_its_partition() {
    let mut batches = batches(3);
    for value in ["a", "b", "c", "d"] {
        put(&mut batches, 1, value, 0);
    }
    put(&mut batches, 2, "other", 0);
    let placement = batches.append(Record::new("e"), Some(1), at(7)).unwrap();
    assert_eq!((placement.partition, placement.record.offset), (1, 0));
    assert_eq!(placement.record.timestamp, at(7));
    let full = placement.full.unwrap();
    assert_eq!((full.partition, values(&full.batch)), (1, ["a", "b", "c", "d"].map(Into::into).to_vec()));
    assert_eq!(batches.take(1).map(|rest| values(&rest.batch)), Some(vec!["e".into()]));
    assert_eq!(batches.open_count(), 1);
}

#[test]
fn linger_is_counted_for_each_batch_from_its_own_first_record() {
    let mut batches = batches(3);
    assert_eq!(batches.time_left(at(0)), None);
    for (partition, now) in [(0, 100), (1, 103), (0, 108), (2, 109)] {
        put(&mut batches, partition, "a", now);
    }
    assert_eq!(batches.time_left(at(109)), Some(Duration::from_millis(1)));
    let mut due = Vec::new();
    for now in 109..120 {
        while let Some(batch) = batches.take_due(at(now)) {
            due.push((now, batch.partition));
        }
    }
    assert_eq!(due, [(110, 0), (113, 1), (119, 2)]);
    assert_eq!(batches.time_left(at(120)), None);
}

#[test]
fn without_linger_a_batch_waits_until_it_is_full_or_taken() {
    let settings = options().build(0).unwrap();
    let mut batches = PartitionedBatches::new(&settings, count(3));
    put(&mut batches, 0, "a", 0);
    assert_eq!(batches.time_left(at(i64::MAX)), None);
    assert!(batches.take_due(at(i64::MAX)).is_none());
    assert!(batches.take(1).is_none() && batches.take(-1).is_none() && batches.take(i32::MAX).is_none());
    assert_eq!(batches.drain().count(), 1);
}

#[test]
fn batches_from_before_the_clock_was_set_back_are_due() {
    let mut batches = batches(3);
    put(&mut batches, 0, "a", 1_000);
    put(&mut batches, 1, "b", 900);
    assert_eq!(batches.take_due(at(900)).unwrap().partition, 0);
    assert!(batches.take_due(at(909)).is_none());
    assert_eq!(batches.take_due(at(910)).unwrap().partition, 1);
}

#[test]
fn over_the_limit_of_bytes_the_oldest_are_due() {
    let mut batches = batches(10).max_open_bytes(300);
    for partition in [3, 1, 2, 0] {
        put(&mut batches, partition, "0123456789", 0);
    }
    let one = batches.open_bytes() / 4;
    assert_eq!(300 / one, 3, "three batches are within the limit, and four are not");
    assert_eq!(batches.time_left(at(0)), Some(Duration::ZERO));
    assert_eq!(batches.take_due(at(0)).unwrap().partition, 3);
    assert!(batches.take_due(at(0)).is_none());
    assert_eq!(batches.open_bytes(), 3 * one);
}

#[test]
fn records_without_a_key_fill_one_batch_after_another_on_changing_partitions() {
    let mut batches = batches(6);
    let mut placed = Vec::new();
    for number in 0..400 {
        let placement = batches.append(Record::new(&format!("{number}")), None, at(0)).unwrap();
        if let Some(full) = placement.full {
            assert_eq!(full.batch.record_count(), 4);
            assert_ne!(full.partition, placement.partition, "the next batch is for another partition");
        }
        assert_eq!(batches.open_count(), 1);
        placed.push(placement.partition);
    }
    assert!(placed.chunks(4).all(|batch| batch.iter().all(|partition| *partition == batch[0])));
    assert_eq!(placed.iter().collect::<BTreeSet<_>>().len(), 6);
}

#[test]
fn a_sticky_partition_changes_when_its_batch_is_taken() {
    let mut batches = batches(6);
    for _ in 0..20 {
        let first = batches.append(Record::new("a"), None, at(0)).unwrap().partition;
        assert_eq!(batches.append(Record::new("a"), None, at(0)).unwrap().partition, first);
        assert_eq!(batches.take_due(at(LINGER as i64)).unwrap().partition, first);
        assert_ne!(batches.append(Record::new("a"), None, at(0)).unwrap().partition, first);
        assert_eq!(batches.drain().count(), 1);
    }
}

#[test]
fn an_append_without_a_key_fills_at_most_one_batch() {
    let mut batches = batches(2);
    for partition in [0, 1] {
        for value in ["a", "b", "c", "d"] {
            put(&mut batches, partition, value, 0);
        }
    }
    let placement = batches.append(Record::new("e"), None, at(0)).unwrap();
    assert_eq!(placement.full.unwrap().partition, placement.partition);
    assert_eq!(batches.open_count(), 2);

    let mut batches = self::batches(1);
    for number in 0..40 {
        let placement = batches.append(Record::new("a"), None, at(0)).unwrap();
        assert_eq!(placement.full.is_some(), number > 0 && number % 4 == 0);
    }
}

#[test]
fn a_new_number_of_partitions_returns_the_open_batches_the_oldest_first() {
    let mut batches = batches(10);
    for partition in [9, 4, 7] {
        put(&mut batches, partition, "a", 0);
    }
    let open = batches.set_partitions(count(4));
    assert_eq!(open.iter().map(|open| open.partition).collect::<Vec<_>>(), [9, 4, 7]);
    assert_eq!((batches.open_count(), batches.open_bytes(), batches.partitions()), (0, 0, count(4)));
    assert!(batches.append(Record::new("a"), Some(4), at(0)).is_err());
    let moved = batches.append(Record::new("a").key("sensor-7"), None, at(0)).unwrap();
    assert_eq!(moved.partition, partition_for_key(b"sensor-7", count(4)));
}

#[test]
fn settings_apply_from_the_next_batch_on() {
    let mut batches = batches(2);
    put(&mut batches, 0, "a", 0);
    batches.set_settings(&options().max_records(1).build(0).unwrap());
    put(&mut batches, 0, "b", 0);
    put(&mut batches, 1, "c", 0);
    assert!(batches.append(Record::new("d"), Some(1), at(0)).unwrap().full.is_some());
    assert_eq!(batches.take(0).unwrap().batch.record_count(), 2);
}

#[test]
fn the_cost_of_a_call_does_not_depend_on_the_number_of_open_batches() {
    let mut batches = batches(10_000);
    let mut most = 0;
    let mut cost = |batches: &mut PartitionedBatches, call: &mut dyn FnMut(&mut PartitionedBatches)| {
        let before = batches.open.accesses;
        call(batches);
        most = most.max(batches.open.accesses - before);
    };
    for number in 0..60_000_i64 {
        let partition = (number * 7_919 % 10_000) as i32;
        cost(&mut batches, &mut |batches| {
            let _ = batches.append(Record::new("a"), Some(partition), at(number / 10_000)).unwrap();
        });
    }
    assert_eq!(batches.open_count(), 10_000);
    cost(&mut batches, &mut |batches| drop(batches.take(5_000)));
    for now in [LINGER as i64, 1_000] {
        while batches.time_left(at(now)).is_some_and(|left| left.is_zero()) {
            cost(&mut batches, &mut |batches| drop(batches.take_due(at(now)).unwrap()));
        }
    }
    assert_eq!(batches.open_count(), 0);
    assert!(most <= 5, "a call accessed {most} batches");
}

#[derive(Clone, Debug)]
enum Call {
    Append { partition: Option<i32>, key: Option<u8>, len: usize },
    Pass(i64),
    TakeDue,
    TakeOldest,
    Take(i32),
    SetPartitions(u32),
}

fn call() -> impl Strategy<Value = Call> {
    let partition = prop_oneof![3 => Just(None), 1 => (-1..9).prop_map(Some)];
    let append = (partition, proptest::option::of(0..20_u8), prop_oneof![4 => 0..60_usize, 1 => 0..400_usize]);
    prop_oneof![
        20 => append.prop_map(|(partition, key, len)| Call::Append { partition, key, len }),
        6 => (0..8_i64).prop_map(Call::Pass),
        6 => Just(Call::TakeDue),
        1 => Just(Call::TakeOldest),
        1 => (-1..9).prop_map(Call::Take),
        1 => (1..9_u32).prop_map(Call::SetPartitions),
    ]
}

/// What has to be open: for each partition the time of the first append, and the values.
#[derive(Default)]
struct Model {
    open: BTreeMap<i32, (i64, Vec<String>)>,
    returned: usize,
}

impl Model {
    /// Checks a returned batch, and returns when it was opened.
    fn returned(&mut self, PartitionBatch { partition, batch }: &PartitionBatch) -> i64 {
        let (opened, expected) = self.open.remove(partition).expect("an open batch");
        assert_eq!(values(batch), expected, "all records of the partition, in order");
        assert!(batch.size() <= 200 || batch.record_count() == 1);
        assert!(batch.size() <= 300 && batch.record_count() <= 4);
        self.returned += expected.len();
        opened
    }

    fn oldest(&self) -> Option<i64> {
        self.open.values().map(|(opened, _)| *opened).min()
    }
}

proptest! {
    #[test]
    fn any_interleaving_returns_each_record_once_in_order_and_in_time(
        calls in vec_of(call(), 1..400),
        limit in prop_oneof![Just(usize::MAX), 100..1_500_usize],
    ) {
        let (mut batches, mut partitions) = (batches(5).max_open_bytes(limit), 5);
        let (mut model, mut now, mut appended) = (Model::default(), 0, 0);
        for (number, call) in calls.into_iter().enumerate() {
            match call {
                Call::Append { partition, key, len } => {
                    let value = format!("{number} {}", "x".repeat(len));
                    let key = key.map(|key| [key]);
                    let record = Record::new(&value).key(key.as_ref());
                    match batches.append(record, partition, at(now)) {
                        Ok(placement) => {
                            if let Some(full) = &placement.full {
                                model.returned(full);
                            }
                            let of_key = key.map(|key| partition_for_key(&key, count(partitions)));
                            prop_assert!(partition.or(of_key).is_none_or(|expected| expected == placement.partition));
                            prop_assert!((0..partitions as i32).contains(&placement.partition));
                            let (_, open) = model.open.entry(placement.partition).or_insert((now, Vec::new()));
                            prop_assert_eq!(placement.record.offset as usize, open.len());
                            open.push(value);
                            appended += 1;
                        }
                        Err(PartitionedAppendError::UnknownPartition { partition, .. }) => {
                            prop_assert!(!(0..partitions as i32).contains(&partition));
                        }
                        Err(PartitionedAppendError::Append(_)) => prop_assert!(value.len() > 200),
                    }
                }
                Call::Pass(millis) => now += millis,
                Call::TakeDue => {
                    let mut bytes = batches.open_bytes();
                    while let Some(due) = batches.take_due(at(now)) {
                        let oldest = model.oldest();
                        let opened = model.returned(&due);
                        prop_assert_eq!(Some(opened), oldest);
                        prop_assert!(now - opened >= LINGER as i64 || bytes > limit);
                        bytes = batches.open_bytes();
                    }
                    prop_assert!(model.oldest().is_none_or(|opened| now - opened < LINGER as i64));
                    prop_assert!(batches.open_bytes() <= limit);
                    let left = model.oldest().map(|opened| Duration::from_millis((opened + LINGER as i64 - now) as u64));
                    prop_assert_eq!(batches.time_left(at(now)), left);
                }
                Call::TakeOldest => {
                    let (oldest, taken) = (model.oldest(), batches.take_oldest());
                    prop_assert_eq!(taken.map(|taken| model.returned(&taken)), oldest);
                }
                Call::Take(partition) => {
                    let expected = model.open.contains_key(&partition);
                    let taken = batches.take(partition);
                    prop_assert_eq!(taken.is_some(), expected);
                    taken.map(|taken| model.returned(&taken));
                }
                Call::SetPartitions(number) => {
                    let open = batches.set_partitions(count(number));
                    for open in &open {
                        model.returned(open);
                    }
                    prop_assert!(model.open.is_empty());
                    partitions = number;
                }
            }
            prop_assert_eq!(batches.open_count(), model.open.len());
        }
        for rest in batches.drain() {
            model.returned(&rest);
        }
        prop_assert_eq!((model.returned, model.open.len(), batches.open_bytes()), (appended, 0, 0));
    }
}
