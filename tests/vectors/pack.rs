//! Reads files of this directory, some of which are packed together in `large.zst`.

use std::collections::HashMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ruzstd::decoding::StreamingDecoder;
use serde::de::DeserializeOwned;

pub(crate) fn folder() -> PathBuf {
    // Compiled in two packages: this repository's root, and `inspect`.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().find(|folder| folder.join("tests/vectors").is_dir());
    root.expect("a folder tests/vectors").join("tests/vectors")
}

/// Returns the entries of a JSON file.
pub(crate) fn entries<T: DeserializeOwned>(file: &str) -> Vec<T> {
    serde_json::from_slice(&bytes_of(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Returns the bytes of a file, which is a file of its own or in `large.zst`.
pub(crate) fn bytes_of(file: &str) -> Vec<u8> {
    match large().get(file) {
        Some(bytes) => bytes.clone(),
        None => fs::read(folder().join(file)).unwrap_or_else(|error| panic!("{file}: {error}")),
    }
}

/// Returns the files in `large.zst`: for each of them a line with name and size, then its bytes.
pub(crate) fn large() -> &'static HashMap<String, Vec<u8>> {
    static LARGE: OnceLock<HashMap<String, Vec<u8>>> = OnceLock::new();
    LARGE.get_or_init(|| {
        let packed = fs::read(folder().join("large.zst")).expect("large.zst");
        let mut unpacked = Vec::new();
        let mut decoder = StreamingDecoder::new(&packed[..]).expect("large.zst");
        decoder.read_to_end(&mut unpacked).expect("large.zst");
        let mut rest = &unpacked[..];
        let mut files = HashMap::new();
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            let line = std::str::from_utf8(&rest[..end]).expect("a line in large.zst");
            let (name, size) = line.split_once(' ').expect("a name and a size in large.zst");
            let (bytes, next) = rest[end + 1..].split_at(size.parse().expect("a size in large.zst"));
            assert!(files.insert(name.to_owned(), bytes.to_vec()).is_none(), "{name} is twice in large.zst");
            rest = next;
        }
        assert!(rest.is_empty(), "{} bytes are left of large.zst", rest.len());
        files
    })
}
