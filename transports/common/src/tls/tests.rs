mod certificates;
mod directory;
mod keys;
mod locations;
mod replaced_files;

use std::future::Future;
use std::io::{IoSlice, Read, Write};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use futures_rustls::pki_types::pem::PemObject;
use futures_rustls::pki_types::{CertificateDer, PrivateKeyDer};
use futures_rustls::rustls::crypto::ring;
use futures_rustls::rustls::server::{ResolvesServerCert, WebPkiClientVerifier};
use futures_rustls::rustls::{AlertDescription, RootCertStore, ServerConfig, ServerConnection};
use kafka_batch_certificates::{Authority, Identity, date_time_ymd};

use super::*;
use crate::security::{
    CA_LOCATION, CA_PEM, CERTIFICATE_LOCATION, CERTIFICATE_PEM, IDENTIFICATION, KEY_LOCATION, KEY_PASSWORD, KEY_PEM,
};

fn config(settings: &[(&str, &str)]) -> Result<Tls, ConfigError> {
    Tls::read(&settings.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect())
}

#[track_caller]
fn wrong(settings: &[(&str, &str)]) -> String {
    match config(settings) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("these settings are accepted: {settings:?}"),
    }
}

#[test]
fn invalid_files_and_texts_are_errors_when_the_producer_is_made() {
    let authority = Authority::new("authority");
    let client = authority.sign("us");
    let others = authority.sign("others");
    let ca = (CA_PEM, authority.certificate.as_str());
    assert!(config(&[ca]).is_ok());
    assert!(config(&[ca, (CERTIFICATE_PEM, &client.certificate), (KEY_PEM, &client.key)]).is_ok());
    assert!(
        wrong(&[(CA_LOCATION, "/no/such/ca.pem")])
            .starts_with("ssl.ca.location = \"/no/such/ca.pem\": this path cannot be read: ")
    );
    assert!(wrong(&[ca, (CA_LOCATION, "ca.pem")]).contains("not both"));
    assert!(wrong(&[(CA_PEM, "")]).contains("no certificate found"));
    assert!(wrong(&[(CA_PEM, &client.key)]).contains("no certificate found"));
    let broken = authority.certificate.replace("MII", "!!!");
    assert!(wrong(&[(CA_PEM, &broken)]).contains("a certificate cannot be read"));
    let nonsense = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
    assert!(wrong(&[(CA_PEM, nonsense)]).contains("certificate 1 cannot be used"));
    assert!(wrong(&[ca, (CERTIFICATE_PEM, &client.certificate)]).contains("ssl.key.location"));
    assert!(wrong(&[ca, (KEY_PEM, &client.key)]).contains("ssl.certificate.location"));
    let no_key = wrong(&[ca, (CERTIFICATE_PEM, &client.certificate), (KEY_PEM, &authority.certificate)]);
    assert!(no_key.starts_with("ssl.key.pem = \"(not shown)\"") && no_key.contains("BEGIN PRIVATE KEY"), "{no_key}");
    let other_key = wrong(&[ca, (CERTIFICATE_PEM, &client.certificate), (KEY_PEM, &others.key)]);
    assert!(other_key.contains("cannot be used with this key"), "{other_key}");
    let version_1 = include_str!("tests/certificates/v1.pem");
    let version_1 = wrong(&[ca, (CERTIFICATE_PEM, version_1), (KEY_PEM, include_str!("tests/certificates/v1.key"))]);
    assert!(version_1.starts_with("ssl.certificate.pem = ") && version_1.contains("-extfile"), "{version_1}");
    // Well-formed PEM of a truncated key.
    let (begin, end) = ("-----BEGIN PRIVATE KEY-----\n", "\n-----END PRIVATE KEY-----\n");
    let damaged = wrong(&[ca, (CERTIFICATE_PEM, &client.certificate), (KEY_PEM, &format!("{begin}MIGHAgEA{end}"))]);
    assert!(damaged.starts_with("ssl.key.pem = \"(not shown)\": the key is damaged"), "{damaged}");
    assert!(wrong(&[ca, (KEY_PASSWORD, "hunter2")]).contains("only with ssl.key.location"));
    assert!(wrong(&[ca, (IDENTIFICATION, "ldap")]).contains("https or none"));
}

#[test]
fn a_key_may_be_encrypted() {
    let authority = Authority::new("authority");
    let client = authority.sign("us");
    let key = client.encrypted_key("hunter2");
    let identity = [(CA_PEM, authority.certificate.as_str()), (CERTIFICATE_PEM, &client.certificate), (KEY_PEM, &key)];
    assert!(config(&[&identity[..], &[(KEY_PASSWORD, "hunter2")]].concat()).is_ok());
    assert!(wrong(&identity).contains("set ssl.key.password too"));
    assert!(wrong(&[&identity[..], &[(KEY_PASSWORD, "guessed")]].concat()).starts_with("ssl.key.password"));
}

/// A broker's end of a connection. It makes all possible progress within each call, so that futures over it are never pending.
#[derive(Debug)]
struct Peer {
    session: ServerConnection,
    received: Vec<u8>,
    /// Received as encrypted.
    sealed: Vec<u8>,
    /// The maximum number of bytes per write. With 0, writes are pending.
    max_write: Option<usize>,
    closed: bool,
}

impl Peer {
    fn new(signed: &Identity, client_authority: Option<&Authority>) -> Self {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let builder = match client_authority {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(CertificateDer::from_pem_slice(authority.certificate.as_bytes()).unwrap()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
                builder.with_client_cert_verifier(verifier)
            }
        };
        let certificate = CertificateDer::from_pem_slice(signed.certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(signed.key.as_bytes()).unwrap();
        let config = builder.with_single_cert(vec![certificate], key).unwrap();
        Self::with_config(config)
    }

    fn with_resolver(resolver: Arc<dyn ResolvesServerCert>) -> Self {
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        Self::with_config(builder.with_cert_resolver(resolver))
    }

    fn with_config(config: ServerConfig) -> Self {
        Self::with_shared_config(Arc::new(config))
    }

    fn with_shared_config(config: Arc<ServerConfig>) -> Self {
        let session = ServerConnection::new(config).unwrap();
        Self { session, received: Vec::new(), sealed: Vec::new(), max_write: None, closed: false }
    }

    fn send(&mut self, bytes: &[u8]) {
        self.session.writer().write_all(bytes).unwrap();
    }
}

impl AsyncWrite for Peer {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let bytes = &bytes[..self.max_write.unwrap_or(usize::MAX).min(bytes.len())];
        if bytes.is_empty() {
            return Poll::Pending;
        }
        let taken = self.session.read_tls(&mut &*bytes).unwrap();
        self.sealed.extend(&bytes[..taken]);
        if let Ok(state) = self.session.process_new_packets() {
            let mut received = vec![0; state.plaintext_bytes_to_read()];
            self.session.reader().read_exact(&mut received).unwrap();
            self.received.extend(received);
        } // otherwise the session has an alert to send
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Peer {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, mut buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.session.wants_write() {
            return Poll::Ready(self.session.write_tls(&mut buffer));
        }
        if self.closed { Poll::Ready(Ok(0)) } else { Poll::Pending }
    }
}

fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the future is pending"),
    }
}

fn context() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

fn connected(settings: &[(&str, &str)], peer: Peer) -> io::Result<TlsStream<Peer>> {
    ready(config(settings).unwrap().connect(peer, "broker"))
}

#[track_caller]
fn rejected(settings: &[(&str, &str)], peer: Peer) -> String {
    match connected(settings, peer) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("the broker is trusted"),
    }
}

#[test]
fn frames_are_complete_whatever_the_stream_accepts_per_write() {
    let authority = Authority::new("authority");
    let broker = authority.sign("broker");
    let batch: Vec<u8> = (0..200_000_u32).flat_map(u32::to_be_bytes).collect();
    for max_write in [None, Some(1_000), Some(33)] {
        let mut stream = connected(&[(CA_PEM, &authority.certificate)], Peer::new(&broker, None)).unwrap();
        stream.io.max_write = max_write;
        let mut left: &[u8] = &batch;
        while !left.is_empty() {
            let (head, tail) = left.split_at(left.len().min(10));
            let slices = [IoSlice::new(head), IoSlice::new(&[]), IoSlice::new(tail)];
            match Pin::new(&mut stream).poll_write_vectored(&mut context(), &slices) {
                Poll::Ready(Ok(written)) => left = &left[written..],
                other => panic!("{other:?}"),
            }
        }
        assert!(Pin::new(&mut stream).poll_flush(&mut context()).is_ready());
        assert!(stream.io.received == batch, "{max_write:?}");

        stream.io.send(&batch[..50_000]);
        let mut received: Vec<u8> = Vec::new();
        let mut buffer = [0; 1_000];
        while let Poll::Ready(Ok(count @ 1..)) = Pin::new(&mut stream).poll_read(&mut context(), &mut buffer) {
            received.extend(&buffer[..count]);
        }
        assert!(received == batch[..50_000], "{} bytes", received.len());
    }
}

/// Many small records would cost the broker and the client time, and bytes on the network.
#[test]
fn records_have_full_size_although_frames_and_segments_are_short() {
    const FULL: usize = (1 << 14) + 1 + 16; // with the type and the tag of TLS 1.3
    let authority = Authority::new("authority");
    let broker = authority.sign("broker");
    let segments: Vec<Vec<u8>> = (0..200).map(|at| vec![at; if at % 2 == 0 { 40 } else { 9_000 }]).collect();
    let frames = segments.concat();
    for stops_at in [None, Some(100_001)] {
        let mut stream = connected(&[(CA_PEM, &authority.certificate)], Peer::new(&broker, None)).unwrap();
        stream.io.sealed.clear();
        let mut queue: Vec<IoSlice<'_>> = segments.iter().map(|segment| IoSlice::new(segment)).collect();
        let mut queue = &mut queue[..];
        let mut was_pending = false;
        while !queue.is_empty() {
            // At one point the stream accepts nothing for a while.
            let left = stops_at.map(|stop: usize| stop.saturating_sub(stream.io.sealed.len()));
            stream.io.max_write = left.filter(|_| !was_pending);
            match Pin::new(&mut stream).poll_write_vectored(&mut context(), queue) {
                Poll::Ready(Ok(written @ 1..)) => IoSlice::advance_slices(&mut queue, written),
                Poll::Pending => was_pending = true,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(was_pending, stops_at.is_some());
        assert!(Pin::new(&mut stream).poll_flush(&mut context()).is_ready());
        assert!(stream.io.received == frames);
        let (mut left, mut lengths) = (&stream.io.sealed[..], Vec::new());
        while let [_, _, _, high, low, rest @ ..] = left {
            let len = usize::from(u16::from_be_bytes([*high, *low]));
            lengths.push(len);
            left = &rest[len..];
        }
        assert_eq!(lengths.len(), frames.len().div_ceil(1 << 14), "{lengths:?}");
        assert!(lengths[..lengths.len() - 1].iter().all(|&len| len == FULL), "{lengths:?}");
    }
}

/// Bytes that TLS has accepted and the stream has not are not flushed.
#[test]
fn flushing_is_pending_while_the_stream_accepts_nothing() {
    let authority = Authority::new("authority");
    let broker = authority.sign("broker");
    let mut stream = connected(&[(CA_PEM, &authority.certificate)], Peer::new(&broker, None)).unwrap();
    stream.io.max_write = Some(0);
    let written = Pin::new(&mut stream).poll_write(&mut context(), b"frame");
    assert!(matches!(written, Poll::Ready(Ok(5))), "{written:?}");
    assert!(Pin::new(&mut stream).poll_flush(&mut context()).is_pending());
    stream.io.max_write = None;
    assert!(Pin::new(&mut stream).poll_flush(&mut context()).is_ready());
    assert_eq!(stream.io.received, b"frame");
}

#[test]
fn an_untrusted_broker_is_rejected_with_the_reason() {
    let (authority, other) = (Authority::new("authority"), Authority::new("other"));
    let ca = (CA_PEM, authority.certificate.as_str());
    for foreign in [&other, &Authority::new("authority")] {
        let foreign = rejected(&[ca], Peer::new(&foreign.sign("broker"), None));
        assert!(foreign.starts_with("TLS: ") && foreign.contains("ssl.ca.location"), "{foreign}");
    }
    let elsewhere = || Peer::new(&authority.sign("elsewhere"), None);
    let misnamed = rejected(&[ca], elsewhere());
    assert!(misnamed.contains("elsewhere") && misnamed.contains("use a name in the certificate"), "{misnamed}");
    let expired = authority.sign_with("broker", |params| params.not_after = date_time_ymd(2020, 1, 1));
    let expired = rejected(&[ca], Peer::new(&expired, None));
    assert!(expired.contains("expired"), "{expired}");
    // Without the check of names, authority and validity period are still checked.
    let any_name = (IDENTIFICATION, "none");
    assert!(connected(&[ca, any_name], elsewhere()).is_ok());
    let foreign = rejected(&[ca, any_name], Peer::new(&other.sign("broker"), None));
    assert!(foreign.contains("ssl.ca.location"), "{foreign}");
    let nameless = ready(config(&[ca]).unwrap().connect(elsewhere(), "no name:")).unwrap_err();
    assert!(nameless.to_string().contains("\"no name:\""), "{nameless}");
}

#[test]
fn the_error_of_the_library_is_the_source_and_its_text_is_not_passed_on() {
    let (authority, other) = (Authority::new("authority"), Authority::new("other"));
    let untrusted = Peer::new(&other.sign("broker"), None);
    let error = connected(&[(CA_PEM, &authority.certificate)], untrusted).map(drop).unwrap_err();
    let error = kafka_batch_core::error::TransportError::new(error);
    assert_eq!(error.io_error_kind(), Some(io::ErrorKind::InvalidData));
    let source = std::error::Error::source(&error).and_then(|source| source.downcast_ref());
    assert!(matches!(source, Some(rustls::Error::InvalidCertificate(_))), "{source:?}");
    assert!(!error.to_string().contains(&source.unwrap().to_string()), "{error}");
}

#[test]
fn a_certificate_is_sent_on_request_and_a_missing_one_is_reported() {
    let (authority, clients) = (Authority::new("authority"), Authority::new("authority"));
    let broker = authority.sign("broker");
    let client = clients.sign("us");
    let ca = (CA_PEM, authority.certificate.as_str());
    let identity = [ca, (CERTIFICATE_PEM, &client.certificate), (KEY_PEM, &client.key)];
    let mut stream = connected(&identity, Peer::new(&broker, Some(&clients))).unwrap();
    assert!(Pin::new(&mut stream).poll_write(&mut context(), b"frame").is_ready());
    assert_eq!(stream.io.received, b"frame");
    // The client's handshake completes before the broker has verified its certificate.
    let read = |stream: &mut TlsStream<Peer>| Pin::new(stream).poll_read(&mut context(), &mut [0; 100]);
    // A failed write does not consume the alert.
    let write = |stream: &mut TlsStream<Peer>| {
        assert!(matches!(Pin::new(&mut *stream).poll_write(&mut context(), b"frame"), Poll::Ready(Err(_))));
        read(stream)
    };
    for (closes, attempt) in [(false, &read as &dyn Fn(&mut _) -> _), (true, &read), (true, &write)] {
        let mut stream = connected(&[ca], Peer::new(&broker, Some(&clients))).unwrap();
        stream.io.closed = closes;
        match attempt(&mut stream) {
            Poll::Ready(Err(error)) => {
                let message = error.to_string();
                assert!(
                    message.contains("certificate_required (116)") && message.contains("ssl.certificate.location"),
                    "{message}"
                );
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Other alerts do not concern certificates.
#[test]
fn each_alert_about_the_client_certificate_is_distrust() {
    let of_certificates = [
        AlertDescription::CertificateRequired,
        AlertDescription::BadCertificate,
        AlertDescription::UnsupportedCertificate,
        AlertDescription::CertificateRevoked,
        AlertDescription::CertificateExpired,
        AlertDescription::CertificateUnknown,
        AlertDescription::UnknownCA,
        AlertDescription::AccessDenied,
    ];
    let others =
        [AlertDescription::HandshakeFailure, AlertDescription::ProtocolVersion, AlertDescription::InternalError];
    for (alerts, is_distrusted) in [(&of_certificates[..], true), (&others, false)] {
        for &alert in alerts {
            let error = explained(&io::Error::other(rustls::Error::AlertReceived(alert)), None);
            assert_eq!(is_distrust(&error), is_distrusted, "{error}");
            assert_eq!(error.to_string().contains("ssl.certificate.location"), is_distrusted, "{error}");
        }
    }
}

/// The broker rejects the client certificate as expired.
#[test]
fn an_expired_client_certificate_is_distrust() {
    let (authority, clients) = (Authority::new("authority"), Authority::new("authority"));
    let broker = authority.sign("broker");
    let client = clients.sign_with("us", |params| params.not_after = date_time_ymd(2020, 1, 1));
    let identity =
        [(CA_PEM, authority.certificate.as_str()), (CERTIFICATE_PEM, &client.certificate), (KEY_PEM, &client.key)];
    let mut stream = connected(&identity, Peer::new(&broker, Some(&clients))).unwrap();
    let Poll::Ready(Err(error)) = Pin::new(&mut stream).poll_read(&mut context(), &mut [0; 100]) else {
        panic!("no alert")
    };
    assert!(error.to_string().contains("certificate_expired (45)") && is_distrust(&error), "{error}");
}

#[test]
fn a_closed_connection_is_an_end_of_file_with_or_without_close_notify() {
    let authority = Authority::new("authority");
    let broker = authority.sign("broker");
    for with_notify in [true, false] {
        let mut stream = connected(&[(CA_PEM, &authority.certificate)], Peer::new(&broker, None)).unwrap();
        let peer = &mut stream.io;
        peer.send(b"last");
        if with_notify {
            peer.session.send_close_notify();
        }
        peer.closed = true;
        assert!(matches!(Pin::new(&mut stream).poll_write(&mut context(), b"more"), Poll::Ready(Err(_))));
        let mut buffer = [0; 100];
        let mut read = || Pin::new(&mut stream).poll_read(&mut context(), &mut buffer);
        assert!(matches!(read(), Poll::Ready(Ok(4))), "the failed write consumed data");
        assert!(matches!(read(), Poll::Ready(Ok(0))), "{with_notify}");
    }
}

/// A batch whose acknowledgement has arrived must not be sent again.
#[test]
fn what_arrived_before_an_alert_is_read_first() {
    let authority = Authority::new("authority");
    let broker = authority.sign("broker");
    for size in [10, 40_000] {
        let mut stream = connected(&[(CA_PEM, &authority.certificate)], Peer::new(&broker, None)).unwrap();
        let peer = &mut stream.io;
        peer.send(&vec![7; size]);
        let mut garbage = &[23, 3, 3, 0, 20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20][..];
        peer.session.read_tls(&mut garbage).unwrap();
        assert!(peer.session.process_new_packets().is_err());
        let (mut count, mut buffer) = (0, vec![0; 3_000]);
        let error = loop {
            match Pin::new(&mut stream).poll_read(&mut context(), &mut buffer) {
                Poll::Ready(Ok(read @ 1..)) => count += read,
                Poll::Ready(Err(error)) => break error.to_string(),
                other => panic!("{other:?} after {count} bytes"),
            }
        };
        assert_eq!(count, size);
        assert!(error.starts_with("TLS: "), "{error}");
        // The error does not become a connection that is silent.
        assert!(matches!(Pin::new(&mut stream).poll_read(&mut context(), &mut buffer), Poll::Ready(Err(_))));
    }
}

/// A peer without TLS.
#[derive(Debug)]
struct Clear(&'static [u8]);

impl AsyncRead for Clear {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.0.read(buffer))
    }
}

impl AsyncWrite for Clear {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn a_peer_without_tls_is_detected() {
    let authority = Authority::new("authority");
    const CLOSED: &str = "the other side closed the connection";
    const ANSWERED: &str = "the other side answered with something that is not TLS";
    for (answer, message) in [
        (&b""[..], CLOSED),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", ANSWERED),
        (b"\0\0\0\x04\0\0\0\x01", ANSWERED),
        (b"SSH-2.0-OpenSSH_9.2\r\n", ANSWERED),
    ] {
        let error =
            ready(config(&[(CA_PEM, &authority.certificate)]).unwrap().connect(Clear(answer), "broker")).unwrap_err();
        assert_eq!((error.to_string().as_str(), is_no_tls(&error)), (message, true), "{answer:?}");
    }
}
