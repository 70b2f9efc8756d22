//! The state of a mock transport.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::task::Waker;

use kafka_batch_core::protocol::{ApiKey, BrokerError, ErrorCode};
use kafka_batch_core::{Delivery, DeliveryError, KafkaBatch, SealedBatch, SendErrorReason, TopicPartition};

use super::failure::{Failure, Response};
use super::pending::{MockPending, Slot};
use super::sent::{self, SentBatch};
use crate::StoredRecord;
use crate::cluster::is_valid_topic_name;

pub(super) struct State {
    topics: Topics,
    /// Whether a batch without a response is delivered at once.
    auto_completes: bool,
    /// The responses to the next batches.
    pub(super) responses: VecDeque<Response>,
    pub(super) history: Vec<SentBatch>,
    pub(super) logs: BTreeMap<TopicPartition, Vec<StoredRecord>>,
    /// The partition of the next batch without one, by topic.
    sticky: BTreeMap<String, i32>,
    /// The oldest first.
    in_flight: VecDeque<InFlight>,
    next_number: u64,
    /// Wakers of flushes.
    pub(super) flushes: Vec<Waker>,
    pub(super) is_closed: bool,
}

/// The topics that exist.
pub(super) enum Topics {
    /// Every topic, with one partition.
    Any,
    Named(BTreeMap<String, NonZeroU32>),
}

struct InFlight {
    number: u64,
    batch: SealedBatch,
    to: TopicPartition,
    slot: Arc<Slot>,
}

/// The wakers of those that waited for a batch that is finished.
#[must_use = "they have to be called, after the lock is released"]
pub(super) struct Finished(Vec<Waker>);

impl Finished {
    pub(super) fn wake(self) {
        self.0.into_iter().for_each(Waker::wake);
    }
}

impl State {
    pub(super) fn new(topics: Topics, auto_completes: bool) -> Self {
        Self {
            topics,
            auto_completes,
            responses: VecDeque::new(),
            history: Vec::new(),
            logs: BTreeMap::new(),
            sticky: BTreeMap::new(),
            in_flight: VecDeque::new(),
            next_number: 0,
            flushes: Vec::new(),
            is_closed: false,
        }
    }

    pub(super) fn partition_count(&self, topic: &str) -> Result<NonZeroU32, SendErrorReason> {
        if self.is_closed {
            return Err(SendErrorReason::Closed);
        }
        check_name(topic)?;
        match &self.topics {
            Topics::Any => Ok(NonZeroU32::MIN),
            Topics::Named(named) => {
                let found = named.get(topic).copied();
                found.ok_or_else(|| SendErrorReason::UnknownTopic { topic: topic.to_owned() })
            }
        }
    }

    pub(super) fn pick_partition(&self, topic: &str) -> Result<i32, SendErrorReason> {
        self.partition_count(topic)?;
        Ok(self.sticky.get(topic).copied().unwrap_or(0))
    }

    /// Checks that a batch is accepted, and that its partition exists, in the order in which a producer does.
    pub(super) fn check(&self, batch: &KafkaBatch, to: &TopicPartition) -> Result<(), SendErrorReason> {
        if self.is_closed {
            return Err(SendErrorReason::Closed);
        }
        SendErrorReason::check(batch, to)?;
        let partitions = self.partition_count(&to.topic)?.get();
        if u32::try_from(to.partition).is_ok_and(|partition| partition < partitions) {
            return Ok(());
        }
        let TopicPartition { topic, partition } = to.clone();
        Err(SendErrorReason::UnknownPartition { topic, partition, partitions })
    }

    /// Returns the response to a batch that is sent now.
    pub(super) fn next_response(&mut self) -> Response {
        let default = if self.auto_completes { Response::Deliver } else { Response::Hold };
        self.responses.pop_front().unwrap_or(default)
    }

    /// Accepts a batch, which is in flight then.
    pub(super) fn hold(&mut self, batch: SealedBatch, to: TopicPartition) -> MockPending {
        let (accepted, pending) = self.accept(batch, to);
        self.in_flight.push_back(accepted);
        pending
    }

    /// Accepts a batch, and delivers or fails it at once.
    pub(super) fn respond(
        &mut self,
        batch: SealedBatch,
        to: TopicPartition,
        failure: Option<Failure>,
    ) -> (MockPending, Option<Finished>) {
        let (accepted, pending) = self.accept(batch, to);
        (pending, Some(self.finish(accepted, failure)))
    }

    fn accept(&mut self, batch: SealedBatch, to: TopicPartition) -> (InFlight, MockPending) {
        self.history.push(SentBatch { to: to.clone(), batch: batch.clone().into_batch() });
        let partitions = self.partition_count(&to.topic).map_or(1, NonZeroU32::get);
        let sticky = self.sticky.entry(to.topic.clone()).or_insert(0);
        if *sticky == to.partition {
            *sticky = ((to.partition as u32 + 1) % partitions) as i32;
        }
        let slot = Arc::new(Slot::default());
        let number = self.next_number;
        self.next_number += 1;
        (InFlight { number, batch, to, slot: Arc::clone(&slot) }, MockPending(slot))
    }

    /// Delivers the oldest batch in flight, or fails it.
    pub(super) fn finish_next(&mut self, failure: Option<Failure>) -> Option<Finished> {
        let oldest = self.in_flight.pop_front()?;
        Some(self.finish(oldest, failure))
    }

    fn finish(&mut self, batch: InFlight, failure: Option<Failure>) -> Finished {
        let InFlight { batch, to, slot, .. } = batch;
        let is_written = failure.as_ref().is_none_or(|failure| failure.is_written);
        let log = self.logs.entry(to.clone()).or_default();
        let base_offset = log.len() as i64;
        if is_written {
            log.extend(sent::records(&batch.clone().into_batch(), base_offset));
        }
        let outcome = match failure {
            None => Ok(Delivery::new(to, base_offset, batch.without_producer_id())),
            Some(Failure { reason, fate, record_errors, .. }) => {
                let error = DeliveryError::new(to, reason, fate, batch.into_batch());
                Err(error.with_record_errors(record_errors))
            }
        };
        let mut wakers = std::mem::take(&mut self.flushes);
        wakers.extend(slot.fill(outcome));
        Finished(wakers)
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Returns the number of the next batch that is accepted.
    pub(super) const fn next_number(&self) -> u64 {
        self.next_number
    }

    /// Returns `true` if all batches before this number have an outcome.
    pub(super) fn is_finished(&self, before: u64) -> bool {
        self.in_flight.front().is_none_or(|oldest| oldest.number >= before)
    }

    /// Returns what was sent, in lines, for messages of assertions.
    pub(super) fn summary(&self) -> String {
        let mut text = format!("{} batches were sent, {} are in flight", self.history.len(), self.in_flight.len());
        for SentBatch { to, batch } in &self.history {
            let values: Vec<_> = batch.records().map(|record| record.value).collect();
            write!(text, "\n  {to}: {}", sent::shown(&values)).expect("text takes all");
        }
        text
    }
}

/// Checks that a topic can have this name: a producer refuses one of another length, and brokers refuse other names.
fn check_name(topic: &str) -> Result<(), SendErrorReason> {
    if !(1..=249).contains(&topic.len()) {
        Err(SendErrorReason::InvalidTopic { topic: topic.to_owned() })
    } else if !is_valid_topic_name(topic) {
        let error = BrokerError::new(ApiKey::Metadata, ErrorCode::INVALID_TOPIC_EXCEPTION);
        Err(SendErrorReason::Broker { topic: topic.to_owned(), error })
    } else {
        Ok(())
    }
}
