//! The manifest of `transports/rdkafka`, which is a workspace of its own, repeats what other packages inherit from the workspace.

use std::fs;
use std::path::Path;

fn read(folder: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join("Cargo.toml");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the lines of a table up to the next one, without comments and empty lines.
fn table<'t>(manifest: &'t str, name: &str) -> Vec<&'t str> {
    let lines = manifest.lines().skip_while(|line| *line != format!("[{name}]")).skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    let lines: Vec<_> = lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert!(!lines.is_empty(), "[{name}]");
    lines
}

/// Returns what follows `name = ` in a table.
fn value<'t>(table: &[&'t str], name: &str) -> &'t str {
    let found = table.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
    found.unwrap_or_else(|| panic!("{name} is missing in {table:?}"))
}

#[test]
fn what_the_manifest_of_the_transport_over_librdkafka_repeats_is_the_workspace_s() {
    let (workspace, transport) = (read("."), read("transports/rdkafka"));
    let (inherited, package) = (table(&workspace, "workspace.package"), table(&transport, "package"));
    for field in ["version", "edition", "rust-version", "license", "keywords", "categories"] {
        assert_eq!(value(&package, field), value(&inherited, field), "{field}");
    }
    for lints in ["lints.rust", "lints.clippy"] {
        assert_eq!(table(&transport, lints), table(&workspace, &format!("workspace.{lints}")), "{lints}");
    }
    let (theirs, ours) = (table(&transport, "dependencies"), table(&workspace, "workspace.dependencies"));
    for line in &theirs {
        let name = line.split(" = ").next().expect("a name");
        let version = |specification: &'static str, of: &str| {
            let start = of.find(specification).unwrap_or_else(|| panic!("{name}: {of}")) + specification.len();
            of[start..].split('"').next().expect("a version").to_owned()
        };
        assert_eq!(
            version("version = \"", value(&theirs, name)),
            version("version = \"", value(&ours, name)),
            "{name}"
        );
    }
}
