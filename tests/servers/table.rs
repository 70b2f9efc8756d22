//! The table in `docs/servers.md`.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::promises::{COLUMNS, Row};

/// The lines around the table.
const MARKS: [&str; 2] = ["<!-- the table of tests/servers -->\n", "<!-- its end -->\n"];

/// Set to `update` to write the table.
const VARIABLE: &str = "KAFKA_BATCH_SERVERS";

fn render(rows: &[Row]) -> String {
    let mut table = String::new();
    for row in [&COLUMNS.map(str::to_owned), &COLUMNS.map(|_| "---".to_owned())].into_iter().chain(rows) {
        let _ = writeln!(table, "| {} |", row.join(" | "));
    }
    table
}

/// Compares the rows with the table in the documentation, or writes them into it.
pub(crate) fn compare_or_write(rows: &[Row]) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/servers.md");
    let text = fs::read_to_string(&file).expect("the page");
    let (before, rest) = text.split_once(MARKS[0]).expect("the line before the table");
    let (table, after) = rest.split_once(MARKS[1]).expect("the line after the table");
    let found = render(rows);
    if std::env::var(VARIABLE).is_ok_and(|value| value == "update") {
        fs::write(&file, [before, MARKS[0], &found, MARKS[1], after].concat()).expect("the page can be written");
    } else {
        assert_eq!(found, table, "the table in {file:?} is made by {VARIABLE}=update\n{found}");
    }
}
