//! The driver loop, over the sockets and the timer of any runtime.

use std::future::poll_fn;
use std::task::Poll;

use crate::alarm::Alarm;
use crate::connect::connect;
use crate::connections::Connections;
use crate::driver::{Driver, Step};
use crate::runtime::Runtime;

/// Runs a driver until its producer is closed.
pub(crate) async fn run<R: Runtime>(mut driver: Driver) {
    let mut connections = Connections::<R::Stream>::new();
    let mut alarm = Alarm::<R>::new();
    loop {
        let deadline = loop {
            match driver.next_step() {
                Step::Connect { connection, host, port, until, failures, tls } => {
                    connections.open(connection, tls, connect::<R>(host, port, until, failures));
                }
                Step::Transmit { connection, bytes } => connections.transmit(connection, bytes),
                Step::Close(connection) => connections.close(connection),
                Step::Wait(deadline) => break deadline,
                Step::End => return,
            }
        };
        alarm.set(deadline);
        // Waits for the first event, and handles all that are ready, so that batches can share a request.
        poll_fn(|context| {
            let command = driver.poll_commands(context);
            let event = connections.poll(&mut driver, context);
            let due = alarm.poll(context);
            if command.is_ready() || event.is_ready() || due.is_ready() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}
