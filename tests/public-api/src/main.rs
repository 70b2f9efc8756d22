//! Lists the public API of each published crate and compares it with the listing in `tests/public-api/*.txt`, so that a change
//! of the public API shows in review.
//!
//! ```console
//! cargo run --manifest-path tests/public-api/Cargo.toml -- check
//! cargo run --manifest-path tests/public-api/Cargo.toml -- update
//! ```
//! `check` exits with 1 and prints the changed lines if a listing differs; `update` rewrites the listings. The items come from
//! rustdoc's JSON output, which is unstable. To get it from a stable toolchain, rustdoc runs with `RUSTC_BOOTSTRAP=1`: rustdoc
//! alone, by this program as its wrapper, because the variable on all of cargo would rebuild the dependencies. The exit code is
//! 3 if the toolchain writes another format than `public-api` reads.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs, io};

/// A published crate and the features with which it is listed: all of them, except those without items of their own.
const CRATES: [(&str, &str); 8] = [
    ("kafka-batch-core", "std,gzip,snappy,lz4,zstd,json,proptest"),
    ("kafka-batch-transport", "tls,oauth,metrics,tracing"),
    ("kafka-batch-tokio", "tls,metrics,tracing"),
    ("kafka-batch-async-std", "async-std,smol,tls,metrics,tracing"),
    ("kafka-batch-rdkafka", "zstd,tracing"),
    ("kafka-batch-testing", "proptest,tls"),
    ("kafka-batch-simulated", "proptest"),
    ("kafka-batch", "zstd,rdkafka,tokio,async-std,smol,tls,oauth,metrics,tracing,proptest"),
];

/// Exit code if the toolchain's rustdoc JSON cannot be read.
const UNSUPPORTED: u8 = 3;

/// Set to the real rustdoc when cargo runs this program in its place.
const WRAPPED: &str = "KAFKA_BATCH_PUBLIC_API_RUSTDOC";

fn main() -> ExitCode {
    if let Some(rustdoc) = env::var_os(WRAPPED) {
        return wrap(&rustdoc);
    }
    let update = match env::args().nth(1).as_deref() {
        Some("check") => false,
        Some("update") => true,
        _ => {
            eprintln!("usage: kafka-batch-public-api check|update");
            return ExitCode::from(2);
        }
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut changed = false;
    for (name, features) in CRATES {
        let listing = match list(&root, name, features) {
            Ok(listing) => listing,
            Err(error) => {
                eprintln!("{name}: {error}");
                return ExitCode::from(error.exit_code());
            }
        };
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("{name}.txt"));
        if update {
            if let Err(error) = fs::write(&file, &listing) {
                eprintln!("{}: {error}", file.display());
                return ExitCode::FAILURE;
            }
            continue;
        }
        match compare(&file, &listing) {
            Ok(is_same) => changed |= !is_same,
            Err(error) => {
                eprintln!("{}: {error}; write it with `update`", file.display());
                return ExitCode::FAILURE;
            }
        }
    }
    if changed {
        eprintln!(
            "the public API changed: if that is intended, run this program with `update` and commit the listings"
        );
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Runs rustdoc with its unstable options allowed.
fn wrap(rustdoc: &OsStr) -> ExitCode {
    match Command::new(rustdoc).args(env::args_os().skip(1)).env("RUSTC_BOOTSTRAP", "1").status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{}: {error}", rustdoc.display());
            ExitCode::FAILURE
        }
    }
}

/// Why a crate could not be listed.
#[derive(Debug)]
enum ListError {
    /// rustdoc could not be run, or failed.
    Rustdoc(String),
    /// The rustdoc JSON is in a format that `public-api` does not read.
    Format(String),
}

impl ListError {
    const fn exit_code(&self) -> u8 {
        match self {
            Self::Rustdoc(_) => 1,
            Self::Format(_) => UNSUPPORTED,
        }
    }
}

impl std::fmt::Display for ListError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rustdoc(error) => write!(f, "rustdoc failed: {error}"),
            Self::Format(error) => write!(f, "this toolchain's rustdoc JSON cannot be read: {error}"),
        }
    }
}

/// Returns the public items of a crate, one per line, sorted. Implementations of auto traits and blanket implementations are
/// left out, as are those that `derive` adds.
fn list(root: &Path, name: &str, features: &str) -> Result<String, ListError> {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    // The transport over librdkafka is a workspace of its own.
    let workspace = if name == "kafka-batch-rdkafka" { root.join("transports/rdkafka") } else { root.to_owned() };
    let wrapper = env::current_exe().map_err(|error| ListError::Rustdoc(error.to_string()))?;
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["rustdoc", "--quiet", "--lib", "--package", name, "--features", features])
        .args(["--", "-Z", "unstable-options", "--output-format", "json", "--cap-lints", "allow"])
        .current_dir(workspace)
        .env("RUSTDOC", wrapper)
        .env(WRAPPED, env::var_os("RUSTDOC").unwrap_or_else(|| "rustdoc".into()))
        .env("CARGO_TARGET_DIR", &target)
        .output()
        .map_err(|error| ListError::Rustdoc(error.to_string()))?;
    if !output.status.success() {
        return Err(ListError::Rustdoc(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let json = target.join("doc").join(format!("{}.json", name.replace('-', "_")));
    let api = public_api::Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .sorted(true)
        .build()
        .map_err(|error| ListError::Format(error.to_string()))?;
    let own = format!("{}::", name.replace('-', "_"));
    Ok(api.items().map(|item| format!("{}\n", shortened(&item.to_string(), &own))).collect())
}

/// Returns an item without the paths that every line would repeat: of the crate itself, and of types of std.
fn shortened(item: &str, own: &str) -> String {
    let is_path = |char: char| char.is_alphanumeric() || matches!(char, '_' | ':');
    let mut short = String::with_capacity(item.len());
    let mut rest = item;
    while let Some(start) = rest.find(is_path) {
        let (before, path) = rest.split_at(start);
        let (path, after) = path.split_at(path.find(|char| !is_path(char)).unwrap_or(path.len()));
        let last = path.rsplit("::").next().unwrap_or(path);
        let is_std = ["core::", "alloc::", "std::"].iter().any(|root| path.starts_with(root));
        let is_type = last.starts_with(|char: char| char.is_uppercase());
        short.push_str(before);
        short.push_str(if is_std && is_type { last } else { path.strip_prefix(own).unwrap_or(path) });
        rest = after;
    }
    short + rest
}

/// Prints the lines that only one side has, and returns true if there are none.
fn compare(file: &Path, listing: &str) -> io::Result<bool> {
    let stored = fs::read_to_string(file)?;
    let (old, new): (BTreeSet<&str>, BTreeSet<&str>) = (stored.lines().collect(), listing.lines().collect());
    old.difference(&new).for_each(|line| println!("-{line}"));
    new.difference(&old).for_each(|line| println!("+{line}"));
    Ok(stored == listing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_every_line_would_repeat_are_left_out() {
        let item = "pub fn a_crate::module::Type<T>::name(&self, alloc::string::String) -> core::option::Option<a_crate::Other>";
        assert_eq!(shortened(item, "a_crate::"), "pub fn module::Type<T>::name(&self, String) -> Option<Other>");
        assert_eq!(shortened("pub mod a_crate::module: core::fmt", "a_crate::"), "pub mod module: core::fmt");
    }
}
