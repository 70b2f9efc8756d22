//! What a careful programmer would write for these records alone: the raw socket's loop, but that each batch is filled and
//! summed before it is sent, and kept until it is answered. No limits, no errors, no choice of format; safe Rust.

use std::io::{self, IoSlice, Write};
use std::net::TcpStream;

use super::Outcome;
use super::raw::{self, IN_FLIGHT, Request};
use crate::job::Job;

/// Bytes of a batch's header, and where in it the checksum stands.
const HEADER_LEN: usize = 61;
const CHECKSUM: std::ops::Range<usize> = 17..21;

pub fn run(job: &Job) -> Outcome {
    let value = job.value();
    let mut batches: Vec<Vec<u8>> = (0..IN_FLIGHT).map(|_| Vec::with_capacity(job.batch_size)).collect();
    let mut turn = 0;
    raw::publish(job, |socket, request| {
        let (before, ready) = request.bytes.split_at(request.batch_at);
        let batch = &mut batches[turn % IN_FLIGHT];
        let is_first = turn == 0;
        turn += 1;
        fill(batch, &ready[..HEADER_LEN], &value, request);
        assert!(!is_first || *batch == ready, "the same bytes as everybody's");
        write(socket, before, batch)
    })
}

/// Records of no key and no headers, all of the batch's own time.
fn fill(batch: &mut Vec<u8>, header: &[u8], value: &[u8], request: &Request) {
    batch.clear();
    batch.extend_from_slice(header);
    for offset in 0..request.records {
        let value_len = 2 * value.len() as u64;
        let body = 1 + 1 + varint_len(2 * offset) + 1 + varint_len(value_len) + value.len() + 1;
        put_varint(batch, 2 * body as u64);
        batch.push(0); // attributes
        batch.push(0); // timestamp delta
        put_varint(batch, 2 * offset);
        batch.push(1); // no key
        put_varint(batch, value_len);
        batch.extend_from_slice(value);
        batch.push(0); // no headers
    }
    let checksum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &batch[CHECKSUM.end..]) as u32;
    batch[CHECKSUM].copy_from_slice(&checksum.to_be_bytes());
}

fn put_varint(out: &mut Vec<u8>, mut rest: u64) {
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn varint_len(raw: u64) -> usize {
    (64 - (raw | 1).leading_zeros() as usize).div_ceil(7)
}

fn write(socket: &mut TcpStream, before: &[u8], batch: &[u8]) -> io::Result<()> {
    let mut slices = &mut [IoSlice::new(before), IoSlice::new(batch)][..];
    while !slices.is_empty() {
        let written = socket.write_vectored(slices)?;
        IoSlice::advance_slices(&mut slices, written);
    }
    Ok(())
}
