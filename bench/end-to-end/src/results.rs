//! What was measured, and the files that keep it.

use std::error::Error;

use kafka_batch_bench_shared::{median, results};
use serde::{Deserialize, Serialize};

use crate::broker::Against;
use crate::client::CLIENTS;
use crate::job::Report;
use crate::rows::{ROWS, Row};
use crate::{plot, table};

/// Rows against one broker.
pub struct Results {
    /// The broker, for people to read.
    pub against: String,
    pub rows: Vec<Measured>,
}

/// What the clients did in one row.
pub struct Measured {
    pub row: &'static Row,
    /// How long a turn was.
    pub seconds: f64,
    pub rounds: usize,
    /// For each client, a report of each round, or none where it failed or cannot do this.
    reports: Vec<Vec<Option<Report>>>,
}

/// A figure of a report.
pub type Figure = fn(&Report) -> Option<f64>;

pub const RATE: Figure = |report| Some(report.records as f64 / report.seconds);
pub const CPU: Figure = |report| Some(report.cpu_seconds / report.records as f64 * 1e6);
pub const P50: Figure = |report| report.p50;
pub const P99: Figure = |report| report.p99;
pub const PEAK: Figure = |report| Some(report.peak_kib as f64 / 1024.0);

impl Measured {
    pub fn new(row: &'static Row, seconds: f64) -> Self {
        Self { row, seconds, rounds: 0, reports: vec![Vec::new(); CLIENTS.len()] }
    }

    /// The reports of a round, in the order of the clients.
    pub fn add(&mut self, round: Vec<Option<Report>>) {
        self.rounds += 1;
        self.reports.iter_mut().zip(round).for_each(|(reports, report)| reports.push(report));
    }

    /// The median over the rounds.
    pub fn figure(&self, client: &str, figure: Figure) -> Option<f64> {
        median(self.of(client).iter().flatten().filter_map(figure).collect())
    }

    /// The median of the ratios within a round.
    pub fn ratio(&self, client: &str, to: &str, figure: Figure) -> Option<f64> {
        let pairs = self.of(client).iter().zip(self.of(to));
        median(pairs.filter_map(|(one, other)| Some(figure(one.as_ref()?)? / figure(other.as_ref()?)?)).collect())
    }

    fn of(&self, client: &str) -> &[Option<Report>] {
        let index = CLIENTS.iter().position(|known| known.name == client).expect("a client");
        &self.reports[index]
    }

    /// How many turns there were, and in how many of them others had a part of the client's core.
    pub fn turns(&self) -> (usize, usize) {
        let reports = || self.reports.iter().flatten().flatten();
        (reports().count(), reports().filter(|report| report.is_disturbed()).count())
    }

    /// The peer, none of ours, with the most records a second.
    pub fn best_peer(&self) -> Option<&'static str> {
        let peers = CLIENTS.iter().filter(|client| client.is_peer).map(|client| client.name);
        let rates = peers.filter_map(|name| Some((name, self.figure(name, RATE)?)));
        rates.max_by(|one, other| one.1.total_cmp(&other.1)).map(|(name, _)| name)
    }
}

// --- In files

#[derive(Serialize, Deserialize)]
struct File {
    against: String,
    rows: Vec<FileRow>,
}

#[derive(Serialize, Deserialize)]
struct FileRow {
    row: String,
    seconds: f64,
    rounds: usize,
    clients: Vec<FileClient>,
}

#[derive(Serialize, Deserialize)]
struct FileClient {
    client: String,
    rounds: Vec<Option<Report>>,
}

impl Results {
    /// Adds these rows to those that were measured before on this machine, and writes tables and plot anew.
    pub fn write(mut self, against: &Against) -> Result<(), Box<dyn Error>> {
        let name = match against {
            Against::Mock => "end-to-end",
            Against::Kafka(_) | Against::Address(_) => "end-to-end-kafka",
        };
        let figures = format!("{name}.json");
        if let Some(text) = results::read(&figures)? {
            self.add_older(serde_json::from_str(&text)?);
        }
        results::write(&figures, &(serde_json::to_string_pretty(&self.file())? + "\n"))?;
        results::write(&format!("{name}.md"), &table::page(&self))?;
        results::write(&format!("{name}.svg"), &plot::svg(&self))?;
        let rows = ROWS.iter().filter(|row| row.can_run(matches!(against, Against::Mock)));
        for row in rows.filter(|row| self.rows.iter().all(|has| has.row.name != row.name)) {
            eprintln!("bench/results/{name}.md lacks the row \"{}\": it was not measured on this machine", row.name);
        }
        Ok(())
    }

    /// Rows that are still run, and of which there is nothing newer.
    fn add_older(&mut self, file: File) {
        if file.against != self.against {
            return;
        }
        for FileRow { row, seconds, rounds, clients } in file.rows {
            let Some(row) = Row::named(&row).filter(|row| self.rows.iter().all(|newer| newer.row.name != row.name))
            else {
                continue;
            };
            let of = |name| clients.iter().find(|client| client.client == name).map(|client| client.rounds.clone());
            let reports = CLIENTS.iter().map(|client| of(client.name).unwrap_or_else(|| vec![None; rounds])).collect();
            self.rows.push(Measured { row, seconds, rounds, reports });
        }
        self.rows.sort_by_key(|measured| ROWS.iter().position(|row| row.name == measured.row.name));
    }

    fn file(&self) -> File {
        let row = |measured: &Measured| FileRow {
            row: measured.row.name.into(),
            seconds: measured.seconds,
            rounds: measured.rounds,
            clients: CLIENTS
                .iter()
                .zip(&measured.reports)
                .map(|(client, reports)| FileClient { client: client.name.into(), rounds: reports.clone() })
                .collect(),
        };
        File { against: self.against.clone(), rows: self.rows.iter().map(row).collect() }
    }
}
