//! Runs tests with one mutant active.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::compile::Suite;

/// Tests that take less run together in one process.
const SHORT: Duration = Duration::from_millis(200);
/// Tests that take more run only for mutants that all others leave.
const LONG: Duration = Duration::from_secs(1);
/// A mutant may make tests this much slower, and then counts as caught.
const SLOWER: u32 = 20;
const AT_LEAST: Duration = Duration::from_secs(5);
/// The address space of a test, in KiB, so that a mutant that allocates without end fails.
const MEMORY: u32 = 6 << 20;

/// The result of the tests with one mutant active.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// By this test.
    Caught(String),
    TimedOut(String),
    Survived,
    /// No test reaches its code.
    Unreached,
}

/// Some tests of one binary. No names are all tests.
struct Selection<'a> {
    suite: &'a Suite,
    tests: Vec<&'a str>,
    usual: Duration,
}

/// What the tests of a suite reach without a mutant.
pub struct Reach {
    suite: Suite,
    usual: Duration,
    tests: BTreeMap<String, Duration>,
    /// The tests that reach a mutant.
    by_mutant: HashMap<u32, BTreeSet<String>>,
    /// Mutants that are reached in threads that are not of one test.
    elsewhere: HashSet<u32>,
}

impl Reach {
    /// Runs the suite without a mutant.
    pub fn record(suite: Suite, file: &Path) -> Self {
        let _ = fs::remove_file(file);
        let begun = Instant::now();
        let output =
            command(&suite, &["--test-threads=2"]).env("MUTANT_REACHED", file).output().expect("the suite runs");
        let usual = begun.elapsed();
        let listing = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{} fails without a mutant:\n{listing}", suite.name);
        let names: HashSet<&str> = listing
            .lines()
            .filter_map(|line| {
                Some(line.strip_prefix("test ")?.split_once(" ... ")?.0.trim_end_matches(" - should panic"))
            })
            .collect();
        let mut reach =
            Self { suite, usual, tests: BTreeMap::new(), by_mutant: HashMap::new(), elsewhere: HashSet::new() };
        for line in fs::read_to_string(file).unwrap_or_default().lines() {
            let [name, micros, mutants] = line.split('\t').collect::<Vec<_>>()[..] else { continue };
            let mutants = mutants.split_ascii_whitespace().map(|number| number.parse::<u32>().expect("a number"));
            if !names.contains(name) {
                reach.elsewhere.extend(mutants);
                continue;
            }
            reach.tests.insert(name.into(), Duration::from_micros(micros.parse().expect("µs")));
            for mutant in mutants {
                reach.by_mutant.entry(mutant).or_default().insert(name.into());
            }
        }
        println!("{}: {} tests reach {} mutants in {usual:.1?}", reach.suite.name, names.len(), reach.by_mutant.len());
        reach
    }
}

/// Runs the tests that reach this mutant with it, the shortest first, until one fails.
/// Tests that take seconds run only if it is to be `thorough`.
pub fn try_mutant(mutant: u32, reached: &[Reach], thorough: bool) -> Outcome {
    let (mut short, mut long) = (Vec::new(), Vec::new());
    for reach in reached {
        let (suite, mut together) = (&reach.suite, Vec::new());
        for test in reach.by_mutant.get(&mutant).into_iter().flatten() {
            let usual = reach.tests[test];
            if usual < SHORT {
                together.push((test.as_str(), usual));
            } else {
                long.push(Selection { suite, tests: vec![test], usual });
            }
        }
        if !together.is_empty() {
            let (tests, usual): (Vec<_>, Vec<Duration>) = together.into_iter().unzip();
            short.push(Selection { suite, tests, usual: usual.iter().sum() });
        }
        if reach.elsewhere.contains(&mutant) {
            long.push(Selection { suite, tests: Vec::new(), usual: reach.usual });
        }
    }
    long.retain(|selection: &Selection<'_>| thorough || selection.usual < LONG);
    if short.is_empty() && long.is_empty() {
        return Outcome::Unreached;
    }
    long.sort_by_key(|selection| selection.usual);
    short
        .into_iter()
        .chain(long)
        .map(|selection| selection.run(mutant))
        .find(|o| *o != Outcome::Survived)
        .unwrap_or(Outcome::Survived)
}

impl Selection<'_> {
    fn run(&self, mutant: u32) -> Outcome {
        let mut command = command(self.suite, &["--test-threads=1", "--exact"]);
        command.args(&self.tests).env("MUTANT", mutant.to_string());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the suite runs");
        let (sender, lines) = channel();
        let stdout = child.stdout.take().expect("piped");
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let limit = Instant::now() + (self.usual * SLOWER).max(AT_LEAST);
        let name = &self.suite.name;
        loop {
            match lines.recv_timeout(limit.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    if let Some(test) = line.strip_suffix(" ... FAILED") {
                        end(child);
                        return Outcome::Caught(format!("{name}: {}", test.trim_start_matches("test ")));
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    end(child);
                    return Outcome::TimedOut(format!("{name}: {}", self.tests.join(" ")));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return match child.wait().expect("it was started").success() {
                        true => Outcome::Survived,
                        false => Outcome::Caught(format!("{name}: ended abnormally")),
                    };
                }
            }
        }
    }
}

fn end(mut child: Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// Returns the program of the suite, with limited memory, as cargo runs it.
fn command(suite: &Suite, options: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("ulimit -v {MEMORY}; exec \"$0\" \"$@\"")])
        .arg(&suite.program)
        .args(suite.arguments.unwrap_or(options))
        .current_dir(&suite.directory)
        .env("CARGO_MANIFEST_DIR", &suite.directory)
        .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1")
        .env("PROPTEST_MAX_SHRINK_ITERS", "0");
    command
}
