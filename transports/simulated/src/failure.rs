//! Why a run failed, and what is reported of it.

use std::fmt;
use std::time::Duration;

use crate::faults::FaultSchedule;

/// Why a run failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The code under test returned this error.
    Error(String),
    /// A task panicked.
    Panic {
        /// The message and the location.
        message: String,
        /// True if it was the task of a producer, which is a bug of kafka-batch.
        is_driver: bool,
    },
    /// The code under test waits for something that never happens: no task of it ran for this simulated time, and none has
    /// a timer.
    Deadlock {
        /// The time since it did anything.
        idle: Duration,
    },
    /// The run did not end within the simulated time that it may take.
    TimeLimit {
        /// That time.
        limit: Duration,
    },
    /// Tasks wake each other or themselves without end, while no time passes.
    BusyLoop,
    /// The run did not end within the number of polls that it may take, although simulated time passed: a loop waits for very
    /// short times, for example.
    StepLimit {
        /// That number.
        limit: u64,
        /// The simulated time that has passed.
        elapsed: Duration,
    },
    /// The two runs of the same seed differ: the code under test reads another clock or source of randomness, iterates over
    /// a `HashMap`, or uses threads.
    NotDeterministic,
}

impl Cause {
    /// Returns true if another run failed for the same reason, although not necessarily with the same details.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Panic { message: one, .. }, Self::Panic { message: other, .. }) => location(one) == location(other),
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

/// Returns the location at the end of the message of a panic.
fn location(message: &str) -> &str {
    message.rsplit_once('(').map_or(message, |(_, location)| location)
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(error) => write!(f, "returned an error: {error}"),
            Self::Panic { message, is_driver: false } => write!(f, "panicked: {message}"),
            Self::Panic { message, is_driver: true } => write!(f, "the task of a producer panicked: {message}"),
            Self::Deadlock { idle } => write!(
                f,
                "deadlock: no task has run for {idle:?}, none has a timer, and nothing will wake one. A future is awaited \
                 that never completes"
            ),
            Self::TimeLimit { limit } => write!(f, "the run did not end within {limit:?} of simulated time"),
            Self::BusyLoop => write!(f, "busy loop: tasks are woken without end while no time passes"),
            Self::StepLimit { limit, elapsed } => write!(
                f,
                "the run did not end within {limit} polls of its tasks, in which {elapsed:?} of simulated time passed: make \
                 a loop wait for longer times, or raise Simulation::step_limit"
            ),
            Self::NotDeterministic => write!(
                f,
                "two runs of one seed differ: the code reads another clock or source of randomness, iterates over a \
                 HashMap, or uses threads"
            ),
        }
    }
}

/// A run that failed. Its text is the report: the cause, the shortened schedule of faults, and the dialogue.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// Why it failed.
    pub cause: Cause,
    /// The faults with which it fails, of which none is needless as far as was tried.
    pub schedule: FaultSchedule,
    /// The number of faults of the seed.
    pub drawn_faults: usize,
    /// The number of runs that it took to shorten the schedule.
    pub reruns: u32,
    /// The dialogue of the run with the shortened schedule: one line for each event, with the simulated time in seconds.
    pub dialogue: Vec<String>,
}

impl std::error::Error for Failure {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, cause, schedule, drawn_faults, reruns, dialogue } = self;
        writeln!(f, "seed {seed}: {cause}")?;
        writeln!(
            f,
            "\n{} of {drawn_faults} faults are enough, latency up to {} ms ({reruns} runs to shorten them):",
            schedule.faults.len(),
            schedule.latency_ms
        )?;
        for fault in &schedule.faults {
            writeln!(f, "{fault}")?;
        }
        writeln!(f, "\nWhat happened (seconds, [connection]):")?;
        for line in dialogue {
            writeln!(f, "{line}")?;
        }
        write!(f, "\nTo run it again: {}={seed} cargo test …, or the seed {seed} in the test", crate::SEED_VARIABLE)
    }
}
