//! Batches through a channel.

use std::collections::VecDeque;

use kafka_batch_core::Transport;
use kafka_batch_core::publisher::{BatchChannel, ChannelBatch, ChannelError, ChannelOutcome};

use super::*;

/// A channel, the batches that wait for it, and the outcomes so far.
pub(super) struct Sender<'a> {
    channel: Box<dyn BatchChannel + 'a>,
    queue: VecDeque<ChannelBatch>,
    pub(super) outcomes: BTreeMap<u64, ChannelOutcome>,
}

impl<'a> Sender<'a> {
    pub(super) fn new(producer: &'a Producer) -> Self {
        Self { channel: Transport::channel(producer, TOPIC), queue: VecDeque::new(), outcomes: BTreeMap::new() }
    }

    /// Queues a batch of one record, whose value is the id.
    fn push(&mut self, world: &World, id: u64, partition: i32) {
        self.push_value(world, id, partition, &id.to_string());
    }

    pub(super) fn push_value(&mut self, world: &World, id: u64, partition: i32, value: &str) {
        let mut batch = world.producer.batch();
        batch.extend([Record::new(value)]).unwrap();
        self.queue.push_back(ChannelBatch { id, partition, batch });
    }

    /// Sends up to `limit` batches, and collects outcomes.
    pub(super) fn poll(&mut self, limit: usize) -> Poll<()> {
        let mut context = Context::from_waker(Waker::noop());
        let sent = self.channel.poll_send(&mut self.queue, limit, &mut context);
        while let Poll::Ready((id, outcome)) = self.channel.poll_outcome(&mut context) {
            assert!(self.outcomes.insert(id, outcome).is_none(), "{id} has two outcomes");
        }
        sent
    }

    pub(super) fn unsent(&self) -> Vec<u64> {
        assert_eq!(self.channel.unaccepted().len(), self.channel.unaccepted_count());
        self.channel.unaccepted().into_iter().chain(self.queue.iter().map(|batch| batch.id)).collect()
    }

    pub(super) fn offset(&self, id: u64) -> Option<i64> {
        self.outcomes.get(&id)?.as_ref().ok()?.base_offset()
    }

    pub(super) fn refusal(&self, id: u64) -> &SendErrorReason {
        match &self.outcomes[&id] {
            Err(ChannelError::Send(error)) => {
                assert_eq!(error.batch.record_count(), 1);
                &error.reason
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn batches_of_a_channel_are_sent_in_order_and_after_the_messages_before_them() {
    let mut world = World::new(Duration::from_secs(3_600), 1 << 20, BatchOptions::default());
    let producer = world.producer.clone();
    let mut sender = Sender::new(&producer);
    for (id, partition) in [(7, 0), (8, 1), (9, 0)] {
        sender.push(&world, id, partition);
    }
    assert!(sender.poll(10).is_pending(), "the topic is looked up");
    assert_eq!(sender.unsent(), [7, 8, 9]);
    world.turn();
    let mut message = world.accepted(Some(0), None, "before");
    assert!(sender.poll(2).is_ready());
    assert_eq!(sender.unsent(), [9]);
    assert!(sender.poll(10).is_ready());
    world.settle();
    assert!(sender.poll(10).is_ready());
    assert_eq!((world.log(0), world.log(1)), (&["before", "7", "9"].map(String::from)[..], &["8".to_owned()][..]));
    assert_eq!([7, 8, 9].map(|id| sender.offset(id)), [Some(1), Some(0), Some(2)]);
    assert!(poll(&mut message).is_ready() && world.queue.is_idle());
}

#[test]
fn a_flush_waits_for_the_batches_of_a_channel() {
    let mut world = world();
    let producer = world.producer.clone();
    let mut sender = Sender::new(&producer);
    sender.push(&world, 0, 0);
    assert!(sender.poll(1).is_pending(), "the topic is looked up");
    world.turn();
    assert!(sender.poll(1).is_ready());
    let handle = producer.clone();
    let mut flush: Boxed<_> = Box::pin(async move { handle.flush().await });
    assert!(poll(&mut flush).is_pending(), "the batch is in flight");
    world.settle();
    assert!(matches!(poll(&mut flush), Poll::Ready(Ok(()))));
    assert_eq!(world.log(0), ["0"]);
}

#[test]
fn the_outcomes_of_a_channel_wake_its_task_once() {
    let mut world = world();
    let producer = world.producer.clone();
    let mut sender = Sender::new(&producer);
    sender.push(&world, 0, 0);
    assert!(sender.poll(1).is_pending());
    world.turn();
    (1..4).for_each(|id| sender.push(&world, id, 0));
    assert!(sender.poll(4).is_ready());
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    assert!(sender.channel.poll_outcome(&mut Context::from_waker(&waker)).is_pending());
    assert_eq!(Arc::strong_count(&woken), 3);
    world.settle();
    assert!(woken.0.load(Ordering::SeqCst));
    assert_eq!(Arc::strong_count(&woken), 2, "the waker is used once");
    assert!(sender.poll(1).is_ready());
    assert_eq!(sender.outcomes.len(), 4);
}

#[test]
fn a_channel_waits_for_memory_and_leaves_its_place_when_it_is_dropped() {
    let mut world = World::new(Duration::ZERO, 300, BatchOptions::default());
    let producer = world.producer.clone();
    let mut sender = Sender::new(&producer);
    for (id, len) in [(0, 100), (1, 200), (2, 1)] {
        sender.push_value(&world, id, 0, &id.to_string().repeat(len));
    }
    assert!(sender.poll(10).is_pending());
    world.turn();
    assert!(sender.poll(10).is_pending());
    assert_eq!(sender.unsent(), [1, 2], "a smaller one does not overtake");
    let mut behind = world.enqueue(Some(1), None, "x".repeat(200));
    assert!(poll(&mut behind).is_pending(), "in the order of the calls");
    world.settle();
    assert!(sender.poll(10).is_pending());
    assert_eq!((sender.unsent(), world.log(0).len()), (vec![2], 1));
    drop(sender);
    world.settle();
    assert_eq!(world.log(0).len(), 2, "what was accepted is sent");
    assert!(matches!(poll(&mut behind), Poll::Ready(Ok(_))), "nothing waits before it any more");
    world.settle();
    assert!(world.queue.is_idle());
}

#[test]
fn a_channel_returns_what_is_refused_and_sends_the_rest() {
    let mut world = World::new(Duration::ZERO, 1_000, BatchOptions::default());
    let producer = world.producer.clone();
    let mut sender = Sender::new(&producer);
    sender.push(&world, 0, 3);
    sender.push_value(&world, 1, 1, &"x".repeat(2_000));
    sender.queue.push_back(ChannelBatch { id: 2, partition: 1, batch: producer.batch() });
    sender.push(&world, 3, 1);
    for _ in 0..4 {
        let _ = sender.poll(10);
        world.settle();
    }
    assert!(matches!(sender.refusal(0), SendErrorReason::UnknownPartition { partition: 3, partitions: 3, .. }));
    assert!(matches!(sender.refusal(1), SendErrorReason::ExceedsBufferMemory { limit: 1_000, .. }));
    assert!(
        matches!(&sender.outcomes[&2], Err(ChannelError::Send(error)) if matches!(error.reason, SendErrorReason::Seal(_)))
    );
    assert_eq!(sender.offset(3), Some(0));
    producer.inner.queue.topics.forget(TOPIC);
    sender.push(&world, 4, 0);
    assert!(sender.poll(10).is_pending(), "a topic that was forgotten is looked up again");
    assert!(world.queue.is_idle());
}

#[test]
fn a_closed_or_stopped_producer_refuses_the_batches_of_a_channel() {
    let mut world = world();
    let producer = world.producer.clone();
    let mut sender = Sender::new(&producer);
    sender.push(&world, 0, 0);
    assert!(sender.poll(10).is_pending());
    world.turn();
    assert!(sender.poll(10).is_ready());
    world.turn();
    sender.push(&world, 1, 0);
    assert!(sender.poll(10).is_ready());
    world.driver = None;
    (2..4).for_each(|id| sender.push(&world, id, 0));
    while !sender.queue.is_empty() || sender.channel.unaccepted_count() > 0 {
        assert!(sender.poll(10).is_ready());
    }
    let fate = |id| match &sender.outcomes[&id] {
        Err(ChannelError::Delivery(error)) => (error.fate(), error.record_count(), error.to.partition),
        other => panic!("{other:?}"),
    };
    assert_eq!([fate(0), fate(1)], [(Some(Fate::Unknown), 1, 0), (Some(Fate::NotWritten), 1, 0)]);
    assert!([2, 3].iter().all(|id| matches!(sender.refusal(*id), SendErrorReason::Stopped)));

    let world = super::world();
    let producer = world.producer.clone();
    let mut sender = Sender::new(&producer);
    let handle = producer.clone();
    let mut close: Boxed<_> = Box::pin(async move { handle.close().await });
    assert!(poll(&mut close).is_pending());
    sender.push(&world, 0, 0);
    assert!(sender.poll(10).is_ready());
    assert!(matches!(sender.refusal(0), SendErrorReason::Closed));
}

#[derive(Clone, Debug)]
enum Step {
    Push(i32, usize),
    Poll(usize),
    Turn,
    Answer,
    Message(i32),
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3, 1..150_usize).prop_map(|(partition, len)| Step::Push(partition, len)),
        6 => (1..4_usize).prop_map(Step::Poll),
        3 => Just(Step::Turn),
        3 => Just(Step::Answer),
        1 => (0..3).prop_map(Step::Message),
        1 => prop::bool::weighted(0.1).prop_map(|closes| if closes { Step::Close } else { Step::Turn }),
    ]
}

proptest! {
    /// Each batch has one outcome, whatever happens, and those of a partition are written in order.
    #[test]
    fn each_batch_of_a_channel_has_one_outcome(steps in prop::collection::vec(step(), 0..60), stops in any::<bool>()) {
        let mut world = World::new(Duration::ZERO, 600, BatchOptions::default());
        let producer = world.producer.clone();
        let mut sender = Sender::new(&producer);
        let (mut messages, mut pushed) = (Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Push(partition, len) => {
                    let id = pushed.len() as u64;
                    let value = format!("{id:0>len$}");
                    sender.push_value(&world, id, partition, &value);
                    pushed.push((partition, value));
                }
                Step::Poll(limit) => drop(sender.poll(limit)),
                Step::Turn => world.turn(),
                Step::Answer => world.answer(),
                Step::Message(partition) => {
                    let mut message = world.enqueue(Some(partition), None, "message".to_owned());
                    if poll(&mut message).is_pending() {
                        messages.push(message);
                    }
                }
                Step::Close => world.queue.close_on_drop(),
            }
        }
        if stops {
            world.driver = None;
        }
        for _ in 0..2 * pushed.len() + 4 {
            let _ = sender.poll(3);
            messages.retain_mut(|message| poll(message).is_pending());
            world.settle();
        }
        drop(messages);
        let _ = sender.poll(1);
        prop_assert_eq!(sender.outcomes.len(), pushed.len(), "unsent: {:?}", sender.unsent());
        let mut last = BTreeMap::new();
        for (id, (partition, value)) in (0_u64..).zip(&pushed) {
            let at = world.log(*partition).iter().position(|logged| logged == value).map(|at| at as i64);
            match &sender.outcomes[&id] {
                Ok(delivery) => {
                    prop_assert!(at.is_some() && delivery.base_offset() == at);
                    prop_assert!(last.insert(*partition, at) < Some(at), "{} is out of order", value);
                }
                Err(ChannelError::Send(error)) => {
                    prop_assert!(at.is_none(), "{}", error);
                    prop_assert_eq!(error.batch.record_count(), 1);
                }
                Err(ChannelError::Delivery(error)) => {
                    prop_assert!(stops, "{}", error);
                    prop_assert!(error.fate() == Some(Fate::Unknown) || at.is_none());
                }
            }
        }
        drop(sender);
        prop_assert!(world.queue.is_idle(), "memory is not released");
    }
}
