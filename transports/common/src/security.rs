//! Names of the settings of TLS, and how values of settings may be shown.

use crate::settings;

pub(crate) const CA_LOCATION: &str = "ssl.ca.location";
pub(crate) const CA_PEM: &str = "ssl.ca.pem";
pub(crate) const CERTIFICATE_LOCATION: &str = "ssl.certificate.location";
pub(crate) const CERTIFICATE_PEM: &str = "ssl.certificate.pem";
pub(crate) const KEY_LOCATION: &str = "ssl.key.location";
pub(crate) const KEY_PEM: &str = "ssl.key.pem";
pub(crate) const KEY_PASSWORD: &str = "ssl.key.password";
pub(crate) const IDENTIFICATION: &str = "ssl.endpoint.identification.algorithm";

/// What nobody is to read in a log.
const SECRET: [&str; 3] = ["sasl.password", KEY_PEM, KEY_PASSWORD];

/// A value as an error message, or a `Debug`, may show it. Of a setting that nobody knows, nobody knows whether it is secret.
pub(crate) fn shown(setting: &str, value: &str) -> String {
    if SECRET.contains(&setting) || !settings::is_known(setting) {
        "(not shown)".to_owned()
    } else if setting.ends_with(".pem") {
        format!("({} bytes)", value.len())
    } else {
        value.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_shown() {
        assert_eq!(shown(KEY_PEM, "secret"), "(not shown)");
        assert_eq!(shown(KEY_PASSWORD, "secret"), "(not shown)");
        assert_eq!(shown("sasl.jaas.config", "secret"), "(not shown)", "it is not known");
        assert_eq!(shown(CA_PEM, "long"), "(4 bytes)");
        assert_eq!(shown(KEY_LOCATION, "key.pem"), "key.pem");
    }
}
