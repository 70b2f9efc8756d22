//! Connecting to a broker by host name.

use std::error::Error;
use std::future::{Future, poll_fn};
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};
use std::{fmt, io};

use crate::local_runtime::LocalRuntime;
use crate::runtime::Runtime;

/// Connects to a host by name.
pub(crate) async fn connect<R: Runtime>(
    host: String,
    port: u16,
    until: Instant,
    failures: usize,
) -> io::Result<R::Stream> {
    let is_address = host.parse::<IpAddr>().is_ok();
    let addresses = R::resolve(host, port).await?;
    let connect = |address, limit| timeout(R::connect(address), R::timer(R::now() + limit));
    connect_to_any(addresses, until, failures, R::now, connect).await.map_err(|failed| failed.into_error(is_address))
}

/// As [`connect`], with futures that need not be `Send`.
pub(crate) async fn connect_local<R: LocalRuntime>(
    host: String,
    port: u16,
    until: Instant,
    failures: usize,
) -> io::Result<(R::Reader, R::Writer)> {
    let is_address = host.parse::<IpAddr>().is_ok();
    let addresses = R::resolve(host, port).await?;
    let connect = |address, limit| timeout(R::connect(address), R::sleep_until(Instant::now() + limit));
    connect_to_any(addresses, until, failures, Instant::now, connect)
        .await
        .map_err(|failed| failed.into_error(is_address))
}

/// Why no address of a broker accepted a connection: the last error, and the address that it is about.
#[derive(Debug)]
struct Failed {
    address: Option<SocketAddr>,
    error: io::Error,
}

impl Failed {
    /// Returns the error. It names the address, unless the broker's host is an address itself, which errors name in any case.
    fn into_error(self, is_address: bool) -> io::Error {
        match self {
            Self { address: Some(address), error } if !is_address => {
                io::Error::new(error.kind(), AtAddress { address, error })
            }
            Self { error, .. } => error,
        }
    }
}

/// An error of one address of a host name.
#[derive(Debug)]
struct AtAddress {
    address: SocketAddr,
    error: io::Error,
}

impl fmt::Display for AtAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.address, self.error)
    }
}

/// The source of the error itself, whose text is a part of this one.
impl Error for AtAddress {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

/// Fails with `TimedOut` if the timer completes before the attempt.
async fn timeout<T>(attempt: impl Future<Output = io::Result<T>>, timer: impl Future) -> io::Result<T> {
    let mut attempt = pin!(attempt);
    let mut timer = pin!(timer);
    poll_fn(|context| match attempt.as_mut().poll(context) {
        Poll::Pending => timer.as_mut().poll(context).map(|_| Err(io::ErrorKind::TimedOut.into())),
        ended => ended,
    })
    .await
}

/// Tries one address of a broker after another, until one accepts a connection. Each attempt gets an equal share of the
/// remaining time, so that an address that does not respond leaves time for the others.
///
/// An address may accept connections although there is no working broker. That is detected only after connecting, so each of
/// the `failures` of [`Step::Connect`](crate::driver::Step::Connect) moves the start to the next address (as the Java client does with
/// `client.dns.lookup=use_all_dns_ips`).
///
/// `connect` makes one attempt, within the given time.
///
/// # Errors
/// The error of the last attempt, or `NotFound` if there is no address.
async fn connect_to_any<S, F: Future<Output = io::Result<S>>>(
    mut addresses: Vec<SocketAddr>,
    until: Instant,
    failures: usize,
    now: impl Fn() -> Instant,
    connect: impl Fn(SocketAddr, Duration) -> F,
) -> Result<S, Failed> {
    let none = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
    let mut last = Failed { address: None, error: none };
    let first = failures % addresses.len().max(1);
    addresses.rotate_left(first);
    for (tried, &address) in addresses.iter().enumerate() {
        let left = (addresses.len() - tried) as u32;
        let share = until.saturating_duration_since(now()) / left;
        match connect(address, share).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Failed { address: Some(address), error },
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::task::{Context, Waker};

    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("the future is pending"),
        }
    }

    #[test]
    fn addresses_are_tried_in_order_each_with_an_equal_share_of_the_time() {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let tried = RefCell::new(Vec::new());
        let until = Instant::now() + Duration::from_secs(100);
        let connect = |address: SocketAddr, limit: Duration| {
            tried.borrow_mut().push((address.port(), limit.as_secs_f64().round() as u64));
            async move { if address.port() == 3 { Ok(3) } else { Err(io::ErrorKind::TimedOut.into()) } }
        };
        assert_eq!(
            block_on(connect_to_any([1, 2, 3, 4].map(address).into(), until, 0, Instant::now, connect)).unwrap(),
            3
        );
        assert_eq!(*tried.borrow(), [(1, 25), (2, 33), (3, 50)]);
        for (is_address, expected) in [(false, "127.0.0.1:2: timed out"), (true, "timed out")] {
            let failed =
                block_on(connect_to_any([1, 2].map(address).into(), until, 0, Instant::now, connect)).unwrap_err();
            let error = failed.into_error(is_address);
            assert_eq!((error.kind(), error.to_string()), (io::ErrorKind::TimedOut, expected.to_owned()));
        }
        let error = block_on(connect_to_any(vec![], until, 7, Instant::now, connect)).unwrap_err().into_error(false);
        assert_eq!(error.to_string(), "the host name has no address");
    }

    #[test]
    fn each_failure_moves_the_start_to_the_next_address() {
        let addresses = || [1, 2, 3].map(|port| SocketAddr::from(([127, 0, 0, 1], port))).into();
        let until = Instant::now() + Duration::from_secs(100);
        let tried = RefCell::new(Vec::new());
        let connect = |address: SocketAddr, _| {
            tried.borrow_mut().push(address.port());
            async move { if address.port() == 3 { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) } }
        };
        for failures in [0, 1, 2, 3, 7] {
            block_on(connect_to_any(addresses(), until, failures, Instant::now, connect)).unwrap();
        }
        assert_eq!(tried.take(), [1, 2, 3, 1, 1, 2]);
    }
}
