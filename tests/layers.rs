//! Who may import whom in core: downwards only. Reads every path in core's source that begins with `crate`, `super` or
//! `self`, so that a line that breaks the order fails here and not in a review.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms of core, lowest first: a name for some rooms that may import each other, the rooms, and the names of those
/// below that they may import from. Where two stand side by side (`protocol` and `batch`, say), neither knows the other.
const ROOMS: [(&str, &[&str], &[&str]); 7] = [
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
    ("publishing", &["delivery", "failure", "publish", "send_message", "transport"], &["values", "protocol", "batch"]),
    ("proptest", &["proptest"], &["values", "protocol", "batch", "publishing"]),
    ("machine", &["machine"], &["values", "protocol", "batch", "publishing"]),
];

/// What single files must not know, though their room may: a connection knows no topic and no batch.
const UNKNOWN_TO: [(&str, &[&str]); 2] =
    [("machine/connection", &["batch", "delivery", "record"]), ("machine/handshake", &["batch", "delivery", "record"])];

#[test]
fn core_imports_downwards_only() {
    let root: PathBuf = [env!("CARGO_MANIFEST_DIR"), "core", "src"].iter().collect();
    let mut files = Vec::new();
    find_sources(&root, &mut files);
    assert!(files.len() > 30, "core's source is in {}", root.display());
    let reexports = reexports(&fs::read_to_string(root.join("lib.rs")).expect("lib.rs"));

    let mut broken = Vec::new();
    for file in files.iter().filter(|file| **file != root.join("lib.rs")) {
        let place = file.strip_prefix(&root).expect("below core/src").with_extension("");
        let mut module: Vec<_> = place.iter().map(|name| name.to_string_lossy().into_owned()).collect();
        module.retain(|name| name != "mod");
        for (line, name) in heads(&fs::read_to_string(file).expect("text"), &module) {
            let room = reexports.get(&name).unwrap_or(&name);
            if let Some(fault) = fault(&module, room) {
                broken.push(format!("{}:{line}: {fault}", file.display()));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

/// What is wrong with importing `room` into `module`, if anything is.
fn fault(module: &[String], room: &str) -> Option<String> {
    let group = |room: &str| ROOMS.iter().find(|(_, rooms, _)| rooms.contains(&room));
    let Some((own, _, below)) = group(&module[0]) else {
        return Some(format!("the room {} is not in ROOMS", module[0]));
    };
    let Some((other, ..)) = group(room) else {
        return Some(format!("{room} is in no room that ROOMS has"));
    };
    let file = module.join("/");
    let unknown = UNKNOWN_TO.iter().any(|(place, rooms)| file.starts_with(place) && rooms.contains(&room));
    let allowed = (own == other || below.contains(other)) && !unknown;
    (!allowed).then(|| format!("{file} must not know {room}"))
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

/// The room of each name that `lib.rs` gives out: `crate::Magic` is an import of `magic`.
fn reexports(lib: &str) -> BTreeMap<String, String> {
    let tokens = tokens(lib);
    let words: Vec<&str> = tokens.iter().map(|(_, token)| token.as_str()).collect();
    let mut found = BTreeMap::new();
    for start in (0..words.len()).filter(|&at| words[at..].starts_with(&["pub", "use"])) {
        let room = words[start + 2];
        let names = words[start + 3..].iter().take_while(|word| **word != ";");
        found.extend(names.filter(|name| is_name(name)).map(|name| ((*name).to_owned(), room.to_owned())));
    }
    found
}

/// The first name below the crate's root of every path that reaches it, with its line: `time` of `crate::time::Timestamp`,
/// and of `super::time` in a module just below the root. `module` is where the source stands.
fn heads(source: &str, module: &[String]) -> Vec<(usize, String)> {
    let tokens = tokens(source);
    let words: Vec<&str> = tokens.iter().map(|(_, token)| token.as_str()).collect();
    // The modules written out in this source around the place: of each, how many braces are open in front of it.
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

/// Follows the path (or tree of paths) at `at` in a module `depth` below the root, tells where each branch has its first
/// name below the root, and gives the place behind it. Branches that stay below the module's own room have none.
fn follow(words: &[&str], mut at: usize, mut depth: usize, tell: &mut dyn FnMut(usize)) -> usize {
    loop {
        match words.get(at).copied() {
            Some("crate") => depth = 0,
            Some("super") => depth = depth.saturating_sub(1),
            Some("self") => {}
            Some("{") => {
                at += 1;
                while words.get(at).is_some_and(|word| *word != "}") {
                    at = follow(words, at, depth, tell);
                    at += usize::from(words.get(at) == Some(&","));
                }
                return at + 1;
            }
            Some(_) => {
                if depth == 0 {
                    tell(at);
                }
                // On to the end of this branch; what is below a room is the room's.
                at += 1;
                if words.get(at) == Some(&"::") && words.get(at + 1).is_some_and(|next| is_name(next) || *next == "{") {
                    return follow(words, at + 1, usize::MAX, tell);
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

/// Words and signs of Rust source with their lines, counted from 1; without comments, texts and single characters.
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

/// How long the text is that `source` begins with, quotes included.
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

/// How long the character is that `source` begins with; of a lifetime, the tick alone.
fn character_len(source: &str) -> usize {
    let mut letters = source.char_indices().skip(1);
    match (letters.next(), letters.next()) {
        (Some((_, '\\')), Some(_)) => letters.find(|(_, letter)| *letter == '\'').map_or(1, |(at, _)| at + 1),
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1,
    }
}

#[test]
fn every_way_to_write_an_import_is_seen() {
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
    // `super` in a room of one file is the root; in a module of a room it is the room.
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
    assert!(!allowed("protocol/frame", "time"), "protocol knows itself alone");
    assert!(!allowed("machine/connection", "batch") && allowed("machine/transitions", "batch"));
    assert!(!allowed("attic", "time") && !allowed("batch", "Nameless"), "what is unknown is not allowed");
}
