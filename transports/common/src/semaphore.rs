//! How much may be on its way at a time, and who is let in next.

use std::collections::{BTreeMap, VecDeque};
use std::ops::{AddAssign, SubAssign};
use std::task::Waker;

/// Records and bytes of a batch, or of all that are on their way.
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

/// The bound on what is accepted and not yet answered: first come, first served, so that a large batch is not overtaken
/// for ever by small ones. A batch that is larger than the whole window goes in when nothing else is there.
///
/// Whoever waits is given room as soon as there is some, and need not ask for it just then: one that is not polled keeps its
/// own share from others, and nothing more.
#[derive(Debug)]
pub struct Semaphore {
    limit: Permits,
    /// With what is granted.
    taken: Permits,
    /// By place. The first of them does not fit.
    queue: VecDeque<Waiting>,
    /// Those who may go in, and have not yet.
    granted: BTreeMap<WaiterId, Permits>,
    next: u64,
}

/// A place in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WaiterId(u64);

#[derive(Debug)]
struct Waiting {
    waiter: WaiterId,
    permits: Permits,
    waker: Waker,
}

/// The answer to someone who wants in.
#[derive(Debug)]
pub enum Acquire {
    /// Let in.
    Acquired,
    /// Not yet. The waker given is called when they may come in.
    Waiting(WaiterId),
}

impl Semaphore {
    /// Nothing on its way, and at most `limit` of it.
    #[must_use]
    pub const fn new(limit: Permits) -> Self {
        let taken = Permits { records: 0, bytes: 0 };
        Self { limit, taken, queue: VecDeque::new(), granted: BTreeMap::new(), next: 0 }
    }

    /// Lets a load in, or queues it at its `waiter`; who has none yet gets the last one. It has to be the same load each time.
    pub fn acquire(&mut self, waiter: Option<WaiterId>, permits: Permits, waker: &Waker) -> Acquire {
        if let Some(waiter) = waiter {
            if self.granted.remove(&waiter).is_some() {
                return Acquire::Acquired;
            }
            if let Some(index) = self.index(waiter) {
                self.queue[index].waker.clone_from(waker);
                return Acquire::Waiting(waiter);
            }
        }
        if self.queue.is_empty() && self.has_room(permits) {
            self.taken += permits;
            return Acquire::Acquired;
        }
        let waiter = WaiterId(self.next);
        self.next += 1;
        self.queue.push_back(Waiting { waiter, permits, waker: waker.clone() });
        Acquire::Waiting(waiter)
    }

    fn index(&self, waiter: WaiterId) -> Option<usize> {
        self.queue.binary_search_by_key(&waiter, |waiting| waiting.waiter).ok()
    }

    fn has_room(&self, permits: Permits) -> bool {
        let mut after = self.taken;
        after += permits;
        self.taken == Permits::default() || (after.records <= self.limit.records && after.bytes <= self.limit.bytes)
    }

    /// Someone who has not come in gave up. Gives their waker, to be dropped where no lock is held, and those of whoever may
    /// come in now: wake them.
    pub fn cancel(&mut self, waiter: WaiterId) -> (Option<Waker>, Vec<Waker>) {
        let index = self.index(waiter);
        let gone = index.and_then(|index| self.queue.remove(index)).map(|gone| gone.waker);
        if let Some(permits) = self.granted.remove(&waiter) {
            self.taken -= permits;
        }
        (gone, self.grant())
    }

    /// A load is through. Gives the wakers of whoever may come in now: wake them.
    #[must_use = "whoever may come in has to be woken"]
    pub fn release(&mut self, permits: Permits) -> Vec<Waker> {
        self.taken -= permits;
        self.grant()
    }

    /// Everyone who has not come in goes. Gives the wakers of those in the queue: wake them.
    pub fn cancel_all(&mut self) -> Vec<Waker> {
        while let Some((_, permits)) = self.granted.pop_first() {
            self.taken -= permits;
        }
        self.queue.drain(..).map(|waiting| waiting.waker).collect()
    }

    /// Gives room to the first in the queue, as long as there is some.
    fn grant(&mut self) -> Vec<Waker> {
        let mut wakers = Vec::new();
        while self.queue.front().is_some_and(|first| self.has_room(first.permits)) {
            let Some(Waiting { waiter, permits, waker }) = self.queue.pop_front() else { break };
            self.taken += permits;
            self.granted.insert(waiter, permits);
            wakers.push(waker);
        }
        wakers
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

    /// `Ok` is in, `Err` is the place in the queue.
    fn acquire(semaphore: &mut Semaphore, waiter: Option<WaiterId>, permits: Permits) -> Result<(), WaiterId> {
        match semaphore.acquire(waiter, permits, Waker::noop()) {
            Acquire::Acquired => Ok(()),
            Acquire::Waiting(waiter) => Err(waiter),
        }
    }

    #[test]
    fn a_small_batch_does_not_overtake_a_large_one_that_waits() {
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
    fn who_is_not_polled_holds_its_own_share_and_nothing_more() {
        let mut semaphore = Semaphore::new(TEN);
        assert_eq!(acquire(&mut semaphore, None, records(10)), Ok(()));
        let held = acquire(&mut semaphore, None, records(4)).unwrap_err();
        let behind = acquire(&mut semaphore, None, records(6)).unwrap_err();
        let last = acquire(&mut semaphore, None, records(1)).unwrap_err();
        assert_eq!(semaphore.release(records(10)).len(), 2, "nobody is woken for whom there is no room");
        assert_eq!(acquire(&mut semaphore, Some(behind), records(6)), Ok(()), "though the first one was not polled");
        assert_eq!(acquire(&mut semaphore, Some(last), records(1)), Err(last));
        let (gone, granted) = semaphore.cancel(held);
        assert!(gone.is_none(), "its waker was given out before");
        assert_eq!(granted.len(), 1, "it gave its share back");
        assert_eq!(acquire(&mut semaphore, Some(last), records(1)), Ok(()));
        assert_eq!(semaphore.taken.records, 7);
    }

    #[test]
    fn what_is_larger_than_the_window_goes_in_alone() {
        let mut semaphore = Semaphore::new(TEN);
        for huge in [records(11), Permits { records: 1, bytes: 1_001 }] {
            assert_eq!(acquire(&mut semaphore, None, records(1)), Ok(()));
            let waiter = acquire(&mut semaphore, None, huge).unwrap_err();
            assert_eq!(semaphore.release(records(1)).len(), 1);
            let behind = acquire(&mut semaphore, None, records(1)).unwrap_err();
            assert_eq!(acquire(&mut semaphore, Some(waiter), huge), Ok(()));
            let (gone, granted) = semaphore.cancel(behind);
            assert!(gone.is_some() && granted.is_empty());
            assert!(semaphore.release(huge).is_empty());
        }
    }

    #[test]
    fn whoever_leaves_the_head_of_the_queue_lets_the_next_in() {
        let mut semaphore = Semaphore::new(TEN);
        assert_eq!(acquire(&mut semaphore, None, records(9)), Ok(()));
        let large = acquire(&mut semaphore, None, records(5)).unwrap_err();
        let small = acquire(&mut semaphore, None, records(1)).unwrap_err();
        assert_eq!(semaphore.cancel(large).1.len(), 1);
        assert_eq!(acquire(&mut semaphore, Some(small), records(1)), Ok(()));
        assert_eq!(semaphore.taken, Permits { records: 10, bytes: 2 });
    }

    #[test]
    fn an_exact_fit_is_a_fit() {
        let mut semaphore = Semaphore::new(TEN);
        assert_eq!(acquire(&mut semaphore, None, Permits { records: 4, bytes: 400 }), Ok(()));
        assert_eq!(acquire(&mut semaphore, None, Permits { records: 6, bytes: 600 }), Ok(()));
        assert!(acquire(&mut semaphore, None, records(1)).is_err());
    }

    #[test]
    fn when_the_queue_is_dissolved_what_was_granted_is_given_back() {
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
        assert_eq!(semaphore.taken, records(6));
    }

    /// Counts how often it was woken.
    #[derive(Default)]
    struct Bells(AtomicUsize);

    impl Wake for Bells {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// One who wants in.
    struct Guest {
        permits: Permits,
        waiter: WaiterId,
        wakes: Arc<Bells>,
    }

    #[derive(Clone, Debug)]
    enum Move {
        Come(Permits),
        Ask(usize),
        Leave(usize),
        Release(usize),
    }

    fn moves() -> impl Strategy<Value = Vec<Move>> {
        let permits = (1..14_usize, 1..1_200_usize).prop_map(|(records, bytes)| Permits { records, bytes });
        let each = prop_oneof![
            3 => permits.prop_map(Move::Come),
            2 => any::<usize>().prop_map(Move::Ask),
            1 => any::<usize>().prop_map(Move::Leave),
            2 => any::<usize>().prop_map(Move::Release),
        ];
        prop::collection::vec(each, 0..60)
    }

    proptest! {
        /// Whoever comes, asks, leaves and is through, in whatever order: no more is out than may be, those first in the queue
        /// are let in first, and each of them is woken, once.
        #[test]
        fn a_fair_window(moves in moves()) {
            let mut semaphore = Semaphore::new(TEN);
            let (mut waiting, mut inside): (Vec<Guest>, Vec<Permits>) = (Vec::new(), Vec::new());
            for step in moves {
                let wakers = match step {
                    Move::Come(permits) => {
                        let wakes = Arc::new(Bells::default());
                        match semaphore.acquire(None, permits, &Waker::from(Arc::clone(&wakes))) {
                            Acquire::Acquired => inside.push(permits),
                            Acquire::Waiting(waiter) => waiting.push(Guest { permits, waiter, wakes }),
                        }
                        vec![]
                    }
                    Move::Ask(of) if !waiting.is_empty() => {
                        let at = of % waiting.len();
                        let Guest { permits, waiter, wakes } = &waiting[at];
                        let woken = wakes.0.load(Ordering::Relaxed);
                        match semaphore.acquire(Some(*waiter), *permits, &Waker::from(Arc::clone(wakes))) {
                            Acquire::Acquired => {
                                prop_assert_eq!(woken, 1);
                                inside.push(waiting.remove(at).permits);
                            }
                            Acquire::Waiting(same) => prop_assert_eq!((same, woken), (*waiter, 0)),
                        }
                        vec![]
                    }
                    Move::Leave(of) if !waiting.is_empty() => semaphore.cancel(waiting.remove(of % waiting.len()).waiter).1,
                    Move::Release(of) if !inside.is_empty() => semaphore.release(inside.swap_remove(of % inside.len())),
                    _ => vec![],
                };
                wakers.into_iter().for_each(Waker::wake);
                // In the order in which they came: those with room, then those without.
                let (granted, queued): (Vec<&Guest>, Vec<&Guest>) =
                    waiting.iter().partition(|waiter| waiter.wakes.0.load(Ordering::Relaxed) > 0);
                let places: Vec<u64> = granted.iter().chain(&queued).map(|waiter| waiter.waiter.0).collect();
                prop_assert!(places.is_sorted());
                let mut out = Permits::default();
                inside.iter().copied().chain(granted.iter().map(|waiter| waiter.permits)).for_each(|permits| out += permits);
                prop_assert_eq!(semaphore.taken, out);
                let alone = inside.len() + granted.len() == 1;
                prop_assert!(alone || (out.records <= TEN.records && out.bytes <= TEN.bytes));
                if let Some(first) = queued.first() {
                    prop_assert!(!semaphore.has_room(first.permits), "the first one waits for nothing");
                }
            }
        }
    }
}
