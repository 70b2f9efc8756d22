//! The Apache Kafka releases that can be started, and their artifacts.

use std::fmt;

/// One Apache Kafka release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release {
    /// Version of the broker.
    pub version: &'static str,
    /// The Scala version in the broker's artifact name, `kafka_SCALA`.
    pub scala: &'static str,
    /// Where the cluster's metadata is kept.
    pub quorum: Quorum,
    /// The command-line tools of the release.
    pub tools: Tools,
}

/// Where a cluster's metadata is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quorum {
    /// The broker's own process is the controller.
    KRaft,
    /// A ZooKeeper, in the version that the broker's artifact depends on. Such releases are older than Java 17; what it
    /// lacks is added (see `jars.rs`).
    ZooKeeper,
}

/// Kafka's command-line tools, whose location differs between releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tools {
    /// Version of the artifact `kafka-tools` (with ZooKeeper: of the broker, which contains the tools) and of
    /// everything in its class path. It is the broker's version if that one is published.
    pub version: &'static str,
    /// Main class of the tool that prints log segments.
    pub dump_log_segments: &'static str,
    /// Main class of the console producer.
    pub console_producer: &'static str,
    /// Main class of the console consumer.
    pub console_consumer: &'static str,
    /// Main class of the tool that creates and lists topics.
    pub topics: &'static str,
}

/// The known releases, the newest first.
pub const RELEASES: &[Release] = &[
    Release {
        version: "4.4.0",
        scala: "2.13",
        quorum: Quorum::KRaft,
        tools: Tools {
            // Maven Central has the broker of 4.4.0, but its newest `kafka-tools` is this one. The tools have a
            // separate class path, all of one version.
            version: "4.3.1",
            dump_log_segments: "org.apache.kafka.tools.DumpLogSegments",
            console_producer: "org.apache.kafka.tools.ConsoleProducer",
            console_consumer: "org.apache.kafka.tools.consumer.ConsoleConsumer",
            topics: "org.apache.kafka.tools.TopicCommand",
        },
    },
    Release {
        version: "4.0.2",
        scala: "2.13",
        quorum: Quorum::KRaft,
        tools: Tools {
            version: "4.0.2",
            dump_log_segments: "org.apache.kafka.tools.DumpLogSegments",
            console_producer: "org.apache.kafka.tools.ConsoleProducer",
            console_consumer: "org.apache.kafka.tools.consumer.ConsoleConsumer",
            topics: "org.apache.kafka.tools.TopicCommand",
        },
    },
    Release {
        version: "3.9.2",
        scala: "2.13",
        quorum: Quorum::KRaft,
        tools: Tools {
            version: "3.9.2",
            dump_log_segments: "kafka.tools.DumpLogSegments",
            console_producer: "kafka.tools.ConsoleProducer",
            console_consumer: "org.apache.kafka.tools.consumer.ConsoleConsumer",
            topics: "org.apache.kafka.tools.TopicCommand",
        },
    },
    with_zookeeper("2.8.2", "2.13"),
    with_zookeeper("1.1.1", "2.12"),
    with_zookeeper("0.11.0.3", "2.12"),
    with_zookeeper("0.10.2.2", "2.11"),
    with_zookeeper("0.9.0.1", "2.11"),
];

const fn with_zookeeper(version: &'static str, scala: &'static str) -> Release {
    let tools = Tools {
        version,
        dump_log_segments: "kafka.tools.DumpLogSegments",
        console_producer: "kafka.tools.ConsoleProducer",
        console_consumer: "kafka.tools.ConsoleConsumer",
        topics: "kafka.admin.TopicCommand",
    };
    Release { version, scala, quorum: Quorum::ZooKeeper, tools }
}

impl Release {
    /// Returns the release with this version, or the newest one that starts with it: `4.4.0`, `4.4` and `4` return the
    /// same.
    pub fn find(wanted: &str) -> Result<&'static Release, UnknownRelease> {
        RELEASES
            .iter()
            .find(|release| {
                release.version.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            })
            .ok_or_else(|| UnknownRelease(wanted.to_owned()))
    }
}

/// No release of this version is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownRelease(pub String);

impl fmt::Display for UnknownRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no Apache Kafka {:?} is known here; choose one of", self.0)?;
        for release in RELEASES {
            write!(f, " {}", release.version)?;
        }
        write!(f, ", or add it to RELEASES in release.rs")
    }
}

impl std::error::Error for UnknownRelease {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_found_by_its_version_or_a_prefix() {
        for wanted in ["4.4.0", "4.4", "4"] {
            assert_eq!(Release::find(wanted).unwrap().version, "4.4.0");
        }
        assert_eq!(Release::find("4.0").unwrap().version, "4.0.2");
        assert_eq!(Release::find("3.9").unwrap().version, "3.9.2");
        assert_eq!(Release::find("0.11").unwrap().version, "0.11.0.3");
        assert_eq!(Release::find("0").unwrap().version, "0.11.0.3");
    }

    #[test]
    fn an_unknown_release_is_rejected_with_the_known_ones() {
        for wanted in ["", "4.", "4.4.0.1", "44", "0.8"] {
            assert!(Release::find(wanted).is_err(), "{wanted:?}");
        }
        let message = Release::find("0.8").unwrap_err().to_string();
        assert!(message.contains("\"0.8\"") && message.contains("4.4.0 4.0.2 3.9.2"));
    }
}
