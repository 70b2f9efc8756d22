//! The table for people, the figures for programs, and the plot: all from the same rows.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::{fs, io};

use serde_json::json;

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
}

/// The rows as Markdown: each figure is a multiple of the row's bound.
pub fn table(rows: &[Row]) -> String {
    let mut text = String::new();
    for what in ["build", "read"] {
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
                let figure = row.figures.iter().find(|figure| figure.name == *name);
                figure.map_or("–".into(), |figure| format!("{:.2}", figure.ratio))
            });
            let cells: Vec<String> = cells.collect();
            let _ = writeln!(text, "| {} | {} | {} |", row.workload, row.records, cells.join(" | "));
        }
    }
    text
}

/// Writes `results/table.md`, `results/figures.json` and `results/plot.svg`.
pub fn write(rows: &[Row]) -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
    fs::create_dir_all(&folder)?;
    let machine = machine();
    let mut text = format!(
        "# Building and reading a batch\n\nMultiples of the row's bound, the first column that has a figure: lower is \
         faster. Medians of interleaved samples on one pinned core; {machine}.\n{}\n## Workloads\n\n",
        table(rows)
    );
    for row in rows.iter().filter(|row| row.what == "build") {
        let bound = &row.figures[0];
        let _ = writeln!(
            text,
            "- {}: {}; {} takes {:.1} ns a record",
            row.workload, row.says, bound.name, bound.nanoseconds
        );
    }
    fs::write(folder.join("table.md"), text)?;
    let figures: Vec<_> =
        rows.iter()
            .map(|row| {
                let figures = row.figures.iter().map(
                    |figure| json!({"name": figure.name, "ns_per_record": figure.nanoseconds, "ratio": figure.ratio}),
                );
                json!({
                    "what": row.what, "workload": row.workload, "says": row.says, "records": row.records,
                    "figures": figures.collect::<Vec<_>>(),
                })
            })
            .collect();
    fs::write(
        folder.join("figures.json"),
        serde_json::to_string_pretty(&json!({"machine": machine, "rows": figures}))?,
    )?;
    fs::write(folder.join("plot.svg"), plot(rows))
}

/// What was measured on: the processor, the compiler, the day.
fn machine() -> String {
    let processor = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split(':').nth(1)?.trim().to_owned())
    });
    let says = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let parts = [processor, says("rustc", &["--version"]), says("date", &["+%F"])];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// The whole-batch contenders of a plot, in the order of their colours.
const COLOURS: [(&str, &str); 5] = [
    ("kafka-batch", "#0f9d8a"),
    ("krafka 0.28.1", "#c77d2b"),
    ("kafka-protocol 0.18.0", "#7a6fd0"),
    ("rskafka 0.6.0", "#c0507a"),
    ("tansu-sans-io 0.6.0", "#8a8f98"),
];

/// Bars for each row of magic 2: times the bound, on a logarithmic axis. Readable on light and on dark ground.
fn plot(rows: &[Row]) -> String {
    const LEFT: f64 = 150.0;
    const WIDTH: f64 = 560.0;
    const BAR: f64 = 11.0;
    const GAP: f64 = 14.0;
    let shown: Vec<&Row> = rows.iter().filter(|row| !row.workload.contains("magic")).collect();
    let most = shown.iter().flat_map(|row| &row.figures).map(|figure| figure.ratio).fold(2.0, f64::max);
    let x = |ratio: f64| LEFT + WIDTH * (ratio.max(0.8) / 0.8).ln() / (most / 0.8).ln();
    let mut y = 64.0;
    let mut body = String::new();
    for row in shown {
        let _ = writeln!(
            body,
            r#"<text x="{}" y="{}" text-anchor="end">{} {}</text>"#,
            LEFT - 8.0,
            y + BAR,
            row.what,
            row.workload
        );
        for (name, colour) in COLOURS {
            let Some(figure) = row.figures.iter().find(|figure| figure.name == name) else { continue };
            let end = x(figure.ratio);
            let _ = writeln!(
                body,
                r#"<rect x="{LEFT}" y="{y}" width="{:.1}" height="{BAR}" fill="{colour}"/><text x="{:.1}" y="{}" class="n">{:.2}</text>"#,
                end - LEFT,
                end + 4.0,
                y + BAR - 2.0,
                figure.ratio
            );
            y += BAR + 1.0;
        }
        y += GAP;
    }
    let bound = x(1.0);
    let legend: String = COLOURS
        .iter()
        .enumerate()
        .map(|(index, (name, colour))| {
            let at = 10 + index * 160;
            format!(
                r#"<rect x="{at}" y="34" width="10" height="10" fill="{colour}"/><text x="{}" y="43">{name}</text>"#,
                at + 14
            )
        })
        .collect();
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 820 {height}" font-family="sans-serif" font-size="12">
<style>text {{ fill: #333 }} .n {{ font-size: 9px }} line {{ stroke: #777 }} @media (prefers-color-scheme: dark) {{ text {{ fill: #ddd }} }}</style>
<text x="10" y="20" font-size="14">Times the bound (straight-line encoder, codec alone, bare walk): shorter is faster</text>
{legend}
<line x1="{bound:.1}" x2="{bound:.1}" y1="56" y2="{y}" stroke-dasharray="3 3"/>
{body}</svg>
"##,
        height = y + 10.0
    )
}
