//! The driver loop of a producer on a [`LocalRuntime`].

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::io;
use std::marker::PhantomData;
use std::mem;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use kafka_batch_core::machine::{ConnectionId, Disconnect, Input};

use crate::connect::connect_local;
use crate::driver::{Driver, Step};
use crate::local_runtime::{LocalRuntime, MAX_SEGMENTS};
use crate::network_config::NetworkConfig;
use crate::wake_flag::{TaskWaker, WakeFlag};

type LocalFuture = Pin<Box<dyn Future<Output = ()>>>;

/// The size of the read buffer of a connection in bytes.
const BUFFER: usize = 64 * 1024;

/// The maximum size in bytes of frames that are written in one operation; a larger frame has one of its own. An operation owns its
/// segments until it completes, and the memory of a batch that is acknowledged before that could not be used again.
const MAX_WRITE: usize = 256 * 1024;

/// Runs a driver until its producer is closed. All futures of its connections are polled by this one, so the runtime needs to
/// spawn nothing else, and dropping this one cancels all operations.
pub(crate) async fn run_local<R: LocalRuntime>(driver: Driver, config: NetworkConfig) {
    let config = Arc::new(config);
    let shared = Rc::new(Shared { driver: RefCell::new(driver), has_events: Cell::new(false) });
    let mut connections: BTreeMap<ConnectionId, Connection> = BTreeMap::new();
    let (task, mut timer) = (TaskWaker::new(), Timer::<R>::default());
    loop {
        let deadline = loop {
            let step = shared.driver.borrow_mut().next_step();
            match step {
                Step::Connect { connection, target, .. } => {
                    let attempt = connect_local::<R>(target, Arc::clone(&config));
                    let output = Rc::new(Output::default());
                    let future = Box::pin(run_connection::<R>(connection, attempt, shared.clone(), output.clone()));
                    connections.insert(connection, Connection { future, output, flag: WakeFlag::new(&task) });
                }
                Step::Transmit { connection, bytes } => {
                    if let Some(connection) = connections.get(&connection) {
                        connection.output.push(bytes);
                        connection.flag.set();
                    }
                }
                Step::Close(connection) => drop(connections.remove(&connection)),
                Step::Wait(deadline) => break deadline,
                Step::End => return,
            }
        };
        // Waits for the first event, and handles all that are ready, so that batches can share a request.
        poll_fn(|context| {
            let command = shared.driver.borrow_mut().poll_commands(context);
            task.register(context.waker());
            connections.retain(|_, connection| {
                !connection.flag.take() || connection.future.as_mut().poll(&mut connection.flag.context()).is_pending()
            });
            let due = timer.poll(deadline, context);
            let is_ready = shared.has_events.take() || command.is_ready() || due.is_ready();
            if is_ready { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// What the futures of connections share with the loop. Nothing is borrowed across an await.
struct Shared {
    driver: RefCell<Driver>,
    /// Whether the machine got an event, and has to be polled.
    has_events: Cell<bool>,
}

impl Shared {
    fn handle_input(&self, input: Input<'_>) {
        self.driver.borrow_mut().handle_input(input);
        self.has_events.set(true);
    }

    fn disconnected(&self, connection: ConnectionId, how: Disconnect, error: Option<io::Error>) {
        self.driver.borrow_mut().disconnected(connection, how, error);
        self.has_events.set(true);
    }

    fn transmitted(&self, connection: ConnectionId, frames: usize) {
        if self.driver.borrow_mut().transmitted(connection, frames) {
            self.has_events.set(true);
        }
    }
}

/// A connection, or the attempt to make it. Dropping it cancels its operations.
struct Connection {
    future: LocalFuture,
    output: Rc<Output>,
    flag: WakeFlag,
}

/// The frames that are not handed to the runtime yet.
#[derive(Default)]
struct Output {
    frames: RefCell<VecDeque<Vec<Bytes>>>,
}

impl Output {
    fn push(&self, frame: Vec<Bytes>) {
        self.frames.borrow_mut().push_back(frame);
    }

    /// Waits for frames. Returns the number of those that one operation is to write, and their segments. It needs no waker: the
    /// loop pushes frames, and then polls the connection.
    async fn take(&self) -> (usize, Vec<Bytes>) {
        poll_fn(|_| {
            let mut frames = self.frames.borrow_mut();
            let Some(mut segments) = frames.pop_front() else { return Poll::Pending };
            let mut count = 1;
            let mut length = length_of(&segments);
            while let Some(next) = frames.front_mut() {
                length += length_of(next);
                if length > MAX_WRITE || segments.len() + next.len() > MAX_SEGMENTS {
                    break;
                }
                segments.append(next);
                frames.pop_front();
                count += 1;
            }
            Poll::Ready((count, segments))
        })
        .await
    }
}

fn length_of(frame: &[Bytes]) -> usize {
    frame.iter().map(Bytes::len).sum()
}

/// Writes the segments, at most [`MAX_SEGMENTS`] in each operation.
async fn write<R: LocalRuntime>(writer: &mut R::Writer, mut segments: Vec<Bytes>) -> io::Result<()> {
    while segments.len() > MAX_SEGMENTS {
        let rest = segments.split_off(MAX_SEGMENTS);
        R::write(writer, mem::replace(&mut segments, rest)).await?;
    }
    R::write(writer, segments).await
}

/// Connects, and then reads and writes at the same time, until reading ends.
async fn run_connection<R: LocalRuntime>(
    id: ConnectionId,
    attempt: impl Future<Output = io::Result<(R::Reader, R::Writer)>>,
    shared: Rc<Shared>,
    output: Rc<Output>,
) {
    let (mut reader, mut writer) = match attempt.await {
        Ok(halves) => halves,
        Err(error) => return shared.disconnected(id, Disconnect::NotConnected, Some(error)),
    };
    shared.handle_input(Input::Connected(id));
    let write_error = Cell::new(None);
    let mut reading = pin!(async {
        let mut buffer = Vec::with_capacity(BUFFER);
        loop {
            let (read, returned) = R::read(&mut reader, buffer).await;
            buffer = returned;
            match read {
                Ok(0) => return (Disconnect::ByPeer, None),
                Ok(length) => shared.handle_input(Input::Received(id, buffer.get(..length).unwrap_or(&buffer))),
                Err(error) => return (Disconnect::Broken, Some(error)),
            }
        }
    });
    // After an error of writing, what was received is read, up to the end: it may acknowledge a batch.
    let mut writing = pin!(async {
        loop {
            let (frames, segments) = output.take().await;
            match write::<R>(&mut writer, segments).await {
                Ok(()) => shared.transmitted(id, frames),
                Err(error) => return write_error.set(Some(error)),
            }
        }
    });
    let mut is_writing = true;
    let (how, error) = poll_fn(|context| {
        // Reading first: its bytes may be the reason why writing fails.
        let read = reading.as_mut().poll(context);
        if read.is_pending() && is_writing {
            is_writing = writing.as_mut().poll(context).is_pending();
        }
        read
    })
    .await;
    let (how, error) = match write_error.take() {
        Some(failed) => (Disconnect::Broken, error.or(Some(failed))),
        None => (how, error),
    };
    shared.disconnected(id, how, error);
}

/// A timer that is made anew only for an earlier deadline: one that fires too early is harmless.
struct Timer<R> {
    set: Option<(Instant, LocalFuture)>,
    runtime: PhantomData<R>,
}

impl<R> Default for Timer<R> {
    fn default() -> Self {
        Self { set: None, runtime: PhantomData }
    }
}

impl<R: LocalRuntime> Timer<R> {
    fn poll(&mut self, deadline: Option<Instant>, context: &mut Context<'_>) -> Poll<()> {
        if let Some(deadline) = deadline.filter(|deadline| self.set.as_ref().is_none_or(|(set, _)| deadline < set)) {
            self.set = Some((deadline, Box::pin(R::sleep_until(deadline))));
        }
        let Some((_, timer)) = &mut self.set else { return Poll::Pending };
        let fired = timer.as_mut().poll(context);
        if fired.is_ready() {
            self.set = None;
        }
        fired
    }
}

#[cfg(test)]
mod tests;
