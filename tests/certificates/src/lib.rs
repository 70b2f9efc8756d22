//! Credentials for tests, made at run time: authorities, the certificates that they sign (all in PEM), and issuers of signed tokens.
#![cfg(feature = "make")]

mod jwt;

pub use jwt::JwtIssuer;
pub use rcgen::{self, CertificateParams, date_time_ymd};

use pkcs8::pkcs5::pbes2::Parameters;
use pkcs8::{LineEnding, PrivateKeyInfoRef};
use rcgen::{BasicConstraints, DnType, IsCa, Issuer, KeyPair};

/// A certificate authority.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// The authority's certificate.
    pub certificate: String,
}

/// A certificate and its private key.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// The private key, in PKCS#8.
    pub key: String,
}

impl Authority {
    /// Creates an authority of this name.
    ///
    /// # Panics
    /// The key cannot be generated.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let key = generate();
        let mut params = params(name, []);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// Signs a certificate for this host name or IP address.
    ///
    /// # Panics
    /// The key cannot be generated.
    #[must_use]
    pub fn sign(&self, name: &str) -> Identity {
        self.sign_with(name, |_| {})
    }

    /// Signs a certificate for this host name or IP address, after `change`.
    ///
    /// # Panics
    /// The key cannot be generated.
    #[must_use]
    pub fn sign_with(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let key = generate();
        let mut params = params(name, [name]);
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate").pem();
        Identity { certificate, key: key.serialize_pem() }
    }

    /// Signs a certificate of this host name or IP address for a key that exists.
    ///
    /// # Panics
    /// `key` is not a private key in PKCS#8.
    #[must_use]
    pub fn sign_key(&self, name: &str, key: &str) -> Identity {
        let pair = KeyPair::from_pem(key).expect("a private key");
        let certificate = params(name, [name]).signed_by(&pair, &self.issuer).expect("a certificate").pem();
        Identity { certificate, key: key.to_owned() }
    }
}

impl Identity {
    /// Creates a self-signed certificate for this host name or IP address.
    ///
    /// # Panics
    /// The key cannot be generated.
    #[must_use]
    pub fn self_signed(name: &str) -> Self {
        Self::self_signed_with(name, |_| {})
    }

    /// Creates a self-signed certificate for this host name or IP address, after `change`.
    ///
    /// # Panics
    /// The key cannot be generated.
    #[must_use]
    pub fn self_signed_with(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        Self::self_signed_by(&generate(), name, change)
    }

    /// Creates another self-signed certificate with the same key.
    ///
    /// # Panics
    /// `key` is not a private key in PKCS#8.
    #[must_use]
    pub fn reissued_with(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        Self::self_signed_by(&KeyPair::from_pem(&self.key).expect("a private key"), name, change)
    }

    fn self_signed_by(key: &KeyPair, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = params(name, [name]);
        change(&mut params);
        let certificate = params.self_signed(key).expect("a certificate").pem();
        Self { certificate, key: key.serialize_pem() }
    }

    /// Returns the private key, encrypted with this password (PBES2 with PBKDF2, SHA-256 and AES-256-CBC).
    ///
    /// # Panics
    /// `key` is not a private key in PKCS#8.
    #[must_use]
    pub fn encrypted_key(&self, password: &str) -> String {
        let der = KeyPair::from_pem(&self.key).expect("a private key").serialize_der();
        // Only 10 iterations, because more take seconds in debug builds.
        let parameters = Parameters::generate_pbkdf2_sha256_aes256cbc(10, b"salt", [7; 16]).expect("parameters");
        let info = PrivateKeyInfoRef::try_from(&der[..]).expect("a private key");
        let encrypted = info.encrypt_with_params(parameters, password).expect("an encrypted key");
        encrypted.to_pem("ENCRYPTED PRIVATE KEY", LineEnding::LF).expect("PEM").to_string()
    }
}

fn generate() -> KeyPair {
    KeyPair::generate().expect("a key")
}

fn params<const COUNT: usize>(name: &str, hosts: [&str; COUNT]) -> CertificateParams {
    let mut params = CertificateParams::new(hosts.map(str::to_owned)).expect("names of hosts");
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
