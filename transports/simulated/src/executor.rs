//! The executor: one thread, one task at a time, in an order that the seed determines.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use kafka_batch_testing::simulated::Random;

use crate::failure::Cause;
use crate::faults::ScheduledFault;
use crate::network;
use crate::state::{Owner, Shared, TaskFuture};

/// The number of polls without any progress of time after which a run counts as a busy loop.
const MOST_POLLS: u32 = 1_000_000;

/// Tasks that were woken.
#[derive(Debug, Default)]
struct ReadyQueue(Mutex<Vec<u64>>);

#[derive(Debug)]
struct TaskWaker {
    task: u64,
    is_queued: AtomicBool,
    queue: Arc<ReadyQueue>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_queued.swap(true, Ordering::AcqRel) {
            self.queue.0.lock().unwrap_or_else(PoisonError::into_inner).push(self.task);
        }
    }
}

struct Task {
    future: TaskFuture,
    owner: Owner,
    waker: Waker,
    flag: Arc<TaskWaker>,
}

/// The tasks of a run, and what determines their progress.
pub(crate) struct Executor {
    state: Shared,
    tasks: BTreeMap<u64, Task>,
    next_task: u64,
    ready: Arc<ReadyQueue>,
    random: Random,
    limits: Limits,
    /// The latest time at which the code under test did anything.
    latest_progress: Duration,
    /// How often tasks were polled.
    steps: u64,
}

/// When a run is given up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The simulated time that a run may take.
    pub(crate) time: Duration,
    /// The simulated time for which the code under test may wait without a timer of its own.
    pub(crate) idle: Duration,
    /// How often tasks may be polled, all together.
    pub(crate) steps: u64,
}

impl Executor {
    pub(crate) fn new(state: Shared, random: Random, limits: Limits) -> Self {
        let ready = Arc::new(ReadyQueue::default());
        let (tasks, latest_progress) = (BTreeMap::new(), Duration::ZERO);
        Self { state, tasks, next_task: 0, ready, random, limits, latest_progress, steps: 0 }
    }

    /// Runs until this future completes. Faults happen meanwhile; they are sorted by time.
    pub(crate) fn run<T: 'static>(
        &mut self,
        main: impl Future<Output = T> + 'static,
        faults: &[ScheduledFault],
    ) -> Result<T, Cause> {
        let output = std::rc::Rc::new(RefCell::new(None));
        let result = std::rc::Rc::clone(&output);
        self.spawn(Owner::User, Box::pin(async move { *result.borrow_mut() = Some(main.await) }));
        let mut faults = faults.iter().peekable();
        loop {
            self.run_ready()?;
            if let Some(output) = output.borrow_mut().take() {
                return Ok(output);
            }
            let next = self.next_event(faults.peek().map(|fault| fault.at))?;
            let mut state = self.state.borrow_mut();
            state.now = state.now.max(next);
            while let Some(fault) = faults.next_if(|fault| fault.at <= state.now) {
                fault.action.apply(&mut state);
            }
            let mut wakers = network::turn(&mut state);
            while let Some(waker) = state.take_due_timer() {
                wakers.push(waker);
            }
            drop(state);
            wakers.into_iter().for_each(Waker::wake);
        }
    }

    /// Returns when anything happens next.
    fn next_event(&self, next_fault: Option<Duration>) -> Result<Duration, Cause> {
        let state = self.state.borrow();
        let events = [state.network.wakes_at(state.now), state.next_timer_at()].into_iter().flatten().min();
        let idle = state.now.saturating_sub(self.latest_progress);
        let Some(next) =
            events.into_iter().chain(next_fault).min().filter(|_| idle < self.limits.idle || state.has_user_timer())
        else {
            return Err(Cause::Deadlock { idle });
        };
        if next > self.limits.time { Err(Cause::TimeLimit { limit: self.limits.time }) } else { Ok(next) }
    }

    fn spawn(&mut self, owner: Owner, future: TaskFuture) {
        let task = self.next_task;
        self.next_task += 1;
        let flag = Arc::new(TaskWaker { task, is_queued: AtomicBool::new(false), queue: Arc::clone(&self.ready) });
        flag.wake_by_ref();
        let waker = Waker::from(Arc::clone(&flag));
        self.tasks.insert(task, Task { future, owner, waker, flag });
    }

    /// Polls tasks until all of them wait.
    fn run_ready(&mut self) -> Result<(), Cause> {
        for _ in 0..MOST_POLLS {
            let spawned = mem::take(&mut self.state.borrow_mut().spawned);
            spawned.into_iter().for_each(|(owner, future)| self.spawn(owner, future));
            let mut ready = self.ready.0.lock().unwrap_or_else(PoisonError::into_inner);
            if ready.is_empty() {
                return Ok(());
            }
            let position = self.random.below(ready.len() as u64) as usize;
            let id = ready.swap_remove(position);
            drop(ready);
            let Some(task) = self.tasks.get_mut(&id) else { continue };
            if self.steps == self.limits.steps {
                return Err(Cause::StepLimit { limit: self.steps, elapsed: self.state.borrow().now });
            }
            self.steps += 1;
            task.flag.is_queued.store(false, Ordering::Release);
            if task.owner == Owner::User {
                self.latest_progress = self.state.borrow().now;
            }
            let Task { future, waker, owner, .. } = task;
            let mut context = Context::from_waker(waker);
            match catch_panic(|| future.as_mut().poll(&mut context)) {
                Ok(Poll::Pending) => {}
                Ok(Poll::Ready(())) => drop(self.tasks.remove(&id)),
                Err(message) => return Err(Cause::Panic { message, is_driver: *owner == Owner::Driver }),
            }
        }
        Err(Cause::BusyLoop)
    }

    /// Drops all tasks: those of the code under test first.
    pub(crate) fn drop_tasks(&mut self) -> Result<(), Cause> {
        let mut result = Ok(());
        while !self.tasks.is_empty() || !self.state.borrow().spawned.is_empty() {
            let mut tasks: Vec<_> = mem::take(&mut self.tasks).into_values().collect();
            tasks.sort_by_key(|task| task.owner == Owner::Driver);
            let tasks = tasks.into_iter().map(|task| (task.owner, task.future));
            let spawned = mem::take(&mut self.state.borrow_mut().spawned);
            // One by one: a second panic while the first one unwinds would abort the process.
            for (owner, future) in tasks.chain(spawned) {
                let is_driver = owner == Owner::Driver;
                if let Err(message) = catch_panic(|| drop(future)) {
                    result = result.and(Err(Cause::Panic { message, is_driver }));
                }
            }
        }
        result
    }
}

thread_local! {
    /// True while a panic on this thread is a result, and not to be printed.
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
    static LATEST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Calls a function. Returns the message and location of its panic, which is not printed.
pub(crate) fn catch_panic<T>(function: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if IS_QUIET.try_with(Cell::get).unwrap_or(false) {
                let location = info.location().map(ToString::to_string).unwrap_or_default();
                let message = format!("{} ({location})", message_of(info.payload()));
                LATEST_PANIC.with(|latest| *latest.borrow_mut() = Some(message));
            } else {
                before(info);
            }
        }));
    });
    let was_quiet = IS_QUIET.replace(true);
    let result = catch_unwind(AssertUnwindSafe(function));
    IS_QUIET.set(was_quiet);
    result.map_err(|payload| {
        let latest = LATEST_PANIC.with(|latest| latest.borrow_mut().take());
        latest.unwrap_or_else(|| message_of(&*payload).to_owned())
    })
}

fn message_of(payload: &(dyn Any + Send)) -> &str {
    match payload.downcast_ref::<&str>() {
        Some(text) => text,
        None => payload.downcast_ref::<String>().map_or("a panic without a message", String::as_str),
    }
}
