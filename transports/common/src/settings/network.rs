//! The settings of connecting: what they are together, and where they have an effect.

use kafka_batch_core::machine::Secret;

use super::table::ProducerConfig;
use super::{Setting, conflict, wrong};
use crate::error::ConfigError;
use crate::network_config::{DNS_LOOKUP, DnsLookup, NetworkConfig, PROXY, SocketOptions, USER_TIMEOUT};
use crate::socks5::{Login, MAX_FIELD, Proxy};

const USERNAME: &str = "socks5.proxy.username";
const PASSWORD: &str = "socks5.proxy.password";

/// Returns an error if any setting of connecting has another value than the default, and is not one of `except`: for what makes
/// connections that it does not concern.
pub(crate) fn refuse(config: &NetworkConfig, except: &[&str], how: &'static str) -> Result<(), ConfigError> {
    match config.changed().into_iter().find(|(name, _)| !except.contains(name)) {
        Some((name, found)) => Setting { name, found: &found }.wrong(how),
        None => Ok(()),
    }
}

/// Returns how connections are made.
///
/// # Errors
/// A setting needs another one, or another system.
pub(super) fn network(config: &ProducerConfig) -> Result<NetworkConfig, ConfigError> {
    let buffer = |size: Option<usize>| size.and_then(|size| u32::try_from(size).ok()).filter(|size| *size > 0);
    let socket = SocketOptions {
        send_buffer: buffer(config.send_buffer_bytes),
        receive_buffer: buffer(config.receive_buffer_bytes),
        tcp_user_timeout: config.socket_tcp_user_timeout,
    };
    if socket.tcp_user_timeout.is_some() && !cfg!(any(target_os = "linux", target_os = "android")) {
        return wrong(USER_TIMEOUT, config, "only Linux and Android have it: leave this setting out");
    }
    let defaults = NetworkConfig::default();
    let dns_lookup = config.client_dns_lookup.unwrap_or(defaults.dns_lookup);
    let proxy = proxy(config)?;
    if proxy.is_some() && dns_lookup == DnsLookup::ResolveCanonicalBootstrapServersOnly {
        let remedy = "the proxy resolves the names of brokers, and has no reverse lookup: leave one of them out";
        return conflict(PROXY, DNS_LOOKUP, config, remedy);
    }
    Ok(NetworkConfig {
        dns_lookup,
        family: config.broker_address_family.unwrap_or(defaults.family),
        attempt_delay: config.connection_attempt_delay.unwrap_or(defaults.attempt_delay),
        socket,
        proxy,
    })
}

fn proxy(config: &ProducerConfig) -> Result<Option<Proxy>, ConfigError> {
    let (username, password) = (&config.socks5_proxy_username, &config.socks5_proxy_password);
    let address = config.socks5_proxy.as_ref().and_then(|proxy| proxy.0.addresses.first());
    let Some((host, port)) = address.cloned() else {
        let unused = [(USERNAME, username), (PASSWORD, password)].into_iter().find(|(_, value)| value.is_some());
        return match unused {
            Some((name, _)) => conflict(name, PROXY, config, "it is the login of a proxy: set socks5.proxy, too"),
            None => Ok(None),
        };
    };
    let login = match (username, password) {
        (None, None) => None,
        (Some(username), Some(password)) => {
            check_field(USERNAME, username, config)?;
            check_field(PASSWORD, password, config)?;
            Some(Login { username: username.clone(), password: password.clone() })
        }
        (None, Some(_)) => return conflict(PASSWORD, USERNAME, config, "a login needs both: set both, or neither"),
        (Some(_), None) => return conflict(USERNAME, PASSWORD, config, "a login needs both: set both, or neither"),
    };
    Ok(Some(Proxy { host, port, login }))
}

/// Checks the length of a user name or a password (RFC 1929, section 2).
fn check_field(name: &'static str, value: &Secret, config: &ProducerConfig) -> Result<(), ConfigError> {
    match value.expose().len() {
        1..=MAX_FIELD => Ok(()),
        length => wrong(name, config, format!("it has {length} bytes, and SOCKS5 allows 1 to {MAX_FIELD}")),
    }
}

#[cfg(test)]
mod tests;
