//! The figures, in Markdown.

use std::fmt::Write as _;

use kafka_batch_bench_shared::bars::{Bars, Kind, Scale};
use kafka_batch_bench_shared::{Bound, Environment};

use super::clients::{CLIENTS, OURS};
use super::{Measured, Plan, Row};

const CRATES: [&str; 5] = ["kafka-batch", "rdkafka", "rdkafka-sys", "rskafka", "tokio"];

impl Row {
    /// The settings of a client with the most messages a second.
    fn best(&self, client: &str) -> Option<&Measured> {
        let of_client = self.measured.iter().filter(|measured| measured.client == client);
        of_client
            .filter(|measured| measured.rate().is_some())
            .max_by(|one, other| one.rate().unwrap_or(0.0).total_cmp(&other.rate().unwrap_or(0.0)))
    }

    fn best_peer(&self) -> Option<&Measured> {
        let peers = CLIENTS.iter().filter(|client| client.is_peer).filter_map(|client| self.best(client.name));
        peers.max_by(|one, other| one.rate().unwrap_or(0.0).total_cmp(&other.rate().unwrap_or(0.0)))
    }
}

/// In the order of the clients.
const COLOURS: [&str; CLIENTS.len()] = ["#0f9d8a", "#c9ccd1", "#c0507a", "#7a6fd0"];

/// Messages a second, each client with its best settings.
pub fn plot(rows: &[Row]) -> String {
    let kinds: Vec<_> =
        CLIENTS.iter().zip(COLOURS).map(|(client, colour)| Kind { name: client.name, colour }).collect();
    let groups: Vec<_> = rows
        .iter()
        .map(|row| {
            let rates = CLIENTS.iter().map(|client| row.best(client.name).and_then(Measured::rate));
            (format!("{} tasks", row.tasks), rates.collect())
        })
        .collect();
    let title = "One message and its offset: thousand messages a second, longer is faster";
    Bars { title, kinds: &kinds, scale: Scale::Linear, label: |rate| format!("{:.0}", rate / 1e3) }.svg(&groups)
}

pub fn page(against: &str, plan: &Plan, rows: &[Row]) -> String {
    let environment = Environment::look(env!("CARGO_PKG_NAME"), &CRATES).lines();
    let mut text = format!("# One message, one answer, against {against}\n\n{environment}\n");
    let _ = writeln!(
        text,
        "Tasks that each send a message of 100 bytes, await its offset, and send the next one. Client and broker on a core \
         each; {} rounds of {} s a client and setting, in turns. Medians, of the setting with the most messages a second; \
         p99 of one message in 16. `../README.md` describes the clients.\n",
        plan.rounds, plan.seconds
    );
    let reports = || rows.iter().flat_map(|row| &row.measured).flat_map(|measured| measured.reports.iter().flatten());
    let disturbed = reports().filter(|report| report.is_disturbed()).count();
    let _ = writeln!(
        text,
        "In {disturbed} of {} turns other processes had more than 5 % of the client's core.\n",
        reports().count()
    );
    text += "| tasks | client | messages/s, thousands | p50, µs | p99, µs | CPU, ns a message | settings |\n";
    text += "|--:|---|--:|--:|--:|--:|---|\n";
    for row in rows {
        for client in CLIENTS.iter().filter_map(|client| row.best(client.name)) {
            let number = |figure: Option<f64>| figure.map_or("–".into(), |figure| format!("{figure:.0}"));
            let cpu = client.median(|report| Some(report.cpu_seconds / report.records as f64 * 1e9));
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | linger {} ms, batch {} KiB |",
                row.tasks,
                client.client,
                number(client.rate().map(|rate| rate / 1e3)),
                number(client.median(|report| report.p50)),
                number(client.median(|report| report.p99)),
                number(cpu),
                client.settings.linger_ms,
                client.settings.batch_size >> 10,
            );
        }
    }
    text += "\n| tasks | target | is | bound | |\n|--:|---|--:|--:|---|\n";
    for row in rows {
        let (Some(ours), Some(peer)) = (row.best(OURS), row.best_peer()) else { continue };
        let ratio = |figure: &dyn Fn(&Measured) -> Option<f64>| Some(figure(ours)? / figure(peer)?);
        let rate = Bound::AtLeast(if row.tasks == 100 { 1.5 } else { 3.0 });
        let mut target = |says: &str, is: Option<f64>, bound: Bound| {
            let shown = is.map_or("–".into(), |is| format!("{is:.2}"));
            let verdict = bound.verdict(is);
            let _ = writeln!(text, "| {} | {says} {} | {shown} | {bound} | {verdict} |", row.tasks, peer.client);
        };
        target("messages/s, times", ratio(&|measured| measured.rate()), rate);
        let p99 = ratio(&|measured| measured.median(|report| report.p99));
        target("p99, of", p99, Bound::AtMost(0.5));
    }
    text += "\nAll settings, thousands of messages a second / p99 in µs:\n\n| tasks | client | settings | |\n|--:|---|---|--:|\n";
    for row in rows {
        for measured in &row.measured {
            let number = |figure: Option<f64>| figure.map_or("–".into(), |figure| format!("{figure:.0}"));
            let _ = writeln!(
                text,
                "| {} | {} | linger {} ms, batch {} KiB | {} / {} |",
                row.tasks,
                measured.client,
                measured.settings.linger_ms,
                measured.settings.batch_size >> 10,
                number(measured.rate().map(|rate| rate / 1e3)),
                number(measured.median(|report| report.p99)),
            );
        }
    }
    text
}
