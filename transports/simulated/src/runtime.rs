//! The runtime of simulated producers: streams, timers and tasks of the current run.

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

use futures_io::{AsyncRead, AsyncWrite};
use kafka_batch_transport::{ConfigError, ProducerTask, Runtime, SocketOptions, Spawn, runtime_producer};

use crate::network;
use crate::state::{Owner, TimerId, try_with, with};

runtime_producer! {
    /// A producer in a simulation. [`World::producer`](crate::World::producer) makes one.
    SimulatedProducer, Simulated
}

/// The runtime of a [`SimulatedProducer`]. It exists while a simulation runs, on its thread.
#[derive(Clone, Copy, Debug)]
pub enum Simulated {}

impl Runtime for Simulated {
    type Producer = SimulatedProducer;
    type Stream = SimulatedStream;
    type Timer = Timer;

    async fn resolve(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
        let ip = host.parse().ok().or_else(|| with(|state| state.network.resolve(&host)));
        match ip {
            Some(ip) => Ok(vec![SocketAddr::new(ip, port)]),
            None => Err(io::Error::new(io::ErrorKind::NotFound, format!("the simulation has no host {host}"))),
        }
    }

    async fn connect(address: SocketAddr, _: &SocketOptions) -> io::Result<SimulatedStream> {
        let stream = with(|state| {
            let number = state.network.connect(address.ip(), address.port(), state.now);
            let broker = match address.ip() {
                IpAddr::V4(ip) => i32::from(ip.octets()[3]),
                IpAddr::V6(_) => 0,
            };
            state.say(|| format!("[{number}] connects to broker {broker}"));
            SimulatedStream { number }
        });
        std::future::poll_fn(|context| {
            with(|state| {
                let connected = state.network.poll_connected(stream.number, context.waker());
                if let Poll::Ready(connected) = &connected {
                    let outcome = if connected.is_ok() { "connected" } else { "refused" };
                    state.say(|| format!("[{}] {outcome}", stream.number));
                }
                connected
            })
        })
        .await?;
        Ok(stream)
    }

    fn timer(at: Instant) -> Timer {
        Timer::new(with(|state| state.time_of(at)), Owner::Driver)
    }

    fn reset(mut timer: Pin<&mut Timer>, at: Instant) {
        let at = with(|state| state.time_of(at));
        timer.set(Timer::new(at, Owner::Driver));
    }

    fn now() -> Instant {
        // Handles may outlive their simulation, with nothing left to do.
        try_with(|state| state.instant()).unwrap_or_else(Instant::now)
    }

    fn system_time() -> SystemTime {
        try_with(|state| state.system_time()).unwrap_or_else(SystemTime::now)
    }

    fn seed() -> u64 {
        with(crate::state::State::draw_seed)
    }
}

impl Spawn for Simulated {
    fn spawn(task: ProducerTask) -> Result<(), ConfigError> {
        try_with(|state| state.spawned.push((Owner::Driver, task)))
            .ok_or(ConfigError::NoRuntime { runtime: "kafka-batch-simulated" })
    }
}

/// A timer of simulated time.
#[derive(Debug)]
pub struct Timer {
    at: Duration,
    owner: Owner,
    registered: Option<TimerId>,
}

impl Timer {
    pub(crate) const fn new(at: Duration, owner: Owner) -> Self {
        Self { at, owner, registered: None }
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let (at, owner, registered) = (self.at, self.owner, self.registered);
        let (registered, is_due, old) = with(|state| {
            if at <= state.now {
                return (None, true, registered.and_then(|id| state.remove_timer(id)));
            }
            match registered {
                Some(id) => (Some(id), false, state.set_waker(id, context.waker())),
                None => (Some(state.add_timer(at, context.waker().clone(), owner)), false, None),
            }
        });
        drop(old); // foreign code
        self.registered = registered;
        if is_due { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some(id) = self.registered.take() {
            drop(try_with(|state| state.remove_timer(id)));
        }
    }
}

/// A connection to a simulated broker.
#[derive(Debug)]
pub struct SimulatedStream {
    number: u64,
}

impl AsyncRead for SimulatedStream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        with(|state| state.network.poll_read(self.number, context.waker(), buffer))
    }
}

impl AsyncWrite for SimulatedStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(with(|state| network::write(state, self.number, slices)))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        try_with(|state| network::close(state, self.number));
        Poll::Ready(Ok(()))
    }
}

impl Drop for SimulatedStream {
    fn drop(&mut self) {
        try_with(|state| network::close(state, self.number));
    }
}
