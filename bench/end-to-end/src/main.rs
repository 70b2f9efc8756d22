//! Publishing from end to end, beside peers: `../README.md` says how, and how to read it.

#![forbid(unsafe_code)]

mod broker;
mod client;
mod cores;
mod job;
mod meter;
mod one_message;
mod plot;
mod results;
mod rows;
mod table;
mod targets;

use std::error::Error;
use std::process::{Command, ExitCode};

use broker::{Against, Broker};
use client::CLIENTS;
use job::{Job, Report};
use kafka_batch_bench_shared::process::{Side, pin};
use results::{Measured, Results};
use rows::{PARTITIONS, ROWS, Row};

const USAGE: &str = "\
usage: end-to-end [OPTION]... [ROW]...
       end-to-end one-message [--rounds N] [--seconds S] [--tasks N]... [--client NAME]... [--write]

Runs each client in each row, in turns, against librdkafka's mock cluster, and prints the tables.
A ROW is any part of a row's name; without any, all rows are run.

  --kafka VERSION      against a real Kafka, which is started for it: 4, 3.9
  --brokers HOST:PORT  against a broker that is there
  --client NAME        only the clients with this in their name; may be given again
  --rounds N           how often each client has its turn in a row (5)
  --seconds S          how long a turn is (1)
  --write              put these rows into bench/results, beside those that were measured before on this machine";

struct Plan {
    against: Against,
    rounds: usize,
    seconds: f64,
    write: bool,
    rows: Vec<String>,
    clients: Vec<String>,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["broker", ..] => pin(Side::Broker).and_then(|()| broker::serve(&words[1..])),
        ["one-message", ..] => one_message::Plan::parse(&words[1..]).and_then(|plan| one_message::measure(&plan)),
        ["one-message-client", name, job] => pin(Side::Client).and_then(|()| one_message::run_client(name, job)),
        ["client", name, job] => pin(Side::Client).and_then(|()| run_client(name, job)),
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

fn run_client(name: &str, job: &str) -> Result<(), Box<dyn Error>> {
    let client = client::named(name).ok_or_else(|| format!("{name} is no client"))?;
    let report = (client.run)(&serde_json::from_str(job)?)?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

fn plan(words: Vec<String>) -> Result<Plan, Box<dyn Error>> {
    let (rows, clients) = (Vec::new(), Vec::new());
    let mut plan = Plan { against: Against::Mock, rounds: 5, seconds: 1.0, write: false, rows, clients };
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value\n\n{USAGE}"));
        match word.as_str() {
            "--kafka" => plan.against = Against::Kafka(value()?),
            "--brokers" => plan.against = Against::Address(value()?),
            "--client" => plan.clients.push(value()?),
            "--rounds" => plan.rounds = value()?.parse()?,
            "--seconds" => plan.seconds = value()?.parse()?,
            "--write" => plan.write = true,
            option if option.starts_with('-') => return Err(USAGE.into()),
            _ => plan.rows.push(word),
        }
    }
    Ok(plan)
}

/// Whether no part was given, or one that is in this name.
fn is_chosen(parts: &[String], name: &str) -> bool {
    parts.is_empty() || parts.iter().any(|part| name.contains(part.as_str()))
}

fn measure(plan: &Plan) -> Result<(), Box<dyn Error>> {
    let broker = Broker::start(&plan.against, &PARTITIONS)?;
    let rows = ROWS.iter().filter(|row| is_chosen(&plan.rows, row.name));
    let rows: Vec<_> = rows.filter(|row| row.can_run(broker.is_mock())).collect();
    let mut turns = Turns { plan, broker: &broker, topics: 0 };
    if let (Against::Kafka(_), Some(&row)) = (&plan.against, rows.first()) {
        // A Java program that has just begun is slow.
        eprintln!("warming the broker up");
        (0..2).for_each(|_| drop(turns.round(row, 0)));
    }
    let mut all = Vec::new();
    for row in rows {
        let mut measured = Measured::new(row, plan.seconds);
        for round in 0..plan.rounds {
            eprintln!("{}: round {} of {}", row.name, round + 1, plan.rounds);
            measured.add(turns.round(row, round));
        }
        all.push(measured);
    }
    let results = Results { against: broker.name.clone(), rows: all };
    println!("{}", table::page(&results));
    if plan.write { results.write(&plan.against) } else { Ok(()) }
}

/// Clients in turns.
struct Turns<'a> {
    plan: &'a Plan,
    broker: &'a Broker,
    topics: usize,
}

impl Turns<'_> {
    /// Each client once; in each round another one begins.
    fn round(&mut self, row: &Row, round: usize) -> Vec<Option<Report>> {
        let mut reports = vec![None; CLIENTS.len()];
        for turn in 0..CLIENTS.len() {
            let index = (round + turn) % CLIENTS.len();
            let client = &CLIENTS[index];
            if !is_chosen(&self.plan.clients, client.name) || !(client.can)(row, self.broker) {
                continue;
            }
            match self.undisturbed_turn(row, client.name) {
                Ok(report) => reports[index] = Some(report),
                Err(error) => eprintln!("  {}: {error}", client.name),
            }
        }
        reports
    }

    /// Again, if others had the core; but not for ever.
    fn undisturbed_turn(&mut self, row: &Row, client: &str) -> Result<Report, Box<dyn Error>> {
        const TRIES: usize = 4;
        let mut report = self.turn(row, client)?;
        for _ in 1..TRIES {
            if !report.is_disturbed() {
                break;
            }
            eprintln!("  {client}: others had {:.0} % of its core; again", report.others * 100.0);
            report = self.turn(row, client)?;
        }
        Ok(report)
    }

    fn turn(&mut self, row: &Row, client: &str) -> Result<Report, Box<dyn Error>> {
        self.topics += 1;
        let topic = self.broker.topic(row.partitions, self.topics)?;
        let outcome = run_in_process(client, &row.job(&self.broker.address, &topic, self.plan.seconds));
        let outcome =
            outcome.and_then(|report| self.broker.check(&topic, report.warm_up + report.records).map(|()| report));
        self.broker.remove(&topic)?;
        outcome
    }
}

fn run_in_process(name: &str, job: &Job) -> Result<Report, Box<dyn Error>> {
    let job = serde_json::to_string(job)?;
    let output = Command::new(std::env::current_exe()?).args(["client", name, &job]).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
