//! A broker in memory: answers Produce requests when the test says so, and all others at once. ApiVersions v3, Produce v3,
//! Metadata v1, InitProducerId v0.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use kafka_batch_core::decode::RecordBatches;

pub(super) const TOPIC: &str = "t";

pub(super) struct Broker {
    pub(super) partitions: i32,
    /// The racks of the brokers 1, 2, …, which lead partitions in turns. Without any there is one broker, in none.
    pub(super) racks: Vec<&'static str>,
    /// The values of each partition.
    pub(super) logs: BTreeMap<i32, Vec<String>>,
    /// The headers of all records, as `name=value`.
    pub(super) headers: Vec<String>,
    /// The number of batches that were received.
    pub(super) batches: usize,
    /// Responses to Produce requests.
    pub(super) held: VecDeque<Vec<u8>>,
}

impl Broker {
    pub(super) fn new(partitions: i32) -> Self {
        let (logs, headers, held) = (BTreeMap::new(), Vec::new(), VecDeque::new());
        Self { partitions, racks: Vec::new(), logs, headers, batches: 0, held }
    }

    /// Returns the response, unless the request is one to Produce, whose response is held back.
    pub(super) fn receive(&mut self, request: &[Bytes]) -> Option<Vec<u8>> {
        let frame = request.concat();
        let mut response = frame[8..12].to_vec();
        match frame[5] {
            0 => {
                self.produced(&frame, &mut response);
                self.held.push_back(framed(&response));
                return None;
            }
            3 => self.metadata(&mut response),
            18 => {
                let apis: [[u8; 7]; 3] = [[0, 0, 0, 0, 0, 3, 0], [0, 3, 0, 0, 0, 1, 0], [0, 22, 0, 0, 0, 0, 0]];
                response.extend([0, 0, 4]);
                response.extend(apis.as_flattened());
                response.extend([0; 5]);
            }
            22 => {
                response.extend([0; 6]);
                response.extend(7_i64.to_be_bytes());
                response.extend(0_i16.to_be_bytes());
            }
            other => panic!("API {other}"),
        }
        Some(framed(&response))
    }

    fn metadata(&self, response: &mut Vec<u8>) {
        let brokers = self.racks.len().max(1) as i32;
        response.extend(brokers.to_be_bytes());
        for broker in 1..=brokers {
            response.extend(broker.to_be_bytes());
            string(response, "broker");
            response.extend(9092_i32.to_be_bytes());
            match self.racks.get(broker as usize - 1) {
                Some(rack) => string(response, rack),
                None => response.extend((-1_i16).to_be_bytes()),
            }
        }
        response.extend(1_i32.to_be_bytes()); // controller
        response.extend(1_i32.to_be_bytes());
        response.extend([0; 2]);
        string(response, TOPIC);
        response.push(0);
        response.extend(self.partitions.to_be_bytes());
        for partition in 0..self.partitions {
            response.extend([0; 2]);
            response.extend(partition.to_be_bytes());
            response.extend((1 + partition % brokers).to_be_bytes());
            response.extend([0; 8]);
        }
    }

    fn produced(&mut self, frame: &[u8], response: &mut Vec<u8>) {
        let mut rest = &frame[12..];
        let mut take = |length: usize| {
            let (taken, left) = rest.split_at(length);
            rest = left;
            taken
        };
        let int = |bytes: &[u8]| bytes.iter().fold(0_usize, |sum, &byte| sum << 8 | usize::from(byte));
        let client = int(take(2));
        take(client);
        take(2 + 2 + 4); // transactional id, acks, timeout
        assert_eq!(int(take(4)), 1, "one topic");
        let name = int(take(2));
        take(name);
        response.extend(1_i32.to_be_bytes());
        string(response, TOPIC);
        let count = int(take(4));
        response.extend((count as i32).to_be_bytes());
        for _ in 0..count {
            let partition = int(take(4)) as i32;
            let length = int(take(4));
            let log = self.logs.entry(partition).or_default();
            response.extend(partition.to_be_bytes());
            response.extend([0; 2]);
            response.extend((log.len() as i64).to_be_bytes());
            response.extend((-1_i64).to_be_bytes());
            for batch in RecordBatches::new(take(length)) {
                self.batches += 1;
                for record in &batch.unwrap().records(1 << 20).unwrap() {
                    let (record, text) = (record.unwrap(), |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap());
                    log.push(text(record.value.unwrap()));
                    let headers = record.headers.iter();
                    self.headers
                        .extend(headers.map(|header| format!("{}={}", header.name, text(header.value.unwrap()))));
                }
            }
        }
        response.extend([0; 4]); // throttle time
    }
}

fn string(response: &mut Vec<u8>, text: &str) {
    response.extend((text.len() as i16).to_be_bytes());
    response.extend(text.as_bytes());
}

fn framed(response: &[u8]) -> Vec<u8> {
    [&(response.len() as i32).to_be_bytes()[..], response].concat()
}
