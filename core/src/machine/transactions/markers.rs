//! Whether the markers of the last transaction are written.
//!
//! EndTxn is answered before they are. What the next transaction adds while they are being written is refused with
//! CONCURRENT_TRANSACTIONS, and tried again 20 ms later: by the client, or at level 2 by the leader
//! (`add.partitions.to.txn.retry.backoff.ms`). Usually they take a few ms, or less than one. So the coordinator is asked
//! with DescribeTransactions, and nothing is sent in the next transaction until it says that they are written. The application can
//! begin it at once, and fill batches meanwhile.
//!
//! Where that saves less than the question costs, because the brokers are far away or the application pauses between its
//! transactions, it is asked after every 16th transaction only.

use core::time::Duration;

use super::CONCURRENT_BACKOFF;
use crate::time::Instant;

/// After this time the requests of the next transaction are sent, whatever the coordinator says, and also if it does not answer: then
/// the backoff costs no more than the questions.
const LIMIT: Duration = CONCURRENT_BACKOFF;

/// How many questions follow each other without a pause.
const AT_ONCE: u8 = 4;

/// The pause between two later questions: a timer of most runtimes cannot be shorter.
const PAUSE: Duration = Duration::from_millis(1);

/// One of so many transactions is asked about where it is not worthwhile.
const SAMPLE: u8 = 16;

/// Of so many parts is a share.
const WHOLE: u32 = 1 << 16;

/// What is known of the markers of the last transaction.
#[derive(Debug)]
pub(in crate::machine) struct Markers {
    state: State,
    /// The share of transactions whose markers were not written yet when they were asked about, of 65,536: an average in which the
    /// last transaction counts one eighth.
    pending: u32,
    /// How long the last response took.
    round_trip: Duration,
    /// For how many transactions no question was asked.
    skipped: u8,
    /// The producer has no permission to ask.
    is_refused: bool,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// They are written, or the next transaction does not wait for them.
    Written,
    /// They are asked about at this moment.
    Due {
        at: Instant,
        ended: Instant,
        asked: u8,
    },
    InFlight {
        sent: Instant,
        ended: Instant,
        asked: u8,
    },
}

impl Default for Markers {
    fn default() -> Self {
        Self { state: State::Written, pending: WHOLE, round_trip: Duration::ZERO, skipped: 0, is_refused: false }
    }
}

impl Markers {
    /// Records that EndTxn was answered.
    pub(in crate::machine) fn on_ended(&mut self, now: Instant) {
        if self.is_refused {
            self.state = State::Written;
            return;
        }
        let saved = CONCURRENT_BACKOFF * self.pending / WHOLE;
        if saved > self.round_trip || self.skipped + 1 >= SAMPLE {
            self.skipped = 0;
            self.state = State::Due { at: now, ended: now, asked: 0 };
        } else {
            self.skipped += 1;
            self.state = State::Written;
        }
    }

    /// Returns `true` if the requests of the next transaction need not wait.
    pub(in crate::machine) const fn are_written(&self) -> bool {
        matches!(self.state, State::Written)
    }

    /// Returns when the coordinator is to be asked; `None` if it is not, or was.
    pub(in crate::machine) const fn due(&self) -> Option<Instant> {
        match self.state {
            State::Due { at, .. } => Some(at),
            State::Written | State::InFlight { .. } => None,
        }
    }

    /// Records that the coordinator is asked.
    pub(in crate::machine) fn on_sent(&mut self, now: Instant) {
        if let State::Due { ended, asked, .. } = self.state {
            self.state = State::InFlight { sent: now, ended, asked: asked.saturating_add(1) };
        }
    }

    /// Records the response: whether markers are being written.
    pub(in crate::machine) fn on_response(&mut self, is_pending: bool, now: Instant) {
        let State::InFlight { sent, ended, asked } = self.state else { return };
        self.round_trip = now.since(sent);
        if asked == 1 {
            let share = if is_pending { WHOLE } else { 0 };
            self.pending = (self.pending * 7 + share) / 8;
        }
        let waited = now.since(ended);
        self.state = if !is_pending || waited >= LIMIT {
            State::Written
        } else {
            let pause = if asked < AT_ONCE { Duration::ZERO } else { PAUSE };
            State::Due { at: now + pause, ended, asked }
        };
    }

    /// Returns when requests are sent without the response that is awaited; `None` if none is.
    pub(in crate::machine) fn limit(&self) -> Option<Instant> {
        match self.state {
            State::InFlight { ended, .. } => Some(ended + LIMIT),
            State::Written | State::Due { .. } => None,
        }
    }

    /// Records that requests are sent without the response.
    pub(in crate::machine) fn on_limit(&mut self, now: Instant) {
        if let State::InFlight { sent, .. } = self.state {
            self.round_trip = self.round_trip.max(now.since(sent));
            self.state = State::Written;
        }
    }

    /// Records that the coordinator does not permit the question: it is not asked again by this producer.
    pub(in crate::machine) fn on_refused(&mut self) {
        self.is_refused = true;
        self.on_unknown();
    }

    /// Records that the coordinator cannot be asked, or does not say it: the next transaction does not wait.
    pub(in crate::machine) fn on_unknown(&mut self) {
        self.state = State::Written;
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn at_us(micros: u64) -> Instant {
        Instant::from_start(Duration::from_micros(micros))
    }

    /// Ends a transaction at `now`, whose markers are written `pending` µs later; a question takes `round_trip` µs. Returns when the
    /// requests of the next one may be sent, and the number of questions.
    fn next_is_sent(markers: &mut Markers, now: u64, pending: u64, round_trip: u64) -> (u64, usize) {
        markers.on_ended(at_us(now));
        let mut time = now;
        let mut questions = 0;
        while let Some(at) = markers.due() {
            time = u64::try_from(at.since_start().as_micros()).unwrap();
            markers.on_sent(at);
            assert_eq!(markers.due(), None);
            let seen = time + round_trip / 2;
            time += round_trip;
            questions += 1;
            markers.on_response(seen < now + pending, at_us(time));
        }
        assert!(markers.are_written());
        (time, questions)
    }

    #[test]
    fn the_next_transaction_is_sent_when_the_coordinator_says_that_markers_are_written() {
        let mut markers = Markers::default();
        assert_eq!(next_is_sent(&mut markers, 0, 0, 100), (100, 1));
        assert_eq!(next_is_sent(&mut markers, 0, 240, 100), (300, 3));
        // 4 questions without a pause, then one a millisecond.
        assert_eq!(next_is_sent(&mut markers, 0, 2_000, 100), (2_600, 6));
        let (sent, questions) = next_is_sent(&mut markers, 0, 60_000_000, 100);
        assert!((20_000..21_100).contains(&sent) && questions < 24, "{sent} after {questions}");
    }

    #[test]
    fn brokers_far_away_and_markers_that_are_always_written_are_asked_about_rarely() {
        let far_away = (0..160).map(|_| (0, 50_000));
        let written = (0..160).map(|_| (0, 400));
        for all in [far_away.collect::<Vec<_>>(), written.collect()] {
            let mut markers = Markers::default();
            let questions: usize =
                all.iter().map(|(pending, round_trip)| next_is_sent(&mut markers, 0, *pending, *round_trip).1).sum();
            assert!((10..50).contains(&questions), "{questions} questions");
        }
        let mut markers = Markers::default();
        let questions: usize = (0..160).map(|_| next_is_sent(&mut markers, 0, 500, 400).1).sum();
        assert!(questions >= 160, "they save 20 ms each time: {questions}");
    }

    #[test]
    fn a_broker_whose_answers_are_late_is_asked_rarely() {
        let mut markers = Markers::default();
        markers.on_ended(at_us(0));
        markers.on_sent(at_us(0));
        assert_eq!(markers.limit(), Some(at_us(20_000)));
        markers.on_limit(at_us(20_000));
        assert_eq!((markers.are_written(), markers.limit()), (true, None));
        markers.on_ended(at_us(30_000));
        assert!(markers.are_written());
    }

    #[test]
    fn a_question_without_an_answer_holds_nothing_up() {
        let mut markers = Markers::default();
        markers.on_ended(at_us(0));
        markers.on_sent(at_us(0));
        assert!(!markers.are_written());
        markers.on_unknown();
        assert!(markers.are_written());
        markers.on_response(true, at_us(10));
        assert!(markers.are_written(), "it was given up");
    }
}
