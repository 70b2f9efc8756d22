//! Schedules of faults, and how they are drawn.

use std::fmt;
use std::time::Duration;

use kafka_batch_core::TopicPartition;
use kafka_batch_testing::simulated::{LinkSettings, Random};
use kafka_batch_testing::{ApiKey, CoordinatorKind, Fault, FaultKind};

use crate::state::State;
use crate::transaction_faults;

/// How many faults a seed draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum FaultIntensity {
    /// None, and a network without latency.
    None,
    /// Up to 3.
    Light,
    /// Up to 12.
    #[default]
    Normal,
    /// Up to 40.
    Heavy,
}

/// The faults of a run, and the speed of its network.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct FaultSchedule {
    /// The maximum latency of each packet, in milliseconds.
    pub latency_ms: u64,
    /// The percentage of cases in which bytes arrive in several pieces.
    pub pieces_percent: u64,
    /// The faults.
    pub faults: Vec<ScheduledFault>,
}

/// A fault, and when it happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduledFault {
    /// The time since the start of the run.
    pub at: Duration,
    /// The fault.
    pub action: FaultAction,
}

/// A fault of the cluster or of its network. Brokers have the ids 1 and up; one that does not exist is ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultAction {
    /// A broker applies this to a later request.
    Inject {
        /// The broker.
        broker: i32,
        /// What it does.
        fault: Fault,
    },
    /// A broker stops, as a crash does, and starts again. Its partitions get another leader meanwhile, if there is one.
    Restart {
        /// The broker.
        broker: i32,
        /// The time until it starts again.
        down_for: Duration,
        /// The time until its partitions have another leader.
        without_leader: Duration,
    },
    /// A partition loses its leader, and gets a random one later. What is not replicated may be lost, as with Kafka.
    ElectLeader {
        /// The position of the partition among all that exist then, modulo their number.
        position: usize,
        /// The time until it has a leader again.
        without_leader: Duration,
    },
    /// A partition is not replicated for a while: batches with `acks=all` are not confirmed.
    StopReplication {
        /// The position of the partition among all that exist then, modulo their number.
        position: usize,
        /// How long it lasts.
        lasts: Duration,
    },
    /// The connections with a broker are lost.
    Cut {
        /// The broker.
        broker: i32,
    },
    /// The connections with a broker are lost when this many more bytes have arrived.
    CutAfter {
        /// The broker.
        broker: i32,
        /// The number of bytes.
        bytes: usize,
        /// True for bytes to the broker, false for bytes from it.
        to_broker: bool,
    },
    /// The connections with a broker transfer nothing in one direction for a while.
    Stall {
        /// The broker.
        broker: i32,
        /// How long it lasts.
        lasts: Duration,
        /// True for the direction to the broker, false for that from it.
        to_broker: bool,
    },
    /// A broker does not accept connections for a while.
    RefuseConnections {
        /// The broker.
        broker: i32,
        /// How long it lasts.
        lasts: Duration,
        /// True if it does not respond at all, false if it refuses.
        silently: bool,
    },
    /// The coordinators of all groups, or of all transactional ids, move to a broker. It knows what the former ones knew.
    MoveCoordinators {
        /// What they coordinate.
        kind: CoordinatorKind,
        /// The broker. If it is not running then, others are chosen.
        broker: i32,
        /// The time until there are coordinators again.
        without_leader: Duration,
    },
    /// A transaction that is open is aborted by its coordinator, as if `transaction.timeout.ms` were over.
    TimeOutTransaction {
        /// The position of its transactional id among all that exist then, modulo their number.
        position: usize,
    },
    /// A partition or group gets no markers for a while: transactions that have ended are not complete, nor visible there.
    DelayMarkers {
        /// Its position among all that exist then, modulo their number.
        position: usize,
        /// How long it lasts.
        lasts: Duration,
    },
    /// The level of the feature `transaction.version` changes.
    SetTransactionVersion {
        /// The level, 0 to 2.
        level: i16,
    },
}

impl fmt::Display for FaultAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = |to_broker: &bool| if *to_broker { "to" } else { "from" };
        match self {
            Self::Inject { broker, fault } => write!(f, "broker {broker} will apply {fault}"),
            Self::Restart { broker, down_for, without_leader } => {
                write!(
                    f,
                    "broker {broker} stops for {down_for:?}; its partitions have no leader for {without_leader:?}"
                )
            }
            Self::ElectLeader { position, without_leader } => {
                write!(f, "partition #{position} has no leader for {without_leader:?}")
            }
            Self::StopReplication { position, lasts } => {
                write!(f, "partition #{position} is not replicated for {lasts:?}")
            }
            Self::Cut { broker } => write!(f, "the connections with broker {broker} are cut"),
            Self::CutAfter { broker, bytes, to_broker } => {
                let direction = direction(to_broker);
                write!(f, "the connections with broker {broker} are cut after {bytes} bytes {direction} it")
            }
            Self::Stall { broker, lasts, to_broker } => {
                write!(f, "nothing arrives {} broker {broker} for {lasts:?}", direction(to_broker))
            }
            Self::RefuseConnections { broker, lasts, silently: false } => {
                write!(f, "broker {broker} refuses connections for {lasts:?}")
            }
            Self::RefuseConnections { broker, lasts, silently: true } => {
                write!(f, "broker {broker} does not respond to connections for {lasts:?}")
            }
            Self::MoveCoordinators { kind, broker, without_leader } => {
                let what = if *kind == CoordinatorKind::Group { "groups" } else { "transactions" };
                write!(f, "the coordinators of {what} move to broker {broker} within {without_leader:?}")
            }
            Self::TimeOutTransaction { position } => write!(f, "the transaction of id #{position} times out"),
            Self::DelayMarkers { position, lasts } => {
                write!(f, "the markers of partition or group #{position} are {lasts:?} late")
            }
            Self::SetTransactionVersion { level } => write!(f, "transaction.version becomes {level}"),
        }
    }
}

impl fmt::Display for ScheduledFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>12.6}  {}", self.at.as_secs_f64(), self.action)
    }
}

/// The error codes with which brokers refuse batches, retriable and not.
const PRODUCE_REFUSED: [i16; 12] = [3, 5, 6, 6, 8, 10, 17, 19, 29, 44, 56, 87];
/// Error codes that are returned after a batch was appended.
const PRODUCE_DONE: [i16; 3] = [7, 13, 20];
const METADATA_REFUSED: [i16; 4] = [3, 5, 29, -1];
const INIT_PRODUCER_ID_REFUSED: [i16; 4] = [14, 15, 16, 51];

impl FaultSchedule {
    /// Returns a schedule without faults, and a network without latency.
    #[must_use]
    pub const fn none() -> Self {
        Self { latency_ms: 0, pieces_percent: 0, faults: Vec::new() }
    }

    /// Draws a schedule for a cluster of this many brokers.
    #[must_use]
    pub fn draw(seed: u64, intensity: FaultIntensity, brokers: usize) -> Self {
        Self::draw_kinds(seed, intensity, brokers, KINDS)
    }

    /// Draws a schedule that also has faults of transactions: coordinators move, transactions time out, markers are late, the
    /// level of `transaction.version` changes, and requests of transactions are refused, lost or late.
    #[must_use]
    pub fn draw_with_transactions(seed: u64, intensity: FaultIntensity, brokers: usize) -> Self {
        Self::draw_kinds(seed, intensity, brokers, KINDS + transaction_faults::KINDS)
    }

    fn draw_kinds(seed: u64, intensity: FaultIntensity, brokers: usize, kinds: u64) -> Self {
        let mut random = Random::new(seed);
        let counts: &[u64] = match intensity {
            FaultIntensity::None => return Self::none(),
            FaultIntensity::Light => &[0, 1, 2, 3],
            FaultIntensity::Normal => &[0, 1, 2, 4, 8, 12],
            FaultIntensity::Heavy => &[4, 8, 16, 40],
        };
        let count = *random.pick(counts);
        let latency_ms = *random.pick(&[0, 2, 20, 150]);
        let pieces_percent = *random.pick(&[0, 10, 60]);
        let span = *random.pick(&[50, 500, 5_000, 60_000]);
        // Most runs have one kind of fault that occurs repeatedly.
        let weakness = random.below(kinds);
        let fault = |random: &mut Random| {
            let last = if random.percent(30) { span.min(300) } else { span };
            let at = random.millis(0, last);
            let kind = if random.percent(40) { weakness } else { random.below(kinds) };
            ScheduledFault { at, action: action(kind, brokers, random) }
        };
        let mut faults: Vec<_> = (0..count).map(|_| fault(&mut random)).collect();
        faults.sort_by_key(|fault| fault.at);
        Self { latency_ms, pieces_percent, faults }
    }

    pub(crate) const fn links(&self) -> LinkSettings {
        LinkSettings { latency_ms: self.latency_ms, pieces_percent: self.pieces_percent }
    }
}

/// The number of kinds for [`action`].
pub(crate) const KINDS: u64 = 16;

/// Draws a fault of this kind.
pub(crate) fn action(kind: u64, brokers: usize, random: &mut Random) -> FaultAction {
    if let Some(kind) = kind.checked_sub(KINDS) {
        return transaction_faults::action(kind, brokers, random);
    }
    let broker = random.between(1, brokers as u64) as i32;
    let lasts = random.millis(1, *random.clone().pick(&[5, 200, 2_000, 12_000, 40_000]));
    let without_leader = random.millis(0, 400);
    let position = random.below(1_000) as usize;
    match kind {
        0 => FaultAction::Restart { broker, down_for: lasts, without_leader },
        1 => FaultAction::ElectLeader { position, without_leader },
        2 => FaultAction::StopReplication { position, lasts },
        3 => FaultAction::Cut { broker },
        4 => FaultAction::CutAfter { broker, bytes: random.below(600) as usize, to_broker: random.percent(50) },
        5 => FaultAction::Stall { broker, lasts, to_broker: random.percent(50) },
        6 => FaultAction::RefuseConnections { broker, lasts, silently: random.percent(40) },
        _ => {
            let api = match random.below(10) {
                0 => ApiKey::InitProducerId,
                1 | 2 => ApiKey::Metadata,
                _ => ApiKey::Produce,
            };
            let fault = Fault::new(fault(kind, api, random)).api(api);
            let fault = fault.after(*random.pick(&[0, 0, 0, 1, 2, 5])).times(*random.pick(&[1, 1, 1, 2, 5]));
            FaultAction::Inject { broker, fault }
        }
    }
}

fn fault(kind: u64, api: ApiKey, random: &mut Random) -> FaultKind {
    let time = random.millis(1, *random.clone().pick(&[50, 500, 3_000, 35_000]));
    match kind {
        7 | 8 => {
            let codes: &[i16] = match api {
                ApiKey::Produce => &PRODUCE_REFUSED,
                ApiKey::InitProducerId => &INIT_PRODUCER_ID_REFUSED,
                _ => &METADATA_REFUSED,
            };
            FaultKind::Refuse { code: *random.pick(codes), all: random.percent(50) }
        }
        9 if api == ApiKey::Produce => FaultKind::ExecuteAndRefuse { code: *random.pick(&PRODUCE_DONE) },
        10 if api == ApiKey::Produce => {
            FaultKind::RejectRecords { positions: (0..6).filter(|_| random.percent(40)).collect() }
        }
        9 | 11 => FaultKind::DropResponse,
        12 => FaultKind::DropRequest,
        13 => FaultKind::DelayRequest(time),
        14 => FaultKind::DelayResponse(time),
        15 if random.percent(50) => FaultKind::Throttle(random.between(1, 3_000) as i32),
        _ => FaultKind::CloseConnection { executed: random.percent(60) },
    }
}

impl FaultAction {
    /// Lets it happen now.
    pub(crate) fn apply(&self, state: &mut State) {
        state.say(|| format!("*** fault: {self}"));
        let State { network, dialogue, now, .. } = state;
        let now = *now;
        network.is_engine_changed = true;
        let partition = |position: usize, cluster: &kafka_batch_testing::simulated::Cluster| {
            let mut all = cluster.all_partitions();
            (!all.is_empty()).then(|| all.swap_remove(position % all.len()))
        };
        match self {
            Self::Inject { broker, fault } => {
                if let Some(broker) = network.engine.broker_mut(*broker) {
                    broker.inject(fault.clone());
                }
            }
            Self::Restart { broker, down_for, without_leader } => {
                let exists = network.engine.brokers.iter().any(|other| other.id == *broker);
                if exists {
                    network.kill(*broker, *without_leader, Some(*down_for), now);
                }
            }
            Self::ElectLeader { position, without_leader } => {
                if let Some((topic, index)) = partition(*position, &network.engine.cluster) {
                    dialogue.say(now, || format!("*** {} loses its leader", TopicPartition::new(&*topic, index)));
                    network.engine.cluster.remove_leader(&topic, index, *without_leader, now);
                }
            }
            Self::StopReplication { position, lasts } => {
                if let Some((topic, index)) = partition(*position, &network.engine.cluster) {
                    dialogue.say(now, || format!("*** {} is not replicated", TopicPartition::new(&*topic, index)));
                    if let Some(found) = network.engine.cluster.partition_mut(&topic, index) {
                        found.frozen_until = now + *lasts;
                    }
                }
            }
            Self::Cut { broker } => network.cut(*broker, now),
            Self::CutAfter { broker, bytes, to_broker } => network.cut_after(*broker, *bytes, *to_broker),
            Self::Stall { broker, lasts, to_broker } => network.stall(*broker, now + *lasts, *to_broker),
            Self::RefuseConnections { broker, lasts, silently } => network.refuse(*broker, now + *lasts, *silently),
            Self::MoveCoordinators { kind, broker, without_leader } => {
                network.engine.cluster.move_coordinators(*kind, *broker, *without_leader, now);
            }
            Self::TimeOutTransaction { position } => {
                let cluster = &mut network.engine.cluster;
                let all = cluster.transactions();
                if let Some(position) = position.checked_rem(all.len()) {
                    let id = &all[position].transactional_id;
                    if cluster.time_out_transaction(id, now) {
                        dialogue.say(now, || format!("*** the transaction of {id} times out"));
                    }
                }
            }
            Self::DelayMarkers { position, lasts } => {
                if let Some(name) = network.engine.cluster.delay_markers(*position, now + *lasts) {
                    dialogue.say(now, || format!("*** {name} gets no markers"));
                }
            }
            Self::SetTransactionVersion { level } => network.engine.cluster.set_transaction_version(*level),
        }
    }
}
