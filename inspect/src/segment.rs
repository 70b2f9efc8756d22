//! Names of segments, and the order of those in a directory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Returns the offset that a segment or index file is named after: 20 digits (`LogFileUtils.filenamePrefixFromOffset`).
pub(crate) fn base_offset(path: &Path) -> Option<i64> {
    let name = path.file_stem()?.to_str()?;
    let is_offset = name.len() == 20 && name.bytes().all(|byte| byte.is_ascii_digit());
    is_offset.then(|| name.parse().ok()).flatten()
}

fn is_segment(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "log") && base_offset(path).is_some()
}

/// Returns the segments in a directory, in the order of their offsets.
pub(crate) fn segments(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if is_segment(&path) {
            segments.push(path);
        }
    }
    // The names have as many digits.
    segments.sort();
    Ok(segments)
}

/// Returns the segment after this one in the same directory.
pub(crate) fn after(path: &Path) -> io::Result<Option<PathBuf>> {
    if !is_segment(path) {
        return Ok(None);
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(segments(directory)?.into_iter().find(|other| base_offset(other) > base_offset(path)))
}
