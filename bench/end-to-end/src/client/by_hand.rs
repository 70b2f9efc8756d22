//! What a careful programmer would write for these records alone: the raw socket's loop, but that each batch is filled and
//! summed before it is sent, and kept until it is answered. No limits, no errors, no choice of format; safe Rust.

use std::io::{self, IoSlice, Write};
use std::net::TcpStream;

use kafka_batch_bench_shared::by_hand::{HEADER_LEN, fill};

use super::Outcome;
use super::raw::{self, IN_FLIGHT};
use crate::job::Job;

pub fn run(job: &Job) -> Outcome {
    let value = job.value();
    let mut batches: Vec<Vec<u8>> = (0..IN_FLIGHT).map(|_| Vec::with_capacity(job.batch_size)).collect();
    let mut turn = 0;
    raw::publish(job, |socket, request| {
        let (before, ready) = request.bytes.split_at(request.batch_at);
        let batch = &mut batches[turn % IN_FLIGHT];
        let is_first = turn == 0;
        turn += 1;
        fill(batch, &ready[..HEADER_LEN], &value, request.records);
        assert!(!is_first || *batch == ready, "the same bytes as everybody's");
        write(socket, before, batch)
    })
}

fn write(socket: &mut TcpStream, before: &[u8], batch: &[u8]) -> io::Result<()> {
    let mut slices = &mut [IoSlice::new(before), IoSlice::new(batch)][..];
    while !slices.is_empty() {
        let written = socket.write_vectored(slices)?;
        IoSlice::advance_slices(&mut slices, written);
    }
    Ok(())
}
