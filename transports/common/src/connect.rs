//! Connecting to a broker by host name, directly or through a proxy.

use std::error::Error;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fmt, io};

use crate::happy_eyeballs::{Failed, connect_to_any, in_order};
use crate::local_runtime::LocalRuntime;
use crate::network_config::{AddressFamily, DnsLookup, NetworkConfig};
use crate::runtime::Runtime;
use crate::socks5::{self, Socks5ErrorKind};
use crate::target::Target;

/// A connection to a broker.
#[derive(Debug)]
pub(crate) struct Connected<S> {
    pub(crate) stream: S,
    /// The name that replaces the target's in the broker's certificate.
    pub(crate) canonical_name: Option<String>,
}

impl<S> Connected<S> {
    pub(crate) const fn new(stream: S) -> Self {
        Self { stream, canonical_name: None }
    }
}

/// Connects to a broker. There is no timeout here: the machine abandons an attempt after `socket.connection.setup.timeout.ms`.
pub(crate) async fn connect<R: Runtime>(
    target: Target,
    config: Arc<NetworkConfig>,
) -> io::Result<Connected<R::Stream>> {
    let operations = Operations {
        resolve: R::resolve,
        canonical_name: R::canonical_name,
        connect: |address| R::connect(address, &config.socket),
        sleep: |delay| R::timer(R::now() + delay),
    };
    let Some(proxy) = &config.proxy else { return operations.dial(target, &config).await };
    let dialed = operations.dial(proxy.target(target.failures), &config).await;
    let mut stream = dialed.map_err(|error| proxy.error(Socks5ErrorKind::Unreachable(error)))?.stream;
    let mut handshake = proxy.handshake(&target.host, target.port)?;
    socks5::run(&mut handshake, &mut stream).await.map_err(|error| proxy.error(error))?;
    Ok(Connected::new(stream))
}

/// As [`connect`], with futures that need not be `Send`.
pub(crate) async fn connect_local<R: LocalRuntime>(
    target: Target,
    config: Arc<NetworkConfig>,
) -> io::Result<(R::Reader, R::Writer)> {
    let operations = Operations {
        resolve: R::resolve,
        canonical_name: |_| async { Err(io::ErrorKind::Unsupported.into()) }, // refused by `build_local`
        connect: R::connect,
        sleep: |delay| R::sleep_until(Instant::now() + delay),
    };
    let Some(proxy) = &config.proxy else { return Ok(operations.dial(target, &config).await?.stream) };
    let dialed = operations.dial(proxy.target(target.failures), &config).await;
    let (mut reader, mut writer) = dialed.map_err(|error| proxy.error(Socks5ErrorKind::Unreachable(error)))?.stream;
    let mut handshake = proxy.handshake(&target.host, target.port)?;
    socks5::run_local::<R>(&mut handshake, &mut reader, &mut writer).await.map_err(|error| proxy.error(error))?;
    Ok((reader, writer))
}

/// What a runtime does to connect, as functions: the futures of some are `Send`, and those of others are not.
struct Operations<A, B, C, D> {
    resolve: A,
    canonical_name: B,
    connect: C,
    sleep: D,
}

impl<A, AF, B, BF, C, CF, D, DF, S> Operations<A, B, C, D>
where
    A: Fn(String, u16) -> AF,
    AF: Future<Output = io::Result<Vec<SocketAddr>>>,
    B: Fn(IpAddr) -> BF,
    BF: Future<Output = io::Result<String>>,
    C: Fn(SocketAddr) -> CF,
    CF: Future<Output = io::Result<S>>,
    D: Fn(Duration) -> DF,
    DF: Future,
{
    /// Resolves the host, and connects to one of its addresses.
    async fn dial(&self, target: Target, config: &NetworkConfig) -> io::Result<Connected<S>> {
        let Target { host, port, failures, is_bootstrap } = target;
        let is_address = host.parse::<IpAddr>().is_ok();
        let mut addresses = self.resolve(host, port, config.family).await?;
        let mut canonical_name = None;
        if is_bootstrap && config.dns_lookup == DnsLookup::ResolveCanonicalBootstrapServersOnly {
            // Each address may have another name. The next attempt takes that of the next address.
            let address = addresses[failures % addresses.len()];
            let name = self.canonical_name(address.ip()).await;
            addresses = self.resolve(name.clone(), port, config.family).await?;
            canonical_name = Some(name);
        }
        let addresses = in_order(addresses, failures);
        let failed = match connect_to_any(addresses, config.attempt_delay, &self.connect, &self.sleep).await {
            Ok(stream) => return Ok(Connected { stream, canonical_name }),
            Err(failed) => failed,
        };
        // Errors name the broker's host in any case.
        let Failed { address, error } = failed;
        match canonical_name {
            None if is_address => Err(error),
            canonical_name => Err(io::Error::new(error.kind(), AtAddress { canonical_name, address, error })),
        }
    }

    /// Returns the addresses of this family, of which there is at least one.
    async fn resolve(&self, host: String, port: u16, family: AddressFamily) -> io::Result<Vec<SocketAddr>> {
        let mut addresses = (self.resolve)(host, port).await?;
        let found = addresses.len();
        addresses.retain(|address| match family {
            AddressFamily::Any => true,
            AddressFamily::V4 => address.is_ipv4(),
            AddressFamily::V6 => address.is_ipv6(),
        });
        if addresses.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, NoAddress { family, found }));
        }
        Ok(addresses)
    }

    /// Returns the name of an address in the DNS or, as Java's client does, the address itself if it has none.
    async fn canonical_name(&self, address: IpAddr) -> String {
        let looked_up = (self.canonical_name)(address).await;
        looked_up.ok().filter(|name| !name.is_empty()).unwrap_or_else(|| address.to_string())
    }
}

/// An error of one address of a host name.
#[derive(Debug)]
struct AtAddress {
    canonical_name: Option<String>,
    address: SocketAddr,
    error: io::Error,
}

impl fmt::Display for AtAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { canonical_name, address, error } = self;
        match canonical_name {
            Some(name) => write!(f, "{name} ({address}): {error}"),
            None => write!(f, "{address}: {error}"),
        }
    }
}

/// The source of the error itself, whose text is a part of this one.
impl Error for AtAddress {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

/// A host without an address of the family.
#[derive(Debug)]
struct NoAddress {
    family: AddressFamily,
    /// The number of addresses of other families.
    found: usize,
}

impl fmt::Display for NoAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { family, found } = self;
        match found {
            0 => f.write_str("the host name has no address"),
            found => write!(
                f,
                "none of the host's addresses ({found}) has the family of broker.address.family ({}): set it to any",
                family.name()
            ),
        }
    }
}

impl Error for NoAddress {}

#[cfg(test)]
mod tests;
