//! A broker that keeps nothing: it acknowledges every Produce request at once, and counts the records by the headers of their
//! batches. Produce v3 to v7, Metadata v1, InitProducerId v0, ApiVersions v0 to v3. For this machine's own clients only.

use std::error::Error;
use std::io::{self, BufRead, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The APIs and their versions. librdkafka writes magic 2 only if Fetch v4 is among them.
const APIS: [[i16; 3]; 5] = [[0, 3, 7], [1, 4, 4], [3, 1, 1], [18, 0, 3], [22, 0, 0]];

/// The topic that it has.
#[derive(Clone, Copy, Debug)]
pub struct Topic {
    pub name: &'static str,
    pub partitions: i32,
}

/// Serves until standard input ends. Each line on it is answered by the number of records since the last. The first line that
/// it prints is its address. `wrap` makes the stream of a new connection, such as one with TLS.
pub fn serve<S: Read + Write>(
    topic: Topic,
    wrap: impl Fn(TcpStream) -> io::Result<S> + Clone + Send + 'static,
) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    println!("{address}");
    let records = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&records);
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let (records, wrap) = (Arc::clone(&records), wrap.clone());
            std::thread::spawn(move || {
                socket.set_nodelay(true)?;
                answer_all(wrap(socket)?, address, topic, &records)
            });
        }
    });
    for line in io::stdin().lock().lines() {
        line?;
        println!("{}", counted.swap(0, Ordering::SeqCst));
    }
    Ok(())
}

fn answer_all(mut socket: impl Read + Write, address: SocketAddr, topic: Topic, records: &AtomicU64) -> io::Result<()> {
    let (mut request, mut answer) = (Vec::new(), Vec::new());
    loop {
        let mut len = [0; 4];
        socket.read_exact(&mut len)?;
        request.resize(u32::from_be_bytes(len) as usize, 0);
        socket.read_exact(&mut request)?;
        let mut request = Reader(&request);
        let (api, version, correlation_id) = (request.i16(), request.i16(), request.i32());
        request.string();
        answer.clear();
        answer.extend([0; 4]);
        answer.extend(correlation_id.to_be_bytes());
        match api {
            0 => records.fetch_add(produced(&mut request, version, &mut answer), Ordering::SeqCst),
            3 => metadata(address, topic, &mut answer),
            18 => api_versions(version, &mut answer),
            _ => producer_id(&mut answer),
        };
        let len = (answer.len() - 4) as u32;
        answer[..4].copy_from_slice(&len.to_be_bytes());
        socket.write_all(&answer)?;
    }
}

fn put_string(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as i16).to_be_bytes());
    out.extend(text.as_bytes());
}

/// Returns the number of records.
fn produced(request: &mut Reader<'_>, version: i16, answer: &mut Vec<u8>) -> u64 {
    let mut records = 0;
    request.string(); // transactional id
    request.take(6); // acks, timeout
    let topics = request.i32();
    answer.extend(topics.to_be_bytes());
    for _ in 0..topics {
        let name = request.string();
        answer.extend((name.len() as i16).to_be_bytes());
        answer.extend(name);
        let partitions = request.i32();
        answer.extend(partitions.to_be_bytes());
        for _ in 0..partitions {
            answer.extend(request.take(4)); // index
            answer.extend([0; 2]); // no error
            answer.extend(0_i64.to_be_bytes());
            answer.extend((-1_i64).to_be_bytes()); // no append time
            if version >= 5 {
                answer.extend(0_i64.to_be_bytes()); // log start offset
            }
            let len = request.i32() as usize;
            let mut batches = request.take(len);
            while batches.len() >= 61 {
                let number = |at: usize| Reader(&batches[at..]).i32();
                records += number(57) as u64;
                batches = &batches[(12 + number(8) as usize).min(batches.len())..];
            }
        }
    }
    answer.extend([0; 4]); // not throttled
    records
}

fn metadata(address: SocketAddr, topic: Topic, answer: &mut Vec<u8>) -> u64 {
    answer.extend(1_i32.to_be_bytes());
    answer.extend(1_i32.to_be_bytes());
    put_string(answer, &address.ip().to_string());
    answer.extend(i32::from(address.port()).to_be_bytes());
    answer.extend((-1_i16).to_be_bytes()); // no rack
    answer.extend(1_i32.to_be_bytes()); // controller
    answer.extend(1_i32.to_be_bytes());
    answer.extend([0; 2]);
    put_string(answer, topic.name);
    answer.push(0); // not internal
    answer.extend(topic.partitions.to_be_bytes());
    for partition in 0..topic.partitions {
        answer.extend([0; 2]);
        answer.extend(partition.to_be_bytes());
        for one in [1_i32, 1, 1, 1, 1] {
            answer.extend(one.to_be_bytes()); // the leader, one replica, one in sync
        }
    }
    0
}

fn api_versions(version: i16, answer: &mut Vec<u8>) -> u64 {
    let is_flexible = version >= 3;
    answer.extend([0; 2]);
    if is_flexible {
        answer.push(APIS.len() as u8 + 1);
    } else {
        answer.extend((APIS.len() as i32).to_be_bytes());
    }
    for api in APIS {
        answer.extend(api.into_iter().flat_map(i16::to_be_bytes));
        if is_flexible {
            answer.push(0);
        }
    }
    if version >= 1 {
        answer.extend([0; 4]); // not throttled
    }
    if is_flexible {
        answer.push(0);
    }
    0
}

fn producer_id(answer: &mut Vec<u8>) -> u64 {
    answer.extend([0; 6]); // not throttled, no error
    answer.extend(7_i64.to_be_bytes());
    answer.extend(0_i16.to_be_bytes());
    0
}

/// Reads fields from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken
    }

    fn i16(&mut self) -> i16 {
        i16::from_be_bytes(self.take(2).try_into().expect("two bytes"))
    }

    fn i32(&mut self) -> i32 {
        i32::from_be_bytes(self.take(4).try_into().expect("four bytes"))
    }

    /// Reads a string; a null one is empty.
    fn string(&mut self) -> &'a [u8] {
        let len = self.i16();
        self.take(len.max(0) as usize)
    }
}
