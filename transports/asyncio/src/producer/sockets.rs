//! Writing to a connection without TLS: from here, with vectored writes, so that a batch is not copied into a Python object first.
//!
//! The event loop owns the socket, connects it and reads from it; this is a duplicate of its descriptor. When the socket is full,
//! the event loop's transport writes the next bytes, since it waits for sockets that are full; after them, writing continues here.

use std::io::{self, ErrorKind};

use bytes::Bytes;
use kafka_batch_core::machine::WriteQueue;
use pyo3::prelude::*;
use socket2::Socket;

/// The number of bytes for which the transport waits when the socket is full. They are copied.
const MAX_OVERFLOW: usize = 64 * 1024;

/// The number of bytes from which writing takes so long that other threads may run Python code meanwhile.
const LONG_WRITE: usize = 64 * 1024;

/// The frames that are to be written to a socket.
pub(super) struct SocketWriter {
    socket: Socket,
    queue: WriteQueue,
    /// The bytes of the queue.
    queued: usize,
    /// The bytes at the front of the queue that the transport has got.
    overflow: usize,
}

/// How far a queue was written.
#[derive(Default)]
pub(super) struct Flushed {
    /// The number of frames that were completed.
    pub(super) frames: usize,
    /// Bytes for the transport, because the socket is full.
    pub(super) overflow: Option<Vec<u8>>,
}

impl SocketWriter {
    /// Creates a socket, and returns the descriptor for the event loop, which has to close it. Returns `None` on systems whose
    /// sockets are no descriptors.
    ///
    /// # Errors
    /// The operating system has no more sockets.
    pub(super) fn open(is_ipv6: bool) -> io::Result<Option<(Self, i32)>> {
        #[cfg(unix)]
        {
            use std::os::fd::IntoRawFd;

            use socket2::{Domain, Protocol, Type};

            let domain = if is_ipv6 { Domain::IPV6 } else { Domain::IPV4 };
            let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
            socket.set_nonblocking(true)?;
            socket.set_tcp_nodelay(true)?;
            let descriptor = socket.try_clone()?.into_raw_fd();
            Ok(Some((Self { socket, queue: WriteQueue::new(), queued: 0, overflow: 0 }, descriptor)))
        }
        #[cfg(not(unix))]
        {
            let _ = is_ipv6;
            Ok(None)
        }
    }

    pub(super) fn push(&mut self, frame: Vec<Bytes>) {
        self.queued += frame.iter().map(Bytes::len).sum::<usize>();
        self.queue.push(frame);
    }

    /// Writes as much as the socket takes. Has no effect while the transport has bytes.
    ///
    /// # Errors
    /// The connection is broken.
    pub(super) fn flush(&mut self, py: Python<'_>) -> io::Result<Flushed> {
        if self.queued >= LONG_WRITE { py.detach(|| self.flush_now()) } else { self.flush_now() }
    }

    fn flush_now(&mut self) -> io::Result<Flushed> {
        let mut flushed = Flushed::default();
        while self.overflow == 0 && self.queued > 0 {
            match self.queue.with_slices(|slices| self.socket.send_vectored(slices)) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => flushed.frames += self.advance(written),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let next = self.queue.chunk();
                    let next = &next[..next.len().min(MAX_OVERFLOW)];
                    self.overflow = next.len();
                    flushed.overflow = Some(next.to_vec());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(flushed)
    }

    /// Records that the transport has written what it got. Returns the number of frames that were completed by that.
    pub(super) fn overflow_written(&mut self) -> usize {
        let written = std::mem::take(&mut self.overflow);
        self.advance(written)
    }

    fn advance(&mut self, written: usize) -> usize {
        self.queued -= written;
        self.queue.advance(written)
    }
}
