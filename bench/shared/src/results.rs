//! The files in `bench/results`. Tables and plots are in the repository; the figures that they are made from
//! (`*.json`) are not, and stay where they were measured.

use std::path::PathBuf;
use std::{fs, io};

/// Returns the path of a file of results.
pub fn path(file: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "results", file].iter().collect()
}

/// Writes a file of results.
pub fn write(file: &str, text: &str) -> io::Result<()> {
    let path = path(file);
    fs::create_dir_all(path.parent().expect("results"))?;
    fs::write(&path, text).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

/// Returns what an earlier run has written, if there was one on this machine.
pub fn read(file: &str) -> io::Result<Option<String>> {
    match fs::read_to_string(path(file)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
