//! The table, the plot and the figures that they are made from.

use std::fmt::Write as _;
use std::io;

use kafka_batch_bench_shared::results;
use serde_json::json;

use crate::{environment, plot, targets};

/// One workload, built or read, by everyone who can.
pub struct Row {
    pub what: &'static str,
    pub workload: String,
    pub says: String,
    pub records: usize,
    /// The bound first.
    pub figures: Vec<Figure>,
}

/// One contender in one row.
pub struct Figure {
    pub name: &'static str,
    /// For each record, the median of the samples.
    pub nanoseconds: f64,
    /// The median of the ratios to the bound, each within one round.
    pub ratio: f64,
    /// The same, to kafka-batch.
    pub to_ours: f64,
    /// For each run.
    pub page_faults: f64,
    /// Takes no checksum where the others do.
    pub careless: bool,
}

impl Row {
    pub fn figure(&self, name: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.name == name)
    }
}

/// The rows as Markdown: each figure is a multiple of the row's bound.
pub fn table(rows: &[Row]) -> String {
    let mut text = String::new();
    for what in ["build", "fill", "read"] {
        let rows: Vec<&Row> = rows.iter().filter(|row| row.what == what).collect();
        let mut names: Vec<&str> = Vec::new();
        for figure in rows.iter().flat_map(|row| &row.figures) {
            if !names.contains(&figure.name) {
                names.push(figure.name);
            }
        }
        let _ = writeln!(text, "\n| {what} | records | {} |", names.join(" | "));
        let _ = writeln!(text, "|---|--:|{}", "--:|".repeat(names.len()));
        for row in rows {
            let cells = names.iter().map(|name| {
                row.figure(name).map_or("–".into(), |figure| {
                    let mark = if figure.careless { "*" } else { "" };
                    format!("{:.2}{mark}", figure.ratio)
                })
            });
            let cells: Vec<String> = cells.collect();
            let _ = writeln!(text, "| {} | {} | {} |", row.workload, row.records, cells.join(" | "));
        }
    }
    if rows.iter().flat_map(|row| &row.figures).any(|figure| figure.careless) {
        text += "\n\\* takes no checksum, and reads a batch with a bit wrong without a word.\n";
    }
    text
}

/// Writes `results/table.md`, `results/figures.json` and `results/plot.svg`.
pub fn write(rows: &[Row]) -> io::Result<()> {
    let environment = environment::look();
    let mut text = format!(
        "# Building and reading a batch\n\n{}- {}\n\nMultiples of the row's baseline, which is the first column that has a \
         figure: lower is faster. ../README.md says who is who.\n{}\n{}\n## Workloads\n\n",
        environment.lines(),
        environment::METHOD,
        table(rows),
        targets::table(rows),
    );
    for row in rows.iter().filter(|row| row.what != "read") {
        let bound = &row.figures[0];
        let _ = writeln!(
            text,
            "- {}: {}; {} takes {:.1} ns a record",
            row.workload, row.says, bound.name, bound.nanoseconds
        );
    }
    results::write("table.md", &text)?;
    let rows_as_json = rows.iter().map(|row| {
        let figures = row.figures.iter().map(|figure| {
            json!({
                "name": figure.name, "ns_per_record": figure.nanoseconds, "ratio_to_bound": figure.ratio,
                "ratio_to_kafka_batch": figure.to_ours, "page_faults_per_run": figure.page_faults, "takes_checksum": !figure.careless,
            })
        });
        json!({
            "what": row.what, "workload": row.workload, "says": row.says, "records": row.records,
            "figures": figures.collect::<Vec<_>>(),
        })
    });
    let figures = json!({
        "date": environment.date, "processor": environment.processor, "rustc": environment.rustc,
        "crates": environment.crates,
        "method": environment::METHOD, "rows": rows_as_json.collect::<Vec<_>>(),
    });
    results::write("figures.json", &(serde_json::to_string_pretty(&figures)? + "\n"))?;
    results::write("plot.svg", &plot::svg(rows))
}
