//! A value, or the end of its sender, reaches the receiver.

use std::future::poll_fn;
use std::sync::Arc;

use shuttle::thread;

use super::explore_all;
use super::task::{block_on, poll_at_most, poll_with_panicking_waker};
use crate::oneshot::{DropOutcome, Receiver, Sender};

/// The subject of a channel of values that are counted.
struct Counted(Arc<()>);

/// What was sent, and the count.
type Value = (&'static str, Arc<()>);

impl DropOutcome for Counted {
    type Outcome = Value;

    fn drop_outcome(self) -> Value {
        ("dropped", self.0)
    }
}

fn channel() -> (Sender<Counted>, Receiver<Value>, Arc<()>) {
    let count = Arc::new(());
    let (sender, receiver) = Sender::new(Counted(Arc::clone(&count)));
    (sender, receiver, count)
}

fn received(receiver: &Receiver<Value>) -> &'static str {
    block_on(poll_fn(|context| receiver.poll_take(context))).0
}

#[test]
fn a_value_is_received() {
    explore_all(|| {
        let (sender, receiver, count) = channel();
        let value = ("sent", Arc::clone(&count));
        let sending = thread::spawn(move || sender.send(value));
        assert_eq!(received(&receiver), "sent");
        sending.join().unwrap();
        assert_eq!(Arc::strong_count(&count), 1, "it was sent once");
    });
}

#[test]
fn a_dropped_sender_is_noticed() {
    explore_all(|| {
        let (sender, receiver, count) = channel();
        let sending = thread::spawn(move || drop(sender));
        assert_eq!(received(&receiver), "dropped");
        sending.join().unwrap();
        assert_eq!(Arc::strong_count(&count), 1);
    });
}

#[test]
fn a_receiver_moves_to_another_task_after_a_poll() {
    explore_all(|| {
        let (sender, receiver, count) = channel();
        let value = ("sent", count);
        let sending = thread::spawn(move || sender.send(value));
        if poll_at_most(1, poll_fn(|context| receiver.poll_take(context))).is_none() {
            let other = thread::spawn(move || assert_eq!(received(&receiver), "sent"));
            other.join().unwrap();
        }
        sending.join().unwrap();
    });
}

#[test]
fn a_receiver_is_dropped_after_any_poll() {
    explore_all(|| {
        for polls in 0..=2 {
            let (sender, receiver, count) = channel();
            let value = ("sent", Arc::clone(&count));
            let sending = thread::spawn(move || sender.send(value));
            drop(poll_at_most(polls, poll_fn(|context| receiver.poll_take(context))));
            let slot = receiver.slot();
            drop(receiver);
            sending.join().unwrap();
            assert_eq!((Arc::strong_count(&count), slot.strong_count()), (1, 0), "something was not dropped");
        }
    });
}

#[test]
fn a_panic_of_the_waker_does_not_reach_the_sender() {
    explore_all(|| {
        let (sender, receiver, count) = channel();
        let first = poll_with_panicking_waker(&mut poll_fn(|context| receiver.poll_take(context)));
        let value = ("sent", count);
        let sending = thread::spawn(move || sender.send(value));
        assert!(first.is_pending());
        assert_eq!(received(&receiver), "sent");
        sending.join().unwrap();
    });
}
