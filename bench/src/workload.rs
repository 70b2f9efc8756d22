//! What is written and read: the records, held as an application would hold them before it calls any library.

use bytes::Bytes;

/// One record, before any library has seen it.
pub struct Input {
    pub key: Option<Bytes>,
    pub value: Bytes,
    pub headers: Vec<(&'static str, Bytes)>,
    pub timestamp: i64,
}

/// Records that fill one batch.
pub struct Workload {
    pub name: &'static str,
    pub says: &'static str,
    /// Bytes that the batch may have: every contender that takes a size beforehand is told this one.
    pub limit: usize,
    pub records: Vec<Input>,
}

/// The time of the first record.
pub const BASE_TIMESTAMP: i64 = 1_700_000_000_000;

const SMALL: usize = 16 << 10;
const LARGE: usize = 1 << 20;

/// What a workload's records have.
struct Shape {
    name: &'static str,
    says: &'static str,
    limit: usize,
    keyed: bool,
    headers: bool,
    value: fn(&mut Words) -> Vec<u8>,
}

/// The workloads of magic 2 without a codec.
pub fn plain() -> Vec<Workload> {
    let shape = |name, says, limit, value| Shape { name, says, limit, keyed: false, headers: false, value };
    [
        Shape {
            keyed: true,
            headers: true,
            ..shape("W1", "16 KiB of 100-byte values, 16-byte keys, two headers", SMALL, |words| words.noise(100))
        },
        shape("W2", "1 MiB of 1 KiB values", LARGE, |words| words.noise(1 << 10)),
        shape("W3", "1 MiB of 10-byte values", LARGE, |words| words.noise(10)),
        shape("W5", "1 MiB of 4 KiB values", LARGE, |words| words.noise(4 << 10)),
        shape("W6", "1 MiB of 16 KiB values", LARGE, |words| words.noise(16 << 10)),
    ]
    .map(Workload::fill)
    .into()
}

impl Workload {
    /// As many records as fit into the limit as a batch of magic 2 without compression.
    fn fill(shape: Shape) -> Self {
        let mut words = Words(0x9e37_79b9_7f4a_7c15);
        let mut records = Vec::new();
        let mut size = crate::contender::straight_line::HEADER_LEN;
        loop {
            let number = records.len() as i64;
            let record = Input {
                key: shape.keyed.then(|| words.noise(16).into()),
                value: (shape.value)(&mut words).into(),
                headers: if shape.headers { words.headers() } else { Vec::new() },
                timestamp: BASE_TIMESTAMP + number / 10, // ten records a millisecond
            };
            size += crate::contender::straight_line::record_len(&record, number);
            if size > shape.limit {
                let Shape { name, says, limit, .. } = shape;
                return Self { name, says, limit, records };
            }
            records.push(record);
        }
    }
}

/// Made-up content, the same in every run.
struct Words(u64);

impl Words {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn noise(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| (self.next() >> 56) as u8).collect()
    }

    fn headers(&mut self) -> Vec<(&'static str, Bytes)> {
        let id = format!("{:08x}-1b4f-4c6e-9d2a-{:012x}", self.next() as u32, self.next() >> 16);
        vec![("correlation-id", id.into()), ("content-type", Bytes::from_static(b"application/json"))]
    }
}
