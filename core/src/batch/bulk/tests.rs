//! Bulk calls beside loops of `append`, at all borders: of varints, of the fast path, and of the limits.

use alloc::string::String;
use alloc::vec::Vec;
use alloc::{format, vec};

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::batch::{BatchOptions, BatchOverflow, Boundary};
use crate::headers::Header;

/// Appends the records one by one. Returns how many were appended, and how the first other one was refused.
fn one_by_one<'a>(batch: &mut KafkaBatch, records: impl Iterator<Item = Record<'a>>) -> (usize, Option<String>) {
    let mut appended = 0;
    for record in records {
        match batch.append(record) {
            Ok(Append::Appended(_)) => appended += 1,
            Ok(Append::Full(full)) => return (appended, Some(format!("{full:?}"))),
            Err(error) => return (appended, Some(format!("{error:?}"))),
        }
    }
    (appended, None)
}

fn in_bulk(outcome: Result<Appended, ExtendError>) -> (usize, Option<String>) {
    match outcome {
        Ok(appended) => (appended.len(), None),
        Err(ExtendError::Overflow(BatchOverflow { position, full, appended })) => {
            assert_eq!(position, appended.len());
            (position, Some(format!("{full:?}")))
        }
        Err(ExtendError::Failed { position, error, appended }) => {
            assert_eq!(position, appended.len());
            (position, Some(format!("{error:?}")))
        }
    }
}

fn value() -> impl Strategy<Value = Option<Vec<u8>>> {
    let border =
        select(vec![0, 1, 3, 4, 7, 8, 15, 16, 17, 31, 32, 33, 47, 63, 64, 127, 159, 160, 161, 1_000, 8191, 8192]);
    let len = prop_oneof![6 => 0..70_usize, 3 => border, 1 => 0..400_usize];
    prop_oneof![1 => Just(None), 20 => (len, any::<u8>()).prop_map(|(len, byte)| Some(vec![byte; len]))]
}

/// Values of which most have the same length, as those of bulk calls do.
fn values() -> impl Strategy<Value = Vec<Option<Vec<u8>>>> {
    let alike = || (value(), 0..150_usize).prop_map(|(value, count)| vec![value; count]);
    let mixed = || prop::collection::vec(value(), 0..40);
    let both = (alike(), mixed()).prop_map(|(alike, mixed)| [alike, mixed].concat());
    prop_oneof![2 => alike(), 2 => mixed(), 1 => both]
}

/// Around the values at which a varint becomes longer, on both sides of 0.
fn delta() -> impl Strategy<Value = i64> {
    let border = select(vec![0, 63, 64, 8191, 8192, (1 << 20) - 1, 1 << 20, 1 << 27, i64::MAX / 2]);
    prop_oneof![3 => -70..70_i64, 2 => (border, -1..=1_i64).prop_map(|(border, off)| border * off.signum() + off), 1 => any::<i64>()]
}

fn key() -> impl Strategy<Value = Option<Vec<u8>>> {
    let len = select(vec![0, 1, 8, 15, 16, 30, 31, 32, 33, 63, 64, 200]);
    prop_oneof![2 => Just(None), 3 => len.prop_map(|len| Some(vec![b'k'; len]))]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_500) })]

    #[test]
    fn in_bulk_and_one_by_one_are_the_same_batch(
        values in values(),
        key in key(),
        header_count in select(vec![0, 0, 0, 1, 70]),
        common in prop::option::of(delta()),
        first_offset in select(vec![0, 0, 40, 63, 8_150, 8_191, (1 << 20) - 30, (1 << 20) - 1, i32::MAX as u32 - 40]),
        (batch_size, max_records) in (select(vec![61, 100, 1_000, 4_000, 16_384, 1 << 20]), select(vec![1, 10, 65, u32::MAX])),
        boundary in select(vec![Boundary::Inclusive, Boundary::Aiokafka]),
        has_first in any::<bool>(),
        times in prop::option::of(prop::collection::vec(delta(), 200)),
    ) {
        let options = BatchOptions::default().batch_size(batch_size).max_records(max_records).boundary(boundary);
        let mut batch = options.build(Timestamp::from_millis(1_000)).unwrap();
        if has_first {
            let _ = batch.append_at(first_offset, Record::new("first")).unwrap();
        }
        let headers = vec![Header::new("name", "value"); header_count];
        let common = common.map(|delta| Timestamp::from_millis(delta.wrapping_add(1_000)));
        let time = |at: usize| times.as_ref().map(|times| Timestamp::from_millis(times[at].wrapping_add(1_000)));
        let records = values.iter().enumerate().map(|(at, value)| Record {
            key: key.as_deref(),
            value: value.as_deref(),
            headers: (&headers).into(),
            timestamp: time(at).or(common),
        });
        let (mut looped, mut whole) = (batch.clone(), batch.clone());
        let expected = one_by_one(&mut looped, records);
        fn bulk<'b, 'a>(
            batch: &'b mut KafkaBatch,
            key: &'a Option<Vec<u8>>,
            headers: &'a Vec<Header<'a>>,
            common: Option<Timestamp>,
        ) -> BulkWriter<'b, 'a> {
            let writer = batch.bulk().key(key.as_deref()).headers(headers);
            match common { Some(timestamp) => writer.timestamp(timestamp), None => writer }
        }
        let timed = || values.iter().enumerate().map(|(at, value)| (value.as_deref(), time(at).unwrap()));
        let outcome = match times {
            None => bulk(&mut batch, &key, &headers, common).extend(values.iter().map(Option::as_deref)),
            Some(_) => bulk(&mut batch, &key, &headers, common).extend(timed()),
        };
        prop_assert_eq!(in_bulk(outcome), expected.clone());
        prop_assert!(batch == looped, "{} and one by one {}", batch, looped);

        // The batch is left in a state to which more can be appended.
        prop_assert_eq!(
            one_by_one(&mut batch, [Record::new("last")].into_iter()),
            one_by_one(&mut looped, [Record::new("last")].into_iter())
        );
        prop_assert!(batch == looped);

        let before = whole.clone();
        let outcome = match times {
            None => bulk(&mut whole, &key, &headers, common).try_extend(values.iter().map(Option::as_deref)),
            Some(_) => bulk(&mut whole, &key, &headers, common).try_extend(timed()),
        };
        prop_assert_eq!(outcome.is_ok(), expected.1.is_none());
        prop_assert!(outcome.is_ok() || whole == before);
    }

    #[test]
    fn contiguous_values_are_the_slices_between_the_offsets(lens in prop::collection::vec(0..40_usize, 0..50), skipped in 0..5_usize) {
        let values: Vec<Vec<u8>> = lens.iter().enumerate().map(|(at, &len)| vec![at as u8; len]).collect();
        let bytes = [vec![b'-'; skipped], values.concat()].concat();
        let ends = lens.iter().scan(skipped, |end, len| { *end += len; Some(*end as i32) });
        let offsets: Vec<i32> = [skipped as i32].into_iter().chain(ends).collect();
        let contiguous = ContiguousValues::new(&bytes, &offsets).unwrap();
        prop_assert_eq!(contiguous.len(), values.len());
        prop_assert!(contiguous.iter().eq(values.iter().map(Vec::as_slice)));
        prop_assert!((0..=values.len()).all(|at| contiguous.get(at) == values.get(at).map(Vec::as_slice)));
        let [mut batch, mut slices] = [(); 2].map(|()| KafkaBatch::new(Timestamp::from_millis(0)));
        batch.bulk().extend(contiguous).unwrap();
        slices.bulk().extend(&values).unwrap();
        prop_assert_eq!(batch, slices);
    }
}

#[test]
fn offsets_that_are_not_in_order_or_beyond_the_end_are_errors() {
    let refused = |offsets: &[i64]| ContiguousValues::new(b"12345", offsets).map(|_| ()).unwrap_err().position;
    assert_eq!(refused(&[0, 3, 2, 5]), 2);
    assert_eq!(refused(&[-1, 3]), 0);
    assert_eq!(refused(&[0, 6]), 1);
    assert_eq!(refused(&[0, i64::MAX]), 1);
    for none in [&[][..], &[5]] {
        let values = ContiguousValues::new(b"12345", none).unwrap();
        assert!(values.is_empty() && values.iter().next().is_none() && values.get(0).is_none());
    }
}

/// Runs have values of up to 64 KiB. Around it, where the offset becomes longer, and where the buffer grows.
#[test]
fn long_values_in_bulk_and_one_by_one_are_the_same_batch() {
    let lens = [65_536, 65_537, 161, 65_535, 65_536, 8_180, 0, 30_000];
    let values: Vec<Vec<u8>> = lens.into_iter().cycle().take(70).map(|len| vec![7; len]).collect();
    for key in [None, Some(""), Some("k"), Some("a key of thirty-one characters.")] {
        for batch_size in [70_000, 500_000, 4 << 20] {
            let options = BatchOptions::default().batch_size(batch_size).max_message_bytes(4 << 20);
            let [mut batch, mut looped] = [(); 2].map(|()| options.clone().build(Timestamp::from_millis(5)).unwrap());
            let values = || values.iter().zip([-3, 5, 70, 1 << 20, 1 << 40].into_iter().cycle());
            let key_bytes = key.map(str::as_bytes);
            let records =
                values().map(|(value, time)| Record { key: key_bytes, ..Record::new(&value[..]).timestamp(time) });
            let expected = one_by_one(&mut looped, records);
            assert_eq!(in_bulk(batch.bulk().key(key).extend(values())), expected);
            assert!(batch == looped, "{batch} and one by one {looped}");
        }
    }
}

/// The values come from the caller's iterator, whose panic must leave the batch with the records before it.
#[test]
fn a_panic_of_the_iterator_leaves_the_records_before_it() {
    extern crate std;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    let mut batch = KafkaBatch::new(Timestamp::from_millis(0));
    let values = (0..).map(|n: u32| if n < 10 { n.to_be_bytes() } else { panic!("out of values") });
    assert!(catch_unwind(AssertUnwindSafe(|| batch.bulk().extend(values))).is_err());
    assert_eq!(batch.record_count(), 10);
    let mut looped = KafkaBatch::new(Timestamp::from_millis(0));
    looped.extend((0..11_u32).map(|n| Record::new(n.to_be_bytes()))).unwrap();
    let _ = batch.append(Record::new(10_u32.to_be_bytes())).unwrap();
    assert_eq!(batch, looped);
}

/// An offset whose order and whose conversion contradict each other.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Contrary(usize);

impl PartialOrd for Contrary {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        other.0.partial_cmp(&self.0)
    }
}

impl TryFrom<Contrary> for usize {
    type Error = ();

    fn try_from(offset: Contrary) -> Result<Self, ()> {
        if offset.0 == 999 { Err(()) } else { Ok(offset.0) }
    }
}

#[test]
fn contiguous_values_know_their_number() {
    let values = ContiguousValues::new(b"secret", &[0, 2, 6]).unwrap();
    assert_eq!((values.len(), values.is_empty()), (2, false));
    let mut iter = values.iter();
    assert_eq!((iter.size_hint(), iter.len()), ((2, Some(2)), 2));
    iter.next();
    assert_eq!((iter.size_hint(), iter.len()), ((1, Some(1)), 1));
    let text = format!("{iter:?}");
    assert!(text.starts_with("ContiguousIter") && !text.contains("115"), "{text}");
}

#[test]
fn values_of_every_type_are_appended_as_their_bytes() {
    use alloc::borrow::Cow;

    let [mut batch, mut expected] = [(); 2].map(|()| KafkaBatch::new(Timestamp::from_millis(0)));
    batch.bulk().extend([Cow::Borrowed("text"), Cow::Owned(String::from("owned"))]).unwrap();
    batch.bulk().extend([Cow::Borrowed(&b"bytes"[..]), Cow::Owned(vec![1, 2])]).unwrap();
    expected.extend([Record::new("text"), Record::new("owned")]).unwrap();
    expected.extend([Record::new(&b"bytes"[..]), Record::new(&[1, 2][..])]).unwrap();
    assert_eq!(batch, expected);
}

#[test]
fn offsets_count_as_the_numbers_that_they_are_converted_to() {
    let offsets = |numbers: &[usize]| numbers.iter().copied().map(Contrary).collect::<Vec<_>>();
    let ascending = offsets(&[0, 3, 5]);
    let values = ContiguousValues::new(b"12345", &ascending).unwrap();
    assert_eq!(values.iter().collect::<Vec<_>>(), [&b"123"[..], b"45"]);
    for (numbers, position) in [(&[5, 3, 0][..], 1), (&[5, 999, 5], 1), (&[999], 0), (&[0, 6, 0], 1), (&[0, 0, 999], 2)]
    {
        let error = ContiguousValues::new(b"12345", &offsets(numbers)).unwrap_err();
        assert_eq!((error.position, error.len), (position, 5), "{numbers:?}");
    }
}

/// An offset that is another number each time.
#[derive(Clone, Copy, Debug)]
struct Fickle<'c>(&'c core::cell::Cell<usize>);

impl From<Fickle<'_>> for usize {
    fn from(offset: Fickle<'_>) -> Self {
        // Ascending at first, which is what `new` sees.
        let calls = offset.0.get();
        offset.0.set(calls + 1);
        match calls % 7 {
            0..=2 => calls,
            call => call.wrapping_mul(usize::MAX / 3),
        }
    }
}

#[test]
fn an_offset_that_changes_ends_the_values_without_a_panic() {
    let calls = core::cell::Cell::new(0);
    let offsets = [Fickle(&calls); 3];
    let values = ContiguousValues::new(b"12345", &offsets).unwrap();
    for start in 0..14 {
        calls.set(start);
        let mut iter = values.iter();
        let found = iter.by_ref().count();
        assert!(found <= 2 && iter.next().is_none() && iter.len() == 0);
        let _ = (values.get(0), values.get(1), values.get(2), values.get(usize::MAX));
        let mut batch = KafkaBatch::new(Timestamp::from_millis(0));
        let _ = batch.bulk().extend(values);
        assert!(batch.record_count() <= 2);
    }
}
