//! Where the time of a transaction goes, in a stream of them: what the producer waits for at each moment, seen from its socket.

use std::error::Error;
use std::time::Instant;

use kafka_batch::TokioProducer;
use kafka_batch_bench_shared::median;

use crate::SIZE;
use crate::ours::{Place, Window, fill, runtime};
use crate::socket::{Log, Logging, Request};

const PRODUCE: i16 = 0;
const END_TXN: i16 = 26;
const DESCRIBE_TRANSACTIONS: i16 = 65;

/// The parts of a transaction, in the order of time, and what is waited for.
pub const PARTS: [(&str, &str); 6] = [
    ("DescribeTransactions, until the markers of the last one are written; meanwhile the batches are filled", "broker"),
    ("stamping the batches of the first requests, until the first byte is in the socket", "client"),
    ("the first Produce request, which adds the partitions to the transaction", "broker"),
    ("the other Produce requests, five in flight", "broker"),
    ("from the last response to EndTxn, and from its response to the end of `commit`", "client"),
    ("EndTxn", "broker"),
];

/// Transactions that follow each other, and then as many times their batches without transactions.
const STRETCH: usize = 50;

/// Commits transactions of so many batches, in stretches between which as many batches are published without transactions. Prints the
/// median of each part in ms, of the whole, of filling the batches, and of as many batches without transactions; then the mean
/// numbers of Produce and DescribeTransactions requests.
pub fn timeline(place: Place<'_>, batches: usize, warm_up: usize, transactions: usize) -> Result<(), Box<dyn Error>> {
    runtime()?.block_on(async {
        let log = Log::default();
        let idempotent = TokioProducer::builder().set("bootstrap.servers", place.servers).build()?;
        let builder = TokioProducer::builder().set("bootstrap.servers", place.servers).connector(Logging(log.clone()));
        let mut producer = builder.transactional_id(place.id).build_transactional().await?;
        let value = vec![0; SIZE];
        let mut parts: [Vec<f64>; PARTS.len() + 2] = Default::default();
        let mut without = Vec::new();
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
            if number % STRETCH == STRETCH - 1 {
                let times = stretch(&idempotent, place.topic, batches, &value).await?;
                without.extend(times.into_iter().filter(|_| number >= warm_up));
            }
            if number < warm_up {
                continue;
            }
            let requests = log.take();
            let times = Times { begun, filled, ended }.parts(&requests).ok_or("a request is missing")?;
            let others = [ms(begun, ended), ms(open, filled)];
            for (all, time) in parts.iter_mut().zip(times.into_iter().chain(others)) {
                all.push(time);
            }
            for (count, api) in counts.iter_mut().zip([PRODUCE, DESCRIBE_TRANSACTIONS]) {
                *count += requests.iter().filter(|request| request.api == api).count();
            }
        }
        let medians = parts.into_iter().chain([without]).map(|all| median(all).unwrap_or(f64::NAN));
        let counts = counts.map(|count| count as f64 / transactions as f64);
        let figures: Vec<String> = medians.chain(counts).map(|figure| figure.to_string()).collect();
        println!("{}", figures.join(" "));
        idempotent.close().await?;
        Ok(producer.close().await?)
    })
}

/// Publishes batches without transactions, and without pause. Returns how long each so many of them took, in ms, except for the first
/// and the last ones.
async fn stretch(
    producer: &TokioProducer,
    topic: &str,
    batches: usize,
    value: &[u8],
) -> Result<Vec<f64>, Box<dyn Error>> {
    let mut window = Window::new(producer, topic, 2 * batches, value);
    let mut times = Vec::new();
    let mut last = None;
    for number in 0..STRETCH {
        for _ in 0..batches {
            window.publish().await?;
        }
        let now = Instant::now();
        times.extend(last.replace(now).filter(|_| number > 3).map(|last| ms(last, now)));
    }
    window.finish().await?;
    Ok(times)
}

fn ms(from: Instant, to: Instant) -> f64 {
    to.saturating_duration_since(from).as_secs_f64() * 1e3
}

/// What the application has seen of one transaction.
struct Times {
    begun: Instant,
    filled: Instant,
    ended: Instant,
}

impl Times {
    /// Returns the time of each part in ms, if no request is missing.
    fn parts(&self, requests: &[Request]) -> Option<[f64; PARTS.len()]> {
        let of = |api| requests.iter().filter(move |request| request.api == api);
        let described = of(DESCRIBE_TRANSACTIONS).map(|request| request.answered).max();
        let ready = described.map_or(self.filled, |described| described.max(self.filled));
        let sent = of(PRODUCE).map(|request| request.begun).min()?;
        let first = of(PRODUCE).map(|request| request.answered).min()?;
        let last = of(PRODUCE).map(|request| request.answered).max()?;
        let end = of(END_TXN).next()?;
        Some([
            ms(self.begun, ready),
            ms(ready, sent),
            ms(sent, first),
            ms(first, last),
            ms(last, end.begun) + ms(end.answered, self.ended),
            ms(end.begun, end.answered),
        ])
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_parts_of_a_transaction_add_up_to_its_time() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let request = |api, begun, answered| Request { api, begun: at(begun), answered: at(answered) };
        let requests = [request(65, 0, 3), request(0, 5, 9), request(0, 5, 12), request(0, 6, 15), request(26, 17, 20)];
        let times = Times { begun: at(0), filled: at(2), ended: at(21) };
        let parts = times.parts(&requests).unwrap();
        assert_eq!(parts.map(f64::round), [3.0, 2.0, 4.0, 6.0, 3.0, 3.0]);
        assert_eq!(times.parts(&requests[..4]), None, "it has not ended");
        assert_eq!(times.parts(&requests[1..]).unwrap()[..2], [2.0, 3.0], "nothing was asked");
    }
}
