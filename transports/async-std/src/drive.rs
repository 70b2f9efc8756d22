//! The driver's loop.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use async_io::Timer;
use kafka_batch_transport::{Alarm, Connections, Driver, Step};

use crate::connect::connect;

pub(crate) async fn drive(mut driver: Driver) {
    let mut connections = Connections::new();
    let mut alarm = Alarm::new();
    let mut timer = Timer::never();
    loop {
        let deadline = loop {
            match driver.next_step() {
                Step::Connect { connection, host, port, until, failures, tls } => {
                    connections.open(connection, tls, connect(host, port, until, failures));
                }
                Step::Transmit { connection, bytes } => connections.transmit(connection, bytes),
                Step::Close(connection) => connections.close(connection),
                Step::Wait(deadline) => break deadline,
                Step::End => return,
            }
        };
        alarm.set(deadline, |at| timer.set_at(at));
        // Waits for the first event, and handles all that are ready, so that batches can share a request.
        poll_fn(|context| {
            let command = driver.poll_commands(context);
            let event = connections.poll(&mut driver, context);
            let due = alarm.poll(|| Pin::new(&mut timer).poll(context).map(drop));
            if command.is_ready() || event.is_ready() || due.is_ready() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}
