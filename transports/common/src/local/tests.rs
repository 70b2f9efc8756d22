//! A runtime of one thread over async-io, whose futures are not `Send`.

use std::io::{Read, Write};
use std::iter;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::task::Waker;
use std::time::Duration;

use async_io::{Async, block_on};
use kafka_batch_core::{FailureReason, KafkaBatch, Record, TopicPartition};
use kafka_batch_testing::{ApiKey, Direction, Fault, FaultKind, TestCluster};

use super::*;
use crate::local_runtime::LocalProducerTask;
use crate::{Producer, ProducerBuilder};

enum Local {}

impl LocalRuntime for Local {
    type Reader = Rc<Async<TcpStream>>;
    type Writer = Rc<Async<TcpStream>>;

    async fn resolve(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok((host, port).to_socket_addrs()?.collect())
    }

    async fn connect(address: SocketAddr) -> io::Result<(Self::Reader, Self::Writer)> {
        let stream = Rc::new(Async::<TcpStream>::connect(address).await?);
        Ok((stream.clone(), stream))
    }

    async fn read(stream: &mut Self::Reader, mut buffer: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        buffer.resize(buffer.capacity(), 0);
        let read = stream.read_with(|mut stream| stream.read(&mut buffer)).await;
        (read, buffer)
    }

    async fn write(stream: &mut Self::Writer, segments: Vec<Bytes>) -> io::Result<()> {
        for mut segment in segments {
            while !segment.is_empty() {
                let written = stream.write_with(|mut stream| stream.write(&segment)).await?;
                segment = segment.slice(written..);
            }
        }
        Ok(())
    }

    async fn sleep_until(deadline: Instant) {
        async_io::Timer::at(deadline).await;
    }
}

fn build(cluster: &TestCluster, settings: &[(&str, &str)]) -> (Producer, LocalProducerTask) {
    let builder = ProducerBuilder::<Local>::new().set("bootstrap.servers", cluster.bootstrap_servers());
    let builder = settings.iter().fold(builder, |builder, (name, value)| builder.set(*name, *value));
    builder.build_local().unwrap()
}

/// Runs a future beside the producer's task.
fn run_beside<T>(task: &mut LocalProducerTask, future: impl Future<Output = T>) -> T {
    let (mut future, mut has_ended) = (pin!(future), false);
    block_on(poll_fn(|context| {
        if !has_ended {
            has_ended = task.as_mut().poll(context).is_ready();
        }
        future.as_mut().poll(context)
    }))
}

fn batch(producer: &Producer, value: &str) -> KafkaBatch {
    let mut batch = producer.batch();
    batch.extend([Record::new(value)]).unwrap();
    batch
}

#[test]
fn batches_survive_lost_connections() {
    for acks in ["all", "0"] {
        let cluster = TestCluster::builder().brokers(2).topic("t").start().unwrap();
        let (producer, mut task) = build(&cluster, &[("acks", acks)]);
        run_beside(&mut task, async {
            for number in 0..20 {
                if number % 7 == 3 && acks == "all" {
                    for broker in 1..=2 {
                        cluster.cut_after(broker, Direction::ToBroker, 100);
                    }
                }
                let accepted = producer.send_batch(batch(&producer, &number.to_string()), TopicPartition::new("t", 0));
                accepted.await.unwrap().await.unwrap();
            }
            producer.close().await.unwrap();
        });
        let log = cluster.wait_for_records("t", 0, 20, Duration::from_secs(20)).unwrap();
        assert_eq!(log.values().unwrap(), (0..20).map(|number| number.to_string()).collect::<Vec<_>>(), "{acks}");
    }
}

#[test]
fn the_task_ends_with_the_producer() {
    let cluster = TestCluster::start();
    let (producer, mut task) = build(&cluster, &[]);
    run_beside(&mut task, producer.close()).unwrap();
    let (producer, task) = build(&cluster, &[]);
    drop(producer);
    block_on(task);
}

#[test]
fn a_dropped_task_fails_what_is_in_flight() {
    let cluster = TestCluster::builder().topic("t").start().unwrap();
    cluster.inject(Fault::new(FaultKind::DelayResponse(Duration::MAX)).api(ApiKey::Produce));
    let (producer, mut task) = build(&cluster, &[]);
    let pending = run_beside(&mut task, async {
        let pending = producer.send_batch(batch(&producer, "x"), TopicPartition::new("t", 0)).await.unwrap();
        // Polled until the broker has the batch.
        poll_fn(|context| {
            context.waker().wake_by_ref();
            let log = cluster.wait_for_records("t", 0, 1, Duration::from_millis(1));
            if log.is_some() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        Some(pending)
    });
    drop(task);
    let error = block_on(pending.unwrap()).unwrap_err();
    assert!(matches!(error.reason, FailureReason::Stopped), "{error}");
    assert!(error.may_have_been_written(), "{error}");
}

#[test]
fn deadlines_are_kept() {
    let cluster = TestCluster::builder().topic("t").start().unwrap();
    cluster.remove_leader("t", 0);
    let (producer, mut task) = build(&cluster, &[("delivery.timeout.ms", "300"), ("request.timeout.ms", "200")]);
    let error = run_beside(&mut task, async {
        let accepted = producer.send_batch(batch(&producer, "x"), TopicPartition::new("t", 0)).await.unwrap();
        accepted.await.unwrap_err().to_string()
    });
    assert!(error.contains("delivery.timeout.ms (300)"), "{error}");
}

/// Takes what one operation is to write: the number of frames, and of segments.
fn take(output: &Output) -> Option<(usize, usize)> {
    let taken = pin!(output.take()).poll(&mut Context::from_waker(Waker::noop()));
    match taken {
        Poll::Ready((frames, segments)) => Some((frames, segments.len())),
        Poll::Pending => None,
    }
}

#[test]
fn an_operation_owns_few_frames_if_they_are_large_or_of_many_segments() {
    let output = Output::default();
    for length in [100 << 10, 100 << 10, 100 << 10, 1 << 20, 1, 1] {
        output.push(vec![Bytes::from_static(b"header"), Bytes::from(vec![0; length])]);
    }
    assert_eq!(iter::from_fn(|| take(&output)).collect::<Vec<_>>(), [(2, 4), (1, 2), (1, 2), (2, 4)]);
    for segments in [600, 424, 1, 2_500, 3] {
        output.push(vec![Bytes::from_static(b"x"); segments]);
    }
    assert_eq!(iter::from_fn(|| take(&output)).collect::<Vec<_>>(), [(2, 1_024), (1, 1), (1, 2_500), (1, 3)]);
}

/// A runtime that only writes: `Writer` is the list of operations.
enum Recording {}

impl LocalRuntime for Recording {
    type Reader = ();
    type Writer = Vec<Vec<Bytes>>;

    async fn resolve(_: String, _: u16) -> io::Result<Vec<SocketAddr>> {
        unreachable!("it only writes")
    }

    async fn connect(_: SocketAddr) -> io::Result<(Self::Reader, Self::Writer)> {
        unreachable!("it only writes")
    }

    async fn read((): &mut (), _: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        unreachable!("it only writes")
    }

    async fn write(operations: &mut Self::Writer, segments: Vec<Bytes>) -> io::Result<()> {
        operations.push(segments);
        Ok(())
    }

    async fn sleep_until(_: Instant) {
        unreachable!("it only writes")
    }
}

/// Linux refuses a vectored write of more.
#[test]
fn an_operation_has_at_most_1024_segments() {
    let segments: Vec<Bytes> = (0..2_500_u32).map(|number| Bytes::from(number.to_be_bytes().to_vec())).collect();
    let mut operations = Vec::new();
    block_on(write::<Recording>(&mut operations, segments.clone())).unwrap();
    assert_eq!(operations.iter().map(Vec::len).collect::<Vec<_>>(), [1_024, 1_024, 452]);
    assert_eq!(operations.concat(), segments);
}

#[test]
fn tls_is_refused() {
    for (protocol, more) in [("ssl", &[][..]), ("sasl_ssl", &[("sasl.username", "a"), ("sasl.password", "b")])] {
        let builder =
            ProducerBuilder::<Local>::new().set("bootstrap.servers", "a:1").set("security.protocol", protocol);
        let builder = more.iter().fold(builder, |builder, (name, value)| builder.set(*name, *value));
        let builder = if more.is_empty() { builder } else { builder.set("sasl.mechanism", "PLAIN") };
        let error = builder.build_local().map(drop).unwrap_err().to_string();
        assert!(error.starts_with(&format!("security.protocol = \"{protocol}\": there is no TLS")), "{error}");
    }
}
