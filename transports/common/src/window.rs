//! How much may be on its way at a time, and who is let in next.

use std::collections::{BTreeMap, VecDeque};
use std::ops::{AddAssign, SubAssign};
use std::task::Waker;

/// Records and bytes of a batch, or of all that are on their way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Records.
    pub records: usize,
    /// Bytes.
    pub bytes: usize,
}

impl AddAssign for Load {
    fn add_assign(&mut self, other: Self) {
        self.records += other.records;
        self.bytes += other.bytes;
    }
}

impl SubAssign for Load {
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
pub struct Window {
    limit: Load,
    /// With what is granted.
    taken: Load,
    /// By place. The first of them does not fit.
    queue: VecDeque<Waiting>,
    /// Those who may go in, and have not yet.
    granted: BTreeMap<Place, Load>,
    next: u64,
}

/// A place in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(u64);

#[derive(Debug)]
struct Waiting {
    place: Place,
    load: Load,
    waker: Waker,
}

/// The answer to someone who wants in.
#[derive(Debug)]
pub enum Admission {
    /// Let in.
    In,
    /// Not yet. The waker given is called when they may come in.
    Wait(Place),
}

impl Window {
    /// Nothing on its way, and at most `limit` of it.
    #[must_use]
    pub const fn new(limit: Load) -> Self {
        let taken = Load { records: 0, bytes: 0 };
        Self { limit, taken, queue: VecDeque::new(), granted: BTreeMap::new(), next: 0 }
    }

    /// Lets a load in, or queues it at its `place`; who has none yet gets the last one. It has to be the same load each time.
    pub fn admit(&mut self, place: Option<Place>, load: Load, waker: &Waker) -> Admission {
        if let Some(place) = place {
            if self.granted.remove(&place).is_some() {
                return Admission::In;
            }
            if let Some(index) = self.index(place) {
                self.queue[index].waker.clone_from(waker);
                return Admission::Wait(place);
            }
        }
        if self.queue.is_empty() && self.has_room(load) {
            self.taken += load;
            return Admission::In;
        }
        let place = Place(self.next);
        self.next += 1;
        self.queue.push_back(Waiting { place, load, waker: waker.clone() });
        Admission::Wait(place)
    }

    fn index(&self, place: Place) -> Option<usize> {
        self.queue.binary_search_by_key(&place, |waiting| waiting.place).ok()
    }

    fn has_room(&self, load: Load) -> bool {
        let mut after = self.taken;
        after += load;
        self.taken == Load::default() || (after.records <= self.limit.records && after.bytes <= self.limit.bytes)
    }

    /// Someone who has not come in gave up. Gives their waker, to be dropped where no lock is held, and those of whoever may
    /// come in now: wake them.
    pub fn cancel(&mut self, place: Place) -> (Option<Waker>, Vec<Waker>) {
        let index = self.index(place);
        let gone = index.and_then(|index| self.queue.remove(index)).map(|gone| gone.waker);
        if let Some(load) = self.granted.remove(&place) {
            self.taken -= load;
        }
        (gone, self.grant())
    }

    /// A load is through. Gives the wakers of whoever may come in now: wake them.
    #[must_use = "whoever may come in has to be woken"]
    pub fn release(&mut self, load: Load) -> Vec<Waker> {
        self.taken -= load;
        self.grant()
    }

    /// Everyone who has not come in goes. Gives the wakers of those in the queue: wake them.
    pub fn dissolve(&mut self) -> Vec<Waker> {
        while let Some((_, load)) = self.granted.pop_first() {
            self.taken -= load;
        }
        self.queue.drain(..).map(|waiting| waiting.waker).collect()
    }

    /// Gives room to the first in the queue, as long as there is some.
    fn grant(&mut self) -> Vec<Waker> {
        let mut wakers = Vec::new();
        while self.queue.front().is_some_and(|first| self.has_room(first.load)) {
            let Some(Waiting { place, load, waker }) = self.queue.pop_front() else { break };
            self.taken += load;
            self.granted.insert(place, load);
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

    const TEN: Load = Load { records: 10, bytes: 1_000 };

    fn records(records: usize) -> Load {
        Load { records, bytes: 1 }
    }

    /// `Ok` is in, `Err` is the place in the queue.
    fn admit(window: &mut Window, place: Option<Place>, load: Load) -> Result<(), Place> {
        match window.admit(place, load, Waker::noop()) {
            Admission::In => Ok(()),
            Admission::Wait(place) => Err(place),
        }
    }

    #[test]
    fn a_small_batch_does_not_overtake_a_large_one_that_waits() {
        let mut window = Window::new(TEN);
        assert_eq!(admit(&mut window, None, records(6)), Ok(()));
        let large = admit(&mut window, None, records(8)).unwrap_err();
        let small = admit(&mut window, None, records(1)).unwrap_err();
        assert_eq!(admit(&mut window, Some(small), records(1)), Err(small));
        assert_eq!(window.release(records(6)).len(), 2, "there is room for both");
        assert_eq!(admit(&mut window, Some(small), records(1)), Ok(()));
        assert_eq!(admit(&mut window, Some(large), records(8)), Ok(()));
    }

    #[test]
    fn who_is_not_polled_holds_its_own_share_and_nothing_more() {
        let mut window = Window::new(TEN);
        assert_eq!(admit(&mut window, None, records(10)), Ok(()));
        let held = admit(&mut window, None, records(4)).unwrap_err();
        let behind = admit(&mut window, None, records(6)).unwrap_err();
        let last = admit(&mut window, None, records(1)).unwrap_err();
        assert_eq!(window.release(records(10)).len(), 2, "nobody is woken for whom there is no room");
        assert_eq!(admit(&mut window, Some(behind), records(6)), Ok(()), "though the first one was not polled");
        assert_eq!(admit(&mut window, Some(last), records(1)), Err(last));
        let (gone, granted) = window.cancel(held);
        assert!(gone.is_none(), "its waker was given out before");
        assert_eq!(granted.len(), 1, "it gave its share back");
        assert_eq!(admit(&mut window, Some(last), records(1)), Ok(()));
        assert_eq!(window.taken.records, 7);
    }

    #[test]
    fn what_is_larger_than_the_window_goes_in_alone() {
        let mut window = Window::new(TEN);
        for huge in [records(11), Load { records: 1, bytes: 1_001 }] {
            assert_eq!(admit(&mut window, None, records(1)), Ok(()));
            let place = admit(&mut window, None, huge).unwrap_err();
            assert_eq!(window.release(records(1)).len(), 1);
            let behind = admit(&mut window, None, records(1)).unwrap_err();
            assert_eq!(admit(&mut window, Some(place), huge), Ok(()));
            let (gone, granted) = window.cancel(behind);
            assert!(gone.is_some() && granted.is_empty());
            assert!(window.release(huge).is_empty());
        }
    }

    #[test]
    fn whoever_leaves_the_head_of_the_queue_lets_the_next_in() {
        let mut window = Window::new(TEN);
        assert_eq!(admit(&mut window, None, records(9)), Ok(()));
        let large = admit(&mut window, None, records(5)).unwrap_err();
        let small = admit(&mut window, None, records(1)).unwrap_err();
        assert_eq!(window.cancel(large).1.len(), 1);
        assert_eq!(admit(&mut window, Some(small), records(1)), Ok(()));
        assert_eq!(window.taken, Load { records: 10, bytes: 2 });
    }

    #[test]
    fn an_exact_fit_is_a_fit() {
        let mut window = Window::new(TEN);
        assert_eq!(admit(&mut window, None, Load { records: 4, bytes: 400 }), Ok(()));
        assert_eq!(admit(&mut window, None, Load { records: 6, bytes: 600 }), Ok(()));
        assert!(admit(&mut window, None, records(1)).is_err());
    }

    #[test]
    fn when_the_queue_is_dissolved_what_was_granted_is_given_back() {
        let mut window = Window::new(TEN);
        assert_eq!(admit(&mut window, None, records(6)), Ok(()));
        assert_eq!(admit(&mut window, None, records(4)), Ok(()));
        let granted = admit(&mut window, None, records(4)).unwrap_err();
        let waiting = admit(&mut window, None, records(9)).unwrap_err();
        assert_eq!(window.release(records(4)).len(), 1);
        assert_eq!(window.dissolve().len(), 1);
        for place in [granted, waiting] {
            assert!(matches!(window.cancel(place), (None, wakers) if wakers.is_empty()));
        }
        assert_eq!(window.taken, records(6));
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
        load: Load,
        place: Place,
        bells: Arc<Bells>,
    }

    #[derive(Clone, Debug)]
    enum Move {
        Come(Load),
        Ask(usize),
        Leave(usize),
        Release(usize),
    }

    fn moves() -> impl Strategy<Value = Vec<Move>> {
        let load = (1..14_usize, 1..1_200_usize).prop_map(|(records, bytes)| Load { records, bytes });
        let each = prop_oneof![
            3 => load.prop_map(Move::Come),
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
            let mut window = Window::new(TEN);
            let (mut waiting, mut inside): (Vec<Guest>, Vec<Load>) = (Vec::new(), Vec::new());
            for step in moves {
                let wakers = match step {
                    Move::Come(load) => {
                        let bells = Arc::new(Bells::default());
                        match window.admit(None, load, &Waker::from(Arc::clone(&bells))) {
                            Admission::In => inside.push(load),
                            Admission::Wait(place) => waiting.push(Guest { load, place, bells }),
                        }
                        vec![]
                    }
                    Move::Ask(of) if !waiting.is_empty() => {
                        let at = of % waiting.len();
                        let Guest { load, place, bells } = &waiting[at];
                        let woken = bells.0.load(Ordering::Relaxed);
                        match window.admit(Some(*place), *load, &Waker::from(Arc::clone(bells))) {
                            Admission::In => {
                                prop_assert_eq!(woken, 1);
                                inside.push(waiting.remove(at).load);
                            }
                            Admission::Wait(same) => prop_assert_eq!((same, woken), (*place, 0)),
                        }
                        vec![]
                    }
                    Move::Leave(of) if !waiting.is_empty() => window.cancel(waiting.remove(of % waiting.len()).place).1,
                    Move::Release(of) if !inside.is_empty() => window.release(inside.swap_remove(of % inside.len())),
                    _ => vec![],
                };
                wakers.into_iter().for_each(Waker::wake);
                // In the order in which they came: those with room, then those without.
                let (granted, queued): (Vec<&Guest>, Vec<&Guest>) =
                    waiting.iter().partition(|guest| guest.bells.0.load(Ordering::Relaxed) > 0);
                let places: Vec<u64> = granted.iter().chain(&queued).map(|guest| guest.place.0).collect();
                prop_assert!(places.is_sorted());
                let mut out = Load::default();
                inside.iter().copied().chain(granted.iter().map(|guest| guest.load)).for_each(|load| out += load);
                prop_assert_eq!(window.taken, out);
                let alone = inside.len() + granted.len() == 1;
                prop_assert!(alone || (out.records <= TEN.records && out.bytes <= TEN.bytes));
                if let Some(first) = queued.first() {
                    prop_assert!(!window.has_room(first.load), "the first one waits for nothing");
                }
            }
        }
    }
}
