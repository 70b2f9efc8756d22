//! Records with keys, published to many partitions: `PartitionedPublisher` beside a loop written by hand over a raw socket and
//! rdkafka's `ThreadedProducer`, against a sink that acknowledges every Produce request at once.
//!
//! `cargo run --release --manifest-path bench/keyed/Cargo.toml -- --write` writes `../results/keyed.md` and `keyed.svg`, in about four minutes.
//! Without `--write` the table goes to the terminal only. A number selects rows: `-- 1000` runs those with 1,000 partitions.

#![forbid(unsafe_code)]

mod by_hand;
mod job;
mod librdkafka;
mod ours;

use std::error::Error;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use kafka_batch_bench_shared::bars::{Bars, Kind, Scale};
use kafka_batch_bench_shared::process::{Side, SinkProcess, pin};
use kafka_batch_bench_shared::{Environment, median, results, sink};

use job::{Job, Report};

type Run = fn(&Job) -> Result<Report, Box<dyn Error>>;

/// The clients; ratios are to the first.
const CLIENTS: [(&str, Run); 3] = [("by hand", by_hand::run), ("kafka-batch", ours::run), ("rdkafka", librdkafka::run)];

/// In the order of the clients.
const COLOURS: [&str; CLIENTS.len()] = ["#9aa0a6", "#0f9d8a", "#c0507a"];

const PARTITIONS: [i32; 4] = [12, 100, 1_000, 10_000];

const BATCH_SIZES: [(&str, usize); 2] = [("16 KiB", 16 << 10), ("1 MB", 1_000_000)];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["sink", partitions] => pin(Side::Broker).and_then(|()| {
            let topic = sink::Topic { name: job::TOPIC, partitions: partitions.parse()? };
            sink::serve(topic, Ok)
        }),
        ["client", name, ref job @ ..] => pin(Side::Client).and_then(|()| run_client(name, job)),
        _ => measure(&words),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run_client(name: &str, job: &[&str]) -> Result<(), Box<dyn Error>> {
    let (_, run) = CLIENTS.iter().find(|(client, _)| *client == name).ok_or("no such client")?;
    let Report { total, measured, seconds } = run(&Job::from_words(job)?)?;
    println!("{total} {measured} {seconds}");
    Ok(())
}

/// Runs one client in a process of its own. Returns its records a second.
fn turn(sink: &mut SinkProcess, client: &str, job: &Job) -> Result<f64, Box<dyn Error>> {
    let arguments = ["client", client].map(str::to_owned).into_iter().chain(job.words());
    let report = |text: &str| {
        let [total, measured, seconds] = text.split_whitespace().collect::<Vec<_>>()[..] else {
            return Err(format!("no report: {text}").into());
        };
        Ok((total.parse::<u64>()?, measured.parse::<f64>()? / seconds.parse::<f64>()?))
    };
    Ok(sink.turn(arguments, report, |(total, _)| *total)?.1)
}

fn measure(words: &[String]) -> Result<(), Box<dyn Error>> {
    let mut selected = Vec::new();
    let (mut write, mut rounds, mut seconds, mut linger) = (false, 5, 1.0, 5);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--write" => write = true,
            "--rounds" => rounds = value()?.parse()?,
            "--seconds" => seconds = value()?.parse()?,
            "--linger" => linger = value()?.parse()?,
            partitions => selected.push(partitions.parse()?),
        }
    }
    let mut groups = Vec::new();
    let mut table = String::from("| partitions | batch.size |");
    for (name, _) in CLIENTS {
        let _ = write!(table, " {name} |");
    }
    table.push_str(" kafka-batch ÷ by hand | ÷ rdkafka |\n|--:|--:|--:|--:|--:|--:|--:|\n");
    for partitions in PARTITIONS.into_iter().filter(|one| selected.is_empty() || selected.contains(one)) {
        for (name, batch_size) in BATCH_SIZES {
            let mut sink = SinkProcess::start(&["sink", &partitions.to_string()])?;
            let (address, linger) = (sink.address().to_owned(), Duration::from_millis(linger));
            let job = Job { address, partitions, batch_size, linger, seconds };
            let mut figures = [const { Vec::new() }; CLIENTS.len()];
            for round in 0..rounds {
                for place in 0..CLIENTS.len() {
                    let client = (round + place) % CLIENTS.len();
                    match turn(&mut sink, CLIENTS[client].0, &job) {
                        Ok(rate) => figures[client].push(rate),
                        Err(error) => {
                            eprintln!("{partitions} partitions, {name}, {}: {error}", CLIENTS[client].0);
                            figures[client].push(f64::NAN);
                        }
                    }
                }
            }
            let ratio = |other: usize| {
                let pairs = figures[1].iter().zip(&figures[other]);
                median(pairs.map(|(ours, other)| ours / other).collect()).unwrap_or(f64::NAN)
            };
            let _ = write!(table, "| {partitions} | {name} |");
            let rates: Vec<_> = figures.iter().map(|figures| median(figures.clone())).collect();
            for rate in &rates {
                let _ = write!(table, " {:.0} |", rate.unwrap_or(f64::NAN) / 1e3);
            }
            groups.push((format!("{partitions} partitions, {name}"), rates));
            let _ = writeln!(table, " {:.2} | {:.1} |", ratio(0), ratio(2));
            eprintln!("{}", table.lines().last().unwrap_or_default());
        }
    }
    let crates = ["crc-fast", "kafka-batch", "rdkafka", "rdkafka-sys", "tokio"];
    let environment = Environment::look(env!("CARGO_PKG_NAME"), &crates).lines();
    let text = format!(
        "# Records with keys to many partitions\n\n{environment}\nThousand records a second, each with a key of 16 bytes and a value \
         of 100, linger {linger} ms. The sink, on the first core, acknowledges every Produce request at once; the client is on the \
         last core. {rounds} rounds in turns; a figure is the median, a ratio the median of the ratios within a round. \
         `bench/keyed` makes it; `bench/README.md` describes the clients.\n\n{table}"
    );
    print!("{text}");
    if write {
        results::write("keyed.md", &text)?;
        let kinds: Vec<_> = CLIENTS.iter().zip(COLOURS).map(|((name, _), colour)| Kind { name, colour }).collect();
        let title =
            format!("Keyed records to many partitions, linger {linger} ms: thousand records a second (logarithmic)");
        let label = |rate: f64| format!("{:.0}", rate / 1e3);
        results::write(
            "keyed.svg",
            &Bars { title: &title, kinds: &kinds, scale: Scale::Logarithmic, label }.svg(&groups),
        )?;
    }
    Ok(())
}
