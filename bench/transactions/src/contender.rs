//! The measured programs, run as processes of their own.

use std::env;
use std::error::Error;
use std::path::Path;
use std::process::Command;

use crate::ours::Place;
use crate::{PARTITIONS, RECORDS, SIZE};

/// A client that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    Java,
    Ours,
}

/// What a program has printed.
#[derive(Clone, Debug, Default)]
pub struct Output {
    pub lines: Vec<Vec<f64>>,
    /// Transactions that failed and were begun again.
    pub aborted: u32,
    /// Producers that could not go on, and were replaced.
    pub replaced: u32,
}

impl Client {
    pub const ALL: [Self; 2] = [Self::Java, Self::Ours];

    pub fn name(self) -> &'static str {
        match self {
            Self::Java => "Java's client",
            Self::Ours => "kafka-batch",
        }
    }

    /// Runs a program with these numbers as its arguments.
    pub fn run(self, program: &str, place: Place<'_>, numbers: &[usize]) -> Result<Output, Box<dyn Error>> {
        let mut command = match self {
            Self::Ours => Command::new(env::current_exe()?),
            Self::Java => {
                let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("java/Transactions.java");
                let mut command = Command::new(variable("KAFKA_BATCH_JAVA")?);
                command.args(["-cp", &variable("KAFKA_BATCH_KAFKA_BROKER_CLASSPATH")?]).arg(source);
                command
            }
        };
        command.args([program, place.servers, place.topic, place.id]);
        if self == Self::Java {
            command.args([PARTITIONS as usize, RECORDS, SIZE].map(|number| number.to_string()));
        }
        let output = command.args(numbers.iter().map(usize::to_string)).output()?;
        let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        for line in errors.lines().filter(|line| line.starts_with(self.name())) {
            eprintln!("{line}");
        }
        if !output.status.success() {
            let last = errors.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no message");
            let exception = errors.lines().find(|line| line.starts_with("Exception in")).unwrap_or(last);
            return Err(format!("{program} with {}: {exception}", self.name()).into());
        }
        parse(&text).ok_or_else(|| format!("{program} with {} has printed {text:?}", self.name()).into())
    }
}

/// Parses lines of figures; the last one may have the numbers of failures. Lines that begin otherwise are the client's log.
fn parse(text: &str) -> Option<Output> {
    let mut output = Output::default();
    for line in text.lines() {
        if let Some(failures) = line.strip_prefix("failures ") {
            let (aborted, replaced) = failures.split_once(' ')?;
            (output.aborted, output.replaced) = (aborted.parse().ok()?, replaced.parse().ok()?);
        } else if line.starts_with(|first: char| first.is_ascii_digit()) {
            output.lines.push(line.split(' ').map(|figure| figure.parse().ok()).collect::<Option<_>>()?);
        }
    }
    (!output.lines.is_empty()).then_some(output)
}

/// Reads a variable of the environment.
pub fn variable(name: &str) -> Result<String, Box<dyn Error>> {
    let run = "run it as the head comment of bench/transactions/src/main.rs says";
    env::var(name).map_err(|error| format!("{name}: {error}; {run}").into())
}

/// The settings of a topic: its segments are deleted at once, except for the last one of each partition.
const SETTINGS: [&str; 6] =
    ["--config", "retention.bytes=1", "--config", "segment.bytes=67108864", "--config", "file.delete.delay.ms=0"];

/// A topic, deleted in the end.
#[derive(Debug)]
pub struct Topic<'a> {
    servers: &'a str,
    pub name: String,
}

impl<'a> Topic<'a> {
    pub fn create(servers: &'a str, name: String) -> Result<Self, Box<dyn Error>> {
        let partitions = PARTITIONS.to_string();
        let create = ["--create", "--topic", &name, "--partitions", &partitions];
        tool(servers, &[&create[..], &SETTINGS].concat())?;
        Ok(Self { servers, name })
    }
}

impl Drop for Topic<'_> {
    fn drop(&mut self) {
        if let Err(error) = tool(self.servers, &["--delete", "--topic", &self.name]) {
            eprintln!("{error}");
        }
    }
}

fn tool(servers: &str, arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    let class_path = variable("KAFKA_BATCH_KAFKA_CLASSPATH")?;
    let output = Command::new(variable("KAFKA_BATCH_JAVA")?)
        .args(["-cp", &class_path, &variable("KAFKA_BATCH_KAFKA_TOPICS")?, "--bootstrap-server", servers])
        .args(arguments)
        .output()?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stdout).into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_and_failures_are_read_and_the_log_is_not() {
        let output = parse("[main] INFO x\n\tssl = 1\n0.5 1\n0.25 2.5\nfailures 1 2\n").unwrap();
        assert_eq!((output.lines, output.aborted, output.replaced), (vec![vec![0.5, 1.0], vec![0.25, 2.5]], 1, 2));
        assert!(parse("[main] INFO x\n").is_none() && parse("0.5 x\n").is_none());
    }
}
