//! The parts of a cluster on simulated time: state machines without clock, threads or I/O. The same seed and the same calls
//! give the same results.
//!
//! [`Engine`] is all brokers; whoever drives it passes the bytes of connections and the time. A [`Link`] is a connection
//! with latency, stalls and cuts between a client and a broker.

pub use crate::broker::identities::CODES as REJECTION_CODES;
pub use crate::broker::sasl::Users;
pub use crate::broker::{Broker, BrokerAction, PORT, Variation, host};
pub use crate::cluster::Topic;
pub use crate::cluster::log::Log;
pub use crate::cluster::producers::later as later_sequence;
pub use crate::cluster::{Cluster, ClusterSettings, LeaderChoice, Member, Partition, TopicConfig, TopicRef};
pub use crate::engine::{Engine, EngineSettings};
pub use crate::link::{Arrival, Link, LinkSettings};
pub use crate::random::Random;
