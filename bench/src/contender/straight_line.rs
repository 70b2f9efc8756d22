//! The bound on building: what a programmer writes by hand who knows the workload and wants none of a library's
//! services. No limits, no errors, no choice of format; safe Rust.

use super::{Build, Contender, Wire};
use crate::workload::{BASE_TIMESTAMP, Codec, Input, Workload};

pub const HEADER_LEN: usize = 61;

pub struct StraightLine;

impl Contender for StraightLine {
    fn name(&self) -> &'static str {
        "straight line"
    }

    fn builder<'w>(&self, workload: &'w Workload) -> Option<Build<'w>> {
        match (workload.magic, workload.codec) {
            (2, Codec::None) => Some(Box::new(move || Wire::Vec(encode(workload)))),
            (magic, Codec::None) => Some(Box::new(move || Wire::Vec(encode_legacy(workload, magic)))),
            _ => None,
        }
    }
}

/// The batch of magic 2, without a codec.
pub fn encode(workload: &Workload) -> Vec<u8> {
    let mut out = Vec::with_capacity(workload.limit);
    out.resize(HEADER_LEN, 0);
    for (offset, record) in workload.records.iter().enumerate() {
        write_record(&mut out, record, offset as i64);
    }
    write_header(&mut out, &workload.records);
    out
}

/// The messages of magic 0 or 1, without a codec.
fn encode_legacy(workload: &Workload, magic: i8) -> Vec<u8> {
    let mut out = Vec::with_capacity(workload.limit);
    for (offset, record) in workload.records.iter().enumerate() {
        let start = out.len();
        let timestamp = if magic == 0 { 0 } else { 8 };
        let size = 14 + timestamp + record.key.as_ref().map_or(0, |key| key.len()) + record.value.len();
        out.extend_from_slice(&(offset as i64).to_be_bytes());
        out.extend_from_slice(&(size as i32).to_be_bytes());
        out.extend_from_slice(&[0, 0, 0, 0, magic as u8, 0]);
        if magic != 0 {
            out.extend_from_slice(&record.timestamp.to_be_bytes());
        }
        match &record.key {
            Some(key) => put_fixed(&mut out, key),
            None => out.extend_from_slice(&(-1i32).to_be_bytes()),
        }
        put_fixed(&mut out, &record.value);
        let crc = crc32fast::hash(&out[start + 16..]);
        out[start + 12..start + 16].copy_from_slice(&crc.to_be_bytes());
    }
    out
}

#[inline]
fn put_fixed(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
    out.extend_from_slice(bytes);
}

#[inline]
fn write_record(out: &mut Vec<u8>, record: &Input, offset: i64) {
    put_varint(out, body_len(record, offset) as i64);
    out.push(0); // attributes
    put_varint(out, record.timestamp - BASE_TIMESTAMP);
    put_varint(out, offset);
    match &record.key {
        Some(key) => put_bytes(out, key),
        None => put_varint(out, -1),
    }
    put_bytes(out, &record.value);
    put_varint(out, record.headers.len() as i64);
    for (name, value) in &record.headers {
        put_bytes(out, name.as_bytes());
        put_bytes(out, value);
    }
}

#[inline]
fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as i64);
    out.extend_from_slice(bytes);
}

#[inline]
fn put_varint(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[inline]
fn varint_len(value: i64) -> usize {
    let bits = 64 - (((value << 1) ^ (value >> 63)) as u64 | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

#[inline]
fn bytes_len(bytes: &[u8]) -> usize {
    varint_len(bytes.len() as i64) + bytes.len()
}

#[inline]
fn body_len(record: &Input, offset: i64) -> usize {
    let headers: usize = record.headers.iter().map(|(name, value)| bytes_len(name.as_bytes()) + bytes_len(value)).sum();
    1 + varint_len(record.timestamp - BASE_TIMESTAMP)
        + varint_len(offset)
        + record.key.as_ref().map_or(1, |key| bytes_len(key))
        + bytes_len(&record.value)
        + varint_len(record.headers.len() as i64)
        + headers
}

/// Bytes of a whole record.
pub fn record_len(record: &Input, offset: i64) -> usize {
    let body = body_len(record, offset);
    varint_len(body as i64) + body
}

fn write_header(out: &mut [u8], records: &[Input]) {
    let length = out.len() as i32 - 12;
    let (first, last) = (&records[0], &records[records.len() - 1]);
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        out[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
    };
    put(&0i64.to_be_bytes()); // base offset
    put(&length.to_be_bytes());
    put(&(-1i32).to_be_bytes()); // partition leader epoch
    put(&[2]); // magic
    put(&[0; 4]); // checksum, below
    put(&0i16.to_be_bytes()); // attributes
    put(&(records.len() as i32 - 1).to_be_bytes());
    put(&first.timestamp.to_be_bytes());
    put(&last.timestamp.to_be_bytes());
    put(&(-1i64).to_be_bytes()); // producer id
    put(&(-1i16).to_be_bytes()); // producer epoch
    put(&(-1i32).to_be_bytes()); // base sequence
    put(&(records.len() as i32).to_be_bytes());
    let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &out[21..]) as u32;
    out[17..21].copy_from_slice(&crc.to_be_bytes());
}
