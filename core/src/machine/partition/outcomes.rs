//! Entries that leave the queue, or are stamped again: in the log, failed, split, sealed again.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{Partition, TransitionContext};
use crate::batch::convert::{ConvertError, DownConversion};
use crate::batch::{KafkaBatch, SealErrorReason};
use crate::failure::{CodecRefused, FailureReason, RecordError};
use crate::machine::entry::{Entry, Origin, Payload};
use crate::machine::event::BatchId;
use crate::machine::identity::Identity;
use crate::machine::notice::Retry;
use crate::machine::unfinished::UnfinishedIndex;
use crate::machine::verdict::{self, AttemptResult, Verdict};
use crate::machine::versions::Versions;
use crate::protocol::{ApiKey, BrokerError, ErrorCode};
use crate::record::TopicPartition;

/// An effect of a partition's transition on the rest of the machine, in the order in which they must be applied.
#[derive(Debug)]
pub(in crate::machine) enum Effect {
    /// An entry is in the log (with `acks=0`: it was sent).
    Delivered(Box<Entry>, LogPosition),
    /// An entry has failed for good.
    Failed(Box<FailedEntry>),
    /// An entry was replaced with parts.
    Split(Box<SplitEntry>),
    /// A broker accepted a batch under this identity.
    Confirmed(Identity),
    /// A broker refused this identity at any sequence number.
    Refused(Identity, BrokerError),
    /// An attempt has failed, and the batch will be sent again. Only if [`MachineConfig::notices`] is set.
    ///
    /// [`MachineConfig::notices`]: crate::machine::MachineConfig::notices
    Retried(BatchId, Retry),
}

/// Where an entry is in the log. Each is −1 if it is not known.
#[derive(Clone, Copy, Debug)]
pub(in crate::machine) struct LogPosition {
    pub(in crate::machine) offset: i64,
    pub(in crate::machine) append_time: i64,
    pub(in crate::machine) log_start_offset: i64,
}

impl LogPosition {
    /// Nothing is known.
    pub(super) const UNKNOWN: Self = Self { offset: -1, append_time: -1, log_start_offset: -1 };
}

/// An entry that has failed for good.
#[derive(Debug)]
pub(in crate::machine) struct FailedEntry {
    pub(in crate::machine) entry: Box<Entry>,
    /// Whether some attempt may have been written.
    pub(in crate::machine) maybe_written: bool,
    pub(in crate::machine) reason: FailureReason,
    /// By position in the entry.
    pub(in crate::machine) errors: Vec<RecordError>,
}

/// An entry that was replaced with parts.
#[derive(Debug)]
pub(in crate::machine) struct SplitEntry {
    pub(in crate::machine) batch: BatchId,
    pub(in crate::machine) place: UnfinishedIndex,
    /// The accepted batch, without its records, and its destination; `None` if the entry was itself a part.
    pub(in crate::machine) whole: Option<(KafkaBatch, TopicPartition)>,
    /// The number of its records.
    pub(in crate::machine) count: usize,
    /// How many parts replace it.
    pub(in crate::machine) parts: usize,
    /// Why it was split, if some record cannot be sent; or why it could not be split.
    pub(in crate::machine) reason: Option<FailureReason>,
    /// Records that are too large by themselves: their positions in the accepted batch, and sizes in bytes.
    pub(in crate::machine) too_large: Vec<(usize, usize)>,
    /// The limit that they exceed, in bytes.
    pub(in crate::machine) limit: usize,
}

impl Partition {
    /// Removes the entry at this position, which is in the log (with `acks=0`: which was sent).
    pub(super) fn deliver(&mut self, at: usize, log_position: LogPosition, context: &mut TransitionContext<'_>) {
        if let Some(entry) = self.queue.remove(at) {
            context.effect(Effect::Delivered(entry, log_position));
        }
    }

    /// Fails the entry at this position for good. `maybe_written`: the last attempt may have been written.
    pub(super) fn fail(
        &mut self,
        at: usize,
        maybe_written: bool,
        reason: FailureReason,
        errors: Vec<RecordError>,
        context: &mut TransitionContext<'_>,
    ) {
        self.fail_one(at, maybe_written, reason, errors, context);
        self.fail_unprovable(context); // earlier entries may have waited for it as their proof
    }

    fn fail_one(
        &mut self,
        at: usize,
        maybe_written: bool,
        reason: FailureReason,
        errors: Vec<RecordError>,
        context: &mut TransitionContext<'_>,
    ) {
        let Some(entry) = self.queue.remove(at) else { return };
        if let Some(identity) = entry.payload.identity() {
            self.sequence.record_gap(identity);
        }
        let maybe_written = maybe_written || entry.maybe_written;
        context.effect(Effect::Failed(Box::new(FailedEntry { entry, maybe_written, reason, errors })));
    }

    /// Fails, with an unknown fate, the entries that wait for proof which no later entry can give any more.
    pub(super) fn fail_unprovable(&mut self, context: &mut TransitionContext<'_>) {
        while let Some(at) = self.unprovable() {
            self.fail_as_unknown(at, context);
        }
    }

    /// Returns the first entry that [awaits proof](Entry::awaits_proof) which no later entry can give any more.
    fn unprovable(&self) -> Option<usize> {
        let found = self.queue.window().find(|(at, entry)| {
            let identity = entry.payload.identity().filter(|_| entry.refused_by.is_some() && entry.in_flight.is_none());
            identity.is_some_and(|identity| !self.may_be_proven_after(*at, identity))
        });
        found.map(|(at, _)| at)
    }

    /// Returns `true` if an entry after this position may yet prove that one under this identity is in the log.
    pub(super) fn may_be_proven_after(&self, at: usize, identity: Identity) -> bool {
        self.queue.window().skip(at + 1).any(|(_, later)| later.may_prove(identity))
    }

    pub(super) fn fail_as_unknown(&mut self, at: usize, context: &mut TransitionContext<'_>) {
        let error = self.queue.update(at, |entry| entry.last_error.take());
        let error = error
            .map_or_else(|| BrokerError::new(ApiKey::Produce, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER), |error| *error);
        self.fail_one(at, true, error.into(), Vec::new(), context);
    }

    /// Fails every entry that is not in flight.
    pub(in crate::machine) fn fail_waiting(
        &mut self,
        reason: impl Fn() -> FailureReason,
        context: &mut TransitionContext<'_>,
    ) {
        self.fail_waiting_if(|_| true, reason, context);
    }

    /// Fails every entry that is not in flight, unless an attempt [may arrive late](Entry::may_arrive_late).
    pub(in crate::machine) fn fail_waiting_and_answered(
        &mut self,
        reason: impl Fn() -> FailureReason,
        context: &mut TransitionContext<'_>,
    ) {
        self.fail_waiting_if(|entry| !entry.may_arrive_late(), reason, context);
    }

    /// Fails every entry that is not in flight, and for which this returns `true`. It must for each that was never sent.
    fn fail_waiting_if(
        &mut self,
        condition: impl Fn(&Entry) -> bool,
        reason: impl Fn() -> FailureReason,
        context: &mut TransitionContext<'_>,
    ) {
        loop {
            let is_meant = |entry: &Entry| entry.in_flight.is_none() && condition(entry);
            let waiting = self.queue.window().find(|(_, entry)| is_meant(entry)).map(|(at, _)| at);
            let Some(at) = waiting.or_else(|| self.queue.first_after_window()) else { return };
            self.fail(at, false, reason(), Vec::new(), context);
        }
    }

    /// Fails the oldest entry, because `delivery.timeout.ms` has expired or the producer is closed.
    pub(in crate::machine) fn abandon_oldest(&mut self, reason: FailureReason, context: &mut TransitionContext<'_>) {
        let Some(entry) = self.queue.get(0) else { return };
        let outcome = AttemptResult::Abandoned { in_flight: entry.in_flight.is_some() };
        let verdict = verdict::produce(outcome, context.config.acks, entry.payload.identity().is_some());
        self.fail(0, verdict == Verdict::Fail { maybe_written: true }, reason, Vec::new(), context);
    }

    /// Fails the entry at this position, which could not be sent.
    pub(in crate::machine) fn fail_unsendable(
        &mut self,
        at: usize,
        reason: FailureReason,
        context: &mut TransitionContext<'_>,
    ) {
        self.fail(at, false, reason, Vec::new(), context);
    }

    /// Seals again the batches that were stamped under an identity with a gap and are certainly not written, so that they
    /// get new sequence numbers.
    pub(in crate::machine) fn reseal_after_gap(&mut self, context: &mut TransitionContext<'_>) {
        // An entry that cannot be resealed fails, which shifts the positions: so search again each time.
        while let Some(at) = self.next_to_reseal() {
            self.reseal(at, None, context);
        }
    }

    /// Returns the first entry that must be stamped again: it was stamped under an identity with a gap, and certainly not
    /// written. An entry that may be in the log is kept as it is, even after a missing one: brokers accept no batch after a
    /// gap, but a broker that has forgotten the producer sees no gap.
    fn next_to_reseal(&self) -> Option<usize> {
        let identity = self.sequence.identity_with_gap()?;
        let must_be_resealed = |entry: &Entry| {
            entry.payload.identity() == Some(identity) && entry.in_flight.is_none() && !entry.maybe_written
        };
        self.queue.window().find(|(_, entry)| must_be_resealed(entry)).map(|(at, _)| at)
    }

    /// Converts the entry at this position to the format of the broker. If that is not possible, the batch fails (or is
    /// split, if it has become too large and splitting is allowed), and `false` is returned.
    pub(in crate::machine) fn convert_for_broker(
        &mut self,
        at: usize,
        versions: Versions,
        context: &mut TransitionContext<'_>,
    ) -> bool {
        let Some(entry) = self.queue.get(at) else { return false };
        let (magic, codec) = match &entry.payload {
            Payload::Sealed(batch) => (batch.magic(), batch.codec()),
            Payload::Stamped(batch, _) => (batch.magic(), batch.codec()),
            Payload::Open(_) | Payload::Gone => return false,
        };
        if magic != versions.magic() {
            if let Some(identity) = entry.payload.identity() {
                self.sequence.record_gap(identity); // its sequence numbers will not be used
            }
            return self.reseal(at, Some(versions.magic()), context);
        }
        if !codec.fits_produce_version(versions.produce) {
            let reason = CodecRefused::new(codec, versions.produce).into();
            self.fail_unsendable(at, reason, context);
            return false;
        }
        true
    }

    /// Opens a batch and seals it again, in this format or (`None`) in its own. Returns `false` if that failed: then
    /// the batch has failed or was split.
    fn reseal(&mut self, at: usize, magic: Option<crate::Magic>, context: &mut TransitionContext<'_>) -> bool {
        let policy = context.config.down_conversion;
        match self.queue.update(at, |entry| reopen(entry, magic, policy)) {
            Ok(()) => true,
            Err(Refused { reason, too_large: true }) if self.may_split(at, context) => {
                self.split(at, reason, context);
                false
            }
            Err(Refused { reason, .. }) => {
                self.fail_unsendable(at, reason, context);
                false
            }
        }
    }

    /// Returns `true` if a batch that is too large is to be split: `split_too_large` is set, it has more than one
    /// record, and none of it may be in the log.
    pub(super) fn may_split(&self, at: usize, context: &TransitionContext<'_>) -> bool {
        let may_split = |entry: &Entry| !entry.maybe_written && entry.payload.record_count() > 1;
        context.config.split_too_large
            && !context.config.is_transactional()
            && self.queue.get(at).is_some_and(may_split)
    }

    /// Replaces a batch with two or more parts. They are sent in order, and their outcomes are merged into one event.
    /// `reason`: why the batch is split, which is also the reason for a record that is too large by itself.
    pub(super) fn split(&mut self, at: usize, reason: FailureReason, context: &mut TransitionContext<'_>) {
        let Some(entry) = self.queue.remove(at) else { return };
        if let Some(identity) = entry.payload.identity() {
            self.sequence.record_gap(identity);
        }
        let position = entry.position();
        let Entry { batch: id, place, origin, payload, accepted, opened, was_sent, .. } = *entry;
        // A batch that the broker refused is split into halves, as the response does not have the limit. One that could
        // not be sealed is split to fit its own limit.
        let limit = match &payload {
            Payload::Open(batch) => batch.options().max_message_bytes,
            payload => payload.size(),
        };
        let count = payload.record_count();
        let batch = payload.into_batch();
        let whole = match origin {
            Origin::Whole(to) => Some((batch.without(&[]), to)),
            Origin::Part { .. } => None,
        };
        let mut split =
            SplitEntry { batch: id, place, whole, count, parts: 0, reason: None, too_large: Vec::new(), limit };
        match batch.split(limit) {
            Ok(found) => {
                split.parts = found.parts.len();
                split.too_large =
                    found.too_large.iter().map(|record| (position + record.position, record.size)).collect();
                split.reason = Some(reason).filter(|_| !split.too_large.is_empty());
                for (step, (offset, sealed)) in found.parts.into_iter().enumerate() {
                    let origin = Origin::Part { position: position + offset };
                    let mut part = Entry::new(context.ids.next(), id, place, origin, sealed, accepted, opened);
                    part.was_sent = was_sent;
                    self.queue.insert(at + step, part);
                }
            }
            Err(error) => split.reason = Some(FailureReason::Seal(Box::new(error.reason.into()))),
        }
        context.effect(Effect::Split(Box::new(split)));
    }
}

/// Why a batch could not be sealed again.
struct Refused {
    reason: FailureReason,
    too_large: bool,
}

/// Opens a batch and seals it again, without producer id and sequence: nothing sent of it may be in the log.
fn reopen(entry: &mut Entry, magic: Option<crate::Magic>, policy: DownConversion) -> Result<(), Refused> {
    let batch = core::mem::replace(&mut entry.payload, Payload::Gone).into_batch();
    let magic = magic.unwrap_or(batch.magic());
    let (reason, too_large, batch) = match batch.convert(magic, policy) {
        Ok(batch) => match batch.seal() {
            Ok(sealed) => {
                entry.payload = Payload::Sealed(sealed);
                return Ok(());
            }
            Err(error) => {
                let too_large = matches!(error.reason, SealErrorReason::TooLarge { .. });
                (FailureReason::Seal(Box::new(error.reason)), too_large, error.batch)
            }
        },
        Err(ConvertError::Losses { refused, batch }) => (FailureReason::Conversion(Box::new(refused)), false, batch),
        Err(ConvertError::TooLong { reason, batch, .. }) => (FailureReason::Append(Box::new(reason)), true, batch),
    };
    entry.payload = Payload::Open(batch);
    Err(Refused { reason, too_large })
}
