//! Records every accepted batch, its requests on the wire, and its reported outcome.

use std::collections::{BTreeMap, BTreeSet};

use kafka_batch_core::protocol::ErrorCode;
use kafka_batch_core::{Delivery, DeliveryError, Fate};

use super::identities::Identities;
use super::{Breach, surely_not_written};
use crate::Moment;
use crate::cluster::producers::later;
use crate::contents::{Serial, Stamped, recognise};

/// A batch that the machine has accepted.
#[derive(Clone, Debug)]
pub struct Promise {
    /// Where it should go.
    pub to: (String, i32),
    /// How many records it has.
    pub records: u32,
    /// Its bytes.
    pub size: usize,
    /// When it was accepted.
    pub at: Moment,
    /// Each time it was on the wire.
    pub attempts: Vec<Attempt>,
    /// Nobody has confirmed it, but a later one under the same counting was confirmed.
    pub proven: bool,
    /// What was said of it.
    pub outcome: Option<Outcome>,
}

/// A batch on the wire, once.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// On which connection.
    pub connection: u64,
    /// To which broker.
    pub broker: i32,
    /// `acks` of the request.
    pub acks: i16,
    /// As what.
    pub stamp: Option<Stamped>,
    /// From which record on: not 0 for later parts of a split batch.
    pub first: u32,
    /// How many records.
    pub records: u32,
    /// Whether the driver has said that it is written.
    pub written: bool,
    /// What the broker answered, if that came through.
    pub answer: Option<(i16, i64)>,
    /// The positions of the records that it disliked.
    pub disliked: Vec<i32>,
    /// The broker did not take its sequence number, and nothing was before it that could have made up for that: the same
    /// again is of no use to this broker.
    pub hopeless: bool,
    /// No answer to it can come any more: the request was answered, or the connection is gone.
    pub over: bool,
}

impl Attempt {
    /// Whether it may have put something into a log, for all that the client can know.
    #[must_use]
    pub fn may_be_written(&self) -> bool {
        self.answer.is_none_or(|(code, _)| !surely_not_written(code, self.acks))
    }
}

/// What was said of a batch, record by record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the log, at these offsets, if they are known.
    Delivered(Vec<Option<i64>>),
    /// It failed, and this is known of its records.
    Failed(Vec<Fate>, String),
}

/// Who has taken a sequence number: which batch, from which record on, and with which bytes.
type Taken = (Serial, u32, Vec<u8>);

/// A sequence number of a partition.
type Place = (String, i32, Stamped);

/// What is known of the batches of one run.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Each batch that was accepted, in the order of acceptance.
    pub promises: BTreeMap<Serial, Promise>,
    stamps: BTreeMap<Place, Taken>,
    /// For each sequence number: what was stamped directly before it.
    before: BTreeMap<Place, Place>,
    /// Partition, producer id and epoch under which a batch has failed.
    failed_under: BTreeSet<(String, i32, i64, i16)>,
    /// Producer ids and epochs.
    pub identities: Identities,
    waiting: usize,
}

/// A batch was seen on the wire.
#[derive(Clone, Debug)]
pub struct Sighting<'a> {
    /// Which batch.
    pub serial: Serial,
    /// To which partition.
    pub to: (String, i32),
    /// How.
    pub attempt: Attempt,
    /// Its bytes.
    pub bytes: &'a [u8],
}

impl Ledger {
    /// A batch was accepted.
    pub fn accepted(&mut self, serial: Serial, promise: Promise) {
        self.waiting += promise.size;
        self.promises.insert(serial, promise);
    }

    /// Bytes of batches that were accepted and are not through.
    #[must_use]
    pub const fn waiting(&self) -> usize {
        self.waiting
    }

    /// How many batches are not through.
    #[must_use]
    pub fn open(&self) -> usize {
        self.promises.values().filter(|promise| promise.outcome.is_none()).count()
    }

    /// Whether there is a batch for this partition that is not through, or whose fate is not known.
    #[must_use]
    pub fn is_unsettled(&self, topic: &str, partition: i32) -> bool {
        self.promises.values().any(|promise| {
            let here = promise.to.0 == topic && promise.to.1 == partition;
            let maybe_written = |attempt: &Attempt| attempt.answer.is_none();
            here && (promise.outcome.is_none() || promise.attempts.iter().any(maybe_written))
        })
    }

    /// A batch goes out. Gives the number of the attempt.
    pub fn seen(&mut self, sighting: Sighting<'_>) -> Result<usize, Breach> {
        let Sighting { serial, to, attempt, bytes } = sighting;
        let Some(promise) = self.promises.get(&serial) else {
            return Breach::of("only what was accepted is sent", format!("{serial:?} goes out"));
        };
        if promise.outcome.is_some() {
            return Breach::of("what is through is not sent", format!("{serial:?} goes out after its event"));
        }
        if promise.to != to {
            return Breach::of("a batch goes where it was sent", format!("{serial:?} goes to {to:?}"));
        }
        if let Some(stamp) = attempt.stamp {
            self.one_leader_at_a_time(serial, &to, &attempt)?;
            let again = |each: &&Attempt| each.stamp == attempt.stamp && each.first == attempt.first;
            if promise.attempts.iter().rfind(again).is_some_and(|last| last.hopeless && last.broker == attempt.broker) {
                return Breach::of("what cannot be taken is not sent again", format!("{serial:?} as {stamp:?}"));
            }
            self.never_stamped_anew(serial, &to, &attempt)?;
            let is_doubtful = promise.attempts.iter().filter(again).any(Attempt::may_be_written);
            if !is_doubtful {
                self.identities.stamped(&to, stamp, &format!("{serial:?}"))?;
            }
            let key = (to.0, to.1, stamp);
            if !self.stamps.contains_key(&key)
                && self.failed_under.contains(&(key.0.clone(), key.1, stamp.producer, stamp.epoch))
            {
                return Breach::of(
                    "after a failure a partition counts anew",
                    format!("{serial:?} goes out as {stamp:?}"),
                );
            }
            let next = Stamped { sequence: later(stamp.sequence, attempt.records), ..stamp };
            self.before.insert((key.0.clone(), key.1, next), key.clone());
            match self.stamps.get(&key) {
                Some((same, first, before)) if (*same, *first) == (serial, attempt.first) => {
                    if before != bytes {
                        return Breach::of("a retry is the same bytes", format!("{serial:?} as {stamp:?}"));
                    }
                }
                Some((other, first, _)) => {
                    let maybe_written =
                        |each: &&Attempt| each.stamp == Some(stamp) && each.first == *first && each.may_be_written();
                    if let Some(maybe_written) = self.promises[other].attempts.iter().find(maybe_written) {
                        return Breach::of(
                            "a sequence that may be taken is not used again",
                            format!("{serial:?} goes out as {stamp:?}, which {other:?} had: {maybe_written:?}"),
                        );
                    }
                    self.stamps.insert(key, (serial, attempt.first, bytes.to_vec()));
                }
                None => {
                    self.stamps.insert(key, (serial, attempt.first, bytes.to_vec()));
                }
            }
        }
        let promise = self.promises.get_mut(&serial).expect("it was there a moment ago");
        promise.attempts.push(attempt);
        Ok(promise.attempts.len() - 1)
    }

    /// The new leader waits for the old one's answers: the batches of a partition are in flight on one connection.
    /// (What was given up is not waited for.)
    fn one_leader_at_a_time(&self, serial: Serial, to: &(String, i32), attempt: &Attempt) -> Result<(), Breach> {
        for (other, promise) in
            self.promises.iter().filter(|(_, promise)| promise.to == *to && promise.outcome.is_none())
        {
            let elsewhere = |each: &&Attempt| !each.over && each.connection != attempt.connection;
            if let Some(open) = promise.attempts.iter().find(elsewhere) {
                let what = format!("{serial:?} goes out on {} while {other:?} waits: {open:?}", attempt.connection);
                return Breach::of("a new leader waits for the old one's answers", what);
            }
        }
        Ok(())
    }

    /// What may be in the log under one sequence number is not stamped with another.
    fn never_stamped_anew(&self, serial: Serial, to: &(String, i32), attempt: &Attempt) -> Result<(), Breach> {
        let overlaps =
            |each: &Attempt| each.first < attempt.first + attempt.records && attempt.first < each.first + each.records;
        for each in &self.promises[&serial].attempts {
            let Some(stamp) = each.stamp.filter(|stamp| Some(*stamp) != attempt.stamp && overlaps(each)) else {
                continue;
            };
            if each.may_be_written() && self.may_be_taken(&(to.0.clone(), to.1, stamp)) {
                let what = format!("{serial:?} goes out as {:?} after {each:?}", attempt.stamp);
                return Breach::of("what may be in the log is not stamped anew", what);
            }
        }
        Ok(())
    }

    /// Whether anything may be in the log under this sequence number. Not, if all attempts were refused for certain; and
    /// not, if that is so of what comes before it: brokers take nothing behind a gap.
    fn may_be_taken(&self, place: &Place) -> bool {
        let mut place = place;
        loop {
            let Some((serial, first, _)) = self.stamps.get(place) else { return false };
            let same = |each: &&Attempt| each.stamp == Some(place.2) && each.first == *first;
            if !self.promises[serial].attempts.iter().filter(same).any(Attempt::may_be_written) {
                return false;
            }
            match self.before.get(place) {
                Some(before) if before.2.sequence < place.2.sequence => place = before,
                _ => return true,
            }
        }
    }

    /// An answer to an attempt came through.
    pub fn answered(&mut self, serial: Serial, attempt: usize, code: i16, base_offset: i64, disliked: Vec<i32>) {
        let Some(promise) = self.promises.get(&serial) else { return };
        let Some((stamp, broker)) = promise.attempts.get(attempt).map(|attempt| (attempt.stamp, attempt.broker)) else {
            return;
        };
        let same = |each: &Attempt| match (each.stamp, stamp) {
            (Some(one), Some(other)) => (one.producer, one.epoch) == (other.producer, other.epoch),
            _ => false,
        };
        let mut before = self.promises.range(..=serial).filter(|(_, other)| other.to == promise.to);
        let has_earlier = before.any(|(earlier, other)| {
            // A part of the same batch may be before it, too.
            let is_other = *earlier != serial || other.attempts.iter().any(|each| each.records < other.records);
            let stands_aside = other.attempts.last().is_some_and(|last| last.hopeless && last.broker == broker);
            is_other && !stands_aside && other.outcome.is_none() && other.attempts.iter().any(same)
        });
        let of_the_identity = matches!(code, 47 | 48 | 49 | 90 | 120);
        let hopeless = stamp.is_some() && (of_the_identity || matches!(code, 45 | 59) && !has_earlier);
        let is_open = promise.outcome.is_none();
        if let Some(attempt) = self.attempt_mut(serial, attempt) {
            attempt.answer.get_or_insert((code, base_offset));
            attempt.disliked = disliked;
            attempt.hopeless = hopeless;
        }
        // Before the first sequence there is none that could be wrong: so it is the identity that is refused. (Of a batch that
        // may be in the log, a broker may remember only what came after it.)
        let is_refused = of_the_identity
            || stamp.is_some_and(|stamp| stamp.sequence == 0)
                && (code == 59 || code == 45 && !self.may_be_written(serial, attempt));
        if let Some(stamp) = stamp.filter(|_| is_open && is_refused) {
            self.identities.refuse(stamp);
        }
        let is_accepted = matches!(ErrorCode(code), ErrorCode::NONE | ErrorCode::DUPLICATE_SEQUENCE_NUMBER);
        if let Some(stamp) = stamp.filter(|_| is_open && is_accepted) {
            self.identities.accept(&self.promises[&serial].to, stamp);
        }
    }

    /// Whether the batch of an attempt may be in the log under the stamp that it had then.
    fn may_be_written(&self, serial: Serial, attempt: usize) -> bool {
        let attempts = &self.promises[&serial].attempts;
        let same = |each: &&Attempt| (each.stamp, each.first) == (attempts[attempt].stamp, attempts[attempt].first);
        attempts.iter().filter(same).any(Attempt::may_be_written)
    }

    /// A connection is gone: what waits for an answer on it gets none.
    pub fn connection_over(&mut self, connection: u64) {
        for promise in self.promises.values_mut().filter(|promise| promise.outcome.is_none()) {
            for attempt in promise.attempts.iter_mut().filter(|attempt| attempt.connection == connection) {
                attempt.over = true;
            }
        }
    }

    /// An attempt.
    pub fn attempt_mut(&mut self, serial: Serial, attempt: usize) -> Option<&mut Attempt> {
        self.promises.get_mut(&serial)?.attempts.get_mut(attempt)
    }

    /// The machine says that a batch is in the log.
    pub fn delivered(&mut self, serial: Serial, delivery: Delivery) -> Result<(), Breach> {
        let to = delivery.topic_partition().clone();
        let offsets: Vec<_> = (0..delivery.record_count()).map(|position| delivery.offset(position)).collect();
        let proven = self.is_proven(serial);
        let promise = self.end(serial, &(to.topic, to.partition), &delivery.into_batch())?;
        let confirmed = promise.attempts.iter().any(|attempt| match (attempt.acks, attempt.answer) {
            (0, _) => attempt.written,
            (_, Some((code, _))) => code == 0 || code == 46,
            (_, None) => false,
        });
        if !confirmed && !proven {
            return Breach::of("delivered is what was confirmed", format!("{serial:?}: {:?}", promise.attempts));
        }
        promise.proven = !confirmed;
        promise.outcome = Some(Outcome::Delivered(offsets));
        Ok(())
    }

    /// Whether a broker that does not remember this batch has confirmed a later one under the same counting.
    fn is_proven(&self, serial: Serial) -> bool {
        let Some(promise) = self.promises.get(&serial) else { return false };
        let Some(Attempt { answer: Some((45, _)), stamp: Some(stamp), broker, .. }) = promise.attempts.last() else {
            return false;
        };
        let proves = |each: &Attempt| {
            let counts_on = each.stamp.is_some_and(|later| {
                (later.producer, later.epoch) == (stamp.producer, stamp.epoch) && later.sequence > stamp.sequence
            });
            let confirmed = each.answer.is_some_and(|(code, _)| code == 0 || code == 46);
            counts_on && confirmed && each.broker == *broker
        };
        self.promises.values().any(|other| other.to == promise.to && other.attempts.iter().any(proves))
    }

    /// The machine says that a batch failed.
    pub fn failed(&mut self, serial: Serial, error: &DeliveryError) -> Result<(), Breach> {
        let to = (error.to.topic.clone(), error.to.partition);
        let fates: Vec<_> = (0..error.record_count()).filter_map(|position| error.fate_of(position)).collect();
        let Some(batch) = &error.batch else {
            return Breach::of("a batch that failed is returned", format!("{serial:?} ({error})"));
        };
        let promise = self.end(serial, &to, batch)?;
        let maybe_written = promise.attempts.iter().any(Attempt::may_be_written);
        if fates.contains(&Fate::Unknown) && !maybe_written {
            return Breach::of(
                "unknown is only said when it could be either",
                format!("{serial:?} ({error}): {:?}", promise.attempts),
            );
        }
        let whole = |attempt: &Attempt| attempt.records == promise.records;
        let confirmed = |attempt: &&Attempt| attempt.answer.is_some_and(|(code, _)| code == 0) && whole(attempt);
        if let Some(confirmed) = promise.attempts.iter().find(confirmed) {
            return Breach::of("what was confirmed is delivered", format!("{serial:?} ({error}): {confirmed:?}"));
        }
        if error.reason.code() == Some(ErrorCode::INVALID_RECORD)
            && let Some(last) = promise.attempts.last().filter(|last| whole(last))
        {
            let told: Vec<i32> = error.record_errors.iter().map(|error| error.position as i32).collect();
            if told != last.disliked {
                let what = format!("{serial:?}: {told:?} where the broker named {:?}", last.disliked);
                return Breach::of("disliked records are named", what);
            }
        }
        let (to, wholes) = (promise.to.clone(), promise.attempts.iter().all(whole));
        let stamps: Vec<Stamped> =
            promise.attempts.iter().filter(|_| wholes).filter_map(|attempt| attempt.stamp).collect();
        promise.outcome = Some(Outcome::Failed(fates, error.to_string()));
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
    ) -> Result<&mut Promise, Breach> {
        let Some(promise) = self.promises.get_mut(&serial) else {
            return Breach::of("an event is about an accepted batch", format!("{serial:?}"));
        };
        if promise.outcome.is_some() {
            return Breach::of("each accepted batch ends in exactly one event", format!("a second one for {serial:?}"));
        }
        if promise.to != *to {
            return Breach::of("an event names the partition", format!("{serial:?}: {to:?}"));
        }
        match recognise(batch) {
            Ok(found) if (found.serial, found.first, found.records) == (serial, 0, promise.records) => {}
            found => return Breach::of("the batch comes back", format!("{serial:?}: {found:?}")),
        }
        self.waiting -= promise.size;
        Ok(promise)
    }
}
