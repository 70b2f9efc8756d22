//! Runs Kafka's command-line tools.

use std::process::Command;

use super::environment::variable;

/// Runs a tool to its end, and returns its output. The variable `main_class` names its main class.
pub(crate) fn run(main_class: &str, arguments: &[&str]) -> String {
    let output = Command::new(variable("KAFKA_BATCH_JAVA"))
        .args(["-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", &variable("KAFKA_BATCH_KAFKA_CLASSPATH")])
        .arg(variable(main_class))
        .args(arguments)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{main_class} {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}
