//! Certificates of brokers and clients, which are replaced while all run, and tokens that expire. Everything is in files of one
//! directory.

use std::fs;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use kafka_batch_certificates::{Authority, Identity, JwtIssuer};
use kafka_batch_witnesses::rustls;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme};

use crate::client;

pub(crate) const ISSUER: &str = "https://issuer.example";
pub(crate) const AUDIENCE: &str = "kafka.example";

/// The time for a step of a handshake.
const STEP: Duration = Duration::from_secs(5);

/// The authorities, the first of which is replaced by the second one, and what they have signed.
pub(crate) struct Certificates {
    folder: PathBuf,
    address: IpAddr,
    authorities: [Authority; 2],
    /// The brokers' present certificates.
    brokers: Vec<Identity>,
    pub(crate) replacements: usize,
}

impl Certificates {
    /// Makes certificates for brokers at this address, and writes everything to files.
    pub(crate) fn create(folder: &Path, address: IpAddr, brokers: usize) -> Self {
        let authorities = ["an authority", "its successor"].map(Authority::new);
        let both = authorities.each_ref().map(|authority| authority.certificate.clone()).concat();
        replace_file(&folder.join("ca.pem"), &both);
        let mut all = Self { folder: folder.to_owned(), address, authorities, brokers: Vec::new(), replacements: 0 };
        all.sign(brokers);
        all
    }

    /// Signs new certificates: again by the first authority, and from the second time on by its successor.
    pub(crate) fn replace(&mut self) {
        self.replacements += 1;
        self.sign(self.brokers.len());
    }

    fn sign(&mut self, brokers: usize) {
        let authority = &self.authorities[usize::from(self.replacements > 1)];
        self.brokers = (0..brokers).map(|_| authority.sign(&self.address.to_string())).collect();
        for (node, Identity { certificate, key }) in self.brokers.iter().enumerate() {
            replace_file(Path::new(&self.key_store(node)), &format!("{key}{certificate}"));
        }
        let Identity { certificate, key } = authority.sign("client");
        // The key first: while the two do not match, a client continues with the ones that it has.
        replace_file(&self.folder.join("client.key"), &key);
        replace_file(&self.folder.join("client.pem"), &certificate);
    }

    /// Returns the file of a broker's present key and certificate.
    pub(crate) fn key_store(&self, node: usize) -> String {
        let name = format!("broker-{node}-{}.pem", self.replacements);
        self.folder.join(name).to_str().unwrap().to_owned()
    }

    /// Returns the file of the authorities.
    pub(crate) fn trust_store(&self) -> String {
        self.folder.join("ca.pem").to_str().unwrap().to_owned()
    }

    /// Checks that a listener of this broker presents its present certificate.
    pub(crate) fn check(&self, node: usize, listener: SocketAddr) -> Result<(), String> {
        let presented = presented(listener).map_err(|error| format!("{listener}: {error}"))?;
        let expected = CertificateDer::from_pem_slice(self.brokers[node].certificate.as_bytes()).unwrap();
        let is_present = presented.as_deref() == Some(&*expected);
        if is_present { Ok(()) } else { Err(format!("node {node} does not present its new certificate at {listener}")) }
    }
}

/// Returns the certificate that a server presents.
fn presented(server: SocketAddr) -> std::io::Result<Option<Vec<u8>>> {
    let verifier = Arc::new(Recorder::default());
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::<Recorder>::clone(&verifier))
        .with_no_client_auth();
    let mut connection = ClientConnection::new(Arc::new(config), ServerName::from(server.ip())).unwrap();
    let mut stream = TcpStream::connect_timeout(&server, STEP)?;
    stream.set_read_timeout(Some(STEP))?;
    let _ = connection.complete_io(&mut stream); // fails, because the recorder accepts no certificate
    Ok(verifier.certificate.lock().unwrap().take())
}

/// Records the server's certificate, and accepts none.
#[derive(Debug, Default)]
struct Recorder {
    certificate: Mutex<Option<Vec<u8>>>,
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.certificate.lock().unwrap() = Some(end_entity.to_vec());
        Err(Error::General("only its certificate is wanted".to_owned()))
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("the certificate is not accepted".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("the certificate is not accepted".to_owned()))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// Keeps a valid token in the file `token`, as an agent beside the application would.
pub(crate) struct Tokens {
    end: Option<Sender<()>>,
    agent: Option<JoinHandle<()>>,
}

impl Tokens {
    /// Writes the issuer's keys to `jwks.json`, and then tokens, each of which is valid for twice the duration of a session.
    pub(crate) fn issue(folder: &Path, session: Duration) -> Self {
        let issuer = JwtIssuer::new();
        replace_file(&jwks(folder), &issuer.jwks());
        let path = folder.join("token");
        let issue = move || {
            let (now, lifetime) = (client::now() / 1_000, 2 * session.as_secs());
            let claims = format!(
                r#"{{"iss":"{ISSUER}","sub":"client","aud":"{AUDIENCE}","scope":"produce","iat":{now},"exp":{}}}"#,
                now + lifetime
            );
            replace_file(&path, &issuer.sign(&claims));
        };
        issue();
        let (end, ended) = channel::<()>();
        let agent = thread::spawn(move || {
            while ended.recv_timeout(session / 4).is_err_and(|error| error == RecvTimeoutError::Timeout) {
                issue();
            }
        });
        Self { end: Some(end), agent: Some(agent) }
    }
}

impl Drop for Tokens {
    fn drop(&mut self) {
        drop(self.end.take());
        let _ = self.agent.take().map(JoinHandle::join);
    }
}

/// Returns the file of the keys that sign tokens.
pub(crate) fn jwks(folder: &Path) -> PathBuf {
    folder.join("jwks.json")
}

/// Replaces a file at once, so that a reader finds the old or the new content.
fn replace_file(path: &Path, content: &str) {
    let new = path.with_extension("new");
    fs::write(&new, content).unwrap();
    fs::rename(&new, path).unwrap();
}
