//! The stream of a connection after the handshake: what is written is sealed in records of full size, and what is received is
//! read in large parts.

use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};
use futures_rustls::client;
use futures_rustls::rustls::ClientConnection;

use super::reload::UnusedFiles;
use super::{explained, of_rustls};

/// The number of bytes that are encrypted at a time, and then written by one call: six records of full size (RFC 8446, section
/// 5.1). A connection that accepts no more bytes holds this much, in addition to the batches.
///
/// Fewer and larger calls take less processor time, but rustls allocates and frees each record, and glibc by default returns
/// what exceeds 128 KiB at the end of the heap to the system: with 256 KiB, 33 page faults at each write took 40 % of the
/// processor time.
const SEALED_LEN: usize = 6 << 14;

/// The number of bytes that are read at a time.
const RECEIVED_LEN: usize = 32 << 10;

/// A TLS stream whose read errors are described. A broker that rejects the client certificate sends an alert and closes the
/// connection. In TLS 1.3 that is after our handshake, so a write may fail first, and the alert is read afterwards.
pub(crate) struct TlsStream<S> {
    pub(super) io: S,
    session: ClientConnection,
    received: Received,
    /// rustls has reported an error, which it reports again each time.
    has_failed: bool,
    /// Newer files than those that the connection uses.
    unused: Option<UnusedFiles>,
}

/// Encrypted bytes that were read, and rustls has not taken yet: it takes some only when there is room for their plaintext.
struct Received {
    buffer: Box<[u8]>,
    left: Range<usize>,
}

impl<S> TlsStream<S> {
    pub(super) fn new(stream: client::TlsStream<S>, unused: Option<UnusedFiles>) -> Self {
        let (io, mut session) = stream.into_inner();
        session.set_buffer_limit(Some(SEALED_LEN));
        let received = Received { buffer: vec![0; RECEIVED_LEN].into_boxed_slice(), left: 0..0 };
        Self { io, session, received, has_failed: false, unused }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream<S> {
    /// Writes what was encrypted before.
    fn poll_write_sealed(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut Blocking { io: &mut self.io, context }) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Passes received bytes to rustls, and reads more if there are none.
    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Received { buffer, left } = &mut self.received;
        if !self.has_failed {
            if left.start == left.end {
                *left = 0..ready!(Pin::new(&mut self.io).poll_read(context, buffer))?;
            }
            // Without bytes, this tells rustls that the stream has ended.
            left.start += self.session.read_tls(&mut &buffer[left.clone()])?;
        }
        if let Err(error) = self.session.process_new_packets() {
            self.has_failed = true;
            // There may be an alert to send. Whether that succeeds does not matter, because the connection ends anyway.
            let _ = self.poll_write_sealed(context);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        loop {
            match this.session.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // Closed without close_notify. That is an end of file here: frames have lengths, so truncation is detected.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Poll::Ready(Ok(0)),
                result => return Poll::Ready(result),
            }
            match ready!(this.poll_receive(context)) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Poll::Ready(Ok(0)),
                Err(error) if of_rustls(&error).is_some() => {
                    // What arrived before is returned first: it may be an acknowledgement.
                    return match this.session.reader().read(buffer) {
                        Ok(count @ 1..) => Poll::Ready(Ok(count)),
                        _ => Poll::Ready(Err(explained(&error, this.unused.clone()))),
                    };
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    /// Encrypts bytes, and writes as many as the stream accepts. Those of all slices share records, which have full size unless
    /// the slices end, because nothing is encrypted before everything that was encrypted earlier has been written.
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_write_sealed(context))?;
        let accepted = this.session.writer().write_vectored(slices)?;
        match this.poll_write_sealed(context) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(accepted)),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.session.writer().flush()?;
        ready!(this.poll_write_sealed(context))?;
        Pin::new(&mut this.io).poll_flush(context)
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.session.send_close_notify();
        ready!(this.poll_write_sealed(context))?;
        Pin::new(&mut this.io).poll_close(context)
    }
}

impl<S: fmt::Debug> fmt::Debug for TlsStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream").field("io", &self.io).finish_non_exhaustive()
    }
}

/// Lets rustls write to a stream: pending is `WouldBlock`.
struct Blocking<'a, 'c, S> {
    io: &'a mut S,
    context: &'a mut Context<'c>,
}

impl<S: AsyncWrite + Unpin> Write for Blocking<'_, '_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match Pin::new(&mut *self.io).poll_write_vectored(self.context, slices) {
            Poll::Ready(result) => result,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
