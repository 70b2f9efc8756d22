//! Records every accepted batch, its requests on the wire, and its reported outcome.

use std::collections::{BTreeMap, BTreeSet};

use kafka_batch_core::protocol::ErrorCode;
use kafka_batch_core::{Delivery, DeliveryError, Fate};
use kafka_batch_testing::simulated::later_sequence;

use super::identities::Identities;
use super::{Violation, surely_not_written};
use crate::Moment;
use crate::contents::{ProducerStamp, Serial, recognise};

/// An accepted batch.
#[derive(Clone, Debug)]
pub struct AcceptedBatch {
    /// The partition of the batch.
    pub to: (String, i32),
    /// The number of records.
    pub records: u32,
    /// The number of bytes.
    pub size: usize,
    /// When it was accepted.
    pub at: Moment,
    /// The attempts to send it.
    pub attempts: Vec<Attempt>,
    /// True if it was not confirmed, but a later one with the same identity was.
    pub proven: bool,
    /// The reported outcome.
    pub outcome: Option<Outcome>,
}

/// An attempt to send a batch.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The connection.
    pub connection: u64,
    /// The broker.
    pub broker: i32,
    /// `acks` of the request.
    pub acks: i16,
    /// The stamp.
    pub stamp: Option<ProducerStamp>,
    /// The position of the first record: not 0 for later parts of a split batch.
    pub first: u32,
    /// The number of records.
    pub records: u32,
    /// True if the driver has reported it as written to the connection.
    pub written: bool,
    /// The broker's response, if it was received.
    pub answer: Option<(i16, i64)>,
    /// The positions of the rejected records.
    pub rejected_records: Vec<i32>,
    /// True if the broker rejected its sequence number and no earlier batch could change that: sending the same again
    /// to this broker is useless.
    pub cannot_succeed: bool,
    /// True if no response can follow: the request was responded to, or the connection is closed.
    pub over: bool,
}

impl Attempt {
    /// Returns true if it may have been written to a log, as far as the client can know.
    #[must_use]
    pub fn may_be_written(&self) -> bool {
        self.answer.is_none_or(|(code, _)| !surely_not_written(code, self.acks))
    }
}

/// The reported outcome of a batch, for each record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the log, at these offsets if they are known.
    Delivered(Vec<Option<i64>>),
    /// It failed, and this is known of its records.
    Failed(Vec<Fate>, String),
}

/// The user of a sequence number: the batch, the position of the first record, and the bytes.
type Taken = (Serial, u32, Vec<u8>);

/// A sequence number of a partition.
type Place = (String, i32, ProducerStamp);

/// The state of the batches of one run.
#[derive(Debug, Default)]
pub struct BatchHistory {
    /// Each accepted batch, in the order of acceptance.
    pub accepted_batches: BTreeMap<Serial, AcceptedBatch>,
    stamps: BTreeMap<Place, Taken>,
    /// For each sequence number: what was stamped directly before it.
    before: BTreeMap<Place, Place>,
    /// The partitions, producer ids and epochs under which a batch has failed.
    failed_under: BTreeSet<(String, i32, i64, i16)>,
    /// Producer ids and epochs.
    pub identities: Identities,
    waiting: usize,
}

/// A batch seen on the wire.
#[derive(Clone, Debug)]
pub struct SentBatch<'a> {
    /// The batch.
    pub serial: Serial,
    /// The partition.
    pub to: (String, i32),
    /// The stamp.
    pub attempt: Attempt,
    /// The bytes.
    pub bytes: &'a [u8],
}

impl BatchHistory {
    /// Records an accepted batch.
    pub fn accepted(&mut self, serial: Serial, accepted: AcceptedBatch) {
        self.waiting += accepted.size;
        self.accepted_batches.insert(serial, accepted);
    }

    /// Returns the bytes of the accepted batches that are not completed.
    #[must_use]
    pub const fn waiting(&self) -> usize {
        self.waiting
    }

    /// Returns the number of batches that are not completed.
    #[must_use]
    pub fn open(&self) -> usize {
        self.accepted_batches.values().filter(|accepted| accepted.outcome.is_none()).count()
    }

    /// Returns true if a batch for this partition is not completed, or has an unknown fate.
    #[must_use]
    pub fn is_unsettled(&self, topic: &str, partition: i32) -> bool {
        self.accepted_batches.values().any(|accepted| {
            let here = accepted.to.0 == topic && accepted.to.1 == partition;
            let maybe_written = |attempt: &Attempt| attempt.answer.is_none();
            here && (accepted.outcome.is_none() || accepted.attempts.iter().any(maybe_written))
        })
    }

    /// Checks and records an attempt. Returns its number.
    pub fn seen(&mut self, sighting: SentBatch<'_>) -> Result<usize, Violation> {
        let SentBatch { serial, to, attempt, bytes } = sighting;
        let Some(accepted) = self.accepted_batches.get(&serial) else {
            return Violation::of("only accepted batches are sent", format!("{serial:?} is sent"));
        };
        if accepted.outcome.is_some() {
            return Violation::of("a completed batch is not sent", format!("{serial:?} is sent after its event"));
        }
        if accepted.to != to {
            return Violation::of("a batch is sent to its partition", format!("{serial:?} is sent to {to:?}"));
        }
        if let Some(stamp) = attempt.stamp {
            self.one_leader_at_a_time(serial, &to, &attempt)?;
            let again = |each: &&Attempt| each.stamp == attempt.stamp && each.first == attempt.first;
            if accepted
                .attempts
                .iter()
                .rfind(again)
                .is_some_and(|last| last.cannot_succeed && last.broker == attempt.broker)
            {
                return Violation::of(
                    "a batch that cannot be accepted is not sent again",
                    format!("{serial:?} as {stamp:?}"),
                );
            }
            self.never_stamped_again(serial, &to, &attempt)?;
            let is_doubtful = accepted.attempts.iter().filter(again).any(Attempt::may_be_written);
            if !is_doubtful {
                self.identities.stamped(&to, stamp, &format!("{serial:?}"))?;
            }
            let key = (to.0, to.1, stamp);
            if !self.stamps.contains_key(&key)
                && self.failed_under.contains(&(key.0.clone(), key.1, stamp.producer, stamp.epoch))
            {
                return Violation::of(
                    "after a failure a partition restarts its sequence",
                    format!("{serial:?} is sent as {stamp:?}"),
                );
            }
            let next = ProducerStamp { sequence: later_sequence(stamp.sequence, attempt.records), ..stamp };
            self.before.insert((key.0.clone(), key.1, next), key.clone());
            match self.stamps.get(&key) {
                Some((same, first, before)) if (*same, *first) == (serial, attempt.first) => {
                    if before != bytes {
                        return Violation::of("a retry sends the same bytes", format!("{serial:?} as {stamp:?}"));
                    }
                }
                Some((other, first, _)) => {
                    let maybe_written =
                        |each: &&Attempt| each.stamp == Some(stamp) && each.first == *first && each.may_be_written();
                    if let Some(maybe_written) = self.accepted_batches[other].attempts.iter().find(maybe_written) {
                        return Violation::of(
                            "a sequence that may be in use is not used again",
                            format!("{serial:?} is sent as {stamp:?}, which {other:?} has used: {maybe_written:?}"),
                        );
                    }
                    self.stamps.insert(key, (serial, attempt.first, bytes.to_vec()));
                }
                None => {
                    self.stamps.insert(key, (serial, attempt.first, bytes.to_vec()));
                }
            }
        }
        let accepted = self.accepted_batches.get_mut(&serial).expect("a recorded attempt");
        accepted.attempts.push(attempt);
        Ok(accepted.attempts.len() - 1)
    }

    /// A new leader waits for the old leader's responses: the batches of a partition are in flight on one connection at
    /// a time. (Batches that have failed are not waited for.)
    fn one_leader_at_a_time(&self, serial: Serial, to: &(String, i32), attempt: &Attempt) -> Result<(), Violation> {
        for (other, accepted) in
            self.accepted_batches.iter().filter(|(_, accepted)| accepted.to == *to && accepted.outcome.is_none())
        {
            let elsewhere = |each: &&Attempt| !each.over && each.connection != attempt.connection;
            if let Some(open) = accepted.attempts.iter().find(elsewhere) {
                let what = format!("{serial:?} is sent on {} while {other:?} waits: {open:?}", attempt.connection);
                return Violation::of("a new leader waits for the old leader's responses", what);
            }
        }
        Ok(())
    }

    /// What may be in the log under one sequence number is not stamped with another.
    fn never_stamped_again(&self, serial: Serial, to: &(String, i32), attempt: &Attempt) -> Result<(), Violation> {
        let overlaps =
            |each: &Attempt| each.first < attempt.first + attempt.records && attempt.first < each.first + each.records;
        for each in &self.accepted_batches[&serial].attempts {
            let Some(stamp) = each.stamp.filter(|stamp| Some(*stamp) != attempt.stamp && overlaps(each)) else {
                continue;
            };
            if each.may_be_written() && self.may_be_used(&(to.0.clone(), to.1, stamp)) {
                let what = format!("{serial:?} is sent as {:?} after {each:?}", attempt.stamp);
                return Violation::of("what may be in the log is not stamped again", what);
            }
        }
        Ok(())
    }

    /// Returns true if anything may be in the log under this sequence number: not if all attempts were certainly
    /// rejected, and not if that is true of the batch before it, since brokers accept nothing after a gap.
    fn may_be_used(&self, place: &Place) -> bool {
        let mut place = place;
        loop {
            let Some((serial, first, _)) = self.stamps.get(place) else { return false };
            let same = |each: &&Attempt| each.stamp == Some(place.2) && each.first == *first;
            if !self.accepted_batches[serial].attempts.iter().filter(same).any(Attempt::may_be_written) {
                return false;
            }
            match self.before.get(place) {
                Some(before) if before.2.sequence < place.2.sequence => place = before,
                _ => return true,
            }
        }
    }

    /// Records the response to an attempt.
    pub fn answered(
        &mut self,
        serial: Serial,
        attempt: usize,
        code: i16,
        base_offset: i64,
        rejected_records: Vec<i32>,
    ) {
        let Some(accepted) = self.accepted_batches.get(&serial) else { return };
        let Some((stamp, broker)) = accepted.attempts.get(attempt).map(|attempt| (attempt.stamp, attempt.broker))
        else {
            return;
        };
        let same = |each: &Attempt| match (each.stamp, stamp) {
            (Some(one), Some(other)) => (one.producer, one.epoch) == (other.producer, other.epoch),
            _ => false,
        };
        let mut before = self.accepted_batches.range(..=serial).filter(|(_, other)| other.to == accepted.to);
        let has_earlier = before.any(|(earlier, other)| {
            // Another part of the same batch may precede it.
            let is_other = *earlier != serial || other.attempts.iter().any(|each| each.records < other.records);
            let stands_aside = other.attempts.last().is_some_and(|last| last.cannot_succeed && last.broker == broker);
            is_other && !stands_aside && other.outcome.is_none() && other.attempts.iter().any(same)
        });
        let of_the_identity = matches!(code, 47 | 48 | 49 | 90 | 120);
        let cannot_succeed = stamp.is_some() && (of_the_identity || matches!(code, 45 | 59) && !has_earlier);
        let is_open = accepted.outcome.is_none();
        if let Some(attempt) = self.attempt_mut(serial, attempt) {
            attempt.answer.get_or_insert((code, base_offset));
            attempt.rejected_records = rejected_records;
            attempt.cannot_succeed = cannot_succeed;
        }
        // The first sequence cannot be out of order, so the identity is rejected. (If the batch may be in the log, the
        // broker may remember only later ones.)
        let is_rejected = of_the_identity
            || stamp.is_some_and(|stamp| stamp.sequence == 0)
                && (code == 59 || code == 45 && !self.may_be_written(serial, attempt));
        if let Some(stamp) = stamp.filter(|_| is_open && is_rejected) {
            self.identities.reject(stamp);
        }
        let is_accepted = matches!(ErrorCode(code), ErrorCode::NONE | ErrorCode::DUPLICATE_SEQUENCE_NUMBER);
        if let Some(stamp) = stamp.filter(|_| is_open && is_accepted) {
            self.identities.accept(&self.accepted_batches[&serial].to, stamp);
        }
    }

    /// Returns true if the batch of an attempt may be in the log under the stamp of that attempt.
    fn may_be_written(&self, serial: Serial, attempt: usize) -> bool {
        let attempts = &self.accepted_batches[&serial].attempts;
        let same = |each: &&Attempt| (each.stamp, each.first) == (attempts[attempt].stamp, attempts[attempt].first);
        attempts.iter().filter(same).any(Attempt::may_be_written)
    }

    /// Records the end of a connection: no further responses follow.
    pub fn connection_over(&mut self, connection: u64) {
        for accepted in self.accepted_batches.values_mut().filter(|accepted| accepted.outcome.is_none()) {
            for attempt in accepted.attempts.iter_mut().filter(|attempt| attempt.connection == connection) {
                attempt.over = true;
            }
        }
    }

    /// Returns an attempt.
    pub fn attempt_mut(&mut self, serial: Serial, attempt: usize) -> Option<&mut Attempt> {
        self.accepted_batches.get_mut(&serial)?.attempts.get_mut(attempt)
    }

    /// Checks a reported delivery.
    pub fn delivered(&mut self, serial: Serial, delivery: Delivery) -> Result<(), Violation> {
        let to = delivery.topic_partition().clone();
        let offsets: Vec<_> = (0..delivery.record_count()).map(|position| delivery.offset(position)).collect();
        let proven = self.is_proven(serial);
        let accepted = self.end(serial, &(to.topic, to.partition), &delivery.into_batch())?;
        let confirmed = accepted.attempts.iter().any(|attempt| match (attempt.acks, attempt.answer) {
            (0, _) => attempt.written,
            (_, Some((code, _))) => code == 0 || code == 46,
            (_, None) => false,
        });
        if !confirmed && !proven {
            return Violation::of(
                "only confirmed batches are delivered",
                format!("{serial:?}: {:?}", accepted.attempts),
            );
        }
        accepted.proven = !confirmed;
        accepted.outcome = Some(Outcome::Delivered(offsets));
        Ok(())
    }

    /// Returns true if a broker that does not remember this batch has confirmed a later one with the same identity.
    fn is_proven(&self, serial: Serial) -> bool {
        let Some(accepted) = self.accepted_batches.get(&serial) else { return false };
        let Some(Attempt { answer: Some((45, _)), stamp: Some(stamp), broker, .. }) = accepted.attempts.last() else {
            return false;
        };
        let proves = |each: &Attempt| {
            let counts_on = each.stamp.is_some_and(|later| {
                (later.producer, later.epoch) == (stamp.producer, stamp.epoch) && later.sequence > stamp.sequence
            });
            let confirmed = each.answer.is_some_and(|(code, _)| code == 0 || code == 46);
            counts_on && confirmed && each.broker == *broker
        };
        self.accepted_batches.values().any(|other| other.to == accepted.to && other.attempts.iter().any(proves))
    }

    /// Checks a reported failure.
    pub fn failed(&mut self, serial: Serial, error: &DeliveryError) -> Result<(), Violation> {
        let to = (error.to.topic.clone(), error.to.partition);
        let fates: Vec<_> = (0..error.record_count()).filter_map(|position| error.fate_of(position)).collect();
        let Some(batch) = &error.batch else {
            return Violation::of("a batch that failed is returned", format!("{serial:?} ({error})"));
        };
        let accepted = self.end(serial, &to, batch)?;
        let maybe_written = accepted.attempts.iter().any(Attempt::may_be_written);
        if fates.contains(&Fate::Unknown) && !maybe_written {
            return Violation::of(
                "unknown is reported only if both outcomes are possible",
                format!("{serial:?} ({error}): {:?}", accepted.attempts),
            );
        }
        let whole = |attempt: &Attempt| attempt.records == accepted.records;
        let confirmed = |attempt: &&Attempt| attempt.answer.is_some_and(|(code, _)| code == 0) && whole(attempt);
        if let Some(confirmed) = accepted.attempts.iter().find(confirmed) {
            return Violation::of("confirmed batches are delivered", format!("{serial:?} ({error}): {confirmed:?}"));
        }
        if error.reason.code() == Some(ErrorCode::INVALID_RECORD)
            && let Some(last) = accepted.attempts.last().filter(|last| whole(last))
        {
            let reported: Vec<i32> = error.record_errors.iter().map(|error| error.position as i32).collect();
            if reported != last.rejected_records {
                let what = format!("{serial:?}: {reported:?} where the broker named {:?}", last.rejected_records);
                return Violation::of("rejected records are named", what);
            }
        }
        let (to, wholes) = (accepted.to.clone(), accepted.attempts.iter().all(whole));
        let stamps: Vec<ProducerStamp> =
            accepted.attempts.iter().filter(|_| wholes).filter_map(|attempt| attempt.stamp).collect();
        accepted.outcome = Some(Outcome::Failed(fates, error.to_string()));
        let (topic, partition) = to;
        let under = stamps.iter().map(|stamp| (topic.clone(), partition, stamp.producer, stamp.epoch));
        self.failed_under.extend(under);
        Ok(())
    }

    fn end(
        &mut self,
        serial: Serial,
        to: &(String, i32),
        batch: &kafka_batch_core::KafkaBatch,
    ) -> Result<&mut AcceptedBatch, Violation> {
        let Some(accepted) = self.accepted_batches.get_mut(&serial) else {
            return Violation::of("an event concerns an accepted batch", format!("{serial:?}"));
        };
        if accepted.outcome.is_some() {
            return Violation::of(
                "each accepted batch has exactly one outcome",
                format!("a second one for {serial:?}"),
            );
        }
        if accepted.to != *to {
            return Violation::of("an event names the partition", format!("{serial:?}: {to:?}"));
        }
        match recognise(batch) {
            Ok(found) if (found.serial, found.first, found.records) == (serial, 0, accepted.records) => {}
            found => return Violation::of("the batch is returned", format!("{serial:?}: {found:?}")),
        }
        self.waiting -= accepted.size;
        Ok(accepted)
    }
}
