//! What transactions cost, beside Java's client, with a real Kafka:
//!
//! `cargo with-kafka --kafka 4 --config log.retention.check.interval.ms=1000 --config log.initial.task.delay.ms=1000 -- cargo run
//! --release --manifest-path bench/Cargo.toml -p kafka-batch-bench-transactions -- --write`
//! writes `../results/transactions.md` and `transactions.svg`, in about four minutes. Without `--write` the tables go to the
//! terminal only. `--rounds N`: fewer or more rounds than three.
//!
//! With these settings the broker deletes what was published after a second. Without them it keeps all of it, up to 10 GB, until the
//! round ends, and the disk may be what is measured.

#![forbid(unsafe_code)]

mod contender;
mod ours;
mod report;
mod socket;
mod timeline;

use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use kafka_batch_bench_shared::results;

use contender::{Client, Output, Topic, variable};
use ours::Place;
use report::Figures;

const PARTITIONS: i32 = 6;
/// Records of a batch, and the size of their values: 16 KiB.
const RECORDS: usize = 16;
const SIZE: usize = 1_000;

/// Transactions of one batch for each partition: those that do not count, and those that do.
const WARM_UP: usize = 2_000;
const TRANSACTIONS: usize = 3_000;

/// Batches of a transaction of 1 MiB.
const BATCHES_OF_1_MIB: usize = 64;
/// Turns of a process that publishes, of which the first do not count, and the milliseconds of each of the three ways in a turn.
const TURNS: usize = 32;
const TURNS_TO_WARM_UP: usize = 8;
const MILLISECONDS: usize = 200;
/// Transactions of 1 MiB of which the requests are timed, after so many that are not.
const TIMED: usize = 1_000;
const NOT_TIMED: usize = 500;

/// How often each program runs, in turns.
const ROUNDS: usize = 3;

/// How a program publishes without pause.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Batches of a transaction.
    pub batches: usize,
    pub turns: usize,
    /// The time of each way in a turn.
    pub time: Duration,
}

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    match run(&words.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<(), Box<dyn Error>> {
    match *words {
        [program @ ("commit" | "stream" | "timeline"), servers, topic, id, ref numbers @ ..] => {
            let place = Place { servers, topic, id };
            let numbers = numbers.iter().map(|number| number.parse()).collect::<Result<Vec<usize>, _>>()?;
            match (program, &numbers[..]) {
                ("commit", &[warm_up, transactions]) => ours::commit(place, warm_up, transactions),
                ("stream", &[batches, turns, milliseconds]) => {
                    let time = Duration::from_millis(milliseconds as u64);
                    ours::stream(place, Load { batches, turns, time })
                }
                ("timeline", &[batches, warm_up, transactions]) => {
                    timeline::timeline(place, batches, warm_up, transactions)
                }
                _ => Err("these are not the program's numbers".into()),
            }
        }
        [] => measure(ROUNDS, false),
        ["--write"] => measure(ROUNDS, true),
        ["--rounds", rounds] => measure(rounds.parse()?, false),
        _ => Err("usage: transactions [--write | --rounds N]".into()),
    }
}

/// Has the broker compile what is measured.
fn warm_up(servers: &str) -> Result<(), Box<dyn Error>> {
    let topic = Topic::create(servers, format!("transactions-{}-warm-up", std::process::id()))?;
    let place = |id| Place { servers, topic: &topic.name, id };
    Client::Ours.run("commit", place("warm-up-commit"), &[WARM_UP, TRANSACTIONS])?;
    Client::Ours.run("stream", place("warm-up-stream"), &[BATCHES_OF_1_MIB, TURNS_TO_WARM_UP, MILLISECONDS])?;
    Ok(())
}

fn measure(rounds: usize, writes: bool) -> Result<(), Box<dyn Error>> {
    let (servers, version) = (variable("KAFKA_BATCH_BROKERS")?, variable("KAFKA_BATCH_KAFKA_VERSION")?);
    let mut figures = Figures::default();
    warm_up(&servers)?;
    for round in 0..rounds {
        let topic = Topic::create(&servers, format!("transactions-{}-{round}", std::process::id()))?;
        let run = |client: Client, program: &str, numbers: &[usize]| {
            let id = format!("{program}-{client:?}-{round}");
            let result = client.run(program, Place { servers: &servers, topic: &topic.name, id: &id }, numbers);
            match &result {
                Ok(Output { lines, aborted, replaced }) => {
                    let last = lines.last();
                    eprintln!(
                        "round {round}, {program}, {}: … {last:?}, {aborted} aborted, {replaced} replaced",
                        client.name()
                    );
                }
                Err(error) => eprintln!("round {round}, {error}"),
            }
            result.map_err(|error| error.to_string())
        };
        for client in Client::ALL {
            figures.commits(client).push(run(client, "commit", &[WARM_UP, TRANSACTIONS]));
        }
        for client in Client::ALL {
            figures.streams(client).push(run(client, "stream", &[BATCHES_OF_1_MIB, TURNS, MILLISECONDS]));
        }
        figures.timelines.push(run(Client::Ours, "timeline", &[BATCHES_OF_1_MIB, NOT_TIMED, TIMED]));
    }
    let text = figures.page(&version, rounds);
    print!("{text}");
    if writes {
        results::write("transactions.md", &text)?;
        results::write("transactions.svg", &figures.plot())?;
    }
    Ok(())
}
