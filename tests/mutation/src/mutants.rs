//! The mutants, as `cargo mutants --list --json` prints them.

use std::path::Path;
use std::process::Command;

use serde::Deserialize;

/// What is mutated, relative to the repository.
const FILES: [&str; 5] = [
    "core/src/batch/**/*.rs",
    "core/src/machine/verdict.rs",
    "core/src/machine/sequence.rs",
    "core/src/machine/partition/*.rs",
    "core/src/machine/transitions/*.rs",
];

/// What kind of code a mutant changes, in the words of cargo-mutants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Genre {
    FnValue,
    BinaryOperator,
    UnaryOperator,
    MatchArm,
    MatchArmGuard,
    StructField,
}

/// Line and column, both counted from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Span {
    pub start: Position,
    pub end: Position,
}

/// One change of the code: `span` is replaced by `replacement`.
#[derive(Clone, Debug, Deserialize)]
pub struct Mutant {
    /// Its position in the list, which is what `MUTANT` is set to.
    #[serde(skip)]
    pub number: u32,
    pub name: String,
    pub file: String,
    pub span: Span,
    pub replacement: String,
    pub genre: Genre,
}

/// Returns all mutants of the tree at `root`, in the order of cargo-mutants.
pub fn list(root: &Path) -> Vec<Mutant> {
    let mut command = Command::new("cargo");
    command.args(["mutants", "--list", "--json", "-p", "kafka-batch-core"]).current_dir(root);
    for file in FILES {
        command.args(["-f", file]);
    }
    let output = command.output().expect("cargo runs");
    assert!(
        output.status.success(),
        "cargo mutants failed (`cargo install cargo-mutants --locked`): {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut mutants: Vec<Mutant> = serde_json::from_slice(&output.stdout).expect("the list of cargo-mutants 27");
    for (number, mutant) in mutants.iter_mut().enumerate() {
        mutant.number = u32::try_from(number).expect("few mutants");
    }
    mutants
}
