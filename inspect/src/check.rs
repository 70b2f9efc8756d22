//! What is checked of batches beyond decoding: offsets, sequence numbers and timestamps.

use std::collections::BTreeMap;
use std::fmt;

use kafka_batch_core::decode::{BatchHeader, RecordBatch, TimestampType};

use crate::scan::Found;

/// How many producers are remembered. A log has few, but its bytes may be damaged or hostile.
const MAX_PRODUCERS: usize = 65_536;

/// The state of the log so far, over consecutive segments.
#[derive(Debug, Default)]
pub(crate) struct Check {
    /// The lowest offset that the next batch can have.
    next_offset: Option<i64>,
    /// How many times offsets were missing so far: compaction removes batches, and with them sequence numbers.
    gaps: u64,
    producers: BTreeMap<i64, Producer>,
}

#[derive(Clone, Copy, Debug)]
struct Producer {
    epoch: i16,
    /// The sequence number of its next record.
    next_sequence: i32,
    /// [`Check::gaps`] at its last batch.
    gaps: u64,
}

/// What a valid log does not contain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    OffsetsGoBack { found: i64, least: i64 },
    BeforeSegment { found: i64, base: i64 },
    OddOffsets,
    Sequence { producer_id: i64, epoch: i16, found: i32, expected: i32 },
    EpochGoesBack { producer_id: i64, found: i16, before: i16 },
    MaxTimestamp { header: i64, records: i64 },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OffsetsGoBack { found, least } => {
                write!(f, "the first offset is {found}, but the batch before it ends with offset {}", least - 1)
            }
            Self::BeforeSegment { found, base } => {
                write!(f, "the first offset is {found}, but the segment is named after offset {base}")
            }
            Self::OddOffsets => {
                f.write_str("the offsets of the records do not increase, or exceed the last one of the header")
            }
            Self::Sequence { producer_id, epoch, found, expected } => write!(
                f,
                "producer {producer_id} continues with sequence number {found} instead of {expected} in epoch {epoch}"
            ),
            Self::EpochGoesBack { producer_id, found, before } => {
                write!(f, "producer {producer_id} has epoch {found} after epoch {before}")
            }
            Self::MaxTimestamp { header, records } => {
                write!(f, "the header's largest timestamp is {header}, but that of the records is {records}")
            }
        }
    }
}

impl Check {
    /// Checks a batch. `base` is the offset that its segment is named after. Returns the problems.
    pub(crate) fn batch(&mut self, found: &Found<'_>, base: Option<i64>) -> Vec<Problem> {
        let mut problems = Vec::new();
        let Some(batch) = found.batch else {
            // The offsets of a damaged batch are missing.
            self.gaps += 1;
            return problems;
        };
        self.offsets(batch, found, base, &mut problems);
        if let Some(header) = batch.header() {
            self.sequence(batch, header, &mut problems);
            let has_create_time = batch.timestamp_type() == Some(TimestampType::CreateTime);
            if has_create_time && found.summary.records > 0 && found.damage.is_empty() {
                let records = found.summary.times.map_or(-1, |(_, max)| max.max(-1));
                if records != header.max_timestamp {
                    problems.push(Problem::MaxTimestamp { header: header.max_timestamp, records });
                }
            }
        }
        problems
    }

    fn offsets(&mut self, batch: &RecordBatch<'_>, found: &Found<'_>, base: Option<i64>, problems: &mut Vec<Problem>) {
        let decoded = found.summary.offsets;
        let first = batch.base_offset().or(decoded.map(|(first, _)| first));
        // A header whose last offset delta is too small would make the next batch seem to be after a gap.
        let next = batch.next_offset().max(decoded.and_then(|(_, last)| last.checked_add(1)));
        let (Some(first), Some(next)) = (first, next) else { return };
        if let Some(base) = base.filter(|&base| first < base) {
            problems.push(Problem::BeforeSegment { found: first, base });
        }
        match self.next_offset {
            Some(least) if first < least => problems.push(Problem::OffsetsGoBack { found: first, least }),
            Some(least) if first > least => self.gaps += 1,
            _ => {}
        }
        if found.summary.has_odd_offsets {
            problems.push(Problem::OddOffsets);
        }
        self.next_offset = Some(next);
    }

    fn sequence(&mut self, batch: &RecordBatch<'_>, header: &BatchHeader, problems: &mut Vec<Problem>) {
        let BatchHeader { producer_id, producer_epoch: epoch, base_sequence: found, .. } = *header;
        if producer_id < 0 {
            return;
        }
        let before = self.producers.get(&producer_id).copied();
        if let Some(before) = before.filter(|before| epoch < before.epoch) {
            problems.push(Problem::EpochGoesBack { producer_id, found: epoch, before: before.epoch });
            return;
        }
        let expected = match before {
            Some(before) if before.epoch == epoch => before.next_sequence,
            Some(_) => 0,
            // It may have begun before the log does.
            None => found,
        };
        if batch.is_control() || found < 0 {
            // A marker has no sequence number. One with a new epoch ends the sequence (KIP-890).
            if let Some(before) = before {
                let producer = Producer { epoch, next_sequence: expected, ..before };
                self.producers.insert(producer_id, producer);
            }
            return;
        }
        if found != expected && before.is_some_and(|before| before.gaps == self.gaps) {
            problems.push(Problem::Sequence { producer_id, epoch, found, expected });
        }
        // After 2147483647 sequence numbers continue with 0.
        let next = (i64::from(found) + i64::from(header.last_offset_delta) + 1) & i64::from(i32::MAX);
        if before.is_none() && self.producers.len() >= MAX_PRODUCERS {
            self.producers.pop_first();
        }
        let producer = Producer { epoch, next_sequence: next as i32, gaps: self.gaps };
        self.producers.insert(producer_id, producer);
    }
}
