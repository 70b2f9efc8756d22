//! Redaction of settings in errors, log lines and `Debug`.

use crate::settings::table::{BROKERS, is_known};

/// Settings whose values are never shown.
const SECRET: [&str; 5] =
    ["sasl.password", "socks5.proxy.password", "socks5.proxy.username", "ssl.key.pem", "ssl.key.password"];

const NOT_SHOWN: &str = "(not shown)";

/// The longest value that is shown, in bytes. Valid values other than lists are shorter.
const MAX_LENGTH: usize = 256;
/// A run of this many characters of base64 is taken for a key. File names contain a full stop, a hyphen or a space earlier;
/// keys in base64 or hexadecimal digits do not.
const MAX_RUN: usize = 64;

/// Returns a value as error messages and `Debug` may show it. Not shown are passwords and keys, values of unknown settings,
/// whose names may be misspelled ones of secret settings, PEM in any setting, since it may contain a key, and credentials
/// in the address of a server.
pub(crate) fn shown(setting: &str, value: &str) -> String {
    if SECRET.contains(&setting) || !is_known(setting) {
        NOT_SHOWN.to_owned()
    } else if setting == BROKERS || setting == "socks5.proxy" {
        shown_servers(value)
    } else if setting.ends_with(".pem") || is_pasted(value) {
        length(value)
    } else {
        value.to_owned()
    }
}

fn length(value: &str) -> String {
    format!("({} bytes)", value.len())
}

/// Returns `true` if a value may be a key that was put in the wrong setting: PEM, a long run of base64, binary data, or any
/// value of more than 256 bytes.
#[must_use]
pub fn is_pasted(value: &str) -> bool {
    let is_of_keys = |char: char| char.is_ascii_alphanumeric() || matches!(char, '+' | '/' | '=');
    let has_long_run = || value.split(|char| !is_of_keys(char)).any(|run| run.len() >= MAX_RUN);
    let is_binary = || value.chars().any(|char| char.is_control() || char == char::REPLACEMENT_CHARACTER);
    value.contains("-----") || value.len() > MAX_LENGTH || has_long_run() || is_binary()
}

/// Returns a list of servers as it may be shown. Everything before the last `@` is omitted, since it may be a password (which
/// can contain commas). Entries that may be keys ([`is_pasted`]) are replaced by their length.
#[must_use]
pub fn shown_servers(list: &str) -> String {
    let (login, servers) = match list.rsplit_once('@') {
        Some((_, servers)) => (format!("{NOT_SHOWN}@"), servers),
        None => (String::new(), list),
    };
    let shown = |server: &str| if is_pasted(server) { length(server) } else { server.to_owned() };
    login + &servers.split(',').map(shown).collect::<Vec<_>>().join(",")
}

/// Returns the name of a setting as it may be shown. An unknown name may be a value in the wrong place, and is not shown, if
/// it contains characters that names do not have, or if its value is the name of a setting.
pub(crate) fn shown_name<'n>(name: &'n str, value: &str) -> &'n str {
    let is_name =
        name.len() <= MAX_LENGTH && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if is_known(name) || is_name && !is_known(value) { name } else { NOT_SHOWN }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn possible_secrets_are_not_shown() {
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
        for path in ["key.pem", "/etc/kafka/secrets/broker-1.example/private/the key of this broker.pem"] {
            assert_eq!(shown("ssl.key.location", path), path);
        }
        let base64 = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgm+n+n43Jz3HUzP8L";
        assert_eq!(shown("ssl.key.location", base64), "(64 bytes)");
        let many = (0..50).map(|number| format!("broker-{number}.example:9092")).collect::<Vec<_>>().join(",");
        assert_eq!(shown("bootstrap.servers", &many), many);
        assert_eq!(shown("bootstrap.servers", &format!("a,{base64}")), "a,(64 bytes)");
        let servers = "a:1, bob:hunter2@b:2,kafka://bob:hunter2@c@d";
        assert_eq!(shown("bootstrap.servers", servers), "(not shown)@d");
        assert_eq!(shown("bootstrap.servers", "bob:hunter,2@b:2,c"), "(not shown)@b:2,c");
        assert_eq!(shown("socks5.proxy", "socks5://bob:hunter2@p:1"), "(not shown)@p:1");
        assert_eq!(shown("sasl.username", "bob@example.org"), "bob@example.org");
    }

    #[test]
    fn a_name_that_may_be_a_value_is_not_shown() {
        for name in ["acks", "sasl.password", "sasl.passwrd", "Some-Name_1"] {
            assert_eq!(shown_name(name, "x"), name);
        }
        for (name, value) in [("sasl.password=hunter2", ""), ("pass word", "x"), ("hunter2", "sasl.password")] {
            assert_eq!(shown_name(name, value), NOT_SHOWN);
        }
        assert_eq!(shown_name("client.id", "acks"), "client.id");
    }
}
