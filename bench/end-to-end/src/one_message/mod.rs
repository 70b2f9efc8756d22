//! One message, one answer: many tasks, each of which sends a message, awaits its offset, and sends the next one.

mod clients;
mod table;

use std::error::Error;
use std::process::Command;

use kafka_batch_bench_shared::{median, results};
use serde::{Deserialize, Serialize};

use crate::broker::{Against, Broker};
use crate::job::Report;
use crate::one_message::clients::CLIENTS;

/// One run of one client.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    pub brokers: String,
    pub topic: String,
    pub tasks: usize,
    pub value_len: usize,
    pub settings: Settings,
    pub seconds: f64,
}

/// What a client is set to. The best of several is reported.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    pub linger_ms: u64,
    pub batch_size: usize,
}

/// The numbers of tasks.
const TASKS: [usize; 3] = [100, 1_000, 10_000];

/// Of a message's value, in bytes.
const VALUE_LEN: usize = 100;

/// What is run.
#[derive(Clone, Debug)]
pub struct Plan {
    pub rounds: usize,
    pub seconds: f64,
    pub write: bool,
    pub clients: Vec<String>,
    pub tasks: Vec<usize>,
}

impl Plan {
    /// Reads `--rounds N`, `--seconds S`, `--client NAME`, `--tasks N`, `--write`.
    pub fn parse(words: &[String]) -> Result<Self, Box<dyn Error>> {
        let mut plan = Self { rounds: 5, seconds: 1.0, write: false, clients: Vec::new(), tasks: Vec::new() };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--rounds" => plan.rounds = value()?.parse()?,
                "--seconds" => plan.seconds = value()?.parse()?,
                "--client" => plan.clients.push(value()?.clone()),
                "--tasks" => plan.tasks.push(value()?.parse()?),
                "--write" => plan.write = true,
                other => return Err(format!("one-message has no option {other}").into()),
            }
        }
        Ok(plan)
    }
}

/// The reports of one client with one of its settings, round by round; `None` where it failed.
pub struct Measured {
    pub client: &'static str,
    pub settings: Settings,
    pub reports: Vec<Option<Report>>,
}

impl Measured {
    pub fn rate(&self) -> Option<f64> {
        self.median(|report| Some(report.records as f64 / report.seconds))
    }

    pub fn median(&self, figure: impl Fn(&Report) -> Option<f64>) -> Option<f64> {
        median(self.reports.iter().flatten().filter_map(figure).collect())
    }
}

/// A number of tasks, and what each client did with each of its settings.
pub struct Row {
    pub tasks: usize,
    pub measured: Vec<Measured>,
}

/// Runs each client with each of its settings, in turns, against librdkafka's mock cluster.
pub fn measure(plan: &Plan) -> Result<(), Box<dyn Error>> {
    let broker = Broker::start(&Against::Mock, &[1])?;
    let mut rows = Vec::new();
    for tasks in TASKS.into_iter().filter(|tasks| plan.tasks.is_empty() || plan.tasks.contains(tasks)) {
        let is_chosen = |name: &str| plan.clients.is_empty() || plan.clients.iter().any(|part| name.contains(&**part));
        let clients = CLIENTS.iter().filter(|client| is_chosen(client.name));
        let each = clients.flat_map(|client| client.settings.iter().map(|&settings| (client.name, settings)));
        let new = |(client, settings)| Measured { client, settings, reports: Vec::new() };
        let mut row = Row { tasks, measured: each.map(new).collect() };
        for round in 0..plan.rounds {
            eprintln!("{tasks} tasks: round {} of {}", round + 1, plan.rounds);
            let count = row.measured.len();
            for turn in 0..count {
                let measured = &mut row.measured[(round + turn) % count]; // in each round another one begins
                let report = turn_of(measured, &broker, tasks, plan.seconds);
                let report = report.inspect_err(|error| eprintln!("  {}: {error}", measured.client)).ok();
                measured.reports.push(report);
            }
        }
        rows.push(row);
    }
    let page = table::page(&broker.name, plan, &rows);
    println!("{page}");
    if plan.write {
        results::write("one-message.md", &page)?;
        results::write("one-message.svg", &table::plot(&rows))?;
    }
    Ok(())
}

fn turn_of(measured: &Measured, broker: &Broker, tasks: usize, seconds: f64) -> Result<Report, Box<dyn Error>> {
    let topic = broker.topic(1, 0)?;
    let job = Job {
        brokers: broker.address.clone(),
        topic: topic.name.clone(),
        tasks,
        value_len: VALUE_LEN,
        settings: measured.settings,
        seconds,
    };
    let job = serde_json::to_string(&job)?;
    let output = Command::new(std::env::current_exe()?).args(["one-message-client", measured.client, &job]).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().into());
    }
    let report: Report = serde_json::from_slice(&output.stdout)?;
    broker.check(&topic, report.warm_up + report.records)?;
    Ok(report)
}

/// The process that is the client.
pub fn run_client(name: &str, job: &str) -> Result<(), Box<dyn Error>> {
    let client = CLIENTS.iter().find(|client| client.name == name).ok_or_else(|| format!("{name} is no client"))?;
    let report = (client.run)(&serde_json::from_str(job)?)?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}
