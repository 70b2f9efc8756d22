//! A broker in memory, of as few instructions as will do: it says yes, and keeps nothing. Produce v3, Metadata v1,
//! InitProducerId v0.

use bytes::Bytes;

/// The topic's name.
pub const TOPIC: &str = "t";
/// Broker 1 leads this partition; broker 2, to whom nobody gets through, all others that are asked to wait.
pub const HOST: &str = "broker";

/// A cluster of two brokers.
pub struct Broker {
    pub partitions: i32,
    /// From this partition on broker 2 leads.
    pub of_the_second: i32,
    answer: Vec<u8>,
}

impl Broker {
    pub fn new(partitions: i32, of_the_second: i32) -> Self {
        Self { partitions, of_the_second, answer: Vec::new() }
    }

    /// The answer to a request, as a frame.
    pub fn answer(&mut self, request: &[Bytes]) -> &[u8] {
        let head = &request[0];
        self.answer.clear();
        self.answer.extend([0; 4]);
        self.answer.extend(&head[8..12]);
        match head[5] {
            0 => self.produced(request),
            3 => self.metadata(),
            18 => {
                let apis: [[u8; 7]; 3] = [[0, 0, 0, 0, 0, 3, 0], [0, 3, 0, 0, 0, 1, 0], [0, 22, 0, 0, 0, 0, 0]];
                self.answer.extend([0, 0, 4]);
                self.answer.extend(apis.as_flattened());
                self.answer.extend([0; 5]);
            }
            22 => {
                self.answer.extend([0; 6]);
                self.answer.extend(7_i64.to_be_bytes());
                self.answer.extend(0_i16.to_be_bytes());
            }
            other => unreachable!("a producer does not ask for API {other}"),
        }
        let length = (self.answer.len() - 4) as i32;
        self.answer[..4].copy_from_slice(&length.to_be_bytes());
        &self.answer
    }

    fn string(&mut self, text: &str) {
        self.answer.extend((text.len() as i16).to_be_bytes());
        self.answer.extend(text.as_bytes());
    }

    fn metadata(&mut self) {
        self.answer.extend(2_i32.to_be_bytes());
        for id in 1..=2_i32 {
            self.answer.extend(id.to_be_bytes());
            self.string(HOST);
            self.answer.extend((9_000 + id).to_be_bytes());
            self.answer.extend((-1_i16).to_be_bytes());
        }
        self.answer.extend(1_i32.to_be_bytes());
        self.answer.extend(1_i32.to_be_bytes());
        self.answer.extend([0; 2]);
        self.string(TOPIC);
        self.answer.push(0);
        self.answer.extend(self.partitions.to_be_bytes());
        for partition in 0..self.partitions {
            let leader: i32 = if partition < self.of_the_second { 1 } else { 2 };
            self.answer.extend([0; 2]);
            self.answer.extend(partition.to_be_bytes());
            self.answer.extend(leader.to_be_bytes());
            self.answer.extend([0; 8]);
        }
    }

    /// Before each record set stand its partition and its length.
    fn produced(&mut self, request: &[Bytes]) {
        let sets = request.len() / 2;
        self.answer.extend(1_i32.to_be_bytes());
        self.string(TOPIC);
        self.answer.extend((sets as i32).to_be_bytes());
        for envelope in request.iter().step_by(2).take(sets) {
            let behind = envelope.len() - 8;
            self.answer.extend(&envelope[behind..behind + 4]);
            self.answer.extend([0; 2]);
            self.answer.extend(100_i64.to_be_bytes());
            self.answer.extend((-1_i64).to_be_bytes());
        }
        self.answer.extend([0; 4]);
    }
}
