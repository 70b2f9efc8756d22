//! What has to be known before anything can be sent: the cluster, and who we are to it.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::num::NonZeroU32;

use bytes::Bytes;

use super::Machine;
use super::responses::PendingRequest;
use crate::machine::accumulator::BlockedOn;
use crate::machine::cluster::{News, Source};
use crate::machine::event::{ConnectionError, ConnectionErrorKind, Event, TopicLookupError};
use crate::machine::handshake::garbled;
use crate::machine::identity::Identity;
use crate::machine::io::{ConnectionId, Output};
use crate::machine::timers::Timer;
use crate::machine::verdict::{self, IdentityVerdict};
use crate::protocol::{
    ApiKey, BrokerError, ErrorCode, InitProducerIdRequest, InitProducerIdResponse, MetadataRequest, MetadataResponse,
    RequestedTopics,
};
use crate::time::Instant;

/// When metadata is asked for.
#[derive(Debug, Default)]
pub(super) struct Refresh {
    /// A request is under way.
    asked: bool,
    /// Something went wrong that a newer picture may explain.
    suspect: bool,
    /// `metadata.max.age.ms` is over.
    pub(super) is_old: bool,
    /// Brokers told us to begin anew with the bootstrap servers: that is done at the next poll.
    leaves_brokers: bool,
    failures: u32,
    not_before: Instant,
    /// When the last answer came.
    answered: Instant,
}

impl Refresh {
    /// When the last response came.
    pub(super) const fn answered(&self) -> Instant {
        self.answered
    }
}

impl Machine {
    /// Asks for metadata, if that is needed and allowed now; connects first, if nobody is there to ask. `leaders`: some
    /// batch waits for a leader.
    pub(super) fn ask_metadata(&mut self, leaders: bool) -> Option<(ConnectionId, Vec<Bytes>)> {
        let refresh = &self.refresh;
        let due = leaders || refresh.suspect || refresh.is_old || !self.look_ups.is_empty();
        if !due || refresh.asked || self.needed_topics().is_empty() {
            return None;
        }
        if refresh.not_before > self.now {
            self.timers.set(Timer::MetadataRetry, refresh.not_before);
            return None;
        }
        let Some(id) = self.network.least_loaded(self.now) else {
            self.connect_anybody();
            return None;
        };
        let topics = self.needed_topics();
        let names: Vec<&str> = topics.into_iter().collect();
        let connection = self.network.connections.get(&id)?;
        let version = connection.versions()?.metadata;
        // As the Java producer: whether missing topics are created is the broker's affair (auto.create.topics.enable).
        let request =
            MetadataRequest { allow_auto_topic_creation: true, ..MetadataRequest::new(RequestedTopics::Named(&names)) };
        let encoded = request.encode(version, connection.header(&self.config));
        let asked = names.into_iter().map(String::from).collect();
        match encoded {
            Ok(bytes) => {
                self.refresh.asked = true;
                self.register(id, ApiKey::Metadata, version, PendingRequest::Metadata { asked });
                Some((id, bytes))
            }
            Err(_) => {
                self.give_up(id, ConnectionErrorKind::Incompatible(ApiKey::Metadata));
                None
            }
        }
    }

    fn connect_anybody(&mut self) {
        let mut next = self.network.hopes_until(self.now);
        if next.is_none() {
            match self.network.anybody(&self.config, &self.cluster, self.now) {
                Ok(node) => {
                    self.connect(node);
                    next = self.network.hopes_until(self.now);
                }
                Err(soonest) => next = soonest,
            }
        }
        if let Some(next) = next {
            self.timers.set(Timer::MetadataRetry, next);
        }
    }

    pub(super) fn on_metadata(&mut self, id: ConnectionId, version: i16, frame: &[u8], asked: &[String]) {
        let response = match MetadataResponse::decode(frame, version) {
            Ok(response) => response,
            Err(error) => {
                self.metadata_failed();
                return self.give_up(id, garbled(error));
            }
        };
        if ApiKey::Metadata.client_throttles(version) {
            self.throttle(id, response.throttle_time_ms);
        }
        let news = self.cluster.apply(&response, Source { broker: self.network.broker(id), version, asked });
        self.accumulator.wake(|_| true);
        self.watch_unused();
        if news.useless {
            self.note_error(
                id,
                ConnectionErrorKind::Protocol(format!("its response to Metadata v{version} lists no brokers")),
            );
        }
        if news.useless || news.rebootstrap {
            // Not at once: what has come in the same piece as this answer counts.
            self.refresh.leaves_brokers |= news.rebootstrap;
            return self.metadata_failed();
        }
        self.refresh.asked = false;
        self.refresh.suspect = false;
        self.refresh.is_old = false;
        self.refresh.answered = self.now;
        self.timers.set(Timer::MetadataAge, self.now + self.config.metadata_max_age);
        self.apply_news(&news, asked);
        if self.is_answered(asked) {
            self.refresh.failures = 0;
            self.refresh.not_before = self.now;
        } else {
            self.postpone_metadata();
        }
    }

    /// Whether all that was asked for and is still needed is known now.
    fn is_answered(&self, asked: &[String]) -> bool {
        let waiting = self.accumulator.active.iter().map(|&index| &self.accumulator.partition(index).to);
        let mut waiting = waiting.filter(|to| asked.contains(&to.topic));
        waiting.all(|to| self.cluster.leader(to).is_some())
            && !asked.iter().any(|topic| self.look_ups.contains_key(topic))
    }

    fn apply_news(&mut self, news: &News, asked: &[String]) {
        for topic in &news.made_anew {
            for index in self.accumulator.of_topic(topic) {
                self.accumulator.partition_mut(index).sequence.doubt();
            }
        }
        for (topic, error) in &news.refused {
            if self.look_ups.remove(topic).is_some() {
                self.topic_event(topic.clone(), Err(error.clone().into()));
            }
            for index in self.accumulator.of_topic(topic) {
                self.fail_waiting(index, || error.clone().into());
            }
        }
        let known = |topic: &String| self.cluster.partition_count(topic).and_then(NonZeroU32::new);
        let found: Vec<(String, NonZeroU32)> = asked
            .iter()
            .filter(|topic| self.look_ups.contains_key(*topic))
            .filter_map(|topic| Some((topic.clone(), known(topic)?)))
            .collect();
        for (topic, partitions) in found {
            self.look_ups.remove(&topic);
            self.topic_event(topic, Ok(partitions));
        }
        self.watch_look_ups();
    }

    /// The answer never came, or was of no use.
    pub(super) fn metadata_failed(&mut self) {
        self.refresh.asked = false;
        self.refresh.suspect = true;
        self.postpone_metadata();
    }

    fn postpone_metadata(&mut self) {
        self.refresh.failures = self.refresh.failures.saturating_add(1);
        let wait = self.retry_backoff().after(self.refresh.failures, &mut self.random);
        self.refresh.not_before = self.now + wait;
    }

    /// Something went wrong that a newer picture of the cluster may explain.
    pub(super) fn suspect_metadata(&mut self) {
        if !self.refresh.suspect && !self.refresh.asked {
            self.refresh.suspect = true;
            let soon = self.now + self.config.retry_backoff;
            self.refresh.not_before = self.refresh.not_before.max(soon.min(self.now + self.config.retry_backoff_max));
        }
    }

    /// If none of the brokers is to be trusted any more (KIP-1102), all connections are given up.
    pub(super) fn leave_brokers_if_told(&mut self) {
        if !core::mem::take(&mut self.refresh.leaves_brokers) {
            return;
        }
        let all: Vec<ConnectionId> = self.network.connections.keys().copied().collect();
        for id in all {
            let error = BrokerError::new(ApiKey::Metadata, ErrorCode::REBOOTSTRAP_REQUIRED);
            self.give_up(id, error.into());
        }
    }

    /// It is answered by the brokers, always: whoever asks for a topic that is known thinks that it has changed. Then the
    /// question waits for `retry.backoff.ms` since the last answer.
    pub(super) fn begin_look_up(&mut self, topic: &str) {
        if self.cluster.partition_count(topic).is_some() {
            let soonest = self.refresh.answered + self.config.retry_backoff;
            self.refresh.not_before = self.refresh.not_before.max(soonest);
        }
        if topic.is_empty() || topic.len() > super::LONGEST_TOPIC {
            return self.topic_event(topic.into(), Err(TopicLookupError::InvalidName));
        }
        let until = self.now + self.config.request_timeout;
        self.look_ups.entry(topic.into()).or_insert(until);
        self.watch_look_ups();
        self.dirty = true;
    }

    pub(super) fn give_up_look_ups(&mut self) {
        let over: BTreeMap<String, Instant> = self
            .look_ups
            .iter()
            .filter(|(_, until)| **until <= self.now)
            .map(|(topic, until)| (topic.clone(), *until))
            .collect();
        for (topic, until) in over {
            self.look_ups.remove(&topic);
            let error = self.cluster.error(&topic).cloned().map(TopicLookupError::from);
            let error = error
                .unwrap_or_else(|| TopicLookupError::TimedOut { cause: self.why_no_metadata(until).map(Box::new) });
            self.topic_event(topic, Err(error));
        }
        self.watch_look_ups();
    }

    /// Brokers do not let us in. Whoever asks for a topic is told at once, as the Java client does: it would be told the
    /// same when its time is over.
    pub(super) fn refuse_look_ups(&mut self, kind: &ConnectionError) {
        for topic in core::mem::take(&mut self.look_ups).into_keys() {
            self.topic_event(topic, Err(TopicLookupError::NotLetIn(Box::new(kind.clone()))));
        }
        self.watch_look_ups();
    }

    fn watch_look_ups(&mut self) {
        self.timers.set_or_clear(Timer::LookupTopic, self.look_ups.values().min().copied());
    }

    fn topic_event(&mut self, topic: String, partitions: Result<NonZeroU32, TopicLookupError>) {
        self.outputs.push_back(Output::Event(Event::Topic { topic, partitions }));
    }

    /// Goes on under the next epoch; or asks for a producer id over this connection, if that is needed and allowed now.
    pub(super) fn next_identity(&mut self, id: ConnectionId) -> Option<(ConnectionId, Vec<Bytes>)> {
        if self.identities.bump() {
            self.accumulator.wake(|awaited| matches!(awaited, BlockedOn::Identity(_)));
            self.dirty = true;
            return None;
        }
        if self.identities.asked {
            return None;
        }
        if self.identities.not_before > self.now {
            self.timers.set(Timer::ProducerId, self.identities.not_before);
            return None;
        }
        let connection = self.network.connections.get(&id)?;
        let version = connection.versions()?.init_producer_id?;
        match InitProducerIdRequest::idempotent().encode(version, connection.header(&self.config)) {
            Ok(bytes) => {
                self.identities.asked = true;
                self.register(id, ApiKey::InitProducerId, version, PendingRequest::Identity);
                Some((id, bytes))
            }
            Err(_) => {
                self.give_up(id, ConnectionErrorKind::Incompatible(ApiKey::InitProducerId));
                None
            }
        }
    }

    pub(super) fn on_identity(&mut self, id: ConnectionId, version: i16, frame: &[u8]) {
        let response = match InitProducerIdResponse::decode(frame, version) {
            Ok(response) => response,
            Err(error) => {
                self.note_identity_error(id, garbled(error));
                self.identity_failed();
                return self.give_up(id, garbled(error));
            }
        };
        if ApiKey::InitProducerId.client_throttles(version) {
            self.throttle(id, response.throttle_time_ms);
        }
        let broker = self.network.broker(id);
        let error = BrokerError::new(ApiKey::InitProducerId, response.error_code).in_version(version);
        match verdict::identity(response.error_code) {
            IdentityVerdict::Obtained => {
                let identity = Identity { id: response.producer_id, epoch: response.producer_epoch };
                match self.identities.obtain(identity) {
                    Ok(()) => self.accumulator.wake(|awaited| matches!(awaited, BlockedOn::Identity(_))),
                    Err(error) => {
                        self.note_identity_error(id, error.into());
                        self.identity_failed();
                    }
                }
            }
            IdentityVerdict::AskAgain => {
                self.note_identity_error(id, error.into());
                self.identity_failed();
            }
            IdentityVerdict::Fail => {
                self.identity_failed();
                let active = self.accumulator.active.iter().copied();
                let waiting: Vec<usize> = active.filter(|&index| self.waits_for_identity(index)).collect();
                let message = String::from("and idempotence needs a producer id (enable.idempotence)");
                let error = error.from_broker(broker).with_message(message);
                for index in waiting {
                    self.fail_waiting(index, || error.clone().into());
                }
            }
        }
    }

    /// A request for a producer id failed: the next one waits.
    pub(super) fn identity_failed(&mut self) {
        self.identities.asked = false;
        self.postpone_identity();
        self.accumulator.wake(|awaited| matches!(awaited, BlockedOn::Identity(_)));
    }

    /// Another failure in a row, so the next request waits longer.
    fn postpone_identity(&mut self) {
        self.identities.failures = self.identities.failures.saturating_add(1);
        let wait = self.retry_backoff().after(self.identities.failures, &mut self.random);
        self.identities.not_before = self.now + wait;
    }

    /// A broker has refused this identity: no partition uses it for anything new, and what is certainly unwritten is stamped
    /// anew. If no broker has ever taken a batch under it, the next request waits, as after any failure: else a broker
    /// that refuses every id would be asked without end.
    pub(super) fn disown(&mut self, refused: Identity, refusal: BrokerError) {
        let Some(disowned) = self.identities.disown(refused, refusal) else {
            return; // which was done at the first refusal
        };
        if disowned.was_never_taken {
            self.postpone_identity();
        }
        for index in self.accumulator.disown(disowned) {
            self.open_void(index);
            self.watch_deadline(index);
            self.accumulator.look_at(index);
        }
    }
}
