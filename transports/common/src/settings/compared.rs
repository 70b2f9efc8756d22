//! Tests that the tables of `docs/settings.md` name every setting, and the defaults of the code and of Java's client.

use std::collections::BTreeMap;

use super::table::{Initial, TABLE};

const PAGE: &str = include_str!("../../../../docs/settings.md");
const JAVA: &str = include_str!("../../tests/settings/java_defaults.tsv");
const FORMS: &str = include_str!("../../tests/settings/forms.tsv");

/// Returns the cells of the table after this mark, without its head.
fn rows(mark: &str) -> Vec<Vec<&'static str>> {
    let (_, table) = PAGE.split_once(&format!("<!-- {mark} -->\n")).unwrap_or_else(|| panic!("{mark}"));
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

/// Returns the texts in backticks.
fn names(cell: &'static str) -> Vec<&'static str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// Returns Java's settings and their defaults, as the tables write them.
fn java() -> BTreeMap<&'static str, String> {
    let lines = JAVA.lines().filter(|line| !line.starts_with('#'));
    let shown = |default: &str| if matches!(default, "" | "[]") { "none".to_owned() } else { format!("`{default}`") };
    lines.map(|line| line.split_once('\t').unwrap()).map(|(name, default)| (name, shown(default))).collect()
}

/// Whether librdkafka knows a setting, by the forms that were measured.
fn is_of_librdkafka(name: &str) -> bool {
    let cells = FORMS.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    cells.filter(|cells| cells[0] == name).any(|cells| cells[4] != "unknown")
}

/// Returns a default as the page has it: without links, and "none" without what follows.
fn described(text: &str) -> String {
    let text = text.replace(['[', ']'], "");
    let text = text.split('(').next().unwrap_or_default().trim();
    if text.starts_with("none") { "none".to_owned() } else { text.to_owned() }
}

#[test]
fn each_setting_is_compared() {
    let (rows, java) = (rows("settings"), java());
    assert_eq!(rows.len(), TABLE.len());
    for (cells, row) in rows.iter().zip(TABLE) {
        let &[names_cell, of_java, here, of_librdkafka, why] = &cells[..] else { panic!("{cells:?}") };
        let default = match row.described.default {
            Initial::Value(value) => format!("`{value}`"),
            Initial::Described(text) => described(text),
        };
        assert_eq!(here, default, "{}", row.name);
        let known = row.names().find_map(|name| Some((name, java.get(name)?)));
        let mut expected = vec![row.name];
        expected.extend(known.map(|(name, _)| name).filter(|name| *name != row.name));
        assert_eq!(names(names_cell), expected);
        assert_eq!(of_java, known.map_or("—", |(_, default)| default), "{}", row.name);
        let librdkafka = row.names().find(|name| is_of_librdkafka(name));
        assert_eq!(of_librdkafka, librdkafka.map_or("—".to_owned(), |name| format!("`{name}`")), "{}", row.name);
        let differs = known.is_some_and(|(_, default)| !default.eq_ignore_ascii_case(here));
        assert!(!differs || !why.is_empty(), "{}: Java's default is {of_java}, and there is no reason", row.name);
    }
}

#[test]
fn each_setting_of_javas_producer_is_in_one_of_the_tables() {
    let known: Vec<_> = TABLE.iter().flat_map(|row| row.names()).collect();
    let others = rows("without a counterpart");
    let mut used = vec![0; others.len()];
    for (name, default) in java().into_iter().filter(|(name, _)| !known.contains(name)) {
        let matches = |pattern: &str| match pattern.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == pattern,
        };
        let found = (0..others.len()).filter(|&row| names(others[row][0]).into_iter().any(matches));
        let found: Vec<usize> = found.collect();
        let [row] = found[..] else { panic!("{name} is in {} rows", found.len()) };
        used[row] += 1;
        let (patterns, defaults) = (names(others[row][0]), others[row][1]);
        let at = patterns.iter().position(|pattern| matches(pattern)).unwrap();
        let stated: Vec<&str> = defaults.split(", ").collect();
        let stated = stated.get(at).or(stated.first()).unwrap();
        assert!(*stated == "…" || *stated == default, "{name}: {default} in Java, {stated} in the table");
    }
    for (row, uses) in others.iter().zip(used) {
        assert!(uses > 0 && !row[2].is_empty(), "{row:?}");
    }
}
