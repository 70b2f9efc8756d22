//! The coordinator's decisions: what each request does in each state (`TransactionCoordinator` of Apache Kafka 4.4). Pure
//! functions: from what is known of an id to the error code, or to what is known then.

use std::collections::BTreeSet;

use super::state::{LAST_EPOCH, Metadata, NO_EPOCH, Participant, TransactionState};
use crate::Moment;

pub(crate) const INVALID_TXN_STATE: i16 = 48;
pub(crate) const INVALID_PRODUCER_ID_MAPPING: i16 = 49;
pub(crate) const CONCURRENT_TRANSACTIONS: i16 = 51;
pub(crate) const PRODUCER_FENCED: i16 = 90;
pub(crate) const TRANSACTION_ABORTABLE: i16 = 120;

/// The protocol by which a client ends its transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Levels 0 and 1: the epoch stays.
    Classic,
    /// Level 2: each transaction has an epoch of its own (KIP-890).
    EpochBump,
}

/// What InitProducerId does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Init {
    /// The id gets what this says.
    Become(Metadata),
    /// The open transaction is aborted first. The client has to ask again.
    AbortFirst,
}

/// What EndTxn does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The transaction ends.
    Become(Metadata),
    /// It has ended already in the same way: the request is a repetition.
    Repeated,
}

/// Decides on an InitProducerId. `expected` is the identity that the client has (KIP-360); `new_producer` assigns a producer
/// id.
pub(crate) fn init(
    current: &Metadata,
    expected: Option<(i64, i16)>,
    timeout: Moment,
    new_producer: impl FnOnce() -> i64,
) -> Result<Init, i16> {
    let is_known = |(producer, epoch): (i64, i16)| {
        current.epoch == NO_EPOCH
            || producer == current.producer
            // The response with the id that follows an exhausted one was lost.
            || producer == current.previous_producer && epoch >= LAST_EPOCH
    };
    if !expected.is_none_or(is_known) {
        return Err(PRODUCER_FENCED);
    }
    match current.state {
        TransactionState::PrepareCommit | TransactionState::PrepareAbort => return Err(CONCURRENT_TRANSACTIONS),
        TransactionState::Ongoing => return Ok(Init::AbortFirst),
        TransactionState::Empty | TransactionState::CompleteCommit | TransactionState::CompleteAbort => {}
    }
    let expected_epoch = expected.map(|(_, epoch)| epoch);
    let empty = Metadata {
        state: TransactionState::Empty,
        previous_producer: current.producer,
        next_producer: None,
        timeout,
        participants: BTreeSet::new(),
        ..current.clone()
    };
    // The last epoch may have been given up by a transaction that timed out.
    let may_rotate = |epoch| epoch == current.epoch || epoch == current.last_epoch && epoch != NO_EPOCH;
    if current.is_exhausted() && expected_epoch.is_none_or(may_rotate) {
        let last_epoch = if expected.is_some() { current.epoch } else { NO_EPOCH };
        return Ok(Init::Become(Metadata { producer: new_producer(), epoch: 0, last_epoch, ..empty }));
    }
    let (epoch, last_epoch) = match expected_epoch {
        None => (current.epoch + 1, NO_EPOCH),
        Some(expected) if current.epoch == NO_EPOCH || expected == current.epoch => (current.epoch + 1, current.epoch),
        // Repeated: the response was lost. Nobody else has initialised the id, or there would be no last epoch.
        Some(expected) if expected == current.last_epoch => (current.epoch, current.last_epoch),
        Some(_) => return Err(PRODUCER_FENCED),
    };
    Ok(Init::Become(Metadata { epoch, last_epoch, ..empty }))
}

/// Aborts an open transaction whose producer did not ask for it: it timed out, or another instance was initialised.
pub(crate) fn fence(current: &Metadata, protocol: Protocol) -> Metadata {
    Metadata {
        state: TransactionState::PrepareAbort,
        previous_producer: current.producer,
        epoch: current.epoch.saturating_add(1),
        last_epoch: match protocol {
            Protocol::Classic => NO_EPOCH,
            Protocol::EpochBump => current.epoch,
        },
        ..current.clone()
    }
}

/// Adds participants. Returns `None` if they are in the transaction already.
pub(crate) fn add(
    current: &Metadata,
    producer: i64,
    epoch: i16,
    participants: &BTreeSet<Participant>,
    now: Moment,
) -> Result<Option<Metadata>, i16> {
    check_identity(current, producer, epoch)?;
    if current.is_ending() {
        return Err(CONCURRENT_TRANSACTIONS);
    }
    let is_open = current.state == TransactionState::Ongoing;
    if is_open && participants.is_subset(&current.participants) {
        return Ok(None);
    }
    let mut all = if is_open { current.participants.clone() } else { BTreeSet::new() };
    all.extend(participants.iter().cloned());
    Ok(Some(Metadata {
        state: TransactionState::Ongoing,
        previous_producer: current.producer,
        started: if is_open { current.started } else { now },
        participants: all,
        ..current.clone()
    }))
}

/// Checks that a participant is in the transaction, for a leader or group coordinator that got something of it.
pub(crate) fn verify(current: &Metadata, producer: i64, epoch: i16, participant: &Participant) -> Result<(), i16> {
    check_identity(current, producer, epoch)?;
    if current.is_ending() {
        return Err(CONCURRENT_TRANSACTIONS);
    }
    let is_in = current.state == TransactionState::Ongoing && current.participants.contains(participant);
    if is_in { Ok(()) } else { Err(TRANSACTION_ABORTABLE) }
}

fn check_identity(current: &Metadata, producer: i64, epoch: i16) -> Result<(), i16> {
    if current.producer != producer {
        return Err(INVALID_PRODUCER_ID_MAPPING);
    }
    if current.epoch != epoch { Err(PRODUCER_FENCED) } else { Ok(()) }
}

/// Decides on an EndTxn. `new_producer` assigns a producer id.
pub(crate) fn end(
    current: &Metadata,
    (producer, epoch): (i64, i16),
    commit: bool,
    protocol: Protocol,
    new_producer: impl FnOnce() -> i64,
) -> Result<End, i16> {
    use TransactionState::{CompleteAbort, CompleteCommit, Empty, Ongoing, PrepareAbort, PrepareCommit};

    let bumps = protocol == Protocol::EpochBump;
    // The response was lost, and with it the next identity.
    let after_bump = bumps && i32::from(current.epoch) == i32::from(epoch) + 1;
    let after_overflow = bumps && producer == current.previous_producer && epoch == LAST_EPOCH && current.epoch == 0;
    if current.producer != producer && !after_overflow {
        return Err(INVALID_PRODUCER_ID_MAPPING);
    }
    let is_repeated = after_bump || after_overflow;
    let is_valid = match current.state {
        Empty | Ongoing => epoch == current.epoch,
        PrepareCommit | PrepareAbort if bumps => after_bump,
        _ => epoch == current.epoch || is_repeated,
    };
    if !is_valid {
        return Err(PRODUCER_FENCED);
    }
    match (current.state, commit) {
        (Ongoing, _) => {}
        (PrepareCommit, true) | (PrepareAbort, false) => return Err(CONCURRENT_TRANSACTIONS),
        (CompleteCommit, true) | (CompleteAbort, false) if is_repeated || !bumps => return Ok(End::Repeated),
        // Something was sent to no partition, and is aborted: the epoch excludes that it arrives later.
        (Empty | CompleteCommit | CompleteAbort, false) if bumps && !is_repeated => {}
        _ => return Err(INVALID_TXN_STATE),
    }
    let is_open = current.state == Ongoing;
    let next = Metadata {
        state: if commit { PrepareCommit } else { PrepareAbort },
        previous_producer: current.producer,
        participants: if is_open { current.participants.clone() } else { BTreeSet::new() },
        ..current.clone()
    };
    Ok(End::Become(match protocol {
        Protocol::Classic => next,
        Protocol::EpochBump => Metadata {
            next_producer: current.is_exhausted().then(new_producer),
            epoch: current.epoch.saturating_add(1),
            last_epoch: current.epoch,
            ..next
        },
    }))
}

/// Returns what is known once every participant has its marker.
pub(crate) fn complete(ending: &Metadata) -> Metadata {
    let (producer, epoch) = match ending.next_producer {
        Some(next) => (next, 0),
        None => (ending.producer, ending.epoch),
    };
    Metadata {
        state: match ending.state {
            TransactionState::PrepareCommit => TransactionState::CompleteCommit,
            _ => TransactionState::CompleteAbort,
        },
        producer,
        epoch,
        previous_producer: ending.producer,
        next_producer: None,
        participants: BTreeSet::new(),
        ..ending.clone()
    }
}

#[cfg(test)]
mod tests;
