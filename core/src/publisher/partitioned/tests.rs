//! The tests control the transport, the source and the clock.

mod fake;
mod pace;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use core::pin::pin;
use core::task::Waker;

use proptest::collection::vec as vec_of;
use proptest::prelude::*;

use self::fake::{Answer, Fake, Source, Time};
use super::*;
use crate::outgoing::OutgoingMessage;
use crate::partitioner::partition_for_key;
use crate::stream::PartitionedAppendError;

const LINGER: u64 = 10;

/// A key, and a number that grows.
type Sent = OutgoingMessage<'static, String>;

const KEYS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

fn message(key: &'static str, number: usize) -> Sent {
    OutgoingMessage::new(number.to_string()).key(key)
}

fn numbers(messages: &[Sent]) -> Vec<usize> {
    messages.iter().map(|message| message.message().parse().unwrap()).collect()
}

/// Polls a future that needs nothing from elsewhere.
#[track_caller]
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it is pending"),
    }
}

type Publisher<'a> = PartitionedPublisher<'a, Fake, Source<Sent>>;

fn publisher<'a>(fake: &'a Fake, source: &Source<Sent>, time: &Time) -> Publisher<'a> {
    let (clock, timer) = (time.clone(), time.clone());
    now(PartitionedPublisher::new(fake, "t", source.clone(), move || clock.millis()))
        .unwrap()
        .linger(Duration::from_millis(LINGER), move |time| timer.sleep(time))
}

/// Polls [`PartitionedPublisher::next`] once, and drops its future.
fn poll(publisher: &mut Publisher<'_>) -> Poll<Option<Outcome<Sent>>> {
    pin!(publisher.next()).poll(&mut Context::from_waker(Waker::noop()))
}

#[track_caller]
fn published(publisher: &mut Publisher<'_>) -> (i32, Vec<usize>) {
    match poll(publisher) {
        Poll::Ready(Some(Ok(published))) => {
            assert_eq!(published.delivery.record_count(), published.messages.len());
            (published.delivery.topic_partition().partition, numbers(&published.messages))
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn undelivered(publisher: &mut Publisher<'_>) -> Undelivered<Sent> {
    match poll(publisher) {
        Poll::Ready(Some(Err(undelivered))) => undelivered,
        other => panic!("{other:?}"),
    }
}

fn partition_of(key: &str, partitions: u32) -> i32 {
    partition_for_key(key.as_bytes(), NonZeroU32::new(partitions).unwrap())
}

#[test]
fn a_full_batch_is_sent_and_the_others_after_their_linger() {
    let (fake, source, time) = (Fake::new(100), Source::default(), Time::default());
    let mut publisher = publisher(&fake, &source, &time);
    assert_eq!(publisher.open().partitions().get(), 100);
    source.send([message("a", 0), message("b", 1), message("a", 2), message("a", 3)]);
    assert!(poll(&mut publisher).is_pending(), "batches have up to three records");
    time.pass(4);
    source.send([message("a", 4)]);
    assert_eq!(published(&mut publisher), (partition_of("a", 100), vec![0, 2, 3]));
    time.pass(5);
    assert!(poll(&mut publisher).is_pending());
    time.pass(1);
    assert_eq!(published(&mut publisher), (partition_of("b", 100), vec![1]));
    time.pass(3);
    assert!(poll(&mut publisher).is_pending());
    time.pass(1);
    assert_eq!(published(&mut publisher), (partition_of("a", 100), vec![4]));
    assert!(poll(&mut publisher).is_pending());
    assert!(time.timers_started() <= 3, "one timer for all batches");
}

#[test]
fn with_a_linger_of_zero_what_is_there_is_sent() {
    let (fake, source, time) = (Fake::new(1), Source::default(), Time::default());
    let mut publisher = publisher(&fake, &source, &time).linger(Duration::ZERO, |_| core::future::pending::<()>());
    source.send([message("a", 0), message("b", 1)]);
    assert_eq!(published(&mut publisher), (0, vec![0, 1]));
    assert!(poll(&mut publisher).is_pending());
}

#[test]
fn at_the_end_of_the_source_everything_is_sent_and_the_stream_ends() {
    let (fake, source, time) = (Fake::new(2), Source::default(), Time::default());
    let mut publisher = publisher(&fake, &source, &time);
    source.send(KEYS.map(|key| message(key, 7)));
    source.end();
    let mut published = 0;
    while let Poll::Ready(Some(outcome)) = poll(&mut publisher) {
        published += outcome.unwrap().messages.len();
    }
    assert_eq!(published, 6);
    assert!(matches!(poll(&mut publisher), Poll::Ready(None)));
    assert!(publisher.into_unsent().is_empty());
}

#[test]
fn a_rejected_message_is_returned_and_the_others_are_sent() {
    let (fake, source, time) = (Fake::new(1), Source::default(), Time::default());
    let mut publisher = publisher(&fake, &source, &time);
    source.send([message("a", 0), OutgoingMessage::new("x".repeat(500)), message("b", 1)]);
    let rejected = undelivered(&mut publisher);
    let too_large = |reason| {
        let UndeliveredReason::Rejected { topic, error } = reason else { return false };
        topic == "t" && matches!(error, PartitionedAppendError::Append(AppendError::TooLarge { .. }))
    };
    assert_eq!(rejected.messages[0].message().len(), 500);
    assert!(!rejected.reason.is_retriable() && too_large(rejected.reason));
    source.end();
    assert_eq!(published(&mut publisher), (0, vec![0, 1]));
}

#[test]
fn a_function_chooses_the_partition_and_a_wrong_one_is_an_error() {
    let (fake, source, time) = (Fake::new(10), Source::default(), Time::default());
    let mut publisher = publisher(&fake, &source, &time).partition_by(|message, partitions| {
        assert_eq!(partitions.get(), 10);
        message.message().parse().ok()
    });
    source.send([message("a", 3), message("a", 10), message("b", 3)]);
    let error = undelivered(&mut publisher);
    assert_eq!(numbers(&error.messages), [10]);
    assert_eq!(
        error.to_string(),
        "publishing 1 message failed: topic \"t\": partition 10 was requested, but the topic has partitions 0 to 9: request one of \
         them, or none"
    );
    time.pass(LINGER);
    assert_eq!(published(&mut publisher), (3, vec![3, 3]));
}

#[test]
fn messages_without_a_key_share_batches() {
    let (fake, source, time) = (Fake::new(10), Source::default(), Time::default());
    let mut publisher = publisher(&fake, &source, &time);
    source.send((0..9).map(|number| OutgoingMessage::new(number.to_string())));
    source.end();
    let partitions: Vec<_> = (0..3).map(|_| published(&mut publisher)).collect();
    assert_eq!(partitions.iter().map(|(_, numbers)| numbers.len()).collect::<Vec<_>>(), [3, 3, 3]);
    assert_ne!(partitions[0].0, partitions[1].0);
}

#[test]
fn failures_are_returned_with_their_messages_in_the_order_of_the_batches() {
    let (fake, source, time) = (Fake::new(1), Source::default(), Time::default());
    let mut publisher = publisher(&fake, &source, &time);
    fake.answer([Answer::Held, Answer::Refused, Answer::Failed, Answer::Delivered]);
    source.send((0..12).map(|number| message("a", number)));
    source.end();
    assert!(poll(&mut publisher).is_pending(), "the first batch has no outcome");
    assert_eq!(publisher.in_flight(), 1);
    fake.release(0);
    assert_eq!(published(&mut publisher).1, [0, 1, 2]);
    let refused = undelivered(&mut publisher);
    assert!(matches!(&refused.reason, UndeliveredReason::Send(error) if error.batch.record_count() == 3));
    assert_eq!(numbers(&refused.messages), [3, 4, 5]);
    let failed = undelivered(&mut publisher);
    assert!(matches!(&failed.reason, UndeliveredReason::Delivery(error) if error.batch.is_some()));
    assert_eq!(numbers(&failed.messages), [6, 7, 8]);
    assert_eq!(published(&mut publisher).1, [9, 10, 11]);
    assert!(matches!(poll(&mut publisher), Poll::Ready(None)));
}

#[test]
fn partitions_do_not_wait_for_each_other() {
    let (fake, source, time) = (Fake::new(100), Source::default(), Time::default());
    let mut publisher = publisher(&fake, &source, &time);
    fake.answer([Answer::Held, Answer::Delivered]);
    source.send([message("a", 0), message("b", 1)]);
    assert!(poll(&mut publisher).is_pending());
    time.pass(LINGER);
    assert_eq!(published(&mut publisher).1, [1]);
    assert!(poll(&mut publisher).is_pending());
    fake.release(0);
    assert_eq!(published(&mut publisher).1, [0]);
}

#[test]
fn under_back_pressure_the_source_waits_and_linger_does_not() {
    let (fake, source, time) = (Fake::new(100), Source::default(), Time::default());
    let mut publisher = publisher(&fake, &source, &time);
    fake.accept(false);
    source.send([message("b", 0)]);
    assert!(poll(&mut publisher).is_pending());
    time.pass(5);
    source.send((1..9).map(|number| message("a", number)));
    assert!(poll(&mut publisher).is_pending());
    assert_eq!(source.waiting(), 4, "three are in the batch that is sent, and the fourth is in the next one");
    time.pass(5);
    assert!(poll(&mut publisher).is_pending());
    assert_eq!(publisher.open().open_count(), 1, "the batch of b is due, and waits to be sent");
    time.pass(5);
    assert!(poll(&mut publisher).is_pending());
    assert_eq!((publisher.open().open_count(), source.waiting()), (0, 4));
    fake.accept(true);
    let order: Vec<_> = (0..4).map(|_| published(&mut publisher).1).collect();
    assert_eq!(order, [vec![1, 2, 3], vec![0], vec![4], vec![5, 6, 7]]);
}

#[test]
fn only_so_many_batches_are_in_flight() {
    let (fake, source, time) = (Fake::new(1), Source::default(), Time::default());
    let mut publisher = publisher(&fake, &source, &time).max_in_flight(2);
    fake.answer([Answer::Held; 8]);
    source.send((0..24).map(|number| message("a", number)));
    source.end();
    for first in 0..8 {
        assert!(poll(&mut publisher).is_pending());
        assert_eq!(fake.accepted().len(), (first + 2).min(8));
        fake.release(first);
        assert_eq!(published(&mut publisher).1[0], 3 * first);
    }
    assert!(matches!(poll(&mut publisher), Poll::Ready(None)));
}

#[test]
fn over_the_limit_of_bytes_the_oldest_batch_is_sent() {
    let (fake, source, time) = (Fake::new(100), Source::default(), Time::default());
    let mut publisher = publisher(&fake, &source, &time).max_open_bytes(250);
    source.send([message("a", 0), message("b", 1), message("c", 2)]);
    assert_eq!(published(&mut publisher).1, [0]);
    assert!(poll(&mut publisher).is_pending());
    assert_eq!(publisher.open().open_count(), 2);
}

#[test]
fn a_new_number_of_partitions_waits_until_every_batch_has_an_outcome() {
    let (fake, source, time) = (Fake::new(10), Source::default(), Time::default());
    let mut publisher = publisher(&fake, &source, &time);
    let key = *KEYS.iter().find(|key| partition_of(key, 10) != partition_of(key, 20)).unwrap();
    fake.answer([Answer::Held]);
    source.send([message(key, 0)]);
    assert!(poll(&mut publisher).is_pending());
    fake.set_partitions(20);
    time.pass(1_000);
    source.send([message(key, 1)]);
    assert!(poll(&mut publisher).is_pending());
    assert_eq!((fake.accepted().len(), source.waiting()), (1, 1), "the first batch is sent, and has no outcome");
    fake.release(0);
    assert_eq!(published(&mut publisher), (partition_of(key, 10), vec![0]));
    assert!(poll(&mut publisher).is_pending());
    time.pass(LINGER);
    assert_eq!(published(&mut publisher), (partition_of(key, 20), vec![1]));
    let lookups = fake.lookups();
    time.pass(999);
    assert!(poll(&mut publisher).is_pending());
    assert!(fake.lookups() - lookups <= 1, "once a second");
}

#[test]
fn the_topic_is_looked_up_first_and_a_failed_lookup_later_changes_nothing() {
    let (fake, source, time) = (Fake::new(0), Source::default(), Time::default());
    let error = now(PartitionedPublisher::new(&fake, "t", source.clone(), || 0)).unwrap_err();
    assert!(matches!(error, SendErrorReason::UnknownTopic { .. }), "{error}");
    fake.set_partitions(3);
    let mut publisher = publisher(&fake, &source, &time);
    fake.set_partitions(0);
    time.pass(5_000);
    source.send([message("a", 0)]);
    assert!(poll(&mut publisher).is_pending());
    time.pass(LINGER);
    assert_eq!(published(&mut publisher), (partition_of("a", 3), vec![0]));
}

#[test]
fn a_source_that_is_always_ready_does_not_keep_the_task() {
    let (fake, time) = (Fake::new(3), Time::default());
    let clock = time.clone();
    let endless = |_: &mut Context<'_>| Poll::Ready(Some(message("a", 1)));
    fake.answer(vec![Answer::Held; 100_000]);
    let publisher = PartitionedPublisher::from_poll_fn(&fake, "t", endless, move || clock.millis());
    let mut publisher = now(publisher).unwrap();
    assert!(pin!(publisher.next()).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert!(fake.accepted().len() < 2_000);
    assert!(publisher.stop().is_some());
}

/// Polls until nothing changes any more, and returns the outcomes.
fn poll_all(publisher: &mut Publisher<'_>) -> Vec<(i32, Vec<usize>)> {
    let mut outcomes = Vec::new();
    while let Poll::Ready(Some(Ok(published))) = poll(publisher) {
        outcomes.push((published.delivery.topic_partition().partition, numbers(&published.messages)));
    }
    outcomes
}

#[test]
fn the_memory_of_an_outcome_is_used_for_later_batches() {
    let (fake, source, time) = (Fake::new(1), Source::default(), Time::default());
    let mut publisher = publisher(&fake, &source, &time);
    source.send([message("a", 0), message("a", 1)]);
    assert!(poll_all(&mut publisher).is_empty());
    time.pass(LINGER);
    let Poll::Ready(Some(Ok(published))) = poll(&mut publisher) else { panic!("no outcome") };
    let memory = published.messages.as_ptr();
    source.send([message("a", 2)]);
    assert!(poll(&mut publisher).is_pending());
    publisher.recycle(published);
    time.pass(LINGER);
    source.send([message("a", 3)]);
    assert_eq!(poll_all(&mut publisher), [(0, vec![2, 3])], "those of before are not in it");
    source.send([message("a", 4)]);
    assert!(poll(&mut publisher).is_pending());
    time.pass(LINGER);
    let Poll::Ready(Some(Ok(published))) = poll(&mut publisher) else { panic!("no outcome") };
    assert_eq!((published.messages.as_ptr(), numbers(&published.messages)), (memory, vec![4]));
}

#[test]
fn stop_returns_the_source_with_its_messages() {
    let (fake, source, time) = (Fake::new(1), Source::default(), Time::default());
    let mut publisher = publisher(&fake, &source, &time);
    source.send([message("a", 0)]);
    assert!(poll(&mut publisher).is_pending());
    source.send([message("a", 1)]);
    assert!(publisher.stop().is_some() && publisher.stop().is_none());
    assert_eq!(published(&mut publisher), (0, vec![0]));
    assert!(matches!(poll(&mut publisher), Poll::Ready(None)));
    assert_eq!(source.waiting(), 1);
}

#[test]
fn messages_that_were_refused_are_unsent_also_before_that_outcome_is_returned() {
    let (fake, source, time) = (Fake::new(3), Source::default(), Time::default());
    fake.answer([Answer::Refused, Answer::Refused]);
    let mut publisher = publisher(&fake, &source, &time);
    source.send([message(KEYS[3], 0), message(KEYS[0], 1)]);
    assert!(poll(&mut publisher).is_pending());
    time.pass(LINGER);
    let Poll::Ready(Some(Err(first))) = poll(&mut publisher) else { panic!("no outcome") };
    let returned = numbers(&first.messages);
    let unsent = numbers(&publisher.into_unsent());
    assert_eq!(returned.iter().chain(&unsent).copied().collect::<BTreeSet<_>>(), BTreeSet::from([0, 1]));
    assert_eq!(unsent.len(), 1);
}

#[test]
fn a_publisher_can_be_moved_to_another_thread() {
    fn is_send<T: Send>(_: &T) {}
    let fake = Fake::new(1);
    let none = |_: &mut Context<'_>| Poll::Ready(None::<String>);
    is_send(&now(PartitionedPublisher::from_poll_fn(&fake, "t", none, || 0)).unwrap());
}

#[derive(Clone, Debug)]
enum Operation {
    Send(usize),
    Pass(u64),
    Poll,
    Accept(bool),
    Release(prop::sample::Index),
    Partitions(u32),
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        8 => (0..KEYS.len()).prop_map(Operation::Send),
        3 => prop_oneof![0..4_u64, 900..1_100_u64].prop_map(Operation::Pass),
        8 => Just(Operation::Poll),
        2 => any::<bool>().prop_map(Operation::Accept),
        4 => any::<prop::sample::Index>().prop_map(Operation::Release),
        1 => (1..5_u32).prop_map(Operation::Partitions),
    ]
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![4 => Just(Answer::Held), 3 => Just(Answer::Delivered), 1 => Just(Answer::Refused), 1 => Just(Answer::Failed)]
}

/// The outcomes so far: which messages, and in which order in each partition.
#[derive(Default)]
struct Outcomes {
    seen: BTreeSet<usize>,
    by_partition: BTreeMap<i32, Vec<usize>>,
}

impl Outcomes {
    fn add(&mut self, outcome: Outcome<Sent>) {
        let (partition, messages) = match outcome {
            Ok(published) => (published.delivery.topic_partition().partition, published.messages),
            Err(failed) => match failed.reason {
                UndeliveredReason::Send(error) => (error.to.partition, failed.messages),
                UndeliveredReason::Delivery(error) => (error.to.partition, failed.messages),
                UndeliveredReason::Rejected { error, .. } => panic!("{error}"),
            },
        };
        for number in numbers(&messages) {
            assert!(self.seen.insert(number), "{number} has two outcomes");
            self.by_partition.entry(partition).or_default().push(number);
        }
    }
}

proptest! {
    #[test]
    fn however_and_whenever_it_ends_each_message_has_one_outcome_and_keys_stay_in_order(
        operations in vec_of(operation(), 0..120),
        answers in vec_of(answer(), 200),
        at_once in any::<bool>(),
        max_in_flight in 1..6_usize,
    ) {
        let (fake, source, time) = (Fake::new(3), Source::default(), Time::default());
        fake.answer(answers);
        let mut publisher = publisher(&fake, &source, &time).max_in_flight(max_in_flight);
        let (mut outcomes, mut sent) = (Outcomes::default(), Vec::new());
        for operation in operations {
            match operation {
                Operation::Send(key) => {
                    source.send([message(KEYS[key], sent.len())]);
                    sent.push(key);
                }
                Operation::Pass(millis) => time.pass(millis),
                Operation::Poll => if let Poll::Ready(Some(outcome)) = poll(&mut publisher) {
                    outcomes.add(outcome);
                },
                Operation::Accept(accept) => fake.accept(accept),
                Operation::Release(index) => fake.release_any(|held| index.index(held)),
                Operation::Partitions(partitions) => fake.set_partitions(partitions),
            }
            prop_assert!(publisher.in_flight() <= max_in_flight);
        }
        let taken = sent.len() - source.waiting();
        if at_once {
            let unsent = numbers(&publisher.into_unsent());
            let accepted: BTreeSet<_> = fake.accepted().into_iter().flat_map(|(_, numbers)| numbers).collect();
            let unsent: BTreeSet<_> = unsent.into_iter().inspect(|number| assert!(!accepted.contains(number))).collect();
            let all = unsent.iter().chain(&accepted).chain(&outcomes.seen).copied().collect::<BTreeSet<_>>();
            prop_assert_eq!(all, (0..taken).collect());
        } else {
            prop_assert!(publisher.stop().is_some());
            fake.accept(true);
            loop {
                match poll(&mut publisher) {
                    Poll::Ready(Some(outcome)) => outcomes.add(outcome),
                    Poll::Ready(None) => break,
                    Poll::Pending => prop_assert!(fake.release_all() > 0, "nothing is in flight, and it does not end"),
                }
            }
            prop_assert_eq!(&outcomes.seen, &(0..taken).collect());
        }
        let by_partition = outcomes.by_partition.values();
        prop_assert!(by_partition.into_iter().all(|numbers| numbers.is_sorted()), "{:?}", outcomes.by_partition);
        for key in 0..KEYS.len() {
            let log = fake.accepted().into_iter().flat_map(|(_, numbers)| numbers);
            let of_key: Vec<_> = log.filter(|number| sent[*number] == key).collect();
            prop_assert!(of_key.is_sorted(), "{of_key:?}");
        }
    }
}
