//! The copy of the repository with all mutants, and its test binaries.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::mutants::Mutant;
use crate::schemata::{mutant_at, rewrite};

/// The test binaries that are built: those that test core and take seconds.
const SUITES: &str = "test --no-run -p kafka-batch-core -p kafka-batch -p kafka-batch-simulation --features __witnesses --lib \
    --test allocation --test differential --test java_tolerance --test laws --test named --test scenarios \
    --test user_requests --test vectors";

/// A test binary; or the simulation, which is a program.
#[derive(Clone, Debug)]
pub struct Suite {
    pub name: String,
    /// What the program runs with, in place of the names of tests.
    pub arguments: Option<&'static [&'static str]>,
    pub program: PathBuf,
    pub directory: PathBuf,
}

/// The copy of the repository.
pub struct Tree {
    root: PathBuf,
    original: PathBuf,
}

#[derive(Deserialize)]
struct Message {
    message: Option<Diagnostic>,
    executable: Option<PathBuf>,
    manifest_path: Option<PathBuf>,
    target: Option<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Diagnostic {
    level: String,
    rendered: Option<String>,
    spans: Vec<DiagnosticSpan>,
    children: Vec<Diagnostic>,
}

#[derive(Deserialize)]
struct DiagnosticSpan {
    file_name: String,
    byte_start: usize,
    is_primary: bool,
}

impl Tree {
    /// Copies what is under version control at `original`, and lets core depend on the switch.
    ///
    /// The files of these mutants are written with them later: a file that changes in between would be compiled again.
    pub fn copy(original: &Path, root: &Path, mutants: &[Mutant]) -> Self {
        let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(original).output().expect("git runs");
        let listed = String::from_utf8(listed.stdout).expect("UTF-8");
        // Of this package the copy needs the switch alone, which becomes a member of its workspace.
        let is_copied = |file: &&str| *file != "tests/mutation/Cargo.toml" && mutants.iter().all(|m| m.file != *file);
        for file in listed.split_terminator('\0').filter(is_copied) {
            let text = fs::read(original.join(file)).expect("a file under version control");
            write_if_changed(&root.join(file), &edited(file, text));
        }
        Self { root: root.into(), original: original.into() }
    }

    /// Writes core with these mutants. Returns those that cannot be switched at run time.
    fn write(&self, mutants: &[&Mutant]) -> Vec<u32> {
        let mut files: BTreeMap<&str, Vec<&Mutant>> = BTreeMap::new();
        for mutant in mutants {
            files.entry(&mutant.file).or_default().push(mutant);
        }
        let mut left_out = Vec::new();
        for (file, mutants) in files {
            let source = fs::read_to_string(self.original.join(file)).expect("a source file");
            let rewritten = rewrite(&source, &mutants);
            left_out.extend(rewritten.left_out);
            write_if_changed(&self.root.join(file), rewritten.text.as_bytes());
        }
        left_out
    }

    /// Builds the suites with all of these mutants that compile. Returns the suites, the mutants that do not compile, which
    /// include those that are known, and the mutants that cannot be switched at run time.
    pub fn build(&self, mutants: &[Mutant], mut unviable: BTreeSet<u32>) -> (Vec<Suite>, BTreeSet<u32>, Vec<u32>) {
        // First core alone, whose errors come soonest.
        for command in ["check -p kafka-batch-core --all-features", SUITES] {
            loop {
                let viable: Vec<_> = mutants.iter().filter(|m| !unviable.contains(&m.number)).collect();
                let left_out = self.write(&viable);
                let (suites, wrong) = self.cargo(command);
                if wrong.is_empty() {
                    if command == SUITES {
                        return (suites, unviable, left_out);
                    }
                    break;
                }
                println!("{} mutants do not compile", wrong.len());
                unviable.extend(wrong);
            }
        }
        unreachable!("the last command returns")
    }

    /// Runs cargo. Returns the test binaries and the mutants with errors, of which there are none if it succeeded.
    fn cargo(&self, command: &str) -> (Vec<Suite>, BTreeSet<u32>) {
        let output = Command::new("cargo")
            .args(command.split_ascii_whitespace())
            .args(["--message-format=json", "--config", "profile.dev.package.kafka-batch-core.opt-level=1"])
            .current_dir(&self.root)
            .env("RUSTC_WORKSPACE_WRAPPER", concat!(env!("CARGO_MANIFEST_DIR"), "/rustc"))
            .stderr(Stdio::inherit())
            .output()
            .expect("cargo runs");
        let (mut suites, mut wrong, mut unexplained) = (Vec::new(), BTreeSet::new(), String::new());
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let Ok(message) = serde_json::from_str::<Message>(line) else { continue };
            if let (Some(program), Some(manifest), Some(target)) =
                (&message.executable, &message.manifest_path, &message.target)
            {
                let directory = manifest.parent().expect("a manifest is in a directory").to_path_buf();
                let is_simulation = target.name == "kafka-batch-simulation" && target.kind == ["bin"];
                if is_simulation || target.kind != ["bin"] {
                    let (name, program) = (target.name.clone(), program.clone());
                    let arguments = is_simulation.then_some(&["--schedules", "100", "--jobs", "1"][..]);
                    suites.push(Suite { name, arguments, program, directory });
                }
            }
            let Some(error) = message.message.filter(|message| message.level == "error") else { continue };
            match self.mutant_of(&error) {
                Some(mutant) => _ = wrong.insert(mutant),
                None => unexplained += &error.rendered.unwrap_or_default(),
            }
        }
        assert!(output.status.success() || !wrong.is_empty(), "the build fails for another reason: {unexplained}");
        (suites, wrong)
    }

    /// Returns the mutant in which the compiler found this error.
    fn mutant_of(&self, error: &Diagnostic) -> Option<u32> {
        let at = |span: &DiagnosticSpan| {
            let text = fs::read_to_string(self.root.join(&span.file_name)).ok()?;
            mutant_at(&text, span.byte_start)
        };
        let primary = error.spans.iter().filter(|span| span.is_primary).find_map(at);
        primary
            .or_else(|| error.spans.iter().find_map(at))
            .or_else(|| error.children.iter().flat_map(|child| &child.spans).find_map(at))
    }
}

/// Lets core depend on the switch, and accept what lints refuse: a mutant is viable whatever they say.
fn edited(file: &str, text: Vec<u8>) -> Vec<u8> {
    let with = |edit: &dyn Fn(&str) -> String| edit(&String::from_utf8_lossy(&text)).into_bytes();
    match file {
        "core/Cargo.toml" => with(&|manifest| {
            let dependency = "\n[dependencies]\nmutant-switch = { path = \"../tests/mutation/switch\" }\n";
            manifest.replace("\n[dependencies]\n", dependency)
        }),
        "core/src/lib.rs" => with(&|root| {
            let lints = "warnings, arithmetic_overflow, unconditional_panic, overflowing_literals, useless_deprecated";
            format!("#![allow({lints})]\n{root}")
        }),
        _ => text,
    }
}

fn write_if_changed(path: &Path, text: &[u8]) {
    if fs::read(path).is_ok_and(|old| old == text) {
        return;
    }
    fs::create_dir_all(path.parent().expect("a file is in a directory")).expect("a directory");
    fs::write(path, text).expect("a file of the copy");
}
