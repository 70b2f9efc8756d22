//! The bound on reading: checks the sum and walks over the fields by hand, without errors worth the name. Safe Rust.

use bytes::Bytes;

use super::straight_line::HEADER_LEN;
use super::{Contender, Fold, Read};
use crate::workload::{Codec, Workload};

pub struct BareWalk;

impl Contender for BareWalk {
    fn name(&self) -> &'static str {
        "bare walk"
    }

    fn reader<'w>(&self, batch: &'w Bytes, workload: &Workload) -> Option<Read<'w>> {
        match (workload.magic, workload.codec) {
            (2, Codec::None) => {
                let each_header = workload.each_header;
                Some(Box::new(move || walk(batch, each_header)))
            }
            (magic, Codec::None) => Some(Box::new(move || walk_legacy(batch, magic))),
            _ => None,
        }
    }
}

fn walk(batch: &[u8], each_header: bool) -> u64 {
    let number = |at: usize| i64::from_be_bytes(batch[at..at + 8].try_into().expect("eight bytes"));
    let stored = u32::from_be_bytes(batch[17..21].try_into().expect("four bytes"));
    assert_eq!(crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &batch[21..]) as u32, stored, "the sum");
    let count = u32::from_be_bytes(batch[57..61].try_into().expect("four bytes"));
    let (base_offset, base_timestamp) = (number(0), number(27));
    let mut fold = Fold::default();
    let mut at = HEADER_LEN;
    for _ in 0..count {
        varint(batch, &mut at); // the record's length
        at += 1; // attributes
        let timestamp = varint(batch, &mut at);
        let offset = varint(batch, &mut at);
        fold.number(base_offset + offset);
        fold.number(base_timestamp + timestamp);
        skip(batch, &mut at, &mut fold);
        skip(batch, &mut at, &mut fold);
        let headers = varint(batch, &mut at);
        fold.number(headers);
        let mut passed_over = Fold::default();
        for _ in 0..2 * headers {
            skip(batch, &mut at, if each_header { &mut fold } else { &mut passed_over });
        }
    }
    assert_eq!(at, batch.len(), "the end");
    fold.finish()
}

fn walk_legacy(batch: &[u8], magic: i8) -> u64 {
    let number = |at: usize| i64::from_be_bytes(batch[at..at + 8].try_into().expect("eight bytes"));
    let short = |at: usize| i32::from_be_bytes(batch[at..at + 4].try_into().expect("four bytes"));
    let mut fold = Fold::default();
    let mut at = 0;
    while at < batch.len() {
        let end = at + 12 + short(at + 8) as usize;
        assert_eq!(crc32fast::hash(&batch[at + 16..end]), short(at + 12) as u32, "the sum");
        fold.number(number(at));
        let mut field = at + 18;
        fold.number(if magic == 0 { -1 } else { number(field) });
        field += if magic == 0 { 0 } else { 8 };
        let key = short(field);
        fold.number(i64::from(key));
        field += 4 + key.max(0) as usize;
        fold.number(i64::from(short(field)));
        fold.number(0); // headers
        at = end;
    }
    fold.finish()
}

#[inline]
fn skip(batch: &[u8], at: &mut usize, fold: &mut Fold) {
    let length = varint(batch, at);
    fold.number(length);
    *at += length.max(0) as usize;
}

#[inline]
fn varint(batch: &[u8], at: &mut usize) -> i64 {
    let mut raw = 0u64;
    let mut shift = 0;
    loop {
        let byte = batch[*at];
        *at += 1;
        raw |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return (raw >> 1) as i64 ^ -((raw & 1) as i64);
        }
        shift += 7;
    }
}
