//! The table in `docs/servers.md`.

use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::promises::{COLUMNS, Row};

/// The lines around the table.
const MARKS: [&str; 2] = ["<!-- the table of tests/servers -->\n", "<!-- its end -->\n"];

/// Set to `update` to write the table.
const VARIABLE: &str = "KAFKA_BATCH_SERVERS";

/// The tests of several servers write the same file.
static FILE: Mutex<()> = Mutex::new(());

fn line(cells: &[impl AsRef<str>]) -> String {
    let cells: Vec<_> = cells.iter().map(AsRef::as_ref).collect();
    format!("| {} |\n", cells.join(" | "))
}

/// Compares the row of a server with the table in the documentation, or writes it into that.
pub(crate) fn compare_or_write(row: &Row) {
    let _lock = FILE.lock().unwrap_or_else(PoisonError::into_inner);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/servers.md");
    let text = fs::read_to_string(&file).expect("the page");
    let (before, rest) = text.split_once(MARKS[0]).expect("the line before the table");
    let (table, after) = rest.split_once(MARKS[1]).expect("the line after the table");
    let found = line(row);
    if std::env::var(VARIABLE).is_ok_and(|value| value == "update") {
        let (name, _version) = row[0].rsplit_once(' ').expect("a name and a version");
        let is_other = |line: &&str| {
            line.trim_start_matches("| ").split_once(" |").is_some_and(|(cell, _)| !cell.starts_with(name))
        };
        let mut rows: Vec<String> = table.split_inclusive('\n').skip(2).filter(is_other).map(str::to_owned).collect();
        rows.push(found);
        rows.sort();
        let head = [line(&COLUMNS), line(&COLUMNS.map(|_| "---"))].concat();
        let text = [before, MARKS[0], &head, &rows.concat(), MARKS[1], after].concat();
        fs::write(&file, text).expect("the page can be written");
    } else {
        let written = table.split_inclusive('\n').any(|line| line == found);
        assert!(written, "{file:?} does not have this row, which {VARIABLE}=update writes:\n{found}\n{table}");
    }
}
