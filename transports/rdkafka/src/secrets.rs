//! Redaction of secrets in librdkafka's texts, which quote settings.

use kafka_batch_core::machine::Secret;
use kafka_batch_transport::redaction::{is_pasted, shown_servers};
use rdkafka::ClientConfig;
use rdkafka::bindings::rd_kafka_conf_res_t as RDKafkaConfRes;
use rdkafka::error::KafkaError;

use crate::settings::{BROKERS, Settings};

/// Parts of the names of settings whose values are secret.
const SECRET: [&str; 9] =
    ["password", "passphrase", "secret", "jaas", "token", "private.key", "ssl.key", "ssl_key", "oauthbearer.config"];

const NOT_SHOWN: &str = "(not shown)";

/// The maximum length of a setting's name in bytes.
const MAX_NAME: usize = 256;

/// The secret values among the settings of a producer.
#[derive(Debug, Default)]
pub(crate) struct Secrets(Vec<Secret>);

impl Secrets {
    pub(crate) fn of(settings: &Settings) -> Self {
        let (servers, others): (Vec<_>, Vec<_>) =
            settings.iter().partition(|(name, _)| BROKERS.contains(&name.as_str()));
        let mut secrets: Vec<&str> = Vec::new();
        for (_, servers) in servers {
            // librdkafka does not support credentials here: it takes them for a part of the host name.
            if let Some((login, _)) = servers.rsplit_once('@') {
                secrets.extend(login.split([':', '/', ',']).chain([login]));
            }
            secrets.extend(servers.split(',').filter(|server| is_pasted(server)));
        }
        for (name, value) in others {
            if shown(name, value) != *value {
                secrets.push(value);
            }
            if shown_name(name, value) != name {
                secrets.push(name);
            }
        }
        Self(secrets.into_iter().map(Secret::from).collect())
    }

    /// Returns a text of librdkafka as it may be shown.
    pub(crate) fn hide<'t>(&self, text: &'t str) -> &'t str {
        if self.0.iter().any(|secret| secret.is_repeated_in(text)) {
            return "(librdkafka's message is not shown, because it contains a secret)";
        }
        // Followed by both signatures, which SCRAM derives from the password (as of 2.12.1).
        const MISMATCH: &str = "ServerSignature mismatch";
        text.find(MISMATCH).map_or(text, |at| &text[..at + MISMATCH.len()])
    }
}

/// Returns a value as error messages and `Debug` may show it. Not shown are passwords, keys and tokens, values of settings that
/// librdkafka does not have, whose names may be misspelled ones of secret settings, PEM in any setting, since it may contain a
/// key, and credentials in the address of a server.
pub(crate) fn shown(setting: &str, value: &str) -> String {
    if SECRET.iter().any(|secret| setting.contains(secret)) || !is_known(setting) {
        NOT_SHOWN.to_owned()
    } else if BROKERS.contains(&setting) {
        shown_servers(value)
    } else if setting.ends_with(".pem") || is_pasted(value) {
        format!("({} bytes)", value.len())
    } else {
        value.to_owned()
    }
}

/// Returns the name of a setting as it may be shown. A name that librdkafka does not have may be a value in the wrong place,
/// and is not shown, if its value is the name of a setting. Neither is one with characters that names do not have.
pub(crate) fn shown_name<'n>(name: &'n str, value: &str) -> &'n str {
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if is_name && name.len() <= MAX_NAME && (is_known(name) || !is_known(value)) { name } else { NOT_SHOWN }
}

/// Returns `true` if librdkafka has a setting of this name. It is set for that, because getting a setting that has no value
/// fails as if it were unknown.
pub(crate) fn is_known(setting: &str) -> bool {
    match ClientConfig::new().set(setting, "").create_native_config() {
        Ok(_) => true,
        Err(KafkaError::ClientConfig(code, ..)) => code != RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN,
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(settings: &[(&str, &str)]) -> Secrets {
        Secrets::of(&settings.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    #[test]
    fn possible_secrets_are_not_shown() {
        for secret in [
            "sasl.password",
            "ssl.key.password",
            "ssl.key.pem",
            "ssl.keystore.password",
            "sasl.oauthbearer.config",
            "sasl.oauthbearer.client.secret",
            "sasl.oauthbearer.assertion.private.key.pem",
            "sasl.oauthbearer.assertion.private.key.passphrase",
            "sasl.jaas.config",
            "sasl.passwrd", // which is no setting
            "hunter2",
        ] {
            assert_eq!(shown(secret, "hunter2"), NOT_SHOWN, "{secret}");
        }
        assert_eq!(shown("sasl.username", "me"), "me");
        assert_eq!(shown("acks", "2"), "2", "of a topic");
        assert_eq!(shown("ssl.ca.pem", "x"), "(1 bytes)");
        assert_eq!(shown("client.id", "-----BEGIN PRIVATE KEY-----"), "(27 bytes)");
        assert_eq!(shown("metadata.broker.list", "a,bob:hunter2@b:2"), "(not shown)@b:2");
    }

    #[test]
    fn texts_that_contain_a_secret_are_not_shown() {
        let secrets = secrets(&[
            ("sasl.password", "correct horse"),
            ("sasl.passwrd", "battery staple"),
            ("bootstrap.servers", "bob:trombone@b:2"),
            ("sasl.password=xylophone", ""),
            ("client.id", "not secret at all"),
        ]);
        for text in [
            "Unrecognized sasl.oauthbearer.config beginning at: correct horse",
            "Invalid value \"battery staple\"",
            "bob:trombone@b:2/bootstrap: Failed to resolve",
            "No such configuration property: \"sasl.password=xylophone\"",
        ] {
            assert!(secrets.hide(text).starts_with("(librdkafka's message is not shown"), "{text}");
        }
        for text in ["not secret at all", "b:2/bootstrap: Failed to resolve"] {
            assert_eq!(secrets.hide(text), text);
        }
        let mismatch = "SASL SCRAM authentication failed: ServerSignature mismatch (server's AAAA != ours BBBB)";
        assert_eq!(secrets.hide(mismatch), "SASL SCRAM authentication failed: ServerSignature mismatch");
        assert_eq!(format!("{secrets:?}").matches("Secret(not shown)").count(), 7);
    }
}
