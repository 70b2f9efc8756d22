//! The programs: Java's client by Maven, the Python clients by pip, the Go client by the Go toolchain.

use crate::clients::Accepts;
use crate::install::{self, parts};
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
        command: parts([
            &java,
            &"-XX:TieredStopAtLevel=1",
            &"-XX:+UseSerialGC",
            &"-Xmx256m",
            &"-cp",
            &class_path,
            &install::tests("foreign_clients/java/ForeignClient.java"),
        ]),
    }
}

fn python(name: &str, version: &str, file: &str, accepts: Accepts) -> Program {
    let folder = install::tests("foreign_clients/python");
    let environment = install::python(&folder, &format!("{name}-{version}"));
    Program {
        name: format!("{name} {version}"),
        accepts,
        // -B: no __pycache__ beside the sources.
        command: parts([&environment.join("bin/python"), &"-B", &folder.join(file)]),
    }
}

fn go() -> Program {
    let program = install::go(&install::tests("foreign_clients/go"), "franz-go");
    Program { name: format!("franz-go {FRANZ_GO}"), accepts: Accepts::EVERYTHING, command: parts([&program]) }
}
