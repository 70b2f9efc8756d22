//! The plot.

use kafka_batch_bench_shared::bars::{Bars, Kind, Scale};

use crate::client::{CLIENTS, RAW};
use crate::job::{Acks, Work};
use crate::results::{RATE, Results};

/// In the order of the clients.
const COLOURS: [&str; CLIENTS.len()] =
    ["#9aa0a6", "#c9ccd1", "#0f9d8a", "#5cc4b4", "#a9dcd3", "#c77d2b", "#c0507a", "#7a6fd0"];

/// Records a second in each acknowledged, uncompressed row, as a share of the raw socket's.
pub fn svg(results: &Results) -> String {
    let rows = results.rows.iter().filter(|measured| {
        let row = measured.row;
        row.work == Work::Throughput && row.acks == Acks::All && !row.lz4
    });
    let groups: Vec<_> = rows
        .map(|measured| {
            let shares = CLIENTS.map(|client| measured.ratio(client.name, RAW, RATE));
            (measured.row.name.to_owned(), shares.to_vec())
        })
        .collect();
    let kinds: Vec<_> =
        CLIENTS.iter().zip(COLOURS).map(|(client, colour)| Kind { name: client.name, colour }).collect();
    let title = format!(
        "Records a second against {}, as a share of what a {RAW} gets through: longer is faster",
        results.against
    );
    let label = |share: f64| format!("{:.0} %", share * 100.0);
    Bars { title: &title, kinds: &kinds, scale: Scale::Linear, label }.svg(&groups)
}
