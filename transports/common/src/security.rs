//! The names of the settings of TLS.

pub(crate) const CA_LOCATION: &str = "ssl.ca.location";
pub(crate) const CA_PEM: &str = "ssl.ca.pem";
pub(crate) const CERTIFICATE_LOCATION: &str = "ssl.certificate.location";
pub(crate) const CERTIFICATE_PEM: &str = "ssl.certificate.pem";
pub(crate) const KEY_LOCATION: &str = "ssl.key.location";
pub(crate) const KEY_PEM: &str = "ssl.key.pem";
pub(crate) const KEY_PASSWORD: &str = "ssl.key.password";
pub(crate) const IDENTIFICATION: &str = "ssl.endpoint.identification.algorithm";
