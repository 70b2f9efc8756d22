//! What the threads of a cluster share: the brokers and their connections, behind one lock.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::memory::Inbox;
use super::tcp::{Finishing, Outgoing};
use crate::Moment;
use crate::broker::release::Release;
use crate::broker::{BrokerAction, ReceivedRequest};
use crate::engine::Engine;

/// The longest time for which the clock thread sleeps. Some systems cannot wait for the centuries that a fault may last.
const LONGEST_SLEEP: Duration = Duration::from_secs(3_600);

/// The number of bytes, of requests that are not executed yet, up to which a connection over TCP is read.
const READ_AHEAD: usize = 1 << 20;

/// The client has received so many bytes before the broker learns of it. Less than the broker's limit by far.
pub(super) const REPORTED_BYTES: usize = 1 << 18;

/// The direction of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From the client to the broker: requests.
    ToBroker,
    /// From the broker to the client: responses.
    ToClient,
}

/// Locks a mutex. A panic of another thread while it was locked does not matter: it was reported, and tests go on to fail.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The client's end of a connection.
#[derive(Debug)]
pub(super) enum ClientEnd {
    Tcp(Outgoing),
    Memory(Arc<Inbox>),
}

#[derive(Debug)]
struct Connection {
    broker: i32,
    client: ClientEnd,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) engine: Engine,
    /// The number of requests that were taken out of the engine.
    taken_requests: usize,
    connections: BTreeMap<u64, Connection>,
    next_connection: u64,
    /// After how many more bytes a connection of a broker is cut.
    cuts: BTreeMap<(i32, Direction), usize>,
    /// When the clock thread wakes up.
    alarm: Option<Moment>,
    is_closing: bool,
    /// Connections that are closed once everything was sent.
    finishing: Vec<Finishing>,
    /// The threads of connections.
    threads: Vec<JoinHandle<()>>,
}

/// What the threads share.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// The alarm was set to an earlier time, or the cluster ends.
    alarm_changed: Condvar,
    /// Something happened.
    progress: Condvar,
    started: Instant,
}

/// Wakers of clients in memory. They are called after the lock is released, because they are foreign code.
#[must_use]
#[derive(Debug, Default)]
struct Wakers(Vec<Waker>);

impl Wakers {
    fn wake(self) {
        self.0.into_iter().for_each(Waker::wake);
    }
}

impl Shared {
    pub(super) fn new(engine: Engine) -> Self {
        let state = State {
            engine,
            taken_requests: 0,
            connections: BTreeMap::new(),
            next_connection: 0,
            cuts: BTreeMap::new(),
            alarm: None,
            is_closing: false,
            finishing: Vec::new(),
            threads: Vec::new(),
        };
        Self {
            state: Mutex::new(state),
            alarm_changed: Condvar::new(),
            progress: Condvar::new(),
            started: Instant::now(),
        }
    }

    pub(super) fn now(&self) -> Moment {
        self.started.elapsed()
    }

    /// Reads the state.
    pub(super) fn read<T>(&self, read: impl FnOnce(&Engine) -> T) -> T {
        read(&lock(&self.state).engine)
    }

    pub(super) fn connection_count(&self) -> usize {
        lock(&self.state).connections.len()
    }

    /// Changes the state, and does what is due then.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Engine, Moment) -> T) -> T {
        let mut state = lock(&self.state);
        let result = change(&mut state.engine, self.now());
        self.turn(state).wake();
        result
    }

    /// Returns the requests received so far, and forgets them.
    pub(super) fn take_requests(&self) -> Vec<ReceivedRequest> {
        let mut state = lock(&self.state);
        let taken = std::mem::take(&mut state.engine.requests);
        state.taken_requests += taken.len();
        taken
    }

    /// Waits until there are requests after the first `seen` ones of all, and returns a copy of those that were not taken;
    /// `None` if there are none. They are counted as seen.
    pub(super) fn wait_for_requests(&self, until: Option<Instant>, seen: &mut usize) -> Option<Vec<ReceivedRequest>> {
        self.wait_for(until, |state| {
            let new = state.engine.requests.get(seen.saturating_sub(state.taken_requests)..).unwrap_or_default();
            *seen = state.taken_requests + state.engine.requests.len();
            (!new.is_empty()).then(|| new.to_vec())
        })
    }

    /// Waits until `condition` returns something, which is called while the state is locked: it must be one of this crate.
    /// `until` is `None` to wait for ever.
    pub(super) fn wait_for<T>(
        &self,
        until: Option<Instant>,
        mut condition: impl FnMut(&State) -> Option<T>,
    ) -> Option<T> {
        let mut state = lock(&self.state);
        loop {
            if let Some(found) = condition(&state) {
                return Some(found);
            }
            let left =
                until.map_or(Duration::from_secs(3_600), |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return None;
            }
            state = self.progress.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Does what is due, and sends what the brokers answer.
    fn turn(&self, mut state: MutexGuard<'_, State>) -> Wakers {
        let mut wakers = Wakers::default();
        for action in state.engine.turn(self.now()) {
            match action {
                BrokerAction::Send { connection, bytes, .. } => state.send(connection, bytes, &mut wakers),
                BrokerAction::CloseConnection(connection) => state.close(connection, &mut wakers),
                BrokerAction::Applied(_) | BrokerAction::Received(_) => {}
            }
        }
        state.unmute(&mut wakers);
        let next = state.engine.wakes_at();
        if next.is_some_and(|next| state.alarm.is_none_or(|alarm| next < alarm)) {
            self.alarm_changed.notify_one();
        }
        drop(state);
        self.progress.notify_all();
        wakers
    }

    /// Adds a connection with this broker; `None` if it is not running.
    pub(super) fn connect(&self, broker: i32, listener: usize, client: ClientEnd) -> Option<u64> {
        let mut state = lock(&self.state);
        let is_up = state.engine.cluster.members.iter().any(|member| member.id == broker && member.up);
        if !is_up || state.is_closing {
            return None;
        }
        let number = state.next_connection;
        state.next_connection += 1;
        let of = state.engine.broker_mut(broker)?;
        of.accept(number, listener);
        of.limit_unsent(number);
        state.connections.insert(number, Connection { broker, client });
        drop(state);
        self.progress.notify_all();
        Some(number)
    }

    /// Remembers a thread, which is joined when the cluster ends.
    pub(super) fn add_thread(&self, thread: JoinHandle<()>) {
        let threads = &mut lock(&self.state).threads;
        threads.retain(|thread| !thread.is_finished());
        threads.push(thread);
    }

    /// Passes bytes to the broker, and waits until it reads on, or has not read much ahead: while nothing is read, a client that
    /// is gone is not noticed. Returns false if the connection is closed.
    pub(super) fn receive_and_wait(&self, connection: u64, bytes: &[u8]) -> bool {
        let mut state = lock(&self.state);
        if !state.receive(connection, bytes) {
            self.turn(state).wake();
            return false;
        }
        self.turn(state).wake();
        state = lock(&self.state);
        while state.is_muted(connection) && state.waiting_bytes(connection) >= READ_AHEAD {
            state = self.progress.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.connections.contains_key(&connection)
    }

    /// Passes bytes to the broker, unless it is muted. Returns `None` if it is, and whether the connection is open.
    pub(super) fn try_receive(&self, connection: u64, bytes: &[u8]) -> Option<bool> {
        let mut state = lock(&self.state);
        if state.is_muted(connection) {
            return None;
        }
        let is_open = state.receive(connection, bytes);
        self.turn(state).wake();
        Some(is_open)
    }

    /// The client has received bytes of responses.
    pub(super) fn sent(&self, connection: u64, bytes: usize) {
        let mut state = lock(&self.state);
        if let Some(&Connection { broker, .. }) = state.connections.get(&connection) {
            if let Some(broker) = state.engine.broker_mut(broker) {
                broker.sent(connection, bytes);
            }
            self.turn(state).wake();
        }
    }

    /// The client has closed the connection.
    pub(super) fn client_closed(&self, connection: u64) {
        let mut state = lock(&self.state);
        if let Some(Connection { broker, .. }) = state.connections.remove(&connection) {
            if let Some(broker) = state.engine.broker_mut(broker) {
                broker.client_closed(connection);
            }
        }
        self.turn(state).wake();
    }

    pub(super) fn end_faults(&self) {
        let mut state = lock(&self.state);
        state.cuts.clear();
        state.engine.cluster.faults.clear();
        state.engine.cluster.release_markers();
        for broker in &mut state.engine.brokers {
            broker.end_faults(true);
            broker.append_delay = Moment::ZERO;
        }
        self.turn(state).wake();
    }

    pub(super) fn cut(&self, broker: i32) {
        let mut state = lock(&self.state);
        let mut wakers = Wakers::default();
        state.cut(broker, &mut wakers);
        wakers.wake();
        self.turn(state).wake();
    }

    pub(super) fn cut_after(&self, broker: i32, direction: Direction, bytes: usize) {
        lock(&self.state).cuts.insert((broker, direction), bytes);
    }

    pub(super) fn kill(&self, broker: i32) -> bool {
        let mut state = lock(&self.state);
        let is_up = state.engine.cluster.members.iter().any(|member| member.id == broker && member.up);
        let mut wakers = Wakers::default();
        if is_up {
            state.cut(broker, &mut wakers);
            let now = self.now();
            state.engine.kill(broker, Moment::ZERO, now);
        }
        self.turn(state).wake();
        wakers.wake();
        is_up
    }

    pub(super) fn restart(&self, broker: i32, release: Option<Release>) {
        self.change(|engine, _| {
            let release = release.unwrap_or(engine.cluster.member(broker).release);
            engine.restart(broker, release);
        });
    }

    /// Ends all connections and threads.
    pub(super) fn shut_down(&self) {
        let mut state = lock(&self.state);
        state.is_closing = true;
        let mut wakers = Wakers::default();
        let numbers: Vec<u64> = state.connections.keys().copied().collect();
        numbers.into_iter().for_each(|number| state.abort(number, &mut wakers));
        std::mem::take(&mut state.finishing).into_iter().for_each(Finishing::abort);
        let threads = std::mem::take(&mut state.threads);
        drop(state);
        self.alarm_changed.notify_all();
        self.progress.notify_all();
        wakers.wake();
        for thread in threads {
            // A panic there was reported by the panic hook already.
            let _ = thread.join();
        }
    }
}

impl State {
    fn is_muted(&self, connection: u64) -> bool {
        self.connections.get(&connection).is_some_and(|Connection { broker, .. }| {
            self.engine.brokers.iter().any(|other| other.id == *broker && other.is_muted(connection))
        })
    }

    fn waiting_bytes(&self, connection: u64) -> usize {
        let broker = self.connections.get(&connection).map(|connection| connection.broker);
        let found = self.engine.brokers.iter().find(|other| Some(other.id) == broker);
        found.map_or(0, |broker| broker.waiting_bytes(connection))
    }

    /// Passes bytes to the broker. Returns false if the connection is closed or cut.
    fn receive(&mut self, connection: u64, bytes: &[u8]) -> bool {
        let Some(&Connection { broker, .. }) = self.connections.get(&connection) else { return false };
        let (kept, is_cut) = self.cut_position((broker, Direction::ToBroker), bytes.len());
        if let Some(broker) = self.engine.broker_mut(broker) {
            broker.receive(connection, &bytes[..kept]);
            if is_cut {
                broker.client_closed(connection);
            }
        }
        if is_cut {
            let mut wakers = Wakers::default();
            self.abort(connection, &mut wakers);
            wakers.wake();
        }
        !is_cut
    }

    /// Returns how many bytes arrive, and whether the connection is cut after them.
    fn cut_position(&mut self, at: (i32, Direction), bytes: usize) -> (usize, bool) {
        match self.cuts.get_mut(&at) {
            Some(left) if *left > bytes => {
                *left -= bytes;
                (bytes, false)
            }
            Some(_) => (self.cuts.remove(&at).unwrap_or(0), true),
            None => (bytes, false),
        }
    }

    fn send(&mut self, connection: u64, mut bytes: Bytes, wakers: &mut Wakers) {
        let Some(&Connection { broker, .. }) = self.connections.get(&connection) else { return };
        let (kept, is_cut) = self.cut_position((broker, Direction::ToClient), bytes.len());
        bytes.truncate(kept);
        match self.connections.get(&connection).map(|connection| &connection.client) {
            Some(ClientEnd::Tcp(outgoing)) => outgoing.send(bytes),
            Some(ClientEnd::Memory(inbox)) => wakers.0.extend(inbox.push(bytes)),
            None => {}
        }
        if is_cut {
            self.close(connection, wakers);
            if let Some(broker) = self.engine.broker_mut(broker) {
                broker.client_closed(connection);
            }
        }
    }

    /// Closes a connection after everything was sent.
    fn close(&mut self, connection: u64, wakers: &mut Wakers) {
        match self.connections.remove(&connection).map(|connection| connection.client) {
            Some(ClientEnd::Tcp(outgoing)) => {
                self.finishing.retain(|other| !other.is_closed());
                self.finishing.push(outgoing.finish());
            }
            Some(ClientEnd::Memory(inbox)) => wakers.0.extend(inbox.close()),
            None => {}
        }
    }

    /// Closes a connection at once.
    fn abort(&mut self, connection: u64, wakers: &mut Wakers) {
        match self.connections.remove(&connection).map(|connection| connection.client) {
            Some(ClientEnd::Tcp(outgoing)) => outgoing.abort(),
            Some(ClientEnd::Memory(inbox)) => wakers.0.extend(inbox.close()),
            None => {}
        }
    }

    /// Closes all connections of a broker at once.
    fn cut(&mut self, broker: i32, wakers: &mut Wakers) {
        let of_broker = self.connections.iter().filter(|(_, connection)| connection.broker == broker);
        let numbers: Vec<u64> = of_broker.map(|(number, _)| *number).collect();
        for number in numbers {
            self.abort(number, wakers);
            if let Some(broker) = self.engine.broker_mut(broker) {
                broker.client_closed(number);
            }
        }
    }

    /// Lets clients in memory write again whose brokers read again.
    fn unmute(&mut self, wakers: &mut Wakers) {
        for (number, connection) in &self.connections {
            if let ClientEnd::Memory(inbox) = &connection.client {
                if !self.is_muted(*number) {
                    wakers.0.extend(inbox.unmute());
                }
            }
        }
    }
}

/// Starts the thread that does what is due at a later time.
pub(super) fn spawn_clock(shared: &Arc<Shared>) -> io::Result<JoinHandle<()>> {
    let shared = Arc::clone(shared);
    thread::Builder::new().name("kafka clock".into()).spawn(move || {
        let mut state = lock(&shared.state);
        while !state.is_closing {
            let next = state.engine.wakes_at();
            let now = shared.now();
            state.alarm = next;
            state = match next {
                Some(next) if next <= now => {
                    shared.turn(state).wake();
                    lock(&shared.state)
                }
                Some(next) => {
                    let wait = shared.alarm_changed.wait_timeout(state, (next - now).min(LONGEST_SLEEP));
                    wait.unwrap_or_else(PoisonError::into_inner).0
                }
                None => shared.alarm_changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    })
}
