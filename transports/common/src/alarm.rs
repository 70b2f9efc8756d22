//! The timer of the driver loop.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use crate::runtime::Runtime;

/// A timer that is reset only to an earlier deadline. Deadlines mostly move later, a little with each request. Then the timer
/// fires once too early, which is harmless to the machine, and is not reset with each request.
pub(crate) struct Alarm<R: Runtime> {
    set_to: Option<Instant>,
    /// `None` until there was a deadline.
    timer: Option<Pin<Box<R::Timer>>>,
}

impl<R: Runtime> Alarm<R> {
    /// Returns an alarm without a deadline.
    pub(crate) const fn new() -> Self {
        Self { set_to: None, timer: None }
    }

    /// Ensures that the timer fires at `deadline` or earlier.
    pub(crate) fn set(&mut self, deadline: Option<Instant>) {
        if let Some(deadline) = deadline.filter(|at| self.set_to.is_none_or(|set_to| *at < set_to)) {
            self.set_to = Some(deadline);
            match &mut self.timer {
                Some(timer) => R::reset(timer.as_mut(), deadline),
                None => self.timer = Some(Box::pin(R::timer(deadline))),
            }
        }
    }

    /// Polls the timer, unless no deadline is set. Clears the deadline if the timer has fired.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let (Some(_), Some(timer)) = (self.set_to, &mut self.timer) else { return Poll::Pending };
        let fired = timer.as_mut().poll(context).map(drop);
        if fired.is_ready() {
            self.set_to = None;
        }
        fired
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::net::SocketAddr;
    use std::task::Waker;
    use std::time::Duration;
    use std::{io, mem};

    use futures_io::{AsyncRead, AsyncWrite};

    use super::*;
    use crate::network_config::SocketOptions;
    use crate::producer::Producer;

    /// A runtime whose timers fire when a test sets `fires`, and record what they were set to.
    pub(crate) struct Manual;

    #[derive(Default)]
    pub(crate) struct ManualTimer {
        sets: Vec<Instant>,
        fires: bool,
        polls: usize,
    }

    impl Future for ManualTimer {
        type Output = ();

        fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            self.polls += 1;
            if mem::take(&mut self.fires) { Poll::Ready(()) } else { Poll::Pending }
        }
    }

    /// A runtime that connects to nothing needs no stream.
    pub(crate) enum NoStream {}

    impl AsyncRead for NoStream {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
            match *self {}
        }
    }

    impl AsyncWrite for NoStream {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
            match *self {}
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            match *self {}
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            match *self {}
        }
    }

    impl Runtime for Manual {
        type Producer = Producer;
        type Stream = NoStream;
        type Timer = ManualTimer;

        async fn resolve(_: String, _: u16) -> io::Result<Vec<SocketAddr>> {
            Ok(Vec::new())
        }

        async fn connect(_: SocketAddr, _: &SocketOptions) -> io::Result<NoStream> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn timer(at: Instant) -> ManualTimer {
            ManualTimer { sets: vec![at], ..ManualTimer::default() }
        }

        fn reset(mut timer: Pin<&mut ManualTimer>, at: Instant) {
            timer.sets.push(at);
        }
    }

    #[test]
    fn the_timer_is_reset_to_earlier_deadlines_and_after_it_has_fired() {
        let (start, mut alarm) = (Instant::now(), Alarm::<Manual>::new());
        let mut context = Context::from_waker(Waker::noop());
        let at = |seconds| Some(start + Duration::from_secs(seconds));
        assert!(alarm.poll(&mut context).is_pending() && alarm.timer.is_none(), "there was no deadline");
        for deadline in [at(5), at(6), None, at(5), at(4)] {
            alarm.set(deadline);
        }
        assert!(alarm.poll(&mut context).is_pending());
        alarm.set(at(9));
        alarm.timer.as_mut().unwrap().fires = true;
        assert!(alarm.poll(&mut context).is_ready());
        assert!(alarm.poll(&mut context).is_pending(), "it is not polled without a deadline");
        alarm.set(at(9));
        let timer = alarm.timer.unwrap();
        assert_eq!((timer.sets.clone(), timer.polls), ([at(5), at(4), at(9)].map(Option::unwrap).to_vec(), 2));
    }
}
