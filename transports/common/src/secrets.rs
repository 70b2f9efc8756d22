//! Which settings are secret, and how any may be shown in an error, a log line or a `Debug`.

use std::borrow::Cow;

use crate::settings;

/// Settings whose values nobody is to read in a log.
const SECRET: [&str; 3] = ["sasl.password", "ssl.key.pem", "ssl.key.password"];

const NOT_SHOWN: &str = "(not shown)";

/// Longer values are text that was pasted, and are shown by their length.
const LONGEST: usize = 256;

/// Returns a value as an error message, or a `Debug`, may show it. Secret are passwords and keys; perhaps the value of a
/// setting that is not known, which may be a misspelled one; PEM, in whatever setting, for a key may be in it; and who logs
/// in at a server, where that was written into its address.
pub(crate) fn shown(setting: &str, value: &str) -> String {
    if SECRET.contains(&setting) || !settings::is_known(setting) {
        NOT_SHOWN.to_owned()
    } else if setting.ends_with(".pem") || value.contains("-----") || value.len() > LONGEST {
        format!("({} bytes)", value.len())
    } else if setting == settings::BROKERS {
        value.split(',').map(server).collect::<Vec<_>>().join(",")
    } else {
        value.to_owned()
    }
}

/// Returns a server as it may be shown: `user:password@host:port` without what is before the `@`.
pub(crate) fn server(address: &str) -> Cow<'_, str> {
    match address.rsplit_once('@') {
        Some((_, host)) => format!("{NOT_SHOWN}@{host}").into(),
        None => address.into(),
    }
}

/// Returns the name of a setting as it may be shown. One that is not known and has other characters than names have, or
/// whose value is the name of a setting, is perhaps a value.
pub(crate) fn shown_name<'n>(name: &'n str, value: &str) -> &'n str {
    let is_name =
        name.len() <= LONGEST && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if settings::is_known(name) || is_name && !settings::is_known(value) { name } else { NOT_SHOWN }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_secret_is_not_shown() {
        for secret in SECRET {
            assert_eq!(shown(secret, "hunter2"), NOT_SHOWN);
        }
        for unknown in ["sasl.jaas.config", "sasl.passwrd", "ssl.keystore.password", "", "hunter2"] {
            assert_eq!(shown(unknown, "hunter2"), NOT_SHOWN, "{unknown}");
        }
        let pem = "-----BEGIN PRIVATE KEY-----MIGH";
        for other in ["ssl.ca.pem", "ssl.ca.location", "ssl.key.location", "client.id", "acks"] {
            assert_eq!(shown(other, pem), "(31 bytes)", "{other}");
        }
        assert_eq!(shown("ssl.key.location", &"x".repeat(300)), "(300 bytes)");
        assert_eq!(shown("ssl.key.location", "key.pem"), "key.pem");
        let servers = "a:1, bob:hunter2@b:2,kafka://bob:hunter2@c@d";
        assert_eq!(shown("bootstrap.servers", servers), "a:1,(not shown)@b:2,(not shown)@d");
        assert_eq!(shown("sasl.username", "bob@example.org"), "bob@example.org");
    }

    #[test]
    fn what_may_be_a_value_is_not_shown_as_a_name() {
        for name in ["acks", "sasl.password", "sasl.passwrd", "Some-Name_1"] {
            assert_eq!(shown_name(name, "x"), name);
        }
        for (name, value) in [("sasl.password=hunter2", ""), ("pass word", "x"), ("hunter2", "sasl.password")] {
            assert_eq!(shown_name(name, value), NOT_SHOWN);
        }
        assert_eq!(shown_name("client.id", "acks"), "client.id");
    }
}
