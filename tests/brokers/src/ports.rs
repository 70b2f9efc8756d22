//! Free ports for a broker to listen on.

use crate::random;
use std::{
    io,
    net::{Ipv4Addr, TcpListener},
};

/// Ports are taken from here and not from the system's ephemeral range (which a bind to port 0 uses), for two reasons.
/// A broker needs the same port again at a restart, and an ephemeral one may be in use by an outgoing connection then.
/// And a connection attempt to an ephemeral port without a listener can, by chance, connect to itself.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// For messages.
pub(crate) const RANGE_IN_WORDS: &str = "20000 to 31999";

/// Returns two different ports without a listener, and this many more. Another process may take them before the broker
/// does, so the caller must be prepared to try again.
pub(crate) fn two_free_and(count: usize) -> io::Result<([u16; 2], Vec<u16>)> {
    let one = listener()?;
    let other = listener()?;
    Ok(([one.local_addr()?.port(), other.local_addr()?.port()], free(count)?))
}

/// Returns this many ports without a listener. Another process may take them before they are used.
///
/// # Errors
/// Returns an error if there is no free port among 200 random ones.
pub fn free(count: usize) -> io::Result<Vec<u16>> {
    let listeners = (0..count).map(|_| listener()).collect::<io::Result<Vec<_>>>()?;
    listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}

fn listener() -> io::Result<TcpListener> {
    let mut failure = None;
    for _ in 0..200 {
        let step = random::number() % u64::from(COUNT);
        let port = FIRST + u16::try_from(step).unwrap_or(0);
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(listener) => return Ok(listener),
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.unwrap_or_else(|| io::ErrorKind::AddrInUse.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_ports_are_nine() {
        let ports: std::collections::BTreeSet<u16> = free(9).unwrap().into_iter().collect();
        assert_eq!(ports.len(), 9);
    }

    #[test]
    fn the_ports_differ_and_are_in_the_range() {
        let ([one, other], more) = two_free_and(1).unwrap();
        assert!(one != other && !more.contains(&one) && !more.contains(&other));
        for port in [one, other, more[0]] {
            assert!((20_000..=31_999).contains(&port), "{port}");
        }
    }
}
