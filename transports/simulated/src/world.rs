//! What the code under test gets: producers, time, tasks, the cluster.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime};
use std::{fmt, mem};

use kafka_batch_testing::simulated::Random;
use kafka_batch_transport::{ProducerBuilder, ProducerConfig};

use crate::cluster::SimulatedCluster;
use crate::runtime::{Simulated, SimulatedProducer, Timer};
use crate::state::{Owner, Shared, with};

/// A simulated world: a cheap handle, which stays on its thread.
///
/// Code under test is deterministic if it takes time, randomness and tasks from here. Everything else that async code uses works
/// as it is: channels, locks, `select!`, streams, as long as it needs no runtime of its own.
#[derive(Clone)]
pub struct World {
    state: Shared,
    seed: u64,
    random: Rc<RefCell<Random>>,
}

impl World {
    pub(crate) fn new(state: Shared, seed: u64, random: Random) -> Self {
        Self { state, seed, random: Rc::new(RefCell::new(random)) }
    }

    /// Returns a new producer with default settings, connected to the cluster.
    #[must_use]
    pub fn producer(&self) -> SimulatedProducer {
        self.producer_builder().build().expect("the default settings are valid")
    }

    /// Returns a new producer with these settings. `bootstrap.servers` is set here.
    ///
    /// # Panics
    /// A setting is out of range or in conflict with another one. [`producer_builder`](Self::producer_builder) returns this as
    /// an error.
    #[must_use]
    pub fn producer_with(&self, config: ProducerConfig) -> SimulatedProducer {
        match self.producer_builder().config(config).build() {
            Ok(producer) => producer,
            Err(error) => panic!("the producer's settings are invalid: {error}"),
        }
    }

    /// Returns the builder of a producer, with `bootstrap.servers` set.
    pub fn producer_builder(&self) -> ProducerBuilder<Simulated> {
        SimulatedProducer::builder().set("bootstrap.servers", self.cluster().bootstrap_servers())
    }

    /// Returns the cluster.
    #[must_use]
    pub fn cluster(&self) -> SimulatedCluster {
        SimulatedCluster::new(Rc::clone(&self.state))
    }

    /// Waits for this simulated time; with 0, lets other tasks run first.
    pub fn sleep(&self, time: Duration) -> Sleep {
        Sleep::new(self.state.borrow().now, time)
    }

    /// Returns a clock of the simulated time of day, as code takes it that has no clock of its own. Unlike this handle, the
    /// clock is `Send`.
    ///
    /// # Panics
    /// The clock is used outside of the simulation, or on another thread.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use kafka_batch_core::Record;
    /// use kafka_batch_core::publisher::PartitionedPublisher;
    /// use kafka_batch_simulated::simulate;
    ///
    /// simulate(4711, |world| async move {
    ///     let producer = world.producer();
    ///     let mut readings = (0..100).map(|number| Record::new(format!("{number}")).key(format!("sensor {}", number % 7)));
    ///     let source = |_: &mut std::task::Context<'_>| std::task::Poll::Ready(readings.next());
    ///     let publisher = PartitionedPublisher::from_poll_fn(&producer, "readings", source, world.clock()).await;
    ///     let Ok(publisher) = publisher else { return }; // no broker responds
    ///     let mut publisher = publisher.linger(Duration::from_millis(5), world.timer());
    ///     let mut outcomes = 0;
    ///     while let Some(outcome) = publisher.next().await {
    ///         outcomes += outcome.map_or_else(|failed| failed.messages.len(), |published| published.messages.len());
    ///     }
    ///     assert_eq!(outcomes, 100);
    /// });
    /// ```
    #[must_use = "it does nothing unless called"]
    pub fn clock(&self) -> impl Fn() -> SystemTime + Copy + Send + Sync + 'static + use<> {
        || with(|state| state.system_time())
    }

    /// Returns [`sleep`](Self::sleep) as a function that is `Send`, unlike this handle: for code that takes its timer as a
    /// parameter. [`clock`](Self::clock) has an example.
    ///
    /// # Panics
    /// The function is used outside of the simulation, or on another thread.
    #[must_use = "it does nothing unless called"]
    pub fn timer(&self) -> impl Fn(Duration) -> Sleep + Copy + Send + Sync + 'static + use<> {
        |time| Sleep::new(with(|state| state.now), time)
    }

    /// Fails if the future takes longer than this simulated time.
    ///
    /// # Errors
    /// It did; it is dropped.
    pub async fn timeout<F: Future>(&self, time: Duration, future: F) -> Result<F::Output, TimedOut> {
        let mut timer = Timer::new(self.state.borrow().now.saturating_add(time), Owner::User);
        let mut future = std::pin::pin!(future);
        poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => Pin::new(&mut timer).poll(context).map(|()| Err(TimedOut { limit: time })),
        })
        .await
    }

    /// Returns the current instant, of which only differences have a meaning.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.state.borrow().instant()
    }

    /// Returns the time of day, which is the same at the start of each run (2023-11-14).
    #[must_use]
    pub fn system_time(&self) -> SystemTime {
        self.state.borrow().system_time()
    }

    /// Returns the simulated time since the start of the run.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.state.borrow().now
    }

    /// Returns the seed of the run.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// Returns a random number that the seed determines.
    #[must_use]
    pub fn random(&self) -> u64 {
        self.random.borrow_mut().draw()
    }

    /// Adds a line to the dialogue that is printed if the run fails.
    pub fn note(&self, line: impl fmt::Display) {
        let line = format!("note: {line}"); // may use this world
        self.state.borrow_mut().say(|| line);
    }

    /// Spawns a task. A panic in it fails the run. Dropping the handle does not cancel it; the end of the run does.
    pub fn spawn<F: Future<Output: 'static> + 'static>(&self, future: F) -> JoinHandle<F::Output> {
        let joined = Rc::new(RefCell::new(Joined { output: None, waker: None }));
        let handle = JoinHandle { joined: Rc::clone(&joined) };
        let task = Box::pin(async move {
            let output = future.await;
            let waker = {
                let mut joined = joined.borrow_mut();
                joined.output = Some(output);
                joined.waker.take()
            };
            waker.into_iter().for_each(Waker::wake);
        });
        self.state.borrow_mut().spawned.push((Owner::User, task));
        handle
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("elapsed", &self.elapsed()).finish_non_exhaustive()
    }
}

/// The future of [`World::sleep`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Sleep {
    timer: Timer,
    /// True before the first poll, if it waits for no time. Otherwise a loop that does so would never return to the executor,
    /// which reports busy loops.
    yields: bool,
}

impl Sleep {
    fn new(now: Duration, time: Duration) -> Self {
        Self { timer: Timer::new(now.saturating_add(time), Owner::User), yields: time.is_zero() }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if mem::take(&mut self.yields) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.timer).poll(context)
    }
}

/// A task that was [spawned](World::spawn). Completes with its output.
#[must_use = "await it, or drop it to let the task run on"]
pub struct JoinHandle<T> {
    joined: Rc<RefCell<Joined<T>>>,
}

struct Joined<T> {
    output: Option<T>,
    waker: Option<Waker>,
}

impl<T> Future for JoinHandle<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut joined = self.joined.borrow_mut();
        match joined.output.take() {
            Some(output) => Poll::Ready(output),
            None => {
                let old = joined.waker.replace(context.waker().clone());
                drop(joined);
                drop(old);
                Poll::Pending
            }
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").finish_non_exhaustive()
    }
}

/// The error of [`World::timeout`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedOut {
    limit: Duration,
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the future did not complete within {:?} of simulated time", self.limit)
    }
}

impl std::error::Error for TimedOut {}
