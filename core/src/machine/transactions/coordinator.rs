//! Who coordinates a group or a transactional id, and the requests that ask for it.

use crate::machine::backoff::Backoff;
use crate::machine::query::Query;
use crate::splitmix64::SplitMix64;
use crate::time::Instant;

/// The coordinator of one key, as far as it is known.
#[derive(Debug, Default)]
pub(in crate::machine) struct Coordinator {
    broker: Option<i32>,
    /// FindCoordinator.
    pub(in crate::machine) query: Query,
}

impl Coordinator {
    /// Returns the broker, if it is known.
    pub(in crate::machine) const fn broker(&self) -> Option<i32> {
        self.broker
    }

    /// Records the broker that FindCoordinator has named.
    pub(in crate::machine) fn found(&mut self, broker: i32) {
        self.query.on_response();
        self.broker = Some(broker);
    }

    /// Records that the broker has responded to a request as the coordinator, so the next failure counts as the first.
    pub(in crate::machine) fn confirmed(&mut self) {
        self.query.succeeded();
    }

    /// Forgets the broker, which is not the coordinator, or cannot be reached. FindCoordinator is sent after a backoff, since
    /// brokers can name a coordinator that has failed for as long as nobody has noticed.
    pub(in crate::machine) fn forget(&mut self, now: Instant, backoff: Backoff, random: &mut SplitMix64) {
        if self.broker.take().is_some() {
            self.query.postpone(now, backoff, random);
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::machine::query::QueryState;

    const BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), most: Duration::from_secs(1) };

    #[test]
    fn a_coordinator_that_fails_again_and_again_is_asked_for_less_and_less_often() {
        let (mut coordinator, mut random) = (Coordinator::default(), SplitMix64::new(1));
        let mut now = Instant::START;
        let mut waits = [0, 0, 0];
        for wait in &mut waits {
            coordinator.found(7);
            assert_eq!(coordinator.broker(), Some(7));
            coordinator.forget(now, BACKOFF, &mut random);
            assert_eq!(coordinator.broker(), None);
            let QueryState::BackingOff(until) = coordinator.query.state(now) else { panic!("it does not wait") };
            coordinator.forget(now, BACKOFF, &mut random);
            assert_eq!(coordinator.query.state(now), QueryState::BackingOff(until), "forgotten once");
            *wait = until.since(now).as_millis();
            now = until;
        }
        assert!(waits[0] < waits[1] && waits[1] < waits[2], "{waits:?}");
        coordinator.found(7);
        coordinator.confirmed();
        coordinator.forget(now, BACKOFF, &mut random);
        let QueryState::BackingOff(until) = coordinator.query.state(now) else { panic!("it does not wait") };
        assert!(until.since(now).as_millis() <= 120, "as after the first failure");
    }
}
