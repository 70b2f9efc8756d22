//! The files that the settings of TLS name, as they are at one time.

use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use crate::security::{CA_LOCATION, CERTIFICATE_LOCATION, KEY_LOCATION};
use crate::settings::Settings;

/// The settings that name files.
const LOCATIONS: [&str; 3] = [CA_LOCATION, CERTIFICATE_LOCATION, KEY_LOCATION];

/// A value of `ssl.ca.location`, as in librdkafka: use the certificates that the system trusts.
pub(super) const PROBE: &str = "probe";

/// A prefix of PEM texts that file names do not contain.
pub(super) const BEGIN: &str = "-----BEGIN";

/// The contents of the files that settings name.
///
/// Contents are compared, and not times of modification: these can be equal for two versions of a file, and files that are
/// replaced by links, as in volumes of Kubernetes, have any. Files of this kind are small, and connections are rare.
#[derive(PartialEq)]
pub(super) struct Files(Vec<Named>);

/// The contents of what one setting names.
#[derive(PartialEq)]
struct Named {
    setting: &'static str,
    content: Content,
}

/// What a path leads to.
pub(super) enum Content {
    File(Vec<u8>),
    /// The files of a directory, sorted by their paths. `None` for those that cannot be read.
    Directory(Vec<(PathBuf, Option<Vec<u8>>)>),
    /// Something that can be read only once, such as a pipe.
    Pipe(Vec<u8>),
    Unreadable(io::Error),
}

impl Files {
    /// Reads all files.
    pub(super) fn read(settings: &Settings) -> Self {
        Self::of(settings, |path, _| Content::read(path))
    }

    /// Reads all files again, except pipes.
    pub(super) fn read_again(&self, settings: &Settings) -> Self {
        Self::of(settings, |path, setting| match self.get(setting) {
            Some(Content::Pipe(bytes)) => Content::Pipe(bytes.clone()),
            _ => Content::read(path),
        })
    }

    fn of(settings: &Settings, read: impl Fn(&Path, &str) -> Content) -> Self {
        let named = LOCATIONS.into_iter().filter_map(|setting| {
            let value = settings.get(setting).filter(|value| !is_no_path(setting, value))?;
            Some(Named { setting, content: read(Path::new(value), setting) })
        });
        Self(named.collect())
    }

    /// Returns true if no setting names a file.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns what this setting names. `None` if it is not set, or its value is not a path.
    pub(super) fn get(&self, setting: &str) -> Option<&Content> {
        self.0.iter().find(|named| named.setting == setting).map(|named| &named.content)
    }

    /// Returns the settings whose files are others than in `older`, separated by commas.
    pub(super) fn changed_since(&self, older: &Self) -> String {
        let changed = self.0.iter().filter(|named| older.get(named.setting) != Some(&named.content));
        changed.map(|named| named.setting).collect::<Vec<_>>().join(", ")
    }
}

/// Returns true if the value has another meaning than a path, or is the text of a PEM file by mistake.
fn is_no_path(setting: &str, value: &str) -> bool {
    value.contains(BEGIN) || (setting == CA_LOCATION && value.trim() == PROBE)
}

impl Content {
    fn read(path: &Path) -> Self {
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) => return Self::Unreadable(error),
        };
        let read = if metadata.is_dir() {
            files(path).map(|paths| Self::Directory(paths.into_iter().map(with_content).collect()))
        } else {
            fs::read(path).map(if metadata.is_file() { Self::File } else { Self::Pipe })
        };
        read.unwrap_or_else(Self::Unreadable)
    }
}

fn with_content(path: PathBuf) -> (PathBuf, Option<Vec<u8>>) {
    let bytes = fs::read(&path).ok();
    (path, bytes)
}

/// Returns the files of a directory, sorted and without duplicates. Links are resolved, since directories made by
/// `openssl rehash` have links to each file.
fn files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        match entry?.path().canonicalize() {
            Ok(path) if path.is_file() => files.push(path),
            _ => {} // a directory, a pipe, or a link to nothing
        }
    }
    files.sort_unstable();
    files.dedup();
    Ok(files)
}

impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(one), Self::File(other)) | (Self::Pipe(one), Self::Pipe(other)) => one == other,
            (Self::Directory(one), Self::Directory(other)) => one == other,
            (Self::Unreadable(one), Self::Unreadable(other)) => {
                (one.kind(), one.raw_os_error()) == (other.kind(), other.raw_os_error())
            }
            _ => false,
        }
    }
}

/// Shows no contents: among them is a private key.
impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|named| named.setting)).finish()
    }
}
