//! A [`Connector`] whose connections lose a response.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use kafka_batch::transports::tokio::{Connector, TokioStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Loses the first response to Produce: when it arrives, its connection breaks.
#[derive(Default)]
pub(crate) struct Losing {
    /// Whether a response was lost.
    pub(crate) has_lost: Arc<AtomicBool>,
}

impl Connector for Losing {
    type Stream = TokioStream<LosingStream>;

    async fn connect(&self, host: &str, port: u16) -> io::Result<Self::Stream> {
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        let (has_lost, sent) = (Arc::clone(&self.has_lost), Requests::default());
        Ok(TokioStream::new(LosingStream { stream, has_lost, sent }))
    }
}

pub(crate) struct LosingStream {
    stream: TcpStream,
    has_lost: Arc<AtomicBool>,
    sent: Requests,
}

/// The requests in what was written.
#[derive(Default)]
struct Requests {
    /// The first bytes of the present request: its length and its API key.
    head: Vec<u8>,
    /// How many bytes of it follow.
    left: usize,
    has_produce: bool,
}

impl Requests {
    /// The length, and the API key, which is a part of the request.
    const HEAD: usize = 6;

    fn written(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let passed = self.left.min(bytes.len());
            (self.left, bytes) = (self.left - passed, &bytes[passed..]);
            let (head, rest) = bytes.split_at(bytes.len().min(Self::HEAD - self.head.len()));
            self.head.extend(head);
            bytes = rest;
            if let [a, b, c, d, api @ ..] = &self.head[..] {
                if let [0, 0] | [_, _] = api {
                    self.has_produce |= *api == [0, 0];
                    self.left = u32::from_be_bytes([*a, *b, *c, *d]) as usize - api.len();
                    self.head.clear();
                }
            }
        }
    }
}

impl AsyncRead for LosingStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let is_answered = self.sent.has_produce && buffer.filled().len() > before;
        if is_answered && !self.has_lost.swap(true, Ordering::Relaxed) {
            buffer.set_filled(before);
            return Poll::Ready(Err(ErrorKind::ConnectionReset.into()));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for LosingStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
        self.sent.written(&bytes[..written]);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
