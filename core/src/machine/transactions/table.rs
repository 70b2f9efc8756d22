//! The states of a transactional producer, and the transitions between them, as a table.

use core::fmt;

/// The state of a transactional producer.
///
/// There is room for a state after [`Open`](Self::Open) in which a transaction is prepared (KIP-939), which brokers do not
/// support yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TransactionState {
    /// Transactions are not initialised.
    Uninitialized,
    /// A producer id is requested, which ends what an earlier producer with this `transactional.id` has left open.
    Initializing,
    /// There is no transaction; one can begin.
    Ready,
    /// A transaction is open.
    Open,
    /// The transaction is being committed.
    Committing,
    /// The transaction is being aborted.
    Aborting,
    /// A new epoch is requested, so that requests of the last transaction that were never answered have no effect on the
    /// next one. With `transaction.version` 2 every transaction has a new epoch anyway.
    Bumping,
    /// Another producer with this `transactional.id` has taken over.
    Fenced,
    /// The producer cannot go on.
    Fatal,
}

/// What changes the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::machine) enum Transition {
    /// The application initialises transactions.
    Initialize,
    /// A producer id was assigned.
    Assigned,
    /// No producer id was assigned in time.
    TimedOut,
    /// The application begins a transaction.
    Begin,
    /// The application commits.
    Commit,
    /// The application aborts.
    Abort,
    /// The transaction cannot be committed: a batch has failed, offsets were refused, or the coordinator has aborted it.
    NotCommitted,
    /// The transaction has ended.
    Ended,
    /// The transaction has ended, and the next one needs another epoch.
    EndedBeforeBump,
    /// A coordinator or leader answers that another producer has taken over.
    Fence,
    /// An error after which the producer cannot go on.
    Fail,
}

use TransactionState as State;

/// The transitions, except those that are possible in each state: [`Transition::Fence`] and [`Transition::Fail`].
pub(in crate::machine) const TABLE: [(State, Transition, State); 12] = [
    (State::Uninitialized, Transition::Initialize, State::Initializing),
    (State::Initializing, Transition::Assigned, State::Ready),
    (State::Initializing, Transition::TimedOut, State::Uninitialized),
    (State::Ready, Transition::Begin, State::Open),
    (State::Open, Transition::Commit, State::Committing),
    (State::Open, Transition::Abort, State::Aborting),
    (State::Committing, Transition::NotCommitted, State::Aborting),
    (State::Committing, Transition::Ended, State::Ready),
    (State::Committing, Transition::EndedBeforeBump, State::Bumping),
    (State::Aborting, Transition::Ended, State::Ready),
    (State::Aborting, Transition::EndedBeforeBump, State::Bumping),
    (State::Bumping, Transition::Assigned, State::Ready),
];

impl TransactionState {
    /// Returns the state after a transition, or `None` if it is not possible in this one.
    pub(in crate::machine) fn after(self, transition: Transition) -> Option<Self> {
        let found = TABLE.iter().find(|(from, by, _)| *from == self && *by == transition);
        found.map(|(_, _, to)| *to).or(match (self, transition) {
            (Self::Fenced | Self::Fatal, _) => None,
            (_, Transition::Fence) => Some(Self::Fenced),
            (_, Transition::Fail) => Some(Self::Fatal),
            _ => None,
        })
    }

    /// Returns `true` if a transaction is open, or is being ended.
    pub(in crate::machine) const fn has_transaction(self) -> bool {
        matches!(self, Self::Open | Self::Committing | Self::Aborting)
    }

    /// Returns `true` if the state is final.
    pub(in crate::machine) const fn is_final(self) -> bool {
        matches!(self, Self::Fenced | Self::Fatal)
    }
}

impl fmt::Display for TransactionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uninitialized => "transactions are not initialised",
            Self::Initializing => "transactions are being initialised",
            Self::Ready => "no transaction is open",
            Self::Open => "a transaction is open",
            Self::Committing => "the transaction is being committed",
            Self::Aborting => "the transaction is being aborted",
            Self::Bumping => "a new epoch is requested",
            Self::Fenced => "another producer has taken over",
            Self::Fatal => "the producer cannot go on",
        })
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;
    use alloc::format;
    use alloc::string::String;

    use super::*;

    const ALL: [State; 9] = [
        State::Uninitialized,
        State::Initializing,
        State::Ready,
        State::Open,
        State::Committing,
        State::Aborting,
        State::Bumping,
        State::Fenced,
        State::Fatal,
    ];

    #[test]
    fn each_transition_has_one_target() {
        let keys: BTreeSet<String> = TABLE.iter().map(|(from, by, _)| format!("{from:?} {by:?}")).collect();
        assert_eq!(keys.len(), TABLE.len());
    }

    #[test]
    fn every_state_can_fail_and_none_is_left_after_that() {
        for state in ALL {
            match state {
                State::Fenced | State::Fatal => {
                    assert_eq!((state.after(Transition::Fence), state.after(Transition::Fail)), (None, None));
                }
                _ => {
                    assert_eq!(state.after(Transition::Fence), Some(State::Fenced));
                    assert_eq!(state.after(Transition::Fail), Some(State::Fatal));
                }
            }
        }
        for transition in [Transition::Begin, Transition::Assigned, Transition::Ended, Transition::Initialize] {
            assert_eq!((State::Fenced.after(transition), State::Fatal.after(transition)), (None, None));
        }
    }

    #[test]
    fn a_transaction_begins_only_after_the_last_one_has_ended() {
        let before: BTreeSet<State> =
            ALL.into_iter().filter(|state| state.after(Transition::Begin).is_some()).collect();
        assert_eq!(before, BTreeSet::from([State::Ready]));
        for state in [State::Open, State::Committing, State::Aborting] {
            assert_eq!(state.after(Transition::Assigned), None, "no producer id in the middle of a transaction");
        }
    }

    /// The picture in the documentation has a line for each row of the table.
    #[test]
    fn the_documentation_shows_the_table() {
        let lines = TABLE.iter().map(|(from, by, to)| format!("{from:?} ── {by:?} ──▶ {to:?}\n"));
        let drawn: String = lines.collect();
        assert_eq!(include_str!("states.txt"), drawn);
    }
}
