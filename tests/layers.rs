//! Who may import whom in core: downwards only. Reads the source, so that a line that breaks the order fails here and not
//! in a review.

use std::fs;
use std::path::{Path, PathBuf};

/// The rooms of core, lowest layer first. Rooms of one layer may import each other, except where `APART` says otherwise.
const LAYERS: [&[&str]; 5] = [
    &["checksum", "compression", "headers", "magic", "message", "partition", "record", "time", "varint"],
    &["batch", "protocol"],
    &["delivery", "kit", "publish", "transport"],
    &["producer"],
    &["lib"],
];

/// Rooms of one layer that know nothing of each other.
const APART: [(&str, &str); 2] = [("batch", "protocol"), ("protocol", "batch")];

/// Rooms that import nothing of the crate but themselves.
const ALONE: [&str; 2] = ["protocol", "varint"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("core's source") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn layer(room: &str) -> Option<usize> {
    LAYERS.iter().position(|rooms| rooms.contains(&room))
}

/// The rooms named behind `crate::` in a line of code, and the items that `lib.rs` re-exports (which begin with a capital
/// letter, and belong to no room here).
fn imports(line: &str) -> impl Iterator<Item = &str> {
    let code = line.split("//").next().unwrap_or_default();
    code.split("crate::").skip(1).filter_map(|rest| {
        let end = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(rest.len());
        Some(&rest[..end]).filter(|name| name.starts_with(|letter: char| letter.is_lowercase()))
    })
}

#[test]
fn core_imports_downwards_only() {
    let root: PathBuf = [env!("CARGO_MANIFEST_DIR"), "core", "src"].iter().collect();
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 30, "{} files", files.len());
    let mut broken = Vec::new();
    for file in files {
        let place = file.strip_prefix(&root).expect("below core/src");
        let first = place.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
        let room = first.trim_end_matches(".rs");
        let Some(own) = layer(room) else {
            broken.push(format!("{} is in no layer: add its room to LAYERS", place.display()));
            continue;
        };
        for (number, line) in fs::read_to_string(&file).expect("text").lines().enumerate() {
            for import in imports(line).filter(|import| *import != room) {
                let allowed = layer(import).is_some_and(|other| other <= own)
                    && !APART.contains(&(room, import))
                    && !ALONE.contains(&room);
                if !allowed {
                    broken.push(format!("{}:{}: {room} imports {import}", place.display(), number + 1));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn a_line_that_breaks_the_order_is_seen() {
    assert_eq!(imports("use crate::batch::KafkaBatch; // crate::time").collect::<Vec<_>>(), ["batch"]);
    assert_eq!(imports("    crate::Timestamp::from_millis(crate::varint::len(1))").collect::<Vec<_>>(), ["varint"]);
    assert!(layer("batch") > layer("message") && layer("publish") > layer("batch"));
}
