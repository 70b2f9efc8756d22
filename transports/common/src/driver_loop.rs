//! The driver loop, over the sockets and the timer of any runtime.

use std::future::{Future, poll_fn};
use std::io;
use std::sync::Arc;
use std::task::Poll;

use futures_io::{AsyncRead, AsyncWrite};

use crate::alarm::Alarm;
use crate::connect::{Connected, connect};
use crate::connections::Connections;
use crate::connector::AnyConnector;
use crate::driver::{Driver, Step};
use crate::network_config::NetworkConfig;
use crate::runtime::{ProducerTask, Runtime};
use crate::target::Target;

/// Returns the task that runs a driver until its producer is closed, over connections of the runtime.
pub(crate) fn task<R: Runtime>(driver: Driver, config: NetworkConfig) -> ProducerTask {
    let config = Arc::new(config);
    Box::pin(run::<R, _, _>(driver, move |target| connect::<R>(target, Arc::clone(&config))))
}

/// As [`task`], over connections of this connector.
pub(crate) fn task_over<R: Runtime>(driver: Driver, connector: Arc<dyn AnyConnector>) -> ProducerTask {
    Box::pin(run::<R, _, _>(driver, move |Target { host, port, .. }| {
        let attempt = Arc::clone(&connector).connect(host, port);
        async { attempt.await.map(Connected::new) }
    }))
}

/// Runs a driver until its producer is closed.
async fn run<R: Runtime, S, F>(mut driver: Driver, connect: impl Fn(Target) -> F)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = io::Result<Connected<S>>> + Send + 'static,
{
    let mut connections = Connections::<S>::new();
    let mut alarm = Alarm::<R>::new();
    loop {
        let deadline = loop {
            match driver.next_step() {
                Step::Connect { connection, target, tls } => connections.open(connection, tls, connect(target)),
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
