//! What this project has set itself, row by row.

use std::fmt;

use kafka_batch_bench_shared::Bound;

use crate::client::{BY_HAND, OVER_RDKAFKA, RAW, RDKAFKA, TOKIO};
use crate::job::{Acks, Work};
use crate::results::{CPU, Measured, P50, RATE};
use crate::rows::MIB;

/// A ratio, and what it is to be.
pub struct Target {
    row: &'static str,
    says: String,
    is: Option<f64>,
    bound: Bound,
}

/// The targets of a row.
pub fn of(measured: &Measured) -> Vec<Target> {
    let row = measured.row;
    let mut targets = Vec::new();
    let mut target = |says: &str, is, bound| {
        targets.push(Target { row: row.name, says: says.into(), is, bound });
    };
    match row.work {
        Work::RoundTrip(_) => {
            let is = measured.ratio(TOKIO, RAW, P50);
            target("tokio's p50, times the raw socket's", is, Bound::AtMost(1.3));
        }
        Work::Flush => {
            let is = measured.ratio(OVER_RDKAFKA, RDKAFKA, P50);
            target("p50 over rdkafka, of rdkafka's, which waits in steps of 100 ms", is, Bound::AtMost(0.1));
        }
        Work::Throughput if row.lz4 || row.acks == Acks::None => {}
        Work::Throughput => {
            let (is_small, is_large) = (row.value_len == 100, row.batch_size >= MIB);
            if is_small {
                let is = measured.ratio(TOKIO, RAW, RATE);
                let by_hand = measured.ratio(BY_HAND, RAW, RATE);
                let by_hand = by_hand.map_or_else(String::new, |share| format!(" (filled by hand: {share:.2})"));
                let says = format!("tokio's records/s, of the raw socket's{by_hand}");
                target(&says, is, Bound::AtLeast(if is_large { 0.6 } else { 0.7 }));
            }
            if is_small && is_large {
                let peer = measured.best_peer();
                let ratio = |client, figure| measured.ratio(client, peer?, figure);
                let whose = peer.map_or_else(|| "the best peer's".into(), |peer| format!("{peer}'s"));
                let bound =
                    ratio(RAW, RATE).map_or_else(String::new, |bound| format!(" (the raw socket's: {bound:.2})"));
                target(&format!("tokio's records/s, times {whose}{bound}"), ratio(TOKIO, RATE), Bound::AtLeast(1.7));
                target(&format!("tokio's processor time, of {whose}"), ratio(TOKIO, CPU), Bound::AtMost(0.5));
                let is = measured.ratio(TOKIO, RDKAFKA, CPU);
                target("tokio's processor time, of rdkafka's", is, Bound::AtMost(0.2));
            }
            let is = measured.ratio(OVER_RDKAFKA, RDKAFKA, CPU);
            target("processor time over rdkafka, times rdkafka's", is, Bound::AtMost(1.1));
        }
    }
    targets
}

/// A line of the table.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { row, says, is, bound } = self;
        let verdict = bound.verdict(*is);
        let is = is.map_or("–".into(), |is| format!("{is:.2}"));
        write!(f, "| {row}: {says} | {is} | {bound} | {verdict} |")
    }
}
