//! A list of operations on a batch, each checked against a plain list of records: what went in comes out, in order and
//! once; sizes are what they were said to be; and whatever is refused has changed nothing.

mod setup;
mod step;

pub use setup::{Record, Setup};
pub use step::{Extend, Stamping, Step};

use kafka_batch_core::partitioner::partition_for_key;
use kafka_batch_core::{
    Append, AppendError, BatchOverflow, Codec, ConvertError, DEFAULT_MAX_DECOMPRESSED, DownConversion, ExtendError,
    Full, FullReason, KafkaBatch, Loss, Magic, Mark, RecordBatches, RecordView, RollbackError, SealErrorReason,
    SealedBatch, Stamp, StampedBatch, Timestamp,
};
use std::mem;
use std::num::NonZeroU32;

/// A batch, and what must be in it.
#[derive(Debug)]
pub struct Checked {
    batch: KafkaBatch,
    records: Vec<Kept>,
    marks: Vec<Marked>,
    size: usize,
    limits: Limits,
    codec: Codec,
    /// Whether every record went in by `append`, so that the limits hold.
    filled_by_append: bool,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    batch_size: usize,
    max_message_bytes: usize,
    max_records: usize,
    inclusive: bool,
    estimated: bool,
    partitions: Option<NonZeroU32>,
    horizon: Option<Timestamp>,
}

/// A record that is in the batch.
#[derive(Clone, Debug, PartialEq)]
struct Kept {
    offset: i64,
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

#[derive(Debug)]
struct Marked {
    mark: Mark,
    batch: KafkaBatch,
    size: usize,
    state: MarkState,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum MarkState {
    Good,
    MarkRemoved,
    OfAnotherBatch,
}

impl Kept {
    fn of(view: &RecordView<'_>) -> Self {
        Self {
            offset: view.offset,
            timestamp: view.timestamp.millis(),
            key: view.key.map(Vec::from),
            value: view.value.map(Vec::from),
            headers: view.headers.iter().map(|header| (header.name.to_owned(), header.value.map(Vec::from))).collect(),
        }
    }
}

/// The records of a batch as sent, read back.
fn read_back(stamped: &StampedBatch) -> Vec<Kept> {
    let mut batches = RecordBatches::new(stamped.bytes());
    let batch = batches.next().expect("a batch").expect("a good one");
    assert!(batches.next().is_none() && batches.tail().is_none(), "and only one");
    assert_eq!((batch.magic(), batch.codec()), (stamped.magic(), stamped.codec()));
    let records = batch.records(DEFAULT_MAX_DECOMPRESSED).expect("what was compressed decompresses");
    assert_eq!(records.validate(), Ok(()), "what is written is strictly sound");
    records.iter().map(|view| Kept::of(&view.expect("and is whole"))).collect()
}

impl Checked {
    /// An empty batch, or `None` where the settings contradict each other.
    pub fn new(setup: &Setup) -> Option<Self> {
        let batch = setup.batch()?;
        let size = batch.size();
        let limits = setup.limits();
        let (records, marks, codec) = (Vec::new(), Vec::new(), setup.codec());
        let checked = Self { batch, records, marks, size, limits, codec, filled_by_append: true };
        assert_eq!(size, checked.header_len());
        Some(checked)
    }

    fn header_len(&self) -> usize {
        match self.batch.magic() {
            Magic::V2 => 61,
            _ if self.plain() || !self.limits.inclusive => 0,
            Magic::V1 => 34,
            Magic::V0 => 26,
        }
    }

    fn plain(&self) -> bool {
        self.codec == Codec::None
    }

    pub fn take(&mut self, step: &Step) {
        match step {
            Step::Append(record) => self.append(record, None),
            Step::AppendAt(gap, record) => self.append(record, Some(*gap)),
            Step::AppendSnug(more, gap, record) => self.append(&self.snug(*more, record), *gap),
            Step::Extend(how, records) => self.extend(records, *how),
            Step::Mark => self.mark(),
            Step::Rollback(index) => self.rollback(*index),
            Step::Close => self.batch.close(),
            Step::Now(now) => self.batch.set_now(*now),
            Step::Seal { stamp, reopen } => self.seal(*stamp, *reopen),
            Step::Split(limit) => self.split(usize::from(*limit)),
            Step::Without { positions, adopt } => self.without(positions, *adopt),
            Step::Convert { magic, allowed } => self.convert(*magic, *allowed),
        }
        self.check();
    }

    /// What holds between any two steps.
    fn check(&self) {
        let batch = &self.batch;
        assert_eq!(batch.record_count(), self.records.len());
        assert_eq!(batch.is_empty(), self.records.is_empty());
        assert_eq!(batch.size(), self.size);
        assert!(
            batch.records().map(|view| Kept::of(&view)).eq(self.records.iter().cloned()),
            "the records are the same"
        );
        let first_key = self.records.iter().find_map(|record| record.key.as_ref());
        let partition = self.limits.partitions.zip(first_key).map(|(count, key)| partition_for_key(key, count));
        assert_eq!(batch.routed_partition(), partition);
        assert!(batch.to_string().contains("records"));
        let Limits { batch_size, max_message_bytes, max_records, inclusive, estimated, .. } = self.limits;
        if !self.filled_by_append {
            return;
        }
        assert!(self.records.len() <= max_records);
        if self.plain() && !self.records.is_empty() {
            assert!(batch.size() <= max_message_bytes, "{} bytes, {max_message_bytes} allowed", batch.size());
        }
        if self.records.len() > 1 && inclusive && (self.plain() || !estimated) {
            assert!(batch.size() <= batch_size);
        }
    }

    /// The batch must be as it was.
    fn unchanged(&self, before: &KafkaBatch) {
        assert_eq!(&self.batch, before, "what was refused has changed something");
    }

    fn append(&mut self, record: &Record, gap: Option<u8>) {
        let owned = record.own();
        let headers = record.headers(&owned);
        let given = record.record(&owned, &headers);
        let before = self.batch.clone();
        let (cost, fits, room) = (before.cost(given), before.fits(given), before.room());
        let next = self.records.last().map_or(0, |last| last.offset + 1);
        let offset = gap.map_or(next, |gap| next + i64::from(gap));
        let result = match gap {
            None => self.batch.append(given),
            Some(_) => self.batch.append_at(offset as u32, given),
        };
        match &result {
            Ok(Append::Taken(metadata)) => {
                assert!(!before.is_closed());
                let kept = record.kept(&before, offset);
                assert_eq!(i64::from(metadata.position), offset);
                assert_eq!(metadata.timestamp.millis(), kept.timestamp);
                assert_eq!(metadata.crc.is_some(), before.magic() != Magic::V2);
                if gap.is_none() {
                    assert!(fits && cost.expect("it went in") == metadata.size);
                    assert!(before.is_empty() || metadata.size <= room);
                }
                self.size += metadata.size;
                self.records.push(kept);
            }
            Ok(Append::Full(full)) => {
                self.unchanged(&before);
                if gap.is_none() {
                    assert!(!fits && cost.expect("only its size is wrong") == full.needed);
                }
                self.check_full(full, &before);
            }
            Err(error) => {
                self.unchanged(&before);
                assert!(!fits || gap.is_some());
                self.check_refusal(error, record, offset);
            }
        }
    }

    /// The record with a value that makes it cost what is left in the batch, and `more`.
    fn snug(&self, more: i8, record: &Record) -> Record {
        let cost = |len| {
            let record = record.with_value(len);
            let owned = record.own();
            self.batch.cost(record.record(&owned, &record.headers(&owned))).unwrap_or(0)
        };
        let wanted = self.batch.room().min(70_000).saturating_add_signed((more % 3).into());
        // What is not the value takes as much with a value of about the length.
        let len = wanted.saturating_sub(cost(wanted).saturating_sub(wanted));
        record.with_value((len..len + 4).find(|&len| cost(len) == wanted).unwrap_or(len))
    }

    fn check_full(&self, full: &Full, before: &KafkaBatch) {
        assert_eq!(full.available, before.room());
        assert_eq!(full.reason == FullReason::Closed, before.is_closed());
        assert!(!full.to_string().is_empty());
        match full.reason {
            FullReason::Closed => {}
            FullReason::MaxRecords { limit } => {
                assert_eq!(limit as usize, self.limits.max_records);
                assert!(self.records.len() >= limit as usize);
            }
            FullReason::BatchSize { limit } => {
                assert_eq!(limit, self.limits.batch_size);
                assert!(full.needed > full.available && !(before.is_empty() && self.limits.inclusive));
            }
            FullReason::MaxMessageBytes { limit } => {
                assert_eq!(limit, self.limits.max_message_bytes);
                assert!(full.needed > full.available && self.plain());
            }
            other => panic!("{other}"),
        }
    }

    fn check_refusal(&self, error: &AppendError, record: &Record, offset: i64) {
        assert!(!error.to_string().is_empty());
        match error {
            AppendError::Headers { magic, headers } => {
                assert!(*magic == self.batch.magic() && *magic != Magic::V2);
                assert!(*headers > 0 && *headers == record.headers.len());
            }
            AppendError::TooLarge { size, limit } => {
                assert!(self.plain() && size > limit && *limit == self.limits.max_message_bytes);
            }
            AppendError::RoutesElsewhere { key, batch } => {
                let count = self.limits.partitions.expect("only where there are partitions");
                let routed = partition_for_key(&record.key.bytes().expect("only with a key"), count);
                assert!(routed == *key && Some(*batch) == self.batch.routed_partition() && key != batch);
            }
            AppendError::OffsetTaken { .. } => panic!("offset {offset} is free"),
            other => panic!("{other}"),
        }
    }

    fn extend(&mut self, records: &[Record], how: Extend) {
        let before = self.batch.clone();
        // What the same records do one by one, in another batch.
        let mut one_by_one = Self { batch: before.clone(), marks: Vec::new(), records: self.records.clone(), ..*self };
        let mut stops_at = None;
        for (position, record) in records.iter().enumerate() {
            one_by_one.append(record, None);
            if one_by_one.records.len() <= self.records.len() + position {
                stops_at = Some(position);
                break;
            }
        }

        let owned: Vec<_> = records.iter().map(Record::own).collect();
        let headers: Vec<_> = records.iter().zip(&owned).map(|(record, owned)| record.headers(owned)).collect();
        let given = records.iter().zip(&owned).zip(&headers);
        let mut rest = given.map(|((record, owned), headers)| record.record(owned, headers)).peekable();
        let mut full = None;
        let result = match how {
            Extend::UntilRefused => self.batch.extend(&mut rest),
            Extend::AllOrNothing => self.batch.try_extend(&mut rest),
            Extend::WhatFits => self.batch.fill_from(&mut rest).map(|filled| {
                full = filled.full;
                filled.taken
            }),
        };
        let (stopped_at, taken) = match result {
            Ok(taken) => (full.map(|_| taken.len()), taken),
            Err(error) => {
                assert!(error.to_string().contains(&error.position().to_string()));
                match error {
                    ExtendError::Overflow(BatchOverflow { position, taken, .. })
                    | ExtendError::Failed { position, taken, .. } => (Some(position), taken),
                    other => panic!("{other}"),
                }
            }
        };
        assert_eq!(stopped_at, stops_at);
        if let Some(position) = stopped_at {
            // Whoever lends an iterator has the refused record in hand, or still in the iterator.
            let refused = usize::from(how != Extend::WhatFits);
            assert_eq!(rest.count(), records.len() - position - refused, "the rest is still there");
            if how == Extend::AllOrNothing {
                assert!(taken.is_empty());
                return self.unchanged(&before);
            }
        }
        assert_eq!(taken.len(), stopped_at.unwrap_or(records.len()));
        assert_eq!(before.size() + taken.iter().map(|metadata| metadata.size).sum::<usize>(), one_by_one.size);
        assert_eq!(self.batch, one_by_one.batch);
        (self.records, self.size) = (one_by_one.records, one_by_one.size);
    }

    fn mark(&mut self) {
        let mark = self.batch.mark();
        self.marks.push(Marked { mark, batch: self.batch.clone(), size: self.size, state: MarkState::Good });
    }

    fn rollback(&mut self, index: u8) {
        let Some(index) = usize::from(index).checked_rem(self.marks.len()) else { return };
        let before = self.batch.clone();
        let marked = &mut self.marks[index];
        let result = self.batch.rollback(&marked.mark);
        let expected = match marked.state {
            MarkState::OfAnotherBatch => Err(RollbackError::OtherBatch),
            MarkState::MarkRemoved => Err(RollbackError::MarkRemoved),
            MarkState::Good if before.is_closed() => Err(RollbackError::Closed),
            MarkState::Good => Ok(()),
        };
        assert_eq!(result, expected);
        if result.is_err() {
            return self.unchanged(&before);
        }
        marked.batch.set_now(before.now());
        assert_eq!(self.batch, marked.batch, "it is what it was");
        self.size = marked.size;
        let count = marked.batch.record_count();
        self.records.truncate(count);
        for later in self.marks.iter_mut().filter(|later| later.batch.record_count() > count) {
            if later.state == MarkState::Good {
                later.state = MarkState::MarkRemoved;
            }
        }
    }

    /// Goes on with another batch.
    fn go_on_with(&mut self, batch: KafkaBatch, records: Vec<Kept>) -> KafkaBatch {
        for marked in &mut self.marks {
            marked.state = MarkState::OfAnotherBatch;
        }
        self.size = batch.size();
        self.records = records;
        mem::replace(&mut self.batch, batch)
    }

    fn go_on_empty(&mut self) -> KafkaBatch {
        self.filled_by_append = true;
        let next = self.batch.next_batch();
        assert!(next.is_empty() && !next.is_closed());
        self.go_on_with(next, Vec::new())
    }

    fn seal(&mut self, stamp: Stamping, reopen: bool) {
        let before = self.batch.clone();
        let next = before.next_batch();
        let sealed = match mem::replace(&mut self.batch, next).seal() {
            Ok(sealed) => sealed,
            Err(error) => {
                match error.reason {
                    SealErrorReason::Empty => assert!(self.records.is_empty()),
                    SealErrorReason::TooLarge { sealed, limit, .. } => {
                        assert!(sealed > limit && limit == self.limits.max_message_bytes);
                        assert!(!self.plain() || !self.filled_by_append, "append has seen to that");
                    }
                    other => panic!("{other}"),
                }
                self.batch = *error.batch;
                return self.unchanged(&before);
            }
        };
        self.batch = before;
        self.check_sealed(&sealed);
        let stamped = self.stamp(sealed, stamp);
        let batch = stamped.into_batch();
        assert!(!batch.is_closed());
        assert!(batch == self.batch || self.batch.is_closed() && batch.size() == self.size);
        if reopen {
            let records = mem::take(&mut self.records);
            self.go_on_with(batch, records);
        } else {
            self.go_on_empty();
        }
    }

    fn check_sealed(&self, sealed: &SealedBatch) {
        let payload_len = self.size - self.header_len();
        let whole = payload_len + if sealed.magic() == Magic::V2 { 61 } else { 0 };
        assert!(sealed.size() <= self.limits.max_message_bytes);
        assert_eq!((sealed.record_count(), sealed.uncompressed_size()), (self.records.len(), whole));
        match sealed.codec() {
            Codec::None => assert!(sealed.size() == whole && sealed.compression_ratio() == 1.0),
            _ => assert!(!self.plain() && sealed.size() < whole && sealed.compression_ratio() <= 1.0),
        }
    }

    fn stamp(&self, sealed: SealedBatch, mut stamping: Stamping) -> StampedBatch {
        let size = sealed.size();
        let stamped = sealed.stamp(stamping.stamp()).unwrap_or_else(|error| {
            assert!(error.magic != Magic::V2 && stamping.stamp() != Stamp::NONE);
            stamping = Stamping::default();
            error.batch.without_producer_id()
        });
        assert_eq!((stamped.size(), stamped.bytes().len()), (size, size), "the size is the size");
        let read = read_back(&stamped);
        assert_eq!(read.len(), self.records.len());
        for (read, kept) in read.into_iter().zip(&self.records) {
            let timestamp = stamping.log_append_time.unwrap_or(kept.timestamp);
            assert_eq!(read, Kept { offset: i64::from(stamping.base_offset) + kept.offset, timestamp, ..kept.clone() });
        }
        stamped
    }

    fn split(&mut self, limit: usize) {
        let records = mem::take(&mut self.records);
        let whole = self.go_on_empty();
        let (count, size) = (records.len(), whole.size());
        let split = whole.split(limit).expect("the codecs work");
        let parts = split.parts.into_iter().map(|(position, part)| {
            assert!(part.size() <= limit);
            assert!(part.uncompressed_size() < size || count < 2);
            (position, part.into_batch())
        });
        let too_large = split.too_large.into_iter().map(|alone| {
            assert!(alone.size > limit && alone.batch.record_count() == 1);
            (alone.position, alone.batch)
        });
        let mut pieces: Vec<_> = parts.chain(too_large).collect();
        pieces.sort_by_key(|(position, _)| *position);
        assert!(pieces.len() >= count.min(2), "two records or more come apart");
        let mut next = 0;
        for (position, piece) in pieces {
            assert_eq!(position, next, "every record is in one piece");
            next += piece.record_count();
            for (index, (view, kept)) in piece.records().zip(&records[position..next]).enumerate() {
                // A batch of one record, which cannot come apart, stays as it is.
                let offset = if count == 1 { kept.offset } else { index as i64 };
                assert_eq!(Kept::of(&view), Kept { offset, ..kept.clone() });
            }
        }
        assert_eq!(next, count);
    }

    fn without(&mut self, positions: &[u8], adopt: bool) {
        let positions: Vec<usize> = positions.iter().copied().map(usize::from).collect();
        let before = self.batch.clone();
        let left = self.batch.without(&positions);
        self.unchanged(&before);
        let kept = self.records.iter().enumerate().filter(|(position, _)| !positions.contains(position));
        let kept: Vec<_> =
            kept.enumerate().map(|(offset, (_, kept))| Kept { offset: offset as i64, ..kept.clone() }).collect();
        assert!(left.records().map(|view| Kept::of(&view)).eq(kept.iter().cloned()));
        assert!(left.size() <= before.size() && left.is_closed() == before.is_closed());
        if adopt {
            self.go_on_with(left, kept);
        }
    }

    fn losses(&self, magic: Magic) -> Vec<Loss> {
        let codec = self.codec;
        let mut losses = Vec::from_iter((!codec.fits_magic(magic)).then_some(Loss::Compression { codec }));
        let horizon = self.limits.horizon.filter(|_| magic != Magic::V2);
        losses.extend(horizon.map(|horizon| Loss::DeleteHorizon { horizon }));
        for (position, record) in self.records.iter().enumerate() {
            let (count, timestamp) = (record.headers.len(), Timestamp::from_millis(record.timestamp));
            if count > 0 && magic != Magic::V2 {
                losses.push(Loss::Headers { position, count });
            }
            if magic == Magic::V0 && timestamp != Timestamp::NO_TIMESTAMP {
                losses.push(Loss::Timestamp { position, timestamp });
            }
        }
        losses
    }

    fn convert(&mut self, magic: Magic, allowed: DownConversion) {
        let before = self.batch.clone();
        let all = self.losses(magic);
        assert!(before.losses_at(magic).eq(all.iter().copied()));
        let refused: Vec<_> = match allowed {
            DownConversion::Lossless => all,
            DownConversion::DropTimestamps => {
                all.into_iter().filter(|loss| !matches!(loss, Loss::Timestamp { .. })).collect()
            }
            DownConversion::DropAll => Vec::new(),
            other => panic!("the model does not know {other:?}"),
        };
        let same = magic == before.magic();
        let next = before.next_batch();
        match mem::replace(&mut self.batch, next).convert(magic, allowed) {
            Ok(batch) if same => {
                self.batch = batch;
                self.unchanged(&before);
            }
            Ok(batch) => {
                assert!(refused.is_empty() && batch.magic() == magic && batch.is_closed() == before.is_closed());
                let mut records = mem::take(&mut self.records);
                for record in &mut records {
                    if magic == Magic::V0 {
                        record.timestamp = -1;
                    }
                    if magic != Magic::V2 {
                        record.headers.clear();
                    }
                }
                if !self.codec.fits_magic(magic) {
                    self.codec = Codec::None;
                }
                self.limits.horizon = self.limits.horizon.filter(|_| magic == Magic::V2);
                self.filled_by_append = false;
                self.go_on_with(batch, records);
            }
            Err(error) => {
                assert!(!same);
                let batch = match error {
                    ConvertError::Losses { refused: found, batch } => {
                        assert!(!found.losses.is_empty() && found.losses == refused);
                        batch
                    }
                    other => panic!("{other}"),
                };
                self.batch = *batch;
                self.unchanged(&before);
            }
        }
    }
}
