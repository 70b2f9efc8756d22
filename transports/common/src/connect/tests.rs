use std::cell::RefCell;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the future is pending"),
    }
}

/// Names of this test: `both` has two addresses, `alias` the addresses of two canonical names, of which one has no name.
fn resolve(host: &str) -> io::Result<Vec<SocketAddr>> {
    let addresses: &[&str] = match host {
        "both" => &["[::1]:1", "127.0.0.1:1"],
        "alias" => &["127.0.0.1:1", "127.0.0.2:1"],
        "one.example" => &["127.0.0.3:1"],
        "none" => &[],
        address => return Ok(vec![SocketAddr::new(address.parse().map_err(|_| io::ErrorKind::NotFound)?, 1)]),
    };
    Ok(addresses.iter().map(|address| address.parse().unwrap()).collect())
}

/// Dials, where connections to these addresses are accepted. Returns the addresses that were tried, too.
fn dial(target: Target, config: &NetworkConfig, accepting: &[&str]) -> (io::Result<Connected<String>>, Vec<String>) {
    let tried = RefCell::new(Vec::new());
    let operations = Operations {
        resolve: |host: String, _| async move { resolve(&host) },
        canonical_name: |address: IpAddr| async move {
            match address.to_string().as_str() {
                "127.0.0.1" => Ok("one.example".to_owned()),
                _ => Err(io::ErrorKind::NotFound.into()),
            }
        },
        connect: |address: SocketAddr| {
            let address = address.ip().to_string();
            tried.borrow_mut().push(address.clone());
            let accepted = accepting.contains(&address.as_str());
            async move { if accepted { Ok(address) } else { Err(io::ErrorKind::ConnectionRefused.into()) } }
        },
        sleep: |_| std::future::pending::<()>(),
    };
    let connected = block_on(operations.dial(target, config));
    (connected, tried.take())
}

fn target(host: &str, failures: usize) -> Target {
    Target { host: host.to_owned(), port: 1, failures, is_bootstrap: true }
}

#[test]
fn addresses_of_other_families_are_not_tried() {
    for (family, expected) in [
        (AddressFamily::Any, &["::1", "127.0.0.1"][..]),
        (AddressFamily::V4, &["127.0.0.1"]),
        (AddressFamily::V6, &["::1"]),
    ] {
        let config = NetworkConfig { family, ..NetworkConfig::default() };
        let (failed, tried) = dial(target("both", 0), &config, &[]);
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(tried, expected);
    }
    let only_v6 = NetworkConfig { family: AddressFamily::V6, ..NetworkConfig::default() };
    let (failed, tried) = dial(target("alias", 0), &only_v6, &["127.0.0.1"]);
    let expected = "none of the host's addresses (2) has the family of broker.address.family (v6): set it to any";
    assert_eq!((failed.unwrap_err().to_string().as_str(), tried.len()), (expected, 0));
    assert_eq!(dial(target("none", 0), &only_v6, &[]).0.unwrap_err().to_string(), "the host name has no address");
}

#[test]
fn an_error_names_the_address_unless_the_host_is_one() {
    let config = NetworkConfig::default();
    for (host, expected) in [("both", "127.0.0.1:1: connection refused"), ("127.0.0.1", "connection refused")] {
        let error = dial(target(host, 0), &config, &[]).0.unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (io::ErrorKind::ConnectionRefused, expected.to_owned()));
    }
}

#[test]
fn bootstrap_servers_are_connected_to_by_their_canonical_names() {
    let dns_lookup = DnsLookup::ResolveCanonicalBootstrapServersOnly;
    let config = NetworkConfig { dns_lookup, ..NetworkConfig::default() };
    let all = ["127.0.0.1", "127.0.0.2", "127.0.0.3"];
    let (connected, tried) = dial(target("alias", 0), &config, &all);
    assert_eq!(connected.unwrap().canonical_name.as_deref(), Some("one.example"));
    assert_eq!(tried, ["127.0.0.3"]);
    let (connected, tried) = dial(target("alias", 1), &config, &all);
    assert_eq!(connected.unwrap().canonical_name.as_deref(), Some("127.0.0.2"), "it has no name");
    assert_eq!(tried, ["127.0.0.2"]);
    let error = dial(target("alias", 2), &config, &[]).0.unwrap_err();
    assert_eq!(error.to_string(), "one.example (127.0.0.3:1): connection refused");
    let broker = Target { is_bootstrap: false, ..target("alias", 0) };
    let (connected, tried) = dial(broker, &config, &all);
    assert_eq!((connected.unwrap().canonical_name, &tried[..]), (None, &["127.0.0.1".to_owned()][..]));
}
