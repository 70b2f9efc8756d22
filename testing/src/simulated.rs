//! The parts of a cluster on simulated time: state machines without clock, threads or I/O. The same seed and the same calls
//! give the same results.
//!
//! [`Network`] is a cluster and its clients' connections. It is made of an [`Engine`], which is all brokers, and of
//! [`Link`]s: connections with latency, stalls and cuts. They can be used alone, too.

pub use crate::broker::identities::CODES as REJECTION_CODES;
pub use crate::broker::sasl::Users;
pub use crate::broker::{Broker, BrokerAction, PORT, Variation, host};
pub use crate::cluster::Topic;
pub use crate::cluster::log::Log;
pub use crate::cluster::producers::later as later_sequence;
pub use crate::cluster::{Cluster, ClusterSettings, LeaderChoice, Member, Partition, TopicConfig, TopicRef};
pub use crate::engine::{Engine, EngineSettings};
pub use crate::link::{Arrival, Link, LinkSettings};
pub use crate::network::{ClientEvent, Network};
pub use crate::random::Random;
