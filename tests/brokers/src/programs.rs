//! Finds the required programs.

use crate::StartError;
use std::{
    env,
    ffi::OsStr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// Returns the Java to run: `KAFKA_BATCH_JAVA`, otherwise that of `JAVA_HOME`, otherwise the one in `PATH`.
///
/// # Errors
/// Returns an error if there is none.
pub fn java() -> Result<PathBuf, StartError> {
    let named = set("KAFKA_BATCH_JAVA").map(PathBuf::from);
    let home = set("JAVA_HOME").map(|home| Path::new(&home).join("bin/java"));
    named.or(home).or_else(|| in_path("java")).filter(|java| is_program(java)).ok_or(StartError::MissingProgram {
        program: "java",
        advice: "install a Java runtime, version 17 or newer (Debian: `apt-get install \
                     default-jre-headless`), or name one in KAFKA_BATCH_JAVA or JAVA_HOME",
    })
}

/// Returns Maven.
pub(crate) fn maven() -> Result<PathBuf, StartError> {
    in_path("mvn").ok_or(StartError::MissingProgram {
        program: "mvn",
        advice: "install Apache Maven, which gets Kafka's jars (Debian: `apt-get install maven`)",
    })
}

fn set(variable: &str) -> Option<std::ffi::OsString> {
    env::var_os(variable).filter(|value| !value.is_empty())
}

fn in_path(name: &str) -> Option<PathBuf> {
    find(name, &env::var_os("PATH")?)
}

fn find(name: &str, path: &OsStr) -> Option<PathBuf> {
    env::split_paths(path).map(|folder| folder.join(name)).find(|program| is_program(program))
}

fn is_program(file: &Path) -> bool {
    file.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_in_the_directories_of_a_path() {
        let path = OsStr::new("/no/such/folder:/bin:/usr/bin");
        let shell = find("sh", path).unwrap();
        assert!(shell.ends_with("sh") && is_program(&shell));
        assert_eq!(find("no-such-program-anywhere", path), None);
        assert!(!is_program(Path::new("/")));
    }
}
