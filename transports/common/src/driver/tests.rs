use std::future::Future;
use std::pin::pin;
use std::task::Waker;
use std::time::Duration;

use super::*;
use crate::accepted::BatchOutcome;
use crate::command_queue::{BlockTimer, NotAccepted};
use crate::gathering::Gathering;
use crate::observers::Observation;
use crate::oneshot::Receiver;
use crate::topics::TopicCache;
use kafka_batch_core::{BatchOptions, Fate, Record, SealedBatch, SendErrorReason, TopicPartition};

fn queue_of(bytes: usize) -> CommandQueue {
    CommandQueue::new(bytes, TopicCache::new(1, Duration::from_secs(300)), Gathering::new(Duration::ZERO, 5))
}

fn queue_and_driver() -> (Arc<CommandQueue>, Driver) {
    let queue = Arc::new(queue_of(1 << 20));
    let config = MachineConfig::new([("broker", 9092)]);
    let driver = Driver::new(config, Security::Plaintext, 1, Arc::clone(&queue));
    (queue, driver)
}

fn context() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

fn batch() -> SealedBatch {
    let mut batch = BatchOptions::default().build(0).unwrap();
    batch.extend([Record::new("x")]).unwrap();
    batch.seal().unwrap()
}

fn send(queue: &CommandQueue) -> Receiver<BatchOutcome> {
    let to = TopicPartition::new("t", 0);
    let timer = &mut BlockTimer::new(queue);
    let sent = pin!(queue.enqueue_batch(batch(), to, Observation::default(), timer)).poll(&mut context());
    let Poll::Ready(Ok(receiver)) = sent else { panic!("not accepted") };
    receiver
}

/// The runtime's task need not run for it.
#[test]
fn a_flush_has_nothing_to_wait_for_before_anything_was_accepted() {
    let (queue, _driver) = queue_and_driver();
    assert!(queue.flush().is_none());
    let _sent = send(&queue);
    let flushed = queue.flush().expect("a batch is in flight");
    assert!(flushed.poll_take(&context()).is_pending());
}

/// As if the driver's task had panicked between two commands.
#[test]
fn futures_of_lost_commands_complete() {
    let (queue, mut driver) = queue_and_driver();
    let (sent, flushed) = (send(&queue), queue.flush().unwrap());
    let closed = queue.close(CloseMode::Graceful).unwrap();
    assert!(queue.poll_commands(&mut driver.commands, &mut None, &context()).is_ready());
    assert_eq!(driver.commands.len(), 3);
    drop(driver.commands.drain(..));
    let Poll::Ready(Err(error)) = sent.poll_take(&context()) else { panic!("the future is pending") };
    assert_eq!(
        (error.fate(), error.batch.unwrap().record_count()),
        (Some(Fate::NotWritten), 1),
        "never in the machine"
    );
    assert!(matches!(flushed.poll_take(&context()), Poll::Ready(Err(_))));
    assert!(matches!(closed.poll_take(&context()), Poll::Ready(Err(_))));
}

#[test]
fn a_dropped_driver_returns_queued_batches_as_not_written() {
    let (queue, driver) = queue_and_driver();
    let (sent, flushed) = (send(&queue), queue.flush().unwrap());
    drop(driver);
    let Poll::Ready(Err(error)) = sent.poll_take(&context()) else { panic!("the future is pending") };
    assert_eq!((error.fate(), error.batch.unwrap().record_count()), (Some(Fate::NotWritten), 1));
    assert!(matches!(error.reason, FailureReason::Stopped));
    assert!(matches!(flushed.poll_take(&context()), Poll::Ready(Err(error)) if error.outstanding == 1));
}

/// Calls `before` on a new thread, which then panics and drops the driver.
fn panics(driver: Driver, before: impl FnOnce(&mut Driver) + Send + 'static) {
    let task = thread::spawn(move || {
        let mut driver = driver;
        before(&mut driver);
        panic!("the first one");
    });
    task.join().unwrap_err();
}

/// The second panic comes from a logger while the driver stops: the machine has an event to log before those of the batches.
#[test]
fn a_task_that_panics_twice_returns_its_batches() {
    let (queue, driver) = queue_and_driver();
    let (sent, flushed) = (send(&queue), queue.flush().unwrap());
    panics(driver, |driver| {
        assert!(driver.poll_commands(&context()).is_ready());
        let Step::Connect { connection, .. } = driver.next_step() else { panic!("no attempt to connect") };
        driver.disconnected(connection, Disconnect::NotConnected, None);
        kafka_batch_log_capture::on_this_thread(|_| panic!("the second one"));
    });
    let Poll::Ready(Err(error)) = sent.poll_take(&context()) else { panic!("the future is pending") };
    assert_eq!((error.fate(), error.record_count()), (Some(Fate::NotWritten), 1));
    assert_eq!(error.remainder().unwrap().record_count(), 1);
    assert!(matches!(error.reason, FailureReason::Stopped));
    assert!(flushed.poll_take(&context()).is_ready());
}

/// As if the machine had panicked while it held the batch.
#[test]
fn a_lost_batch_is_none_and_not_empty() {
    let (queue, mut driver) = queue_and_driver();
    let sent = send(&queue);
    assert!(driver.poll_commands(&context()).is_ready());
    drop(mem::take(&mut driver.waiters));
    let Poll::Ready(Err(error)) = sent.poll_take(&context()) else { panic!("the future is pending") };
    assert_eq!((error.fate(), error.batch.is_none(), error.record_count()), (Some(Fate::Unknown), true, 1));
    assert_eq!(
        error.to_string(),
        "the batch of 1 record for t-0 failed: the producer's task has ended before the producer was closed (its runtime \
         was shut down, or it panicked): build a new producer on a running runtime (unknown, perhaps written); the batch is lost: \
         send its records again from their source"
    );
}

/// A waker is foreign code. Its panic must neither prevent other outcomes nor stop the driver.
#[test]
fn a_panic_of_a_waker_affects_no_other_future() {
    struct Panics;
    impl std::task::Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("a waker");
        }
    }
    let (queue, driver) = queue_and_driver();
    let (first, second) = (send(&queue), send(&queue));
    let waker = Waker::from(Arc::new(Panics));
    assert!(first.poll_take(&Context::from_waker(&waker)).is_pending());
    assert!(second.poll_take(&Context::from_waker(&waker)).is_pending());
    drop(driver);
    for sent in [first, second] {
        let Poll::Ready(Err(error)) = sent.poll_take(&context()) else { panic!("the future is pending") };
        assert!(error.batch.is_some());
    }
}

/// Returns the next step other than `Wait`, and advances the time where the driver waits.
fn next_action(driver: &mut Driver) -> Step {
    loop {
        match driver.next_step() {
            Step::Wait(Some(at)) => driver.started -= at.saturating_duration_since(Instant::now()),
            step => return step,
        }
    }
}

/// An address may accept connections and then be silent, or close them: that has to count as a failure as well.
#[test]
fn a_connection_that_ends_before_it_is_ready_counts_as_a_failure() {
    let (queue, mut driver) = queue_and_driver();
    for expected in 0..6 {
        queue.lookup_topic("t").unwrap(); // again, in case the last lookup has timed out
        assert!(driver.poll_commands(&context()).is_ready());
        let Step::Connect { connection, target: Target { failures, .. }, .. } = next_action(&mut driver) else {
            panic!("no attempt to connect")
        };
        assert_eq!(failures, expected);
        match expected % 3 {
            0 => driver.disconnected(connection, Disconnect::NotConnected, None),
            1 => {
                driver.handle_input(Input::Connected(connection));
                assert!(matches!(next_action(&mut driver), Step::Transmit { .. }));
                driver.disconnected(connection, Disconnect::ByPeer, None);
            }
            _ => {
                driver.handle_input(Input::Connected(connection));
                assert!(matches!(next_action(&mut driver), Step::Transmit { .. }));
                assert!(matches!(next_action(&mut driver), Step::Close(closed) if closed == connection), "silence");
            }
        }
    }
}

#[test]
fn a_future_that_is_kept_and_not_polled_does_not_block_others() {
    let size = batch().size();
    let queue = queue_of(2 * size);
    let (_first, _second) = (send(&queue), send(&queue));
    let send_next = async || {
        let to = TopicPartition::new("t", 0);
        queue.enqueue_batch(batch(), to, Observation::default(), &mut BlockTimer::new(&queue)).await
    };
    let (mut kept, mut next, mut last) = (pin!(send_next()), pin!(send_next()), pin!(send_next()));
    assert!(kept.as_mut().poll(&mut context()).is_pending());
    assert!(next.as_mut().poll(&mut context()).is_pending());
    assert!(last.as_mut().poll(&mut context()).is_pending());
    queue.release(command_queue::permits(&batch()));
    queue.release(command_queue::permits(&batch()));
    assert!(matches!(next.poll(&mut context()), Poll::Ready(Ok(_))));
    assert!(last.as_mut().poll(&mut context()).is_pending(), "the future that is not polled holds its share");
    queue.close(CloseMode::Graceful);
    for refused in [kept.poll(&mut context()), last.poll(&mut context())] {
        let Poll::Ready(Err(NotAccepted { reason: SendErrorReason::Closed, batch, .. })) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(batch.record_count(), 1, "the batch is in the error");
    }
}
