//! The figures, as people and programs read them.

use std::fmt::Write as _;

use serde_json::json;

use crate::client::{CLIENTS, OVER_RDKAFKA, RAW, RDKAFKA, TOKIO};
use crate::job::{Report, Work};
use crate::rows::Row;

/// What the clients did in one row: for each, a report of each round that went well, and why the last bad one did not.
pub struct Measured<'r> {
    pub row: &'r Row,
    pub reports: Vec<Vec<Option<Report>>>,
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.retain(|value| value.is_finite());
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

type Figure = fn(&Report) -> Option<f64>;

const RATE: Figure = |report| Some(report.records as f64 / report.seconds);
const CPU: Figure = |report| Some(report.cpu_seconds / report.records as f64 * 1e6);
const P50: Figure = |report| report.p50;
const P99: Figure = |report| report.p99;
const PEAK: Figure = |report| Some(report.peak_kib as f64 / 1024.0);

impl Measured<'_> {
    /// The median over the rounds.
    fn figure(&self, client: &str, figure: Figure) -> Option<f64> {
        median(self.of(client).iter().flatten().filter_map(figure).collect())
    }

    /// The median of the ratios within a round.
    fn ratio(&self, client: &str, to: &str, figure: Figure) -> Option<f64> {
        let pairs = self.of(client).iter().zip(self.of(to));
        median(pairs.filter_map(|(one, other)| Some(figure(one.as_ref()?)? / figure(other.as_ref()?)?)).collect())
    }

    fn of(&self, client: &str) -> &[Option<Report>] {
        let index = CLIENTS.iter().position(|known| known.name == client).expect("a client");
        &self.reports[index]
    }

    fn rate(&self, client: &str) -> Option<f64> {
        self.figure(client, RATE)
    }

    /// Records a second, as a share of the raw socket's.
    pub fn share(&self, client: &str) -> Option<f64> {
        self.ratio(client, RAW, RATE)
    }

    /// The peer, not librdkafka nor one of ours, with the most records a second.
    fn best_peer(&self) -> Option<&'static str> {
        let peers =
            CLIENTS.iter().map(|client| client.name).filter(|name| *name != RAW && !name.starts_with("kafka-batch"));
        let rates = peers.filter_map(|name| Some((name, self.rate(name)?)));
        rates.max_by(|one, other| one.1.total_cmp(&other.1)).map(|(name, _)| name)
    }
}

/// All of it as Markdown.
pub fn tables(all: &[Measured<'_>]) -> String {
    let mut text = String::new();
    let mut section = |says: &str, of: &dyn Fn(&Measured<'_>, &str) -> String, work: Work| {
        let _ = write!(text, "\n{says}\n\n| |");
        for client in &CLIENTS {
            let _ = write!(text, " {} |", client.name);
        }
        let _ = writeln!(text, "\n|---|{}", "--:|".repeat(CLIENTS.len()));
        for measured in all.iter().filter(|measured| measured.row.work == work) {
            let _ = write!(text, "| {} |", measured.row.name);
            for client in &CLIENTS {
                let _ = write!(text, " {} |", of(measured, client.name));
            }
            text.push('\n');
        }
    };
    let number = |value: Option<f64>, digits: usize| value.map_or("–".into(), |value| format!("{value:.digits$}"));
    section(
        "Records a second, as a share of the raw socket's:",
        &|m, who| number(m.ratio(who, RAW, RATE), 2),
        Work::Throughput,
    );
    section(
        "Thousands of records a second:",
        &|m, who| number(m.rate(who).map(|rate| rate / 1e3), 0),
        Work::Throughput,
    );
    section(
        "Processor seconds a million records, the client's process alone:",
        &|m, who| number(m.figure(who, CPU), 3),
        Work::Throughput,
    );
    section("Most memory held, MiB:", &|m, who| number(m.figure(who, PEAK), 0), Work::Throughput);
    section(
        "Microseconds, half of all / 99 of 100:",
        &|m, who| format!("{} / {}", number(m.figure(who, P50), 0), number(m.figure(who, P99), 0)),
        Work::RoundTrip,
    );

    text += "\n| | is | target | |\n|---|--:|--:|---|\n";
    let mut target = |row: &str, says: String, is: Option<f64>, least: Option<f64>, most: Option<f64>| {
        let Some(is) = is else {
            let _ = writeln!(text, "| {row}: {says} | – | | not measured |");
            return;
        };
        let holds = least.is_none_or(|least| is >= least) && most.is_none_or(|most| is <= most);
        let limit = least.map_or_else(|| format!("≤ {:.2}", most.unwrap_or_default()), |least| format!("≥ {least:.2}"));
        let _ = writeln!(text, "| {row}: {says} | {is:.2} | {limit} | {} |", if holds { "holds" } else { "missed" });
    };
    for measured in all {
        let row = measured.row;
        if row.work == Work::RoundTrip {
            target(
                row.name,
                "tokio's p50, times the raw socket's".into(),
                measured.ratio(TOKIO, RAW, P50),
                None,
                Some(1.3),
            );
            continue;
        }
        if row.lz4 {
            continue;
        }
        if row.value_len == 100 {
            let least = if row.batch_size >= 1 << 20 { 0.6 } else { 0.7 };
            target(
                row.name,
                "tokio's records/s, of the raw socket's".into(),
                measured.ratio(TOKIO, RAW, RATE),
                Some(least),
                None,
            );
        }
        if row.value_len == 100 && row.batch_size >= 1 << 20 {
            if let Some(peer) = measured.best_peer() {
                target(
                    row.name,
                    format!("tokio's records/s, times {peer}'s"),
                    measured.ratio(TOKIO, peer, RATE),
                    Some(1.7),
                    None,
                );
                target(
                    row.name,
                    format!("tokio's processor time, of {peer}'s"),
                    measured.ratio(TOKIO, peer, CPU),
                    None,
                    Some(0.5),
                );
            }
            target(
                row.name,
                "tokio's processor time, of rdkafka's".into(),
                measured.ratio(TOKIO, RDKAFKA, CPU),
                None,
                Some(0.2),
            );
        }
        target(
            row.name,
            "processor time over rdkafka, times rdkafka's".into(),
            measured.ratio(OVER_RDKAFKA, RDKAFKA, CPU),
            None,
            Some(1.1),
        );
    }
    text
}

/// All of it for programs.
pub fn json(all: &[Measured<'_>]) -> serde_json::Value {
    let rows = all.iter().map(|measured| {
        let clients = CLIENTS.iter().zip(&measured.reports);
        let clients = clients.map(|(client, reports)| json!({ "client": client.name, "rounds": reports }));
        json!({ "row": measured.row.name, "clients": clients.collect::<Vec<_>>() })
    });
    json!(rows.collect::<Vec<_>>())
}
