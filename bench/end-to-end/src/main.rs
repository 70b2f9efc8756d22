//! Publishing from end to end, beside peers: `../README.md` says how, and how to read it.

#![forbid(unsafe_code)]

mod broker;
mod client;
mod job;
mod meter;
mod plot;
mod rows;
mod table;

use std::error::Error;
use std::path::Path;
use std::process::{Command, ExitCode};

use broker::Broker;
use client::CLIENTS;
use job::{Job, Report};
use rows::{PARTITIONS, ROWS, Row};
use table::Measured;

const USAGE: &str = "\
usage: end-to-end [--brokers HOST:PORT] [--rounds N] [--seconds S] [ROW]...

Runs each client in each row, in turns, against librdkafka's mock cluster or the given broker.
A ROW is any part of a row's name. With no ROW, the results are written to bench/results.";

struct Plan {
    brokers: Option<String>,
    rounds: usize,
    seconds: f64,
    rows: Vec<String>,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["broker", ..] => pin(false).and_then(|()| broker::serve(&words[1..])),
        ["client", name, job] => pin(true).and_then(|()| run_client(name, job)),
        _ => plan(words).and_then(|plan| measure(&plan)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The client has the last core, the broker the first.
fn pin(client: bool) -> Result<(), Box<dyn Error>> {
    let cores = core_affinity::get_core_ids().ok_or("no cores to choose from")?;
    let core = if client { cores.last() } else { cores.first() };
    core_affinity::set_for_current(*core.ok_or("no core")?);
    Ok(())
}

fn run_client(name: &str, job: &str) -> Result<(), Box<dyn Error>> {
    let client = client::named(name).ok_or_else(|| format!("{name} is no client"))?;
    let report = (client.run)(&serde_json::from_str(job)?)?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

fn plan(words: Vec<String>) -> Result<Plan, Box<dyn Error>> {
    let mut plan = Plan { brokers: None, rounds: 5, seconds: 2.0, rows: Vec::new() };
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value\n{USAGE}"));
        match word.as_str() {
            "--brokers" => plan.brokers = Some(value()?),
            "--rounds" => plan.rounds = value()?.parse()?,
            "--seconds" => plan.seconds = value()?.parse()?,
            option if option.starts_with('-') => return Err(USAGE.into()),
            _ => plan.rows.push(word),
        }
    }
    Ok(plan)
}

fn measure(plan: &Plan) -> Result<(), Box<dyn Error>> {
    let broker = match &plan.brokers {
        None => Broker::start(&PARTITIONS)?,
        Some(address) => Broker::at(address, &PARTITIONS)?,
    };
    let chosen = |row: &&Row| plan.rows.is_empty() || plan.rows.iter().any(|part| row.name.contains(part.as_str()));
    let mut all = Vec::new();
    for row in ROWS.iter().filter(chosen) {
        let mut measured = Measured { row, reports: vec![Vec::new(); CLIENTS.len()] };
        for round in 0..plan.rounds {
            eprintln!("{}: round {} of {}", row.name, round + 1, plan.rounds);
            for turn in 0..CLIENTS.len() {
                let index = (round + turn) % CLIENTS.len();
                let outcome = run_in_process(CLIENTS[index].name, &row.job(&broker.address, plan.seconds));
                if let Err(error) = &outcome {
                    eprintln!("  {}: {error}", CLIENTS[index].name);
                }
                measured.reports[index].push(outcome.ok());
            }
        }
        all.push(measured);
    }
    let text = table::tables(&all);
    println!("{text}");
    if plan.rows.is_empty() {
        write(plan, &all, &text)?;
    }
    Ok(())
}

fn run_in_process(name: &str, job: &Job) -> Result<Report, Box<dyn Error>> {
    let job = serde_json::to_string(job)?;
    let output = Command::new(std::env::current_exe()?).args(["client", name, &job]).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn write(plan: &Plan, all: &[Measured<'_>], text: &str) -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../results");
    let (name, against) = match plan.brokers {
        None => ("end-to-end", "librdkafka's mock cluster"),
        Some(_) => ("end-to-end-kafka", "a real Kafka"),
    };
    let Plan { rounds, seconds, .. } = plan;
    let head = format!(
        "# Publishing from end to end, against {against}\n\nClient and broker on a core each, acks all; {rounds} rounds of \
         {seconds} s a client and row, clients in turns; medians, and medians of ratios within a round.\n"
    );
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join(format!("{name}.md")), head + text)?;
    std::fs::write(folder.join(format!("{name}.json")), serde_json::to_string_pretty(&table::json(all))?)?;
    std::fs::write(folder.join(format!("{name}.svg")), plot::svg(all, against))?;
    Ok(())
}
