//! Mistakes of a driver that the machine can notice: debug builds record them, release builds do not look.
//!
//! They are values that a driver asks for, and neither panics nor outputs. Not panics, because whether time has passed unused is
//! measured, and a computer that was suspended looks like a driver that slept; and because the machine tolerates each of them.
//! Not outputs, because the machine's outputs must not depend on the kind of build: a run that is recorded in one is repeated in
//! the other.

#[cfg(debug_assertions)]
use alloc::collections::VecDeque;
use core::time::Duration;

use super::io::ConnectionId;
#[cfg(debug_assertions)]
use super::io::{Input, Output};
use crate::time::Instant;

/// A mistake of the driver, from [`Machine::take_misuse`](super::Machine::take_misuse). The machine goes on, but is late, or has
/// been told something wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misuse {
    /// The driver stopped polling before [`Output::Wait`](super::Output::Wait): outputs were left undone for a second or longer.
    #[error(
        "the outputs were not drained: poll_output was called again after {} ms, although it had not returned Wait; call it until \
         it does, before waiting for anything",
        .waited.as_millis()
    )]
    NotDrained {
        /// How long.
        waited: Duration,
    },
    /// The driver did not poll for a second or longer after an input or a command.
    #[error(
        "a wake-up was lost: poll_output was called {} ms after an input or a command; call it after each, before waiting for \
         anything",
        .waited.as_millis()
    )]
    NotPolled {
        /// How long.
        waited: Duration,
    },
    /// The driver polled a second or longer after the deadline of [`Output::Wait`](super::Output::Wait).
    #[error(
        "a deadline was missed: Wait named {deadline}, and poll_output was called {} ms later; wait no longer than until the \
         deadline, and do not block the thread of the loop",
        .late.as_millis()
    )]
    MissedDeadline {
        /// The deadline.
        deadline: Instant,
        /// How long after it.
        late: Duration,
    },
    /// The time was earlier than in a call before. The machine used the latest instead.
    #[error("time went back by {} ms: pass the time of a monotonic clock, read immediately before each call", .by.as_millis())]
    TimeWentBack {
        /// By how much.
        by: Duration,
    },
    /// An input named a connection that the machine has not asked for.
    #[error("an input is for {connection}, which no Connect has named: use the ids of the outputs")]
    UnknownConnection {
        /// The connection.
        connection: ConnectionId,
    },
    /// [`Input::Connected`](super::Input::Connected) or [`Input::Closed`](super::Input::Closed) was reported for a connection
    /// after [`Output::Close`](super::Output::Close), or any input after the driver itself had reported its end.
    #[error("an input is for {connection}, which has ended: drop a connection at Close, and after reporting Closed")]
    EndedConnection {
        /// The connection.
        connection: ConnectionId,
    },
    /// Bytes were received or sent before [`Input::Connected`](super::Input::Connected).
    #[error("bytes were received or sent on {connection}, which is not connected: report Connected first")]
    NotConnected {
        /// The connection.
        connection: ConnectionId,
    },
    /// [`Input::Connected`](super::Input::Connected) was reported twice.
    #[error("{connection} was reported as connected twice")]
    ConnectedTwice {
        /// The connection.
        connection: ConnectionId,
    },
}

/// How late a poll may be. A driver that polls in time is late by the scheduling of threads only; this much delays every batch.
#[cfg(debug_assertions)]
const LATE: Duration = Duration::from_secs(1);

/// How many mistakes, and how many ended connections, are remembered.
#[cfg(debug_assertions)]
const REMEMBERED: usize = 16;

/// Notices mistakes of the driver. In release builds it has no size, and its methods do nothing.
#[derive(Debug, Default)]
pub(super) struct MisuseDetector {
    #[cfg(debug_assertions)]
    found: VecDeque<Misuse>,
    /// Connections of which the driver has reported the end, the latest.
    #[cfg(debug_assertions)]
    reported_ends: VecDeque<ConnectionId>,
    /// Since when the driver has to poll, and why.
    #[cfg(debug_assertions)]
    poll_due: Option<(Instant, PollReason)>,
}

/// Why the driver has to poll.
#[derive(Clone, Copy, Debug)]
#[cfg(debug_assertions)]
enum PollReason {
    /// The last poll returned something else than `Wait`.
    Undrained,
    /// There was an input or a command.
    Changed,
    /// The deadline of the last `Wait`.
    Deadline,
}

/// What is known of the connection of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg(debug_assertions)]
pub(super) enum ConnectionState {
    /// The machine has not asked for it.
    Unknown,
    Connecting,
    Open,
    /// The machine has ended it, but its `Close` is not polled yet.
    Closing,
    Ended,
}

#[cfg(debug_assertions)]
impl MisuseDetector {
    pub(super) fn take(&mut self) -> Option<Misuse> {
        self.found.pop_front()
    }

    /// Records a call at `now`, after one at `latest`.
    pub(super) fn on_call(&mut self, now: Instant, latest: Instant) {
        if now < latest {
            self.add(Misuse::TimeWentBack { by: latest.since(now) });
        }
    }

    /// Records that an input or a command may have caused outputs.
    pub(super) fn on_change(&mut self, now: Instant) {
        match self.poll_due {
            Some((since, _)) if since <= now => {}
            _ => self.poll_due = Some((now, PollReason::Changed)),
        }
    }

    /// Records an input for a connection that is in this state.
    pub(super) fn on_input(&mut self, input: &Input<'_>, connection: ConnectionId, state: ConnectionState) {
        let reported_end = self.reported_ends.contains(&connection);
        match (state, input) {
            (ConnectionState::Unknown, _) => self.add(Misuse::UnknownConnection { connection }),
            (ConnectionState::Connecting, Input::Received(..) | Input::Transmitted(_)) => {
                self.add(Misuse::NotConnected { connection });
            }
            (ConnectionState::Open, Input::Connected(_)) => self.add(Misuse::ConnectedTwice { connection }),
            // Received bytes may be on their way from another thread when the machine closes the connection.
            (ConnectionState::Ended, Input::Received(..) | Input::Transmitted(_)) if !reported_end => {}
            (ConnectionState::Ended, _) => self.add(Misuse::EndedConnection { connection }),
            _ => {}
        }
        if matches!(input, Input::Closed(..)) && !reported_end {
            if self.reported_ends.len() == REMEMBERED {
                self.reported_ends.pop_front();
            }
            self.reported_ends.push_back(connection);
        }
    }

    /// Records a poll.
    pub(super) fn on_poll(&mut self, now: Instant) {
        let Some((since, reason)) = self.poll_due.take() else { return };
        let late = now.since(since);
        if late >= LATE {
            self.add(match reason {
                PollReason::Undrained => Misuse::NotDrained { waited: late },
                PollReason::Changed => Misuse::NotPolled { waited: late },
                PollReason::Deadline => Misuse::MissedDeadline { deadline: since, late },
            });
        }
    }

    /// Records what a poll has returned.
    pub(super) fn on_output(&mut self, output: &Output, now: Instant) {
        self.poll_due = match output {
            Output::Wait(deadline) => deadline.map(|deadline| (deadline, PollReason::Deadline)),
            _ => Some((now, PollReason::Undrained)),
        };
    }

    fn add(&mut self, misuse: Misuse) {
        if self.found.len() < REMEMBERED {
            self.found.push_back(misuse);
        }
    }
}

#[cfg(not(debug_assertions))]
impl MisuseDetector {
    pub(super) const fn take(&self) -> Option<Misuse> {
        None
    }

    pub(super) const fn on_call(&self, _: Instant, _: Instant) {}

    pub(super) const fn on_change(&self, _: Instant) {}

    pub(super) const fn on_poll(&self, _: Instant) {}
}

const _: () = assert!(cfg!(debug_assertions) || size_of::<MisuseDetector>() == 0, "release builds pay nothing");
