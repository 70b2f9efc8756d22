//! Faults of a running cluster as strategies for property-based tests (feature `proptest`). They shrink to fewer faults, to
//! none if the test fails without any, and to faults of fewer requests and shorter times.
//!
#![cfg_attr(feature = "__witnesses", doc = "```")]
#![cfg_attr(not(feature = "__witnesses"), doc = "```no_run")]
//! use kafka_batch_testing::proptest::{FaultTargets, faults, proptest::prelude::*};
//! use kafka_batch_testing::TestCluster;
//! use kafka_batch_tokio::TokioProducer;
//!
//! let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! proptest!(ProptestConfig::with_cases(32), |(faults in faults(&FaultTargets::new(2).topic("orders", 1)))| {
//!     let cluster = TestCluster::builder().brokers(2).topic("orders").start()?;
//!     faults.iter().for_each(|fault| assert!(cluster.apply(fault)));
//!     let sent = runtime.block_on(async {
//!         let builder = TokioProducer::builder().set("bootstrap.servers", cluster.bootstrap_servers());
//!         builder.set("retry.backoff.ms", "1").build().unwrap().send("orders", "three books").await
//!     });
//!     let stored = cluster.log("orders", 0).unwrap().values()?;
//!     prop_assert!(stored.len() <= 1 && (sent.is_err() || stored == ["three books"]));
//! });
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! [`faults`] are those after which the cluster serves its clients again, and which lose nothing that was confirmed. Each kind
//! has a strategy of its own, also those that are not among them: [`lost_messages`], which a client notices after
//! `request.timeout.ms`, and [`losses`].
//!
//! # Speed
//! Most of a test's time is that for which clients wait before they try again: set `retry.backoff.ms` and
//! `reconnect.backoff.ms` to 1, and `request.timeout.ms` to some tens of milliseconds for [`lost_messages`]. Then 256 cases of three
//! batches each take less than a second without sockets ([`MemoryStream`](crate::MemoryStream) has an example), in a debug build.

use std::time::Duration;

pub use ::proptest;
use ::proptest::collection::vec;
use ::proptest::option;
use ::proptest::prelude::*;
use ::proptest::sample::select;

use crate::simulated::REJECTION_CODES;
use crate::{ApiKey, ClusterFault, Direction, Fault, FaultKind, FaultPlan, RejectedProducerIds};

/// The maximum number of faults in [`faults`] and [`plans`].
const MOST_FAULTS: usize = 4;

/// The error codes with which brokers refuse batches, retriable and not.
const PRODUCE_CODES: [i16; 11] = [6, 5, 3, 8, 19, 56, 29, 17, 10, 44, 87];
/// Error codes that are returned after a batch was appended.
const APPENDED_CODES: [i16; 3] = [7, 20, 13];
const METADATA_CODES: [i16; 4] = [5, 3, -1, 29];
const PRODUCER_ID_CODES: [i16; 4] = [14, 15, 16, 51];

/// The brokers and partitions that faults may concern, and how long faults last.
#[derive(Clone, Debug)]
pub struct FaultTargets {
    brokers: i32,
    partitions: Vec<(String, i32)>,
    max_delay: Duration,
}

impl FaultTargets {
    /// Returns those of a cluster of this many brokers, and no topics.
    ///
    /// # Panics
    /// The number is 0 or more than 1,000.
    #[must_use]
    pub fn new(brokers: usize) -> Self {
        assert!((1..=1_000).contains(&brokers), "a cluster has 1 to 1,000 brokers, not {brokers}");
        Self { brokers: brokers as i32, partitions: Vec::new(), max_delay: Duration::from_millis(2) }
    }

    /// Adds a topic, with its number of partitions.
    #[must_use]
    pub fn topic(mut self, name: &str, partitions: i32) -> Self {
        self.partitions.extend((0..partitions).map(|partition| (name.to_owned(), partition)));
        self
    }

    /// Sets the maximum duration of delays, in whole milliseconds. The default is 2 ms.
    #[must_use]
    pub const fn max_delay(mut self, max_delay: Duration) -> Self {
        self.max_delay = max_delay;
        self
    }

    fn broker(&self) -> impl Strategy<Value = i32> + use<> {
        1..=self.brokers
    }

    fn delay(&self) -> impl Strategy<Value = Duration> + use<> {
        (1..=u64::try_from(self.max_delay.as_millis()).unwrap_or(u64::MAX).max(1)).prop_map(Duration::from_millis)
    }

    /// Returns faults of a partition; none if there are no topics.
    fn of_partition<F>(&self, fault: F) -> Option<BoxedStrategy<ClusterFault>>
    where
        F: Fn(String, i32) -> ClusterFault + 'static,
    {
        let partitions = self.partitions.clone();
        (!partitions.is_empty())
            .then(|| select(partitions).prop_map(move |(topic, partition)| fault(topic, partition)).boxed())
    }

    /// Returns faults that are applied to some requests of these APIs: to the first one or later ones, to one or more, to any or
    /// to those for one partition.
    fn of_requests<K>(&self, kind: K) -> impl Strategy<Value = ClusterFault> + use<K>
    where
        K: Strategy<Value = (ApiKey, FaultKind)>,
    {
        // Only Produce and Metadata name topics.
        let topic = if self.partitions.is_empty() {
            Just(None).boxed()
        } else {
            option::weighted(0.3, select(self.partitions.clone())).boxed()
        };
        (kind, 0..3_u32, 1..4_u32, topic).prop_map(|((api, kind), after, times, topic)| {
            let fault = Fault::new(kind).api(api).after(after).times(times);
            match topic {
                Some((topic, partition)) if api == ApiKey::Produce => fault.topic(topic).partition(partition),
                Some((topic, _)) if api == ApiKey::Metadata => fault.topic(topic),
                _ => fault,
            }
            .into()
        })
    }
}

/// The APIs that producers use, Produce first.
fn apis() -> impl Strategy<Value = ApiKey> {
    prop_oneof![4 => Just(ApiKey::Produce), 1 => Just(ApiKey::Metadata), 1 => Just(ApiKey::InitProducerId)]
}

/// Requests are answered with an error code, without being executed, or (Produce) after they were.
pub fn error_codes(targets: &FaultTargets) -> impl Strategy<Value = ClusterFault> + use<> {
    let refused =
        |codes: &'static [i16]| (select(codes), any::<bool>()).prop_map(|(code, all)| FaultKind::Refuse { code, all });
    let produce = prop_oneof![
        3 => refused(&PRODUCE_CODES),
        1 => select(&APPENDED_CODES[..]).prop_map(|code| FaultKind::ExecuteAndRefuse { code }),
    ];
    targets.of_requests(prop_oneof![
        4 => produce.prop_map(|kind| (ApiKey::Produce, kind)),
        1 => refused(&METADATA_CODES).prop_map(|kind| (ApiKey::Metadata, kind)),
        1 => refused(&PRODUCER_ID_CODES).prop_map(|kind| (ApiKey::InitProducerId, kind)),
    ])
}

/// Some of the first six records of a batch are rejected, and with them the batch (KIP-467).
pub fn rejected_records(targets: &FaultTargets) -> impl Strategy<Value = ClusterFault> + use<> {
    let positions = ::proptest::collection::btree_set(0..6_i32, 1..=6);
    targets.of_requests(positions.prop_map(|positions| {
        (ApiKey::Produce, FaultKind::RejectRecords { positions: positions.into_iter().collect() })
    }))
}

/// Connections are closed in place of a response, before or after the request is executed, or within the response.
pub fn closed_connections(targets: &FaultTargets) -> impl Strategy<Value = ClusterFault> + use<> {
    let kind = prop_oneof![
        any::<bool>().prop_map(|executed| FaultKind::CloseConnection { executed }),
        (1..40_usize).prop_map(|bytes| FaultKind::CutResponse { bytes }),
    ];
    targets.of_requests((apis(), kind))
}

/// Requests or responses are held for up to the maximum delay.
pub fn delays(targets: &FaultTargets) -> impl Strategy<Value = ClusterFault> + use<> {
    let kind = (any::<bool>(), targets.delay()).prop_map(|(before, time)| match before {
        false => FaultKind::DelayResponse(time),
        true => FaultKind::DelayRequest(time),
    });
    targets.of_requests((apis(), kind))
}

/// Requests or responses are lost, while the connection stays open: a client notices it after `request.timeout.ms`.
pub fn lost_messages(targets: &FaultTargets) -> impl Strategy<Value = ClusterFault> + use<> {
    let kind = select(&[FaultKind::DropResponse, FaultKind::DropRequest][..]);
    targets.of_requests((apis(), kind))
}

/// The connections of a broker are closed, at once or after some bytes in one direction.
pub fn cuts(targets: &FaultTargets) -> impl Strategy<Value = ClusterFault> + use<> {
    let direction = select(&[Direction::ToBroker, Direction::ToClient][..]);
    prop_oneof![
        targets.broker().prop_map(|broker| ClusterFault::Cut { broker }),
        (targets.broker(), direction, 1..600_usize).prop_map(|(broker, direction, bytes)| ClusterFault::CutAfter {
            broker,
            direction,
            bytes
        }),
    ]
}

/// A broker crashes and starts again.
pub fn restarts(targets: &FaultTargets) -> impl Strategy<Value = ClusterFault> + use<> {
    targets.broker().prop_map(|broker| ClusterFault::Restart { broker, remembers_producers: true })
}

/// A partition gets another leader. Without topics, and with one broker, a broker restarts.
pub fn leader_moves(targets: &FaultTargets) -> impl Strategy<Value = ClusterFault> + use<> {
    if targets.brokers == 1 || targets.partitions.is_empty() {
        return restarts(targets).boxed();
    }
    let to = targets.broker();
    (select(targets.partitions.clone()), to)
        .prop_map(|((topic, partition), to)| ClusterFault::MoveLeader { topic, partition, to })
        .boxed()
}

/// Appending takes longer at a broker, or a partition is not replicated for a while.
pub fn slow_disks(targets: &FaultTargets) -> impl Strategy<Value = ClusterFault> + use<> {
    let slow = (targets.broker(), targets.delay()).prop_map(|(broker, delay)| ClusterFault::SlowDisk { broker, delay });
    if targets.partitions.is_empty() {
        return slow.boxed();
    }
    let stopped = (select(targets.partitions.clone()), targets.delay())
        .prop_map(|((topic, partition), time)| ClusterFault::StopReplication { topic, partition, time });
    prop_oneof![slow, stopped].boxed()
}

/// Producer ids or epochs are rejected.
pub fn rejected_identities() -> impl Strategy<Value = ClusterFault> {
    let which = select(&[RejectedProducerIds::OwnEpochs, RejectedProducerIds::Forgotten][..]);
    (which, select(&REJECTION_CODES[..])).prop_map(|(which, code)| ClusterFault::RejectIdentities { which, code })
}

/// What was confirmed is lost, or may be stored again: topics are deleted, producers are forgotten, also by a broker that
/// restarts. Not among [`faults`].
pub fn losses(targets: &FaultTargets) -> impl Strategy<Value = ClusterFault> + use<> {
    let restart =
        targets.broker().prop_map(|broker| ClusterFault::Restart { broker, remembers_producers: false }).boxed();
    let producers = targets.of_partition(|topic, partition| ClusterFault::ForgetProducers { topic, partition });
    let topics = targets.of_partition(|topic, _| ClusterFault::ForgetTopic { topic });
    ::proptest::strategy::Union::new([Some(restart), producers, topics].into_iter().flatten())
}

/// One fault of any kind after which the cluster serves its clients again, and which loses nothing that was confirmed.
pub fn fault(targets: &FaultTargets) -> impl Strategy<Value = ClusterFault> + use<> {
    prop_oneof![
        2 => closed_connections(targets),
        3 => error_codes(targets),
        2 => delays(targets),
        1 => cuts(targets),
        1 => rejected_records(targets),
        1 => restarts(targets),
        1 => leader_moves(targets),
        1 => slow_disks(targets),
        1 => rejected_identities(),
    ]
}

/// Up to four [faults](fault), for [`TestCluster::apply`](crate::TestCluster::apply). They shrink to none.
pub fn faults(targets: &FaultTargets) -> impl Strategy<Value = Vec<ClusterFault>> + use<> {
    vec(fault(targets), 0..=MOST_FAULTS)
}

/// Up to four [faults](fault), each before one of this many steps of a test ([`FaultPlan::apply`]). They shrink to none.
///
/// # Panics
/// There are no steps.
pub fn plans(targets: &FaultTargets, steps: usize) -> impl Strategy<Value = FaultPlan> + use<> {
    plans_of(fault(targets), steps)
}

/// Up to four faults of this strategy, each before one of this many steps of a test. They shrink to none.
///
/// # Panics
/// There are no steps.
pub fn plans_of<F: Strategy<Value = ClusterFault>>(
    fault: F,
    steps: usize,
) -> impl Strategy<Value = FaultPlan> + use<F> {
    assert!(steps > 0, "a test has at least one step");
    vec((0..steps, fault), 0..=MOST_FAULTS).prop_map(FaultPlan::from_iter)
}
