//! A stream of keyed messages, published to many partitions in the simulation: each message has one outcome, which is true, and
//! the messages of a key are in order.

use std::collections::BTreeMap;
use std::future::Future as _;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use kafka_batch_core::Record;
use kafka_batch_core::publisher::{PartitionedPublisher, UndeliveredReason};
use kafka_batch_simulated::{FaultIntensity, Simulation, Sleep, World};
use kafka_batch_testing::Topic;

const MESSAGES: usize = 60;
const KEYS: usize = 7;

type Message = Record<'static, String, String>;

fn message(number: usize) -> Message {
    Record::new(number.to_string()).key(format!("key {}", number % KEYS))
}

fn number(message: &Message) -> usize {
    message.value.as_ref().expect("each has one").parse().expect("a number")
}

/// Returns a source of messages that come at random times.
fn source(world: &World) -> impl FnMut(&mut Context<'_>) -> Poll<Option<Message>> {
    let (world, mut next, mut pause) = (world.clone(), 0..MESSAGES, None::<Sleep>);
    move |context| {
        if let Some(sleep) = &mut pause {
            std::task::ready!(pin!(sleep).poll(context));
            pause = None;
        }
        let number = next.next();
        if world.random() % 4 == 0 {
            pause = Some(world.sleep(Duration::from_millis(world.random() % 50)));
        }
        Poll::Ready(number.map(message))
    }
}

/// The outcome of each message: its partition and offset, if it was published; whether it may be in the log otherwise.
#[derive(Default)]
struct Outcomes {
    /// The offset is not known if a later batch of the partition has proved that the message is in the log.
    published: BTreeMap<usize, (i32, Option<i64>)>,
    undelivered: BTreeMap<usize, bool>,
}

async fn publish(world: &World) -> Outcomes {
    let mut outcomes = Outcomes::default();
    let producer = world.producer();
    let publisher = PartitionedPublisher::from_poll_fn(&producer, "orders", source(world), world.clock());
    let Ok(publisher) = publisher.await else { return outcomes }; // no broker has responded
    let mut publisher = publisher.linger(Duration::from_millis(5), world.timer()).max_in_flight(4);
    while let Some(outcome) = publisher.next().await {
        match outcome {
            Ok(published) => {
                for (position, message) in published.messages.iter().enumerate() {
                    let partition = published.delivery.topic_partition().partition;
                    let offset = published.delivery.offset(position);
                    let before = outcomes.published.insert(number(message), (partition, offset));
                    assert_eq!(before, None, "one outcome for each message");
                }
            }
            Err(failed) => {
                let maybe_written = matches!(
                    &failed.reason,
                    UndeliveredReason::Delivery(error) if error.may_have_been_written()
                );
                for message in &failed.messages {
                    assert_eq!(outcomes.undelivered.insert(number(message), maybe_written), None, "one outcome each");
                }
            }
        }
    }
    assert_eq!(outcomes.published.len() + outcomes.undelivered.len(), MESSAGES);
    outcomes
}

#[test]
fn each_message_of_a_keyed_stream_has_one_true_outcome_and_keys_are_in_order() {
    let simulation = Simulation::new().topic(Topic::new("orders").partitions(4)).faults(FaultIntensity::Normal);
    let counts = std::rc::Rc::new(std::cell::Cell::new([0, 0]));
    let of_runs = std::rc::Rc::clone(&counts);
    simulation.check(0..150, move |world| {
        let counts = std::rc::Rc::clone(&of_runs);
        async move {
            let Outcomes { published, undelivered } = publish(&world).await;
            let [delivered, failed] = counts.get();
            counts.set([delivered + published.len(), failed + undelivered.len()]);
            let logs = world.cluster().logs("orders");
            let stored: Vec<Vec<usize>> = logs
                .iter()
                .map(|log| {
                    log.values().expect("readable").iter().map(|value| value.parse().expect("a number")).collect()
                })
                .collect();
            let times_in = |log: &[usize], number| log.iter().filter(|stored| **stored == number).count();
            for (number, (partition, offset)) in &published {
                let log = &stored[*partition as usize];
                assert_eq!(times_in(log, *number), 1, "{number} is in the log once");
                assert!(offset.is_none_or(|offset| log[offset as usize] == *number), "at its offset");
            }
            for (number, maybe_written) in &undelivered {
                let times: usize = stored.iter().map(|log| times_in(log, *number)).sum();
                assert!(times <= usize::from(*maybe_written), "{number} is in the log");
            }
            for log in &stored {
                for key in 0..KEYS {
                    let of_key: Vec<_> = log.iter().filter(|number| *number % KEYS == key).collect();
                    assert!(of_key.is_sorted(), "key {key}: {of_key:?}");
                }
            }
        }
    });
    let [delivered, failed] = counts.get();
    assert!(delivered > 5_000 && failed > 0, "{delivered} delivered, {failed} failed");
}
