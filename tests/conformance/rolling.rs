//! Batches from a stream, sent as they are completed, with each runtime's timer.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use kafka_batch::stream::BatchStream;
use kafka_batch::{AppendError, BatchOptions, Transport};

use crate::cluster::Cluster;
use crate::futures::poll_once;
use crate::log::counted;
use crate::subject::{Subject, Wanted};

over_each_transport_and_to_kafka! {
    each_message_has_the_offset_in_its_batch
}

over_each_transport! {
    a_batch_is_sent_after_its_linger
    a_message_that_fits_into_no_batch_is_returned_and_the_others_are_sent
}

/// Messages that become available when the case sends them; otherwise the stream is pending, and wakes nothing.
#[derive(Clone, Default)]
struct Source(Arc<Mutex<VecDeque<Option<String>>>>);

impl Source {
    fn send<M: AsRef<str>>(&self, messages: &[M]) {
        self.0.lock().unwrap().extend(messages.iter().map(|message| Some(message.as_ref().to_owned())));
    }

    fn end(&self) {
        self.0.lock().unwrap().push_back(None);
    }

    fn poll(&self) -> Poll<Option<String>> {
        self.0.lock().unwrap().pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

async fn each_message_has_the_offset_in_its_batch<S: Subject>(cluster: Cluster) {
    let options = BatchOptions::default().batch_size(500);
    let producer = S::create(Wanted { options, ..cluster.wanted() });
    let source = Source::default();
    source.send(&counted(1_000));
    source.end();
    let mut batches = BatchStream::from_poll_fn(|_| source.poll(), producer.batch(), std::time::SystemTime::now);
    let mut on_their_way = Vec::new();
    while let Some(rolled) = batches.next().await {
        let rolled = rolled.unwrap();
        assert_eq!(rolled.number, on_their_way.len() as u64);
        let pending = producer.send_batch(rolled.batch, cluster.partition(0)).await.unwrap();
        on_their_way.push((rolled.messages, pending));
    }
    assert!(on_their_way.len() > 10);
    producer.flush().await.unwrap();
    let values = cluster.values();
    assert_eq!(values, counted(1_000));
    for (messages, pending) in on_their_way {
        let delivery = pending.await.unwrap();
        assert_eq!(delivery.record_count(), messages.len());
        for (position, message) in messages.iter().enumerate() {
            assert_eq!(&values[delivery.offset(position).unwrap() as usize], message);
        }
    }
}

async fn a_batch_is_sent_after_its_linger<S: Subject>() {
    let cluster = Cluster::new();
    let producer = cluster.producer::<S>();
    let source = Source::default();
    let mut batches = BatchStream::from_poll_fn(|_| source.poll(), producer.batch(), std::time::SystemTime::now)
        .linger(Duration::from_millis(1), S::sleep);
    assert!(poll_once(pin!(batches.next())).is_pending(), "no message, and the future is dropped");
    for (number, messages) in [["a", "b"], ["c", "d"]].into_iter().enumerate() {
        source.send(&messages);
        let rolled = batches.next().await.unwrap().unwrap();
        assert_eq!((rolled.number, &rolled.messages[..]), (number as u64, &messages.map(str::to_owned)[..]));
        producer.send_batch(rolled.batch, cluster.partition(0)).await.unwrap().await.unwrap();
    }
    assert_eq!(cluster.values(), ["a", "b", "c", "d"]);
}

async fn a_message_that_fits_into_no_batch_is_returned_and_the_others_are_sent<S: Subject>() {
    let cluster = Cluster::new();
    let options = BatchOptions::default().max_message_bytes(500);
    let producer = S::create(Wanted { options, ..cluster.wanted() });
    let (source, large) = (Source::default(), "x".repeat(1_000));
    source.send(&["a", &large, "b"]);
    source.end();
    let mut batches = BatchStream::from_poll_fn(|_| source.poll(), producer.batch(), std::time::SystemTime::now);
    let rejected = batches.next().await.unwrap().unwrap_err();
    assert!(matches!(rejected.error, AppendError::TooLarge { limit: 500, .. }), "{rejected}");
    assert_eq!(rejected.message, large);
    let last = batches.next().await.unwrap().unwrap();
    assert_eq!(last.messages, ["a", "b"]);
    producer.send_batch(last.batch, cluster.partition(0)).await.unwrap().await.unwrap();
    assert!(batches.next().await.is_none());
    assert_eq!(cluster.values(), ["a", "b"]);
}
