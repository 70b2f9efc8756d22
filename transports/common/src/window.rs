//! How much may be on its way at a time, and who is let in next.

use std::collections::VecDeque;
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
#[derive(Debug)]
pub struct Window {
    limit: Load,
    taken: Load,
    queue: VecDeque<Waiting>,
    next: u64,
}

/// A place in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(u64);

#[derive(Debug)]
struct Waiting {
    place: Place,
    waker: Waker,
}

/// The answer to someone who wants in.
#[derive(Debug)]
pub enum Admission {
    /// Let in. The one behind may have room as well: wake them.
    In(Option<Waker>),
    /// Not yet. The waker given is called when it may be otherwise.
    Wait(Place),
}

impl Window {
    /// Nothing on its way, and at most `limit` of it.
    #[must_use]
    pub const fn new(limit: Load) -> Self {
        Self { limit, taken: Load { records: 0, bytes: 0 }, queue: VecDeque::new(), next: 0 }
    }

    /// Lets a load in, or queues it at its `place`; who has none yet gets the last one.
    pub fn admit(&mut self, place: Option<Place>, load: Load, waker: &Waker) -> Admission {
        let is_first = match (self.queue.front(), place) {
            (None, _) => true,
            (Some(first), Some(place)) => first.place == place,
            (Some(_), None) => false,
        };
        if is_first && self.has_room(load) {
            self.queue.pop_front();
            self.taken += load;
            return Admission::In(self.first());
        }
        let queued = place.and_then(|place| self.queue.iter_mut().find(|waiting| waiting.place == place));
        if let Some(waiting) = queued {
            waiting.waker.clone_from(waker);
            return Admission::Wait(waiting.place);
        }
        let place = Place(self.next);
        self.next += 1;
        self.queue.push_back(Waiting { place, waker: waker.clone() });
        Admission::Wait(place)
    }

    fn has_room(&self, load: Load) -> bool {
        let mut after = self.taken;
        after += load;
        self.taken == Load::default() || (after.records <= self.limit.records && after.bytes <= self.limit.bytes)
    }

    /// Someone in the queue gave up. Gives their waker, to be dropped where no lock is held, and that of the one behind
    /// who is first now and may have room: wake them.
    pub fn leave(&mut self, place: Place) -> Option<(Waker, Option<Waker>)> {
        let index = self.queue.iter().position(|waiting| waiting.place == place)?;
        let gone = self.queue.remove(index)?;
        let next = if index == 0 { self.first() } else { None };
        Some((gone.waker, next))
    }

    /// A load is through. Whoever is first may have room now: wake them.
    pub fn release(&mut self, load: Load) -> Option<Waker> {
        self.taken -= load;
        self.first()
    }

    /// Everyone in the queue goes; wake them all.
    pub fn dissolve(&mut self) -> Vec<Waker> {
        self.queue.drain(..).map(|waiting| waiting.waker).collect()
    }

    fn first(&self) -> Option<Waker> {
        self.queue.front().map(|waiting| waiting.waker.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN: Load = Load { records: 10, bytes: 1_000 };

    fn records(records: usize) -> Load {
        Load { records, bytes: 1 }
    }

    /// `Ok` is in, `Err` is the place in the queue.
    fn admit(window: &mut Window, place: Option<Place>, load: Load) -> Result<(), Place> {
        match window.admit(place, load, Waker::noop()) {
            Admission::In(_) => Ok(()),
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
        assert!(window.release(records(6)).is_some(), "the large one is woken");
        assert_eq!(admit(&mut window, Some(small), records(1)), Err(small));
        assert_eq!(admit(&mut window, Some(large), records(8)), Ok(()));
        assert_eq!(admit(&mut window, Some(small), records(1)), Ok(()));
    }

    #[test]
    fn what_is_larger_than_the_window_goes_in_alone() {
        let mut window = Window::new(TEN);
        for huge in [records(11), Load { records: 1, bytes: 1_001 }] {
            assert_eq!(admit(&mut window, None, records(1)), Ok(()));
            let place = admit(&mut window, None, huge).unwrap_err();
            window.release(records(1));
            assert_eq!(admit(&mut window, Some(place), huge), Ok(()));
            let behind = admit(&mut window, None, records(1)).unwrap_err();
            assert!(matches!(window.leave(behind), Some((_, None))));
            window.release(huge);
        }
    }

    #[test]
    fn whoever_leaves_the_head_of_the_queue_wakes_the_next() {
        let mut window = Window::new(TEN);
        assert_eq!(admit(&mut window, None, records(9)), Ok(()));
        let large = admit(&mut window, None, records(5)).unwrap_err();
        let small = admit(&mut window, None, records(1)).unwrap_err();
        assert!(matches!(window.leave(large), Some((_, Some(_)))));
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
}
