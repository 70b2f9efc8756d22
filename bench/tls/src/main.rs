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
use std::io::{BufRead, BufReader, Write as _};
use std::process::{Child, Command, ExitCode, Stdio};

use kafka_batch_bench_shared::results;

use job::{Job, Report};
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
        ["sink", security] => pin(Side::Sink).and_then(|()| security::serve(security.parse()?)),
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

enum Side {
    Sink,
    Client,
}

/// Keeps this process on the first core (sink) or on the last one (client).
fn pin(side: Side) -> Result<(), Box<dyn Error>> {
    let cores = core_affinity::get_core_ids().ok_or("no cores to choose from")?;
    let core = match side {
        Side::Sink => cores.first(),
        Side::Client => cores.last(),
    };
    let is_pinned = core_affinity::set_for_current(*core.ok_or("no core")?);
    is_pinned.then_some(()).ok_or_else(|| "the core is not available".into())
}

fn run_client(name: &str, job: &[&str]) -> Result<(), Box<dyn Error>> {
    let (_, run) = CLIENTS.iter().find(|(client, _)| *client == name).ok_or("no such client")?;
    println!("{}", run(&Job::from_words(job)?)?);
    Ok(())
}

struct Sink {
    process: Child,
    output: BufReader<std::process::ChildStdout>,
    security: Security,
    address: String,
}

impl Sink {
    fn start(security: Security) -> Result<Self, Box<dyn Error>> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["sink", security.name()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut output = BufReader::new(process.stdout.take().ok_or("piped")?);
        let mut address = String::new();
        output.read_line(&mut address)?;
        Ok(Self { process, output, security, address: address.trim().into() })
    }

    /// Returns the number of records since the last call.
    fn count(&mut self) -> Result<u64, Box<dyn Error>> {
        self.process.stdin.as_mut().ok_or("piped")?.write_all(b"count\n")?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.trim().parse()?)
    }

    /// Runs one client in a process of its own.
    fn turn(&mut self, client: &str, job: &Job) -> Result<Report, Box<dyn Error>> {
        self.count()?;
        let output = Command::new(std::env::current_exe()?).args(["client", client]).args(job.words()).output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim().into());
        }
        let report: Report = String::from_utf8(output.stdout)?.parse()?;
        let arrived = self.count()?;
        if report.total != arrived {
            let total = report.total;
            return Err(format!("{total} records were reported as acknowledged, and {arrived} have arrived").into());
        }
        Ok(report)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        drop(self.process.stdin.take()); // ends it
        let _ = self.process.wait();
    }
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
    let mut sinks = [Sink::start(Security::Tls)?, Sink::start(Security::Plaintext)?];
    let mut rows = Vec::new();
    for (value_len, batch_size) in ROWS {
        let [mut tls, mut plain] = [(); 2].map(|()| Figures::new(value_len, batch_size));
        for round in 0..rounds {
            for place in 0..CLIENTS.len() {
                let client = (round + place) % CLIENTS.len();
                for (sink, figures) in sinks.iter_mut().zip([&mut tls, &mut plain]) {
                    let (address, security) = (sink.address.clone(), sink.security);
                    let job = Job { address, security, value_len, batch_size, seconds };
                    let report = sink.turn(CLIENTS[client].0, &job);
                    figures.add(client, report.inspect_err(|error| eprintln!("{}: {error}", CLIENTS[client].0)).ok());
                }
            }
        }
        for (figures, sink) in [tls, plain].into_iter().zip(&sinks) {
            eprintln!("{}", figures.line(sink.security));
            rows.push((sink.security, figures));
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
