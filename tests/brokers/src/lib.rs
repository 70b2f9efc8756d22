//! Starts real Apache Kafka brokers for the tests of `kafka-batch`.
//!
//! A broker is a single KRaft node (broker and controller in one Java process), or for releases before 3 one with
//! ZooKeeper, on free ports of 127.0.0.1, with a new data directory that is removed at the end. Its jars are downloaded
//! from Maven Central by `mvn`. Requirements: a Unix shell, Java 17 or newer, and Maven for the first start of each
//! release.
//!
//! ```no_run
//! use kafka_batch_brokers::{Broker, Options, Release};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let release = Release::find("4.4.0")?;
//! let mut broker = Broker::start(release, &Options::default())?;
//! println!("produce to {}", broker.address());
//! broker.kill(); // as kill -9 does
//! broker.restart()?; // the same address and data
//! # Ok(())
//! # }
//! ```
//!
//! A [`Cluster`] is several KRaft nodes, each of which can be killed, stopped and restarted separately; the caller
//! chooses the addresses that they advertise to clients, so a proxy can be used.
//!
//! Nothing outlives the process that started it: a broker is killed and its directory removed when the [`Broker`] is
//! dropped, and also when the process is ended by a signal, including `SIGKILL`.
//!
//! # The environment
//!
//! Read by this crate:
//!
//! | variable | meaning |
//! | --- | --- |
//! | `KAFKA_BATCH_JAVA` | the Java to run; otherwise that of `JAVA_HOME`, otherwise the one in `PATH` |
//! | `KAFKA_BATCH_KAFKA_CACHE` | the directory of the class paths; otherwise `kafka` in cargo's target directory |
//! | `TMPDIR` | the parent of the data directories; otherwise the system's |
//!
//! Set by [`Broker::environment`], and so for the command that the program `kafka-batch-brokers` runs:
//!
//! | variable | meaning |
//! | --- | --- |
//! | `KAFKA_BATCH_BROKERS` | the address to connect to, `127.0.0.1:PORT` |
//! | `KAFKA_BATCH_KAFKA_VERSION` | the broker's version |
//! | `KAFKA_BATCH_KAFKA_DATA` | its log directory: `TOPIC-PARTITION/*.log` are in it |
//! | `KAFKA_BATCH_KAFKA_LOG` | the broker's log file |
//! | `KAFKA_BATCH_KAFKA_CLASSPATH` | class path of Kafka's command-line tools |
//! | `KAFKA_BATCH_KAFKA_TOOLS_VERSION` | version of those tools, see [`Tools::version`] |
//! | `KAFKA_BATCH_KAFKA_BROKER_CLASSPATH` | class path of the broker, which has no tools |
//! | `KAFKA_BATCH_KAFKA_DUMP_LOG` | main class of the tool that prints log segments |
//! | `KAFKA_BATCH_KAFKA_CONSOLE_PRODUCER` | main class of the console producer |
//! | `KAFKA_BATCH_KAFKA_CONSOLE_CONSUMER` | main class of the console consumer |
//! | `KAFKA_BATCH_KAFKA_TOPICS` | main class of the tool that creates and lists topics |
//! | `KAFKA_BATCH_JAVA` | the Java that the broker runs on |

#![forbid(unsafe_code)]

mod broker;
mod cluster;
mod error;
mod folder;
mod guarded;
mod jars;
mod node;
mod ports;
mod programs;
mod random;
mod release;
mod settings;
mod wait;
mod zookeeper;

pub use broker::{Broker, Listener, Options};
pub use cluster::{Cluster, ClusterOptions};
pub use error::StartError;
pub use folder::TempFolder;
pub use guarded::Guarded;
pub use jars::class_path;
pub use ports::free as free_ports;
pub use programs::java;
pub use release::{Quorum, RELEASES, Release, Tools, UnknownRelease};
