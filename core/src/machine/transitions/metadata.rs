//! Metadata: when it is requested, and what its response changes.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::num::NonZeroU32;

use bytes::Bytes;

use super::Machine;
use super::responses::InFlightRequest;
use crate::cause::{ConnectionError, ConnectionErrorKind, TopicLookupError};
use crate::machine::cluster::{MetadataChanges, Source};
use crate::machine::config::MetadataRecoveryStrategy;
use crate::machine::event::Event;
use crate::machine::index::PartitionIndex;
use crate::machine::io::{ConnectionId, Output};
use crate::machine::query::{Query, QueryState};
use crate::machine::schedule::Condition;
use crate::machine::timers::Timer;
use crate::machine::topic_backoffs::TopicBackoffs;
use crate::protocol::{ApiKey, MetadataRequest, MetadataResponse, RequestedTopics};
use crate::time::Instant;

/// Decides when metadata is requested.
#[derive(Debug, Default)]
pub(super) struct Refresh {
    query: Query,
    pub(super) topics: TopicBackoffs,
    /// An error occurred that newer metadata may explain, or a request failed.
    is_update_requested: bool,
    /// `metadata.max.age.ms` has elapsed.
    pub(super) is_old: bool,
    /// A broker has responded REBOOTSTRAP_REQUIRED: the next poll restarts from the bootstrap servers.
    pub(super) rebootstrap_required: bool,
    /// Since when metadata is needed and not obtained.
    pub(super) needed_since: Option<Instant>,
    /// When the last response arrived.
    last_response: Option<Instant>,
}

impl Refresh {
    /// Returns when the last response arrived that was used.
    pub(super) const fn last_response(&self) -> Option<Instant> {
        self.last_response
    }
}

impl Machine {
    /// Returns the node id of the leader of a partition, or `None` if it is not known now.
    #[must_use]
    pub fn partition_leader(&self, topic: &str, partition: i32) -> Option<i32> {
        self.cluster.leader(topic, partition)
    }

    /// Returns a Metadata request, if one is needed and allowed now. If there is no connection, connects first.
    pub(super) fn request_metadata(&mut self) -> Option<(ConnectionId, Vec<Bytes>)> {
        let lacks_leader = self.accumulator.schedule.first_waiting_for(Condition::Leader).is_some();
        let wanted = self.refresh.topics.next().filter(|_| lacks_leader || !self.lookups.is_empty());
        let is_due = self.refresh.is_update_requested
            || self.refresh.is_old
            || wanted.is_some_and(|not_before| not_before <= self.now);
        if !is_due {
            self.stop_rebootstrap_timer();
        }
        if !is_due || !self.needs_topics() {
            if let Some(not_before) = wanted {
                self.timers.set(Timer::MetadataRetry, not_before);
            }
            return None;
        }
        self.start_rebootstrap_timer();
        match self.refresh.query.state(self.now) {
            QueryState::Due => {}
            QueryState::InFlight => return None,
            QueryState::BackingOff(moment) => {
                self.timers.set(Timer::MetadataRetry, moment);
                return None;
            }
        }
        let Some(id) = self.network.least_loaded(self.now) else {
            self.connect_any();
            return None;
        };
        let topics = self.needed_topics();
        let names: Vec<&str> = topics.into_iter().collect();
        let connection = self.network.connections.get(&id)?;
        let version = connection.versions()?.metadata;
        // As in the Java producer: the broker decides whether to create missing topics (auto.create.topics.enable).
        let request = MetadataRequest {
            allow_auto_topic_creation: true,
            ..MetadataRequest::new(RequestedTopics::ByName(&names))
        };
        let encoded = request.encode(version, connection.header(&self.config));
        let topics = names.into_iter().map(String::from).collect();
        match encoded {
            Ok(bytes) => {
                self.refresh.query.sent();
                self.refresh.topics.sent();
                self.register(id, ApiKey::Metadata, version, InFlightRequest::Metadata { topics });
                Some((id, bytes))
            }
            Err(_) => {
                self.fail_connection(id, ConnectionErrorKind::Incompatible(ApiKey::Metadata));
                None
            }
        }
    }

    pub(super) fn connect_any(&mut self) {
        let mut next = self.network.stagger_deadline(self.now);
        if next.is_none() {
            match self.network.any_node(&self.config, &self.cluster, self.now) {
                Ok(node) => {
                    self.connect(node);
                    next = self.network.stagger_deadline(self.now);
                }
                Err(soonest) => next = soonest,
            }
        }
        if let Some(next) = next {
            self.timers.set(Timer::MetadataRetry, next);
        }
    }

    pub(super) fn on_metadata(&mut self, id: ConnectionId, version: i16, frame: &[u8], topics: &[String]) {
        let response = match MetadataResponse::decode(frame, version) {
            Ok(response) => response,
            Err(error) => {
                self.metadata_failed();
                return self.fail_connection(id, error.into());
            }
        };
        if ApiKey::Metadata.client_throttles(version) {
            self.throttle(id, response.throttle_time_ms);
        }
        let changes =
            self.cluster.apply(&response, Source { broker: self.network.broker(id), version, requested: topics });
        self.leaders_changed();
        self.start_idle_timer();
        if changes.has_no_brokers {
            self.record_error(
                id,
                ConnectionErrorKind::Protocol(format!("its response to Metadata v{version} lists no brokers")),
            );
        }
        if changes.has_no_brokers || changes.rebootstrap {
            if changes.rebootstrap && self.config.metadata_recovery_strategy == MetadataRecoveryStrategy::Rebootstrap {
                self.cluster.discard();
                self.leaders_changed();
                // At the next poll, because responses that arrived together with this one still count.
                self.refresh.rebootstrap_required = true;
            }
            return self.metadata_failed();
        }
        self.stop_rebootstrap_timer();
        self.refresh.query.on_response();
        self.refresh.is_update_requested = false;
        self.refresh.is_old = false;
        self.refresh.last_response = Some(self.now);
        self.timers.set(Timer::MetadataAge, self.now + self.config.metadata_max_age);
        self.apply_metadata_changes(&changes, topics);
        self.refresh.query.reset(self.now);
        let backoff = self.retry_backoff();
        for topic in topics {
            if self.is_topic_known(topic) {
                self.refresh.topics.found(topic);
            } else {
                self.refresh.topics.missing(topic, self.now, backoff, &mut self.random);
            }
        }
    }

    /// Marks the partitions to be examined that any metadata may unblock, or that wait for their turn at a node which
    /// does not lead them any more. One in backoff may have an earlier batch that is not sent to the old leader only.
    pub(super) fn leaders_changed(&mut self) {
        for condition in Condition::ALL {
            self.accumulator.schedule.wake(condition);
        }
        self.accumulator.schedule.wake_backoffs();
        let Self { accumulator, cluster, .. } = self;
        accumulator.leaders_changed(|topic, partition| cluster.leader(topic, partition));
    }

    /// Returns the leader of a partition, if it is known.
    pub(super) fn leader(&mut self, index: PartitionIndex) -> Option<i32> {
        let revision = self.cluster.revision();
        let partition = self.accumulator.partition_mut(index);
        if partition.leader.0 != revision {
            let leader = self.cluster.leader(partition.topic(), partition.number());
            let previous = partition.set_leader(revision, leader);
            if let (true, Some(previous), Some(leader)) = (self.config.notices, previous, leader) {
                self.report_leader(index, previous, leader);
            }
            return leader;
        }
        partition.leader.1
    }

    /// Returns `true` if everything needed of a topic is known now.
    fn is_topic_known(&self, topic: &str) -> bool {
        let partitions = self.accumulator.topics.partitions(topic).map(|index| self.accumulator.partition(index));
        let mut active = partitions.filter(|partition| partition.is_active);
        active.all(|partition| self.cluster.leader(topic, partition.number()).is_some())
            && !self.lookups.contains_key(topic)
    }

    fn apply_metadata_changes(&mut self, changes: &MetadataChanges, topics: &[String]) {
        for topic in &changes.recreated {
            let partitions: Vec<PartitionIndex> = self.accumulator.topics.partitions(topic).collect();
            for index in partitions {
                self.accumulator.partition_mut(index).on_recreated();
            }
        }
        for (topic, error) in &changes.refused {
            if self.lookups.remove(topic).is_some() {
                self.topic_event(topic.clone(), Err(error.clone().into()));
            }
            let partitions: Vec<PartitionIndex> = self.accumulator.topics.partitions(topic).collect();
            for index in partitions {
                self.fail_waiting(index, || error.clone().into());
            }
        }
        let known = |topic: &String| self.cluster.partition_count(topic).and_then(NonZeroU32::new);
        let found: Vec<(String, NonZeroU32)> = topics
            .iter()
            .filter(|topic| self.lookups.contains_key(*topic))
            .filter_map(|topic| Some((topic.clone(), known(topic)?)))
            .collect();
        for (topic, partitions) in found {
            self.lookups.remove(&topic);
            self.topic_event(topic, Ok(partitions));
        }
        self.update_lookup_timer();
    }

    /// Handles a Metadata request that got no response, or no usable one.
    pub(super) fn metadata_failed(&mut self) {
        self.refresh.is_update_requested = true;
        let backoff = self.retry_backoff();
        self.refresh.query.failed(self.now, backoff, &mut self.random);
    }

    /// Requests metadata soon, after an error that newer metadata may explain.
    pub(super) fn request_metadata_soon(&mut self) {
        if !self.refresh.is_update_requested && !self.refresh.query.is_in_flight() {
            self.refresh.is_update_requested = true;
            let soon = self.config.retry_backoff.min(self.config.retry_backoff_max);
            self.refresh.query.wait_until(self.now + soon);
        }
    }

    /// Starts a lookup. It always requests metadata, because the caller of a lookup of a known topic expects that it
    /// has changed. For a known topic, that request waits until `retry.backoff.ms` after the last response.
    pub(super) fn start_lookup(&mut self, topic: &str) {
        if topic.is_empty() || topic.len() > super::LONGEST_TOPIC {
            return self.topic_event(topic.into(), Err(TopicLookupError::InvalidTopic));
        }
        if let Some(last) = self.refresh.last_response.filter(|_| self.cluster.partition_count(topic).is_some()) {
            self.refresh.topics.wait_until(topic, last + self.config.retry_backoff);
        }
        let until = self.now + self.config.request_timeout;
        self.lookups.entry(topic.into()).or_insert(until);
        self.refresh.topics.want(topic, self.now);
        self.update_lookup_timer();
        self.dirty = true;
    }

    pub(super) fn expire_lookups(&mut self) {
        let over: BTreeMap<String, Instant> = self
            .lookups
            .iter()
            .filter(|(_, until)| **until <= self.now)
            .map(|(topic, until)| (topic.clone(), *until))
            .collect();
        for (topic, until) in over {
            self.lookups.remove(&topic);
            let error = self.cluster.error(&topic).cloned().map(TopicLookupError::from);
            let error = error.unwrap_or_else(|| TopicLookupError::TimedOut {
                limit: self.config.request_timeout,
                cause: self.lookup_timeout_cause(until).map(Box::new),
            });
            self.topic_event(topic, Err(error));
        }
        self.update_lookup_timer();
    }

    /// Fails all lookups after a failed authentication, as the Java client does: they would fail with the same error
    /// when they time out.
    pub(super) fn fail_lookups(&mut self, error: &ConnectionError) {
        for topic in core::mem::take(&mut self.lookups).into_keys() {
            self.topic_event(topic, Err(TopicLookupError::Authentication(Box::new(error.clone()))));
        }
        self.update_lookup_timer();
    }

    fn update_lookup_timer(&mut self) {
        self.timers.set_or_clear(Timer::LookupTopic, self.lookups.values().min().copied());
    }

    /// Returns the partitions of a topic whose leaders are in this rack, as far as they are known now: for
    /// [`StickyPartitioner::prefer`](crate::partitioner::StickyPartitioner::prefer).
    pub fn partitions_led_in_rack<'m>(&'m self, topic: &str, rack: &'m str) -> impl Iterator<Item = i32> + 'm {
        self.cluster.led_in_rack(topic, rack)
    }

    /// Removes the topics and partitions that were not used since the last call.
    pub(super) fn forget_unused(&mut self) {
        // Below level 2, sequence numbers go on in the next transaction.
        let keep = self.identities.current().filter(|_| self.transactions.is_some());
        for identity in self.accumulator.forget_unused(keep) {
            self.identities.on_partition_forgotten(identity);
        }
        let (accumulator, lookups) = (&self.accumulator, &self.lookups);
        let is_used = |topic: &str| accumulator.topics.knows(topic) || lookups.contains_key(topic);
        self.cluster.forget_unused(is_used);
        self.refresh.topics.forget_unused(is_used);
        self.start_idle_timer();
    }

    pub(super) fn start_idle_timer(&mut self) {
        let is_known = !self.accumulator.topics.is_empty() || !self.cluster.is_unused();
        if is_known && !self.timers.is_set(Timer::MetadataIdle) {
            self.timers.set(Timer::MetadataIdle, self.now + self.config.metadata_max_idle);
        }
    }

    fn topic_event(&mut self, topic: String, partitions: Result<NonZeroU32, TopicLookupError>) {
        self.outputs.push_back(Output::Event(Event::Topic { topic, partitions }));
    }
}
