//! What transactions cost, beside Java's client, with a real Kafka:
//!
//! `cargo with-kafka --kafka 4 -- cargo run --release --manifest-path bench/Cargo.toml -p kafka-batch-bench-transactions -- --write`
//! writes `../results/transactions.md`, in about three minutes. Without `--write` the table goes to the terminal only.

#![forbid(unsafe_code)]

mod ours;

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use kafka_batch_bench_shared::{Environment, median, results};

const TOPIC: &str = "transactions";
const PARTITIONS: i32 = 6;
/// Records of a batch, and the size of their values: 16 KiB.
const RECORDS: usize = 16;
const SIZE: usize = 1_000;
const WARM_UP: u32 = 2_000;
const TRANSACTIONS: u32 = 3_000;
/// Batches of a transaction of 1 MiB.
const BATCHES_OF_1_MIB: usize = 64;
/// How often each program runs, in turns.
const ROUNDS: usize = 3;

const JAVA_PROCESSOR_TARGET: f64 = 0.5;
const JAVA_LATENCY_TARGET: f64 = 1.0;
const RATE_TARGET: f64 = 0.9;

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let done = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["commit", servers, id] => ours::commit(servers, id),
        ["publish", servers, seconds] => seconds_of(seconds).and_then(|time| ours::publish(servers, None, time)),
        ["publish", servers, seconds, id] => {
            seconds_of(seconds).and_then(|time| ours::publish(servers, Some(id), time))
        }
        ref words => measure(words.contains(&"--write")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Parses a number of seconds.
fn seconds_of(text: &str) -> Result<Duration, Box<dyn Error>> {
    Ok(Duration::try_from_secs_f64(text.parse()?)?)
}

fn variable(name: &str) -> Result<String, Box<dyn Error>> {
    let run = "run it as the head comment of bench/transactions/src/main.rs says";
    env::var(name).map_err(|error| format!("{name}: {error}; {run}").into())
}

/// Runs a program. Returns the figures that it prints.
fn figures(command: &mut Command) -> Result<Vec<f64>, Box<dyn Error>> {
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return Err(format!("{text}{}", String::from_utf8_lossy(&output.stderr)).into());
    }
    text.split_whitespace().map(|figure| figure.parse().map_err(|_| text.to_string().into())).collect()
}

fn own(arguments: &[&str]) -> Result<Vec<f64>, Box<dyn Error>> {
    figures(Command::new(env::current_exe()?).args(arguments))
}

fn java(servers: &str, id: &str) -> Result<Vec<f64>, Box<dyn Error>> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("java/Transactions.java");
    let numbers =
        [PARTITIONS as u32, RECORDS as u32, SIZE as u32, WARM_UP, TRANSACTIONS].map(|number| number.to_string());
    let class_path = variable("KAFKA_BATCH_KAFKA_BROKER_CLASSPATH")?;
    let mut command = Command::new(variable("KAFKA_BATCH_JAVA")?);
    figures(command.args(["-cp", &class_path]).arg(program).args([servers, TOPIC, id]).args(numbers))
}

fn create_topic(servers: &str) -> Result<(), Box<dyn Error>> {
    let class_path = variable("KAFKA_BATCH_KAFKA_CLASSPATH")?;
    let output = Command::new(variable("KAFKA_BATCH_JAVA")?)
        .args(["-cp", &class_path, &variable("KAFKA_BATCH_KAFKA_TOPICS")?, "--bootstrap-server", servers])
        .args(["--create", "--topic", TOPIC, "--partitions", &PARTITIONS.to_string()])
        .output()?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stdout).into()) }
}

fn measure(writes: bool) -> Result<(), Box<dyn Error>> {
    let (servers, version) = (variable("KAFKA_BATCH_BROKERS")?, variable("KAFKA_BATCH_KAFKA_VERSION")?);
    create_topic(&servers)?;
    // Processor time and median of a transaction, by client; records a second, without and with transactions.
    let mut commits: [[Vec<f64>; 2]; 2] = Default::default();
    let mut rates: [Vec<f64>; 2] = Default::default();
    for round in 0..ROUNDS {
        for (client, run) in
            [java(&servers, &format!("java-{round}")), own(&["commit", &servers, &format!("ours-{round}")])]
                .into_iter()
                .enumerate()
        {
            let run = run?;
            eprintln!("round {round}, client {client}: {run:?}");
            for (all, figure) in commits[client].iter_mut().zip(run) {
                all.push(figure);
            }
        }
        let id = format!("rate-{round}");
        for (kind, run) in
            [own(&["publish", &servers, "8"]), own(&["publish", &servers, "8", &id])].into_iter().enumerate()
        {
            let run = run?;
            eprintln!("round {round}, kind {kind}: {run:?}");
            rates[kind].extend(run);
        }
    }
    let of = |figures: &[f64]| median(figures.to_vec()).unwrap_or(f64::NAN);
    let ratio = |ours: &[f64], theirs: &[f64]| {
        of(&ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect::<Vec<_>>())
    };
    let mut table = String::from("| | Java's client | kafka-batch | ratio | target |\n|---|--:|--:|--:|--:|\n");
    for (row, (what, target)) in
        [("processor time, ms", JAVA_PROCESSOR_TARGET), ("median time, ms", JAVA_LATENCY_TARGET)]
            .into_iter()
            .enumerate()
    {
        let [theirs, ours] = [&commits[0][row], &commits[1][row]];
        let _ = writeln!(
            table,
            "| {what} | {:.3} | {:.3} | {:.2} | ≤ {target:.1} |",
            of(theirs),
            of(ours),
            ratio(ours, theirs)
        );
    }
    let mut rate_table =
        String::from("| | without transactions | in transactions | ratio | target |\n|---|--:|--:|--:|--:|\n");
    let _ = writeln!(
        rate_table,
        "| thousand records a second | {:.1} | {:.1} | {:.2} | ≥ {RATE_TARGET:.1} |",
        of(&rates[0]) / 1e3,
        of(&rates[1]) / 1e3,
        ratio(&rates[1], &rates[0])
    );
    let environment = Environment::look(env!("CARGO_PKG_NAME"), &["kafka-batch", "tokio"]).lines();
    let text = format!(
        "# Transactions\n\n{environment}\nOne Kafka {version} on the same machine, with Java's client of the same release. {ROUNDS} \
         rounds in turns; a figure is the median, a ratio the median of the ratios within a round. `bench/transactions` makes it.\n\n\
         ## One transaction: a batch of {RECORDS} records of {SIZE} bytes in each of {PARTITIONS} partitions\n\nFrom `begin` to the \
         end of `commit`, {TRANSACTIONS} transactions one after the other, after {WARM_UP} that do not count. Processor time is that \
         of the client's process.\n\n{table}\n## Records of {SIZE} bytes in batches of {RECORDS}, to {PARTITIONS} partitions\n\nAn \
         idempotent producer, and one whose transactions have {BATCHES_OF_1_MIB} batches (1 MiB), one transaction after the \
         other.\n\n{rate_table}"
    );
    print!("{text}");
    if writes {
        results::write("transactions.md", &text)?;
    }
    Ok(())
}
