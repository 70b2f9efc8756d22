use std::time::Duration;

use super::*;
use crate::network_config::{ADDRESS_FAMILY, ATTEMPT_DELAY as DELAY, RECEIVE_BUFFER, SEND_BUFFER};
use crate::settings::tests::{conflict, given, wrong};

fn of(settings: &[(&str, &str)]) -> NetworkConfig {
    given(settings).unwrap().network
}

#[test]
fn sockets_have_the_options_of_the_system_unless_they_are_set() {
    assert_eq!(of(&[]).socket, SocketOptions::default());
    for system in ["-1", "0", " -1 "] {
        let names = ["socket.send.buffer.bytes", "receive.buffer.bytes"];
        assert_eq!(of(&names.map(|name| (name, system))).socket, SocketOptions::default(), "{system}");
    }
    assert!(wrong(&[("send.buffer.bytes", "-2")]).contains("from 1 to 2147483647, or -1 or 0 for the system's"));
    let set = of(&[("send.buffer.bytes", "131072"), ("receive.buffer.bytes", "32768")]).socket;
    assert_eq!((set.send_buffer, set.receive_buffer), (Some(131_072), Some(32_768)));
    assert_eq!(of(&[("socket.tcp.user.timeout.ms", "0")]).socket.tcp_user_timeout, None);
    #[cfg(target_os = "linux")]
    assert_eq!(of(&[("socket.tcp.user.timeout.ms", "9000")]).socket.tcp_user_timeout, Some(Duration::from_secs(9)));
}

#[test]
fn a_proxy_is_one_address_with_a_port_and_a_login_that_is_not_shown() {
    let login = [("socks5.proxy.username", "bob"), ("socks5.proxy.password", "hunter2")];
    let config = of(&[&[("socks5.proxy", " proxy.example:1080 ")], &login[..]].concat());
    let proxy = config.proxy.clone().unwrap();
    assert_eq!((proxy.host.as_str(), proxy.port), ("proxy.example", 1080));
    assert_eq!(proxy.login.unwrap().password.expose(), "hunter2");
    let shown = format!("{config:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("bob"), "{shown}");
    for value in ["proxy", "[::1]", "a:1,b:2", "socks5://a:1", "", "a:0"] {
        assert!(wrong(&[("socks5.proxy", value)]).contains("write host:port"), "{value}");
    }
    let error = wrong(&[("socks5.proxy", "bob:hunter2@proxy:1080")]);
    assert!(error.contains("socks5.proxy.username") && !error.contains("hunter2"), "{error}");
    let error = wrong(&[("socks5.proxy", "p:1"), login[0], ("socks5.proxy.password", "")]);
    assert!(error.contains("it has 0 bytes, and SOCKS5 allows 1 to 255"), "{error}");
}

#[test]
fn settings_of_a_proxy_need_each_other() {
    let proxy = ("socks5.proxy", "p:1");
    let (user, password) = (("socks5.proxy.username", "bob"), ("socks5.proxy.password", "hunter2"));
    for (settings, expected) in [
        (&[user][..], "set socks5.proxy, too"),
        (&[proxy, user], "set both, or neither"),
        (&[proxy, password], "set both, or neither"),
        (&[proxy, ("client.dns.lookup", "resolve_canonical_bootstrap_servers_only")], "has no reverse lookup"),
    ] {
        let error = conflict(settings);
        assert!(error.contains(expected) && !error.contains("hunter2") && !error.contains("bob"), "{error}");
    }
}

#[test]
fn what_makes_the_connections_itself_refuses_these_settings() {
    let config = of(&[("broker.address.family", "v4"), ("send.buffer.bytes", "5")]);
    let error = refuse(&config, &[], "no").unwrap_err().to_string();
    assert_eq!(error, "broker.address.family = \"v4\": no");
    let error = refuse(&config, &[ADDRESS_FAMILY], "no").unwrap_err().to_string();
    assert_eq!(error, "socket.send.buffer.bytes = \"5\": no");
    let names = [
        (DNS_LOOKUP, "resolve_canonical_bootstrap_servers_only"),
        (ADDRESS_FAMILY, "v6"),
        (DELAY, "100"),
        (SEND_BUFFER, "1"),
        (RECEIVE_BUFFER, "1"),
        #[cfg(target_os = "linux")]
        (USER_TIMEOUT, "1"),
        (PROXY, "p:1"),
    ];
    for (name, value) in names {
        let error = refuse(&of(&[(name, value)]), &[], "no").unwrap_err().to_string();
        assert_eq!(error, format!("{name} = {value:?}: no"));
    }
    assert!(refuse(&of(&[("client.id", "me"), (DELAY, "250")]), &[], "no").is_ok());
}
