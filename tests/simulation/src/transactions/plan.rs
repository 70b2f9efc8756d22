//! What a seed draws, apart from the faults: the brokers, the application, the numbers of processes.

use std::time::Duration;

use kafka_batch_simulated::{FaultIntensity, Simulation};
use kafka_batch_testing::simulated::Random;
use kafka_batch_testing::{Release, Topic};

/// The topic to which the applications write, and its number of partitions.
pub(super) const OUTPUT: &str = "output";
pub(super) const PARTITIONS: i32 = 3;
/// The topic that the pipeline reads.
pub(super) const INPUT: &str = "input";
pub(super) const INPUT_PARTITIONS: i32 = 2;

/// The simulated time in which every run ends, and the polls of its tasks.
const TIME_LIMIT: Duration = Duration::from_secs(3_600);
const STEP_LIMIT: u64 = 200_000;

/// Separates the draws of plans from the others.
const OF_PLANS: u64 = 0x7472_616e_7361_6374;

/// The application of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Application {
    /// Processes that write transactions.
    Writers,
    /// Processes that consume, transform and produce.
    Pipeline(Grouping),
}

/// How the processes of a pipeline exclude that two of them process the same records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// By the generation of a group of the classic protocol.
    Classic,
    /// By the members' epochs in a group of the new protocol (KIP-848).
    Consumer,
    /// By a transactional id for each partition, as before KIP-447.
    IdForEachPartition,
}

/// What a seed draws.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The application.
    pub application: Application,
    /// The release of the brokers.
    pub release: Release,
    /// The level of `transaction.version` at the start.
    pub level: i16,
    /// How many faults there are.
    pub intensity: FaultIntensity,
    /// True if the level changes.
    pub has_level_changes: bool,
}

impl Plan {
    /// Draws the plan of a seed.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut random = Random::new(seed ^ OF_PLANS);
        let groupings = [Grouping::Classic, Grouping::Consumer, Grouping::IdForEachPartition];
        let application = match random.below(5) {
            0..3 => Application::Writers,
            _ => Application::Pipeline(*random.pick(&groupings)),
        };
        let release = match application {
            // Earlier brokers cannot check generations.
            Application::Pipeline(Grouping::Classic) => {
                *random.pick(&[Release::NEWEST, Release::V4_0, Release::V3_9, Release::V2_8])
            }
            Application::Pipeline(Grouping::Consumer) => *random.pick(&[Release::NEWEST, Release::V4_0]),
            _ => *random.pick(&[
                Release::NEWEST,
                Release::NEWEST,
                Release::NEWEST,
                Release::V4_0,
                Release::V3_9,
                Release::V2_8,
                Release::V1_1,
                Release::V0_11,
            ]),
        };
        let level = *random.pick(&[2, 2, 2, 1, 0]);
        let intensity = match *random.pick(&[
            FaultIntensity::None,
            FaultIntensity::Light,
            FaultIntensity::Normal,
            FaultIntensity::Normal,
            FaultIntensity::Heavy,
        ]) {
            // Brokers that do not verify transactions append late batches outside of any, or in one of the next instance
            // (KAFKA-14402), whatever a client does.
            _ if release < Release::V3_7 => FaultIntensity::None,
            intensity => intensity,
        };
        Self { application, release, level, intensity, has_level_changes: false }
    }

    /// Returns the simulation.
    #[must_use]
    pub fn simulation(&self) -> Simulation {
        Simulation::new()
            .brokers(3)
            .release(self.release)
            .transaction_version(self.level)
            .topic(Topic::new(OUTPUT).partitions(PARTITIONS as usize))
            .topic(Topic::new(INPUT).partitions(INPUT_PARTITIONS as usize))
            .faults(self.intensity)
            .transaction_faults(true)
            .time_limit(TIME_LIMIT)
            .step_limit(STEP_LIMIT)
    }

    /// Returns true if every transaction is of level 2.
    pub(super) fn is_level_2(&self) -> bool {
        self.level == 2 && !self.has_level_changes && self.release >= Release::V4_0
    }

    /// Returns true if every transaction is below level 2.
    pub(super) fn is_below_level_2(&self) -> bool {
        self.release < Release::V4_0 || self.level < 2 && !self.has_level_changes
    }
}
