//! Installs and builds the programs: Java's client by Maven, the Python clients by pip, the Go client by the Go toolchain.
//! Everything is in `foreign-clients` of cargo's directory for tests, and is there already from the second time on.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::clients::Accepts;
use crate::program::Program;

/// Versions of `org.apache.kafka:kafka-clients`: the newest, and the newest before 4.
const JAVA: [&str; 2] = ["4.4.0", "3.9.2"];

/// What the Java program reads and writes JSON with.
const JACKSON: &str = "com.fasterxml.jackson.core:jackson-databind:2.21.2";

/// What aiokafka's producer accepts.
const BY_AIOKAFKA: Accepts = Accepts { records_without_key_and_value: false, null_header_values: true };

/// What kafka-python's producer accepts.
const BY_KAFKA_PYTHON: Accepts = Accepts { records_without_key_and_value: false, null_header_values: false };

/// Python clients: name, version, program. `python/NAME-VERSION.txt` has everything that is installed for it.
const PYTHON: [(&str, &str, &str, Accepts); 3] = [
    ("aiokafka", "0.14.0", "with_aiokafka.py", BY_AIOKAFKA),
    ("aiokafka", "0.12.0", "with_aiokafka.py", BY_AIOKAFKA),
    ("kafka-python", "3.0.12", "with_kafka_python.py", BY_KAFKA_PYTHON),
];

/// The version of `github.com/twmb/franz-go` in `go/go.mod`.
const FRANZ_GO: &str = "v1.22.3";

fn sources() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "foreign_clients"].iter().collect()
}

fn built() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("foreign-clients");
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Runs a command whose output matters only if it fails.
fn run(command: &mut Command, advice: &str) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}: {advice}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let success = output.status.success();
    assert!(success, "{command:?} failed: {advice}\n{}\n{}", text(&output.stdout), text(&output.stderr));
}

fn command<const N: usize>(parts: [&dyn AsRef<std::ffi::OsStr>; N]) -> Vec<OsString> {
    parts.iter().map(|part| part.as_ref().to_owned()).collect()
}

/// Returns the programs, ready to be started.
pub(crate) fn programs() -> Vec<Program> {
    let java = JAVA.map(java);
    let python = PYTHON.map(|(name, version, file, accepts)| python(name, version, file, accepts));
    java.into_iter().chain(python).chain([go()]).collect()
}

fn java(version: &str) -> Program {
    let artifacts = [format!("org.apache.kafka:kafka-clients:{version}"), JACKSON.to_owned()];
    let class_path = kafka_batch_brokers::class_path(&format!("clients/{version}"), &artifacts).expect("the jars");
    let java = kafka_batch_brokers::java().expect("Java");
    Program {
        name: format!("kafka-clients {version}"),
        accepts: Accepts::EVERYTHING,
        // Starts in half the time of the default.
        command: command([
            &java,
            &"-XX:TieredStopAtLevel=1",
            &"-XX:+UseSerialGC",
            &"-Xmx256m",
            &"-cp",
            &class_path,
            &sources().join("java/ForeignClient.java"),
        ]),
    }
}

fn python(name: &str, version: &str, file: &str, accepts: Accepts) -> Program {
    let folder = sources().join("python");
    let requirements = folder.join(format!("{name}-{version}.txt"));
    let wanted = fs::read_to_string(&requirements).expect("the requirements");
    let environment = built().join(format!("{name}-{version}"));
    let interpreter = environment.join("bin/python");
    let done = environment.join("installed.txt");
    if fs::read_to_string(&done).ok().as_ref() != Some(&wanted) {
        let _ = fs::remove_dir_all(&environment);
        let advice = "Python 3.10 to 3.13 is needed, with venv (Debian: `apt-get install python3-venv`)";
        run(Command::new("python3").args(["-m", "venv"]).arg(&environment), advice);
        let mut pip = Command::new(&interpreter);
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--only-binary=:all:",
            "--no-deps",
        ]);
        run(pip.arg("-r").arg(&requirements), "the packages are downloaded from PyPI");
        fs::write(done, wanted).expect("a file");
    }
    Program {
        name: format!("{name} {version}"),
        accepts,
        // -B: no __pycache__ beside the sources.
        command: command([&interpreter, &"-B", &folder.join(file)]),
    }
}

fn go() -> Program {
    let program = built().join("franz-go");
    let go = std::env::var_os("KAFKA_BATCH_GO").unwrap_or_else(|| "go".into());
    let mut build = Command::new(go);
    build.current_dir(sources().join("go")).args(["build", "-mod=readonly", "-o"]).arg(&program).arg(".");
    run(&mut build, "the Go toolchain in the version of go.mod is needed, in PATH or in KAFKA_BATCH_GO");
    Program { name: format!("franz-go {FRANZ_GO}"), accepts: Accepts::EVERYTHING, command: command([&program]) }
}
