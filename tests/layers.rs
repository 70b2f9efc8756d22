//! Which file may import which: in core downwards only, and in the machine and in what transports share without circles.
//! Reads every path in the source that begins with `crate`, `super` or `self`, so that a line that breaks the order fails
//! here and not in a review.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::paths::references;
use crate::tokens::{is_name, tokens};

#[path = "layers/circles.rs"]
mod circles;
#[path = "layers/paths.rs"]
mod paths;
#[path = "layers/tokens.rs"]
mod tokens;

/// The layers of core, lowest first: a name, the modules of the layer, which may import each other, and the names of the
/// lower layers that they may import from. Layers side by side (such as `protocol` and `batch`) do not import each other.
const LAYERS: [(&str, &[&str], &[&str]); 12] = [
    (
        "values",
        &[
            "checksum",
            "compression",
            "counted",
            "due_to",
            "field",
            "headers",
            "magic",
            "one_line",
            "outgoing",
            "partitioner",
            "record",
            "secret",
            "splitmix64",
            "time",
            "transport_error",
            "varint",
        ],
        &[],
    ),
    ("protocol", &["protocol"], &[]),
    ("cause", &["cause"], &["values", "protocol"]),
    ("batch", &["batch"], &["values"]),
    ("stream", &["stream"], &["values", "batch"]),
    (
        "publishing",
        &["delivery", "failure", "publish", "send_error", "send_message", "transaction", "transport"],
        &["values", "protocol", "cause", "batch"],
    ),
    ("publisher", &["publisher"], &["values", "batch", "stream", "publishing"]),
    ("proptest", &["proptest"], &["values", "protocol", "batch", "publishing"]),
    ("machine", &["machine"], &["values", "protocol", "cause", "batch", "publishing"]),
    ("observer", &["observer"], &["batch", "publishing", "machine"]),
    (
        "tests of all errors",
        &["error_texts"],
        &["values", "protocol", "cause", "batch", "stream", "publishing", "machine", "for users"],
    ),
    // Public modules that only re-export. Nothing in core imports from them.
    ("for users", &["convert", "decode", "error", "message"], &["values", "batch", "publishing"]),
];

/// What single files must not import, although their layer may: a connection knows no topic and no batch.
const UNKNOWN_TO: [(&str, &[&str]); 2] =
    [("machine/connection", &["batch", "delivery", "record"]), ("machine/handshake", &["batch", "delivery", "record"])];

#[test]
fn core_imports_downwards_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("core/src");
    let files = sources(&root);
    assert!(files.len() > 30, "core's source is in {}", root.display());
    let reexports = reexports(&fs::read_to_string(root.join("lib.rs")).expect("lib.rs"));

    let mut broken = Vec::new();
    for file in files.iter().filter(|file| **file != root.join("lib.rs")) {
        let module = module(&root, file);
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

/// The source files below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.append(&mut sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The module in a file, as the names below the root of the crate.
fn module(root: &Path, file: &Path) -> Vec<String> {
    let place = file.strip_prefix(root).expect("a file below the root").with_extension("");
    let mut names: Vec<_> = place.iter().map(|name| name.to_string_lossy().into_owned()).collect();
    names.retain(|name| name != "mod");
    names
}

/// The first name of every path in this module that leads out of its module, with its line: `time` of
/// `crate::time::Timestamp`, and of `super::time` in a module just below the root.
fn heads(source: &str, module: &[String]) -> Vec<(usize, String)> {
    let references = references(source, module).into_iter();
    let heads = references.filter_map(|reference| Some((reference.line, reference.path.into_iter().next()?)));
    heads.filter(|(_, head)| *head != module[0]).collect()
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

#[test]
fn every_way_to_write_an_import_is_seen() {
    let seen = |source: &str, module: &[&str]| {
        let module: Vec<_> = module.iter().map(|&name| name.to_owned()).collect();
        heads(source, &module).into_iter().map(|(line, name)| format!("{line} {name}")).collect::<Vec<_>>()
    };
    assert_eq!(seen("use crate::batch::KafkaBatch; // crate::time", &["headers"]), ["1 batch"]);
    assert_eq!(
        seen("\nuse crate::{Magic, batch::{self, seal::Stamp}, time as t};", &["headers"]),
        ["2 Magic", "2 batch", "2 batch", "2 time"]
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

    let reexports =
        reexports("mod magic;\npub use magic::{Magic, MagicChoice};\n#[cfg(x)]\npub use batch::seal::SealError;");
    assert_eq!(reexports["Magic"], "magic");
    assert_eq!(reexports["SealError"], "batch");
}

#[test]
fn an_import_upwards_is_a_fault() {
    let allowed = |from: &str, to: &str| fault(&from.split('/').map(str::to_owned).collect::<Vec<_>>(), to).is_none();
    assert!(allowed("batch/seal", "magic") && allowed("record", "headers") && allowed("publish", "transport"));
    assert!(!allowed("outgoing", "batch"), "upwards");
    assert!(allowed("message", "batch") && !allowed("batch", "message"), "public modules are for users");
    assert!(!allowed("batch/seal", "publish"), "upwards");
    assert!(allowed("publisher/sender", "stream") && allowed("publisher/sender", "transport"));
    assert!(!allowed("stream", "publisher") && !allowed("transport", "publisher"), "upwards");
    assert!(!allowed("publisher/sender", "machine") && !allowed("machine", "publisher"), "side by side");
    assert!(!allowed("batch", "protocol") && !allowed("protocol", "batch"), "side by side");
    assert!(!allowed("protocol/frame", "time"), "protocol knows itself alone");
    assert!(!allowed("machine/connection", "batch") && allowed("machine/transitions", "batch"));
    assert!(allowed("failure", "cause") && allowed("machine/io", "cause"));
    assert!(!allowed("cause/timeout", "machine") && !allowed("cause/timeout", "failure"), "upwards");
    assert!(!allowed("unlisted", "time") && !allowed("batch", "Nameless"), "unknown names are not allowed");
}
