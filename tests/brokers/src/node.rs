//! The Java process of one node, and its log.

use crate::{StartError, guarded::Guarded, wait};
use std::{
    ffi::OsString,
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

/// The time limit of the storage tool, which needs about a second.
const FORMAT_LIMIT: Duration = Duration::from_secs(120);

/// Java's message if another process listens on a port.
const PORT_TAKEN: &str = "Address already in use";

/// The number of lines of a log in an error message.
const LINES: usize = 40;

/// Loggers that would write hundreds of lines of settings.
const QUIET: &[&str] = &["kafka.server.KafkaConfig", "org.apache.kafka.common.config.AbstractConfig"];

/// What is needed to run the Java programs of a node.
#[derive(Debug)]
pub(crate) struct Node {
    /// The release, for messages.
    pub(crate) version: &'static str,
    /// The Java to run.
    pub(crate) java: PathBuf,
    /// The class path of the release.
    pub(crate) class_path: String,
    /// How it is distinguished from other brokers.
    pub(crate) identity: wait::Identity,
    /// The node's directory, for files other than the partitions.
    pub(crate) folder: PathBuf,
    /// System properties of the broker.
    pub(crate) properties: Vec<(String, String)>,
    /// The size of the broker's heap.
    pub(crate) heap_mib: u32,
    /// The time within which the broker must be ready.
    pub(crate) start_limit: Duration,
}

/// A broker that may not be ready yet.
#[derive(Debug)]
pub(crate) struct Launched {
    process: Guarded,
    /// The earlier size of its log.
    before: u64,
}

impl Node {
    /// Returns the path of the broker's settings.
    pub(crate) fn settings(&self) -> PathBuf {
        self.folder.join("server.properties")
    }

    /// Returns the path of the broker's log. A restart appends to it.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("broker.log")
    }

    /// Returns Java's directory for temporary files. Kafka unpacks its native libraries there, and leaves them behind
    /// when it is killed.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.folder.join("tmp")
    }

    /// Creates the directories and writes the settings.
    pub(crate) fn configure(&self, settings: &str) -> Result<(), StartError> {
        fs::create_dir_all(self.temporary())
            .and_then(|()| fs::write(self.settings(), settings))
            .map_err(StartError::io("write the broker's settings"))
    }

    /// Formats the data directory with Kafka's tool, with these further arguments. Not needed with
    /// ZooKeeper.
    pub(crate) fn format(&self, more: &[String]) -> Result<(), StartError> {
        let Some(cluster_id) = self.identity.cluster_id() else { return Ok(()) };
        let output = self.folder.join("format.log");
        let mut arguments = self.java_arguments(&["-XX:TieredStopAtLevel=1"]);
        let tool = ["kafka.tools.StorageTool", "format", "-t", cluster_id, "-c"];
        arguments.extend(tool.map(OsString::from));
        arguments.push(self.settings().into());
        arguments.extend(more.iter().map(OsString::from));
        let status = File::create(&output)
            .and_then(|log| Guarded::spawn(&self.java, &arguments, &log))
            .and_then(|mut tool| tool.wait(FORMAT_LIMIT))
            .map_err(StartError::io("run Kafka's storage tool"))?;
        if status.is_some_and(|status| status.success()) {
            return Ok(());
        }
        Err(StartError::Format { version: self.version, output: end_of(&output, 0) })
    }

    /// Starts the broker and waits until it is ready.
    pub(crate) fn start(&self, address: SocketAddr) -> Result<Guarded, StartError> {
        self.until_ready(self.launch()?, address)
    }

    /// Starts the broker without waiting for it.
    pub(crate) fn launch(&self) -> Result<Launched, StartError> {
        let heap = format!("-Xmx{}m", self.heap_mib);
        let mut arguments = self.java_arguments(&[&heap, "-Djava.awt.headless=true"]);
        arguments.splice(..0, self.properties.iter().map(|(name, value)| format!("-D{name}={value}").into()));
        arguments.extend(["kafka.Kafka".into(), self.settings().into()]);
        let log = File::options()
            .append(true)
            .create(true)
            .open(self.log())
            .map_err(StartError::io("open the broker's log"))?;
        let before = log.metadata().map_or(0, |data| data.len());
        let process = Guarded::spawn(&self.java, &arguments, &log).map_err(StartError::io("start the broker"))?;
        Ok(Launched { process, before })
    }

    /// Waits until the broker is ready.
    pub(crate) fn until_ready(&self, launched: Launched, address: SocketAddr) -> Result<Guarded, StartError> {
        let Launched { mut process, before } = launched;
        match wait::until_ready(&mut process, address, &self.identity, self.start_limit) {
            Ok(()) => Ok(process),
            Err(error) => Err(self.not_ready(error, &self.log(), before)),
        }
    }

    /// Returns why a process of the node is not ready; its log output started at this size.
    pub(crate) fn not_ready(&self, error: wait::NotReady, log: &Path, before: u64) -> StartError {
        let version = self.version;
        match error {
            wait::NotReady::Ended(_) if written(log, before).contains(PORT_TAKEN) => StartError::PortTaken { tries: 1 },
            wait::NotReady::Ended(status) => StartError::Died { version, status, log: end_of(log, before) },
            wait::NotReady::TimedOut(last) => {
                StartError::TimedOut { version, limit: self.start_limit, last, log: end_of(log, before) }
            }
            wait::NotReady::Failed(error) => StartError::io("watch the broker's process")(error),
        }
    }

    pub(crate) fn java_arguments(&self, more: &[&str]) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = more.iter().map(Into::into).collect();
        arguments.extend(
            [
                // Takes less memory at this size than the default collector.
                "-XX:+UseSerialGC",
                // Otherwise a killed process leaves a file in the system's temporary directory.
                "-XX:-UsePerfData",
                "-Dorg.slf4j.simpleLogger.showDateTime=true",
                "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
            ]
            .map(OsString::from),
        );
        for logger in QUIET {
            arguments.push(format!("-Dorg.slf4j.simpleLogger.log.{logger}=warn").into());
        }
        let mut temporary = OsString::from("-Djava.io.tmpdir=");
        temporary.push(self.temporary());
        arguments.push(temporary);
        arguments.extend(["-cp".into(), self.class_path.clone().into()]);
        arguments
    }
}

/// Returns what was written to a file after its first `skip` bytes.
fn written(file: &Path, skip: u64) -> String {
    let bytes = fs::read(file).unwrap_or_default();
    let bytes = usize::try_from(skip).ok().and_then(|skip| bytes.get(skip..)).unwrap_or_default();
    String::from_utf8_lossy(bytes).into_owned()
}

/// Returns the last lines that were written to a file after its first `skip` bytes.
pub(crate) fn end_of(file: &Path, skip: u64) -> String {
    let text = written(file, skip);
    let lines: Vec<&str> = text.lines().collect();
    match lines.len() {
        0 => "(nothing was written)".to_owned(),
        count => lines[count.saturating_sub(LINES)..].join("\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::TempFolder;

    #[test]
    fn the_end_of_a_log_is_its_last_lines() {
        let folder = TempFolder::create().unwrap();
        let file = folder.path().join("log");
        assert_eq!(end_of(&file, 0), "(nothing was written)");
        let text: String = (1..=100).map(|line| format!("line {line}\n")).collect();
        fs::write(&file, &text).unwrap();
        let end = end_of(&file, 0);
        assert!(end.starts_with("line 61\n") && end.ends_with("line 100"));
        let skip = text.find("line 99").unwrap();
        assert_eq!(end_of(&file, u64::try_from(skip).unwrap()), "line 99\nline 100");
    }
}
