//! The ways to fill a batch, beside each other: a loop of `append`, the calls that take several records, and bulk calls.

use std::hint::black_box;

use kafka_batch::batch::{ContiguousValues, StampedBatch};
use kafka_batch::{Append, BatchOptions, KafkaBatch, Record, Timestamp};

use crate::harness::{Case, Effort, sample};
use crate::report::{Figure, Row};
use crate::workload::{BASE_TIMESTAMP, Words};

/// What a row's batches are filled with.
struct Values {
    limit: usize,
    key: Vec<u8>,
    /// Each in memory of its own.
    slices: Vec<Vec<u8>>,
    /// The same, one after another, with their offsets.
    bytes: Vec<u8>,
    offsets: Vec<i32>,
}

/// Where the values of a row are.
#[derive(Clone, Copy, PartialEq)]
enum Source {
    Slices,
    /// Slices, and a key of 16 bytes, which all records have.
    Keyed,
    Contiguous,
}

/// The loop, to which the others are compared.
pub const LOOP: &str = "append";
/// The same loop in a batch without a capacity, which takes memory as it fills; the others begin with memory for the limit.
pub const GROWING: &str = "append, growing";
pub const BULK: &str = "bulk";

/// Measures all rows whose name is accepted.
pub fn rows(effort: Effort, is_wanted: impl Fn(&str) -> bool) -> Vec<Row> {
    let mut rows = Vec::new();
    for (limit, size) in [(16 << 10, "16 KiB"), (1 << 20, "1 MiB")] {
        for len in [10, 100, 1_000] {
            let values = Values::fill(limit, len);
            for (source, what) in
                [(Source::Slices, ""), (Source::Keyed, ", keyed"), (Source::Contiguous, ", contiguous")]
            {
                let name = format!("{size} of {len} B{what}");
                if is_wanted(&name) {
                    eprintln!("fill {name}");
                    rows.push(values.row(name, source, effort));
                }
            }
        }
    }
    rows
}

impl Values {
    /// As many values as fit into the limit with a key.
    fn fill(limit: usize, len: usize) -> Self {
        let mut words = Words::new();
        let key = words.noise(16);
        let mut batch = options(limit).build(Timestamp::from_millis(BASE_TIMESTAMP)).expect("no contradiction");
        let mut values = Self { limit, key, slices: Vec::new(), bytes: Vec::new(), offsets: vec![0] };
        loop {
            let value = words.noise(len);
            let record = Record::new(&value).key(&values.key);
            if batch.append(record).expect("a record that any batch takes").is_full() {
                return values;
            }
            values.bytes.extend(&value);
            values.offsets.push(values.bytes.len() as i32);
            values.slices.push(value);
        }
    }

    fn contiguous(&self) -> ContiguousValues<'_, i32> {
        ContiguousValues::new(&self.bytes, &self.offsets).expect("in order")
    }

    fn keyed(&self) -> impl Iterator<Item = Record<'_>> {
        self.slices.iter().map(|value| Record::new(value).key(&self.key))
    }

    fn plain(&self) -> impl Iterator<Item = Record<'_>> {
        self.slices.iter().map(Record::new)
    }

    fn cases(&self, source: Source) -> Vec<Case<'_>> {
        let with_capacity = options(self.limit).capacity(self.limit);
        let case = |name, options: &BatchOptions, fill: fn(&mut KafkaBatch, &Self)| {
            let options = options.clone();
            Case { name, run: Box::new(move || drop(black_box(self.build(&options, fill)))) }
        };
        let case_with = |name, fill| case(name, &with_capacity, fill);
        let growing = options(self.limit);
        match source {
            Source::Slices => vec![
                case_with(LOOP, |batch, values| append_all(batch, values.plain())),
                case(GROWING, &growing, |batch, values| append_all(batch, values.plain())),
                case_with("extend", |batch, values| all(batch.extend(values.plain()).is_ok())),
                case_with("try_extend", |batch, values| all(batch.try_extend(values.plain()).is_ok())),
                case_with("fill_from", |batch, values| all(batch.fill_from(&mut values.plain().peekable()).is_ok())),
                case_with(BULK, |batch, values| all(batch.bulk().extend(&values.slices).is_ok())),
            ],
            Source::Keyed => vec![
                case_with(LOOP, |batch, values| append_all(batch, values.keyed())),
                case(GROWING, &growing, |batch, values| append_all(batch, values.keyed())),
                case_with("extend", |batch, values| all(batch.extend(values.keyed()).is_ok())),
                case_with("try_extend", |batch, values| all(batch.try_extend(values.keyed()).is_ok())),
                case_with("fill_from", |batch, values| all(batch.fill_from(&mut values.keyed().peekable()).is_ok())),
                case_with(BULK, |batch, values| all(batch.bulk().key(&values.key).extend(&values.slices).is_ok())),
            ],
            Source::Contiguous => vec![
                case_with(LOOP, |batch, values| append_all(batch, values.contiguous().iter().map(Record::new))),
                case_with(BULK, |batch, values| all(batch.bulk().extend(values.contiguous()).is_ok())),
            ],
        }
    }

    /// Builds a batch, from nothing to the bytes to send, checksum included.
    #[inline(always)]
    fn build(&self, options: &BatchOptions, fill: fn(&mut KafkaBatch, &Self)) -> StampedBatch {
        let mut batch = options.clone().build(Timestamp::from_millis(BASE_TIMESTAMP)).expect("no contradiction");
        fill(&mut batch, self);
        assert_eq!(batch.record_count(), self.slices.len());
        batch.seal().expect("within the limit").without_producer_id()
    }

    fn row(&self, workload: String, source: Source, effort: Effort) -> Row {
        let samples = sample(&self.cases(source), effort);
        let records = self.slices.len();
        let figures = samples.iter().map(|sample| Figure {
            name: sample.name,
            nanoseconds: sample.median() / records as f64,
            ratio: sample.ratio(&samples[0]),
            to_ours: sample.ratio(&samples[0]),
            page_faults: sample.page_faults,
            careless: false,
        });
        Row { what: "fill", says: format!("a batch of {workload}"), workload, records, figures: figures.collect() }
    }
}

fn options(limit: usize) -> BatchOptions {
    BatchOptions::default().batch_size(limit).max_message_bytes(limit)
}

#[inline(always)]
fn append_all<'a>(batch: &mut KafkaBatch, records: impl Iterator<Item = Record<'a>>) {
    for record in records {
        match batch.append(record).expect("a record that any batch takes") {
            Append::Appended(_) => {}
            Append::Full(full) => panic!("the values fit: {full}"),
        }
    }
}

fn all(is_ok: bool) {
    assert!(is_ok, "the values fit");
}
