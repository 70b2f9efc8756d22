//! TLS of the ports (feature `tls`): certificates that are made when the cluster starts, and a session for each connection.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};

use super::state::lock;
use super::tcp::Chunk;

/// What the connections of a cluster share.
#[derive(Clone, Debug)]
pub(super) struct Tls {
    authority: Arc<str>,
    certificate: CertificateDer<'static>,
    key: Arc<PrivatePkcs8KeyDer<'static>>,
    /// The configuration of new connections.
    config: Arc<Mutex<Arc<ServerConfig>>>,
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;

impl Tls {
    /// Makes an authority, and a certificate of it for this host. With the PEM text of authorities in `clients`, clients have to
    /// present a certificate that one of these has signed.
    pub(super) fn new(clients: Option<&str>) -> io::Result<Self> {
        Self::make(clients).map_err(io::Error::other)
    }

    fn make(clients: Option<&str>) -> Result<Self, AnyError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "kafka-batch-testing authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Strict clients, such as Python's from 3.13 on, require the usages and the identifiers of keys.
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority = params.self_signed(&key)?.pem();
        let issuer = Issuer::new(params, key);

        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(["localhost".to_owned()])?;
        params.subject_alt_names.push(SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        params.distinguished_name.push(DnType::CommonName, "localhost");
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &issuer)?;

        let certificate = certificate.der().clone();
        let key = Arc::new(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = Arc::new(Mutex::new(config(&certificate, &key, clients)?));
        Ok(Self { authority: authority.into(), certificate, key, config })
    }

    /// Replaces the authorities of clients, for new connections.
    pub(super) fn set_clients(&self, clients: &str) -> io::Result<()> {
        let config = config(&self.certificate, &self.key, Some(clients)).map_err(io::Error::other)?;
        *lock(&self.config) = config;
        Ok(())
    }

    /// Returns the certificate of the authority, as PEM text.
    pub(super) fn ca_pem(&self) -> &str {
        &self.authority
    }

    /// Begins a session, which sends its bytes here.
    pub(super) fn accept(&self, outgoing: Sender<Chunk>) -> io::Result<Session> {
        let mut connection = ServerConnection::new(Arc::clone(&lock(&self.config))).map_err(io::Error::other)?;
        connection.set_buffer_limit(None); // the broker limits the responses
        Ok(Session(Mutex::new(State { connection, outgoing: Some(outgoing) })))
    }
}

/// Returns the configuration of connections. Sessions are resumed only within one.
fn config(
    certificate: &CertificateDer<'static>,
    key: &PrivatePkcs8KeyDer<'static>,
    clients: Option<&str>,
) -> Result<Arc<ServerConfig>, AnyError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authorities) => {
            let mut roots = RootCertStore::empty();
            for authority in CertificateDer::pem_slice_iter(authorities.as_bytes()) {
                roots.add(authority?)?;
            }
            // Fails without any.
            builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?,
            )
        }
    };
    Ok(Arc::new(builder.with_single_cert(vec![certificate.clone()], PrivateKeyDer::from(key.clone_key()))?))
}

/// The TLS session of a connection. The thread that reads and those that send use it at the same time. What it encrypts is
/// passed on in order, within its lock, and written by another thread, so that none of them waits for the client to read.
#[derive(Debug)]
pub(super) struct Session(Mutex<State>);

#[derive(Debug)]
struct State {
    connection: ServerConnection,
    /// `None` once the session has ended.
    outgoing: Option<Sender<Chunk>>,
}

impl Session {
    /// Decrypts bytes that were received. The handshake is continued with them if it is not complete.
    ///
    /// # Errors
    /// The client violates the protocol, or has sent an alert, such as one for a certificate that it does not trust.
    pub(super) fn receive(&self, mut bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut state = lock(&self.0);
        let mut plaintext = Vec::new();
        let result = loop {
            // Nothing is read after the client has ended the session.
            if bytes.is_empty() || state.connection.read_tls(&mut bytes)? == 0 {
                break Ok(());
            }
            if let Err(error) = state.connection.process_new_packets() {
                break Err(io::Error::other(error));
            }
            // Fails once there is no more.
            let _ = state.connection.reader().read_to_end(&mut plaintext);
        };
        state.transmit(0); // the handshake, or an alert
        result.map(|()| plaintext)
    }

    /// Encrypts and sends bytes. They are dropped if the session has ended.
    pub(super) fn send(&self, bytes: &[u8]) {
        let mut state = lock(&self.0);
        // It cannot fail: there is no limit.
        let _ = state.connection.writer().write_all(bytes);
        state.transmit(bytes.len());
    }

    /// Ends the session: the client learns that nothing is missing.
    pub(super) fn close(&self) {
        let mut state = lock(&self.0);
        state.connection.send_close_notify();
        state.transmit(0);
        state.outgoing = None;
    }

    /// Ends the session without telling the client.
    pub(super) fn abort(&self) {
        lock(&self.0).outgoing = None;
    }
}

impl State {
    /// Passes on what is encrypted, with so many bytes of responses in it.
    fn transmit(&mut self, of_responses: usize) {
        let mut encrypted = Vec::new();
        while self.connection.wants_write() {
            // Writing to memory cannot fail.
            let _ = self.connection.write_tls(&mut encrypted);
        }
        if let Some(outgoing) = self.outgoing.as_ref().filter(|_| !encrypted.is_empty()) {
            // The receiver is gone if the connection is lost.
            let _ = outgoing.send(Chunk { bytes: encrypted.into(), of_responses });
        }
    }
}
