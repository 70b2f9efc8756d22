//! The figures, as people read them.

use std::fmt::Write as _;

use kafka_batch_bench_shared::Environment;

use crate::client::{CLIENTS, Client, RAW};
use crate::job::Work;
use crate::results::{CPU, Measured, P50, P99, PEAK, RATE, Results};
use crate::targets;

/// The crates whose version decides what comes out.
const CRATES: [&str; 9] =
    ["async-std", "crc-fast", "kafka-batch", "krafka", "lz4_flex", "rdkafka", "rdkafka-sys", "rskafka", "tokio"];

/// All of it as Markdown.
pub fn page(results: &Results) -> String {
    let environment = Environment::look(env!("CARGO_PKG_NAME"), &CRATES).lines();
    let mut text = format!("# Publishing from end to end, against {}\n\n{}", results.against, environment);
    let _ = write!(text, "\nClient and broker on a core each; {}, clients in turns. ", effort(&results.rows));
    text += "Medians, and medians of ratios within a round. `../README.md` says what the clients do.\n";
    let turns = results.rows.iter().map(Measured::turns);
    let (turns, disturbed) = turns.fold((0, 0), |(all, some), (turns, disturbed)| (all + turns, some + disturbed));
    let _ = writeln!(text, "In {disturbed} of {turns} turns other processes had more than 5 % of the client's core.");

    let is_throughput = |measured: &Measured| measured.row.work == Work::Throughput;
    let is_one_by_one = |measured: &Measured| !is_throughput(measured);
    // What the raw socket sends was compressed beforehand: its rate is no measure for those that compress.
    let is_plain = |measured: &Measured| is_throughput(measured) && !measured.row.lz4;
    let clients = clients(results);
    let mut section = |says: &str, of: &dyn Fn(&Measured, &str) -> String, which: &dyn Fn(&Measured) -> bool| {
        let rows: Vec<_> = results.rows.iter().filter(|measured| which(measured)).collect();
        if rows.is_empty() {
            return;
        }
        let _ = write!(text, "\n{says}\n\n| |");
        clients.iter().for_each(|client| _ = write!(text, " {} |", client.name));
        let _ = writeln!(text, "\n|---|{}", "--:|".repeat(clients.len()));
        for measured in rows {
            let _ = write!(text, "| {} |", measured.row.name);
            clients.iter().for_each(|client| _ = write!(text, " {} |", of(measured, client.name)));
            text.push('\n');
        }
    };
    section(
        "Records a second, as a share of the raw socket's (not with lz4, since it sends what was compressed beforehand):",
        &|m, who| number(m.ratio(who, RAW, RATE), 2),
        &is_plain,
    );
    section(
        "Thousands of records a second:",
        &|m, who| number(m.figure(who, RATE).map(|rate| rate / 1e3), 0),
        &is_throughput,
    );
    section(
        "Processor seconds for a million records, the client's process alone:",
        &|m, who| number(m.figure(who, CPU), 3),
        &is_throughput,
    );
    section("Most memory held, MiB:", &|m, who| number(m.figure(who, PEAK), 0), &|_| true);
    section(
        "Microseconds until the answer, half of all / 99 of 100:",
        &|m, who| format!("{} / {}", number(m.figure(who, P50), 0), number(m.figure(who, P99), 0)),
        &is_one_by_one,
    );
    section(
        "The same for the batches of the other rows, each with others before it in the queue; of clients that are asked \
         batch by batch:",
        &|m, who| format!("{} / {}", number(m.figure(who, P50), 0), number(m.figure(who, P99), 0)),
        &is_throughput,
    );

    text += "\n| | is | target | |\n|---|--:|--:|---|\n";
    for target in results.rows.iter().flat_map(targets::of) {
        let _ = writeln!(text, "{target}");
    }
    text
}

/// Those that were measured in any row.
fn clients(results: &Results) -> Vec<&'static Client> {
    let is_measured = |client: &&Client| results.rows.iter().any(|row| row.figure(client.name, RATE).is_some());
    CLIENTS.iter().filter(is_measured).collect()
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or("–".into(), |value| format!("{value:.digits$}"))
}

/// How often, and for how long.
fn effort(rows: &[Measured]) -> String {
    let mut efforts: Vec<_> = rows.iter().map(|row| format!("{} rounds of {} s", row.rounds, row.seconds)).collect();
    efforts.dedup();
    match &efforts[..] {
        [one] => format!("{one} a client and row"),
        _ => {
            let each = rows.iter().zip(rows.iter().map(|row| format!("{} × {} s", row.rounds, row.seconds)));
            each.map(|(row, effort)| format!("{} {effort}", row.row.name)).collect::<Vec<_>>().join("; ")
        }
    }
}
