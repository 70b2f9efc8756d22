//! The driver loop, over the sockets and the timer of any runtime.

use std::future::{Future, poll_fn};
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use futures_io::{AsyncRead, AsyncWrite};

use crate::alarm::Alarm;
use crate::connect::connect;
use crate::connections::Connections;
use crate::connector::AnyConnector;
use crate::driver::{Driver, Step};
use crate::runtime::{ProducerTask, Runtime};

/// Returns the task that runs a driver until its producer is closed, over connections of this connector or, without one, of the
/// runtime.
pub(crate) fn task<R: Runtime>(driver: Driver, connector: Option<Arc<dyn AnyConnector>>) -> ProducerTask {
    match connector {
        None => Box::pin(run::<R, _, _>(driver, connect::<R>)),
        Some(connector) => {
            let connect = move |host, port, _: Instant, _: usize| Arc::clone(&connector).connect(host, port);
            Box::pin(run::<R, _, _>(driver, connect))
        }
    }
}

/// Runs a driver until its producer is closed. The arguments of `connect` are those of [`Step::Connect`].
async fn run<R: Runtime, S, F>(mut driver: Driver, connect: impl Fn(String, u16, Instant, usize) -> F)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = io::Result<S>> + Send + 'static,
{
    let mut connections = Connections::<S>::new();
    let mut alarm = Alarm::<R>::new();
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
