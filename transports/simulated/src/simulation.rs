//! Runs of a seed.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::mem;
use std::rc::Rc;
use std::time::Duration;

use kafka_batch_testing::simulated::{ClusterSettings, Engine, EngineSettings, LeaderChoice, Random, Users, Variation};
use kafka_batch_testing::{Release, Topic};

use crate::dialogue::Dialogue;
use crate::executor::{Executor, Limits, catch_panic};
use crate::failure::{Cause, Failure};
use crate::faults::{FaultIntensity, FaultSchedule};
use crate::network::Network;
use crate::shorten::shorten;
use crate::state::{Entered, Shared, State};
use crate::world::World;

/// The environment variable that restricts [`Simulation::check`] to one seed, if it is set.
pub const SEED_VARIABLE: &str = "KAFKA_BATCH_SEED";

/// The settings of simulations: the cluster, and how many faults there are.
///
/// ```
/// use kafka_batch_simulated::{FaultIntensity, Simulation};
///
/// let simulation = Simulation::new().brokers(3).topic("orders").faults(FaultIntensity::Heavy);
/// simulation.check(0..20, |world| async move {
///     let producer = world.producer();
///     let outcome = producer.send("orders", "three books").await;
///     world.note(format!("{outcome:?}"));
/// });
/// ```
#[derive(Clone, Debug)]
pub struct Simulation {
    releases: Vec<Release>,
    cluster: ClusterSettings,
    topics: Vec<Topic>,
    intensity: FaultIntensity,
    has_transaction_faults: bool,
    limits: Limits,
    pub(crate) max_reruns: u32,
}

/// What a simulated future returns: nothing, or a [`Result`].
pub trait Outcome: 'static {
    /// Returns the error, as text.
    ///
    /// # Errors
    /// The run has failed.
    fn into_result(self) -> Result<(), String>;
}

impl Outcome for () {
    fn into_result(self) -> Result<(), String> {
        Ok(())
    }
}

impl<E: fmt::Display + 'static> Outcome for Result<(), E> {
    fn into_result(self) -> Result<(), String> {
        self.map_err(|error| error.to_string())
    }
}

/// A run that did not fail.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunReport {
    /// The simulated time that it took.
    pub elapsed: Duration,
    /// The number of requests that brokers received.
    pub requests: usize,
    /// What happened, one line for each event, with the simulated time in seconds.
    pub dialogue: Vec<String>,
}

impl RunReport {
    /// Returns a hash of the dialogue, which is the same for each run of a seed with one version of this crate and of Rust.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.dialogue.hash(&mut hasher);
        hasher.finish()
    }
}

/// Runs a future in the simulation of a seed: a cluster of three brokers of the newest release that creates topics when they
/// are used, with faults of [`FaultIntensity::Normal`]. [`Simulation`] has settings.
///
/// # Panics
/// The future panics, returns an error, or waits for ever. The message is a report.
pub fn simulate<F: Future<Output: Outcome> + 'static>(seed: u64, function: impl Fn(World) -> F) {
    Simulation::new().check([seed], function);
}

impl Default for Simulation {
    fn default() -> Self {
        Self::new()
    }
}

impl Simulation {
    /// Returns the default settings, which are those of [`simulate`].
    #[must_use]
    pub fn new() -> Self {
        Self {
            releases: vec![Release::NEWEST; 3],
            cluster: ClusterSettings {
                default_partitions: 2,
                replication_ms: Some(3),
                leaders: LeaderChoice::Random,
                cluster_id: Some("kafka-batch-simulated".into()),
                marker_ms: Some(8),
                coordinator_load_ms: 5,
                ..ClusterSettings::default()
            },
            topics: Vec::new(),
            intensity: FaultIntensity::default(),
            has_transaction_faults: false,
            limits: Limits { time: Duration::from_secs(24 * 3_600), idle: Duration::from_secs(600), steps: 2_000_000 },
            max_reruns: 400,
        }
    }

    /// Sets the number of brokers. The default is 3.
    ///
    /// # Panics
    /// The number is 0 or more than 100.
    #[must_use]
    pub fn brokers(mut self, brokers: usize) -> Self {
        assert!((1..=100).contains(&brokers), "a simulated cluster has 1 to 100 brokers, not {brokers}");
        let last = self.releases[self.releases.len() - 1];
        self.releases.resize(brokers, last);
        self
    }

    /// Sets the release of all brokers. The default is the newest.
    #[must_use]
    pub fn release(mut self, release: Release) -> Self {
        self.releases.fill(release);
        self
    }

    /// Adds a topic. With a name only, it has one partition. A topic that Kafka does not accept
    /// ([`CreateTopicError`](kafka_batch_testing::CreateTopicError)) makes each run panic.
    #[must_use]
    pub fn topic(mut self, topic: impl Into<Topic>) -> Self {
        self.topics.push(topic.into());
        self
    }

    /// Sets whether topics are created when they are used, with two partitions. The default is `true`.
    #[must_use]
    pub const fn auto_create(mut self, create: bool) -> Self {
        self.cluster.auto_create = create;
        self
    }

    /// Sets how many faults a seed draws. The default is [`FaultIntensity::Normal`].
    #[must_use]
    pub const fn faults(mut self, intensity: FaultIntensity) -> Self {
        self.intensity = intensity;
        self
    }

    /// Sets whether seeds also draw faults of transactions: coordinators move, transactions time out, markers are late, the level
    /// of `transaction.version` changes, and requests of transactions are refused, lost or late. The default is `false`.
    #[must_use]
    pub const fn transaction_faults(mut self, also: bool) -> Self {
        self.has_transaction_faults = also;
        self
    }

    /// Sets the level of the feature `transaction.version`, 0 to 2, if the brokers support it; other numbers count as the nearest of
    /// these. The default is 2.
    #[must_use]
    pub fn transaction_version(mut self, level: i16) -> Self {
        self.cluster.transaction_version = level.clamp(0, 2);
        self
    }

    /// Sets the simulated time that a run may take. The default is a day.
    #[must_use]
    pub const fn time_limit(mut self, limit: Duration) -> Self {
        self.limits.time = limit;
        self
    }

    /// Sets the simulated time after which code that does nothing and has no timer counts as a deadlock. It must be longer
    /// than `delivery.timeout.ms`. The default is ten minutes.
    #[must_use]
    pub const fn idle_limit(mut self, limit: Duration) -> Self {
        self.limits.idle = limit;
        self
    }

    /// Sets how often the tasks of a run may be polled, all together: a limit of the real time that a run takes. The default is
    /// 2,000,000, which takes some seconds.
    #[must_use]
    pub const fn step_limit(mut self, polls: u64) -> Self {
        self.limits.steps = polls;
        self
    }

    /// Sets how many runs are made at most to shorten the schedule of a failure. The default is 400.
    #[must_use]
    pub const fn max_reruns(mut self, runs: u32) -> Self {
        self.max_reruns = runs;
        self
    }

    /// Runs the seeds, each with the faults that it draws. The function is called for each run, and several times for a seed
    /// that fails. If [`KAFKA_BATCH_SEED`](SEED_VARIABLE) is set, only that seed is run.
    ///
    /// # Panics
    /// A run fails. The message is the text of a [`Failure`].
    pub fn check<F: Future<Output: Outcome> + 'static>(
        &self,
        seeds: impl IntoIterator<Item = u64>,
        function: impl Fn(World) -> F,
    ) {
        let only = std::env::var(SEED_VARIABLE).ok().map(|seed| {
            seed.parse().unwrap_or_else(|error| panic!("{SEED_VARIABLE} must be a number, not {seed:?}: {error}"))
        });
        let failure = match only {
            Some(seed) => self.find_failure([seed], function),
            None => self.find_failure(seeds, function),
        };
        if let Some(failure) = failure {
            panic!("{failure}");
        }
    }

    /// Runs the seeds until one fails, and returns that with its shortened schedule. The first seed is run twice, to check that
    /// the code is deterministic.
    pub fn find_failure<F: Future<Output: Outcome> + 'static>(
        &self,
        seeds: impl IntoIterator<Item = u64>,
        function: impl Fn(World) -> F,
    ) -> Option<Failure> {
        let mut is_first = true;
        seeds.into_iter().find_map(|seed| {
            let schedule = self.draw_faults(seed);
            let (result, report) = self.run_once(seed, &schedule, is_first, &function);
            match result {
                Ok(()) if mem::take(&mut is_first) => {
                    let (again, other) = self.run_once(seed, &schedule, true, &function);
                    let failure = |dialogue| Failure {
                        seed,
                        cause: Cause::NotDeterministic,
                        drawn_faults: schedule.faults.len(),
                        schedule: schedule.clone(),
                        reruns: 1,
                        dialogue,
                    };
                    (again.is_err() || report != other).then(|| failure(first_difference(report, other)))
                }
                Ok(()) => None,
                Err(cause) => Some(shorten(self, seed, &schedule, &cause, &function)),
            }
        })
    }

    /// Runs a seed with these faults instead of those that it draws.
    ///
    /// # Errors
    /// The run failed. The schedule is not shortened.
    pub fn run_with<F: Future<Output: Outcome> + 'static>(
        &self,
        seed: u64,
        schedule: &FaultSchedule,
        function: impl Fn(World) -> F,
    ) -> Result<RunReport, Box<Failure>> {
        let (result, report) = self.run_once(seed, schedule, true, &function);
        match result {
            Ok(()) => Ok(report),
            Err(cause) => Err(Box::new(Failure {
                seed,
                cause,
                drawn_faults: schedule.faults.len(),
                schedule: schedule.clone(),
                reruns: 0,
                dialogue: report.dialogue,
            })),
        }
    }

    /// Runs a seed, and keeps its dialogue.
    ///
    /// # Errors
    /// As [`run_with`](Self::run_with).
    pub fn run<F: Future<Output: Outcome> + 'static>(
        &self,
        seed: u64,
        function: impl Fn(World) -> F,
    ) -> Result<RunReport, Box<Failure>> {
        self.run_with(seed, &self.draw_faults(seed), function)
    }

    /// Returns the faults that a seed draws.
    #[must_use]
    pub fn draw_faults(&self, seed: u64) -> FaultSchedule {
        let draw =
            if self.has_transaction_faults { FaultSchedule::draw_with_transactions } else { FaultSchedule::draw };
        draw(seed ^ OF_FAULTS, self.intensity, self.releases.len())
    }

    /// Makes one run.
    pub(crate) fn run_once<F: Future<Output: Outcome> + 'static>(
        &self,
        seed: u64,
        schedule: &FaultSchedule,
        keeps_dialogue: bool,
        function: &impl Fn(World) -> F,
    ) -> (Result<(), Cause>, RunReport) {
        let mut random = Random::new(seed);
        let mut sorted;
        let schedule = if schedule.faults.is_sorted_by_key(|fault| fault.at) {
            schedule
        } else {
            sorted = schedule.clone();
            sorted.faults.sort_by_key(|fault| fault.at);
            &sorted
        };
        let state = self.state(schedule, keeps_dialogue, &mut random);
        let entered = Entered::new(Rc::clone(&state));
        let mut executor = Executor::new(Rc::clone(&state), random.fork(4), self.limits);
        let main = catch_panic(|| function(World::new(Rc::clone(&state), seed, random.fork(5))));
        let main = main.map_err(|message| Cause::Panic { message, is_driver: false });
        let result = main.and_then(|main| executor.run(main, &schedule.faults));
        let result = result.and_then(|outcome| outcome.into_result().map_err(Cause::Error));
        let mut borrowed = state.borrow_mut();
        let dialogue = mem::replace(&mut borrowed.dialogue, Dialogue::new(false));
        let report = RunReport {
            elapsed: borrowed.now,
            requests: borrowed.network.engine.requests.len(),
            dialogue: dialogue.into_lines(),
        };
        drop(borrowed);
        let dropped = executor.drop_tasks();
        drop(executor);
        drop(entered);
        (result.and(dropped), report)
    }

    /// Creates the state of a run.
    fn state(&self, schedule: &FaultSchedule, keeps_dialogue: bool, random: &mut Random) -> Shared {
        let variation = Variation {
            delay_ms: Some(schedule.latency_ms.min(4)),
            creation_ms: schedule.latency_ms,
            ..if schedule.latency_ms == 0 { Variation::NONE } else { Variation::SIMULATION }
        };
        let mut engine = Engine::new(EngineSettings {
            cluster: self.cluster.clone(),
            releases: self.releases.clone(),
            users: Users::default(),
            variation,
            request_max_bytes: 100 << 20,
            recording: true,
            seed: random.fork(1).draw(),
        });
        for topic in &self.topics {
            topic.create_in(&mut engine.cluster, Duration::ZERO).unwrap_or_else(|error| panic!("{error}"));
        }
        let network = Network::new(engine, schedule.links(), random.fork(2));
        Rc::new(RefCell::new(State::new(network, Dialogue::new(keeps_dialogue), random.fork(3))))
    }
}

/// Returns the dialogue of a run up to the line in which another run of the same seed differs.
fn first_difference(one: RunReport, other: RunReport) -> Vec<String> {
    let mut lines = one.dialogue;
    let same = lines.iter().zip(&other.dialogue).take_while(|(line, other)| line == other).count();
    lines.truncate(same + 1);
    lines.extend(other.dialogue.into_iter().nth(same).map(|line| format!("{line}   (in the second run)")));
    lines
}

/// Separates the draws of faults from the others.
const OF_FAULTS: u64 = 0x6661_756c_7473;
