//! The imports between core's modules, which must go to lower layers. Checks every path in core's source that begins with
//! `crate`, `super` or `self`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The layers of core, lowest first: a name, the modules of the layer, which may import each other, and the names of the lower
/// layers that they may import from. Layers side by side (such as `protocol` and `batch`) do not import each other.
const LAYERS: [(&str, &[&str], &[&str]); 7] = [
    (
        "values",
        &[
            "checksum",
            "compression",
            "field",
            "headers",
            "magic",
            "message",
            "partitioner",
            "record",
            "secret",
            "splitmix64",
            "time",
            "varint",
        ],
        &[],
    ),
    ("protocol", &["protocol"], &[]),
    ("batch", &["batch"], &["values"]),
    ("stream", &["stream"], &["values", "batch"]),
    ("publishing", &["delivery", "failure", "publish", "transport"], &["values", "protocol", "batch"]),
    ("proptest", &["proptest"], &["values", "protocol", "batch", "publishing"]),
    ("machine", &["machine"], &["values", "protocol", "batch", "publishing"]),
];

/// What single files must not import, although their layer may: a connection knows no topic and no batch.
const UNKNOWN_TO: [(&str, &[&str]); 2] =
    [("machine/connection", &["batch", "delivery", "record"]), ("machine/handshake", &["batch", "delivery", "record"])];

#[test]
fn core_imports_downwards_only() {
    let root: PathBuf = [env!("CARGO_MANIFEST_DIR"), "core", "src"].iter().collect();
    let mut files = Vec::new();
    find_sources(&root, &mut files);
    assert!(files.len() > 30, "core's source is not in {}", root.display());
    let reexports = reexports(&fs::read_to_string(root.join("lib.rs")).expect("lib.rs"));

    let mut broken = Vec::new();
    for file in files.iter().filter(|file| **file != root.join("lib.rs")) {
        let place = file.strip_prefix(&root).expect("below core/src").with_extension("");
        let mut module: Vec<_> = place.iter().map(|name| name.to_string_lossy().into_owned()).collect();
        module.retain(|name| name != "mod");
        for (line, name) in heads(&fs::read_to_string(file).expect("text"), &module) {
            let imported = reexports.get(&name).unwrap_or(&name);
            if let Some(fault) = fault(&module, imported) {
                broken.push(format!("{}:{line}: {fault}", file.display()));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

/// Returns what is wrong with importing `imported` into `module`, if anything is.
fn fault(module: &[String], imported: &str) -> Option<String> {
    let layer = |name: &str| LAYERS.iter().find(|(_, modules, _)| modules.contains(&name));
    let Some((own, _, below)) = layer(&module[0]) else {
        return Some(format!("the module {} is not in LAYERS", module[0]));
    };
    let Some((other, ..)) = layer(imported) else {
        return Some(format!("{imported} is in no layer of LAYERS"));
    };
    let file = module.join("/");
    let unknown = UNKNOWN_TO.iter().any(|(place, modules)| file.starts_with(place) && modules.contains(&imported));
    let allowed = (own == other || below.contains(other)) && !unknown;
    (!allowed).then(|| format!("{file} must not import {imported}"))
}

fn find_sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("core's source") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            find_sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Returns the module of each name that `lib.rs` re-exports: `crate::Magic` is an import of `magic`.
fn reexports(lib: &str) -> BTreeMap<String, String> {
    let tokens = tokens(lib);
    let words: Vec<&str> = tokens.iter().map(|(_, token)| token.as_str()).collect();
    let mut found = BTreeMap::new();
    for start in (0..words.len()).filter(|&at| words[at..].starts_with(&["pub", "use"])) {
        let module = words[start + 2];
        let names = words[start + 3..].iter().take_while(|word| **word != ";");
        found.extend(names.filter(|name| is_name(name)).map(|name| ((*name).to_owned(), module.to_owned())));
    }
    found
}

/// Returns the first name below the crate's root of every path that reaches it, with its line: `time` of
/// `crate::time::Timestamp`, and of `super::time` in a module just below the root. `module` is the module of the source.
fn heads(source: &str, module: &[String]) -> Vec<(usize, String)> {
    let tokens = tokens(source);
    let words: Vec<&str> = tokens.iter().map(|(_, token)| token.as_str()).collect();
    // The inline modules around the current position: for each, how many braces are open before it.
    let mut inline: Vec<usize> = Vec::new();
    let mut open = 0;
    let mut found = Vec::new();
    for (at, &word) in words.iter().enumerate() {
        match word {
            "{" => {
                if at >= 2 && words[at - 2] == "mod" {
                    inline.push(open);
                }
                open += 1;
            }
            "}" => {
                open -= 1;
                inline.retain(|before| *before < open);
            }
            "crate" | "super" | "self"
                if words.get(at + 1) == Some(&"::") && at.checked_sub(1).map(|before| words[before]) != Some("::") =>
            {
                let depth = module.len() + inline.len();
                follow(&words, at, depth, &mut |at| found.push((tokens[at].0, words[at].to_owned())));
            }
            _ => {}
        }
    }
    found
}

/// Follows the path (or tree of paths) at `at` in a module `depth` below the root, calls `found` with the position of the first
/// name below the root of each branch, and returns the position after it. Branches below the module itself have none.
fn follow(words: &[&str], mut at: usize, mut depth: usize, found: &mut dyn FnMut(usize)) -> usize {
    loop {
        match words.get(at).copied() {
            Some("crate") => depth = 0,
            Some("super") => depth = depth.saturating_sub(1),
            Some("self") => {}
            Some("{") => {
                at += 1;
                while words.get(at).is_some_and(|word| *word != "}") {
                    at = follow(words, at, depth, found);
                    at += usize::from(words.get(at) == Some(&","));
                }
                return at + 1;
            }
            Some(_) => {
                if depth == 0 {
                    found(at);
                }
                // The rest of this branch is within the same module.
                at += 1;
                if words.get(at) == Some(&"::") && words.get(at + 1).is_some_and(|next| is_name(next) || *next == "{") {
                    return follow(words, at + 1, usize::MAX, found);
                }
                if words.get(at) == Some(&"as") {
                    at += 2;
                }
                return at;
            }
            None => return at,
        }
        at += 1;
        if words.get(at) != Some(&"::") {
            return at;
        }
        at += 1;
    }
}

fn is_name(word: &str) -> bool {
    word.starts_with(|letter: char| letter.is_alphabetic() || letter == '_')
}

/// Returns the words and symbols of Rust source with their lines, counted from 1; without comments, strings and characters.
fn tokens(source: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut rest = source;
    let mut line = 1;
    while let Some(first) = rest.chars().next() {
        let len = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '"' => text_len(rest),
            '\'' => character_len(rest),
            _ if first.is_alphanumeric() || first == '_' => {
                let len = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(rest.len());
                found.push((line, rest[..len].to_owned()));
                len
            }
            ':' if rest.starts_with("::") => {
                found.push((line, "::".to_owned()));
                2
            }
            _ => {
                if !first.is_whitespace() {
                    found.push((line, first.to_string()));
                }
                first.len_utf8()
            }
        };
        line += rest[..len].matches('\n').count();
        rest = &rest[len..];
    }
    found
}

/// Returns the length of the string that `source` begins with, including its quotes.
fn text_len(source: &str) -> usize {
    let mut letters = source.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => drop(letters.next()),
            '"' => return at + 1,
            _ => {}
        }
    }
    source.len()
}

/// Returns the length of the character that `source` begins with; for a lifetime, of its quote only.
fn character_len(source: &str) -> usize {
    let mut letters = source.char_indices().skip(1);
    match (letters.next(), letters.next()) {
        (Some((_, '\\')), Some(_)) => letters.find(|(_, letter)| *letter == '\'').map_or(1, |(at, _)| at + 1),
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1,
    }
}

#[test]
fn every_form_of_an_import_is_found() {
    let seen = |source: &str, module: &[&str]| {
        let module: Vec<_> = module.iter().map(|&name| name.to_owned()).collect();
        heads(source, &module).into_iter().map(|(line, name)| format!("{line} {name}")).collect::<Vec<_>>()
    };
    assert_eq!(seen("use crate::batch::KafkaBatch; // crate::time", &["headers"]), ["1 batch"]);
    assert_eq!(
        seen("\nuse crate::{Magic, batch::{self, seal::Stamp}, time as t};", &["headers"]),
        ["2 Magic", "2 batch", "2 time"]
    );
    assert_eq!(
        seen("fn f(d: &'a X) { crate::Timestamp::from(crate::varint::len('\\'')) }", &["headers"]),
        ["1 Timestamp", "1 varint"]
    );
    // `super` in a module of one file is the root; in a submodule it is the module.
    assert_eq!(seen("use super::{batch, time::Timestamp};", &["headers"]), ["1 batch", "1 time"]);
    assert_eq!(seen("use super::{options, encode::{v2}}; use super::super::time::Y;", &["batch", "seal"]), ["1 time"]);
    assert_eq!(
        seen("mod tests { use super::*; use super::super::proptest; }\nuse super::lib;", &["headers"]),
        ["1 proptest", "2 lib"]
    );
    assert!(
        seen("/* crate::a */ /// crate::b\nlet text = \"crate::c \\\" crate::d\"; pub(super) fn e() {}", &["x"])
            .is_empty()
    );

    let reexports = reexports("mod magic;\npub use magic::{Magic, MagicChoice};\n#[cfg(x)]\npub use message::Json;");
    assert_eq!(reexports["Magic"], "magic");
    assert_eq!(reexports["Json"], "message");
}

#[test]
fn an_import_upwards_is_a_fault() {
    let allowed = |from: &str, to: &str| fault(&from.split('/').map(str::to_owned).collect::<Vec<_>>(), to).is_none();
    assert!(allowed("batch/seal", "magic") && allowed("record", "headers") && allowed("publish", "transport"));
    assert!(!allowed("message", "batch"), "upwards");
    assert!(!allowed("batch/seal", "publish"), "upwards");
    assert!(!allowed("batch", "protocol") && !allowed("protocol", "batch"), "side by side");
    assert!(!allowed("protocol/frame", "time"), "protocol imports nothing else");
    assert!(!allowed("machine/connection", "batch") && allowed("machine/transitions", "batch"));
    assert!(!allowed("unlisted", "time") && !allowed("batch", "Nameless"), "unknown names are not allowed");
}
