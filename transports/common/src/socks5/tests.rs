use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

use async_io::{Async, block_on};
use proptest::prelude::*;

use super::*;

fn login(username: &str, password: &str) -> Login {
    Login { username: username.into(), password: password.into() }
}

/// Answers with these parts in turn, and returns what the client has sent before each of them, and the outcome.
fn answer(login: Option<&Login>, host: &str, parts: &[&[u8]]) -> (Vec<Vec<u8>>, Result<bool, Socks5ErrorKind>) {
    let mut handshake = Handshake::new(login, host, 9092).unwrap();
    let mut sent = Vec::new();
    for part in parts {
        sent.push(handshake.take_output());
        if let Err(error) = handshake.on_received(part) {
            return (sent, Err(error));
        }
    }
    (sent, Ok(handshake.needed().is_none()))
}

#[test]
fn a_name_is_sent_to_the_proxy_and_its_reply_is_read_to_the_end() {
    let (sent, done) = answer(None, "broker", &[&[5, 0], &[5, 0, 0, 1], &[10, 0, 0, 1], &[0x1f, 0x90]]);
    assert!(done.unwrap());
    assert_eq!(sent, [&[5, 1, 0][..], b"\x05\x01\x00\x03\x06broker\x23\x84", &[], &[]]);
}

#[test]
fn addresses_are_sent_as_such() {
    let (sent, _) = answer(None, "10.1.2.3", &[&[5, 0], &[5]]);
    assert_eq!(sent[1], [5, 1, 0, 1, 10, 1, 2, 3, 0x23, 0x84]);
    let (sent, _) = answer(None, "2001:db8::1", &[&[5, 0], &[5]]);
    assert_eq!(sent[1], [5, 1, 0, 4, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x23, 0x84]);
}

#[test]
fn the_login_is_sent_if_the_proxy_asks_for_it() {
    let login = login("bob", "hunter2");
    let (sent, done) = answer(Some(&login), "b", &[&[5, 2], &[1, 0], &[5, 0, 0, 4], &[0; 16], &[0, 0]]);
    assert!(done.unwrap());
    assert_eq!(sent[..2], [&[5, 2, 0, 2][..], b"\x01\x03bob\x07hunter2"]);
    let (sent, done) = answer(Some(&login), "b", &[&[5, 0], &[5, 0, 0, 3], &[3], b"foo", &[0, 0]]);
    assert!(done.unwrap());
    assert!(sent.iter().all(|sent| !sent.ends_with(b"hunter2")), "it was not asked for");
    assert!(!format!("{:?}", Handshake::new(Some(&login), "b", 1).unwrap()).contains("hunter2"));
}

#[test]
fn refusals_have_the_codes_of_the_rfc() {
    use Socks5Reply::*;
    let replies = [
        (1, GeneralFailure, io::ErrorKind::Other),
        (2, NotAllowed, io::ErrorKind::PermissionDenied),
        (3, NetworkUnreachable, io::ErrorKind::NetworkUnreachable),
        (4, HostUnreachable, io::ErrorKind::HostUnreachable),
        (5, ConnectionRefused, io::ErrorKind::ConnectionRefused),
        (6, TtlExpired, io::ErrorKind::TimedOut),
        (7, CommandNotSupported, io::ErrorKind::Unsupported),
        (8, AddressTypeNotSupported, io::ErrorKind::Unsupported),
        (9, Unassigned(9), io::ErrorKind::Other),
    ];
    for (code, expected, kind) in replies {
        let (_, refused) = answer(None, "b", &[&[5, 0], &[5, code, 0, 1]]);
        let error = refused.unwrap_err();
        assert!(matches!(error, Socks5ErrorKind::Refused(reply) if reply == expected), "{error:?}");
        assert_eq!(error.io_kind(), kind);
    }
    let of = |login, parts: &[&[u8]]| answer(login, "b", parts).1.unwrap_err();
    assert!(matches!(of(None, &[&[5, 0xff]]), Socks5ErrorKind::NoAcceptableMethod { has_login: false }));
    let bob = login("bob", "hunter2");
    assert!(matches!(of(Some(&bob), &[&[5, 0xff]]), Socks5ErrorKind::NoAcceptableMethod { has_login: true }));
    assert!(matches!(of(Some(&bob), &[&[5, 2], &[1, 7]]), Socks5ErrorKind::LoginRefused { status: 7 }));
    assert!(matches!(of(None, &[&[5, 2]]), Socks5ErrorKind::Malformed { what: "method", found: 2 }), "not offered");
    for (parts, what) in [
        (&[b"HT".as_slice()][..], "version"),
        (&[&[5, 0], &[4, 0, 0, 1]], "version"),
        (&[&[5, 0], &[5, 0, 0, 2]], "type of address"),
        (&[&[5, 0, 5]], "surplus byte"),
    ] {
        let error = of(None, parts);
        assert!(matches!(error, Socks5ErrorKind::Malformed { what: found, .. } if found == what), "{error:?}");
    }
    let long = "x".repeat(256);
    let error = Handshake::new(None, &long, 1).unwrap_err();
    assert!(matches!(error, Socks5ErrorKind::NameTooLong { length: 256 }), "{error:?}");
}

#[test]
fn errors_name_the_proxy() {
    let proxy = Proxy { host: "::1".to_owned(), port: 1080, login: None };
    let error = proxy.error(Socks5ErrorKind::Refused(Socks5Reply::NotAllowed));
    assert_eq!(error.to_string(), "the SOCKS5 proxy [::1]:1080: its rules do not allow the connection");
    let inner = error.get_ref().unwrap().downcast_ref::<Socks5Error>().unwrap();
    assert_eq!(inner.proxy, "[::1]:1080");
}

proptest! {
    /// Whatever a proxy sends, the handshake ends after at most 2 + 2 + 4 + 1 + 257 bytes.
    #[test]
    fn hostile_replies_are_bounded(bytes in prop::collection::vec(any::<u8>(), 0..600), has_login: bool) {
        let login = has_login.then(|| login("u", "p"));
        let mut handshake = Handshake::new(login.as_ref(), "b", 1).unwrap();
        let mut left = &bytes[..];
        while let Some(needed) = handshake.needed() {
            prop_assert!((1..=Handshake::MAX_READ).contains(&needed));
            let (next, after) = left.split_at(needed.min(left.len()));
            if next.is_empty() || handshake.on_received(next).is_err() {
                break;
            }
            left = after;
        }
        prop_assert!(bytes.len() - left.len() <= 266);
    }
}

/// Runs a handshake with a proxy that answers each read of the client's with the next part.
fn over_sockets(parts: &'static [&'static [u8]]) -> Result<(), Socks5ErrorKind> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _): (TcpStream, _) = listener.accept().unwrap();
        for part in parts {
            let mut buffer = [0; 64];
            if stream.read(&mut buffer).unwrap() == 0 {
                return;
            }
            stream.write_all(part).unwrap();
        }
        // Closing with unread bytes would be a reset.
        stream.shutdown(Shutdown::Write).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let outcome = block_on(async {
        let mut stream = Async::<TcpStream>::connect(address).await.unwrap();
        let mut handshake = Handshake::new(None, "broker", 9092).unwrap();
        run(&mut handshake, &mut stream).await
    });
    server.join().unwrap();
    outcome
}

#[test]
fn it_reads_and_writes_over_a_stream() {
    over_sockets(&[&[5, 0], &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]]).unwrap();
    assert!(matches!(over_sockets(&[&[5, 0]]).unwrap_err(), Socks5ErrorKind::Closed));
    assert!(matches!(over_sockets(&[]).unwrap_err(), Socks5ErrorKind::Closed));
}
