//! bench
#![allow(warnings)]
use kafka_batch_core::*;
use kafka_batch_rdkafka::*;
use rdkafka::producer::*;
use rdkafka::*;
use std::sync::atomic::*;
use std::time::*;

fn cpu() -> f64 {
    let s = std::fs::read_to_string("/proc/self/stat").unwrap();
    let f: Vec<&str> = s.rsplit(')').next().unwrap().split_whitespace().collect();
    (f[11].parse::<f64>().unwrap() + f[12].parse::<f64>().unwrap()) / 100.0
}
struct Ctx(AtomicUsize);
impl ClientContext for Ctx {}
impl ProducerContext for Ctx {
    type DeliveryOpaque = usize;
    fn delivery(&self, r: &rdkafka::message::DeliveryResult<'_>, _: usize) {
        if let Ok(m) = r {
            std::hint::black_box(rdkafka::Message::offset(m));
        }
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let a: Vec<String> = std::env::args().collect();
    if a[1] == "broker" {
        let c = rdkafka::mocking::MockCluster::new(1).unwrap();
        c.create_topic("t", 1, 1).unwrap();
        println!("{}", c.bootstrap_servers());
        loop {
            std::thread::park();
        }
    }
    let (mode, brokers, n, size, bytes) =
        (&a[1], &a[2], a[3].parse::<usize>().unwrap(), a[4].parse::<usize>().unwrap(), a[5].parse::<usize>().unwrap());
    let headers = a.get(6).is_some();
    let value = vec![b'x'; size];
    let h = [Header::new("a", "some header"), Header::new("b", "another header")];
    let mk = || {
        let mut b = BatchOptions::default()
            .batch_size(bytes)
            .max_message_bytes(bytes.max(1_048_588))
            .build(SystemTime::now())
            .unwrap();
        loop {
            let mut r = Record::new(&value).key("0123456789abcdef");
            if headers {
                r = r.headers(&h);
            }
            if let Append::Full(_) = b.append(r).unwrap() {
                break b;
            }
        }
    };
    let sample = mk();
    let per = sample.record_count();
    let (mut t, mut c) = (Instant::now(), cpu());
    let mut sent = 0_usize;
    if mode == "base" || mode == "basedef" {
        let mut cfg = ClientConfig::new();
        cfg.set("bootstrap.servers", brokers);
        for kv in std::env::var("CFG").unwrap_or_default().split_whitespace() {
            let (k, v) = kv.split_once('=').unwrap();
            cfg.set(k, v);
        }
        let p: BaseProducer<Ctx> = cfg.create_with_context(Ctx(AtomicUsize::new(0))).unwrap();
        let go = |count: usize| {
            for i in 0..count {
                let mut r: BaseRecord<str, [u8], usize> = BaseRecord::with_opaque_to("t", i)
                    .payload(&value[..])
                    .key("0123456789abcdef")
                    .partition(0)
                    .timestamp(1_700_000_000_000);
                if headers {
                    r.headers = Some(
                        rdkafka::message::OwnedHeaders::new_with_capacity(2)
                            .insert(rdkafka::message::Header { key: "a", value: Some("some header") })
                            .insert(rdkafka::message::Header { key: "b", value: Some("another header") }),
                    );
                }
                loop {
                    match p.send(r) {
                        Ok(()) => break,
                        Err((_, back)) => {
                            r = back;
                            p.poll(Duration::from_millis(1));
                        }
                    }
                }
                if i % 1000 == 0 {
                    p.poll(Duration::ZERO);
                }
            }
            p.flush(Duration::from_secs(60)).unwrap();
        };
        go(10_000);
        t = Instant::now();
        c = cpu();
        go(n);
        sent = n;
    } else {
        let mut p = RdkafkaProducer::builder().set("bootstrap.servers", brokers);
        for kv in std::env::var("CFG").unwrap_or_default().split_whitespace() {
            let (k, v) = kv.split_once('=').unwrap();
            p = p.set(k, v);
        }
        let p = p.create().unwrap();
        p.send_batch(sample.clone(), TopicPartition::new("t", 0)).await.unwrap().await.unwrap();
        t = Instant::now();
        c = cpu();
        let mut pend = std::collections::VecDeque::new();
        let mut pool: Vec<KafkaBatch> = vec![];
        while sent < n {
            let b = match mode.as_str() {
                "ours" => pool.pop().unwrap_or_else(|| sample.clone()),
                "build" => mk(),
                "walk" => {
                    for r in sample.records() {
                        std::hint::black_box(&r);
                    }
                    sent += per;
                    continue;
                }
                "onlybuild" => {
                    std::hint::black_box(mk());
                    sent += per;
                    continue;
                }
                _ => panic!(),
            };
            pend.push_back(p.send_batch(b, TopicPartition::new("t", 0)).await.unwrap());
            sent += per;
            if pend.len() > 100_000 / per + 2 {
                pool.push(pend.pop_front().unwrap().await.unwrap().into_batch());
            }
        }
        for x in pend {
            x.await.unwrap();
        }
    }
    let (dt, dc) = (t.elapsed().as_secs_f64(), cpu() - c);
    println!(
        "{mode:10} per batch {per:6}: {:.2} M/s, {:.3} CPU s per million",
        sent as f64 / dt / 1e6,
        dc / sent as f64 * 1e6
    );
}
