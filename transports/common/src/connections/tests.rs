use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Waker;
use std::time::Duration;

use super::*;
use crate::command_queue::CommandQueue;
use crate::driver::Step;
use crate::gathering::Gathering;
use crate::target::Target;
use crate::tls_stream::Security;
use crate::topics::TopicCache;
use kafka_batch_core::machine::MachineConfig;
use kafka_batch_core::protocol::Acks;
use log::Level;

/// A stream that accepts at most `at_once` bytes per write, and is pending at every other write. Counts its calls.
#[derive(Clone, Default)]
struct Slow(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    at_once: usize,
    full: bool,
    sent: Vec<u8>,
    /// The results of reading, in order.
    read: VecDeque<io::Result<Vec<u8>>>,
    reader: Option<Waker>,
    reads: usize,
    flushes: usize,
    /// If set, flushing is pending, with this waker.
    stuck: Option<Waker>,
    /// Writing fails.
    broken: bool,
}

impl Slow {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    fn receives(&self, what: io::Result<Vec<u8>>) {
        let mut inner = self.inner();
        inner.read.push_back(what);
        inner.reader.take().expect("the stream was polled for reading").wake();
    }
}

impl AsyncWrite for Slow {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut inner = self.inner();
        if inner.broken {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        inner.full = !inner.full;
        if inner.full {
            context.waker().wake_by_ref(); // the next write succeeds
            return Poll::Pending;
        }
        let before = inner.sent.len();
        let taken = inner.at_once;
        inner.sent.extend(slices.iter().flat_map(|slice| slice.iter()).take(taken));
        Poll::Ready(Ok(inner.sent.len() - before))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.inner();
        if let Some(waker) = &mut inner.stuck {
            waker.clone_from(context.waker());
            return Poll::Pending;
        }
        inner.flushes += 1;
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Slow {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut inner = self.inner();
        inner.reads += 1;
        match inner.read.pop_front() {
            None => {
                inner.reader = Some(context.waker().clone());
                Poll::Pending
            }
            Some(Err(error)) => Poll::Ready(Err(error)),
            Some(Ok(bytes)) => {
                buffer[..bytes.len()].copy_from_slice(&bytes);
                Poll::Ready(Ok(bytes.len()))
            }
        }
    }
}

/// Returns a driver that will connect, since a topic was requested.
fn driver() -> (Arc<CommandQueue>, Driver) {
    driver_with(Acks::All)
}

fn driver_with(acks: Acks) -> (Arc<CommandQueue>, Driver) {
    let queue = Arc::new(CommandQueue::new(
        1 << 20,
        TopicCache::new(1, Duration::from_secs(300)),
        Gathering::new(Duration::ZERO, 5),
    ));
    let mut config = MachineConfig::new([("broker", 9092)]);
    config.acks = acks;
    let mut driver = Driver::new(config, Security::Plaintext, 1, Arc::clone(&queue));
    queue.lookup_topic("t").unwrap();
    assert!(driver.poll_commands(&Context::from_waker(Waker::noop())).is_ready());
    (queue, driver)
}

fn connect(driver: &mut Driver) -> ConnectionId {
    let Step::Connect { connection, target: Target { host, port: 9092, .. }, .. } = driver.next_step() else {
        panic!("no attempt to connect")
    };
    assert_eq!(host, "broker");
    connection
}

fn poll(connections: &mut Connections<Slow>, driver: &mut Driver) -> Poll<()> {
    connections.poll(driver, &Context::from_waker(Waker::noop()))
}

#[test]
fn a_frame_is_written_in_parts_of_any_size_and_flushed_once() {
    for at_once in [1, 3, 7, 1_000] {
        let (_queue, mut driver) = driver();
        let (mut connections, stream) = (Connections::new(), Slow::default());
        stream.inner().at_once = at_once;
        let id = connect(&mut driver);
        connections.open(id, TlsConnector::PLAINTEXT, std::future::ready(Ok(Connected::new(stream.clone()))));
        assert!(poll(&mut connections, &mut driver).is_ready());
        let Step::Transmit { connection, bytes } = driver.next_step() else { panic!("no ApiVersions request") };
        let frame = bytes.concat();
        connections.transmit(connection, bytes);
        while stream.inner().flushes == 0 {
            assert!(poll(&mut connections, &mut driver).is_pending(), "a completed write is no event");
        }
        assert!(poll(&mut connections, &mut driver).is_pending());
        let inner = stream.inner();
        assert_eq!((&inner.sent, inner.flushes), (&frame, 1), "by {at_once}");
        assert_eq!(inner.reads, 1, "read without a wake-up");
    }
}

#[test]
fn a_large_frame_is_written_when_it_is_queued_and_small_ones_when_the_connection_is_polled() {
    let (_queue, mut driver) = driver();
    let (mut connections, stream) = (Connections::new(), Slow::default());
    let id = connect(&mut driver);
    connections.open(id, TlsConnector::PLAINTEXT, std::future::ready(Ok(Connected::new(stream.clone()))));
    assert!(poll(&mut connections, &mut driver).is_ready());
    stream.inner().at_once = 1 << 20;
    let (small, large) = (Bytes::from(vec![1; LARGE_FRAME - 1]), Bytes::from(vec![2; LARGE_FRAME / 2]));
    connections.transmit(id, vec![small.clone()]);
    stream.inner().full = true; // the next write succeeds
    assert_eq!(stream.inner().sent.len(), 0);
    connections.transmit(id, vec![large.clone(), large.clone()]);
    let expected = [small, large.clone(), large].concat();
    let sent = |stream: &Slow| {
        let inner = stream.inner();
        (inner.sent.clone(), inner.flushes)
    };
    assert_eq!(sent(&stream), (expected.clone(), 0));
    assert!(poll(&mut connections, &mut driver).is_pending());
    assert_eq!(sent(&stream), (expected, 1));
    // The error of a write is that of the connection.
    stream.inner().broken = true;
    connections.transmit(id, vec![Bytes::from(vec![3; LARGE_FRAME])]);
    stream.inner().broken = false;
    assert!(poll(&mut connections, &mut driver).is_ready());
    assert!(connections.each.is_empty(), "the connection is kept");
}

/// Without acks, a batch is complete once it was sent, which excludes bytes that the stream still buffers.
#[test]
fn a_frame_counts_as_written_when_it_is_flushed() {
    let (_queue, mut driver) = driver_with(Acks::None);
    let (mut connections, stream) = (Connections::new(), Slow::default());
    stream.inner().at_once = 1_000;
    stream.inner().stuck = Some(Waker::noop().clone());
    let id = connect(&mut driver);
    connections.open(id, TlsConnector::PLAINTEXT, std::future::ready(Ok(Connected::new(stream.clone()))));
    assert!(poll(&mut connections, &mut driver).is_ready());
    let Step::Transmit { connection, bytes } = driver.next_step() else { panic!("no ApiVersions request") };
    let size = bytes.concat().len();
    connections.transmit(connection, bytes);
    for _ in 0..10 {
        assert!(poll(&mut connections, &mut driver).is_pending());
    }
    assert_eq!(stream.inner().sent.len(), size, "the stream has not accepted all bytes");
    let waker = stream.inner().stuck.take().unwrap();
    waker.wake();
    assert!(poll(&mut connections, &mut driver).is_ready(), "no event after the flush");
    assert!(poll(&mut connections, &mut driver).is_pending(), "a second event");
}

#[test]
fn the_end_of_a_connection_is_an_event_and_is_logged() {
    let ends: [(io::Result<Vec<u8>>, &str); 3] = [
        (Ok(vec![]), "broker:9092: the broker closed the connection while ApiVersions v3 was unanswered; if "),
        (
            Err(io::ErrorKind::ConnectionReset.into()),
            "broker:9092: the connection failed: connection reset while ApiVersions v3 was unanswered; if ",
        ),
        (Ok(vec![0xff; 8]), "broker:9092: it answered with ff ff ff ff, which is not Kafka's protocol: correct "),
    ];
    for (end, kind) in ends {
        let lines = kafka_batch_log_capture::of_this_thread();
        let (_queue, mut driver) = driver();
        let (mut connections, stream) = (Connections::new(), Slow::default());
        let id = connect(&mut driver);
        connections.open(id, TlsConnector::PLAINTEXT, std::future::ready(Ok(Connected::new(stream.clone()))));
        assert!(poll(&mut connections, &mut driver).is_ready());
        while !matches!(driver.next_step(), Step::Wait(Some(_))) {}
        assert!(poll(&mut connections, &mut driver).is_pending());
        stream.receives(end);
        assert!(poll(&mut connections, &mut driver).is_ready());
        loop {
            match driver.next_step() {
                Step::Close(closed) => connections.close(closed),
                Step::Wait(Some(_)) => break,
                step => panic!("{step:?}"),
            }
        }
        assert!(connections.each.is_empty());
        let lines = lines.borrow();
        assert!(matches!(&lines[..], [(Level::Warn, line)] if line.starts_with(kind)), "{lines:?}");
    }
}

/// Returns a response to ApiVersions: Produce up to this version, and the other APIs that the machine needs.
fn versions(correlation: [u8; 4], produce: u8) -> Vec<u8> {
    let apis = [[0, 0, 0, 3, 0, produce, 0], [0, 3, 0, 1, 0, 5, 0], [0, 18, 0, 0, 0, 3, 0]].concat();
    let body = [&correlation[..], &[0, 0, 4], &apis, &[0; 5]].concat();
    [&(body.len() as u32).to_be_bytes()[..], &body].concat()
}

/// The broker has responded before it closed the connection.
#[test]
fn a_response_that_has_arrived_is_read_although_writing_fails() {
    let ends: [(Option<io::Result<Vec<u8>>>, &str); 3] = [
        (None, "the connection failed: broken pipe"),
        (Some(Ok(vec![])), "the connection failed: broken pipe"),
        (Some(Err(io::ErrorKind::ConnectionReset.into())), "the connection failed: connection reset"),
    ];
    for (end, kind) in ends {
        let lines = kafka_batch_log_capture::of_this_thread();
        let (queue, mut driver) = driver();
        let (mut connections, stream) = (Connections::new(), Slow::default());
        stream.inner().at_once = 1_000;
        let id = connect(&mut driver);
        connections.open(id, TlsConnector::PLAINTEXT, std::future::ready(Ok(Connected::new(stream.clone()))));
        assert!(poll(&mut connections, &mut driver).is_ready());
        let Step::Transmit { connection, bytes } = driver.next_step() else { panic!("no ApiVersions request") };
        let correlation = bytes.concat()[8..12].try_into().unwrap();
        connections.transmit(connection, bytes);
        while stream.inner().flushes == 0 {
            assert!(poll(&mut connections, &mut driver).is_pending());
        }
        let response = versions(correlation, 7);
        let (head, tail) = response.split_at(9);
        {
            let mut inner = stream.inner();
            inner.broken = true;
            inner.read.extend([head, tail].map(|part| Ok(part.to_vec())));
            inner.read.extend(end);
        }
        connections.transmit(id, vec![Bytes::from_static(b"more")]);
        assert!(poll(&mut connections, &mut driver).is_ready());
        assert!(connections.each.is_empty(), "the connection is kept");
        while !matches!(driver.next_step(), Step::Wait(_)) {}
        assert_eq!(queue.produce_version(), Some(7), "the response was not read");
        let lines = lines.borrow();
        assert!(lines.iter().any(|(_, line)| line.contains(kind)), "{kind}: {lines:?}");
    }
}

#[test]
fn the_error_of_a_failed_attempt_is_logged() {
    let lines = kafka_batch_log_capture::of_this_thread();
    let (_queue, mut driver) = driver();
    let mut connections: Connections<Slow> = Connections::new();
    let id = connect(&mut driver);
    let attempt = std::future::ready(Err(io::Error::other("no such name")));
    connections.open(id, TlsConnector::PLAINTEXT, attempt);
    assert!(poll(&mut connections, &mut driver).is_ready());
    assert!(matches!(driver.next_step(), Step::Wait(_)));
    let expected = (Level::Warn, "broker:9092: could not connect: no such name; the producer retries".to_owned());
    assert_eq!(*lines.borrow(), [expected]);
}
