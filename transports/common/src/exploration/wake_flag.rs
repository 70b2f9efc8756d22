//! The driver's task sees each event of its sockets. It polls them as `connections.rs` does.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};

use shuttle::sync::atomic::{AtomicUsize, Ordering};
use shuttle::thread;

use super::task::block_on;
use super::{explore, explore_all};
use crate::wake_flag::{TaskWaker, WakeFlag};

/// A socket. Its side of the driver has the flag.
struct Socket {
    /// The number of events that the driver has not handled.
    events: AtomicUsize,
}

impl Socket {
    /// Makes events, as the runtime's thread does.
    fn run(&self, events: usize, waker: &Waker) {
        for _ in 0..events {
            self.events.fetch_add(1, Ordering::SeqCst);
            waker.wake_by_ref();
        }
    }
}

/// Explores `SOCKETS` sockets with two events each.
fn sockets<const SOCKETS: usize, const EVENTS: usize>() {
    let task = TaskWaker::new();
    let each = [(); SOCKETS].map(|()| (Arc::new(Socket { events: AtomicUsize::new(0) }), WakeFlag::new(&task)));
    let threads = each.each_ref().map(|(socket, flag)| {
        let (socket, waker) = (Arc::clone(socket), flag.context().waker().clone());
        thread::spawn(move || socket.run(EVENTS, &waker))
    });
    let mut handled = 0;
    block_on(poll_fn(|context| {
        task.register(context.waker());
        for (socket, flag) in &each {
            if flag.take() {
                handled += socket.events.swap(0, Ordering::SeqCst);
            }
        }
        if handled == SOCKETS * EVENTS { Poll::Ready(()) } else { Poll::Pending }
    }));
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn an_event_of_one_socket_is_handled() {
    explore_all(sockets::<1, 1>);
}

#[test]
fn events_of_many_sockets_are_handled() {
    explore(3_000, sockets::<1, 3>);
    explore(3_000, sockets::<3, 2>);
}

#[test]
fn a_flag_that_is_set_on_the_task_needs_no_event() {
    explore_all(|| {
        let task = TaskWaker::new();
        let flag = WakeFlag::new(&task);
        assert!(flag.take() && !flag.take(), "it is set at first");
        let waker = flag.context().waker().clone();
        let other = thread::spawn(move || waker.wake());
        flag.set();
        assert!(flag.take(), "whatever the other thread does");
        other.join().unwrap();
    });
}
