//! A stream of messages, published to many partitions, with each runtime's timer.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, SystemTime};

use kafka_batch::partitioner::partition_for_key;
use kafka_batch::protocol::ErrorCode;
use kafka_batch::publisher::{PartitionedPublisher, UndeliveredReason};
use kafka_batch::{BatchOptions, Record};

use crate::cluster::Cluster;
use crate::futures::poll_once;
use crate::log;
use crate::setup::Answer;
use crate::subject::{Subject, Wanted};

over_each_transport_and_to_kafka! {
    each_message_is_at_its_offset_and_keys_are_in_order
}

over_each_transport! {
    each_batch_is_sent_after_its_linger
    after_a_stop_what_was_taken_is_delivered_and_the_rest_is_in_the_source
    what_fails_is_returned_and_the_others_are_delivered
    under_back_pressure_every_message_is_delivered
}

type Message = Record<'static, String, String>;

/// Messages that become available when the case sends them; otherwise the stream is pending, and wakes nothing.
#[derive(Clone, Default)]
struct Source(Arc<Mutex<VecDeque<Option<Message>>>>);

impl Source {
    fn send(&self, messages: impl IntoIterator<Item = Message>) {
        self.0.lock().unwrap().extend(messages.into_iter().map(Some));
    }

    fn end(&self) {
        self.0.lock().unwrap().push_back(None);
    }

    fn waiting(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    fn poll(&self) -> Poll<Option<Message>> {
        self.0.lock().unwrap().pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

fn key(number: usize) -> String {
    format!("key-{}", number % 17)
}

fn messages(count: usize) -> impl Iterator<Item = Message> {
    (0..count).map(|number| Record::new(number.to_string()).key(key(number)))
}

async fn each_message_is_at_its_offset_and_keys_are_in_order<S: Subject>(cluster: Cluster) {
    let options = BatchOptions::default().batch_size(500);
    let producer = S::create(Wanted { options, ..cluster.wanted() });
    let source = Source::default();
    source.send(messages(3_000));
    source.end();
    let publisher = PartitionedPublisher::from_poll_fn(&producer, cluster.topic(), |_| source.poll(), SystemTime::now);
    let mut publisher = publisher.await.unwrap().linger(Duration::from_millis(5), S::sleep);
    let mut outcomes = Vec::new();
    while let Some(outcome) = publisher.next().await {
        outcomes.push(outcome.unwrap());
    }
    assert!(outcomes.len() > 30);
    let values = [0, 1, 2].map(|partition| log::values(cluster.log_of(partition)));
    assert_eq!(values.iter().map(Vec::len).sum::<usize>(), 3_000);
    for outcome in outcomes {
        let log = &values[outcome.delivery.topic_partition().partition as usize];
        for (position, message) in outcome.messages.iter().enumerate() {
            assert_eq!(Some(&log[outcome.delivery.offset(position).unwrap() as usize]), message.value.as_ref());
        }
    }
    for (partition, log) in values.iter().enumerate() {
        let three = 3.try_into().unwrap();
        let sent = (0..3_000).filter(|&number| partition_for_key(key(number).as_bytes(), three) == partition as i32);
        let mut sent: Vec<_> = sent.map(|number| number.to_string()).collect();
        let mut log = log.clone();
        let order = |value: &String| value.parse::<usize>().unwrap();
        for keys in 0..17 {
            let of_key: Vec<_> = log.iter().map(order).filter(|number| number % 17 == keys).collect();
            assert!(of_key.is_sorted(), "{of_key:?}");
        }
        log.sort_by_key(order);
        sent.sort_by_key(order);
        assert_eq!(log, sent);
    }
}

async fn each_batch_is_sent_after_its_linger<S: Subject>() {
    let cluster = Cluster::new();
    let producer = cluster.producer::<S>();
    let source = Source::default();
    let publisher = PartitionedPublisher::from_poll_fn(&producer, cluster.topic(), |_| source.poll(), SystemTime::now);
    let publisher = publisher.await.unwrap().partition_by(|message, _| message.value.as_ref()?.parse().ok());
    let mut publisher = publisher.linger(Duration::from_millis(1), S::sleep);
    assert!(poll_once(pin!(publisher.next())).is_pending(), "no message, and the future is dropped");
    for _ in 0..2 {
        source.send(["0", "2", "2"].map(|value| Record::new(value.to_owned()).key("k".to_owned())));
        let mut partitions = Vec::new();
        for _ in 0..2 {
            let published = publisher.next().await.unwrap().unwrap();
            partitions.push((published.delivery.topic_partition().partition, published.messages.len()));
        }
        partitions.sort_unstable();
        assert_eq!(partitions, [(0, 1), (2, 2)]);
    }
    assert_eq!((publisher.in_flight(), publisher.open().open_count()), (0, 0));
}

async fn after_a_stop_what_was_taken_is_delivered_and_the_rest_is_in_the_source<S: Subject>() {
    let cluster = Cluster::new();
    let producer = cluster.producer::<S>();
    let source = Source::default();
    source.send(messages(100));
    let publisher = PartitionedPublisher::from_poll_fn(&producer, cluster.topic(), |_| source.poll(), SystemTime::now);
    let mut publisher = publisher.await.unwrap();
    assert!(poll_once(pin!(publisher.next())).is_pending(), "no batch is full, and there is no linger");
    source.send(messages(7));
    assert!(publisher.stop().is_some());
    let mut delivered = 0;
    while let Some(outcome) = publisher.next().await {
        delivered += outcome.unwrap().messages.len();
    }
    assert_eq!((delivered, source.waiting()), (100, 7));
    assert_eq!((0..3).map(|partition| cluster.log_of(partition).len()).sum::<usize>(), 100);
}

async fn what_fails_is_returned_and_the_others_are_delivered<S: Subject>() {
    let cluster = Cluster::new();
    let producer = cluster.producer::<S>();
    cluster.answer_produce(&[Answer::Error(ErrorCode::MESSAGE_TOO_LARGE)]);
    let source = Source::default();
    let publisher = PartitionedPublisher::from_poll_fn(&producer, cluster.topic(), |_| source.poll(), SystemTime::now);
    let mut publisher = publisher.await.unwrap().linger(Duration::ZERO, S::sleep);
    source.send(messages(1));
    let failed = publisher.next().await.unwrap().unwrap_err();
    assert!(matches!(failed.reason, UndeliveredReason::Delivery(_)), "{failed}");
    assert_eq!(failed.messages[0].value.as_deref(), Some("0"));
    source.send(failed.messages);
    source.send([Record::new("x".repeat(2 << 20)).key("k".to_owned())]);
    source.end();
    let (mut published, mut rejected) = (0, 0);
    while let Some(outcome) = publisher.next().await {
        match outcome {
            Ok(outcome) => published += outcome.messages.len(),
            Err(outcome) => {
                assert!(matches!(outcome.reason, UndeliveredReason::Rejected { .. }), "{outcome}");
                rejected += outcome.messages.len();
            }
        }
    }
    assert_eq!((published, rejected), (1, 1));
}

async fn under_back_pressure_every_message_is_delivered<S: Subject>() {
    let cluster = Cluster::new();
    let options = BatchOptions::default().batch_size(500);
    let producer = S::create(Wanted { options, buffer: 2_048, ..cluster.wanted() });
    let source = Source::default();
    source.send(messages(2_000));
    source.end();
    let publisher = PartitionedPublisher::from_poll_fn(&producer, cluster.topic(), |_| source.poll(), SystemTime::now);
    let mut publisher = publisher.await.unwrap().max_in_flight(3).linger(Duration::from_millis(1), S::sleep);
    let mut delivered = 0;
    while let Some(outcome) = publisher.next().await {
        assert!(publisher.in_flight() <= 3);
        delivered += outcome.unwrap().messages.len();
    }
    assert_eq!(delivered, 2_000);
}
