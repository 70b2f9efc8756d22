//! Publishing over io_uring: the drivers of `examples/runtimes/compio` and `examples/runtimes/monoio`, beside `TokioProducer`, each
//! on one thread, against a sink that acknowledges every Produce request at once.
//!
//! `cargo run --release --manifest-path bench/uring/Cargo.toml -- --write` writes `../results/uring.md` and `uring.svg`, in about three
//! minutes. Without `--write` the table goes to the terminal only.

mod clients;
#[path = "../../../examples/runtimes/compio/src/driver.rs"]
mod compio_driver;
mod job;
#[allow(unsafe_code)]
#[path = "../../../examples/runtimes/monoio/src/driver.rs"]
mod monoio_driver;
mod table;

use std::error::Error;
use std::process::ExitCode;

use kafka_batch_bench_shared::meter::Report;
use kafka_batch_bench_shared::process::{Side, SinkProcess, pin};
use kafka_batch_bench_shared::{results, sink};

use clients::CLIENTS;
use job::{Job, TOPIC};
use table::Figures;

/// Length of the values, and of the batches.
const ROWS: [(usize, usize); 4] = [(100, 1 << 20), (1 << 10, 1 << 20), (100, 16 << 10), (1 << 10, 16 << 10)];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["sink"] => pin(Side::Broker).and_then(|()| sink::serve(TOPIC, Ok)),
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
    println!("{}", run(&Job::from_words(job)?)?);
    Ok(())
}

fn measure(words: &[String]) -> Result<(), Box<dyn Error>> {
    let (mut write, mut rounds, mut seconds) = (false, 9, 1.0);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--write" => write = true,
            "--rounds" => rounds = value()?.parse()?,
            "--seconds" => seconds = value()?.parse()?,
            _ => return Err("usage: uring [--rounds N] [--seconds S] [--write]".into()),
        }
    }
    let mut sink = SinkProcess::start(&["sink"])?;
    let mut rows = Vec::new();
    for (value_len, batch_size) in ROWS {
        let mut figures = Figures::new(value_len, batch_size);
        for round in 0..rounds {
            for place in 0..CLIENTS.len() {
                let client = (round + place) % CLIENTS.len();
                let job = Job { address: sink.address().to_owned(), value_len, batch_size, seconds };
                let arguments = ["client", CLIENTS[client].0].map(str::to_owned).into_iter().chain(job.words());
                let report = sink.turn(arguments, str::parse::<Report>, |report| report.total);
                figures.add(client, report.inspect_err(|error| eprintln!("{}: {error}", CLIENTS[client].0)).ok());
            }
        }
        eprintln!("{}", figures.line());
        rows.push(figures);
    }
    let text = table::page(&rows, rounds, seconds);
    print!("{text}");
    if write {
        results::write("uring.md", &text)?;
        results::write("uring.svg", &table::plot(&rows))?;
    }
    Ok(())
}
