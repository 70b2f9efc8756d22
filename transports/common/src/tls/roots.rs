//! Trusted certificates: `ssl.ca.location` and `ssl.ca.pem`.

use std::path::PathBuf;

use futures_rustls::pki_types::CertificateDer;
use futures_rustls::rustls::RootCertStore;

use super::files::{Content, Files, PROBE};
use super::text::Pem;
use super::words::Words;
use super::x509::Facts;
use crate::error::ConfigError;
use crate::security::{CA_LOCATION, CA_PEM};
use crate::settings::{Setting, Settings};

/// Trusted certificates: of authorities, or of brokers themselves.
pub(super) struct Roots {
    pub(super) store: RootCertStore,
    /// The same certificates in DER, for brokers whose certificate is one of them.
    pub(super) certificates: Vec<CertificateDer<'static>>,
}

impl Roots {
    pub(super) fn read(settings: &Settings, files: &Files) -> Result<Self, ConfigError> {
        let location = Setting::of(settings, CA_LOCATION).filter(|_| !settings.contains_key(CA_PEM));
        match (location, files.get(CA_LOCATION)) {
            (Some(location), _) if location.found.trim() == PROBE => Self::of_the_system(),
            (Some(location), Some(Content::Directory(files))) => Self::of_a_directory(location, files),
            _ => match Pem::either(settings, files, CA_LOCATION, CA_PEM)? {
                Some(pem) => Self::of_a_text(&pem),
                None => Self::of_the_system(),
            },
        }
    }

    const fn none() -> Self {
        Self { store: RootCertStore { roots: Vec::new() }, certificates: Vec::new() }
    }

    /// Adds a certificate, or describes why it cannot be used.
    fn add(&mut self, certificate: CertificateDer<'static>) -> Result<(), Words> {
        // Not `add_parsable_certificates`, which logs what it cannot parse.
        let mut store = RootCertStore::empty();
        store.add(certificate.clone()).map_err(|error| Words::of(&error))?;
        // rustls treats any certificate as an authority. As in OpenSSL and Java, one with CA:FALSE is trusted only as the
        // broker's certificate itself; otherwise its key could sign for any name.
        if !Facts::read(&certificate).is_some_and(|facts| facts.denies_authority()) {
            self.store.roots.append(&mut store.roots);
        }
        self.certificates.push(certificate);
        Ok(())
    }

    fn of_a_text(pem: &Pem<'_>) -> Result<Self, ConfigError> {
        let mut roots = Self::none();
        for (index, certificate) in pem.certificates()?.into_iter().enumerate() {
            if let Err(words) = roots.add(certificate) {
                return pem.setting.wrong(format!("certificate {} cannot be used: {words}", index + 1));
            }
        }
        Ok(roots)
    }

    /// Reads all certificates in the files of a directory, whatever their names. OpenSSL finds only files that were named by
    /// `openssl rehash`.
    fn of_a_directory(location: Setting<'_>, files: &[(PathBuf, Option<Vec<u8>>)]) -> Result<Self, ConfigError> {
        let mut roots = Self::none();
        for (file, bytes) in files {
            // Other files are skipped: keys, a README, or files without read permission.
            let Some(bytes) = bytes else { continue };
            let Ok(certificates) = (Pem { setting: location, bytes }).certificates() else { continue };
            for certificate in certificates {
                if roots.certificates.contains(&certificate) {
                    continue;
                }
                if let Err(words) = roots.add(certificate) {
                    log::debug!("{}: a certificate is skipped: {words}", file.display());
                }
            }
        }
        if roots.certificates.is_empty() {
            let count = files.len();
            return location.wrong(format!("none of the {count} files in this directory contains a PEM certificate"));
        }
        Ok(roots)
    }

    fn of_the_system() -> Result<Self, ConfigError> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = Self::none();
        for certificate in found.certs {
            if let Err(words) = roots.add(certificate) {
                log::debug!("a certificate of the system is skipped: {words}");
            }
        }
        if !roots.certificates.is_empty() {
            return Ok(roots);
        }
        let setting = Setting { name: CA_LOCATION, found: "" };
        // The errors of the library are not passed on, since they may quote a file.
        let unreadable = match found.errors.len() {
            0 => String::new(),
            count => format!(" ({count} of its files or entries cannot be read)"),
        };
        setting.wrong(format!(
            "the system has no trusted certificates{unreadable}: set {CA_LOCATION} to a PEM file with certificates"
        ))
    }
}

#[cfg(all(test, feature = "__witnesses"))]
mod tests {
    use futures_rustls::pki_types::pem::PemObject;
    use kafka_batch_certificates::Identity;
    use kafka_batch_certificates::rcgen::{BasicConstraints, IsCa};

    use super::*;

    /// Its key could sign certificates for any name.
    #[test]
    fn a_certificate_with_ca_false_is_not_trusted_as_an_authority() {
        let cases = [(IsCa::ExplicitNoCa, 0), (IsCa::NoCa, 1), (IsCa::Ca(BasicConstraints::Unconstrained), 1)];
        for (is_ca, authorities) in cases {
            let identity = Identity::self_signed_with("broker", |params| params.is_ca = is_ca);
            let mut roots = Roots::none();
            roots.add(CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap()).unwrap();
            assert_eq!((roots.store.len(), roots.certificates.len()), (authorities, 1));
        }
    }
}
