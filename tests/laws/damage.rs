//! Damage: which part of a segment it costs, and that the rest is read.

use super::*;
use ::proptest::sample::Index;

/// The unit of a checksum: a batch of magic 2, a compressed message, or a plain message of magic 0 or 1.
#[derive(Debug)]
struct Unit {
    start: usize,
    end: usize,
    magic: Magic,
    records: Vec<OwnedRecord>,
}

/// Returns a segment with all these batches.
fn segment(recipes: &[BatchSpec]) -> (Vec<u8>, Vec<Unit>) {
    let (mut bytes, mut units) = (Vec::new(), Vec::new());
    for batch in recipes.iter().map(BatchSpec::batch) {
        let Ok(sealed) = batch.clone().seal() else { continue };
        let (magic, codec) = (sealed.magic(), sealed.codec());
        let mut start = bytes.len();
        bytes.extend_from_slice(sealed.without_producer_id().bytes());
        let records: Vec<_> = batch.records().map(OwnedRecord::from).collect();
        if magic == Magic::V2 || codec != Codec::None {
            units.push(Unit { start, end: bytes.len(), magic, records });
            continue;
        }
        for record in records {
            let length = u32::from_be_bytes(bytes[start + 8..start + 12].try_into().expect("four bytes"));
            let end = start + 12 + length as usize;
            units.push(Unit { start, end, magic, records: vec![record] });
            start = end;
        }
    }
    (bytes, units)
}

/// Returns all readable records, and all errors.
fn read(bytes: &[u8]) -> (Vec<OwnedRecord>, Vec<DecodeError>) {
    let (mut records, mut errors) = (Vec::new(), Vec::new());
    for batch in RecordBatches::new(bytes) {
        match batch.and_then(|batch| batch.records(1 << 20)) {
            Ok(found) => {
                for record in &found {
                    match record {
                        Ok(record) => records.push(OwnedRecord::from(record)),
                        Err(error) => errors.push(error),
                    }
                }
            }
            Err(error) => errors.push(error),
        }
    }
    (records, errors)
}

proptest! {
    #![proptest_config(config(2))]

    /// A changed bit costs one batch, unless it is in the length (or in what no checksum covers): the error has
    /// the extent, and everything else is read.
    #[test]
    fn a_changed_bit_costs_what_its_checksum_covers(
        recipes in prop::collection::vec(strategy::batches(), 1..5),
        (unit, byte, bit) in (any::<Index>(), any::<Index>(), 0..8u32),
    ) {
        let (mut bytes, units) = segment(&recipes);
        prop_assume!(!units.is_empty());
        let damaged = unit.index(units.len());
        let Unit { start, end, magic, .. } = units[damaged];
        // Before it are offset and length, and in magic 2 the leader epoch.
        let covered = start + if magic == Magic::V2 { 16 } else { 12 }..end;
        bytes[covered.start + byte.index(covered.len())] ^= 1u8 << bit;

        let (records, errors) = read(&bytes);
        let others = units.iter().enumerate().filter(|(index, _)| *index != damaged);
        let expected: Vec<_> = others.flat_map(|(_, unit)| unit.records.clone()).collect();
        prop_assert_eq!(errors.len(), 1);
        let DecodeError { batch_at, scope, record, .. } = errors[0];
        prop_assert_eq!((batch_at, scope, record), (start, DecodeErrorScope::Batch { end }, None), "{}", errors[0]);
        let text = errors[0].to_string();
        let place = format!("the batch at bytes {start}..{end}");
        prop_assert!(text.contains(&place), "{}", text);
        prop_assert_eq!(records, expected);
    }

    /// Whatever the contents of a batch with a valid checksum, the batches before and after it are read.
    #[test]
    fn invalid_contents_cost_no_other_batch(
        recipes in prop::collection::vec(strategy::batches(), 1..5),
        unit in any::<Index>(),
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 1..4),
    ) {
        let (mut bytes, units) = segment(&recipes);
        prop_assume!(!units.is_empty());
        let damaged = unit.index(units.len());
        let Unit { start, end, magic, .. } = units[damaged];
        // After the attributes, so that the codec stays.
        let (sum_at, summed) = if magic == Magic::V2 { (17, 21) } else { (12, 16) };
        let inside = start + if magic == Magic::V2 { 23 } else { 18 }..end;
        for (place, value) in changes {
            bytes[inside.start + place.index(inside.len())] = value;
        }
        let checked = &bytes[start + summed..end];
        let sum = if magic == Magic::V2 { sealing::crc32c(checked) } else { sealing::crc32(checked) };
        bytes[start + sum_at..][..4].copy_from_slice(&sum.to_be_bytes());

        let (records, errors) = read(&bytes);
        let in_front: Vec<_> = units[..damaged].iter().flat_map(|unit| unit.records.clone()).collect();
        let after: Vec<_> = units[damaged + 1..].iter().flat_map(|unit| unit.records.clone()).collect();
        prop_assert!(records.starts_with(&in_front) && records.ends_with(&after));
        for error in &errors {
            prop_assert!(error.scope != DecodeErrorScope::Rest, "{error}");
            prop_assert!(error.batch_at <= start, "{error}");
        }
    }

    /// After any change of a length, reading ends, and everything before is read.
    #[test]
    fn a_damaged_length_costs_nothing_before_it(
        recipes in prop::collection::vec(strategy::batches(), 1..5),
        unit in any::<Index>(),
        length in prop_oneof![any::<i32>(), -1..200],
    ) {
        let (mut bytes, units) = segment(&recipes);
        prop_assume!(!units.is_empty());
        let damaged = unit.index(units.len());
        let start = units[damaged].start;
        bytes[start + 8..start + 12].copy_from_slice(&length.to_be_bytes());
        let (records, errors) = read(&bytes);
        let in_front: Vec<_> = units[..damaged].iter().flat_map(|unit| unit.records.clone()).collect();
        prop_assert!(records.starts_with(&in_front));
        prop_assert!(errors.iter().all(|error| error.batch_at >= start));
    }
}
