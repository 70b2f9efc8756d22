//! TLS for the sink and for the clients written by hand: blocking streams over rustls.

use std::error::Error;
use std::fs;
use std::io::{self, BufReader, IoSlice, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use kafka_batch_bench_shared::sink;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::job::TOPIC;

const HOST: &str = "127.0.0.1";

/// The size of the sink's read buffer in bytes. rustls asks for 4 KiB at a time, which would make the sink the bottleneck.
const READ_LEN: usize = 256 << 10;

#[derive(Clone, Copy, PartialEq)]
pub enum Security {
    Tls,
    Plaintext,
}

impl Security {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tls => "ssl",
            Self::Plaintext => "plaintext",
        }
    }
}

impl FromStr for Security {
    type Err = Box<dyn Error>;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        [Self::Tls, Self::Plaintext].into_iter().find(|one| one.name() == name).ok_or_else(|| "no such security".into())
    }
}

/// Returns the path of the sink's certificate, which the clients trust.
pub fn certificate_path() -> PathBuf {
    std::env::temp_dir().join("kafka-batch-bench-tls.pem")
}

/// Runs the sink.
pub fn serve(security: Security) -> Result<(), Box<dyn Error>> {
    if security == Security::Plaintext {
        return sink::serve(TOPIC, Ok);
    }
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new([HOST.to_owned()])?.self_signed(&key)?;
    fs::write(certificate_path(), certificate.pem())?;
    let key = PrivateKeyDer::try_from(key.serialize_der())?;
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    let config = Arc::new(config);
    sink::serve(TOPIC, move |socket| {
        let connection = ServerConnection::new(Arc::clone(&config)).map_err(io::Error::other)?;
        Ok(StreamOwned::new(connection, LargeReads(BufReader::with_capacity(READ_LEN, socket))))
    })
}

/// A socket that is read in large parts.
struct LargeReads(BufReader<TcpStream>);

impl Read for LargeReads {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for LargeReads {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.get_mut().write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.get_mut().write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.get_mut().flush()
    }
}

/// A client's stream.
pub trait Stream: Read + Write {}

impl<S: Read + Write> Stream for S {}

pub fn connect(address: &str, security: Security) -> Result<Box<dyn Stream>, Box<dyn Error>> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    if security == Security::Plaintext {
        return Ok(Box::new(socket));
    }
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate_path())?)?;
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut connection = ClientConnection::new(Arc::new(config), HOST.try_into()?)?;
    connection.complete_io(&mut socket)?;
    Ok(Box::new(StreamOwned::new(connection, socket)))
}
