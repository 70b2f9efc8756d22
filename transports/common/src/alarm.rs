//! When a timer has to be set.

use std::task::Poll;
use std::time::Instant;

/// Sets a timer anew only to ring earlier. Deadlines mostly move away, with each request a little: then the timer rings
/// once too early, which the machine does not mind, instead of being moved each time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alarm {
    set_to: Option<Instant>,
}

impl Alarm {
    /// Not set.
    #[must_use]
    pub const fn new() -> Self {
        Self { set_to: None }
    }

    /// It should ring at this moment or earlier: `set` sets the timer, if it has to be.
    pub fn set(&mut self, deadline: Option<Instant>, set: impl FnOnce(Instant)) {
        if let Some(deadline) = deadline.filter(|at| self.set_to.is_none_or(|set_to| *at < set_to)) {
            self.set_to = Some(deadline);
            set(deadline);
        }
    }

    /// Whether it rings, which `timer` knows.
    pub fn poll(&mut self, timer: impl FnOnce() -> Poll<()>) -> Poll<()> {
        if self.set_to.is_none() {
            return Poll::Pending;
        }
        let rang = timer();
        if rang.is_ready() {
            self.set_to = None;
        }
        rang
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn it_is_moved_only_to_ring_earlier_and_anew_once_it_rang() {
        let (start, mut alarm, mut sets) = (Instant::now(), Alarm::new(), Vec::new());
        let at = |seconds| Some(start + Duration::from_secs(seconds));
        assert!(alarm.poll(|| panic!("it is not set")).is_pending());
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
