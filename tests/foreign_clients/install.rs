//! Installs and builds the programs of several suites: Python packages by pip, Go programs by the Go toolchain. Everything is in
//! `foreign-clients` of cargo's directory for tests, and is there already from the second time on.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns a path below `tests/`.
pub(crate) fn tests(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(path)
}

/// Returns a folder of what is installed and built, which it creates.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Runs a command, and returns its output.
pub(crate) fn output(command: &mut Command, advice: &str) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}: {advice}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let success = output.status.success();
    assert!(success, "{command:?} failed: {advice}\n{}\n{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// Returns a virtual environment with the packages that the file `NAME.txt` in a folder lists.
pub(crate) fn python(requirements: &Path, name: &str) -> PathBuf {
    let requirements = requirements.join(format!("{name}.txt"));
    let wanted = fs::read_to_string(&requirements).expect("the requirements");
    let environment = folder("foreign-clients").join(name);
    let done = environment.join("installed.txt");
    if fs::read_to_string(&done).ok().as_ref() != Some(&wanted) {
        let _ = fs::remove_dir_all(&environment);
        let advice = "Python 3.10 to 3.13 is needed, with venv (Debian: `apt-get install python3-venv`)";
        output(Command::new("python3").args(["-m", "venv"]).arg(&environment), advice);
        let mut pip = Command::new(environment.join("bin/python"));
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--only-binary=:all:",
            "--no-deps",
        ]);
        output(pip.arg("-r").arg(&requirements), "the packages are downloaded from PyPI");
        fs::write(done, wanted).expect("a file");
    }
    environment
}

/// Builds the Go program in a folder, and returns its path.
pub(crate) fn go(source: &Path, name: &str) -> PathBuf {
    let program = folder("foreign-clients").join(name);
    let go = std::env::var_os("KAFKA_BATCH_GO").unwrap_or_else(|| "go".into());
    let mut build = Command::new(go);
    build.current_dir(source).args(["build", "-mod=readonly", "-o"]).arg(&program).arg(".");
    output(&mut build, "the Go toolchain in the version of go.mod is needed, in PATH or in KAFKA_BATCH_GO");
    program
}

/// Returns a program and its arguments, as the parts of a command.
pub(crate) fn parts<const N: usize>(parts: [&dyn AsRef<OsStr>; N]) -> Vec<OsString> {
    parts.iter().map(|part| part.as_ref().to_owned()).collect()
}
