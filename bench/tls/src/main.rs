//! Publishing over TLS: `TokioProducer` beside clients written by hand, with TLS and without, against a sink that acknowledges
//! every Produce request at once.
//!
//! `cargo run --release --manifest-path bench/tls/Cargo.toml -- --write` writes `../results/tls.md` and `tls.svg`, in about two minutes.
//! Without `--write` the table goes to the terminal only.

#![forbid(unsafe_code)]

mod by_hand;
mod job;
mod ours;
mod security;
mod table;

use std::error::Error;
use std::process::ExitCode;

use kafka_batch_bench_shared::meter::Report;
use kafka_batch_bench_shared::process::{Side, SinkProcess, pin};
use kafka_batch_bench_shared::results;

use job::Job;
use security::Security;
use table::Figures;

type Run = fn(&Job) -> Result<Report, Box<dyn Error>>;

/// The clients; ratios are to the first.
const CLIENTS: [(&str, Run); 3] =
    [("raw socket", by_hand::raw), ("filled by hand", by_hand::filled), ("kafka-batch", ours::run)];

/// Length of the values, and of the batches.
const ROWS: [(usize, usize); 3] = [(100, 1 << 20), (100, 16 << 10), (1 << 10, 1 << 20)];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["sink", security] => pin(Side::Broker).and_then(|()| security::serve(security.parse()?)),
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
    let (mut write, mut rounds, mut seconds) = (false, 5, 1.0);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--write" => write = true,
            "--rounds" => rounds = value()?.parse()?,
            "--seconds" => seconds = value()?.parse()?,
            _ => return Err("usage: tls [--rounds N] [--seconds S] [--write]".into()),
        }
    }
    let start =
        |security: Security| Ok::<_, Box<dyn Error>>((security, SinkProcess::start(&["sink", security.name()])?));
    let mut sinks = [start(Security::Tls)?, start(Security::Plaintext)?];
    let mut rows = Vec::new();
    for (value_len, batch_size) in ROWS {
        let [mut tls, mut plain] = [(); 2].map(|()| Figures::new(value_len, batch_size));
        for round in 0..rounds {
            for place in 0..CLIENTS.len() {
                let client = (round + place) % CLIENTS.len();
                for ((security, sink), figures) in sinks.iter_mut().zip([&mut tls, &mut plain]) {
                    let (address, security) = (sink.address().to_owned(), *security);
                    let job = Job { address, security, value_len, batch_size, seconds };
                    let arguments = ["client", CLIENTS[client].0].map(str::to_owned).into_iter().chain(job.words());
                    let report = sink.turn(arguments, str::parse::<Report>, |report| report.total);
                    figures.add(client, report.inspect_err(|error| eprintln!("{}: {error}", CLIENTS[client].0)).ok());
                }
            }
        }
        for (figures, (security, _)) in [tls, plain].into_iter().zip(&sinks) {
            eprintln!("{}", figures.line(*security));
            rows.push((*security, figures));
        }
    }
    let text = table::page(&rows, rounds, seconds);
    print!("{text}");
    if write {
        results::write("tls.md", &text)?;
        results::write("tls.svg", &table::plot(&rows))?;
    }
    Ok(())
}
