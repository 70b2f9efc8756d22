//! Runs the tests against every mutant of the batch, and of the machine's verdicts, sequence numbers, partition and transitions.
//!
//! `cargo run --manifest-path tests/mutation/Cargo.toml` lists the mutants with cargo-mutants, and builds a copy of the
//! repository with all of them in `tests/mutation/target/`. Then it runs, for each mutant, the tests that reach it, and writes
//! the outcomes to `tests/mutation/target/outcomes.tsv`. Mutants that are in this file already are not run again; with the
//! argument `survivors`, those that survived are; with `thorough`, also with the tests that take seconds.
//! `MUTATION_DIR` names another directory than `tests/mutation/target`.

mod compile;
mod mutants;
mod run;
mod schemata;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use mutants::Mutant;
use run::{Outcome, Reach};

fn main() {
    let argument = std::env::args().nth(1).unwrap_or_default();
    let (again, thorough) = (["survivors", "thorough"].contains(&argument.as_str()), argument == "thorough");
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let original = package.join("../..").canonicalize().expect("the repository");
    let output = std::env::var_os("MUTATION_DIR").map_or_else(|| package.join("target"), PathBuf::from);
    fs::create_dir_all(&output).expect("the directory for the output");

    let mutants = mutants::list(&original);
    println!("{} mutants", mutants.len());
    let tree = compile::Tree::copy(&original, &output.join("tree"), &mutants);
    let outcomes = Outcomes::open(&output.join("outcomes.tsv"), again);
    let unviable = mutants.iter().filter(|mutant| outcomes.of(mutant).is_some_and(|outcome| outcome == "unviable"));
    let (suites, unviable, left_out) = tree.build(&mutants, unviable.map(|mutant| mutant.number).collect());
    let reached: Vec<Reach> = suites.into_iter().map(|s| Reach::record(s, &output.join("reached"))).collect();

    for mutant in &mutants {
        if unviable.contains(&mutant.number) {
            outcomes.add(mutant, "unviable", "");
        } else if left_out.contains(&mutant.number) {
            outcomes.add(mutant, "not switched", "");
        }
    }
    let waiting = Mutex::new(mutants.iter().filter(|mutant| outcomes.of(mutant).is_none()).rev().collect::<Vec<_>>());
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let Some(mutant) = waiting.lock().expect("no panics").pop() else { return };
                    let begun = Instant::now();
                    let outcome = run::try_mutant(mutant.number, &reached, thorough);
                    let (outcome, by) = match outcome {
                        Outcome::Caught(by) => ("caught", by),
                        Outcome::TimedOut(by) => ("timed out", by),
                        Outcome::Survived => ("survived", String::new()),
                        Outcome::Unreached => ("unreached", String::new()),
                    };
                    println!("{outcome} in {:.1?}: {}", begun.elapsed(), mutant.name);
                    outcomes.add(mutant, outcome, &by);
                }
            });
        }
    });
    outcomes.print(&mutants);
}

/// The outcome of each mutant, by its name, and the file with them.
struct Outcomes {
    known: Mutex<(BTreeMap<String, String>, File)>,
}

impl Outcomes {
    /// Reads the file, without the mutants that are to be tried `again`.
    fn open(path: &Path, again: bool) -> Self {
        let mut known = BTreeMap::new();
        for line in fs::read_to_string(path).unwrap_or_default().lines() {
            let Some((outcome, rest)) = line.split_once('\t') else { continue };
            let (name, _) = rest.split_once('\t').unwrap_or((rest, ""));
            let repeated = again && matches!(outcome, "survived" | "unreached");
            if repeated {
                known.remove(name);
            } else {
                known.insert(name.to_owned(), outcome.to_owned());
            }
        }
        let file = File::options().append(true).create(true).open(path).expect("the file for the outcomes");
        Self { known: Mutex::new((known, file)) }
    }

    fn of(&self, mutant: &Mutant) -> Option<String> {
        self.known.lock().expect("no panics").0.get(&mutant.name).cloned()
    }

    fn add(&self, mutant: &Mutant, outcome: &str, by: &str) {
        let mut known = self.known.lock().expect("no panics");
        if known.0.insert(mutant.name.clone(), outcome.to_owned()).is_none() {
            writeln!(known.1, "{outcome}\t{}\t{by}", mutant.name).expect("the file for the outcomes");
        }
    }

    /// Prints the figures of each folder, and the mutants that were not caught.
    fn print(&self, mutants: &[Mutant]) {
        let known: Vec<_> = mutants.iter().filter_map(|mutant| Some((&mutant.name, self.of(mutant)?))).collect();
        let mut folders: BTreeMap<&str, BTreeMap<&str, u32>> = BTreeMap::new();
        for (name, outcome) in &known {
            let folder =
                name.split(".rs:").next().and_then(|file| file.rsplit_once('/')).map_or("", |(folder, _)| folder);
            for folder in [folder, "all"] {
                *folders.entry(folder).or_default().entry(outcome).or_default() += 1;
            }
        }
        println!("| folder | mutants | unviable | caught | of these by time | survived |\n|---|--:|--:|--:|--:|--:|");
        for (folder, counts) in folders {
            let count = |outcome| counts.get(outcome).copied().unwrap_or_default();
            let (all, unviable, late) = (counts.values().sum::<u32>(), count("unviable"), count("timed out"));
            let survived = count("survived") + count("unreached");
            println!("| {folder} | {all} | {unviable} | {} | {late} | {survived} |", count("caught") + late);
        }
        for (name, outcome) in known {
            if matches!(outcome.as_str(), "survived" | "unreached" | "not switched") {
                println!("{outcome}: {name}");
            }
        }
    }
}
