//! A transport whose outcomes the test sets, a source and a clock.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::mem;
use core::num::NonZeroU32;
use core::pin::Pin;
use core::str;
use core::sync::atomic::{AtomicU64, Ordering};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
#[expect(clippy::disallowed_types, reason = "a transport is shared among threads")]
use std::sync::Mutex;

use futures_core::Stream;

use crate::batch::{BatchOptions, KafkaBatch};
use crate::delivery::Delivery;
use crate::failure::{DeliveryError, FailureReason, Fate};
use crate::record::TopicPartition;
use crate::send_error::{FlushError, SendError, SendErrorReason};
use crate::transport::{Capabilities, Transport};

/// The outcome of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Delivered,
    /// Delivered when the test releases it.
    Held,
    Failed,
    /// Not accepted.
    Refused,
}

#[expect(clippy::disallowed_types, reason = "a transport is shared among threads")]
type Shared<T> = Arc<Mutex<T>>;

/// Uses the answers in order; without one, a batch is delivered.
#[derive(Clone)]
pub(super) struct Fake(Shared<State>);

#[derive(Default)]
struct State {
    partitions: u32,
    lookups: usize,
    is_full: bool,
    answers: VecDeque<Answer>,
    /// Each accepted batch: its partition and the values of its records.
    accepted: Vec<(i32, Vec<usize>)>,
    /// The accepted batches without an outcome, by their position in `accepted`.
    held: Vec<usize>,
    wakers: Vec<Waker>,
}

impl Fake {
    /// Creates a transport to a topic with this many partitions; 0 if it does not exist.
    pub(super) fn new(partitions: u32) -> Self {
        Self(Shared::new(State { partitions, ..State::default() }.into()))
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap())
    }

    /// Changes the state, and wakes all that wait for it.
    fn change<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let (result, wakers) = self.with(|state| (act(state), mem::take(&mut state.wakers)));
        wakers.into_iter().for_each(Waker::wake);
        result
    }

    pub(super) fn answer(&self, answers: impl IntoIterator<Item = Answer>) {
        self.with(|state| state.answers.extend(answers));
    }

    pub(super) fn accept(&self, accept: bool) {
        self.change(|state| state.is_full = !accept);
    }

    pub(super) fn set_partitions(&self, partitions: u32) {
        self.with(|state| state.partitions = partitions);
    }

    pub(super) fn lookups(&self) -> usize {
        self.with(|state| state.lookups)
    }

    pub(super) fn accepted(&self) -> Vec<(i32, Vec<usize>)> {
        self.with(|state| state.accepted.clone())
    }

    /// Delivers a batch that is held, by its position among the accepted ones.
    pub(super) fn release(&self, accepted: usize) {
        self.change(|state| state.held.retain(|held| *held != accepted));
    }

    /// Delivers one of the batches that are held, if there are any.
    pub(super) fn release_any(&self, choose: impl FnOnce(usize) -> usize) {
        self.change(|state| {
            if !state.held.is_empty() {
                let chosen = choose(state.held.len());
                state.held.remove(chosen);
            }
        });
    }

    /// Returns how many there were.
    pub(super) fn release_all(&self) -> usize {
        self.change(|state| state.held.drain(..).count())
    }
}

fn numbers(batch: &KafkaBatch) -> Vec<usize> {
    let values = batch.records().map(|record| str::from_utf8(record.value.unwrap()).unwrap().parse().unwrap());
    values.collect()
}

impl Transport for Fake {
    type Pending = Pin<alloc::boxed::Box<dyn Future<Output = Result<Delivery, DeliveryError>> + Send>>;

    fn capabilities(&self) -> Capabilities {
        Capabilities::new(true)
    }

    fn batch(&self) -> KafkaBatch {
        BatchOptions::default().batch_size(300).max_message_bytes(400).max_records(3).build(0).unwrap()
    }

    async fn partition_count(&self, topic: &str) -> Result<NonZeroU32, SendErrorReason> {
        let partitions = self.with(|state| {
            state.lookups += 1;
            state.partitions
        });
        NonZeroU32::new(partitions).ok_or_else(|| SendErrorReason::UnknownTopic { topic: String::from(topic) })
    }

    async fn pick_partition(&self, _: &str) -> Result<i32, SendErrorReason> {
        Ok(0)
    }

    async fn send_batch(&self, batch: KafkaBatch, to: TopicPartition) -> Result<Self::Pending, SendError> {
        let (answer, position) = poll_fn(|context| {
            self.with(|state| {
                if state.is_full {
                    state.wakers.push(context.waker().clone());
                    return Poll::Pending;
                }
                let answer = state.answers.pop_front().unwrap_or(Answer::Delivered);
                let position = state.accepted.len();
                if answer != Answer::Refused {
                    state.accepted.push((to.partition, numbers(&batch)));
                }
                if answer == Answer::Held {
                    state.held.push(position);
                }
                Poll::Ready((answer, position))
            })
        })
        .await;
        if answer == Answer::Refused {
            return Err(SendError::new(to, SendErrorReason::Closed, batch));
        }
        let transport = self.clone();
        Ok(alloc::boxed::Box::pin(async move {
            poll_fn(|context| {
                transport.with(|state| {
                    if state.held.contains(&position) {
                        state.wakers.push(context.waker().clone());
                        return Poll::Pending;
                    }
                    Poll::Ready(())
                })
            })
            .await;
            if answer == Answer::Failed {
                return Err(DeliveryError::new(to, FailureReason::Closed, Fate::Unknown, batch));
            }
            let offsets = (0..batch.record_count() as i64).collect();
            Ok(Delivery::from_offsets(to, offsets, batch))
        }))
    }

    async fn flush(&self) -> Result<(), FlushError> {
        Ok(())
    }

    async fn close(&self) -> Result<(), FlushError> {
        Ok(())
    }

    async fn close_at_once(&self) -> Result<(), FlushError> {
        Ok(())
    }
}

/// A source whose messages the test sends.
#[derive(Clone)]
pub(super) struct Source<M>(Shared<(VecDeque<M>, bool)>);

impl<M> Default for Source<M> {
    fn default() -> Self {
        Self(Shared::new((VecDeque::new(), false).into()))
    }
}

impl<M> Source<M> {
    pub(super) fn send(&self, messages: impl IntoIterator<Item = M>) {
        self.0.lock().unwrap().0.extend(messages);
    }

    pub(super) fn end(&self) {
        self.0.lock().unwrap().1 = true;
    }

    pub(super) fn waiting(&self) -> usize {
        self.0.lock().unwrap().0.len()
    }
}

impl<M> Stream for Source<M> {
    type Item = M;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<M>> {
        let mut state = self.0.lock().unwrap();
        match state.0.pop_front() {
            None if !state.1 => Poll::Pending,
            message => Poll::Ready(message),
        }
    }
}

/// A clock that only the test advances, in milliseconds.
#[derive(Clone, Default)]
pub(super) struct Time {
    millis: Arc<AtomicU64>,
    timers: Arc<AtomicU64>,
}

impl Time {
    pub(super) fn millis(&self) -> i64 {
        self.millis.load(Ordering::Relaxed) as i64
    }

    pub(super) fn pass(&self, millis: u64) {
        self.millis.fetch_add(millis, Ordering::Relaxed);
    }

    pub(super) fn timers_started(&self) -> u64 {
        self.timers.load(Ordering::Relaxed)
    }

    pub(super) fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send + use<> {
        self.timers.fetch_add(1, Ordering::Relaxed);
        let (clock, until) = (self.clone(), self.millis() + time.as_millis() as i64);
        poll_fn(move |_| if clock.millis() >= until { Poll::Ready(()) } else { Poll::Pending })
    }
}
