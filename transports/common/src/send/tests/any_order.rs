//! Messages and batches in any order, with cancelling, flushing, and each way to end.

use super::*;

#[derive(Clone, Debug)]
enum Operation {
    /// To a partition, or by key, or to any.
    Send(Option<i32>, Option<&'static str>, usize),
    SendBatch(i32),
    Turn,
    Answer,
    /// Drops a message that is not accepted yet, or the handle of one that is.
    Cancel(prop::sample::Index, bool),
    Flush,
}

fn operation() -> impl Strategy<Value = Operation> {
    let key = prop::option::of(prop::sample::select(vec!["a", "b", "c", "d"]));
    prop_oneof![
        8 => (prop::option::of(0..3), key, 1..120_usize).prop_map(|(to, key, len)| Operation::Send(to, key, len)),
        2 => (0..3).prop_map(Operation::SendBatch),
        3 => Just(Operation::Turn),
        3 => Just(Operation::Answer),
        2 => any::<(prop::sample::Index, bool)>().prop_map(|(index, waits)| Operation::Cancel(index, waits)),
        1 => Just(Operation::Flush),
    ]
}

/// A call that is not accepted yet.
enum Call {
    Message(String, Boxed<Result<PendingRecord, EnqueueError>>),
    Batch(i32, String, Boxed<Option<Pending>>),
}

/// What was accepted: its value, and the handle, unless that was dropped.
enum Accepted {
    Message(String, i32, Option<PendingRecord>),
    Batch(String, i32, Pending),
}

#[derive(Default)]
struct Calls {
    waiting: Vec<Call>,
    accepted: Vec<Accepted>,
    /// By partition, in the order of acceptance.
    order: BTreeMap<i32, Vec<String>>,
}

impl Calls {
    fn poll(&mut self) {
        for call in mem::take(&mut self.waiting) {
            let (accepted, partition, value) = match call {
                Call::Message(value, mut future) => match poll(&mut future) {
                    Poll::Pending => {
                        self.waiting.push(Call::Message(value, future));
                        continue;
                    }
                    Poll::Ready(Err(_)) => continue, // it was closed
                    Poll::Ready(Ok(pending)) => {
                        let partition = pending.topic_partition().partition;
                        (Accepted::Message(value.clone(), partition, Some(pending)), partition, value)
                    }
                },
                Call::Batch(partition, value, mut future) => match poll(&mut future) {
                    Poll::Pending => {
                        self.waiting.push(Call::Batch(partition, value, future));
                        continue;
                    }
                    Poll::Ready(None) => continue,
                    Poll::Ready(Some(pending)) => {
                        (Accepted::Batch(value.clone(), partition, pending), partition, value)
                    }
                },
            };
            self.accepted.push(accepted);
            self.order.entry(partition).or_default().push(value);
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum End {
    Close,
    CloseAtOnce,
    DropHandle,
    DropDriver,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Each accepted message and batch has exactly one outcome, which agrees with the log; the log of each partition has them
    /// in the order of acceptance; and all memory is released.
    #[test]
    fn each_has_one_outcome_and_keeps_its_place(
        operations in prop::collection::vec(operation(), 1..80),
        lingers in any::<bool>(),
        buffer in prop::sample::select(vec![400, 1_500, 1 << 20]),
        end in prop::sample::select(vec![End::Close, End::CloseAtOnce, End::DropHandle, End::DropDriver]),
    ) {
        let linger = if lingers { Duration::from_secs(3_600) } else { Duration::ZERO };
        let mut world = World::new(linger, buffer, BatchOptions::default().batch_size(300));
        let mut calls = Calls::default();
        let mut flushes: Vec<Boxed<_>> = Vec::new();
        for (number, operation) in operations.into_iter().enumerate() {
            match operation {
                Operation::Send(to, key, len) => {
                    let value = format!("{number:0>len$}");
                    calls.waiting.push(Call::Message(value.clone(), world.enqueue(to, key, value)));
                }
                Operation::SendBatch(partition) => {
                    let value = number.to_string();
                    calls.waiting.push(Call::Batch(partition, value.clone(), world.send_batch(partition, value)));
                }
                Operation::Turn => world.turn(),
                Operation::Answer => world.answer(),
                Operation::Cancel(index, true) if !calls.waiting.is_empty() => {
                    drop(calls.waiting.remove(index.index(calls.waiting.len())));
                }
                Operation::Cancel(index, false) if !calls.accepted.is_empty() => {
                    let at = index.index(calls.accepted.len());
                    if let Accepted::Message(_, _, pending) = &mut calls.accepted[at] {
                        drop(pending.take());
                    }
                }
                Operation::Cancel(..) => {}
                Operation::Flush => {
                    let producer = world.producer.clone();
                    let mut flush: Boxed<_> = Box::pin(async move { producer.flush().await });
                    if poll(&mut flush).is_pending() {
                        flushes.push(flush);
                    }
                }
            }
            calls.poll();
        }
        let handle = world.producer.clone();
        let mut close: Option<Boxed<_>> = match end {
            End::Close => Some(Box::pin(async move { handle.close().await })),
            End::CloseAtOnce => Some(Box::pin(async move { handle.close_at_once().await })),
            End::DropHandle => {
                world.queue.close_on_drop();
                None
            }
            End::DropDriver => {
                world.driver = None;
                None
            }
        };
        let is_closed = close.as_mut().map(|close| poll(close).is_ready());
        world.settle();
        calls.poll();
        prop_assert!(calls.waiting.is_empty(), "a call waits for ever");
        prop_assert!(world.driver.is_none(), "the driver has not ended");
        if let (Some(false), Some(mut close)) = (is_closed, close) {
            prop_assert!(poll(&mut close).is_ready());
        }
        for mut flush in flushes {
            prop_assert!(poll(&mut flush).is_ready());
        }
        for (partition, log) in &world.broker.logs {
            let mut order = calls.order.get(partition).into_iter().flatten();
            for value in log {
                prop_assert!(order.any(|accepted| accepted == value), "{value} is out of order in {partition}");
            }
        }
        let is_orderly = matches!(end, End::Close | End::DropHandle);
        for accepted in &mut calls.accepted {
            let (outcome, value, partition) = match accepted {
                Accepted::Message(_, _, None) => continue,
                Accepted::Message(value, partition, Some(pending)) => match poll(pending) {
                    Poll::Ready(Ok(delivery)) => (Ok(delivery.offset), value, *partition),
                    Poll::Ready(Err(error)) => (Err(error.fate), value, *partition),
                    Poll::Pending => panic!("{value} has no outcome"),
                },
                Accepted::Batch(value, partition, pending) => match poll(pending) {
                    Poll::Ready(Ok(delivery)) => (Ok(delivery.offset(0)), value, *partition),
                    Poll::Ready(Err(error)) => (Err(error.fate().unwrap()), value, *partition),
                    Poll::Pending => panic!("{value} has no outcome"),
                },
            };
            let at = world.log(partition).iter().position(|logged| logged == value).map(|at| at as i64);
            match outcome {
                Ok(offset) => prop_assert!(at.is_some() && offset == at, "{value} is at {at:?}, not {offset:?}"),
                Err(fate) => {
                    prop_assert!(!is_orderly, "{value} failed");
                    prop_assert!(fate == Fate::Unknown || at.is_none(), "{value} is written");
                }
            }
        }
        if is_orderly {
            let accepted: usize = calls.order.values().map(Vec::len).sum();
            let logged: usize = world.broker.logs.values().map(Vec::len).sum();
            prop_assert_eq!(logged, accepted, "what was accepted is sent, also if its handle was dropped");
        }
        prop_assert!(world.queue.is_idle(), "memory is not released");
    }
}
