//! The cluster, as tests see it.

use std::fmt;
use std::time::Duration;

use kafka_batch_core::TopicPartition;
use kafka_batch_testing::simulated::{PORT, host};
use kafka_batch_testing::{CreateTopicError, Fault, PartitionLog, ReceivedRequest, RejectedProducerIds, Topic};

use crate::faults::FaultAction;
use crate::state::{Shared, State};

/// The cluster of a simulation: what it stores, what it was asked, and its faults, which take effect at once. Methods have the
/// names of those of [`TestCluster`](kafka_batch_testing::TestCluster).
#[derive(Clone)]
pub struct SimulatedCluster {
    state: Shared,
}

impl SimulatedCluster {
    pub(crate) const fn new(state: Shared) -> Self {
        Self { state }
    }

    pub(crate) fn read<T>(&self, function: impl FnOnce(&State) -> T) -> T {
        function(&self.state.borrow())
    }

    pub(crate) fn change<T>(&self, function: impl FnOnce(&mut State, Duration) -> T) -> T {
        let mut state = self.state.borrow_mut();
        let now = state.now;
        state.network.is_engine_changed = true;
        function(&mut state, now)
    }

    /// Does this and writes it to the dialogue.
    pub(crate) fn act<T>(&self, line: fmt::Arguments<'_>, function: impl FnOnce(&mut State, Duration) -> T) -> T {
        self.change(|state, now| {
            state.say(|| format!("*** the test: {line}"));
            function(state, now)
        })
    }

    /// Returns the addresses of all brokers for `bootstrap.servers`.
    #[must_use]
    pub fn bootstrap_servers(&self) -> String {
        let brokers =
            self.read(|state| state.network.engine.brokers.iter().map(|broker| broker.id).collect::<Vec<_>>());
        brokers.into_iter().map(|id| format!("{}:{PORT}", host(id))).collect::<Vec<_>>().join(",")
    }

    /// Returns the number of brokers. Their ids are 1 to this number.
    #[must_use]
    pub fn broker_count(&self) -> usize {
        self.read(|state| state.network.engine.brokers.len())
    }

    /// Returns what is stored in a partition, or `None` if it does not exist.
    #[must_use]
    pub fn log(&self, topic: &str, partition: i32) -> Option<PartitionLog> {
        self.read(|state| {
            let found = state.network.engine.cluster.partition(topic, partition);
            found.map(|partition| PartitionLog::from(&partition.log))
        })
    }

    /// Returns the logs of all partitions of a topic; none if it does not exist.
    #[must_use]
    pub fn logs(&self, topic: &str) -> Vec<PartitionLog> {
        self.read(|state| {
            let found = state.network.engine.cluster.topics.get(topic);
            let partitions = found.into_iter().flat_map(|topic| &topic.partitions);
            partitions.map(|partition| PartitionLog::from(&partition.log)).collect()
        })
    }

    /// Returns the requests received so far, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.read(|state| state.network.engine.requests.clone())
    }

    /// Returns when each request on a connection ([`ReceivedRequest::connection`]) was sent, in order. Those that brokers have
    /// received are the first of them, in the same order. A request may be received long after it was sent, and after its
    /// connection was closed.
    #[must_use]
    pub fn requests_sent_at(&self, connection: u64) -> Vec<Duration> {
        self.read(|state| state.network.written_at(connection).to_vec())
    }

    /// Returns what producers did that no broker accepts.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.read(|state| state.network.engine.brokers.iter().flat_map(|broker| broker.violations.clone()).collect())
    }

    /// Returns the names of the topics.
    #[must_use]
    pub fn topics(&self) -> Vec<String> {
        self.read(|state| state.network.engine.cluster.topics.keys().cloned().collect())
    }

    /// Creates a topic, unless it exists. Returns whether it was created.
    ///
    /// # Errors
    /// Returns an error if Kafka does not accept the name, or the number of partitions is 0 or more than 10,000.
    pub fn create_topic(&self, topic: impl Into<Topic>) -> Result<bool, CreateTopicError> {
        let topic = topic.into();
        self.change(|state, now| topic.create_in(&mut state.network.engine.cluster, now))
    }

    /// Deletes a topic and everything in it. Returns whether it existed.
    #[allow(clippy::must_use_candidate)] // it has an effect, through a `RefCell`
    pub fn forget_topic(&self, topic: &str) -> bool {
        self.act(format_args!("deletes {}", topic.escape_debug()), |state, _| {
            state.network.engine.cluster.topics.remove(topic).is_some()
        })
    }

    /// Returns the leader of a partition, if it has one.
    #[must_use]
    pub fn leader(&self, topic: &str, partition: i32) -> Option<i32> {
        self.read(|state| state.network.engine.cluster.partition(topic, partition)?.leader)
    }

    /// Makes another broker the leader of a partition, which has the whole log. Returns whether both exist.
    #[allow(clippy::must_use_candidate)] // it has an effect, through a `RefCell`
    pub fn move_leader(&self, topic: &str, partition: i32, to: i32) -> bool {
        self.act(
            format_args!("broker {to} becomes the leader of {}", TopicPartition::new(topic, partition)),
            |state, _| state.network.engine.cluster.set_leader(topic, partition, Some(to)),
        )
    }

    /// Removes the leader of a partition until [`move_leader`](Self::move_leader) sets one. Returns whether it exists.
    #[allow(clippy::must_use_candidate)] // it has an effect, through a `RefCell`
    pub fn remove_leader(&self, topic: &str, partition: i32) -> bool {
        self.act(format_args!("{} has no leader", TopicPartition::new(topic, partition)), |state, _| {
            state.network.engine.cluster.set_leader(topic, partition, None)
        })
    }

    /// Applies a fault to a later request, at the first broker that receives one that it concerns.
    pub fn inject(&self, fault: Fault) {
        self.change(|state, _| {
            state.say(|| format!("*** the test: a broker will apply {fault}"));
            state.network.engine.inject(fault);
        });
    }

    /// Lets a fault happen now.
    pub fn apply(&self, action: &FaultAction) {
        self.change(|state, _| action.apply(state));
    }

    /// Continues the requests and sends the responses that faults hold.
    pub fn release_held(&self) {
        self.change(|state, now| state.network.engine.brokers.iter_mut().for_each(|broker| broker.release_held(now)));
    }

    /// Removes all faults that were injected and have not been applied. Those that the schedule has for later still happen.
    pub fn end_faults(&self) {
        self.act(format_args!("ends the faults"), |state, _| state.network.end_faults());
    }

    /// Cuts the connections with a broker.
    pub fn cut(&self, broker: i32) {
        self.act(format_args!("cuts the connections with broker {broker}"), |state, now| {
            state.network.cut(broker, now);
        });
    }

    /// Lets a broker take this much longer for each Produce request, as a slow disk does.
    pub fn slow_disk(&self, broker: i32, delay: Duration) {
        self.act(format_args!("broker {broker} takes {delay:?} longer to append"), |state, _| {
            if let Some(broker) = state.network.engine.broker_mut(broker) {
                broker.append_delay = delay;
            }
        });
    }

    /// Rejects producer ids and epochs at all brokers, with this error code.
    pub fn reject_identities(&self, which: RejectedProducerIds, code: i16) {
        self.act(format_args!("{}", which.name()), |state, _| {
            let engine = &mut state.network.engine;
            engine.brokers.iter_mut().for_each(|broker| broker.reject(which, code, &engine.cluster));
        });
    }

    /// Stops a broker, as a crash does, until it is [restarted](Self::restart).
    pub fn kill(&self, broker: i32) {
        self.act(format_args!("stops broker {broker}"), |state, now| {
            state.network.kill(broker, Duration::ZERO, None, now);
        });
    }

    /// Starts a broker again. Returns whether it was down.
    #[allow(clippy::must_use_candidate)] // it has an effect, through a `RefCell`
    pub fn restart(&self, broker: i32) -> bool {
        self.act(format_args!("starts broker {broker}"), |state, _| state.network.restart(broker))
    }
}

impl fmt::Debug for SimulatedCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedCluster").field("topics", &self.topics()).finish_non_exhaustive()
    }
}
