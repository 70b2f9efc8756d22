//! The tables.

use std::fmt::Write as _;

use kafka_batch_bench_shared::bars::{Bars, Kind, Scale};
use kafka_batch_bench_shared::{Bound, Environment, median};

use crate::contender::{Client, Output};
use crate::timeline::PARTS;
use crate::{
    BATCHES_OF_1_MIB, MILLISECONDS, PARTITIONS, RECORDS, SIZE, TIMED, TRANSACTIONS, TURNS, TURNS_TO_WARM_UP, WARM_UP,
};

/// The output of a program in a round, or why there is none.
type Run = Result<Output, String>;

/// The ways to publish, in the order of the figures in a line.
const WAYS: [&str; 3] = ["idempotent", "idempotent, `flush` after each MiB", "transactions of 1 MiB"];

/// The runs of all programs, round after round.
#[derive(Debug, Default)]
pub struct Figures {
    commits: [Vec<Run>; 2],
    streams: [Vec<Run>; 2],
    pub timelines: Vec<Run>,
}

impl Figures {
    pub fn commits(&mut self, client: Client) -> &mut Vec<Run> {
        &mut self.commits[client as usize]
    }

    pub fn streams(&mut self, client: Client) -> &mut Vec<Run> {
        &mut self.streams[client as usize]
    }

    /// Returns what one transaction has cost a client in each round: its processor time, or the median of its time.
    fn cost(&self, client: Client, column: usize) -> Vec<Option<f64>> {
        let figure = |run: &Run| run.as_ref().ok()?.lines.first()?.get(column).copied();
        self.commits[client as usize].iter().map(figure).collect()
    }

    /// Returns the lines of the turns that count.
    fn turns(&self, client: Client) -> impl Iterator<Item = &Vec<f64>> {
        let runs = self.streams[client as usize].iter().flatten();
        runs.flat_map(|run| run.lines.iter().skip(TURNS_TO_WARM_UP)).filter(|line| line.len() == WAYS.len())
    }

    fn rate(&self, client: Client, way: usize) -> Option<f64> {
        median(self.turns(client).map(|line| line[way]).collect())
    }

    /// Returns the rate in transactions as a share of that of another way, within each turn.
    fn share(&self, client: Client, of: usize) -> Option<f64> {
        median(self.turns(client).map(|line| line[2] / line[of]).collect())
    }

    pub fn page(&self, version: &str, rounds: usize) -> String {
        let environment = Environment::look(env!("CARGO_PKG_NAME"), &["kafka-batch", "tokio"]).lines();
        let count = TURNS - TURNS_TO_WARM_UP;
        let mut text = format!(
            "# Transactions\n\n{environment}\nOne Kafka {version} on the same machine (its log is not flushed to the disk by request), with \
             Java's client of the same release. {rounds} rounds in turns. `bench/transactions` makes it; `bench/README.md` says what is \
             compared.\n\n## One transaction: a batch of {RECORDS} records of {SIZE} bytes in each of {PARTITIONS} partitions\n\nFrom \
             `begin` to the end of `commit`, {TRANSACTIONS} transactions one after the other, after {WARM_UP} that do not count. \
             Processor time is that of the client's process. A ratio is the median of the ratios within a round.\n\n"
        );
        self.write_commits(&mut text);
        let _ = write!(
            text,
            "\n## Records of {SIZE} bytes in batches of {RECORDS}, to {PARTITIONS} partitions in turn\n\nThousand records a second, the \
             median of {count} turns in each round, in which one process publishes {MILLISECONDS} ms in each way. A share is the median of the shares \
             within a turn.\n\n"
        );
        self.write_streams(&mut text);
        let _ = write!(
            text,
            "\n## Where the time of a transaction of 1 MiB goes\n\nkafka-batch, {TIMED} transactions of {BATCHES_OF_1_MIB} batches in each round, one \
             after the other, and between them as many batches without transactions; medians in ms. What waits for the broker is from the first byte of a request in the socket to the last byte of its \
             response from it.\n\n"
        );
        self.write_timeline(&mut text);
        self.write_failures(&mut text);
        text
    }

    fn write_commits(&self, text: &mut String) {
        text.push_str("| ms | Java's client | kafka-batch | ratio | target | |\n|---|--:|--:|--:|--:|---|\n");
        let rows = [
            ("processor time", Some(Bound::AtMost(0.5))),
            ("median time", Some(Bound::AtMost(1.0))),
            ("mean time", None),
        ];
        for (column, (name, bound)) in rows.into_iter().enumerate() {
            let [theirs, ours] = Client::ALL.map(|client| self.cost(client, column));
            let ratio =
                median(ours.iter().zip(&theirs).filter_map(|(ours, theirs)| Some((*ours)? / (*theirs)?)).collect());
            let [theirs, ours] = [theirs, ours].map(|all| show(median(all.into_iter().flatten().collect()), 3));
            let target = bound.map_or(" | |".into(), |bound| format!(" {bound} | {} |", bound.verdict(ratio)));
            let _ = writeln!(text, "| {name} | {theirs} | {ours} | {} |{target}", show(ratio, 2));
        }
    }

    fn write_streams(&self, text: &mut String) {
        text.push_str("| |");
        for way in WAYS {
            let _ = write!(text, " {way} |");
        }
        text.push_str(" share of idempotent | share of `flush` | target | |\n|---|--:|--:|--:|--:|--:|--:|---|\n");
        for client in Client::ALL {
            let _ = write!(text, "| {} |", client.name());
            for way in 0..WAYS.len() {
                let _ = write!(text, " {} |", show(self.rate(client, way).map(|rate| rate / 1e3), 1));
            }
            let share = self.share(client, 0);
            let _ = write!(text, " {} | {} |", show(share, 2), show(self.share(client, 1), 2));
            let _ = match client {
                Client::Ours => {
                    let bound = Bound::AtLeast(0.9);
                    writeln!(text, " {bound} | {} |", bound.verdict(share))
                }
                Client::Java => writeln!(text, " | |"),
            };
        }
    }

    /// Returns the median of the rounds of a figure of the timeline.
    fn timed(&self, column: usize) -> Option<f64> {
        let figure = |run: &Output| run.lines.first()?.get(column).copied();
        median(self.timelines.iter().flatten().filter_map(figure).collect())
    }

    fn write_timeline(&self, text: &mut String) {
        text.push_str("| | waits for | ms |\n|---|---|--:|\n");
        for (column, (name, whose)) in PARTS.into_iter().enumerate() {
            let _ = writeln!(text, "| {name} | {whose} | {} |", show(self.timed(column), 3));
        }
        let [whole, filling, without, produce, describe] = [0, 1, 2, 3, 4].map(|after| self.timed(PARTS.len() + after));
        let _ = writeln!(text, "| the whole transaction | | {} |", show(whole, 3));
        let _ = writeln!(
            text,
            "| as many batches of an idempotent producer that publishes without pause | | {} |",
            show(without, 3)
        );
        let share = without.zip(whole).map(|(without, whole)| without / whole);
        let _ = writeln!(text, "| the share of *idempotent* by these two medians | | {} |", show(share, 2));
        let _ = writeln!(
            text,
            "\nA transaction has {} Produce requests and {} DescribeTransactions, on average. Filling its batches takes {} ms.",
            show(produce, 1),
            show(describe, 1),
            show(filling, 3)
        );
    }

    fn write_failures(&self, text: &mut String) {
        text.push_str("\n## Failures\n\n");
        let mut lines = Vec::new();
        for client in Client::ALL {
            let runs = || self.commits[client as usize].iter().chain(&self.streams[client as usize]);
            let sum = |figure: fn(&Output) -> u32| runs().flatten().map(figure).sum::<u32>();
            let (aborted, replaced) = (sum(|run| run.aborted), sum(|run| run.replaced));
            lines.push(format!(
                "- {}: {aborted} transactions failed and were begun again; {replaced} producers could not go on, and were replaced",
                client.name()
            ));
            lines.extend(runs().filter_map(|run| run.as_ref().err()).map(|error| format!("- no figures: {error}")));
        }
        lines.extend(
            self.timelines.iter().filter_map(|run| run.as_ref().err()).map(|error| format!("- no figures: {error}")),
        );
        text.push_str(&lines.join("\n"));
        text.push('\n');
    }

    pub fn plot(&self) -> String {
        const COLOURS: [&str; 2] = ["#9aa0a6", "#0f9d8a"];
        let clients = Client::ALL.iter().zip(COLOURS);
        let kinds: Vec<_> = clients.map(|(client, colour)| Kind { name: client.name(), colour }).collect();
        let rates = |way| Client::ALL.map(|client| self.rate(client, way)).to_vec();
        let groups: Vec<_> = ["idempotent", "flush after each MiB", "transactions of 1 MiB"]
            .into_iter()
            .enumerate()
            .map(|(way, name)| (name.to_owned(), rates(way)))
            .collect();
        let title = "Thousand records a second with Kafka: longer is faster";
        let label = |rate: f64| format!("{:.0}", rate / 1e3);
        Bars { title, kinds: &kinds, scale: Scale::Linear, label }.svg(&groups)
    }
}

/// Returns a figure with so many decimals.
fn show(figure: Option<f64>, decimals: usize) -> String {
    figure.map_or("–".into(), |figure| format!("{figure:.decimals$}"))
}
