//! All brokers of a cluster as one state machine, without I/O, clock or threads: the core of every way to connect.

use crate::Moment;
use crate::broker::release::Release;
use crate::broker::sasl::Users;
use crate::broker::{Broker, BrokerAction, Fault, ReceivedRequest, Variation};
use crate::cluster::{Cluster, ClusterSettings, LeaderChoice};
use crate::random::Random;

/// The brokers of a cluster, and what they share.
#[derive(Debug)]
pub struct Engine {
    /// What the brokers share.
    pub cluster: Cluster,
    /// The brokers, by ascending id.
    pub brokers: Vec<Broker>,
    /// The requests received so far.
    pub requests: Vec<ReceivedRequest>,
}

/// What an engine is made of.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// The settings of the cluster.
    pub cluster: ClusterSettings,
    /// The release of each broker.
    pub releases: Vec<Release>,
    /// The users; clients have to authenticate if there are any.
    pub users: Users,
    /// The variation of the brokers' behaviour.
    pub variation: Variation,
    /// `socket.request.max.bytes` of each broker.
    pub request_max_bytes: usize,
    /// True if requests are recorded.
    pub recording: bool,
    /// The seed of random numbers.
    pub seed: u64,
}

impl EngineSettings {
    /// The settings of one broker of the newest release whose behaviour varies as far as the protocol permits, with this
    /// seed. Its leaders are chosen at random, replication takes up to 3 ms, and the markers of transactions up to 8 ms.
    #[must_use]
    pub fn simulation(seed: u64) -> Self {
        Self {
            cluster: ClusterSettings {
                replication_ms: Some(3),
                leaders: LeaderChoice::Random,
                marker_ms: Some(8),
                coordinator_load_ms: 5,
                ..ClusterSettings::default()
            },
            releases: vec![Release::NEWEST],
            users: Users::default(),
            variation: Variation::SIMULATION,
            request_max_bytes: 100 << 20,
            recording: true,
            seed,
        }
    }
}

impl Engine {
    /// Creates a cluster without topics.
    #[must_use]
    pub fn new(settings: EngineSettings) -> Self {
        let mut random = Random::new(settings.seed);
        let cluster = Cluster::new(settings.cluster, &settings.releases, random.fork(1));
        let broker = |member: &crate::cluster::Member| {
            let mut broker = Broker::new(member.id, member.release, settings.variation, random.fork(2));
            broker.users = settings.users.clone();
            broker.request_max_bytes = settings.request_max_bytes;
            broker.recording = settings.recording;
            broker
        };
        let brokers = cluster.members.iter().map(broker).collect();
        Self { cluster, brokers, requests: Vec::new() }
    }

    /// Returns a broker.
    pub fn broker_mut(&mut self, id: i32) -> Option<&mut Broker> {
        self.brokers.iter_mut().find(|broker| broker.id == id)
    }

    /// Applies a fault to a later request, at the first broker that receives one that it concerns.
    pub fn inject(&mut self, fault: Fault) {
        self.cluster.faults.push(fault);
    }

    /// Does what is due, in the cluster and at all brokers, until nothing is due any more. Returns what the brokers did.
    pub fn turn(&mut self, now: Moment) -> Vec<BrokerAction> {
        let mut all = Vec::new();
        loop {
            self.cluster.turn(now);
            let before = self.cluster.changes;
            let mut actions: Vec<BrokerAction> = Vec::new();
            for broker in &mut self.brokers {
                actions.append(&mut broker.turn(&mut self.cluster, now));
            }
            // What one broker does can end the wait of another.
            if actions.is_empty() && self.cluster.changes == before {
                return all;
            }
            for action in actions {
                match action {
                    BrokerAction::Received(request) => self.requests.push(request),
                    action => all.push(action),
                }
            }
        }
    }

    /// Returns when there is something to do for [`turn`](Self::turn), if nothing else happens.
    #[must_use]
    pub fn wakes_at(&self) -> Option<Moment> {
        let brokers = self.brokers.iter().filter_map(Broker::wakes_at).min();
        [brokers, self.cluster.wakes_at()].into_iter().flatten().min()
    }

    /// Stops a broker, as a crash does. Its partitions get another leader after `without_leader`, if another broker is
    /// running.
    pub fn kill(&mut self, id: i32, without_leader: Moment, now: Moment) {
        self.cluster.down(id, without_leader, now);
        if let Some(broker) = self.broker_mut(id) {
            broker.crash();
        }
    }

    /// Starts a broker again, with this release.
    pub fn restart(&mut self, id: i32, release: Release) {
        self.cluster.up(id, release);
        if let Some(broker) = self.broker_mut(id) {
            broker.release = release;
        }
    }
}
