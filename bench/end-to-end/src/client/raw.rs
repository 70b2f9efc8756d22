//! The bound: ready-made requests on a socket, their answers read, and nothing else.

use std::collections::VecDeque;
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use kafka_batch::protocol::{
    Acks, DEFAULT_MAX_FRAME_SIZE, ErrorCode, FrameReader, PartitionProduceData, ProduceRequest, ProduceResponse,
    RequestHeader, TopicProduceData, Uuid,
};

use super::Outcome;
use crate::job::{self, Job};
use crate::meter::Meter;

/// Spoken by the mock cluster, and by every Kafka since 2.1.
const VERSION: i16 = 7;
/// As many requests as the other clients may have on their way.
pub const IN_FLIGHT: usize = 5;

pub fn run(job: &Job) -> Outcome {
    publish(job, |socket, request| socket.write_all(&request.bytes))
}

/// A Produce request with one batch, which is the end of it.
pub struct Request {
    pub bytes: Vec<u8>,
    pub batch_at: usize,
    pub records: u64,
}

/// As many requests as go through, or one at a time; each is sent as `send` does it.
pub fn publish(job: &Job, mut send: impl FnMut(&mut TcpStream, &Request) -> io::Result<()>) -> Outcome {
    let mut socket = TcpStream::connect(&job.brokers)?;
    socket.set_nodelay(true)?;
    let in_flight = if job.is_one_by_one() { 1 } else { IN_FLIGHT };
    let requests = (0..job.partitions).map(|partition| request(job, partition));
    let requests = requests.collect::<Result<Vec<_>, _>>()?;
    let mut answers =
        Answers { frames: FrameReader::new(DEFAULT_MAX_FRAME_SIZE), buffer: vec![0; 1 << 16], unseen: 0..0 };

    let answered = job.acks == job::Acks::All;
    for request in &requests {
        send(&mut socket, request)?;
        if answered {
            answers.next(&mut socket)?;
        }
    }
    let mut meter = Meter::start(job, requests.iter().map(|request| request.records).sum());
    let (mut acknowledged, mut on_their_way) = (0, VecDeque::new());
    let mut await_one = |socket: &mut TcpStream, meter: &mut Meter, way: &mut VecDeque<(Instant, u64)>| {
        if answered {
            answers.next(socket)?;
        }
        let (begun, records) = way.pop_front().expect("it was sent");
        acknowledged += records;
        meter.trip(begun);
        Ok::<_, Box<dyn Error>>(())
    };
    let mut next = requests.iter().cycle();
    while meter.goes_on() {
        let request = next.next().expect("endless");
        on_their_way.push_back((Instant::now(), request.records));
        send(&mut socket, request)?;
        if on_their_way.len() == in_flight {
            await_one(&mut socket, &mut meter, &mut on_their_way)?;
        }
    }
    while !on_their_way.is_empty() {
        await_one(&mut socket, &mut meter, &mut on_their_way)?;
    }
    Ok(meter.stop(acknowledged))
}

/// One batch in a request of its own.
fn request(job: &Job, partition: i32) -> Result<Request, Box<dyn Error>> {
    let batch = job.batch()?;
    let records = batch.record_count() as u64;
    let stamped = batch.seal()?.without_producer_id();
    let partition = PartitionProduceData { index: partition, records: stamped.bytes().clone() };
    let topic = TopicProduceData { name: &job.topic, topic_id: Uuid::ZERO, partition_data: vec![partition] };
    let acks = match job.acks {
        job::Acks::All => Acks::All,
        job::Acks::None => Acks::None,
    };
    let produce = ProduceRequest { transactional_id: None, acks, timeout_ms: 30_000, topic_data: vec![topic] };
    let header = RequestHeader { correlation_id: 1, client_id: Some("raw") };
    let bytes = produce.encode(VERSION, header)?.concat();
    Ok(Request { batch_at: bytes.len() - stamped.bytes().len(), bytes, records })
}

struct Answers {
    frames: FrameReader,
    buffer: Vec<u8>,
    /// What of the buffer was read and not yet looked at.
    unseen: std::ops::Range<usize>,
}

impl Answers {
    /// Reads one answer, which has to be a good one.
    fn next(&mut self, socket: &mut TcpStream) -> Result<(), Box<dyn Error>> {
        loop {
            let mut received = &self.buffer[self.unseen.clone()];
            let frame = self.frames.next_frame(&mut received)?;
            self.unseen.start = self.unseen.end - received.len();
            if let Some(frame) = frame {
                let response = ProduceResponse::decode(&frame, VERSION)?;
                let code = response.responses[0].partition_responses[0].error_code;
                return if code == ErrorCode::NONE { Ok(()) } else { Err(code.to_string().into()) };
            }
            let read = socket.read(&mut self.buffer)?;
            if read == 0 {
                return Err("the broker hung up".into());
            }
            self.unseen = 0..read;
        }
    }
}
