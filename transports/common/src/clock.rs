//! The clocks of a runtime, for handles, which do not know its type.

use std::time::{Instant, SystemTime};

/// Where a producer reads the time: everything in this crate does so here, so that a [`Runtime`](crate::Runtime) can simulate time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RuntimeClock {
    now: fn() -> Instant,
    system_time: fn() -> SystemTime,
}

impl RuntimeClock {
    /// The clocks of the operating system.
    pub(crate) const SYSTEM: Self = Self { now: Instant::now, system_time: SystemTime::now };

    pub(crate) const fn new(now: fn() -> Instant, system_time: fn() -> SystemTime) -> Self {
        Self { now, system_time }
    }

    pub(crate) fn now(self) -> Instant {
        (self.now)()
    }

    pub(crate) fn system_time(self) -> SystemTime {
        (self.system_time)()
    }
}
