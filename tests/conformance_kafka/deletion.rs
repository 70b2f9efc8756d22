//! Topics that are deleted while batches for them are queued and in flight, and created again, in a real Kafka that creates none
//! itself. The batches of other topics go on.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use kafka_batch::machine::LastErrorKind;
use kafka_batch::protocol::ErrorCode;
use kafka_batch::{Delivery, DeliveryError, FailureReason, Fate, SendErrorReason, TopicPartition, Transport};
use kafka_batch_brokers::{Broker, Options};

use crate::cluster::RealTopic;
use crate::kafka::{ONE_AT_A_TIME, release};
use crate::log::batch;
use crate::setup::wanted;
use crate::subject::{Subject, Tokio, Wanted};

/// `delivery.timeout.ms`, after which batches for a topic that was deleted fail. To delete a topic and create it again takes less, also on
/// a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);
/// The batches of a partition that are on their way at a time: more than its requests in flight have.
const WINDOW: usize = 100;

#[test]
#[ignore = "needs a real broker: cargo with-kafka"]
fn a_topic_is_deleted_while_sending_and_created_again() {
    Tokio::block_on(async {
        let _turn = ONE_AT_A_TIME.lock().await;
        let config = vec![("auto.create.topics.enable".to_owned(), "false".to_owned())];
        let broker = Broker::start(release(), &Options { config, ..Options::default() }).unwrap();
        let servers = broker.address().to_string();
        let [deleted, replaced, other] = [(); 3].map(|()| RealTopic::create(servers.clone(), &[]));
        let producer = Tokio::create(Wanted { patience: PATIENCE, ..wanted(servers) });

        let is_over = Arc::new(AtomicBool::new(false));
        let of_other = Tokio::spawn(send_until(producer.clone(), other.partition(0), {
            let is_over = Arc::clone(&is_over);
            move |_| is_over.load(Ordering::SeqCst)
        }));

        replaced_while_sending(&producer, &replaced).await;
        deleted_while_sending(&producer, &deleted).await;
        is_over.store(true, Ordering::SeqCst);
        let Sent { outcomes, refused } = of_other.await;
        assert!(refused.is_none(), "{refused:?}");
        let expected: Vec<_> = (0..outcomes.len()).map(|number| number.to_string()).collect();
        let offsets = outcomes.into_iter().map(|outcome| outcome.unwrap().base_offset().unwrap());
        assert!(offsets.eq(0..expected.len() as i64), "another topic is not affected");
        assert!(other.values(0) == expected);
    });
}

type Producer = <Tokio as Subject>::Producer;

/// What became of the batches of one partition. The value of each batch is its number.
struct Sent {
    outcomes: Vec<Result<Delivery, DeliveryError>>,
    /// Why the last one was not accepted.
    refused: Option<SendErrorReason>,
}

/// Sends batches of one record to a partition, until `until` says so of their number, or one is not accepted.
async fn send_until(producer: Producer, to: TopicPartition, mut until: impl FnMut(usize) -> bool) -> Sent {
    let (mut pending, mut outcomes, mut refused) = (VecDeque::new(), Vec::new(), None);
    let mut count = 0;
    while !until(count) {
        match producer.send_batch(batch([count.to_string()]), to.clone()).await {
            Ok(accepted) => pending.push_back(accepted),
            Err(error) => {
                assert_eq!((*error.batch, error.to), (batch([count.to_string()]), to), "the caller has the batch");
                refused = Some(error.reason);
                break;
            }
        }
        count += 1;
        if pending.len() == WINDOW {
            outcomes.push(pending.pop_front().unwrap().await);
        }
    }
    for accepted in pending {
        outcomes.push(accepted.await);
    }
    Sent { outcomes, refused }
}

/// Sets a flag when it is dropped, also by a panic: the tasks that wait for it would send for ever.
struct SetOnDrop(Arc<AtomicBool>);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Starts a task for each partition that sends until `after` batches were sent since `change` has been made, by a thread that
/// begins once batches were delivered.
async fn send_during(
    producer: &Producer,
    topic: &RealTopic,
    after: usize,
    change: impl FnOnce(&RealTopic) + Send + 'static,
) -> Vec<Sent> {
    let is_changed = Arc::new(AtomicBool::new(false));
    let (are_sent, sending) = mpsc::channel();
    let tasks: Vec<_> = (0..3)
        .map(|partition| {
            let (is_changed, mut are_sent, mut last) = (Arc::clone(&is_changed), Some(are_sent.clone()), usize::MAX);
            Tokio::spawn(send_until(producer.clone(), topic.partition(partition), move |count| {
                if count == 3 * WINDOW {
                    are_sent.take().unwrap().send(()).unwrap();
                }
                if is_changed.load(Ordering::SeqCst) {
                    last = last.min(count + after);
                }
                count >= last
            }))
        })
        .collect();
    drop(are_sent);
    let changing = {
        let topic = topic.clone();
        thread::spawn(move || {
            let _is_over = SetOnDrop(is_changed);
            // Until each task has sent so many, or has ended.
            assert_eq!(sending.iter().count(), 3, "a batch was not accepted before the change");
            change(&topic);
        })
    };
    let mut all = Vec::new();
    for task in tasks {
        all.push(task.await);
    }
    changing.join().unwrap();
    all
}

/// The topic is created again at once: what is not acknowledged by the one before is written to it, once and in order. Before Produce
/// v13 requests name the topic, so that the new one may accept a request in flight although one before it was refused: then that
/// one is out of order, and whether the old topic had it is not known.
async fn replaced_while_sending(producer: &Producer, topic: &RealTopic) {
    let sent = send_during(producer, topic, 3 * WINDOW, |topic| {
        topic.delete();
        topic.create_again();
    });
    let names_topics = release().version.starts_with("3.");
    for (partition, Sent { outcomes, refused }) in (0..).zip(sent.await) {
        assert!(refused.is_none(), "{partition}: {refused:?}");
        let values: Vec<usize> = topic.values(partition).iter().map(|value| value.parse().unwrap()).collect();
        assert!(values.is_sorted_by(|one, next| one < next), "{partition}: {values:?}");
        let first = *values.first().expect("batches were sent after the replacement");
        assert!(outcomes.len() - first > 2 * WINDOW, "{partition}: from {first} of {}", outcomes.len());
        let mut failed = Vec::new();
        for (number, outcome) in outcomes.into_iter().enumerate() {
            let error = match outcome {
                Ok(delivery) => {
                    let offset = usize::try_from(delivery.base_offset().unwrap()).unwrap();
                    let found = if number < first { offset } else { values[offset] };
                    assert_eq!(found, number, "{partition}: {number} at {offset}");
                    continue;
                }
                Err(error) => error,
            };
            assert_eq!(error.fate(), Some(Fate::Unknown), "{partition}, {number}: {error}");
            let code = error.reason.broker_error().map(|error| error.code);
            assert_eq!(code, Some(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER), "{partition}, {number}: {error}");
            assert!(!values.contains(&number), "{partition}, {number}: {error}");
            failed.push(number);
        }
        let expected = if names_topics { 5 } else { 0 };
        assert!(failed.len() <= expected, "{partition}: no more than the requests in flight, and not {failed:?}");
    }
}

/// The topic is created again after each batch has its outcome: then it has none of them.
async fn deleted_while_sending(producer: &Producer, topic: &RealTopic) {
    let sent = send_during(producer, topic, 2 * WINDOW, RealTopic::delete);
    for (partition, Sent { outcomes, refused }) in (0..).zip(sent.await) {
        let mut is_delivered = true;
        for (number, outcome) in outcomes.into_iter().enumerate() {
            let error = match outcome {
                Ok(delivery) => {
                    assert!(is_delivered, "{partition}: {number} was delivered after one that was not");
                    assert_eq!(delivery.base_offset(), Some(number as i64));
                    continue;
                }
                Err(error) => error,
            };
            is_delivered = false;
            assert!(error.is_retriable() && error.remainder().is_ok(), "{partition}, {number}: {error}");
            assert!(matches!(error.fate(), Some(Fate::NotWritten | Fate::Unknown)), "{partition}, {number}: {error}");
            let FailureReason::TimedOut { cause: Some(cause), .. } = &error.reason else { panic!("{error}") };
            let last = cause.last_error.as_ref().map(|last| &last.error);
            assert!(matches!(last, Some(LastErrorKind::TopicDeleted(_))), "{partition}, {number}: {error}");
        }
        assert!(!is_delivered, "{partition}: batches were sent after the deletion");
        // It was looked up again after the first had failed.
        assert!(matches!(refused, Some(SendErrorReason::UnknownTopic { .. })), "{partition}: {refused:?}");
    }

    topic.create_again();
    for partition in 0..3 {
        assert_eq!(topic.values(partition), [""; 0], "nothing of what has failed is written later");
        let values: Vec<_> = (0..10).map(|number| number.to_string()).collect();
        let mut pending = Vec::new();
        for value in &values {
            pending.push(producer.send_batch(batch([value]), topic.partition(partition)).await.unwrap());
        }
        for (offset, pending) in (0..).zip(pending) {
            assert_eq!(pending.await.unwrap().base_offset(), Some(offset), "{partition}");
        }
        assert_eq!(topic.values(partition), values);
    }
}
