//! Decides when a timer has to be reset.

use std::task::Poll;
use std::time::Instant;

/// Resets a timer only to an earlier deadline. Deadlines mostly move later, a little with each request. Then the timer fires
/// once too early, which is harmless to the machine, and is not reset with each request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alarm {
    set_to: Option<Instant>,
}

impl Alarm {
    /// Returns an alarm without a deadline.
    #[must_use]
    pub const fn new() -> Self {
        Self { set_to: None }
    }

    /// Ensures that the timer fires at `deadline` or earlier. Calls `set` if the timer has to be reset.
    pub fn set(&mut self, deadline: Option<Instant>, set: impl FnOnce(Instant)) {
        if let Some(deadline) = deadline.filter(|at| self.set_to.is_none_or(|set_to| *at < set_to)) {
            self.set_to = Some(deadline);
            set(deadline);
        }
    }

    /// Polls the timer, by calling `timer`, unless no deadline is set. Clears the deadline if the timer has fired.
    pub fn poll(&mut self, timer: impl FnOnce() -> Poll<()>) -> Poll<()> {
        if self.set_to.is_none() {
            return Poll::Pending;
        }
        let fired = timer();
        if fired.is_ready() {
            self.set_to = None;
        }
        fired
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_timer_is_reset_to_earlier_deadlines_and_after_it_has_fired() {
        let (start, mut alarm, mut sets) = (Instant::now(), Alarm::new(), Vec::new());
        let at = |seconds| Some(start + Duration::from_secs(seconds));
        assert!(alarm.poll(|| panic!("polled without a deadline")).is_pending());
        for deadline in [at(5), at(6), None, at(5), at(4)] {
            alarm.set(deadline, |at| sets.push(at));
        }
        assert!(alarm.poll(|| Poll::Pending).is_pending());
        alarm.set(at(9), |at| sets.push(at));
        assert!(alarm.poll(|| Poll::Ready(())).is_ready());
        alarm.set(at(9), |at| sets.push(at));
        assert_eq!(sets, [at(5), at(4), at(9)].map(Option::unwrap));
    }
}
