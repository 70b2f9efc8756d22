//! What a run consists of, apart from its tasks: the clock, timers, the network, what is to be spawned, the dialogue.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Waker;
use std::time::{Duration, Instant, SystemTime};

use kafka_batch_testing::simulated::Random;

use crate::dialogue::Dialogue;
use crate::network::Network;

/// A future that the executor polls.
pub(crate) type TaskFuture = Pin<Box<dyn Future<Output = ()>>>;

/// Who waits. Only the user's tasks and timers count as progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The code under test.
    User,
    /// A producer's driver.
    Driver,
}

/// Identifies a timer: when it is due, and a number.
pub(crate) type TimerId = (Duration, u64);

/// The state of a run.
pub(crate) struct State {
    /// The time since the start of the run.
    pub(crate) now: Duration,
    /// The instant at which the run started, of which only differences matter.
    started: Instant,
    pub(crate) network: Network,
    pub(crate) dialogue: Dialogue,
    /// Tasks that the executor has not taken yet.
    pub(crate) spawned: Vec<(Owner, TaskFuture)>,
    timers: BTreeMap<TimerId, (Waker, Owner)>,
    next_timer: u64,
    seeds: Random,
}

/// A run's state, shared by everything on its thread.
pub(crate) type Shared = Rc<RefCell<State>>;

impl State {
    pub(crate) fn new(network: Network, dialogue: Dialogue, seeds: Random) -> Self {
        Self {
            now: Duration::ZERO,
            started: Instant::now(),
            network,
            dialogue,
            spawned: Vec::new(),
            timers: BTreeMap::new(),
            next_timer: 0,
            seeds,
        }
    }

    pub(crate) fn instant(&self) -> Instant {
        self.started + self.now
    }

    /// Returns the time at this instant. Earlier ones count as the start.
    pub(crate) fn time_of(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.started)
    }

    pub(crate) fn system_time(&self) -> SystemTime {
        let millis = self.network.engine.cluster.settings.started_at_ms.unsigned_abs();
        SystemTime::UNIX_EPOCH + Duration::from_millis(millis) + self.now
    }

    pub(crate) const fn draw_seed(&mut self) -> u64 {
        self.seeds.draw()
    }

    /// Writes a line of the dialogue, if it is kept.
    pub(crate) fn say(&mut self, line: impl FnOnce() -> String) {
        self.dialogue.say(self.now, line);
    }

    /// Adds a timer.
    pub(crate) fn add_timer(&mut self, at: Duration, waker: Waker, owner: Owner) -> TimerId {
        let id = (at, self.next_timer);
        self.next_timer += 1;
        self.timers.insert(id, (waker, owner));
        id
    }

    /// Replaces the waker of a timer. Returns the old one, which must not be dropped while the state is borrowed.
    pub(crate) fn set_waker(&mut self, id: TimerId, waker: &Waker) -> Option<Waker> {
        let (current, _) = self.timers.get_mut(&id)?;
        (!current.will_wake(waker)).then(|| std::mem::replace(current, waker.clone()))
    }

    /// Removes a timer. Returns its waker, which must not be dropped while the state is borrowed.
    pub(crate) fn remove_timer(&mut self, id: TimerId) -> Option<Waker> {
        self.timers.remove(&id).map(|(waker, _)| waker)
    }

    /// Removes the next timer that is due. Returns its waker.
    pub(crate) fn take_due_timer(&mut self) -> Option<Waker> {
        let first = self.timers.first_entry()?;
        (first.key().0 <= self.now).then(|| first.remove().0)
    }

    /// Returns when the next timer is due.
    pub(crate) fn next_timer_at(&self) -> Option<Duration> {
        self.timers.first_key_value().map(|((at, _), _)| *at)
    }

    /// Returns true if the code under test waits for a time.
    pub(crate) fn has_user_timer(&self) -> bool {
        self.timers.values().any(|(_, owner)| *owner == Owner::User)
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Shared>> = const { RefCell::new(None) };
}

/// Makes a run the current one of this thread, until it is dropped.
pub(crate) struct Entered {
    before: Option<Shared>,
}

impl Entered {
    pub(crate) fn new(state: Shared) -> Self {
        Self { before: CURRENT.with(|current| current.borrow_mut().replace(state)) }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let before = self.before.take();
        let ended = CURRENT.with(|current| std::mem::replace(&mut *current.borrow_mut(), before));
        drop(ended); // not while `CURRENT` is borrowed
    }
}

/// Calls a function with the current run, if there is one.
pub(crate) fn try_with<T>(function: impl FnOnce(&mut State) -> T) -> Option<T> {
    let shared = CURRENT.try_with(|current| current.borrow().clone()).ok()??;
    let mut state = shared.borrow_mut();
    Some(function(&mut state))
}

/// Calls a function with the current run.
///
/// # Panics
/// There is none: a simulated producer was used outside of its simulation.
pub(crate) fn with<T>(function: impl FnOnce(&mut State) -> T) -> T {
    try_with(function).expect("a simulated producer is used outside of its simulation, or on another thread")
}
