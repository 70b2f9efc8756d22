//! The table.

use std::fmt::Write as _;

use kafka_batch_bench_shared::bars::{Bars, Kind, Scale};
use kafka_batch_bench_shared::meter::Report;
use kafka_batch_bench_shared::rounds::Rounds;
use kafka_batch_bench_shared::{Bound, Environment};

use crate::clients::CLIENTS;

/// A row, with the reports of the clients.
pub struct Figures {
    value_len: usize,
    batch_size: usize,
    rounds: Rounds,
}

impl Figures {
    pub fn new(value_len: usize, batch_size: usize) -> Self {
        Self { value_len, batch_size, rounds: Rounds::new(CLIENTS.len()) }
    }

    pub fn add(&mut self, client: usize, report: Option<Report>) {
        self.rounds.add(client, report);
    }

    fn name(&self) -> String {
        format!("{} B, {} KiB", self.value_len, self.batch_size >> 10)
    }

    pub fn line(&self) -> String {
        let mut line = format!("| {} |", self.name());
        for client in 0..CLIENTS.len() {
            let rate = self.rounds.median(client, Report::rate) / 1e6;
            let cpu = self.rounds.median(client, Report::cpu_per_record) * 1e9;
            let _ = write!(line, " {rate:.2} | {cpu:.1} |");
        }
        for figure in [Report::rate, Report::cpu_per_record] {
            for client in 1..CLIENTS.len() {
                let ratio = self.rounds.ratio(client, figure).unwrap_or(f64::NAN);
                let _ = write!(line, " {ratio:.2} |");
            }
        }
        line
    }

    fn targets(&self, text: &mut String) {
        for (client, (name, _)) in CLIENTS.iter().enumerate().skip(1) {
            let rate = (self.rounds.ratio(client, Report::rate), Bound::AtLeast(1.0), "records/s");
            let cpu = (self.rounds.ratio(client, Report::cpu_per_record), Bound::AtMost(0.9), "processor time");
            for (is, bound, what) in [rate, cpu] {
                let shown = is.map_or("–".into(), |is| format!("{is:.2}"));
                let (row, verdict) = (self.name(), bound.verdict(is));
                let _ = writeln!(text, "| {row}: {name}'s {what}, of tokio's | {shown} | {bound} | {verdict} |");
            }
        }
    }
}

/// In the order of the clients.
const COLOURS: [&str; CLIENTS.len()] = ["#9aa0a6", "#0f9d8a", "#7c4dff"];

pub fn plot(rows: &[Figures]) -> String {
    let kinds: Vec<_> = CLIENTS.iter().zip(COLOURS).map(|((name, _), colour)| Kind { name, colour }).collect();
    let groups: Vec<_> = rows
        .iter()
        .map(|figures| {
            let times = (0..CLIENTS.len()).map(|client| Some(figures.rounds.median(client, Report::cpu_per_record)));
            (figures.name(), times.collect())
        })
        .collect();
    let title = "Nanoseconds of processor time a record: shorter is better";
    let label = |seconds: f64| format!("{:.1}", seconds * 1e9);
    Bars { title, kinds: &kinds, scale: Scale::Logarithmic, label }.svg(&groups)
}

pub fn page(rows: &[Figures], rounds: usize, seconds: f64) -> String {
    let crates = ["compio", "crc-fast", "io-uring", "kafka-batch", "monoio", "tokio"];
    let environment = Environment::look(env!("CARGO_PKG_NAME"), &crates).lines();
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut text = format!(
        "# Publishing over io_uring\n\n{environment}- Linux {}\n\nThe sink, on the first core, acknowledges every Produce request at \
         once; the client, one thread, is on the last core. {rounds} rounds of {seconds} s in turns; a figure is the median, a ratio \
         the median of the ratios within a round. M/s: million records a second; ns: the client's processor time a record, with \
         that of the kernel's threads that work for it. `bench/uring` makes it; `bench/README.md` describes the clients.\n\n| |",
        // Without what a builder of kernels has appended.
        kernel.trim().split('-').next().unwrap_or_default()
    );
    for (name, _) in CLIENTS {
        let _ = write!(text, " {name}, M/s | ns |");
    }
    for what in ["M/s", "ns"] {
        for (name, _) in &CLIENTS[1..] {
            let _ = write!(text, " {what}, of tokio's: {name} |");
        }
    }
    text.push_str("\n|---|");
    text.push_str(&"--:|".repeat(4 * CLIENTS.len() - 2));
    text.push('\n');
    for figures in rows {
        let _ = writeln!(text, "{}", figures.line());
    }
    text.push_str("\n| target | is | bound | |\n|---|--:|--:|---|\n");
    for figures in rows {
        figures.targets(&mut text);
    }
    text
}
