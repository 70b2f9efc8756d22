//! The table.

use std::fmt::Write as _;

use kafka_batch_bench_shared::bars::{Bars, Kind, Scale};
use kafka_batch_bench_shared::meter::Report;
use kafka_batch_bench_shared::rounds::Rounds;
use kafka_batch_bench_shared::{Bound, Environment};

use crate::CLIENTS;
use crate::security::Security;

/// kafka-batch's place among the clients.
const OURS: usize = 2;

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

    pub fn name(&self, security: Security) -> String {
        let protocol = if security == Security::Tls { "TLS" } else { "plain" };
        format!("{protocol}, {} B, {} KiB", self.value_len, self.batch_size >> 10)
    }

    pub fn line(&self, security: Security) -> String {
        let mut line = format!("| {} |", self.name(security));
        for client in 0..CLIENTS.len() {
            let (rate, cpu) = (
                self.rounds.median(client, Report::rate) / 1e6,
                self.rounds.median(client, Report::cpu_per_record) * 1e9,
            );
            let _ = write!(line, " {rate:.2} | {cpu:.1} |");
        }
        for figure in [Report::rate, Report::cpu_per_record] {
            let of = |client| self.rounds.ratio(client, figure).unwrap_or(f64::NAN);
            let _ = write!(line, " {:.2} | {:.2} |", of(1), of(OURS));
        }
        let faults = self.rounds.median(OURS, |report| report.faults as f64 / (report.measured as f64 / 1e6));
        let _ = write!(line, " {faults:.0} |");
        line
    }

    fn targets(&self, security: Security, text: &mut String) {
        if security == Security::Tls && self.value_len == 100 && self.batch_size > 1 << 16 {
            let (is, bound) = (self.rounds.ratio(OURS, Report::rate), Bound::AtLeast(0.85));
            let shown = is.map_or("–".into(), |is| format!("{is:.2}"));
            let name = self.name(security);
            let _ = writeln!(
                text,
                "| {name}: kafka-batch's records/s, of the raw socket's | {shown} | {bound} | {} |",
                bound.verdict(is)
            );
        }
    }
}

/// In the order of the clients.
const COLOURS: [&str; CLIENTS.len()] = ["#9aa0a6", "#c9ccd1", "#0f9d8a"];

pub fn plot(rows: &[(Security, Figures)]) -> String {
    let kinds: Vec<_> = CLIENTS.iter().zip(COLOURS).map(|((name, _), colour)| Kind { name, colour }).collect();
    let groups: Vec<_> = rows
        .iter()
        .map(|(security, figures)| {
            let rates = (0..CLIENTS.len()).map(|client| Some(figures.rounds.median(client, Report::rate)));
            (figures.name(*security), rates.collect())
        })
        .collect();
    let title = "Million records a second, plain and over TLS: longer is faster";
    let label = |rate: f64| format!("{:.1}", rate / 1e6);
    Bars { title, kinds: &kinds, scale: Scale::Linear, label }.svg(&groups)
}

pub fn page(rows: &[(Security, Figures)], rounds: usize, seconds: f64) -> String {
    let crates = ["crc-fast", "futures-rustls", "kafka-batch", "ring", "rustls", "tokio"];
    let environment = Environment::look(env!("CARGO_PKG_NAME"), &crates).lines();
    let mut text = format!(
        "# Publishing over TLS\n\n{environment}\nThe sink, on the first core, acknowledges every Produce request at once; the \
         client is on the last core. TLS 1.3 by rustls on both sides. {rounds} rounds of {seconds} s in turns; a figure is the \
         median, a ratio the median of the ratios within a round. M/s: million records a second; ns: the client's processor \
         time a record. `bench/tls` makes it; `bench/README.md` describes the clients.\n\n| |"
    );
    for (name, _) in CLIENTS {
        let _ = write!(text, " {name}, M/s | ns |");
    }
    text.push_str(
        " M/s, of raw: by hand | kafka-batch | ns, of raw: by hand | kafka-batch | kafka-batch, page faults a million records |\n|---|",
    );
    text.push_str(&"--:|".repeat(2 * CLIENTS.len() + 5));
    text.push('\n');
    for (security, figures) in rows {
        let _ = writeln!(text, "{}", figures.line(*security));
    }
    text.push_str("\n| target | is | bound | |\n|---|--:|--:|---|\n");
    for (security, figures) in rows {
        figures.targets(*security, &mut text);
    }
    text
}
