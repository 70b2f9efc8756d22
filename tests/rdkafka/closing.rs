//! Immediate close: what librdkafka still has is returned, and the reported fates are correct.

use std::pin::pin;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use kafka_batch::{DeliveryError, FailureReason, Fate, RdkafkaProducer, SendErrorReason};

use crate::cluster::{Cluster, t0};
use crate::consumer::{self, PATIENCE};
use crate::futures::{block_on, poll_once};
use crate::log::{batch, counted};

/// Less than `message.timeout.ms`, for which a flush would wait.
const AT_ONCE: Duration = Duration::from_secs(30);

/// Longer than any case.
const NEVER: Duration = Duration::from_secs(300);

#[track_caller]
fn close_at_once(producer: &RdkafkaProducer) {
    let started = Instant::now();
    block_on(producer.close_at_once()).unwrap();
    assert!(started.elapsed() < AT_ONCE, "{:?}", started.elapsed());
}

#[track_caller]
fn closed(error: &DeliveryError) {
    assert!(matches!(error.reason, FailureReason::Closed), "{error}");
}

#[test]
fn while_the_broker_is_down_nothing_is_written_and_every_batch_is_returned() {
    let cluster = Cluster::new();
    let producer = cluster.producer();
    block_on(block_on(producer.send_batch(batch(["before"]), t0())).unwrap()).unwrap();
    cluster.mock.broker_down(1).unwrap();
    let sizes = [1, 10, 1_000];
    let pending = sizes.map(|size| block_on(producer.send_batch(batch(counted(size)), t0())).unwrap());
    close_at_once(&producer);
    for (mut pending, size) in pending.into_iter().zip(sizes) {
        let Poll::Ready(Err(error)) = poll_once(pin!(&mut pending)) else { panic!("a completed delivery") };
        closed(&error);
        assert_eq!((error.fate(), *error.batch.unwrap()), (Some(Fate::NotWritten), batch(counted(size))));
    }
    cluster.mock.broker_up(1).unwrap();
    assert_eq!(cluster.values(), ["before"]);
}

#[test]
fn later_and_waiting_batches_are_rejected() {
    let cluster = Cluster::held();
    let producer = cluster.builder().set("queue.buffering.max.messages", "1").build().unwrap();
    let first = block_on(producer.send_batch(batch(["a"]), t0())).unwrap();
    let mut waits = Box::pin(producer.send_batch(batch(["b"]), t0()));
    assert!(poll_once(waits.as_mut()).is_pending());
    close_at_once(&producer);
    closed(&block_on(first).unwrap_err());
    for sent in [block_on(waits), block_on(producer.send_batch(batch(["b"]), t0()))] {
        let refused = sent.unwrap_err();
        assert!(matches!(refused.reason, SendErrorReason::Closed), "{refused}");
        assert_eq!(*refused.batch, batch(["b"]));
    }
    close_at_once(&producer); // a second close has no effect
    block_on(producer.close()).unwrap();
}

#[test]
fn an_immediate_close_ends_a_graceful_one() {
    let cluster = Cluster::held();
    let producer = cluster.producer();
    let pending = block_on(producer.send_batch(batch(["a"]), t0())).unwrap();
    let mut flushes = Box::pin(producer.close());
    assert!(poll_once(flushes.as_mut()).is_pending());
    close_at_once(&producer);
    assert!(poll_once(flushes.as_mut()).is_ready());
    closed(&block_on(pending).unwrap_err());
}

#[test]
fn while_others_send_each_batch_is_returned_or_rejected() {
    let cluster = Cluster::held();
    let producer = cluster.producer();
    let send = || {
        let mut pending = Vec::new();
        let refused = loop {
            match block_on(producer.send_batch(batch(["a", "b"]), t0())) {
                Ok(accepted) => pending.push(accepted),
                Err(refused) => break refused,
            }
        };
        assert!(matches!(refused.reason, SendErrorReason::Closed), "{refused}");
        for pending in pending {
            let error = block_on(pending).unwrap_err();
            closed(&error);
            assert_eq!(error.fate(), Some(Fate::NotWritten));
        }
    };
    let first = block_on(producer.send_batch(batch(["first"]), t0())).unwrap(); // so that the topic is known
    thread::scope(|scope| {
        let threads = [(); 4].map(|()| scope.spawn(send));
        close_at_once(&producer);
        for thread in threads {
            thread.join().unwrap();
        }
    });
    closed(&block_on(first).unwrap_err());
    cluster.release();
    assert_eq!(cluster.log(), []);
}

/// A broker that has a batch and has not responded. The time until a batch arrives is unknown, so the test is repeated
/// until one was in the log when its producer was closed.
#[test]
fn what_is_in_flight_may_have_been_written() {
    let cluster = Cluster::of(2);
    cluster.mock.partition_leader("t", 0, Some(1)).unwrap();
    cluster.mock.partition_leader("t", 1, Some(2)).unwrap();
    let servers = cluster.mock.bootstrap_servers();
    let (_, prompt) = servers.split_once(',').unwrap();
    let started = Instant::now();
    for attempt in 0.. {
        let producer = cluster.builder().set("linger.ms", "0").build().unwrap();
        block_on(block_on(producer.send_batch(batch(["connected"]), t0())).unwrap()).unwrap();
        cluster.mock.broker_round_trip_time(1, NEVER).unwrap();
        let value = format!("attempt {attempt}");
        let pending = block_on(producer.send_batch(batch([&value]), t0())).unwrap();
        consumer::log_of(prompt, "t", 1); // takes as long as a round trip to a broker
        close_at_once(&producer);
        let error = block_on(pending).unwrap_err();
        closed(&error);
        assert_eq!(error.batch.as_deref(), Some(&batch([&value])));
        cluster.mock.broker_round_trip_time(1, Duration::ZERO).unwrap();
        if cluster.values().contains(&value) {
            assert_eq!(error.fate(), Some(Fate::Unknown));
            return;
        }
        assert!(started.elapsed() < PATIENCE);
    }
}

/// Whatever the state of the batches at the close.
#[test]
fn the_reported_fate_of_each_record_is_correct() {
    const RECORDS: usize = 5;
    for batches in (0..200).step_by(20) {
        let cluster = Cluster::new();
        let producer = cluster.builder().set("linger.ms", "0").set("batch.num.messages", "3").build().unwrap();
        let values = |number: usize| (0..RECORDS).map(move |position| format!("{number}/{position}"));
        let send = |number| block_on(producer.send_batch(batch(values(number)), t0())).unwrap();
        let pending: Vec<_> = (0..batches).map(send).collect();
        close_at_once(&producer);
        let log = cluster.values();
        for (number, pending) in pending.into_iter().enumerate() {
            let answer = block_on(pending);
            for (position, value) in values(number).enumerate() {
                let fate = answer.as_ref().map_or_else(|error| error.fate_of(position).unwrap(), |_| Fate::Written);
                let times = log.iter().filter(|logged| **logged == value).count();
                match fate {
                    Fate::Written => assert_eq!(times, 1, "{value}"),
                    Fate::NotWritten => assert_eq!(times, 0, "{value}"),
                    Fate::Unknown => assert!(times <= 1, "{value}"),
                }
            }
        }
    }
}
