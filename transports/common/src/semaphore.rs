//! A fair semaphore over records and bytes, which bounds the batches in flight.

use std::collections::{BTreeMap, VecDeque};
use std::ops::{AddAssign, SubAssign};
use std::task::{Poll, Waker};

use crate::sync::{Mutex, MutexGuard, lock, wake};

/// A number of records and bytes: of a batch, of all batches in flight, or of their limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Permits {
    /// Records.
    pub records: usize,
    /// Bytes.
    pub bytes: usize,
}

impl AddAssign for Permits {
    fn add_assign(&mut self, other: Self) {
        self.records += other.records;
        self.bytes += other.bytes;
    }
}

impl SubAssign for Permits {
    fn sub_assign(&mut self, other: Self) {
        self.records -= other.records;
        self.bytes -= other.bytes;
    }
}

/// A semaphore that bounds the accepted batches whose outcome is unknown. Permits are granted in the order of requests, so
/// that small batches cannot starve a large one. A request that exceeds the limit is granted once nothing else is in flight.
///
/// Permits are granted to a waiter when they are available, not when it is polled: a waiter that is not polled holds its own
/// permits, but does not block those after it.
#[derive(Debug)]
pub struct Semaphore {
    limit: Permits,
    /// Includes `granted`.
    acquired: Permits,
    /// In the order of their ids. The first does not fit.
    waiters: VecDeque<Waiter>,
    /// Waiters that were granted their permits, and have not yet called `acquire` again.
    granted: BTreeMap<WaiterId, Permits>,
    next: u64,
}

/// Identifies a waiter in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WaiterId(u64);

#[derive(Debug)]
struct Waiter {
    id: WaiterId,
    permits: Permits,
    waker: Waker,
}

/// The result of [`Semaphore::acquire`].
#[derive(Debug)]
pub enum Acquire {
    /// The permits were acquired.
    Acquired,
    /// The permits are not available yet. Once they are granted, the waiter's waker is returned to be called.
    Waiting(WaiterId),
}

impl Semaphore {
    /// Returns a semaphore with `limit` permits.
    #[must_use]
    pub const fn new(limit: Permits) -> Self {
        let acquired = Permits { records: 0, bytes: 0 };
        Self { limit, acquired, waiters: VecDeque::new(), granted: BTreeMap::new(), next: 0 }
    }

    /// Acquires permits, or waits for them in the queue. `waiter` is `None` at the first call, and then the id that it
    /// returned. `permits` must be the same at each call.
    pub fn acquire(&mut self, waiter: Option<WaiterId>, permits: Permits, waker: &Waker) -> Acquire {
        if let Some(waiter) = waiter {
            if self.granted.remove(&waiter).is_some() {
                return Acquire::Acquired;
            }
            if let Some(index) = self.index(waiter) {
                self.waiters[index].waker.clone_from(waker);
                return Acquire::Waiting(waiter);
            }
        }
        if self.try_acquire(permits) {
            return Acquire::Acquired;
        }
        let waiter = WaiterId(self.next);
        self.next += 1;
        self.waiters.push_back(Waiter { id: waiter, permits, waker: waker.clone() });
        Acquire::Waiting(waiter)
    }

    /// Acquires permits if they are available and nobody waits for any. Returns whether they were acquired.
    #[must_use = "the permits were acquired only if this returns `true`"]
    pub fn try_acquire(&mut self, permits: Permits) -> bool {
        let is_available = self.is_available(permits);
        if is_available {
            self.acquired += permits;
        }
        is_available
    }

    /// Returns `true` if [`try_acquire`](Self::try_acquire) would acquire these permits, or fewer.
    pub(crate) fn is_available(&self, permits: Permits) -> bool {
        self.waiters.is_empty() && self.has_room(permits)
    }

    /// Acquires permits that are [available](Self::is_available).
    pub(crate) fn acquire_available(&mut self, permits: Permits) {
        debug_assert!(self.is_available(permits));
        self.acquired += permits;
    }

    /// Returns the permits that are acquired or granted.
    pub(crate) const fn acquired(&self) -> Permits {
        self.acquired
    }

    /// Returns the number of waiters that were not granted their permits yet.
    pub(crate) fn waiting(&self) -> usize {
        self.waiters.len()
    }

    /// Returns `true` if any waiter was not granted its permits yet.
    pub(crate) fn has_waiters(&self) -> bool {
        !self.waiters.is_empty()
    }

    fn index(&self, waiter: WaiterId) -> Option<usize> {
        self.waiters.binary_search_by_key(&waiter, |waiter| waiter.id).ok()
    }

    fn has_room(&self, permits: Permits) -> bool {
        let mut after = self.acquired;
        after += permits;
        self.acquired == Permits::default() || (after.records <= self.limit.records && after.bytes <= self.limit.bytes)
    }

    /// Removes a waiter that has not acquired its permits. Returns its waker, to be dropped after all locks are released,
    /// and the wakers of those that were granted permits: wake them.
    pub fn cancel(&mut self, waiter: WaiterId) -> (Option<Waker>, Vec<Waker>) {
        let index = self.index(waiter);
        let own = index.and_then(|index| self.waiters.remove(index)).map(|waiter| waiter.waker);
        if let Some(permits) = self.granted.remove(&waiter) {
            self.acquired -= permits;
        }
        (own, self.grant())
    }

    /// Releases acquired permits. Returns the wakers of those that were granted permits: wake them.
    #[must_use = "the returned wakers have to be called"]
    pub fn release(&mut self, permits: Permits) -> Vec<Waker> {
        self.acquired -= permits;
        self.grant()
    }

    /// Removes all waiters that have not acquired their permits. Returns the wakers of those in the queue: wake them.
    pub fn cancel_all(&mut self) -> Vec<Waker> {
        while let Some((_, permits)) = self.granted.pop_first() {
            self.acquired -= permits;
        }
        self.waiters.drain(..).map(|waiter| waiter.waker).collect()
    }

    /// Returns `true` if no permits are acquired or waited for.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.acquired == Permits::default() && self.waiters.is_empty()
    }

    /// Grants permits to waiters from the front of the queue, while they are available.
    fn grant(&mut self) -> Vec<Waker> {
        let mut wakers = Vec::new();
        while self.waiters.front().is_some_and(|first| self.has_room(first.permits)) {
            let Some(Waiter { id, permits, waker }) = self.waiters.pop_front() else { break };
            self.acquired += permits;
            self.granted.insert(id, permits);
            wakers.push(waker);
        }
        wakers
    }
}

/// A state that contains a semaphore.
pub trait HasSemaphore {
    /// Returns the semaphore.
    fn semaphore(&mut self) -> &mut Semaphore;
}

/// Acquires permits of a semaphore in a state behind a mutex: what a future polls. Leaves the queue when it is dropped.
#[derive(Debug)]
pub struct Acquisition<'a, T: HasSemaphore> {
    state: &'a Mutex<T>,
    waiter: Option<WaiterId>,
}

impl<'a, T: HasSemaphore> Acquisition<'a, T> {
    /// Returns a waiter that is not in the queue yet.
    pub const fn new(state: &'a Mutex<T>) -> Self {
        Self { state, waiter: None }
    }

    /// Acquires the permits, or waits for them. Returns the locked state once they are acquired. `permits` must be the same at
    /// each call.
    ///
    /// # Errors
    /// `refusal` returned an error. Then [`Semaphore::cancel_all`] must have been called, or this waiter has never waited.
    pub fn poll<E>(
        &mut self,
        permits: Permits,
        waker: &Waker,
        refusal: impl FnOnce(&T) -> Option<E>,
    ) -> Poll<Result<MutexGuard<'a, T>, E>> {
        let mut state = lock(self.state);
        if let Some(error) = refusal(&state) {
            self.waiter = None; // `cancel_all` has removed it
            return Poll::Ready(Err(error));
        }
        match state.semaphore().acquire(self.waiter, permits, waker) {
            Acquire::Acquired => {
                self.waiter = None;
                Poll::Ready(Ok(state))
            }
            Acquire::Waiting(waiter) => {
                self.waiter = Some(waiter);
                Poll::Pending
            }
        }
    }
}

impl<T: HasSemaphore> Drop for Acquisition<'_, T> {
    fn drop(&mut self) {
        let Some(waiter) = self.waiter else { return };
        let (_own_waker, granted) = lock(self.state).semaphore().cancel(waiter);
        granted.into_iter().for_each(wake);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use proptest::prelude::*;

    use super::*;

    const TEN: Permits = Permits { records: 10, bytes: 1_000 };

    fn records(records: usize) -> Permits {
        Permits { records, bytes: 1 }
    }

    /// `Ok` if the permits were acquired, `Err` with the waiter's id otherwise.
    fn acquire(semaphore: &mut Semaphore, waiter: Option<WaiterId>, permits: Permits) -> Result<(), WaiterId> {
        match semaphore.acquire(waiter, permits, Waker::noop()) {
            Acquire::Acquired => Ok(()),
            Acquire::Waiting(waiter) => Err(waiter),
        }
    }

    #[test]
    fn a_small_batch_does_not_overtake_a_waiting_large_one() {
        let mut semaphore = Semaphore::new(TEN);
        assert_eq!(acquire(&mut semaphore, None, records(6)), Ok(()));
        let large = acquire(&mut semaphore, None, records(8)).unwrap_err();
        let small = acquire(&mut semaphore, None, records(1)).unwrap_err();
        assert_eq!(acquire(&mut semaphore, Some(small), records(1)), Err(small));
        assert_eq!(semaphore.release(records(6)).len(), 2, "there is room for both");
        assert_eq!(acquire(&mut semaphore, Some(small), records(1)), Ok(()));
        assert_eq!(acquire(&mut semaphore, Some(large), records(8)), Ok(()));
    }

    #[test]
    fn a_waiter_that_is_not_polled_holds_its_own_permits_and_blocks_no_other() {
        let mut semaphore = Semaphore::new(TEN);
        assert_eq!(acquire(&mut semaphore, None, records(10)), Ok(()));
        let held = acquire(&mut semaphore, None, records(4)).unwrap_err();
        let next = acquire(&mut semaphore, None, records(6)).unwrap_err();
        let last = acquire(&mut semaphore, None, records(1)).unwrap_err();
        assert_eq!(semaphore.release(records(10)).len(), 2, "only waiters with permits are woken");
        assert_eq!(acquire(&mut semaphore, Some(next), records(6)), Ok(()), "though the first one was not polled");
        assert_eq!(acquire(&mut semaphore, Some(last), records(1)), Err(last));
        let (own, granted) = semaphore.cancel(held);
        assert!(own.is_none(), "its waker was returned before");
        assert_eq!(granted.len(), 1, "its permits were not released");
        assert_eq!(acquire(&mut semaphore, Some(last), records(1)), Ok(()));
        assert_eq!(semaphore.acquired.records, 7);
    }

    #[test]
    fn a_request_above_the_limit_is_granted_alone() {
        let mut semaphore = Semaphore::new(TEN);
        for huge in [records(11), Permits { records: 1, bytes: 1_001 }] {
            assert_eq!(acquire(&mut semaphore, None, records(1)), Ok(()));
            let waiter = acquire(&mut semaphore, None, huge).unwrap_err();
            assert_eq!(semaphore.release(records(1)).len(), 1);
            let next = acquire(&mut semaphore, None, records(1)).unwrap_err();
            assert_eq!(acquire(&mut semaphore, Some(waiter), huge), Ok(()));
            let (own, granted) = semaphore.cancel(next);
            assert!(own.is_some() && granted.is_empty());
            assert!(semaphore.release(huge).is_empty());
        }
    }

    #[test]
    fn cancelling_the_first_waiter_grants_permits_to_the_next() {
        let mut semaphore = Semaphore::new(TEN);
        assert_eq!(acquire(&mut semaphore, None, records(9)), Ok(()));
        let large = acquire(&mut semaphore, None, records(5)).unwrap_err();
        let small = acquire(&mut semaphore, None, records(1)).unwrap_err();
        assert_eq!(semaphore.cancel(large).1.len(), 1);
        assert_eq!(acquire(&mut semaphore, Some(small), records(1)), Ok(()));
        assert_eq!(semaphore.acquired, Permits { records: 10, bytes: 2 });
    }

    #[test]
    fn an_exact_fit_is_a_fit() {
        let mut semaphore = Semaphore::new(TEN);
        assert_eq!(acquire(&mut semaphore, None, Permits { records: 4, bytes: 400 }), Ok(()));
        assert_eq!(acquire(&mut semaphore, None, Permits { records: 6, bytes: 600 }), Ok(()));
        assert!(acquire(&mut semaphore, None, records(1)).is_err());
    }

    #[test]
    fn cancel_all_releases_granted_permits() {
        let mut semaphore = Semaphore::new(TEN);
        assert_eq!(acquire(&mut semaphore, None, records(6)), Ok(()));
        assert_eq!(acquire(&mut semaphore, None, records(4)), Ok(()));
        let granted = acquire(&mut semaphore, None, records(4)).unwrap_err();
        let waiting = acquire(&mut semaphore, None, records(9)).unwrap_err();
        assert_eq!(semaphore.release(records(4)).len(), 1);
        assert_eq!(semaphore.cancel_all().len(), 1);
        for waiter in [granted, waiting] {
            assert!(matches!(semaphore.cancel(waiter), (None, wakers) if wakers.is_empty()));
        }
        assert_eq!(semaphore.acquired, records(6));
    }

    /// Counts how often it was woken.
    #[derive(Default)]
    struct WakeCount(AtomicUsize);

    impl Wake for WakeCount {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A waiter of the test.
    struct TestWaiter {
        permits: Permits,
        waiter: WaiterId,
        wakes: Arc<WakeCount>,
    }

    /// An index is taken modulo the number of waiters, or of holders of permits.
    #[derive(Clone, Debug)]
    enum Operation {
        Acquire(Permits),
        Poll(usize),
        Cancel(usize),
        Release(usize),
    }

    fn operations() -> impl Strategy<Value = Vec<Operation>> {
        let permits = (1..14_usize, 1..1_200_usize).prop_map(|(records, bytes)| Permits { records, bytes });
        let each = prop_oneof![
            3 => permits.prop_map(Operation::Acquire),
            2 => any::<usize>().prop_map(Operation::Poll),
            1 => any::<usize>().prop_map(Operation::Cancel),
            2 => any::<usize>().prop_map(Operation::Release),
        ];
        prop::collection::vec(each, 0..60)
    }

    proptest! {
        /// After any sequence of operations the limit holds, permits were granted in the order of requests, and each waiter
        /// that was granted permits was woken once.
        #[test]
        fn a_fair_semaphore(operations in operations()) {
            let mut semaphore = Semaphore::new(TEN);
            let (mut waiting, mut acquired): (Vec<TestWaiter>, Vec<Permits>) = (Vec::new(), Vec::new());
            for operation in operations {
                let wakers = match operation {
                    Operation::Acquire(permits) => {
                        let wakes = Arc::new(WakeCount::default());
                        match semaphore.acquire(None, permits, &Waker::from(Arc::clone(&wakes))) {
                            Acquire::Acquired => acquired.push(permits),
                            Acquire::Waiting(waiter) => waiting.push(TestWaiter { permits, waiter, wakes }),
                        }
                        vec![]
                    }
                    Operation::Poll(of) if !waiting.is_empty() => {
                        let at = of % waiting.len();
                        let TestWaiter { permits, waiter, wakes } = &waiting[at];
                        let woken = wakes.0.load(Ordering::Relaxed);
                        match semaphore.acquire(Some(*waiter), *permits, &Waker::from(Arc::clone(wakes))) {
                            Acquire::Acquired => {
                                prop_assert_eq!(woken, 1);
                                acquired.push(waiting.remove(at).permits);
                            }
                            Acquire::Waiting(same) => prop_assert_eq!((same, woken), (*waiter, 0)),
                        }
                        vec![]
                    }
                    Operation::Cancel(of) if !waiting.is_empty() => {
                        semaphore.cancel(waiting.remove(of % waiting.len()).waiter).1
                    }
                    Operation::Release(of) if !acquired.is_empty() => {
                        semaphore.release(acquired.swap_remove(of % acquired.len()))
                    }
                    _ => vec![],
                };
                wakers.into_iter().for_each(Waker::wake);
                // Waiters with permits precede those without, each in the order of requests.
                let (granted, queued): (Vec<&TestWaiter>, Vec<&TestWaiter>) =
                    waiting.iter().partition(|waiter| waiter.wakes.0.load(Ordering::Relaxed) > 0);
                let ids: Vec<u64> = granted.iter().chain(&queued).map(|waiter| waiter.waiter.0).collect();
                prop_assert!(ids.is_sorted());
                let mut out = Permits::default();
                acquired.iter().copied().chain(granted.iter().map(|waiter| waiter.permits)).for_each(|permits| out += permits);
                prop_assert_eq!(semaphore.acquired, out);
                let alone = acquired.len() + granted.len() == 1;
                prop_assert!(alone || (out.records <= TEN.records && out.bytes <= TEN.bytes));
                if let Some(first) = queued.first() {
                    prop_assert!(!semaphore.has_room(first.permits), "the first waiter fits, but was not granted permits");
                }
            }
        }
    }
}
