//! The driver's loop.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use kafka_batch_transport::{Alarm, Connections, Driver, Step};
use tokio::time::sleep;

use crate::connect::connect;

pub(crate) async fn drive(mut driver: Driver) {
    let mut connections = Connections::new();
    let mut alarm = Alarm::new();
    let mut timer = pin!(sleep(Duration::ZERO));
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
        alarm.set(deadline, |at| timer.as_mut().reset(at.into()));
        // Waits for the first event, and handles all that are ready, so that batches can share a request.
        poll_fn(|context| {
            let command = driver.poll_commands(context);
            let event = connections.poll(&mut driver, context);
            let due = alarm.poll(|| timer.as_mut().poll(context));
            if command.is_ready() || event.is_ready() || due.is_ready() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}
