use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::pin::pin;
use std::task::{Context, Waker};

use super::*;

fn v4(last: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, last], 9092))
}

fn v6(last: u16) -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, last], 9092))
}

#[test]
fn families_take_turns_beginning_with_that_of_the_first_address() {
    assert_eq!(in_order(vec![v6(1), v6(2), v6(3), v4(1), v4(2)], 0), [v6(1), v4(1), v6(2), v4(2), v6(3)]);
    assert_eq!(in_order(vec![v4(1), v4(2), v6(1)], 0), [v4(1), v6(1), v4(2)]);
    assert_eq!(in_order(vec![v4(1), v4(1), v4(2)], 0), [v4(1), v4(2)], "a duplicate is not tried again");
    assert!(in_order(vec![], 7).is_empty());
}

#[test]
fn each_failure_moves_the_start_to_the_next_address() {
    let first = |failures| in_order(vec![v6(1), v4(1), v4(2)], failures)[0];
    assert_eq!([0, 1, 2, 3, 7].map(first), [v6(1), v4(1), v4(2), v6(1), v4(1)]);
}

/// Attempts and timers that end when a test says so.
#[derive(Default)]
struct World {
    begun: RefCell<Vec<SocketAddr>>,
    /// The ends of attempts.
    ended: RefCell<BTreeMap<SocketAddr, Result<(), io::ErrorKind>>>,
    /// The number of attempts that were dropped before their end.
    cancelled: Cell<usize>,
    delays: RefCell<Vec<Duration>>,
    /// How many of `delays` have passed.
    passed: Cell<usize>,
}

/// Counts an attempt that is dropped before its end.
struct Guard<'w>(&'w World, bool);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.cancelled.set(self.0.cancelled.get() + usize::from(!self.1));
    }
}

impl World {
    async fn connect(&self, address: SocketAddr) -> io::Result<SocketAddr> {
        let mut guard = Guard(self, false);
        self.begun.borrow_mut().push(address);
        let ended = poll_fn(|_| match self.ended.borrow().get(&address) {
            Some(ended) => Poll::Ready(*ended),
            None => Poll::Pending,
        });
        let ended = ended.await;
        guard.1 = true;
        Ok(ended.map(|()| address)?)
    }

    async fn sleep(&self, delay: Duration) {
        let number = self.delays.borrow().len();
        self.delays.borrow_mut().push(delay);
        poll_fn(|_| if self.passed.get() > number { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    fn end(&self, address: SocketAddr, how: Result<(), io::ErrorKind>) {
        self.ended.borrow_mut().insert(address, how);
    }

    fn pass(&self) {
        self.passed.set(self.delays.borrow().len());
    }
}

const DELAY: Duration = Duration::from_millis(250);

fn poll<T>(future: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

#[test]
fn an_attempt_begins_after_each_delay_and_the_first_connection_cancels_the_others() {
    let world = World::default();
    let addresses = vec![v6(1), v4(1), v6(2), v4(2)];
    let mut connecting = pin!(connect_to_any(addresses, DELAY, |at| world.connect(at), |delay| world.sleep(delay)));
    for begun in [&[v6(1)][..], &[v6(1), v4(1)], &[v6(1), v4(1), v6(2)]] {
        assert!(poll(connecting.as_mut()).is_none());
        assert_eq!(*world.begun.borrow(), begun);
        assert!(poll(connecting.as_mut()).is_none(), "the delay has not passed");
        assert_eq!((world.begun.borrow().len(), world.delays.borrow().len()), (begun.len(), begun.len()));
        world.pass();
    }
    world.end(v4(1), Ok(()));
    let connected = poll(connecting.as_mut()).unwrap();
    assert_eq!(connected.unwrap(), v4(1));
    assert!(world.delays.borrow().iter().all(|delay| *delay == DELAY));
    // What is left is dropped with the future.
}

#[test]
fn losers_are_dropped() {
    let world = World::default();
    {
        let mut connecting =
            pin!(connect_to_any(vec![v6(1), v4(1)], DELAY, |at| world.connect(at), |delay| world.sleep(delay)));
        assert!(poll(connecting.as_mut()).is_none());
        world.pass();
        assert!(poll(connecting.as_mut()).is_none());
        world.end(v4(1), Ok(()));
        assert!(poll(connecting.as_mut()).unwrap().is_ok());
    }
    assert_eq!((world.begun.borrow().len(), world.cancelled.get()), (2, 1));
}

#[test]
fn after_an_error_the_next_address_is_tried_at_once() {
    let world = World::default();
    let addresses = vec![v4(1), v4(2), v4(3)];
    let mut connecting = pin!(connect_to_any(addresses, DELAY, |at| world.connect(at), |delay| world.sleep(delay)));
    world.end(v4(1), Err(io::ErrorKind::ConnectionRefused));
    assert!(poll(connecting.as_mut()).is_none());
    assert_eq!(*world.begun.borrow(), [v4(1), v4(2)]);
    world.pass();
    assert!(poll(connecting.as_mut()).is_none());
    assert_eq!(world.begun.borrow().len(), 3);
    world.end(v4(3), Err(io::ErrorKind::HostUnreachable));
    assert!(poll(connecting.as_mut()).is_none(), "an earlier attempt is pending");
    world.end(v4(2), Err(io::ErrorKind::TimedOut));
    let Failed { address, error } = poll(connecting.as_mut()).unwrap().unwrap_err();
    assert_eq!((address, error.kind()), (v4(2), io::ErrorKind::TimedOut), "the last error");
}

#[test]
fn a_single_address_needs_no_timer() {
    let world = World::default();
    let mut connecting = pin!(connect_to_any(vec![v4(1)], DELAY, |at| world.connect(at), |delay| world.sleep(delay)));
    assert!(poll(connecting.as_mut()).is_none());
    world.end(v4(1), Ok(()));
    assert!(poll(connecting.as_mut()).unwrap().is_ok());
    assert!(world.delays.borrow().is_empty());
}
