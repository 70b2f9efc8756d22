//! The examples, run as processes with arguments: their output and exit status.

#[path = "examples/blocking.rs"]
mod blocking;
#[path = "examples/publish.rs"]
mod publish;
#[path = "../../tests/programs/run.rs"]
mod run;
/// For its tests, which `cargo test` does not run in an example.
#[cfg(feature = "watch")]
#[path = "../publish/watch/svg.rs"]
mod svg;

use std::path::Path;
use std::process::Command;

use run::{Run, run};

/// Returns the command of an example. `cargo test` builds the examples next to the directory of the test programs.
fn example(name: &str) -> Command {
    let test = std::env::current_exe().expect("the path of this test");
    let profile = test.parent().and_then(Path::parent).expect("target/<profile>/deps/<test>");
    let path = profile.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(path.exists(), "{} does not exist: run `cargo build --examples` first", path.display());
    Command::new(path)
}

/// Returns the number after a word at the beginning of a line of the summary.
fn number(run: &Run, word: &str) -> usize {
    let line = run.out.lines().find(|line| line.starts_with(word)).unwrap_or_else(|| panic!("no {word}: {}", run.out));
    let number = line[word.len()..].split_whitespace().next().expect("a number");
    number.trim_end_matches(',').parse().unwrap_or_else(|_| panic!("{line}"))
}
