//! What a careful programmer would write for these records alone, on one thread: one batch in each request, five requests in
//! flight, responses read and not checked.

use std::collections::VecDeque;
use std::error::Error;
use std::io::{self, IoSlice};

use kafka_batch::protocol::{Acks, PartitionProduceData, ProduceRequest, RequestHeader, TopicProduceData, Uuid};
use kafka_batch::{Append, BatchOptions, Record};
use kafka_batch_bench_shared::by_hand::{HEADER_LEN, fill};
use kafka_batch_bench_shared::meter::{Meter, Report};

use crate::job::{Job, TOPIC};
use crate::security::{self, Stream};

const VERSION: i16 = 7;

const IN_FLIGHT: usize = 5;

/// A Produce request with one batch, which is the end of it.
struct Request {
    bytes: Vec<u8>,
    batch_at: usize,
    records: u64,
}

impl Request {
    fn new(job: &Job) -> Result<Self, Box<dyn Error>> {
        let value = job.value();
        let mut batch = BatchOptions::default().batch_size(job.batch_size).build(std::time::SystemTime::now())?;
        while matches!(batch.append(Record::new(&value))?, Append::Appended(_)) {}
        let records = batch.record_count() as u64;
        let batch = batch.seal()?.without_producer_id();
        let partition = PartitionProduceData { index: 0, records: batch.bytes().clone() };
        let topic = TopicProduceData { name: TOPIC.name, topic_id: Uuid::ZERO, partition_data: vec![partition] };
        let request =
            ProduceRequest { transactional_id: None, acks: Acks::All, timeout_ms: 30_000, topic_data: vec![topic] };
        let header = RequestHeader { correlation_id: 1, client_id: Some("hand") };
        let bytes = request.encode(VERSION, header)?.concat();
        Ok(Self { batch_at: bytes.len() - batch.size(), bytes, records })
    }
}

/// Sends the same request over and over, which was encoded in advance.
pub fn raw(job: &Job) -> Result<Report, Box<dyn Error>> {
    publish(job, |stream, request| stream.write_all(&request.bytes))
}

/// Encodes each batch before it is sent, and keeps it until its response arrives.
pub fn filled(job: &Job) -> Result<Report, Box<dyn Error>> {
    let value = job.value();
    let mut batches: Vec<Vec<u8>> = (0..IN_FLIGHT).map(|_| Vec::with_capacity(job.batch_size)).collect();
    let mut turn = 0;
    publish(job, |stream, request| {
        let (before, ready) = request.bytes.split_at(request.batch_at);
        let batch = &mut batches[turn % IN_FLIGHT];
        fill(batch, &ready[..HEADER_LEN], &value, request.records);
        assert!(turn > 0 || *batch == ready, "the batch is not the expected one");
        turn += 1;
        write(stream, before, batch)
    })
}

fn publish(
    job: &Job,
    mut send: impl FnMut(&mut dyn Stream, &Request) -> io::Result<()>,
) -> Result<Report, Box<dyn Error>> {
    let mut stream = security::connect(&job.address, job.security)?;
    let request = Request::new(job)?;
    let mut meter = job.meter();
    let mut in_flight = VecDeque::new();
    while meter.goes_on() {
        if in_flight.len() == IN_FLIGHT {
            receive(&mut *stream, &mut in_flight, &mut meter)?;
        }
        send(&mut *stream, &request)?;
        in_flight.push_back(request.records);
    }
    while !in_flight.is_empty() {
        receive(&mut *stream, &mut in_flight, &mut meter)?;
    }
    meter.stop()
}

fn receive(stream: &mut dyn Stream, in_flight: &mut VecDeque<u64>, meter: &mut Meter) -> io::Result<()> {
    let mut len = [0; 4];
    stream.read_exact(&mut len)?;
    let mut response = vec![0; u32::from_be_bytes(len) as usize];
    stream.read_exact(&mut response)?;
    meter.acknowledged(in_flight.pop_front().unwrap_or_default());
    Ok(())
}

fn write(stream: &mut dyn Stream, before: &[u8], batch: &[u8]) -> io::Result<()> {
    let mut slices = &mut [IoSlice::new(before), IoSlice::new(batch)][..];
    while !slices.is_empty() {
        let written = stream.write_vectored(slices)?;
        IoSlice::advance_slices(&mut slices, written);
    }
    Ok(())
}
