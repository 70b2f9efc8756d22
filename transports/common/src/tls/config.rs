//! The configuration of rustls from the settings and the files that they name.

use std::sync::Arc;

use futures_rustls::rustls::crypto::ring;
use futures_rustls::rustls::{self, ClientConfig};

use super::files::Files;
use super::key;
use super::roots::Roots;
use super::text::Pem;
use super::verifier::Verifier;
use super::words::Words;
use crate::error::ConfigError;
use crate::security::{CERTIFICATE_LOCATION, CERTIFICATE_PEM, IDENTIFICATION, KEY_LOCATION, KEY_PASSWORD, KEY_PEM};
use crate::settings::{Setting, Settings};

/// Returns the configuration of connections. Sessions are resumed only within one: those of other certificates are not.
pub(super) fn config(settings: &Settings, files: &Files) -> Result<Arc<ClientConfig>, ConfigError> {
    let roots = Roots::read(settings, files)?;
    let password = Setting::of(settings, KEY_PASSWORD);
    let identity = match (
        Pem::either(settings, files, CERTIFICATE_LOCATION, CERTIFICATE_PEM)?,
        Pem::either(settings, files, KEY_LOCATION, KEY_PEM)?,
    ) {
        (None, None) => match password {
            Some(password) => return password.wrong("the password is used only with ssl.key.location or ssl.key.pem: set one of them, or remove the password"),
            None => None,
        },
        (Some(certificate), Some(key)) => {
            Some((certificate.certificates()?, key::read(&key, password)?, certificate.setting, key.setting))
        }
        (Some(certificate), None) => {
            return certificate.setting.wrong("the key of the certificate is missing: set ssl.key.location or ssl.key.pem too");
        }
        (None, Some(key)) => {
            let remedy = "the certificate of the key is missing: set ssl.certificate.location or ssl.certificate.pem too";
            return key.setting.wrong(remedy);
        }
    };
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("ring has what TLS 1.2 and 1.3 need");
    let algorithms = provider.signature_verification_algorithms;
    let verifier = Verifier { roots, checks_names: checks_names(settings)?, algorithms };
    let config = config.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    let config = match identity {
        None => config.with_no_client_auth(),
        Some((certificates, key, certificate_setting, key_setting)) => config
            .with_client_auth_cert(certificates, key)
            .or_else(|error| unusable(&error, certificate_setting, key_setting))?,
    };
    Ok(Arc::new(config))
}

/// The keys that `ring` can sign with.
const USABLE: &str = "supported keys are RSA (2048 to 4096 bits), ECDSA (P-256 and P-384) and Ed25519";

/// Returns the error for a client certificate that cannot be used with its key, naming the setting of the one at fault.
fn unusable<T>(error: &rustls::Error, certificate: Setting<'_>, key: Setting<'_>) -> Result<T, ConfigError> {
    match error {
        // ring's only error for a key.
        rustls::Error::General(_) => key.wrong(format!("the key is damaged, or its kind is not supported: {USABLE}")),
        rustls::Error::InvalidCertificate(_) => certificate
            .wrong("the certificate is damaged, or has X.509 version 1: create it with an extension file (openssl x509 -req -extfile)"),
        error => certificate.wrong(format!("the certificate cannot be used with this key: {}; {USABLE}", Words::of(error))),
    }
}

fn checks_names(settings: &Settings) -> Result<bool, ConfigError> {
    let Some(setting) = Setting::of(settings, IDENTIFICATION) else { return Ok(true) };
    match setting.found.trim().to_ascii_lowercase().as_str() {
        "https" => Ok(true),
        "none" | "" => Ok(false), // of librdkafka and of the Java client
        _ => setting.wrong("the value must be https or none"),
    }
}
