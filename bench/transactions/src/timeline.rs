//! Where the time of a transaction goes, in a stream of them: what the producer waits for at each moment, seen from its socket.

use std::error::Error;
use std::time::Instant;

use kafka_batch::TokioProducer;
use kafka_batch_bench_shared::median;

use crate::SIZE;
use crate::ours::{Place, fill, runtime};
use crate::socket::{Log, Logging, Request};

const PRODUCE: i16 = 0;
const END_TXN: i16 = 26;
const DESCRIBE_TRANSACTIONS: i16 = 65;

/// The parts of a transaction, in the order of time.
pub const PARTS: [(&str, &str); 7] = [
    ("the markers of the last one: DescribeTransactions", "broker"),
    ("filling and sealing the batches", "client"),
    ("stamping them, and passing the first Produce request to the socket", "client"),
    ("the first Produce, which adds the partitions to the transaction", "broker"),
    ("the other Produce requests, five in flight", "broker"),
    ("from the last response to EndTxn, and from its response to the end of `commit`", "client"),
    ("EndTxn", "broker"),
];

/// Commits transactions of so many batches, and prints the median of each part in ms, that of all, and the mean numbers of Produce
/// and DescribeTransactions requests.
pub fn timeline(place: Place<'_>, batches: usize, warm_up: usize, transactions: usize) -> Result<(), Box<dyn Error>> {
    runtime()?.block_on(async {
        let log = Log::default();
        let builder = TokioProducer::builder().set("bootstrap.servers", place.servers).connector(Logging(log.clone()));
        let mut producer = builder.transactional_id(place.id).build_transactional().await?;
        let value = vec![0; SIZE];
        let mut parts: [Vec<f64>; PARTS.len() + 1] = Default::default();
        let mut counts = [0_usize; 2];
        for number in 0..warm_up + transactions {
            log.take();
            let begun = Instant::now();
            let transaction = producer.begin().await?;
            let open = Instant::now();
            fill(&transaction, place.topic, batches, &value).await?;
            let filled = Instant::now();
            transaction.commit().await?;
            let ended = Instant::now();
            if number < warm_up {
                continue;
            }
            let requests = log.take();
            let times = Times { begun, open, filled, ended }.parts(&requests).ok_or("a request is missing")?;
            let whole = ended.duration_since(begun).as_secs_f64() * 1e3;
            for (all, time) in parts.iter_mut().zip(times.into_iter().chain([whole])) {
                all.push(time);
            }
            for (count, api) in counts.iter_mut().zip([PRODUCE, DESCRIBE_TRANSACTIONS]) {
                *count += requests.iter().filter(|request| request.api == api).count();
            }
        }
        let medians = parts.map(|all| median(all).unwrap_or(f64::NAN));
        let counts = counts.map(|count| count as f64 / transactions as f64);
        let figures: Vec<String> = medians.into_iter().chain(counts).map(|figure| figure.to_string()).collect();
        println!("{}", figures.join(" "));
        Ok(producer.close().await?)
    })
}

/// What the application has seen of one transaction.
struct Times {
    begun: Instant,
    open: Instant,
    filled: Instant,
    ended: Instant,
}

impl Times {
    /// Returns the time of each part in ms, if no request is missing.
    fn parts(&self, requests: &[Request]) -> Option<[f64; PARTS.len()]> {
        let of = |api| requests.iter().filter(move |request| request.api == api);
        let sent = of(PRODUCE).map(|request| request.begun).min()?;
        let first = of(PRODUCE).map(|request| request.answered).min()?;
        let last = of(PRODUCE).map(|request| request.answered).max()?;
        let end = of(END_TXN).next()?;
        let ms = |from: Instant, to: Instant| to.saturating_duration_since(from).as_secs_f64() * 1e3;
        Some([
            ms(self.begun, self.open),
            ms(self.open, self.filled),
            ms(self.filled, sent),
            ms(sent, first),
            ms(first, last),
            ms(last, end.begun) + ms(end.answered, self.ended),
            ms(end.begun, end.answered),
        ])
    }
}
