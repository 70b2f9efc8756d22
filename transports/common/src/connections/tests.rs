use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Waker;

use super::*;
use crate::command_queue::CommandQueue;
use crate::driver::{Step, log_capture};
use crate::tls_stream::Security;
use crate::topics::Topics;
use kafka_batch_core::machine::ProducerConfig;
use kafka_batch_core::protocol::Acks;
use log::Level;

/// A stream that takes so many bytes at a time, and every other time none; and what became of it.
#[derive(Clone, Default)]
struct Slow(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    at_once: usize,
    full: bool,
    written: Vec<u8>,
    /// What is to be read: one after another.
    read: VecDeque<io::Result<Vec<u8>>>,
    reader: Option<Waker>,
    reads: usize,
    flushes: usize,
    /// It keeps what it has taken.
    stuck: Option<Waker>,
    /// It takes nothing any more.
    broken: bool,
}

impl Slow {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap()
    }

    fn receives(&self, what: io::Result<Vec<u8>>) {
        let mut inside = self.inside();
        inside.read.push_back(what);
        inside.reader.take().expect("somebody waits for it").wake();
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
        let mut inside = self.inside();
        if inside.broken {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        inside.full = !inside.full;
        if inside.full {
            context.waker().wake_by_ref(); // next time it is not
            return Poll::Pending;
        }
        let before = inside.written.len();
        let taken = inside.at_once;
        inside.written.extend(slices.iter().flat_map(|slice| slice.iter()).take(taken));
        Poll::Ready(Ok(inside.written.len() - before))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inside = self.inside();
        if let Some(waker) = &mut inside.stuck {
            waker.clone_from(context.waker());
            return Poll::Pending;
        }
        inside.flushes += 1;
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Slow {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut inside = self.inside();
        inside.reads += 1;
        match inside.read.pop_front() {
            None => {
                inside.reader = Some(context.waker().clone());
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

/// A driver that wants to connect, since a topic is asked for; and to whom.
fn driver() -> (Arc<CommandQueue>, Driver) {
    driver_with(Acks::All)
}

fn driver_with(acks: Acks) -> (Arc<CommandQueue>, Driver) {
    let queue = Arc::new(CommandQueue::new(1 << 20, Topics::new(1, Duration::from_secs(300))));
    let config = ProducerConfig { acks, ..ProducerConfig::new([("broker", 9092)]) };
    let mut driver = Driver::new(config, Security::Clear, 1, Arc::clone(&queue));
    queue.lookup_topic("t").unwrap();
    assert!(driver.poll_commands(&Context::from_waker(Waker::noop())).is_ready());
    (queue, driver)
}

fn connect(driver: &mut Driver) -> ConnectionId {
    let Step::Connect { connection, host, port: 9092, .. } = driver.next_step() else { panic!("it has to connect") };
    assert_eq!(host, "broker");
    connection
}

fn poll(connections: &mut Connections<Slow>, driver: &mut Driver) -> Poll<()> {
    connections.poll(driver, &Context::from_waker(Waker::noop()))
}

#[test]
fn however_little_is_written_at_once_it_is_the_frame_and_it_is_flushed_once() {
    for at_once in [1, 3, 7, 1_000] {
        let (_desk, mut driver) = driver();
        let (mut connections, stream) = (Connections::new(), Slow::default());
        stream.inside().at_once = at_once;
        let id = connect(&mut driver);
        connections.open(id, TlsConnector::CLEAR, std::future::ready(Ok(stream.clone())));
        assert!(poll(&mut connections, &mut driver).is_ready());
        let Step::Transmit { connection, bytes } = driver.next_step() else { panic!("it asks what the broker speaks") };
        let frame = bytes.concat();
        connections.transmit(connection, bytes);
        while stream.inside().flushes == 0 {
            assert!(poll(&mut connections, &mut driver).is_pending(), "that it was written is no news");
        }
        assert!(poll(&mut connections, &mut driver).is_pending());
        let inside = stream.inside();
        assert_eq!((&inside.written, inside.flushes), (&frame, 1), "by {at_once}");
        assert_eq!(inside.reads, 1, "it did not ring for reading");
    }
}

/// Without acks, to be written is the end of a batch: what the stream still keeps to itself is not written.
#[test]
fn a_frame_counts_as_written_when_it_is_flushed() {
    let (_desk, mut driver) = driver_with(Acks::None);
    let (mut connections, stream) = (Connections::new(), Slow::default());
    stream.inside().at_once = 1_000;
    stream.inside().stuck = Some(Waker::noop().clone());
    let id = connect(&mut driver);
    connections.open(id, TlsConnector::CLEAR, std::future::ready(Ok(stream.clone())));
    assert!(poll(&mut connections, &mut driver).is_ready());
    let Step::Transmit { connection, bytes } = driver.next_step() else { panic!("it asks what the broker speaks") };
    let size = bytes.concat().len();
    connections.transmit(connection, bytes);
    for _ in 0..10 {
        assert!(poll(&mut connections, &mut driver).is_pending());
    }
    assert_eq!(stream.inside().written.len(), size, "it has taken all of it");
    let waker = stream.inside().stuck.take().unwrap();
    waker.wake();
    assert!(poll(&mut connections, &mut driver).is_ready(), "now it is news");
    assert!(poll(&mut connections, &mut driver).is_pending(), "and told once");
}

#[test]
fn the_end_of_a_connection_is_news_and_another_is_made() {
    let ends: [(io::Result<Vec<u8>>, &str); 3] = [
        (Ok(vec![]), "broker:9092: the broker closed the connection while ApiVersions v3 was unanswered; if "),
        (
            Err(io::ErrorKind::ConnectionReset.into()),
            "broker:9092: the connection broke: connection reset while ApiVersions v3 was unanswered; if ",
        ),
        (Ok(vec![0xff; 8]), "broker:9092: it answered with ff ff ff ff, which is not Kafka's protocol: correct "),
    ];
    for (end, kind) in ends {
        let lines = log_capture::lines();
        let (_desk, mut driver) = driver();
        let (mut connections, stream) = (Connections::new(), Slow::default());
        let id = connect(&mut driver);
        connections.open(id, TlsConnector::CLEAR, std::future::ready(Ok(stream.clone())));
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

/// A broker's answer to what it speaks: Produce up to this version, and what else has to be there.
fn versions(correlation: [u8; 4], produce: u8) -> Vec<u8> {
    let apis = [[0, 0, 0, 3, 0, produce, 0], [0, 3, 0, 1, 0, 5, 0], [0, 18, 0, 0, 0, 3, 0]].concat();
    let body = [&correlation[..], &[0, 0, 4], &apis, &[0; 5]].concat();
    [&(body.len() as u32).to_be_bytes()[..], &body].concat()
}

/// The broker had answered when it hung up: what it said counts, although nothing more can be said to it.
#[test]
fn an_answer_that_is_there_is_read_although_writing_fails() {
    let ends: [(Option<io::Result<Vec<u8>>>, &str); 3] = [
        (None, "the connection broke: broken pipe"),
        (Some(Ok(vec![])), "the connection broke: broken pipe"),
        (Some(Err(io::ErrorKind::ConnectionReset.into())), "the connection broke: connection reset"),
    ];
    for (end, kind) in ends {
        let lines = log_capture::lines();
        let (queue, mut driver) = driver();
        let (mut connections, stream) = (Connections::new(), Slow::default());
        stream.inside().at_once = 1_000;
        let id = connect(&mut driver);
        connections.open(id, TlsConnector::CLEAR, std::future::ready(Ok(stream.clone())));
        assert!(poll(&mut connections, &mut driver).is_ready());
        let Step::Transmit { connection, bytes } = driver.next_step() else { panic!("it asks what the broker speaks") };
        let correlation = bytes.concat()[8..12].try_into().unwrap();
        connections.transmit(connection, bytes);
        while stream.inside().flushes == 0 {
            assert!(poll(&mut connections, &mut driver).is_pending());
        }
        let answer = versions(correlation, 7);
        let (head, tail) = answer.split_at(9);
        {
            let mut inside = stream.inside();
            inside.broken = true;
            inside.read.extend([head, tail].map(|part| Ok(part.to_vec())));
            inside.read.extend(end);
        }
        connections.transmit(id, vec![Bytes::from_static(b"more")]);
        assert!(poll(&mut connections, &mut driver).is_ready());
        assert!(connections.each.is_empty(), "it is lost");
        while !matches!(driver.next_step(), Step::Wait(_)) {}
        assert_eq!(queue.produce(), Some(7), "the answer was read");
        let lines = lines.borrow();
        assert!(lines.iter().any(|(_, line)| line.contains(kind)), "{kind}: {lines:?}");
    }
}

#[test]
fn an_attempt_that_fails_says_why() {
    let lines = log_capture::lines();
    let (_desk, mut driver) = driver();
    let mut connections: Connections<Slow> = Connections::new();
    let id = connect(&mut driver);
    let attempt = std::future::ready(Err(io::Error::other("no such name")));
    connections.open(id, TlsConnector::CLEAR, attempt);
    assert!(poll(&mut connections, &mut driver).is_ready());
    assert!(matches!(driver.next_step(), Step::Wait(_)));
    let expected = (Level::Warn, "broker:9092: could not connect: no such name".to_owned());
    assert_eq!(*lines.borrow(), [expected]);
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("there is nothing to wait for"),
    }
}

#[test]
fn addresses_are_tried_one_after_another_each_with_its_share_of_the_time() {
    let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let tried = RefCell::new(Vec::new());
    let until = Instant::now() + Duration::from_secs(100);
    let connect = |address: SocketAddr, limit: Duration| {
        tried.borrow_mut().push((address.port(), limit.as_secs_f64().round() as u64));
        async move { if address.port() == 3 { Ok(3) } else { Err(io::ErrorKind::TimedOut.into()) } }
    };
    assert_eq!(block_on(connect_to_any([1, 2, 3, 4].map(address).into(), until, 0, connect)).unwrap(), 3);
    assert_eq!(*tried.borrow(), [(1, 25), (2, 33), (3, 50)]);
    let error = block_on(connect_to_any([1, 2].map(address).into(), until, 0, connect)).unwrap_err();
    assert_eq!((error.kind(), error.to_string()), (io::ErrorKind::TimedOut, "127.0.0.1:2: timed out".to_owned()));
    let error = block_on(connect_to_any(vec![], until, 7, connect)).unwrap_err();
    assert_eq!(error.to_string(), "the name has no address");
}

#[test]
fn after_a_failure_another_address_is_the_first() {
    let addresses = || [1, 2, 3].map(|port| SocketAddr::from(([127, 0, 0, 1], port))).into();
    let until = Instant::now() + Duration::from_secs(100);
    let tried = RefCell::new(Vec::new());
    let connect = |address: SocketAddr, _| {
        tried.borrow_mut().push(address.port());
        async move { if address.port() == 3 { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) } }
    };
    for failures in [0, 1, 2, 3, 7] {
        block_on(connect_to_any(addresses(), until, failures, connect)).unwrap();
    }
    assert_eq!(tried.take(), [1, 2, 3, 1, 1, 2]);
}
