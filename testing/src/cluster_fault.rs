//! Faults of a running cluster as values.

use std::fmt;
use std::time::Duration;

use crate::{Direction, Fault, RejectedProducerIds};

/// A fault of a running cluster, as a value: [`TestCluster::apply`](crate::TestCluster::apply) lets it happen.
///
/// Its `Debug` text is Rust code that makes the same value, so that a failing property test can be repeated by hand.
///
/// ```
/// use kafka_batch_testing::{ApiKey, ClusterFault, Fault, FaultKind, TestCluster};
///
/// let cluster = TestCluster::builder().brokers(2).topic("orders").start()?;
/// let fault = ClusterFault::Request(Fault::new(FaultKind::CloseConnection { executed: true }).api(ApiKey::Produce));
/// assert!(cluster.apply(&fault) && !cluster.apply(&ClusterFault::Cut { broker: 7 }));
/// assert_eq!(
///     format!("{fault:?}"),
///     "ClusterFault::Request(Fault::new(FaultKind::CloseConnection { executed: true }).api(ApiKey::Produce))"
/// );
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClusterFault {
    /// A broker applies this to later requests ([`TestCluster::inject`](crate::TestCluster::inject)).
    Request(Fault),
    /// The connections of a broker are closed ([`TestCluster::cut`](crate::TestCluster::cut)).
    Cut {
        /// The broker.
        broker: i32,
    },
    /// The connection of a broker is closed on which the last of these bytes is sent
    /// ([`TestCluster::cut_after`](crate::TestCluster::cut_after)).
    CutAfter {
        /// The broker.
        broker: i32,
        /// Whether requests or responses are cut.
        direction: Direction,
        /// The number of bytes.
        bytes: usize,
    },
    /// A broker stops ([`TestCluster::kill`](crate::TestCluster::kill)).
    Kill {
        /// The broker.
        broker: i32,
    },
    /// A broker stops, and starts again at once. Its partitions get another leader, if another broker is running.
    Restart {
        /// The broker.
        broker: i32,
        /// True if it remembers the last batch of each producer, as Kafka does. Otherwise it accepts a batch again that is in
        /// the log.
        remembers_producers: bool,
    },
    /// Another broker becomes the leader of a partition ([`TestCluster::move_leader`](crate::TestCluster::move_leader)).
    MoveLeader {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The new leader.
        to: i32,
    },
    /// A partition has no leader ([`TestCluster::remove_leader`](crate::TestCluster::remove_leader)).
    RemoveLeader {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
    },
    /// Appending takes longer at a broker ([`TestCluster::slow_disk`](crate::TestCluster::slow_disk)).
    SlowDisk {
        /// The broker.
        broker: i32,
        /// The time.
        delay: Duration,
    },
    /// A partition is not replicated for a while: batches with `acks=all` are not confirmed
    /// ([`TestCluster::stop_replication`](crate::TestCluster::stop_replication)).
    StopReplication {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The time.
        time: Duration,
    },
    /// Producer ids and epochs are rejected ([`TestCluster::reject_identities`](crate::TestCluster::reject_identities)).
    RejectIdentities {
        /// Which ones.
        which: RejectedProducerIds,
        /// The error code.
        code: i16,
    },
    /// The producers of a partition are forgotten ([`TestCluster::forget_producers`](crate::TestCluster::forget_producers)).
    ForgetProducers {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
    },
    /// A topic is deleted, with everything in it ([`TestCluster::forget_topic`](crate::TestCluster::forget_topic)).
    ForgetTopic {
        /// The topic.
        topic: String,
    },
}

impl From<Fault> for ClusterFault {
    fn from(fault: Fault) -> Self {
        Self::Request(fault)
    }
}

/// Writes a duration as Rust code.
pub(crate) struct Code(pub(crate) Duration);

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (nanos, millis) = (self.0.as_nanos(), self.0.as_millis());
        match self.0 {
            Duration::MAX => f.write_str("Duration::MAX"),
            Duration::ZERO => f.write_str("Duration::ZERO"),
            _ if nanos == millis * 1_000_000 => write!(f, "Duration::from_millis({millis})"),
            time => write!(f, "Duration::new({}, {})", time.as_secs(), time.subsec_nanos()),
        }
    }
}

/// Rust code that makes the same value.
impl fmt::Debug for ClusterFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterFault::")?;
        match self {
            Self::Request(fault) => write!(f, "Request({fault:?})"),
            Self::Cut { broker } => write!(f, "Cut {{ broker: {broker} }}"),
            Self::CutAfter { broker, direction, bytes } => {
                write!(f, "CutAfter {{ broker: {broker}, direction: Direction::{direction:?}, bytes: {bytes} }}")
            }
            Self::Kill { broker } => write!(f, "Kill {{ broker: {broker} }}"),
            Self::Restart { broker, remembers_producers } => {
                write!(f, "Restart {{ broker: {broker}, remembers_producers: {remembers_producers} }}")
            }
            Self::MoveLeader { topic, partition, to } => {
                write!(f, "MoveLeader {{ topic: {topic:?}.into(), partition: {partition}, to: {to} }}")
            }
            Self::RemoveLeader { topic, partition } => {
                write!(f, "RemoveLeader {{ topic: {topic:?}.into(), partition: {partition} }}")
            }
            Self::SlowDisk { broker, delay } => {
                write!(f, "SlowDisk {{ broker: {broker}, delay: {:?} }}", Code(*delay))
            }
            Self::StopReplication { topic, partition, time } => {
                let time = Code(*time);
                write!(f, "StopReplication {{ topic: {topic:?}.into(), partition: {partition}, time: {time:?} }}")
            }
            Self::RejectIdentities { which, code } => {
                write!(f, "RejectIdentities {{ which: RejectedProducerIds::{which:?}, code: {code} }}")
            }
            Self::ForgetProducers { topic, partition } => {
                write!(f, "ForgetProducers {{ topic: {topic:?}.into(), partition: {partition} }}")
            }
            Self::ForgetTopic { topic } => write!(f, "ForgetTopic {{ topic: {topic:?}.into() }}"),
        }
    }
}

/// Faults of a running cluster, each before a step of a test.
///
/// Its `Debug` text is Rust code that makes the same value.
///
/// ```
/// use kafka_batch_testing::{ClusterFault, FaultPlan, TestCluster};
///
/// let cluster = TestCluster::builder().topic("orders").start()?;
/// let plan = FaultPlan::from([(1, ClusterFault::Cut { broker: 1 })]);
/// for step in 0..3 {
///     plan.apply(step, &cluster);
///     // send an order
/// }
/// assert_eq!(format!("{plan:?}"), "FaultPlan::from([(1, ClusterFault::Cut { broker: 1 })])");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct FaultPlan {
    faults: Vec<(usize, ClusterFault)>,
}

impl FaultPlan {
    /// Returns the faults, each with its step, in the order in which they happen.
    #[must_use]
    pub fn faults(&self) -> &[(usize, ClusterFault)] {
        &self.faults
    }

    /// Lets the faults of this step happen.
    pub fn apply(&self, step: usize, cluster: &crate::TestCluster) {
        for (_, fault) in self.faults.iter().filter(|(at, _)| *at == step) {
            cluster.apply(fault);
        }
    }
}

impl FromIterator<(usize, ClusterFault)> for FaultPlan {
    /// Sorts the faults by step. Those of one step stay in their order.
    fn from_iter<I: IntoIterator<Item = (usize, ClusterFault)>>(faults: I) -> Self {
        let mut faults: Vec<_> = faults.into_iter().collect();
        faults.sort_by_key(|(step, _)| *step);
        Self { faults }
    }
}

impl<const COUNT: usize> From<[(usize, ClusterFault); COUNT]> for FaultPlan {
    fn from(faults: [(usize, ClusterFault); COUNT]) -> Self {
        faults.into_iter().collect()
    }
}

/// Rust code that makes the same value.
impl fmt::Debug for FaultPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultPlan::from({:?})", self.faults)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ApiKey, AssignedProducerId, FalseMetadata, FaultKind, Garbage};

    /// Checks that the `Debug` text of each value is the code that makes it.
    macro_rules! are_code {
        ($($value:expr),+ $(,)?) => {
            $({
                let is_code = |text: &str| text.split_whitespace().collect::<String>().replace(",}", "}").replace(",)", ")");
                assert_eq!(is_code(&format!("{:?}", $value)), is_code(stringify!($value)));
            })+
        };
    }

    #[test]
    fn the_debug_text_is_code() {
        are_code!(
            ClusterFault::Cut { broker: 1 },
            ClusterFault::CutAfter { broker: 1, direction: Direction::ToBroker, bytes: 70 },
            ClusterFault::Kill { broker: 2 },
            ClusterFault::Restart { broker: 2, remembers_producers: false },
            ClusterFault::MoveLeader { topic: "an \"odd\" one".into(), partition: 0, to: 2 },
            ClusterFault::RemoveLeader { topic: "orders".into(), partition: 3 },
            ClusterFault::SlowDisk { broker: 1, delay: Duration::from_millis(5) },
            ClusterFault::SlowDisk { broker: 1, delay: Duration::ZERO },
            ClusterFault::StopReplication { topic: "orders".into(), partition: 0, time: Duration::MAX },
            ClusterFault::StopReplication { topic: "orders".into(), partition: 0, time: Duration::new(1, 7) },
            ClusterFault::RejectIdentities { which: RejectedProducerIds::Forgotten, code: 49 },
            ClusterFault::ForgetProducers { topic: "orders".into(), partition: 0 },
            ClusterFault::ForgetTopic { topic: "orders".into() },
            ClusterFault::Request(Fault::new(FaultKind::DropResponse)),
            FaultPlan::from([(0, ClusterFault::Cut { broker: 1 }), (2, ClusterFault::Kill { broker: 1 })]),
        );
        are_code!(
            Fault::new(FaultKind::Refuse { code: 6, all: true }).api(ApiKey::Produce).client_id("shop").topic("orders"),
            Fault::new(FaultKind::ExecuteAndRefuse { code: 7 }).topic("orders").partition(3).after(1).times(2),
            Fault::new(FaultKind::RejectRecords { positions: vec![0, 2] }).always(),
            Fault::new(FaultKind::DropRequest),
            Fault::new(FaultKind::DelayRequest(Duration::from_millis(3))),
            Fault::new(FaultKind::DelayResponse(Duration::MAX)),
            Fault::new(FaultKind::RespondTwice),
            Fault::new(FaultKind::CloseConnection { executed: false }),
            Fault::new(FaultKind::CutResponse { bytes: 9 }),
            Fault::new(FaultKind::Garbage(Garbage::Huge)),
            Fault::new(FaultKind::Throttle(20)),
            Fault::new(FaultKind::OmitFirst),
            Fault::new(FaultKind::AssignedProducerId(AssignedProducerId::LaterEpoch)),
            Fault::new(FaultKind::StaleMetadata),
            Fault::new(FaultKind::FalseMetadata(FalseMetadata::NoBrokers)),
        );
    }

    #[test]
    fn a_plan_is_sorted_by_step() {
        let cut = |broker| ClusterFault::Cut { broker };
        let plan: FaultPlan = [(2, cut(1)), (0, cut(2)), (2, cut(3))].into_iter().collect();
        assert_eq!(plan.faults(), [(0, cut(2)), (2, cut(1)), (2, cut(3))]);
    }
}
