//! Connections, independent of the runtime: each is read and written as far as possible without blocking.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_io::{AsyncRead, AsyncWrite};
use kafka_batch_core::machine::{ConnectionId, Disconnect, Input, WriteQueue};

use crate::connect::Connected;
use crate::driver::Driver;
use crate::tls_stream::{MaybeTlsStream, TlsConnector};
use crate::wake_flag::{TaskWaker, WakeFlag};

/// The connections of one driver, over streams of any runtime.
///
/// One task polls all of them: received bytes go from one shared buffer to the machine directly, without messages between
/// tasks. Only connections whose waker was called are polled. The machine bounds the memory, since it limits the requests in
/// flight (`max.in.flight.requests.per.connection`). Requests are queued here without copying; TLS encrypts them into
/// buffers of its own, 96 KiB at a time.
pub(crate) struct Connections<S> {
    each: BTreeMap<ConnectionId, Connection<S>>,
    buffer: Box<[u8]>,
    task: TaskWaker,
}

/// The size of the read buffer in bytes.
const BUFFER: usize = 64 * 1024;

/// From this size in bytes on, a frame is written when it is queued: the broker receives it while the next ones are stamped and
/// encoded, and writing it alone costs little. Smaller ones share a write.
const LARGE_FRAME: usize = 64 * 1024;

/// The maximum number of reads from a broken connection. It exceeds what the receive buffers of sockets hold, and bounds the
/// loop.
const LAST_READS: usize = 1_024;

type Connecting<S> = Pin<Box<dyn Future<Output = io::Result<MaybeTlsStream<S>>> + Send>>;

struct Connection<S> {
    state: State<S>,
    /// Set if the stream may be readable, or the attempt to connect can make progress.
    reader: WakeFlag,
    /// Set if the stream may be writable, or a frame was queued.
    writer: WakeFlag,
}

enum State<S> {
    Connecting(Connecting<S>),
    Open {
        stream: MaybeTlsStream<S>,
        write_queue: WriteQueue,
        unflushed: Unflushed,
        /// The error of writing a large frame, until the connection is polled.
        write_error: Option<io::Error>,
    },
}

/// What was written to a stream that may still buffer it.
#[derive(Clone, Copy, Default)]
struct Unflushed {
    /// Whether any bytes were written.
    any: bool,
    /// The number of frames that were completed.
    frames: usize,
}

/// The result of polling a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ConnectionPoll {
    /// The machine got no event.
    None,
    /// The machine got an event.
    Event,
    /// The machine got an event: the connection has ended.
    Ended,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connections<S> {
    /// Returns an empty set of connections.
    pub(crate) fn new() -> Self {
        Self { each: BTreeMap::new(), buffer: vec![0; BUFFER].into_boxed_slice(), task: TaskWaker::new() }
    }

    /// Adds a connection, for [`Step::Connect`](crate::driver::Step::Connect). Polls `attempt`, and then performs the TLS handshake
    /// over its stream, if `tls` has TLS.
    pub(crate) fn open(
        &mut self,
        connection: ConnectionId,
        tls: TlsConnector,
        attempt: impl Future<Output = io::Result<Connected<S>>> + Send + 'static,
    ) where
        S: Send + 'static,
    {
        let state = State::Connecting(Box::pin(async {
            let Connected { stream, canonical_name } = attempt.await?;
            tls.named(canonical_name).connect(stream).await
        }));
        let (reader, writer) = (WakeFlag::new(&self.task), WakeFlag::new(&self.task));
        self.each.insert(connection, Connection { state, reader, writer });
    }

    /// Queues a frame to be written, for [`Step::Transmit`](crate::driver::Step::Transmit). A large one is written as far as
    /// possible without blocking.
    pub(crate) fn transmit(&mut self, connection: ConnectionId, bytes: Vec<Bytes>) {
        let Some(Connection { state, writer, .. }) = self.each.get_mut(&connection) else { return };
        let State::Open { stream, write_queue, unflushed, write_error } = state else { return };
        let size: usize = bytes.iter().map(Bytes::len).sum();
        write_queue.push(bytes);
        if size >= LARGE_FRAME && write_error.is_none() {
            *write_error = write_queued(stream, write_queue, unflushed, &mut writer.context()).err();
        }
        writer.set();
    }

    /// Drops the connection, or the attempt to connect, for [`Step::Close`](crate::driver::Step::Close).
    pub(crate) fn close(&mut self, connection: ConnectionId) {
        self.each.remove(&connection);
    }

    /// Connects, writes and reads as far as possible without blocking, and passes events to the driver. Ready if there were
    /// any: then call [`Driver::next_step`].
    pub(crate) fn poll(&mut self, driver: &mut Driver, context: &Context<'_>) -> Poll<()> {
        let mut has_events = false;
        let Self { each, buffer, task } = self;
        task.register(context.waker());
        each.retain(|&id, connection| {
            let polled = connection.poll(id, buffer, driver);
            has_events |= polled != ConnectionPoll::None;
            polled != ConnectionPoll::Ended
        });
        if has_events { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    fn poll(&mut self, id: ConnectionId, buffer: &mut [u8], driver: &mut Driver) -> ConnectionPoll {
        let Self { state, reader, writer } = self;
        match state {
            State::Connecting(attempt) => {
                if !reader.take() {
                    return ConnectionPoll::None;
                }
                match attempt.as_mut().poll(&mut reader.context()) {
                    Poll::Pending => ConnectionPoll::None,
                    Poll::Ready(Ok(stream)) => {
                        *state = State::Open {
                            stream,
                            write_queue: WriteQueue::default(),
                            unflushed: Unflushed::default(),
                            write_error: None,
                        };
                        reader.set(); // the stream has not been polled yet
                        driver.handle_input(Input::Connected(id));
                        ConnectionPoll::Event
                    }
                    Poll::Ready(Err(error)) => {
                        driver.disconnected(id, Disconnect::NotConnected, Some(error));
                        ConnectionPoll::Ended
                    }
                }
            }
            State::Open { stream, write_queue, unflushed, write_error } => {
                let mut polled = ConnectionPoll::None;
                if writer.take() {
                    let failed = write_error.take().map_or(Ok(()), Err);
                    let written = failed.and_then(|()| write(stream, write_queue, unflushed, &mut writer.context()));
                    polled = match written {
                        Ok(frames) if frames > 0 && driver.transmitted(id, frames) => ConnectionPoll::Event,
                        Ok(_) => ConnectionPoll::None,
                        Err(error) => {
                            let read_error = read_last(id, stream, buffer, driver, reader);
                            driver.disconnected(id, Disconnect::Broken, Some(read_error.unwrap_or(error)));
                            return ConnectionPoll::Ended;
                        }
                    };
                }
                if reader.take() { read(id, stream, buffer, driver, reader).unwrap_or(polled) } else { polled }
            }
        }
    }
}

/// Reads once. `None` if there is nothing to read.
fn read<S: AsyncRead + Unpin>(
    id: ConnectionId,
    stream: &mut S,
    buffer: &mut [u8],
    driver: &mut Driver,
    reader: &WakeFlag,
) -> Option<ConnectionPoll> {
    match Pin::new(stream).poll_read(&mut reader.context(), buffer) {
        Poll::Pending => None,
        Poll::Ready(Ok(0)) => {
            driver.disconnected(id, Disconnect::ByPeer, None);
            Some(ConnectionPoll::Ended)
        }
        Poll::Ready(Ok(count)) => {
            reader.set(); // there may be more
            driver.handle_input(Input::Received(id, &buffer[..count]));
            Some(ConnectionPoll::Event)
        }
        Poll::Ready(Err(error)) => {
            driver.disconnected(id, Disconnect::Broken, Some(error));
            Some(ConnectionPoll::Ended)
        }
    }
}

/// Reads what is left after a write has failed: a batch whose acknowledgement has arrived must not be sent again, and the
/// broker may have sent a TLS alert with the reason. Returns the error of reading, if there was one.
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

/// Writes what is queued, as much as possible.
fn write_queued<S: AsyncWrite + Unpin>(
    stream: &mut S,
    write_queue: &mut WriteQueue,
    unflushed: &mut Unflushed,
    context: &mut Context<'_>,
) -> io::Result<()> {
    while !write_queue.is_empty() {
        match write_queue.with_slices(|slices| Pin::new(&mut *stream).poll_write_vectored(context, slices)) {
            Poll::Pending => break,
            Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(Ok(count)) => unflushed.frames += write_queue.advance(count),
            Poll::Ready(Err(error)) => return Err(error),
        }
        unflushed.any = true;
    }
    Ok(())
}

/// Writes as much as possible. Returns the number of frames that are completely sent, that is, written and flushed. TLS
/// buffers bytes before it sends them, and the machine may close the connection once a frame counts as sent.
fn write<S: AsyncWrite + Unpin>(
    stream: &mut S,
    write_queue: &mut WriteQueue,
    unflushed: &mut Unflushed,
    context: &mut Context<'_>,
) -> io::Result<usize> {
    write_queued(stream, write_queue, unflushed, context)?;
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

#[cfg(test)]
mod tests;
