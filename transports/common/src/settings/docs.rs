//! Generates the documentation's table of settings from the table in the code.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::table::{Initial, TABLE};

/// If this environment variable is set, the test writes the table instead of comparing it.
const WRITE: &str = "KAFKA_BATCH_WRITE_SETTINGS";

fn markdown() -> String {
    let mut markdown = "| setting | values | default | what it is |\n|---|---|---|---|\n".to_owned();
    for row in TABLE {
        let names: Vec<_> = row.names().map(|name| format!("`{name}`")).collect();
        let default = match row.described.default {
            Initial::Value(value) => format!("`{value}`"),
            Initial::Described(text) => text.to_owned(),
        };
        let accepts = (row.described.accepts)();
        writeln!(markdown, "| {} | {accepts} | {default} | {} |", names.join(", "), row.described.about).unwrap();
    }
    markdown
}

#[test]
fn the_table_in_the_documentation_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/settings/table.md");
    let expected = markdown();
    if env::var_os(WRITE).is_some() {
        return fs::write(path, expected).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap();
    assert!(found == expected, "{} is out of date: run this test with {WRITE}=1", path.display());
}
