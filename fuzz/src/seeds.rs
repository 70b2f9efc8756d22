//! Makes what the decoding targets start from out of the vectors: `seeds VECTORS CORPUS`.
//!
//! Each vector becomes a raw buffer; each batch in one, a batch to be wrapped again; and its records, once they are
//! decompressed, records to be packed by every codec.

use kafka_batch_core::compression::Codec;
use kafka_batch_core::decode::{RecordBatch, RecordBatches};
use kafka_batch_core::{BatchOptions, Magic, MagicChoice, Record, Timestamp};
use kafka_batch_fuzz::input::{Head, Shape};
use kafka_batch_fuzz::wire;
// For the coverage counters, which the flags of run.sh put into this program as well.
use libfuzzer_sys as _;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Longer inputs only slow the fuzzer down.
const LONGEST: usize = 8 * 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1).map(PathBuf::from);
    let (Some(vectors), Some(corpus)) = (arguments.next(), arguments.next()) else {
        return Err("usage: seeds VECTORS CORPUS".into());
    };
    let mut count = 0;
    let list = |folder: &Path| fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()));
    for entry in list(&vectors)?.chain(list(&vectors.join("java-tolerance"))?) {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "bin") {
            continue;
        }
        let buffer = fs::read(&path)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        count += seeds(&buffer, &name, &corpus)?;
    }
    println!("{count} seeds");
    Ok(())
}

fn seeds(buffer: &[u8], name: &str, corpus: &Path) -> Result<usize, Box<dyn Error>> {
    let mut count = 0;
    let mut put = |codec: Codec, kind: &str, head: Head, payload: &[u8]| -> Result<(), Box<dyn Error>> {
        if payload.len() > LONGEST {
            return Ok(());
        }
        let target = if codec == Codec::None { "plain" } else { codec.name() };
        let folder = corpus.join(format!("decode_{target}"));
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(format!("{name}-{kind}")), [&head.write(), payload].concat())?;
        count += 1;
        Ok(())
    };
    put(Codec::None, "raw", Head::new(Magic::V2, Shape::Raw), buffer)?;
    for (index, found) in wire::find(buffer).into_iter().enumerate().take(4) {
        let Some(codec) = Codec::from_id(found.attributes & 0b111) else { continue };
        let (count, last_offset_delta) = found.numbers;
        let head = Head { count, last_offset_delta, ..Head::new(found.magic, Shape::Wrapped) };
        put(codec, &format!("wrapped{index}"), Head { attributes: found.attributes, ..head }, found.payload)?;
    }
    for (index, batch) in RecordBatches::new(buffer).flatten().enumerate().take(4) {
        let Some(records) = plain_records(&batch) else { continue };
        let (count, last_offset_delta) = match batch.header() {
            Some(header) => (header.record_count as i32, header.last_offset_delta),
            None => (0, 0),
        };
        for codec in Codec::ALL.into_iter().filter(|codec| codec.fits_magic(batch.magic())) {
            let head = Head { count, last_offset_delta, ..Head::new(batch.magic(), Shape::Packed) };
            put(codec, &format!("packed{index}"), head, &records)?;
        }
    }
    Ok(count)
}

/// The batch's records as they are before compression.
fn plain_records(batch: &RecordBatch<'_>) -> Option<Vec<u8>> {
    let records = batch.records(LONGEST).ok()?;
    let mut again = BatchOptions::default()
        .batch_size(usize::MAX)
        .magic(MagicChoice::Pinned(batch.magic()))
        .build(Timestamp::NO_TIMESTAMP)
        .ok()?;
    let base = batch.base_offset().unwrap_or(0);
    for record in &records {
        let view = record.ok()?;
        let offset = u32::try_from(view.offset - base).unwrap_or(again.record_count() as u32);
        again.append_at(offset, Record::from(view)).ok()?.appended()?;
    }
    let header_len = if batch.magic() == Magic::V2 { 61 } else { 0 };
    Some(again.seal().ok()?.without_producer_id().bytes().get(header_len..)?.to_vec())
}
