//! Starts real Apache Kafka brokers for the tests of `kafka-batch`.
//!
//! A broker is a single KRaft node (broker and controller in one Java process), or for
//! releases before 3 one with a ZooKeeper beside it, on free ports of 127.0.0.1, with a
//! fresh data folder that is removed at the end. Its jars come from Maven Central,
//! through `mvn`. Needed on the machine: a Unix shell, Java 17 or newer, and Maven for
//! the first start of each release.
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
//! A [`Cluster`] is several KRaft nodes, each of which can be killed, stopped and started
//! again by itself; where its clients are told to go is up to the caller, so a proxy can
//! stand between.
//!
//! Nothing outlives the process that started it: a broker dies and its folder goes
//! when the [`Broker`] is dropped, and also when the process is ended by a signal,
//! `SIGKILL` among them.
//!
//! # The environment
//!
//! Read by this crate:
//!
//! | variable | meaning |
//! | --- | --- |
//! | `KAFKA_BATCH_JAVA` | the Java to run; else `JAVA_HOME`'s, else the one in `PATH` |
//! | `KAFKA_BATCH_KAFKA_CACHE` | where to keep the class paths; else `kafka` in cargo's target folder |
//! | `TMPDIR` | where the data folders are made; else the system's folder |
//!
//! Given by [`Broker::environment`], and so set for the command that the
//! `kafka-batch-brokers` program runs:
//!
//! | variable | meaning |
//! | --- | --- |
//! | `KAFKA_BATCH_BROKERS` | the address to connect to, `127.0.0.1:PORT` |
//! | `KAFKA_BATCH_KAFKA_VERSION` | the broker's version |
//! | `KAFKA_BATCH_KAFKA_DATA` | its log directory: `TOPIC-PARTITION/*.log` are in it |
//! | `KAFKA_BATCH_KAFKA_LOG` | the file with what the broker has to say |
//! | `KAFKA_BATCH_KAFKA_CLASSPATH` | class path of Kafka's command-line tools |
//! | `KAFKA_BATCH_KAFKA_TOOLS_VERSION` | version of those tools, see [`Tools::version`] |
//! | `KAFKA_BATCH_KAFKA_BROKER_CLASSPATH` | class path of the broker, which has no tools |
//! | `KAFKA_BATCH_KAFKA_DUMP_LOG` | main class of the tool that prints log segments |
//! | `KAFKA_BATCH_KAFKA_CONSOLE_PRODUCER` | main class of the console producer |
//! | `KAFKA_BATCH_KAFKA_CONSOLE_CONSUMER` | main class of the console consumer |
//! | `KAFKA_BATCH_KAFKA_TOPICS` | main class of the tool that makes and lists topics |
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
pub use release::{Quorum, RELEASES, Release, Tools, UnknownRelease};
