//! Circles of imports between files.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::Path;

use crate::paths::references;
use crate::{module, sources};

/// Which files each file imports from, by the module in each.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// The folders without circles of imports, and the circles that they still have.
const FOLDERS: [(&str, &str, &[&str]); 3] =
    [("core/src", "cause", &[]), ("core/src", "machine", &[]), ("transports/common/src", "", &[])];

#[test]
fn files_do_not_import_each_other_in_circles() {
    for (root, folder, known) in FOLDERS {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(root);
        let files = sources(&root.join(folder));
        assert!(files.len() > 5, "{}: {folder:?} has only {} files", root.display(), files.len());
        let read = files.iter().map(|file| (module(&root, file), fs::read_to_string(file).expect("text")));
        let found = circles(&graph(&read.collect::<Vec<_>>()));
        assert_eq!(found, known, "circles in {}, and those that FOLDERS lists", root.join(folder).display());
    }
}

/// Returns which of these files imports which. Tests and explorations are left out, and so are imports from a module that contains the
/// file: a submodule is a part of it.
fn graph(files: &[(Vec<String>, String)]) -> Graph {
    let is_test = |module: &[String]| module.iter().any(|name| name == "tests" || name == "exploration");
    let files: BTreeMap<&[String], &str> =
        files.iter().filter(|(module, _)| !is_test(module)).map(|(module, text)| (&module[..], &text[..])).collect();
    let mut graph = Graph::new();
    for (&module, text) in &files {
        let imports = graph.entry(module.join("/")).or_default();
        for reference in references(text, module).iter().filter(|reference| !reference.is_test) {
            let path = &reference.path;
            let file = (0..=path.len()).rev().map(|len| &path[..len]).find(|prefix| files.contains_key(prefix));
            imports.extend(file.filter(|file| !module.starts_with(file)).map(|file| file.join("/")));
        }
    }
    graph
}

/// Returns the shortest circle through each import, once, in the form `a → b → a`.
fn circles(graph: &Graph) -> Vec<String> {
    let mut found = BTreeSet::new();
    for (from, imports) in graph {
        for to in imports {
            if let Some(mut circle) = way(graph, to, from) {
                let first = circle.iter().enumerate().min_by_key(|(_, name)| *name).map_or(0, |(at, _)| at);
                circle.rotate_left(first);
                circle.push(circle[0]);
                found.insert(circle.join(" → "));
            }
        }
    }
    found.into_iter().collect()
}

/// Returns the shortest way along imports, both ends included.
fn way<'g>(graph: &'g Graph, from: &'g str, to: &str) -> Option<Vec<&'g str>> {
    let mut came_from = BTreeMap::from([(from, from)]);
    let mut queue = VecDeque::from([from]);
    while let Some(file) = queue.pop_front() {
        if file == to {
            let mut way = vec![file];
            while way[way.len() - 1] != from {
                way.push(came_from[way[way.len() - 1]]);
            }
            way.reverse();
            return Some(way);
        }
        for next in graph.get(file).into_iter().flatten() {
            if !came_from.contains_key(next.as_str()) {
                came_from.insert(next, file);
                queue.push_back(next);
            }
        }
    }
    None
}

#[test]
fn circles_are_found() {
    let found = |files: &[(&str, &str)]| {
        let module = |path: &str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
        circles(&graph(&files.iter().map(|&(path, text)| (module(path), text.to_owned())).collect::<Vec<_>>()))
    };
    let (a, b) = (("a", "use crate::b::B;"), ("b", "use crate::c::{C, D};"));
    assert!(found(&[a, b, ("c", "use crate::d::D;")]).is_empty());
    assert_eq!(found(&[b, ("c", "fn f(a: crate::a::A) {}"), a]), ["a → b → c → a"]);
    assert_eq!(found(&[a, ("b", "use super::a::A; use crate::a;")]), ["a → b → a"]);
    assert!(found(&[a, ("b", "mod tests { use crate::a::A; }"), ("b/tests", "use crate::a::A;")]).is_empty(), "tests");
    // A submodule may use what contains it, but a way out of the module and back is a circle.
    assert!(found(&[("a", "use self::b::B;"), ("a/b", "use super::A;")]).is_empty());
    assert_eq!(
        found(&[("a", "use b::B;"), ("a/b", "use crate::c::C;"), ("c", "use crate::a::A;")]),
        ["a → a/b → c → a"]
    );
}
