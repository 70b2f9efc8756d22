//! A running cluster: threads, sockets, and connections in memory around the brokers' state machines.

mod apply;
mod builder;
mod log_view;
mod memory;
mod state;
mod tcp;
#[cfg(feature = "tls")]
mod tls;
mod transactions;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use self::builder::{TestClusterBuilder, Topic};
pub use self::log_view::{BatchOutcome, PartitionLog, StoredRecord};
pub use self::memory::MemoryStream;
pub use self::state::Direction;
use self::state::{Shared, State, lock};
use self::tcp::{Acceptor, Encryption, Reserve};
use crate::broker::identities::RejectedProducerIds;
use crate::broker::release::Release;
use crate::broker::{Fault, ReceivedRequest};
use crate::cluster::CreateTopicError;
use crate::engine::Engine;

/// The time for which a restarted broker tries to listen on its port again.
const BIND_PATIENCE: Duration = Duration::from_secs(10);

/// A Kafka cluster in this process. It ends when it is dropped: its ports are closed and its threads have ended.
///
/// Without settings ([`start`](Self::start)) it is one broker of the newest release, which creates topics when they are
/// used. Any client can connect to its ports on 127.0.0.1; clients of this process also without sockets.
///
/// All methods take effect at once, on the running cluster. Unknown brokers, topics and partitions are ignored by methods
/// that change something: the return value says so.
#[derive(Debug)]
pub struct TestCluster {
    shared: Arc<Shared>,
    acceptors: std::sync::Mutex<Vec<Acceptor>>,
    /// `None` without sockets.
    reserve: Option<Reserve>,
    /// The ports of the brokers, by position; empty without sockets.
    ports: Vec<u16>,
    encryption: Encryption,
    memory: memory::Registration,
    clock: Option<JoinHandle<()>>,
}

impl TestCluster {
    /// Starts a cluster of one broker.
    ///
    /// # Panics
    /// No port on 127.0.0.1 is free. [`TestClusterBuilder::start`] returns this as an error.
    #[must_use]
    pub fn start() -> Self {
        Self::builder().start().expect("a free port on 127.0.0.1")
    }

    /// Returns a builder for a cluster with settings.
    #[must_use]
    pub fn builder() -> TestClusterBuilder {
        TestClusterBuilder::default()
    }

    fn from_engine(mut engine: Engine, with_sockets: bool, encryption: Encryption) -> io::Result<Self> {
        let brokers: Vec<i32> = engine.brokers.iter().map(|broker| broker.id).collect();
        let mut listeners = Vec::new();
        if with_sockets {
            for _ in &brokers {
                listeners.push(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?);
            }
        }
        let ports =
            listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect::<io::Result<Vec<_>>>()?;
        let memory = memory::Registration::new(brokers.len());
        for (position, member) in engine.cluster.members.iter_mut().enumerate() {
            let tcp = ports.get(position).map_or((String::new(), 0), |port| ("127.0.0.1".to_owned(), *port));
            let in_memory = memory.address(position);
            member.addresses = vec![tcp, (in_memory.ip().to_string(), in_memory.port())];
        }
        let shared = Arc::new(Shared::new(engine));
        memory.register(&shared);
        let clock = state::spawn_clock(&shared)?;
        // Dropped, and so ended, if a later step fails.
        let reserve = with_sockets.then(Reserve::new);
        let acceptors = Vec::new().into();
        let cluster = Self { shared, acceptors, reserve, ports, encryption, memory, clock: Some(clock) };
        for (id, listener) in brokers.iter().zip(listeners) {
            let acceptor = Acceptor::spawn(listener, *id, &cluster.encryption, &cluster.shared)?;
            lock(&cluster.acceptors).push(acceptor);
        }
        Ok(cluster)
    }

    /// Returns the addresses of all brokers for `bootstrap.servers`, such as `127.0.0.1:40001,127.0.0.1:40002`. Empty if the
    /// cluster was built [without sockets](TestClusterBuilder::without_sockets).
    #[must_use]
    pub fn bootstrap_servers(&self) -> String {
        let each: Vec<_> = self.ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        each.join(",")
    }

    /// Returns the addresses of all brokers in memory for `bootstrap.servers`, for clients that connect by
    /// [`MemoryStream::connect`].
    #[must_use]
    pub fn in_memory_servers(&self) -> String {
        let each: Vec<_> = (0..self.broker_count()).map(|position| self.memory.address(position).to_string()).collect();
        each.join(",")
    }

    /// Returns the address of a broker's port, or `None` if there is none.
    #[must_use]
    pub fn address(&self, broker: i32) -> Option<SocketAddr> {
        let port = self.ports.get(usize::try_from(broker).ok()?.checked_sub(1)?)?;
        Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), *port))
    }

    /// Returns the certificate of the authority that has signed those of the brokers, as PEM text for `ssl.ca.pem`; `None` if
    /// the cluster was built without [`tls`](TestClusterBuilder::tls).
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    #[must_use]
    pub fn ca_pem(&self) -> Option<&str> {
        match &self.encryption {
            Encryption::Tls(tls) => Some(tls.ca_pem()),
            Encryption::None => None,
        }
    }

    /// Replaces the authorities whose certificates clients have to present, for new connections: what an operator does when
    /// certificates are renewed by another authority. Connections remain. Returns `false` if the cluster was built without
    /// [`tls`](TestClusterBuilder::tls).
    ///
    /// # Errors
    /// `authorities` has no certificate as PEM text, or one that cannot be used. Then nothing has changed.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    pub fn set_client_authorities(&self, authorities: &str) -> io::Result<bool> {
        match &self.encryption {
            Encryption::Tls(tls) => tls.set_clients(authorities).map(|()| true),
            Encryption::None => Ok(false),
        }
    }

    /// Returns the number of brokers. Their ids are 1 to this number.
    #[must_use]
    pub fn broker_count(&self) -> usize {
        self.shared.read(|engine| engine.brokers.len())
    }

    /// Returns the time since the start of the cluster.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.shared.now()
    }

    // ── What happened ──

    /// Returns what is stored in a partition, or `None` if it does not exist.
    #[must_use]
    pub fn log(&self, topic: &str, partition: i32) -> Option<PartitionLog> {
        self.shared
            .read(|engine| engine.cluster.partition(topic, partition).map(|found| PartitionLog::from(&found.log)))
    }

    /// Returns the requests received so far, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.shared.read(|engine| engine.requests.clone())
    }

    /// Returns the requests received so far, in order, and forgets them.
    #[must_use]
    pub fn take_requests(&self) -> Vec<ReceivedRequest> {
        self.shared.take_requests()
    }

    /// Waits until a request was received for which `condition` is true, and returns the first one; `None` if there is none
    /// within `limit`.
    ///
    /// The condition is called with copies of the requests, in order, and not while the cluster is locked: it may use the
    /// cluster, which goes on meanwhile.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use kafka_batch_testing::{ApiKey, TestCluster};
    ///
    /// let cluster = TestCluster::start();
    /// let stored = |partition| cluster.log("orders", partition).is_some_and(|log| log.end() > 0);
    /// let found = cluster.wait_for_request(Duration::from_millis(1), |request| {
    ///     request.api == ApiKey::Produce && stored(0)
    /// });
    /// assert_eq!(found, None); // nobody has sent one
    /// ```
    #[must_use]
    pub fn wait_for_request(
        &self,
        limit: Duration,
        mut condition: impl FnMut(&ReceivedRequest) -> bool,
    ) -> Option<ReceivedRequest> {
        let until = Instant::now().checked_add(limit); // `None` is never
        let mut seen = 0;
        loop {
            let new = self.shared.wait_for_requests(until, &mut seen)?;
            if let Some(found) = new.into_iter().find(|request| condition(request)) {
                return Some(found);
            }
        }
    }

    /// Waits until the log of a partition has this many records, and returns it; `None` if it has not within `limit`.
    #[must_use]
    pub fn wait_for_records(
        &self,
        topic: &str,
        partition: i32,
        records: usize,
        limit: Duration,
    ) -> Option<PartitionLog> {
        self.shared.wait_for(Instant::now().checked_add(limit), |State { engine, .. }| {
            let log = &engine.cluster.partition(topic, partition)?.log;
            let batches = log.stored().iter().filter(|stored| stored.info.control.is_none());
            let count: usize = batches.map(|stored| stored.info.records as usize).sum();
            (count >= records).then(|| PartitionLog::from(log))
        })
    }

    /// Returns what clients did that no broker accepts, such as malformed requests and batches. At most a thousand of each
    /// broker are remembered.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.shared.read(|engine| engine.brokers.iter().flat_map(|broker| broker.violations.clone()).collect())
    }

    /// Returns the number of connections.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.shared.connection_count()
    }

    // ── Topics and leaders ──

    /// Creates a topic, unless it exists. Returns whether it was created.
    ///
    /// # Errors
    /// Returns an error if Kafka does not accept the name, or the number of partitions is 0 or more than 10,000.
    pub fn create_topic(&self, topic: impl Into<Topic>) -> Result<bool, CreateTopicError> {
        let topic = topic.into();
        self.shared.change(|engine, now| topic.create_in(&mut engine.cluster, now))
    }

    /// Deletes a topic and everything in it. Returns whether it existed.
    pub fn forget_topic(&self, topic: &str) -> bool {
        self.shared.change(|engine, _| engine.cluster.topics.remove(topic).is_some())
    }

    /// Returns the names of the topics.
    #[must_use]
    pub fn topics(&self) -> Vec<String> {
        self.shared.read(|engine| engine.cluster.topics.keys().cloned().collect())
    }

    /// Returns the leader of a partition, if it has one.
    #[must_use]
    pub fn leader(&self, topic: &str, partition: i32) -> Option<i32> {
        self.shared.read(|engine| engine.cluster.partition(topic, partition)?.leader)
    }

    /// Makes another broker the leader of a partition, which has the whole log. Returns whether both exist.
    pub fn move_leader(&self, topic: &str, partition: i32, to: i32) -> bool {
        self.shared.change(|engine, _| engine.cluster.set_leader(topic, partition, Some(to)))
    }

    /// Removes the leader of a partition until [`move_leader`](Self::move_leader) sets one. Returns whether it exists.
    pub fn remove_leader(&self, topic: &str, partition: i32) -> bool {
        self.shared.change(|engine, _| engine.cluster.set_leader(topic, partition, None))
    }

    // ── Faults ──

    /// Applies a fault to a later request at any broker: at the first that receives one that it concerns. Of several faults
    /// that concern a request, one is applied: a broker's own first, then in the order in which they were injected.
    pub fn inject(&self, fault: Fault) {
        self.shared.change(|engine, _| engine.inject(fault));
    }

    /// Applies a fault to a later request at this broker. Returns whether it exists.
    pub fn inject_at(&self, broker: i32, fault: Fault) -> bool {
        self.shared.change(|engine, _| engine.broker_mut(broker).map(|broker| broker.inject(fault)).is_some())
    }

    /// Continues the requests and sends the responses that faults hold ([`FaultKind::DelayRequest`] and
    /// [`FaultKind::DelayResponse`] with `Duration::MAX`).
    ///
    /// [`FaultKind::DelayRequest`]: crate::FaultKind::DelayRequest
    /// [`FaultKind::DelayResponse`]: crate::FaultKind::DelayResponse
    pub fn release_held(&self) {
        self.shared.change(|engine, now| engine.brokers.iter_mut().for_each(|broker| broker.release_held(now)));
    }

    /// Removes all faults that have not been applied, and writes the markers that are held.
    pub fn end_faults(&self) {
        self.shared.end_faults();
    }

    /// Closes a broker's connections.
    pub fn cut(&self, broker: i32) {
        self.shared.cut(broker);
    }

    /// Closes the connection of a broker on which the last of the next `bytes` bytes in this direction is sent. Bytes of
    /// all its connections count; with TLS, those that are encrypted in it.
    pub fn cut_after(&self, broker: i32, direction: Direction, bytes: usize) {
        self.shared.cut_after(broker, direction, bytes);
    }

    /// Lets a broker take this much longer for each Produce request, as a slow disk does.
    pub fn slow_disk(&self, broker: i32, delay: Duration) {
        self.shared.change(|engine, _| {
            if let Some(broker) = engine.broker_mut(broker) {
                broker.append_delay = delay;
            }
        });
    }

    /// Stops the replication of a partition for this time: batches with `acks=all` are not confirmed.
    pub fn stop_replication(&self, topic: &str, partition: i32, time: Duration) -> bool {
        self.shared.change(|engine, now| {
            let found = engine.cluster.partition_mut(topic, partition);
            found.map(|partition| partition.frozen_until = now.saturating_add(time)).is_some()
        })
    }

    /// Rejects producer ids and epochs at all brokers, with this error code.
    pub fn reject_identities(&self, which: RejectedProducerIds, code: i16) {
        self.shared.change(|engine, _| {
            for broker in &mut engine.brokers {
                broker.reject(which, code, &engine.cluster);
            }
        });
    }

    /// Accepts all producer ids and epochs again.
    pub fn accept_identities(&self) {
        self.shared.change(|engine, _| engine.brokers.iter_mut().for_each(|broker| broker.accept_identities()));
    }

    /// Forgets the producers of a partition: the next batch of each is accepted with any sequence number, also if it is in
    /// the log already. Returns whether the partition exists.
    pub fn forget_producers(&self, topic: &str, partition: i32) -> bool {
        self.shared.change(|engine, _| {
            engine.cluster.partition_mut(topic, partition).map(|found| found.log.forget_producers()).is_some()
        })
    }

    // ── Brokers ──

    /// Stops a broker, as a crash does: its connections are lost, its port refuses connections, and other brokers become
    /// leaders of its partitions. Its logs remain, as on a disk. Returns whether it was running.
    pub fn kill(&self, broker: i32) -> bool {
        // The port is closed first, so that no client can connect to a broker that is down.
        let mut acceptors = lock(&self.acceptors);
        let (stopped, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut *acceptors).into_iter().partition(|acceptor| acceptor.broker() == broker);
        *acceptors = others;
        drop(acceptors);
        self.stop(stopped);
        self.shared.kill(broker)
    }

    /// Starts a killed broker again, at its address. It remembers the last batch of each producer, as after a crash. Returns
    /// whether it was down.
    ///
    /// # Errors
    /// Returns an error if another program has taken its port meanwhile.
    pub fn restart(&self, broker: i32) -> io::Result<bool> {
        self.restart_as(broker, None)
    }

    /// Starts a killed broker again, with another release.
    ///
    /// # Errors
    /// As [`restart`](Self::restart).
    pub fn restart_with(&self, broker: i32, release: Release) -> io::Result<bool> {
        self.restart_as(broker, Some(release))
    }

    fn restart_as(&self, broker: i32, release: Option<Release>) -> io::Result<bool> {
        if !self.shared.read(|engine| engine.cluster.members.iter().any(|member| member.id == broker && !member.up)) {
            return Ok(false);
        }
        let listener = self.address(broker).map(bind_again).transpose()?;
        self.shared.restart(broker, release);
        if let Some(listener) = listener {
            let acceptor = Acceptor::spawn(listener, broker, &self.encryption, &self.shared)?;
            lock(&self.acceptors).push(acceptor);
        }
        Ok(true)
    }

    /// Closes ports.
    fn stop(&self, acceptors: Vec<Acceptor>) {
        if let Some(reserve) = &self.reserve {
            acceptors.into_iter().for_each(|acceptor| acceptor.stop(reserve));
        }
    }

    /// Deletes the logs of all partitions that no running broker leads, as after the loss of a disk.
    pub fn lose_logs(&self) {
        self.shared.change(|engine, _| engine.cluster.lose_logs());
    }
}

/// Listens on the address of a broker again. A client's socket may have its port for a moment.
fn bind_again(address: SocketAddr) -> io::Result<TcpListener> {
    let until = Instant::now() + BIND_PATIENCE;
    loop {
        match TcpListener::bind(address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(5));
            }
            bound => return bound,
        }
    }
}

impl Drop for TestCluster {
    fn drop(&mut self) {
        let acceptors = std::mem::take(&mut *lock(&self.acceptors));
        self.stop(acceptors);
        self.shared.shut_down();
        if let Some(clock) = self.clock.take() {
            // A panic there was reported by the panic hook already.
            let _ = clock.join();
        }
    }
}
