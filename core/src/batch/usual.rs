//! Appending a record of the usual form: a value, a short key or none, no headers.

use super::KafkaBatch;
use super::encode::Sink as _;
use crate::magic::Magic;
use crate::record::Record;
use crate::time::Timestamp;
use crate::varint::{self, ShortVarint};

/// Lengths below this take one byte.
const SHORT_KEY: usize = 64;

/// The length of a record with a value of up to this many bytes takes at most three bytes.
const MAX_VALUE: usize = 64 << 10;

impl KafkaBatch {
    /// Sets the time of the batch, and appends a record, as [`append`](Self::append) does, if the record has the usual form, and
    /// neither can a limit refuse it nor has the batch to grow. Returns the size of the record, or `None` if nothing was done and
    /// [`append`](Self::append) has to.
    ///
    /// The lengths are computed once, instead of once to count and once to write, and what precedes the key takes one store. For
    /// callers that append to a different batch each time: between two records, more of a batch is in no register and no cache.
    #[inline(always)]
    pub(crate) fn append_usual(&mut self, record: &Record<'_>, now: Timestamp) -> Option<usize> {
        let value = record.value.filter(|_| record.headers.is_empty())?;
        self.append_value(record.key, value, record.timestamp.unwrap_or(now), now)
    }

    // Not inlined, so that its arguments are in registers, and the compiler has few other things to do here.
    #[inline(never)]
    fn append_value(
        &mut self,
        key: Option<&[u8]>,
        value: &[u8],
        timestamp: Timestamp,
        now: Timestamp,
    ) -> Option<usize> {
        let Self { stats, buffer, .. } = self;
        let offset = stats.next_offset_delta;
        let delta = varint::zigzag(timestamp.millis().wrapping_sub(stats.base_timestamp?.millis()));
        let raw_offset = varint::length(offset as usize);
        // The attributes, which are 0, the deltas, and the length of the key: at most eight bytes.
        let key_len = key.map_or(varint::NULL, |key| varint::length(key.len()));
        let key = key.unwrap_or_default();
        let is_usual = key.len() < SHORT_KEY && value.len() <= MAX_VALUE && self.magic == Magic::V2 && !self.closed;
        if !is_usual || delta.max(raw_offset) >= ShortVarint::BOUND || offset >= self.options.max_records {
            return None;
        }
        let (delta, offset_delta) = (ShortVarint::of(delta), ShortVarint::of(raw_offset));
        let value_len = ShortVarint::of(varint::length(value.len()));
        let offset_at = 8 + delta.bits;
        let key_len_at = offset_at + offset_delta.bits;
        let front = u64::from(delta.bytes) << 8 | u64::from(offset_delta.bytes) << offset_at | key_len << key_len_at;
        let body_len = (key_len_at + 8 + value_len.bits) as usize / 8 + key.len() + value.len() + 1;
        let length = ShortVarint::of(varint::length(body_len));
        let size = length.bits as usize / 8 + body_len;
        // 0 before the first record, and if the settings need every record to be checked.
        if (stats.len + size) as u64 > self.fast_path_end {
            return None;
        }
        let head = u128::from(length.bytes) | u128::from(front) << length.bits;
        buffer.put_prefix(head.to_le_bytes(), (length.bits + key_len_at + 8) as usize / 8);
        buffer.extend_from_slice(key);
        buffer.put_short(value_len);
        buffer.extend_from_slice(value);
        buffer.push(0); // no headers
        self.now = now;
        stats.len += size;
        stats.count += 1;
        stats.next_offset_delta = offset + 1;
        stats.timestamps.include(timestamp);
        debug_assert_eq!(self.buffer.len(), self.buffer_reserve() + self.stats.len, "written as measured");
        Some(size)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::Header;
    use crate::batch::{BatchOptions, SizePolicy};

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    /// Lengths around those at which a varint grows, and around the limits of the usual form.
    fn field() -> impl Strategy<Value = Option<Vec<u8>>> {
        let lengths = select(vec![0, 1, 16, 20, 31, 32, 62, 63, 64, 65, 100, 8_000, 8_191, 8_192, 65_536, 65_537]);
        prop_oneof![1 => Just(None), 9 => lengths.prop_map(|length| Some(vec![7; length]))]
    }

    fn time() -> impl Strategy<Value = i64> {
        prop_oneof![3 => 900..1_100_i64, 1 => -2_000_000..2_000_000_i64, 1 => any::<i64>()]
    }

    fn options() -> impl Strategy<Value = BatchOptions> {
        let magics = select(vec![Magic::V2, Magic::V2, Magic::V2, Magic::V1, Magic::V0]);
        let sizes = select(vec![300_usize, 20_000, 1_000_000]);
        (magics, sizes, select(vec![3_u32, u32::MAX]), any::<bool>()).prop_map(
            |(magic, size, records, is_estimated)| {
                let options = BatchOptions::default().magic(magic).batch_size(size).max_records(records);
                if is_estimated { options.size_policy(SizePolicy::Estimated(Default::default())) } else { options }
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn it_does_what_append_does_or_nothing(
            options in options(),
            records in prop::collection::vec((field(), field(), time(), prop::option::of(time()), 0..20_u8), 1..40),
        ) {
            let (mut usual, mut ordinary) = (options.clone().build(at(0)).unwrap(), options.build(at(0)).unwrap());
            let header = [Header::new("h", "x")];
            for (key, value, now, timestamp, other) in &records {
                let mut record = Record { key: key.as_deref(), value: value.as_deref(), ..Record::default() };
                record.timestamp = timestamp.map(at);
                match other {
                    0 => record = record.headers(&header),
                    1 => {
                        usual.close();
                        ordinary.close();
                    }
                    _ => {}
                }
                let before = usual.clone();
                match usual.append_usual(&record, at(*now)) {
                    Some(size) => {
                        ordinary.set_now(at(*now));
                        let appended = ordinary.append(record).unwrap().appended().unwrap();
                        prop_assert_eq!(appended.size, size);
                    }
                    None => {
                        prop_assert_eq!(&usual, &before);
                        for batch in [&mut usual, &mut ordinary] {
                            batch.set_now(at(*now));
                            let _ = batch.append(record);
                        }
                    }
                }
                prop_assert_eq!(&usual, &ordinary);
            }
        }
    }

    #[test]
    fn most_records_have_the_usual_form() {
        let mut batch = BatchOptions::default().batch_size(1 << 20).build(at(1_000)).unwrap();
        let records = [Record::new("value"), Record::new("value").key("key"), Record::new("").key("").timestamp(900)];
        let _ = batch.append(records[0]).unwrap();
        let counted = (0..3_000).filter(|n| {
            batch.append_usual(&records[n % 3], at(1_001)).is_none() && !batch.append(records[n % 3]).unwrap().is_full()
        });
        assert!(counted.count() < 5, "the others made it grow");
    }
}
