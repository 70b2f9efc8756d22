//! Connecting to the addresses of one host: staggered attempts of which the first to succeed is used (RFC 8305, "happy eyeballs").

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

/// Why no address accepted a connection: the last error, and the address that it is about.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) address: SocketAddr,
    pub(crate) error: io::Error,
}

/// Returns the addresses in the order in which they are tried: without duplicates, and with the families in turns, beginning with
/// that of the first one, which the resolver prefers (RFC 8305, section 4; RFC 6724).
///
/// An address may accept connections although there is no working broker. That is detected only after connecting, so each of
/// the `failures` moves the start to the next address (as the Java client does with `client.dns.lookup=use_all_dns_ips`).
pub(crate) fn in_order(addresses: Vec<SocketAddr>, failures: usize) -> Vec<SocketAddr> {
    let mut unique: Vec<SocketAddr> = Vec::with_capacity(addresses.len());
    for address in addresses {
        if !unique.contains(&address) {
            unique.push(address);
        }
    }
    let prefers_v4 = unique.first().is_some_and(SocketAddr::is_ipv4);
    let (preferred, others): (Vec<_>, Vec<_>) = unique.into_iter().partition(|each| each.is_ipv4() == prefers_v4);
    let count = preferred.len() + others.len();
    let (mut preferred, mut others) = (preferred.into_iter(), others.into_iter());
    let mut ordered = Vec::with_capacity(count);
    while ordered.len() < count {
        ordered.extend(preferred.next());
        ordered.extend(others.next());
    }
    ordered.rotate_left(failures % count.max(1));
    ordered
}

/// Connects to one of these addresses, of which there is at least one: begins an attempt with the next one whenever `delay` has
/// passed since the last attempt began, or an attempt has failed. The first that succeeds is returned, and the others are dropped.
///
/// # Errors
/// All attempts have failed. Returns the last error.
pub(crate) async fn connect_to_any<S, F, T>(
    addresses: Vec<SocketAddr>,
    delay: Duration,
    connect: impl Fn(SocketAddr) -> F,
    sleep: impl Fn(Duration) -> T,
) -> Result<S, Failed>
where
    F: Future<Output = io::Result<S>>,
    T: Future,
{
    let mut attempts: Vec<(SocketAddr, Pin<Box<F>>)> = Vec::new();
    let mut left = addresses.into_iter();
    let mut timer: Option<Pin<Box<T>>> = None;
    let mut is_due = true;
    let mut failed = None;
    poll_fn(|context| {
        loop {
            let mut connected = None;
            attempts.retain_mut(|(address, attempt)| match attempt.as_mut().poll(context) {
                _ if connected.is_some() => true,
                Poll::Pending => true,
                Poll::Ready(Ok(stream)) => {
                    connected = Some(stream);
                    true
                }
                Poll::Ready(Err(error)) => {
                    failed = Some(Failed { address: *address, error });
                    is_due = true;
                    false
                }
            });
            if let Some(stream) = connected {
                return Poll::Ready(Ok(stream));
            }
            is_due |= timer.as_mut().is_some_and(|timer| timer.as_mut().poll(context).is_ready());
            if !is_due {
                return Poll::Pending;
            }
            is_due = false;
            timer = None;
            match left.next() {
                Some(address) => {
                    attempts.push((address, Box::pin(connect(address))));
                    if left.len() > 0 {
                        timer = Some(Box::pin(sleep(delay)));
                    }
                }
                None if attempts.is_empty() => {
                    return Poll::Ready(Err(failed.take().expect("there was an address, and its attempt has failed")));
                }
                None => return Poll::Pending,
            }
        }
    })
    .await
}

#[cfg(test)]
mod tests;
