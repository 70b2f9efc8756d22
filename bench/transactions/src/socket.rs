//! When each request of a producer is written, and when its response is read: a connector that looks at the bytes of its
//! sockets.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use futures_io::{AsyncRead, AsyncWrite};
use kafka_batch::transports::common::Connector;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::net::TcpStream;

/// What was seen of one request.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    pub api: i16,
    /// Its first byte was passed to the socket.
    pub begun: Instant,
    /// The last byte of its response was read.
    pub answered: Instant,
}

/// The requests that were answered since they were taken last.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Vec<Request>>>);

impl Log {
    pub fn take(&self) -> Vec<Request> {
        std::mem::take(&mut *self.0.lock().expect("nothing panics while it is locked"))
    }
}

/// Connects over TCP, and logs the requests.
pub struct Logging(pub Log);

impl Connector for Logging {
    type Stream = LoggedStream;

    async fn connect(&self, host: &str, port: u16) -> io::Result<LoggedStream> {
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        Ok(LoggedStream {
            stream,
            log: self.0.clone(),
            written: Frames::default(),
            read: Frames::default(),
            in_flight: HashMap::new(),
        })
    }
}

/// A stream whose frames are logged.
pub struct LoggedStream {
    stream: TcpStream,
    log: Log,
    written: Frames,
    read: Frames,
    /// By correlation id.
    in_flight: HashMap<i32, (i16, Instant)>,
}

/// Finds the frames in a stream of bytes, as far as their first bytes.
#[derive(Default)]
struct Frames {
    head: Vec<u8>,
    /// How many bytes of the frame are still to come, once its length is known.
    left: Option<usize>,
    begun: Option<Instant>,
}

/// A request's header has its length, API, version, and correlation id in these bytes.
const HEAD: usize = 12;

impl Frames {
    /// Passes the first bytes of each frame that ends in `bytes` to `frame`, and when the frame began.
    fn feed(&mut self, mut bytes: &[u8], now: Instant, mut frame: impl FnMut(&[u8], Instant)) {
        while !bytes.is_empty() {
            let begun = *self.begun.get_or_insert(now);
            match self.left {
                None => {
                    self.head.push(bytes[0]);
                    bytes = &bytes[1..];
                    if let [a, b, c, d] = self.head[..] {
                        self.left = Some(u32::from_be_bytes([a, b, c, d]) as usize);
                    }
                }
                Some(left) => {
                    let here = left.min(bytes.len());
                    let more = HEAD.saturating_sub(self.head.len()).min(here);
                    self.head.extend_from_slice(&bytes[..more]);
                    bytes = &bytes[here..];
                    self.left = Some(left - here);
                }
            }
            if self.left == Some(0) {
                frame(&self.head, begun);
                *self = Self::default();
            }
        }
    }
}

impl LoggedStream {
    fn on_written(&mut self, bytes: &[u8]) {
        let now = Instant::now();
        let Self { written, in_flight, .. } = self;
        written.feed(bytes, now, |head, begun| {
            if let [_, _, _, _, k1, k2, _, _, c1, c2, c3, c4] = *head {
                let api = i16::from_be_bytes([k1, k2]);
                in_flight.insert(i32::from_be_bytes([c1, c2, c3, c4]), (api, begun));
            }
        });
    }

    fn on_read(&mut self, bytes: &[u8]) {
        let now = Instant::now();
        let Self { read, in_flight, log, .. } = self;
        read.feed(bytes, now, |head, _| {
            let Some(&[c1, c2, c3, c4]) = head.get(4..8).and_then(|id| id.first_chunk()) else { return };
            if let Some((api, begun)) = in_flight.remove(&i32::from_be_bytes([c1, c2, c3, c4])) {
                log.0.lock().expect("nothing panics while it is locked").push(Request { api, begun, answered: now });
            }
        });
    }
}

impl AsyncRead for LoggedStream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let mut buffer = ReadBuf::new(into);
        ready!(Pin::new(&mut this.stream).poll_read(context, &mut buffer))?;
        let read = buffer.filled().len();
        this.on_read(&into[..read]);
        Poll::Ready(Ok(read))
    }
}

impl AsyncWrite for LoggedStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.stream).poll_write(context, bytes))?;
        this.on_written(&bytes[..written]);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.stream).poll_write_vectored(context, slices))?;
        let mut left = written;
        for slice in slices {
            let here = left.min(slice.len());
            this.on_written(&slice[..here]);
            left -= here;
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
