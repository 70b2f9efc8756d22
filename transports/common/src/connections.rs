//! Sockets, as far as they are alike everywhere: each is written and read as far as it goes now, and none waits for another.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_io::{AsyncRead, AsyncWrite};
use kafka_batch_core::machine::{ConnectionId, Disconnect, Input};

use crate::driver::Driver;
use crate::tls_stream::{MaybeTlsStream, TlsConnector};
use crate::wake_flag::{Task, WakeFlag};
use crate::write_queue::WriteQueue;

/// The connections of one driver, over streams of whatever runtime.
///
/// All of them are polled by one task: what comes goes into the machine at once, out of one buffer that they share, and
/// no news has to travel from task to task. Only those are touched that have rung. Memory is bounded by the machine: it
/// hands out only so many requests that are not answered (`max.in.flight.requests.per.connection`), and they are kept here
/// as they are, not copied; TLS encrypts them into a buffer of its own, 64 KiB at a time.
pub struct Connections<S> {
    each: BTreeMap<ConnectionId, Connection<S>>,
    buffer: Box<[u8]>,
    task: Task,
}

/// How many bytes are read at once.
const BUFFER: usize = 64 * 1024;

/// How many times a connection that is broken is read: that is more than sockets keep, and yet it ends.
const LAST_READS: usize = 1_024;

type Connecting<S> = Pin<Box<dyn Future<Output = io::Result<MaybeTlsStream<S>>> + Send>>;

struct Connection<S> {
    state: State<S>,
    /// Rings when it can be read, or the attempt to make it goes on.
    reader: WakeFlag,
    /// Rings when it can be written, or there is something to write.
    writer: WakeFlag,
}

enum State<S> {
    Connecting(Connecting<S>),
    Open { stream: MaybeTlsStream<S>, write_queue: WriteQueue, unflushed: Unflushed },
}

/// What a stream has taken, and may still keep to itself.
#[derive(Clone, Copy, Default)]
struct Unflushed {
    /// Something.
    any: bool,
    /// So many frames are whole with it.
    frames: usize,
}

/// What came of polling a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Quiet,
    News,
    Gone,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connections<S> {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self { each: BTreeMap::new(), buffer: vec![0; BUFFER].into_boxed_slice(), task: Task::new() }
    }

    /// [`Step::Connect`](crate::Step::Connect): this attempt is under way; when it has succeeded, the layer is laid over the
    /// stream.
    pub fn open(
        &mut self,
        connection: ConnectionId,
        tls: TlsConnector,
        attempt: impl Future<Output = io::Result<S>> + Send + 'static,
    ) where
        S: Send + 'static,
    {
        let state = State::Connecting(Box::pin(async { tls.over(attempt.await?).await }));
        let (reader, writer) = (WakeFlag::new(&self.task), WakeFlag::new(&self.task));
        self.each.insert(connection, Connection { state, reader, writer });
    }

    /// [`Step::Transmit`](crate::Step::Transmit): to be written behind what is to be written already.
    pub fn transmit(&mut self, connection: ConnectionId, bytes: Vec<Bytes>) {
        if let Some(Connection { state: State::Open { write_queue, .. }, writer, .. }) = self.each.get_mut(&connection)
        {
            write_queue.push(bytes);
            writer.ring();
        }
    }

    /// [`Step::Close`](crate::Step::Close): drops the connection, or the attempt to make it.
    pub fn close(&mut self, connection: ConnectionId) {
        self.each.remove(&connection);
    }

    /// Connects, writes and reads as far as it goes now, and tells the driver. Ready when there was any news: then ask it
    /// for its next step.
    pub fn poll(&mut self, driver: &mut Driver, context: &Context<'_>) -> Poll<()> {
        let mut news = false;
        let Self { each, buffer, task } = self;
        task.is_polled_with(context.waker());
        each.retain(|&id, connection| {
            let turn = connection.poll(id, buffer, driver);
            news |= turn != Turn::Quiet;
            turn != Turn::Gone
        });
        if news { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Default for Connections<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    fn poll(&mut self, id: ConnectionId, buffer: &mut [u8], driver: &mut Driver) -> Turn {
        let Self { state, reader, writer } = self;
        match state {
            State::Connecting(attempt) => {
                if !reader.answer() {
                    return Turn::Quiet;
                }
                match attempt.as_mut().poll(&mut reader.context()) {
                    Poll::Pending => Turn::Quiet,
                    Poll::Ready(Ok(stream)) => {
                        *state =
                            State::Open { stream, write_queue: WriteQueue::default(), unflushed: Unflushed::default() };
                        reader.ring(); // nobody has looked at the stream yet
                        driver.handle_input(Input::Connected(id));
                        Turn::News
                    }
                    Poll::Ready(Err(error)) => {
                        driver.lost(id, Disconnect::NotConnected, Some(&error));
                        Turn::Gone
                    }
                }
            }
            State::Open { stream, write_queue, unflushed } => {
                let mut turn = Turn::Quiet;
                if writer.answer() {
                    turn = match write(stream, write_queue, unflushed, &mut writer.context()) {
                        Ok(frames) if frames > 0 && driver.written(id, frames) => Turn::News,
                        Ok(_) => Turn::Quiet,
                        Err(error) => {
                            let told = read_last(id, stream, buffer, driver, reader);
                            driver.lost(id, Disconnect::Broken, Some(told.as_ref().unwrap_or(&error)));
                            return Turn::Gone;
                        }
                    };
                }
                if reader.answer() { read(id, stream, buffer, driver, reader).unwrap_or(turn) } else { turn }
            }
        }
    }
}

/// Reads once what can be read now, if anything.
fn read<S: AsyncRead + Unpin>(
    id: ConnectionId,
    stream: &mut S,
    buffer: &mut [u8],
    driver: &mut Driver,
    reader: &WakeFlag,
) -> Option<Turn> {
    match Pin::new(stream).poll_read(&mut reader.context(), buffer) {
        Poll::Pending => None,
        Poll::Ready(Ok(0)) => {
            driver.lost(id, Disconnect::ByPeer, None);
            Some(Turn::Gone)
        }
        Poll::Ready(Ok(count)) => {
            reader.ring(); // there may be more
            driver.handle_input(Input::Received(id, &buffer[..count]));
            Some(Turn::News)
        }
        Poll::Ready(Err(error)) => {
            driver.lost(id, Disconnect::Broken, Some(&error));
            Some(Turn::Gone)
        }
    }
}

/// Nothing can be written any more. What the other end said before is read all the same: a batch that it has acknowledged
/// would be sent again, and it may say why it hung up. That is the error, if there is one.
fn read_last<S: AsyncRead + Unpin>(
    id: ConnectionId,
    stream: &mut S,
    buffer: &mut [u8],
    driver: &mut Driver,
    reader: &WakeFlag,
) -> Option<io::Error> {
    for _ in 0..LAST_READS {
        match Pin::new(&mut *stream).poll_read(&mut reader.context(), buffer) {
            Poll::Ready(Ok(count @ 1..)) => driver.handle_input(Input::Received(id, &buffer[..count])),
            Poll::Ready(Err(error)) => return Some(error),
            Poll::Ready(Ok(0)) | Poll::Pending => break,
        }
    }
    None
}

/// Writes what can be written now. Gives the number of frames that are whole with it and flushed: TLS takes bytes before
/// they are on their way, and whoever hears that a frame is written may close the connection.
fn write<S: AsyncWrite + Unpin>(
    stream: &mut S,
    write_queue: &mut WriteQueue,
    unflushed: &mut Unflushed,
    context: &mut Context<'_>,
) -> io::Result<usize> {
    while !write_queue.is_empty() {
        match write_queue.with_slices(|slices| Pin::new(&mut *stream).poll_write_vectored(context, slices)) {
            Poll::Pending => break,
            Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(Ok(written)) => unflushed.frames += write_queue.advance(written),
            Poll::Ready(Err(error)) => return Err(error),
        }
        unflushed.any = true;
    }
    let is_due = unflushed.frames > 0 || unflushed.any && write_queue.is_empty();
    if is_due {
        if let Poll::Ready(flushed) = Pin::new(stream).poll_flush(context) {
            flushed?;
            return Ok(mem::take(unflushed).frames);
        }
    }
    Ok(0)
}

impl<S> fmt::Debug for Connections<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.each.keys()).finish()
    }
}

/// Tries one address of a broker after another, until one answers. Each has an even share of the time that is left, so
/// that one that never answers leaves some for the others.
///
/// An address that takes connections, and is silent then or no broker, is met no sooner: so the one to begin with is another
/// after each of the `failures` that [`Step::Connect`](crate::Step::Connect) tells of (as in the Java client, with
/// `client.dns.lookup=use_all_dns_ips`).
///
/// `connect` makes one attempt, which takes no longer than the time given.
///
/// # Errors
/// That of the last attempt; or there is no address.
pub async fn connect_to_any<S, F: Future<Output = io::Result<S>>>(
    mut addresses: Vec<SocketAddr>,
    until: Instant,
    failures: usize,
    connect: impl Fn(SocketAddr, Duration) -> F,
) -> io::Result<S> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let first = failures % addresses.len().max(1);
    addresses.rotate_left(first);
    for (tried, &address) in addresses.iter().enumerate() {
        let left = (addresses.len() - tried) as u32;
        let share = until.saturating_duration_since(Instant::now()) / left;
        match connect(address, share).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = io::Error::new(error.kind(), format!("{address}: {error}")),
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests;
