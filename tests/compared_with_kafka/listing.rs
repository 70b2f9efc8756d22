//! The table as Markdown, in `testing/COMPARED.md`.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use crate::normalise::{NORMALISERS, ORDER, OTHERS};
use crate::table::{Difference, Row, Table};

/// The variable with which the file is written.
const WRITE: &str = "KAFKA_BATCH_WRITE_COMPARED";

const HEAD: &str = "\
# The cluster, beside Apache Kafka

The suite `tests/compared_with_kafka.rs` sends these requests to `TestCluster` and to Apache Kafka 4.4, the same bytes to both,
and compares what follows field by field: the response, and whether the connection stays open. It has written this file, and
fails if it is out of date.
";

/// Checks that the file is the listing of the table, or writes it if [`WRITE`] is set.
pub(crate) fn check(table: &Table) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testing/COMPARED.md");
    let listing = markdown(table);
    if env::var_os(WRITE).is_some() {
        return fs::write(path, listing).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == listing, "{} is out of date: run this test with {WRITE}=1", path.display());
}

fn markdown(table: &Table) -> String {
    let mut text = HEAD.to_owned();
    let equal = table.rows.iter().filter(|row| row.differences.is_empty()).count();
    write!(text, "\n{} requests: {equal} equal, {} with a difference.\n", table.rows.len(), table.rows.len() - equal)
        .unwrap();
    text.push_str("\n## Not compared\n\n| what | why |\n|---|---|\n");
    let rules = NORMALISERS.iter().map(|rule| (rule.name, rule.why));
    for (name, why) in rules.chain([ORDER, OTHERS]) {
        writeln!(text, "| {name} | {why} |").unwrap();
    }
    text.push_str("\n## Requests\n\n| request | API | version | |\n|---|---|--:|---|\n");
    for row in &table.rows {
        writeln!(text, "| {} | {} | {} | {} |", escaped(&row.name), row.api, row.version, result(row)).unwrap();
    }
    text
}

fn result(row: &Row) -> String {
    if row.differences.is_empty() {
        return "equal".to_owned();
    }
    let of_reason = |differences: &[Difference]| {
        let reason = escaped(differences[0].reason);
        match differences {
            [Difference { field: "*", .. }] => reason,
            _ => {
                let fields: Vec<_> = differences.iter().map(|difference| format!("`{}`", difference.field)).collect();
                format!("equal but for {}: {reason}", fields.join(", "))
            }
        }
    };
    let by_reason = row.differences.chunk_by(|a, b| a.reason == b.reason);
    by_reason.map(of_reason).collect::<Vec<_>>().join("; ")
}

fn escaped(text: &str) -> String {
    text.replace('|', "\\|")
}
