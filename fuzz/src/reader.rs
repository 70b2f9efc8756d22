//! Reads a buffer to its end, whatever is in it and past all that is damaged, and checks what must hold for any bytes.

use crate::heap;
use kafka_batch_core::compression::{Codec, DecompressError};
use kafka_batch_core::decode::{
    DecodeError, DecodeErrorKind, DecodeErrorScope, RawRecordView, RecordBatch, RecordBatches, RecordView, Records,
    Region,
};
use kafka_batch_core::{BatchOptions, KafkaBatch, Magic, MagicChoice, Record, Timestamp};

pub fn read(buffer: &[u8], ceiling: usize) {
    let mut batches = RecordBatches::new(buffer);
    let mut position = 0;
    loop {
        let (next, peak) = heap::peak_of(|| batches.next());
        assert_eq!(peak, 0, "reading a header allocates nothing");
        match next {
            Some(Ok(batch)) => {
                let place = batch.position();
                assert_eq!(place.start, position, "batches stand one behind the other");
                assert!(place.end > position && place.end <= buffer.len(), "and every one of them takes room");
                assert_eq!(batch.bytes(), &buffer[place.clone()]);
                position = place.end;
                read_batch(&batch, buffer, ceiling);
            }
            Some(Err(error)) => {
                check_error(&error, buffer, None);
                assert_eq!((error.batch_at, error.record), (position, None));
                match error.scope {
                    DecodeErrorScope::Batch { end } => {
                        assert!(end > position && end <= buffer.len(), "a batch that is damaged takes room, too");
                        position = end;
                    }
                    DecodeErrorScope::Rest => {
                        assert!(batches.next().is_none() && batches.tail().is_none(), "this error is the end");
                        return;
                    }
                    DecodeErrorScope::Record { .. } => panic!("{error}: no record has been read"),
                }
            }
            None => break,
        }
    }
    assert!(batches.next().is_none(), "the end is the end");
    match batches.tail() {
        None => assert_eq!(position, buffer.len(), "what is not read is a tail or an error"),
        Some(tail) => {
            assert_eq!((tail.at, tail.at + tail.present), (position, buffer.len()));
            assert!(tail.present > 0 && tail.expected.is_none_or(|expected| expected > tail.present));
            assert!(!tail.to_string().is_empty());
        }
    }
}

fn read_batch(batch: &RecordBatch<'_>, buffer: &[u8], ceiling: usize) {
    let codec = batch.codec();
    let facts = (batch.base_offset(), batch.delete_horizon(), batch.timestamp_type(), batch.header());
    assert!(!format!("{facts:?}").is_empty());
    let (records, peak) = heap::peak_of(|| batch.records(ceiling));
    let most = most_allocated(codec, batch.bytes().len(), ceiling);
    assert!(peak <= most, "{codec}: {peak} bytes allocated, {most} allowed for {} bytes", batch.bytes().len());
    let records = match records {
        Ok(records) => records,
        Err(error) => {
            check_error(&error, buffer, None);
            assert_eq!((error.record, error.scope), (None, DecodeErrorScope::Batch { end: batch.position().end }));
            return;
        }
    };
    if codec != Codec::None {
        assert!(records.size() <= ceiling);
        check_ceiling(batch, records.size());
    }

    let found = read_records(batch, &records, buffer);
    if found.error.is_none() {
        assert!(batch.record_count().is_none_or(|counted| counted == found.count), "as many as the header says");
    }
    match (records.validate(), found.error) {
        (valid, None) => assert!(valid.is_ok() || has_odd_offset(&valid), "{valid:?}"),
        (valid, Some(first)) => assert!(valid.as_ref() == Err(&first) || has_odd_offset(&valid), "{valid:?}, {first}"),
    }
    write_again(batch.magic(), &found.views);
}

fn has_odd_offset(valid: &Result<(), DecodeError>) -> bool {
    matches!(valid, Err(DecodeError { kind: DecodeErrorKind::OffsetDelta { .. }, .. }))
}

struct Found<'r> {
    count: usize,
    /// Some of the records.
    views: Vec<RecordView<'r>>,
    /// The first error.
    error: Option<DecodeError>,
}

/// Goes through the records in both ways at once: the lenient one stops where the strict one does, reads all that the
/// strict one reads, and has no error that the other one has not.
fn read_records<'r>(batch: &RecordBatch<'_>, records: &'r Records<'_>, buffer: &[u8]) -> Found<'r> {
    let (mut strict, mut lenient) = (records.iter(), records.iter_lenient());
    let (mut items, mut last_end) = (0, 0);
    let mut found = Found { count: 0, views: Vec::new(), error: None };
    loop {
        let ((next, raw), peak) = heap::peak_of(|| (strict.next(), lenient.next()));
        assert_eq!(peak, 0, "reading a record allocates nothing");
        let (next, raw) = match (next, raw) {
            (Some(next), Some(raw)) => (next, raw),
            (None, None) => break,
            (next, raw) => panic!("{next:?} and {raw:?}: both end at once"),
        };
        items += 1;
        assert!(items <= records.size() + 1, "every record takes a byte at least, and an error behind them ends");
        match next {
            Ok(view) => {
                found.count += 1;
                look_at(&view);
                assert_eq!(raw, Ok(RawRecordView::from(view)));
                if found.views.len() < 64 {
                    found.views.push(view);
                }
            }
            Err(error) => {
                check_error(&error, buffer, Some(records.size()));
                match &raw {
                    Ok(raw) => {
                        assert!(matches!(error.scope, DecodeErrorScope::Record { .. }), "{error}");
                        look_at_raw(raw);
                    }
                    Err(lenient) => assert_eq!(lenient.scope, error.scope, "{lenient}, {error}"),
                }
                match error.scope {
                    DecodeErrorScope::Record { start, end } => {
                        assert!(last_end <= start && start < end, "{error}");
                        assert!((start..=end).contains(&error.at), "{error}");
                        last_end = end;
                    }
                    DecodeErrorScope::Batch { end } => {
                        assert_eq!(end, batch.position().end);
                        assert!(strict.next().is_none() && lenient.next().is_none(), "this error is the end");
                    }
                    DecodeErrorScope::Rest => panic!("{error}: the batch has an end"),
                }
                found.error.get_or_insert(error);
            }
        }
    }
    assert!(strict.next().is_none() && lenient.next().is_none(), "the end is the end");
    found
}

/// What [`Codec`]'s own module promises: no more than the ceiling, nor than the bytes can expand to, beside its
/// working memory; and room for the words of an error.
fn most_allocated(codec: Codec, len: usize, ceiling: usize) -> usize {
    const WORDS: usize = 256;
    const BLOCK: usize = 128 * 1024;
    let (expansion, working) = match codec {
        Codec::None => return 0,
        // It grows by doubling, where a trailer lies.
        Codec::Gzip => ((len * 1032 * 2).max(1024), 64 * 1024),
        Codec::Snappy => (len * 22, 0),
        Codec::Lz4 => (len * 255, 0),
        Codec::Zstd => (len.div_ceil(4) * BLOCK, 0),
    };
    expansion.min(ceiling) + working + WORDS
}

/// A ceiling of just the size lets the batch through, and one byte less does not.
fn check_ceiling(batch: &RecordBatch<'_>, size: usize) {
    if size > 64 * 1024 {
        return;
    }
    assert!(batch.records(size).is_ok(), "the ceiling may be reached");
    if let Some(less) = size.checked_sub(1) {
        let error = batch.records(less).map(drop).expect_err("and not be passed");
        let DecodeErrorKind::Decompression(cause) = error.kind else { panic!("{error}") };
        assert!(matches!(*cause, DecompressError::TooLarge { ceiling, .. } if ceiling == less), "{cause}");
    }
}

fn look_at(view: &RecordView<'_>) {
    assert_eq!(view.headers.iter().count(), view.headers.len(), "all headers come out");
    let names: usize = view.headers.iter().map(|header| header.name.chars().count()).sum();
    std::hint::black_box(names);
    if let Err(error) = view.control() {
        assert!(error.found < error.least);
    }
}

/// What only the lenient reading takes.
fn look_at_raw(view: &RawRecordView<'_>) {
    assert_eq!(view.headers.iter().count(), view.headers.len(), "all headers come out");
    let names: usize = view.headers.iter().map(|header| header.name_lossy().len()).sum();
    std::hint::black_box(names);
    let is_text = view.headers.iter().all(|header| str::from_utf8(header.name).is_ok());
    assert_eq!(RecordView::try_from(*view).is_ok(), is_text);
}

fn check_error(error: &DecodeError, buffer: &[u8], decompressed: Option<usize>) {
    assert!(error.batch_at <= buffer.len());
    match (error.region, decompressed) {
        (Region::Buffer, _) => assert!(error.batch_at <= error.at && error.at <= buffer.len(), "{error}"),
        (Region::Decompressed, Some(size)) => assert!(error.at <= size, "{error}"),
        (Region::Decompressed, None) => {}
    }
    assert!(error.to_string().contains(&error.at.to_string()));
}

/// Records read from any writer's batch are the same after they were appended to a batch of this crate and read again.
fn write_again(magic: Magic, views: &[RecordView<'_>]) {
    let options = BatchOptions::default()
        .batch_size(usize::MAX)
        .max_message_bytes(usize::MAX)
        .capacity(0)
        .magic(MagicChoice::Pinned(magic));
    let mut batch: KafkaBatch = options.build(Timestamp::from_millis(0)).expect("no codec");
    for view in views {
        let taken = batch.append(Record::from(*view)).expect("what stood in a batch can stand in a batch");
        assert!(taken.appended().is_some(), "there is no limit");
    }
    assert_eq!(batch.record_count(), views.len());
    for (position, (ours, theirs)) in batch.records().zip(views).enumerate() {
        assert_eq!(ours.offset, position as i64);
        assert_eq!((ours.key, ours.value, ours.headers), (theirs.key, theirs.value, theirs.headers));
        if magic.has_timestamps() {
            assert_eq!(ours.timestamp, theirs.timestamp);
        }
    }
}
