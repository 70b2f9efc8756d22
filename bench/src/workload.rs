//! What is written and read: the records, held as an application would hold them before it calls any library.

use bytes::Bytes;

/// One record, before any library has seen it.
#[derive(Clone)]
pub struct Input {
    pub key: Option<Bytes>,
    pub value: Bytes,
    pub headers: Vec<(&'static str, Bytes)>,
    pub timestamp: i64,
}

/// How a batch is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

/// Records that fill one batch.
pub struct Workload {
    pub name: String,
    pub says: String,
    pub magic: i8,
    pub codec: Codec,
    /// Whether a reader looks at each header, or only how many there are.
    pub each_header: bool,
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

/// All rows of the table, in their order.
pub fn all() -> Vec<Workload> {
    let shape = |name, says, limit, value| Shape { name, says, limit, keyed: false, headers: false, value };
    let noise_100 = |words: &mut Words| words.noise(100);
    let w1 = || shape("W1", "16 KiB of 100-byte values, 16-byte keys", SMALL, noise_100);
    let w2 = || shape("W2", "1 MiB of 1 KiB values", LARGE, |words| words.noise(1 << 10));
    let w3 = || shape("W3", "1 MiB of 10-byte values", LARGE, |words| words.noise(10));
    let w4 = || shape("W4", "1 MiB of 500-byte JSON values", LARGE, Words::json);
    let keyed = |shape: Shape| Shape { keyed: true, ..shape };
    let mut rows = vec![
        Workload::fill(Shape {
            headers: true,
            says: "16 KiB of 100-byte values, 16-byte keys, two headers",
            ..keyed(w1())
        }),
        Workload::fill(w2()),
        Workload::fill(w3()),
        Workload::fill(w4()),
        Workload::fill(shape("W5", "1 MiB of 4 KiB values", LARGE, |words| words.noise(4 << 10))),
        Workload::fill(shape("W6", "1 MiB of 16 KiB values", LARGE, |words| words.noise(16 << 10))),
    ];
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        rows.push(Workload::fill(w4()).with_codec(codec));
    }
    for magic in [1, 0] {
        rows.extend([keyed(w1()), w2(), w3()].map(|shape| Workload::fill(shape).with_magic(magic)));
    }
    rows
}

impl Workload {
    /// As many records as fit into the limit as a batch of magic 2 without compression.
    fn fill(shape: Shape) -> Self {
        let mut words = Words::new();
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
                let (name, says) = (shape.name.into(), shape.says.into());
                let (codec, limit) = (Codec::None, shape.limit);
                return Self { name, says, magic: 2, codec, each_header: false, limit, records };
            }
            records.push(record);
        }
    }

    /// The same workload without its records.
    pub fn named(&self) -> Self {
        let Self { name, says, magic, codec, each_header, limit, .. } = self;
        Self {
            name: name.clone(),
            says: says.clone(),
            magic: *magic,
            codec: *codec,
            each_header: *each_header,
            limit: *limit,
            records: Vec::new(),
        }
    }

    /// The same workload, each header looked at when it is read.
    pub fn with_each_header(&self) -> Self {
        let name = format!("{}, each header", self.name);
        Self { name, each_header: true, records: self.records.clone(), ..self.named() }
    }

    fn with_codec(mut self, codec: Codec) -> Self {
        self.name = format!("{} {}", self.name, format!("{codec:?}").to_lowercase());
        self.codec = codec;
        self
    }

    /// The same records in an older format, where each takes more room.
    fn with_magic(mut self, magic: i8) -> Self {
        self.name = format!("{} magic {magic}", self.name);
        self.magic = magic;
        self.limit += self.records.len() * 64;
        self
    }
}

/// Made-up content, the same in every run.
pub struct Words(u64);

impl Words {
    pub fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn noise(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| (self.next() >> 56) as u8).collect()
    }

    fn headers(&mut self) -> Vec<(&'static str, Bytes)> {
        let id = format!("{:08x}-1b4f-4c6e-9d2a-{:012x}", self.next() as u32, self.next() >> 16);
        vec![("correlation-id", id.into()), ("content-type", Bytes::from_static(b"application/json"))]
    }

    /// About 500 bytes of JSON, as an application would send them: field names that repeat, values that do not.
    fn json(&mut self) -> Vec<u8> {
        const CITIES: [&str; 6] = ["Lisbon", "Oslo", "Turin", "Leipzig", "Ghent", "Split"];
        let mut text = format!(
            r#"{{"id":"{:016x}","at":"2026-03-{:02}T{:02}:{:02}:{:02}Z","city":"{}","items":["#,
            self.next(),
            1 + self.next() % 28,
            self.next() % 24,
            self.next() % 60,
            self.next() % 60,
            CITIES[(self.next() % 6) as usize],
        );
        while text.len() < 440 {
            let (sku, count, cents) = (self.next() % 100_000, 1 + self.next() % 9, self.next() % 100_000);
            text += &format!(r#"{{"sku":"SKU-{sku:05}","count":{count},"price":{cents}}},"#);
        }
        text.pop();
        text += &format!(r#"],"total":{},"currency":"EUR"}}"#, self.next() % 1_000_000);
        text.into_bytes()
    }
}
