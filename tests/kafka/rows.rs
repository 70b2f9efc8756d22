//! Records as plain values: what the tests write, and what every reader must return.

use std::fmt;

use kafka_batch::decode::{DEFAULT_MAX_DECOMPRESSED, RecordBatch, RecordBatches, RecordView};
use kafka_batch::{Append, BatchOptions, Compression, Header, KafkaBatch, Magic, MagicChoice, Record};
use kafka_batch_witnesses::kafka_protocol::records::RecordBatchDecoder;

/// 2023-11-14. Topics of these tests keep records for ever, whatever their timestamps.
pub(crate) const NOON: i64 = 1_700_000_000_000;

type Bytes = Vec<u8>;
type Headers = Vec<(String, Option<Bytes>)>;

/// One record of a log.
#[derive(Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) key: Option<Bytes>,
    pub(crate) value: Option<Bytes>,
    pub(crate) headers: Headers,
}

impl Row {
    pub(crate) fn new(key: Option<&[u8]>, value: Option<&[u8]>) -> Self {
        let [key, value] = [key, value].map(|bytes| bytes.map(<[u8]>::to_vec));
        Self { offset: -1, timestamp: NOON, key, value, headers: Vec::new() }
    }

    fn headers(mut self, headers: &[(&str, Option<&[u8]>)]) -> Self {
        let owned = |(name, value): &(&str, Option<&[u8]>)| ((*name).to_owned(), value.map(<[u8]>::to_vec));
        self.headers = headers.iter().map(owned).collect();
        self
    }

    fn view(record: &RecordView<'_>) -> Self {
        let headers = record.headers.iter().map(|Header { name, value, .. }| (name, value)).collect::<Vec<_>>();
        Self { offset: record.offset, timestamp: record.timestamp.millis(), ..Self::new(record.key, record.value) }
            .headers(&headers)
    }
}

/// Short, so that the failure of a comparison is readable.
impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &Option<Bytes>| match bytes {
            Some(bytes) if bytes.len() > 80 => format!("{} bytes", bytes.len()),
            Some(bytes) => format!("\"{}\"", bytes.escape_ascii()),
            None => "null".to_owned(),
        };
        write!(f, "{} at {}: {} = {}", self.offset, self.timestamp, text(&self.key), text(&self.value))?;
        self.headers.iter().try_for_each(|(name, value)| write!(f, ", {name:?}: {}", text(value)))
    }
}

/// Keys and values that are null, empty, text, or all bytes; timestamps that increase and decrease.
pub(crate) fn plain_sample() -> Vec<Row> {
    let all_bytes: Bytes = (0..=255).collect();
    let mut rows = vec![
        Row::new(Some(b"key"), Some(b"value")),
        Row::new(None, Some(b"")),
        Row::new(Some(b""), None),
        Row::new(None, None),
        Row::new(Some(b"tombstone"), None),
        Row::new(Some(&all_bytes), Some(&all_bytes)),
        Row::new(Some("ключ".as_bytes()), Some(r#"{"text": "\\ \"quoted\" — naïve"}"#.as_bytes())),
    ];
    let repeats = (0..60).map(|n| format!("reading {n} of a sensor that sends the same again and again"));
    rows.extend(repeats.map(|text| Row::new(Some(b"sensor-7"), Some(text.as_bytes()))));
    for (row, shift) in rows.iter_mut().zip([0, 5, -1_000, 86_400_000, -86_400_000, 1, 0].into_iter().cycle()) {
        row.timestamp += shift;
    }
    rows
}

/// The same with headers: repeated, null, empty, and with names in other alphabets.
pub(crate) fn sample() -> Vec<Row> {
    let mut rows = plain_sample();
    type Headers<'a> = &'a [(&'a str, Option<&'a [u8]>)];
    let lists: [Headers<'_>; 5] = [
        &[("trace", Some(b"1")), ("trace", None), ("unit", Some(b"")), ("trace", Some(b"2"))],
        &[("größe", Some("°C".as_bytes()))],
        &[("", Some(b"no name")), ("binary", Some(&[0, 9, 10, 13, 92, 255]))],
        &[("nothing", None)],
        &[("same", Some(b"x")), ("same", Some(b"x"))],
    ];
    for (row, list) in rows.iter_mut().step_by(2).zip(lists.into_iter().cycle()) {
        *row = row.clone().headers(list);
    }
    rows
}

/// More than a block of any codec, partly hard to compress.
pub(crate) fn bulk() -> Vec<Row> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut noise = |length: usize| -> Bytes {
        let next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        };
        std::iter::repeat_with(next).take(length).collect()
    };
    let mut rows: Vec<Row> =
        (0..100).map(|n: i32| Row::new(Some(&n.to_be_bytes()), Some("text ".repeat(200).as_bytes()))).collect();
    rows.push(Row::new(Some(b"noise"), Some(&noise(100_000))));
    rows.push(Row::new(Some(b"zeros"), Some(&[0; 200_000])));
    rows
}

/// Returns the rows with the offsets that they have in the log.
pub(crate) fn at_offsets(rows: &[Row], base: i64) -> Vec<Row> {
    (base..).zip(rows).map(|(offset, row)| Row { offset, ..row.clone() }).collect()
}

/// Returns options with high limits, this format and this codec.
pub(crate) fn options(magic: Magic, compression: Compression) -> BatchOptions {
    BatchOptions::default().batch_size(1_000_000).magic(MagicChoice::Pinned(magic)).compression(compression)
}

/// Returns a batch of these rows, which must fit.
pub(crate) fn batch(rows: &[Row], options: BatchOptions) -> KafkaBatch {
    let mut batch = options.build(NOON).unwrap();
    for row in rows {
        assert!(matches!(append(&mut batch, row), Append::Appended(_)), "{row:?} does not fit");
    }
    batch
}

pub(crate) fn append(batch: &mut KafkaBatch, row: &Row) -> Append {
    let header = |(name, value): &(String, Option<Bytes>)| (name.clone(), value.clone());
    let owned: Headers = row.headers.iter().map(header).collect();
    let headers: Vec<Header<'_>> = owned
        .iter()
        .map(|(name, value)| match value {
            Some(value) => Header::new(name, value),
            None => Header::null(name),
        })
        .collect();
    let mut record = Record::default().headers(&headers).timestamp(row.timestamp);
    record.key = row.key.as_deref();
    record.value = row.value.as_deref();
    batch.append(record).unwrap()
}

/// Returns the batches as read by this library. The last one must be complete.
pub(crate) fn batches(log: &[u8]) -> Vec<RecordBatch<'_>> {
    let mut batches = RecordBatches::new(log);
    let read: Vec<_> = (&mut batches).map(Result::unwrap).collect();
    assert_eq!(batches.tail(), None);
    read
}

/// Returns the records of a batch as read by this library.
pub(crate) fn records(batch: &RecordBatch<'_>) -> Vec<Row> {
    let records = batch.records(DEFAULT_MAX_DECOMPRESSED).unwrap();
    records.iter().map(|record| Row::view(&record.unwrap())).collect()
}

/// Returns the records of a log without control records.
pub(crate) fn rows(log: &[u8]) -> Vec<Row> {
    batches(log).iter().filter(|batch| !batch.is_control()).flat_map(records).collect()
}

/// Returns the records as read by `kafka-protocol`, which keeps only the last value of a repeated header.
pub(crate) fn rows_of_another_decoder(mut log: &[u8]) -> Vec<Row> {
    let sets = RecordBatchDecoder::decode_all(&mut log).unwrap();
    let records = sets.into_iter().flat_map(|set| set.records).filter(|record| !record.control);
    records
        .map(|record| {
            let headers =
                record.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect::<Vec<_>>();
            let row = Row::new(record.key.as_deref(), record.value.as_deref()).headers(&headers);
            Row { offset: record.offset, timestamp: record.timestamp, ..row }
        })
        .collect()
}

/// Returns the rows as read by a decoder that keeps each header once.
pub(crate) fn without_repeated_headers(rows: &[Row]) -> Vec<Row> {
    let once = |headers: &Headers| {
        let mut kept = Headers::new();
        for (name, value) in headers {
            match kept.iter_mut().find(|(other, _)| other == name) {
                Some((_, earlier)) => earlier.clone_from(value),
                None => kept.push((name.clone(), value.clone())),
            }
        }
        kept
    };
    rows.iter().map(|row| Row { headers: once(&row.headers), ..row.clone() }).collect()
}
