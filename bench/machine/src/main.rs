//! What the producer's state machine costs: `../README.md` says how, and how to read it.

#![forbid(unsafe_code)]

mod baseline;
mod broker;
mod own;
mod through;
mod world;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use kafka_batch_bench_shared::bars::{Bars, Kind, Scale};
use kafka_batch_bench_shared::{Bound, Environment, median, results};
use own::{ROWS, Row};

const USAGE: &str = "\
usage: machine [OPTION]...

Measures the machine's own cost for a batch, and writes bench/results/machine.md.

  --baseline REVISION  also the machine of this commit, in turns with this one; needs git
  --quick              fewer and shorter turns, to the terminal only";

struct Plan {
    baseline: Option<String>,
    quick: bool,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        // One turn of one row, in a process of its own.
        ["turn", row, millis] => turn(row, millis),
        _ => plan(&words).and_then(|plan| measure(&plan)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn plan(words: &[&str]) -> Result<Plan, String> {
    let mut plan = Plan { baseline: None, quick: false };
    let mut words = words.iter();
    while let Some(&word) = words.next() {
        match word {
            "--quick" => plan.quick = true,
            "--baseline" => plan.baseline = Some((*words.next().ok_or(USAGE)?).into()),
            _ => return Err(USAGE.into()),
        }
    }
    Ok(plan)
}

/// Returns the rows of a plan.
fn rows(quick: bool) -> impl Iterator<Item = Row> {
    ROWS.into_iter().map(move |row| if quick { row.quick() } else { row })
}

fn turn(name: &str, millis: &str) -> Result<(), String> {
    let core = core_affinity::get_core_ids().and_then(|cores| cores.last().copied()).ok_or("no core")?;
    core_affinity::set_for_current(core);
    let budget = Duration::from_millis(millis.parse().map_err(|error| format!("{millis}: {error}"))?);
    let row = rows(false).chain(rows(true)).find(|row| row.name() == name).ok_or_else(|| format!("no row {name}"))?;
    println!("{}", row.measure(budget));
    Ok(())
}

/// Runs one turn of a row with this executable.
fn run(program: &Path, row: Row, budget: Duration) -> Result<f64, String> {
    let output = Command::new(program).args(["turn", &row.name(), &budget.as_millis().to_string()]).output();
    let output = output.map_err(|error| format!("{}: {error}", program.display()))?;
    if !output.status.success() {
        return Err(format!("{}: {}", row.name(), String::from_utf8_lossy(&output.stderr)));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().map_err(|error| format!("{}: {text:?}: {error}", row.name()))
}

/// A row's figures, in nanoseconds a batch.
struct Measured {
    row: Row,
    now: f64,
    baseline: Option<f64>,
    /// This machine's figure as a multiple of the baseline's, the median over the rounds.
    ratio: Option<f64>,
}

fn measure(plan: &Plan) -> Result<(), String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let baseline: Option<PathBuf> = plan.baseline.as_deref().map(baseline::build).transpose()?;
    let (rounds, budget) = if plan.quick { (1, 300) } else { (5, 1_000) };
    let mut measured = Vec::new();
    for row in rows(plan.quick) {
        let (mut now, mut before) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            now.push(run(&this, row, Duration::from_millis(budget))?);
            if let Some(baseline) = &baseline {
                before.push(run(baseline, row, Duration::from_millis(budget))?);
            }
        }
        let ratios = now.iter().zip(&before).map(|(now, before)| now / before).collect();
        let figures =
            Measured { row, now: median(now).ok_or("no figure")?, baseline: median(before), ratio: median(ratios) };
        eprintln!("{}: {:.0} ns, baseline {:.0?}", row.name(), figures.now, figures.baseline);
        measured.push(figures);
    }
    let environment = Environment::look(env!("CARGO_PKG_NAME"), &["bytes", "crc-fast", "kafka-batch-core"]).lines();
    let text = format!(
        "# What the machine costs, for each batch\n\n{environment}\n## As work accumulates\n\n{}\n## Beside filling and \
         sealing\n\n{}",
        table(&measured, plan.baseline.as_deref()),
        through::table(if plan.quick { 100_000 } else { 1_000_000 })
    );
    print!("{text}");
    if !plan.quick {
        results::write("machine.md", &text).map_err(|error| error.to_string())?;
        results::write("machine.svg", &plot(&measured, plan.baseline.as_deref())).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn plot(measured: &[Measured], baseline: Option<&str>) -> String {
    let before = format!("commit {}", baseline.unwrap_or("–"));
    let kinds = [Kind { name: "now", colour: "#0f9d8a" }, Kind { name: &before, colour: "#9aa0a6" }];
    let groups: Vec<_> = measured.iter().map(|row| (row.row.name(), vec![Some(row.now), row.baseline])).collect();
    let title = "The machine's own cost for a batch, ns (logarithmic): shorter is faster";
    Bars { title, kinds: &kinds, scale: Scale::Logarithmic, label: |cost| format!("{cost:.0}") }.svg(&groups)
}

/// How much more than the smallest figure of its kind a figure may be.
const FLAT: Bound = Bound::AtMost(1.5);

fn table(measured: &[Measured], baseline: Option<&str>) -> String {
    let smallest = |figures: &mut dyn Iterator<Item = f64>| figures.fold(f64::INFINITY, f64::min);
    let kind = |row: Row| std::mem::discriminant(&row);
    let mut text = String::from(
        "Time inside the machine only: `send`, `poll_output` and `handle_input`, less what stamping the same batches \
         takes; the broker's time is not in it. One broker, idempotent, five requests in flight, of up to 64 batches. \
         *Partitions*: each has one batch of 1 KiB at any time. *Waiting*: one partition always has so many. *Burst*: all batches, of one record, are accepted for 100 partitions before the first is sent. Each \
         figure is the median of turns in processes of their own, of this machine and the baseline alternately.\n\n",
    );
    if let Some(baseline) = baseline {
        let _ = writeln!(text, "Baseline: commit {baseline}.\n");
    }
    text.push_str("| | now | × the smallest of its kind | target | | baseline | now ÷ baseline |\n|---|--:|--:|--:|---|--:|--:|\n");
    for Measured { row, now, baseline, ratio } in measured {
        let alike = || measured.iter().filter(|other| kind(other.row) == kind(*row));
        let least = smallest(&mut alike().map(|other| other.now));
        let multiple = now / least;
        let (target, verdict) = match row {
            Row::Burst(_) => (String::new(), ""),
            _ => (FLAT.to_string(), FLAT.verdict(Some(multiple))),
        };
        let or_none = |figure: Option<f64>, places: usize| figure.map_or_else(String::new, |f| format!("{f:.places$}"));
        let _ = writeln!(
            text,
            "| {} | {now:.0} ns | {multiple:.2} | {target} | {verdict} | {} | {} |",
            row.name(),
            baseline.map_or_else(String::new, |figure| format!("{figure:.0} ns")),
            or_none(*ratio, 3),
        );
    }
    text
}
