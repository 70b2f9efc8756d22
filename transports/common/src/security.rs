//! How connections are secured: `security.protocol` and what belongs to it.

use kafka_batch_core::producer::{Credential, Sasl, SaslMechanism};

use crate::error::ConfigError;
use crate::settings::{Setting, Settings};
use crate::wire::Security;

const PROTOCOL: &str = "security.protocol";
const MECHANISM: &str = "sasl.mechanism";
/// librdkafka's name for it.
const MECHANISMS: &str = "sasl.mechanisms";
const USERNAME: &str = "sasl.username";
const PASSWORD: &str = "sasl.password";
pub(crate) const CA_LOCATION: &str = "ssl.ca.location";
pub(crate) const CA_PEM: &str = "ssl.ca.pem";
pub(crate) const CERTIFICATE_LOCATION: &str = "ssl.certificate.location";
pub(crate) const CERTIFICATE_PEM: &str = "ssl.certificate.pem";
pub(crate) const KEY_LOCATION: &str = "ssl.key.location";
pub(crate) const KEY_PEM: &str = "ssl.key.pem";
pub(crate) const KEY_PASSWORD: &str = "ssl.key.password";
pub(crate) const IDENTIFICATION: &str = "ssl.endpoint.identification.algorithm";

const OF_SASL: [&str; 4] = [MECHANISM, MECHANISMS, USERNAME, PASSWORD];
const OF_TLS: [&str; 8] =
    [CA_LOCATION, CA_PEM, CERTIFICATE_LOCATION, CERTIFICATE_PEM, KEY_LOCATION, KEY_PEM, KEY_PASSWORD, IDENTIFICATION];

/// What is read here.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    [PROTOCOL].into_iter().chain(OF_SASL).chain(OF_TLS)
}

/// What is laid over connections, and what is said on them first.
pub(crate) fn read(settings: &Settings) -> Result<(Security, Option<Sasl>), ConfigError> {
    let protocol = Setting::of(settings, PROTOCOL).unwrap_or(Setting { name: PROTOCOL, found: "plaintext" });
    let (tls, sasl) = match protocol.found.trim().to_ascii_lowercase().as_str() {
        "plaintext" => (false, false),
        "ssl" => (true, false),
        "sasl_plaintext" => (false, true),
        "sasl_ssl" => (true, true),
        _ => return protocol.wrong("write plaintext, ssl, sasl_plaintext or sasl_ssl"),
    };
    let security = if tls { over_tls(settings, protocol)? } else { Security::Clear };
    let unused = |names: &[&str], meant: &str| match names.iter().find(|name| settings.contains_key(**name)) {
        Some(name) => Err(ConfigError::Together(format!("{name} is used only with security.protocol={meant}"))),
        None => Ok(()),
    };
    if !tls {
        unused(&OF_TLS, "ssl or sasl_ssl")?;
    }
    if sasl {
        return credentials(settings).map(|sasl| (security, Some(sasl)));
    }
    unused(&OF_SASL, "sasl_plaintext or sasl_ssl")?;
    Ok((security, None))
}

#[cfg(feature = "tls")]
fn over_tls(settings: &Settings, _: Setting<'_>) -> Result<Security, ConfigError> {
    crate::tls::Tls::read(settings).map(Security::Tls)
}

#[cfg(not(feature = "tls"))]
fn over_tls(_: &Settings, protocol: Setting<'_>) -> Result<Security, ConfigError> {
    protocol.wrong("TLS is not built in: switch on the feature `tls` of kafka-batch, or of the transport's crate")
}

fn credentials(settings: &Settings) -> Result<Sasl, ConfigError> {
    let mechanism = match (Setting::of(settings, MECHANISM), Setting::of(settings, MECHANISMS)) {
        (Some(mechanism), None) | (None, Some(mechanism)) => mechanism.parsed()?,
        (None, None) => SaslMechanism::Plain,
        (Some(_), Some(_)) => {
            return Err(ConfigError::Together(format!("set {MECHANISM} or {MECHANISMS}, not both: they are the same")));
        }
    };
    let (Some(username), Some(password)) = (Setting::of(settings, USERNAME), Setting::of(settings, PASSWORD)) else {
        let needs = "security.protocol=sasl_plaintext and sasl_ssl need sasl.username and sasl.password";
        return Err(ConfigError::Together(needs.to_owned()));
    };
    Sasl::new(mechanism, username.found, password.found).or_else(|error| match error.credential() {
        Credential::Username => username.wrong(error.to_string()),
        Credential::Password => password.wrong(error.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(settings: &[(&str, &str)]) -> Result<(Security, Option<Sasl>), ConfigError> {
        read(&settings.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    #[track_caller]
    fn wrong(settings: &[(&str, &str)]) -> String {
        given(settings).unwrap_err().to_string()
    }

    const SASL: (&str, &str) = (PROTOCOL, "SASL_PLAINTEXT");
    const USER: (&str, &str) = (USERNAME, "u");
    const SECRET: (&str, &str) = (PASSWORD, "hunter2");

    #[test]
    fn each_mechanism_by_its_name_and_plain_without_one() {
        for mechanism in SaslMechanism::ALL {
            for name in [MECHANISM, MECHANISMS] {
                let (_, sasl) = given(&[SASL, (name, mechanism.name()), USER, SECRET]).unwrap();
                assert_eq!(sasl, Some(Sasl::new(mechanism, "u", "hunter2").unwrap()));
            }
        }
        assert!(wrong(&[SASL, (MECHANISM, "PLAIN"), (MECHANISMS, "PLAIN"), USER, SECRET]).contains("not both"));
        let (_, sasl) = given(&[SASL, USER, SECRET]).unwrap();
        assert_eq!(sasl.unwrap().mechanism(), SaslMechanism::Plain);
        assert!(matches!(given(&[]), Ok((Security::Clear, None))));
    }

    #[test]
    fn an_error_names_the_setting_and_shows_no_secret() {
        assert!(wrong(&[(PROTOCOL, "tls")]).contains("sasl_ssl"));
        assert!(wrong(&[SASL, (MECHANISM, "GSSAPI"), USER, SECRET]).contains("SCRAM-SHA-512"));
        assert!(wrong(&[SASL, USER]).contains("sasl.password"));
        assert!(wrong(&[SASL, (USERNAME, ""), SECRET]).starts_with("sasl.username"));
        assert!(wrong(&[USER, SECRET]).contains("only with security.protocol=sasl_plaintext or sasl_ssl"));
        assert!(wrong(&[(CA_LOCATION, "ca.pem")]).contains("only with security.protocol=ssl or sasl_ssl"));
        let odd = wrong(&[SASL, (MECHANISM, "SCRAM-SHA-256"), USER, (PASSWORD, "hünter2")]);
        assert!(odd.starts_with("sasl.password") && odd.contains("ASCII") && !odd.contains("nter2"), "{odd}");
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn without_the_feature_tls_is_refused_and_the_feature_named() {
        for protocol in ["ssl", "SASL_SSL"] {
            assert!(wrong(&[(PROTOCOL, protocol), USER, SECRET]).contains("feature `tls`"));
        }
    }
}
