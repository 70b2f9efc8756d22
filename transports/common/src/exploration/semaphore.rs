//! Permits are granted within the limit, to every waiter that is still there.

use std::future::{Future, poll_fn};
use std::sync::Arc;

use shuttle::thread;

use super::task::{block_on, poll_at_most, poll_with_panicking_waker};
use super::{any_of, explore};
use crate::semaphore::{Acquisition, HasSemaphore, Permits, Semaphore};
use crate::sync::{Mutex, lock, wake};

const LIMIT: Permits = Permits { records: 3, bytes: 30 };
/// More than the limit, which one may have alone.
const HUGE: Permits = Permits { records: 1, bytes: 31 };

struct State {
    semaphore: Semaphore,
    is_closed: bool,
    /// What was acquired and not released, counted without the semaphore.
    held: Permits,
    holders: usize,
}

impl HasSemaphore for State {
    fn semaphore(&mut self) -> &mut Semaphore {
        &mut self.semaphore
    }
}

/// The error of a semaphore that is closed.
#[derive(Debug)]
struct Closed;

#[derive(Clone)]
struct Shared(Arc<Mutex<State>>);

impl Shared {
    fn new() -> Self {
        let held = Permits::default();
        let state = State { semaphore: Semaphore::new(LIMIT), is_closed: false, held, holders: 0 };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Acquires permits, and checks that they do not exceed the limit.
    fn acquire(&self, permits: Permits) -> impl Future<Output = Result<(), Closed>> + Unpin + '_ {
        let mut acquisition = Acquisition::new(&self.0);
        poll_fn(move |context| {
            let acquired = acquisition.poll(permits, context.waker(), |state| state.is_closed.then_some(Closed));
            acquired.map_ok(|mut state| {
                state.held += permits;
                state.holders += 1;
                let is_within = state.held.records <= LIMIT.records && state.held.bytes <= LIMIT.bytes;
                assert!(is_within || state.holders == 1, "{:?} were granted", state.held);
            })
        })
    }

    fn release(&self, permits: Permits) {
        let mut state = lock(&self.0);
        state.held -= permits;
        state.holders -= 1;
        let granted = state.semaphore.release(permits);
        drop(state);
        granted.into_iter().for_each(wake);
    }

    fn close(&self) {
        let mut state = lock(&self.0);
        state.is_closed = true;
        let rejected = state.semaphore.cancel_all();
        drop(state);
        rejected.into_iter().for_each(wake);
    }

    fn assert_idle(&self) {
        assert!(lock(&self.0).semaphore.is_idle(), "permits were not released");
    }

    /// Runs a thread that acquires and releases permits some times, unless the semaphore is closed.
    fn holder(&self, permits: Permits, times: usize) -> thread::JoinHandle<()> {
        let shared = self.clone();
        thread::spawn(move || {
            for _ in 0..times {
                match block_on(shared.acquire(permits)) {
                    Ok(()) => shared.release(permits),
                    Err(Closed) => assert!(lock(&shared.0).is_closed),
                }
            }
        })
    }
}

fn records(records: usize) -> Permits {
    Permits { records, bytes: records * 10 }
}

fn join(threads: impl IntoIterator<Item = thread::JoinHandle<()>>) {
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn every_waiter_is_granted_its_permits_within_the_limit() {
    explore(3_000, || {
        let shared = Shared::new();
        join(
            [(records(2), 2), (records(2), 1), (records(1), 2), (HUGE, 1)]
                .map(|(permits, times)| shared.holder(permits, times)),
        );
        shared.assert_idle();
    });
}

#[test]
fn a_waiter_is_dropped_after_any_poll_and_the_others_are_not_forgotten() {
    explore(4_000, || {
        let shared = Shared::new();
        let threads = [shared.holder(records(2), 1), shared.holder(records(1), 1), shared.holder(records(3), 1)];
        for permits in [records(2), records(3)] {
            match poll_at_most(any_of(3), shared.acquire(permits)) {
                Some(Ok(())) => shared.release(permits),
                Some(Err(Closed)) => unreachable!("nobody closes it"),
                None => {}
            }
        }
        join(threads);
        shared.assert_idle();
    });
}

#[test]
fn a_kept_waiter_that_is_not_polled_holds_its_own_permits_only() {
    explore(2_000, || {
        let shared = Shared::new();
        let threads = [shared.holder(records(2), 1), shared.holder(records(2), 1), shared.holder(records(1), 1)];
        let mut kept = shared.acquire(records(1));
        let polled = poll_at_most(1, &mut kept);
        join(threads);
        match polled.unwrap_or_else(|| block_on(kept)) {
            Ok(()) => shared.release(records(1)),
            Err(Closed) => unreachable!("nobody closes it"),
        }
        shared.assert_idle();
    });
}

#[test]
fn closing_while_some_wait() {
    explore(4_000, || {
        let shared = Shared::new();
        let threads = [shared.holder(records(2), 2), shared.holder(records(2), 1), shared.holder(HUGE, 1)];
        let closing = {
            let shared = shared.clone();
            thread::spawn(move || shared.close())
        };
        if let Some(Ok(())) = poll_at_most(any_of(3), shared.acquire(records(3))) {
            shared.release(records(3));
        }
        closing.join().unwrap();
        join(threads);
        shared.assert_idle();
    });
}

#[test]
fn a_panic_of_a_waker_stops_no_other() {
    explore(2_000, || {
        let shared = Shared::new();
        assert!(block_on(shared.acquire(records(3))).is_ok());
        let mut panics = shared.acquire(records(1));
        assert!(poll_with_panicking_waker(&mut panics).is_pending());
        let threads = [shared.holder(records(1), 1), shared.holder(records(2), 1)];
        shared.release(records(3));
        assert!(block_on(panics).is_ok());
        shared.release(records(1));
        join(threads);
        shared.assert_idle();
    });
}
