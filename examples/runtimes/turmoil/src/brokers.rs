//! The brokers of `kafka-batch-testing` as hosts of turmoil.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::pending;
use std::io;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::Duration;

use kafka_batch_testing::simulated::{BrokerAction, Engine, EngineSettings, PORT};
use kafka_batch_testing::{PartitionLog, Release};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::select;
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::spawn_local;
use tokio::time::sleep;
use turmoil::net::{TcpListener, TcpStream};

/// Brokers that share a cluster: the state of all hosts, which outlives their crashes, as the disks of brokers do.
#[derive(Clone)]
pub struct Brokers(Rc<Shared>);

struct Shared {
    state: RefCell<State>,
    /// The time of the next thing that is due has changed.
    changed: Notify,
}

struct State {
    engine: Engine,
    /// The responses of each connection, with its broker. Without the sender, the connection is closed.
    clients: BTreeMap<u64, (i32, UnboundedSender<Vec<u8>>)>,
    next: u64,
}

/// Returns the time since the start, which is the same on all hosts.
fn now() -> Duration {
    turmoil::sim_elapsed().unwrap_or_default()
}

impl Brokers {
    pub fn new(seed: u64, brokers: usize, topic: &str, partitions: usize) -> Self {
        let releases = vec![Release::NEWEST; brokers];
        let mut engine = Engine::new(EngineSettings { releases, ..EngineSettings::simulation(seed) });
        engine.cluster.create(topic, partitions, Duration::ZERO);
        let state = RefCell::new(State { engine, clients: BTreeMap::new(), next: 0 });
        Self(Rc::new(Shared { state, changed: Notify::new() }))
    }

    /// Runs a broker, as the software of its host.
    pub async fn run(self, id: i32) -> turmoil::Result {
        self.0.state.borrow_mut().engine.restart(id, Release::NEWEST);
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?;
        spawn_local(self.clone().do_what_is_due());
        loop {
            let (stream, _) = listener.accept().await?;
            spawn_local(self.clone().serve(id, stream));
        }
    }

    /// Stops a broker. Its partitions get other leaders after a while.
    pub fn kill(&self, id: i32, at: Duration) {
        let mut state = self.0.state.borrow_mut();
        state.engine.kill(id, Duration::from_millis(50), at);
        state.clients.retain(|_, (broker, _)| *broker != id);
    }

    /// Returns the log of a partition.
    pub fn log(&self, topic: &str, partition: i32) -> Option<PartitionLog> {
        self.0.state.borrow().engine.cluster.partition(topic, partition).map(|partition| (&partition.log).into())
    }

    /// Returns the violations of the protocol, and everything that was requested, as text.
    pub fn history(&self) -> (Vec<String>, String) {
        let state = self.0.state.borrow();
        let violations = state.engine.brokers.iter().flat_map(|broker| broker.violations.clone()).collect();
        (violations, format!("{:?}", state.engine.requests))
    }

    /// Does what is due later than the request that caused it. Each host does, since any of them may crash.
    async fn do_what_is_due(self) {
        loop {
            let wakes_at = self.0.state.borrow().engine.wakes_at();
            let due = async {
                match wakes_at {
                    Some(at) => sleep(at.saturating_sub(now())).await,
                    None => pending().await,
                }
            };
            select! {
                biased;
                () = self.0.changed.notified() => {}
                () = due => self.turn(),
            }
        }
    }

    /// Serves one connection.
    async fn serve(self, broker: i32, stream: TcpStream) {
        let (id, responses) = self.accept(broker);
        let _ = self.copy(broker, id, stream, responses).await;
        self.0.state.borrow_mut().clients.remove(&id);
        self.change(|engine| engine.broker_mut(broker).expect("its host runs").client_closed(id));
    }

    fn accept(&self, broker: i32) -> (u64, UnboundedReceiver<Vec<u8>>) {
        let (sender, receiver) = unbounded_channel();
        let mut state = self.0.state.borrow_mut();
        let id = state.next;
        state.next += 1;
        state.clients.insert(id, (broker, sender));
        state.engine.broker_mut(broker).expect("its host runs").accept(id, 0);
        (id, receiver)
    }

    /// Passes requests to the broker and responses to the client, until one of them closes the connection.
    async fn copy(
        &self,
        broker: i32,
        id: u64,
        stream: TcpStream,
        mut responses: UnboundedReceiver<Vec<u8>>,
    ) -> io::Result<()> {
        let (mut reader, mut writer) = stream.into_split();
        let reading = async {
            let mut buffer = vec![0; 64 * 1024];
            loop {
                match reader.read(&mut buffer).await? {
                    0 => return Ok(()),
                    length => self.change(|engine| {
                        engine.broker_mut(broker).expect("its host runs").receive(id, &buffer[..length]);
                    }),
                }
            }
        };
        let writing = async {
            while let Some(response) = responses.recv().await {
                writer.write_all(&response).await?;
            }
            Ok(())
        };
        select! {
            biased;
            ended = reading => ended,
            ended = writing => ended,
        }
    }

    fn change(&self, change: impl FnOnce(&mut Engine)) {
        change(&mut self.0.state.borrow_mut().engine);
        self.turn();
    }

    fn turn(&self) {
        let State { engine, clients, .. } = &mut *self.0.state.borrow_mut();
        for action in engine.turn(now()) {
            match action {
                BrokerAction::Send { connection, bytes, .. } => {
                    if let Some((_, client)) = clients.get(&connection) {
                        let _ = client.send(bytes.to_vec()); // a closed connection is removed soon
                    }
                }
                BrokerAction::CloseConnection(connection) => drop(clients.remove(&connection)),
                BrokerAction::Applied(_) | BrokerAction::Received(_) => {}
            }
        }
        self.0.changed.notify_waiters();
    }
}
