//! What a careful programmer would write for these records alone: a buffer for each partition, filled and summed; full or
//! lingered ones go out together, five requests in flight. No errors, no retries, no idempotence.

use std::collections::VecDeque;
use std::error::Error;
use std::io::{self, IoSlice, Read, Write};
use std::mem;
use std::net::TcpStream;
use std::num::NonZeroU32;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use kafka_batch::partitioner::partition_for_key;
use kafka_batch_bench_shared::by_hand::{finish, put_varint, varint_len};

use crate::job::{Job, Meter, Records, Report, TOPIC};

const IN_FLIGHT: usize = 5;

/// The bytes of finished batches that are sent without waiting for the next look at the clock.
const REQUEST_LEN: usize = 256 << 10;

/// The batches of a request at most, so that one call can write it.
const REQUEST_BATCHES: usize = 400;

const HEADER_LEN: usize = 61;

/// The records that are filled between two looks at the clock.
const BETWEEN_LOOKS: usize = 64;

#[derive(Default)]
struct Open {
    bytes: Vec<u8>,
    records: u32,
    /// Tells this batch from earlier ones of the partition.
    number: u64,
}

struct Client {
    socket: TcpStream,
    finished: Vec<(i32, Vec<u8>, u32)>,
    finished_len: usize,
    in_flight: VecDeque<u64>,
    free: Vec<Vec<u8>>,
    meter: Meter,
}

pub fn run(job: &Job) -> Result<Report, Box<dyn Error>> {
    let socket = TcpStream::connect(&job.address)?;
    socket.set_nodelay(true)?;
    let meter = Meter::start(job);
    let until = meter.until();
    let (finished, in_flight, free) = (Vec::new(), VecDeque::new(), Vec::new());
    let mut client = Client { socket, finished, finished_len: 0, in_flight, free, meter };
    let partitions = NonZeroU32::new(job.partitions as u32).ok_or("no partitions")?;
    let mut open: Vec<Open> = (0..job.partitions).map(|_| Open::default()).collect();
    let mut lingering: VecDeque<(Instant, i32, u64)> = VecDeque::new();
    let mut records = Records::new();
    loop {
        let now = Instant::now();
        if now >= until {
            break;
        }
        while let Some(&(since, partition, number)) = lingering.front() {
            if now - since < job.linger {
                break;
            }
            lingering.pop_front();
            let batch = &mut open[partition as usize];
            if batch.number == number && batch.records > 0 {
                client.finish(partition, batch)?;
            }
        }
        client.send()?;
        for _ in 0..BETWEEN_LOOKS {
            let (key, value) = records.next();
            let partition = partition_for_key(key, partitions);
            let batch = &mut open[partition as usize];
            if batch.records > 0 && batch.bytes.len() + key.len() + value.len() + 16 > job.batch_size {
                client.finish(partition, batch)?;
            }
            if batch.records == 0 {
                batch.bytes = client.free.pop().unwrap_or_default();
                batch.bytes.resize(HEADER_LEN, 0);
                lingering.push_back((now, partition, batch.number));
            }
            append(&mut batch.bytes, batch.records, key, value);
            batch.records += 1;
        }
    }
    for (partition, batch) in (0..).zip(&mut open) {
        if batch.records > 0 {
            client.finish(partition, batch)?;
        }
    }
    client.send()?;
    while !client.in_flight.is_empty() {
        client.receive()?;
    }
    client.meter.stop()
}

impl Client {
    fn finish(&mut self, partition: i32, batch: &mut Open) -> io::Result<()> {
        let (mut bytes, records) = (mem::take(&mut batch.bytes), mem::take(&mut batch.records));
        batch.number += 1;
        write_header(&mut bytes, records);
        self.finished_len += bytes.len();
        self.finished.push((partition, bytes, records));
        if self.finished_len >= REQUEST_LEN || self.finished.len() >= REQUEST_BATCHES { self.send() } else { Ok(()) }
    }

    /// Sends what is finished in one request.
    fn send(&mut self) -> io::Result<()> {
        if self.finished.is_empty() {
            return Ok(());
        }
        if self.in_flight.len() >= IN_FLIGHT {
            self.receive()?;
        }
        let mut head = vec![0; 4];
        head.extend([0, 0, 0, 7, 0, 0, 0, 1]); // Produce v7, correlation id 1
        put_string(&mut head, "hand");
        head.extend((-1_i16).to_be_bytes()); // no transaction
        head.extend((-1_i16).to_be_bytes()); // acks
        head.extend(30_000_i32.to_be_bytes());
        head.extend(1_i32.to_be_bytes());
        put_string(&mut head, TOPIC);
        head.extend((self.finished.len() as i32).to_be_bytes());
        let len = head.len() - 4 + self.finished_len + 8 * self.finished.len();
        head[..4].copy_from_slice(&(len as i32).to_be_bytes());
        let of_partition = |(partition, bytes, _): &(i32, Vec<u8>, u32)| {
            let mut head = [0; 8];
            head[..4].copy_from_slice(&partition.to_be_bytes());
            head[4..].copy_from_slice(&(bytes.len() as i32).to_be_bytes());
            head
        };
        let heads: Vec<[u8; 8]> = self.finished.iter().map(of_partition).collect();
        let mut slices = vec![IoSlice::new(&head)];
        for (head, (_, bytes, _)) in heads.iter().zip(&self.finished) {
            slices.extend([IoSlice::new(head), IoSlice::new(bytes)]);
        }
        let mut slices = &mut slices[..];
        while !slices.is_empty() {
            let written = self.socket.write_vectored(slices)?;
            IoSlice::advance_slices(&mut slices, written);
        }
        self.in_flight.push_back(self.finished.iter().map(|(_, _, records)| u64::from(*records)).sum());
        self.finished_len = 0;
        for (_, mut bytes, _) in self.finished.drain(..) {
            bytes.clear();
            self.free.push(bytes);
        }
        Ok(())
    }

    fn receive(&mut self) -> io::Result<()> {
        let mut len = [0; 4];
        self.socket.read_exact(&mut len)?;
        let mut answer = vec![0; u32::from_be_bytes(len) as usize];
        self.socket.read_exact(&mut answer)?;
        if let Some(records) = self.in_flight.pop_front() {
            self.meter.acknowledged(records);
        }
        Ok(())
    }
}

fn put_string(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as i16).to_be_bytes());
    out.extend(text.as_bytes());
}

fn append(out: &mut Vec<u8>, offset: u32, key: &[u8], value: &[u8]) {
    let (offset, key_len, value_len) = (2 * u64::from(offset), 2 * key.len() as u64, 2 * value.len() as u64);
    let lengths = varint_len(offset) + varint_len(key_len) + varint_len(value_len);
    put_varint(out, 2 * (3 + lengths + key.len() + value.len()) as u64);
    out.extend([0, 0]); // attributes, timestamp delta
    put_varint(out, offset);
    put_varint(out, key_len);
    out.extend_from_slice(key);
    put_varint(out, value_len);
    out.extend_from_slice(value);
    out.push(0); // no headers
}

fn write_header(batch: &mut [u8], records: u32) {
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as i64);
    let length = (batch.len() - 12) as i32;
    let mut set = |at: usize, bytes: &[u8]| batch[at..at + bytes.len()].copy_from_slice(bytes);
    set(0, &0_i64.to_be_bytes());
    set(8, &length.to_be_bytes());
    set(12, &(-1_i32).to_be_bytes());
    set(16, &[2]);
    set(21, &0_i16.to_be_bytes());
    set(23, &(records as i32 - 1).to_be_bytes());
    set(27, &millis.to_be_bytes());
    set(35, &millis.to_be_bytes());
    set(43, &(-1_i64).to_be_bytes());
    set(51, &(-1_i16).to_be_bytes());
    set(53, &(-1_i32).to_be_bytes());
    set(57, &(records as i32).to_be_bytes());
    finish(batch);
}
