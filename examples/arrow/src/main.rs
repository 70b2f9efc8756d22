//! Fills batches from columns of Apache Arrow: text or binary, with 32-bit or 64-bit offsets, with and without nulls.
//!
//! ```console
//! cargo run --manifest-path examples/arrow/Cargo.toml
//! ```

use std::error::Error;
use std::iter::Peekable;
use std::time::SystemTime;

use arrow_array::types::ByteArrayType;
use arrow_array::{Array, BinaryArray, GenericByteArray, LargeStringArray, StringArray};
use kafka_batch::batch::{AsValue, ContiguousValues};
use kafka_batch::{BatchOptions, KafkaBatch, SealedBatch};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Returns batches with a record for each value of the column, in order. Nulls become null values.
fn batches<T>(column: &GenericByteArray<T>, key: &str, options: &BatchOptions) -> Result<Vec<SealedBatch>>
where
    T: ByteArrayType<Offset: TryInto<usize>>,
    T::Native: AsRef<[u8]>,
{
    if column.null_count() == 0 {
        // Bytes and offsets are borrowed from the column as they are.
        let values = ContiguousValues::new(column.value_data(), column.value_offsets())?;
        fill(values.into_iter().peekable(), key, options)
    } else {
        let values = (0..column.len()).map(|at| column.is_valid(at).then(|| column.value(at).as_ref()));
        fill(values.peekable(), key, options)
    }
}

fn fill<V: AsValue>(
    mut values: Peekable<impl Iterator<Item = V>>,
    key: &str,
    options: &BatchOptions,
) -> Result<Vec<SealedBatch>> {
    let mut sealed = Vec::new();
    let mut batch: KafkaBatch = options.clone().build(SystemTime::now())?;
    while batch.bulk().key(key).fill_from(&mut values)?.full.is_some() {
        let next = batch.next_batch();
        sealed.push(std::mem::replace(&mut batch, next).seal()?); // or send it: `producer.send_batch(batch, to).await?`
    }
    if !batch.is_empty() {
        sealed.push(batch.seal()?);
    }
    Ok(sealed)
}

fn main() -> Result<()> {
    let options = BatchOptions::default().batch_size(100_000);
    let readings = (0..100_000).map(|n| format!("{:.1}", 20.0 + f64::from(n % 100) / 10.0));
    let text = StringArray::from_iter_values(readings.clone());
    let large = LargeStringArray::from_iter_values(readings);
    let binary: BinaryArray = (0..1_000_u32).map(|n| (n % 10 > 0).then(|| n.to_be_bytes())).collect();

    for (name, rows, batches) in [
        ("text", text.len(), batches(&text, "sensor-7", &options)?),
        ("text from row 99,000 on", 1_000, batches(&text.slice(99_000, 1_000), "sensor-7", &options)?),
        ("text with 64-bit offsets", large.len(), batches(&large, "sensor-7", &options)?),
        ("binary with nulls", binary.len(), batches(&binary, "counter", &options)?),
    ] {
        let records: usize = batches.iter().map(SealedBatch::record_count).sum();
        let bytes: usize = batches.iter().map(SealedBatch::size).sum();
        println!("{name}: {records} records, {bytes} bytes, {} batches", batches.len());
        assert_eq!(records, rows);
    }
    Ok(())
}
