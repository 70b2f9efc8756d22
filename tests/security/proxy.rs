//! TLS and SASL through a SOCKS5 proxy, with the cluster for tests, whose certificate is for `localhost` and 127.0.0.1. The certificate
//! is the broker's, whatever the name of the proxy is.

#[path = "../../transports/tokio/tests/proxy/server.rs"]
mod server;

use std::net::Ipv4Addr;

use kafka_batch::error::AuthenticationError;
use kafka_batch::{Publish, PublishError, SendErrorReason, Transport};
use kafka_batch_testing::{ScramHash, TestCluster};
use server::Proxy;

use crate::subject::{AsyncStd, Smol, Subject, Tokio};

/// An address of this host that is not in the certificate: Linux has all of 127.0.0.0/8.
const NOT_IN_THE_CERTIFICATE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Publishes one message through the proxy to the broker of this name.
fn publish<S: Subject>(
    cluster: &TestCluster,
    proxy: &Proxy,
    broker: &str,
    settings: &[(&str, &str)],
) -> Result<i64, SendErrorReason> {
    let address = proxy.address.to_string();
    let through_the_proxy = [
        ("security.protocol", "ssl"),
        ("ssl.ca.pem", cluster.ca_pem().unwrap()),
        ("socks5.proxy", &address),
        ("socks5.proxy.username", server::USERNAME),
        ("socks5.proxy.password", server::PASSWORD),
    ];
    S::block_on(async {
        let producer = S::create(broker.to_owned(), &[&through_the_proxy, settings].concat());
        let published = producer.publish_batch(Publish::to("t").partition(0).messages(&["through"])).await;
        producer.close().await.unwrap();
        match published {
            Ok(delivery) => Ok(delivery.base_offset().unwrap()),
            Err(PublishError::Send(error)) => Err(error.reason),
            Err(other) => panic!("{other}"),
        }
    })
}

fn the_certificate_is_that_of_the_broker<S: Subject>() {
    let cluster = TestCluster::builder().tls().start().unwrap();
    let to = cluster.address(1).unwrap();
    let proxy = Proxy::start(NOT_IN_THE_CERTIFICATE, to, 0);
    let broker = format!("localhost:{}", to.port());
    assert_eq!(publish::<S>(&cluster, &proxy, &broker, &[]).unwrap(), 0);
    let each = [("localhost", to.port()), ("127.0.0.1", to.port())];
    assert_eq!(proxy.asked(), each.map(|(host, port)| (host.to_owned(), port)));
    assert_eq!(cluster.log("t", 0).unwrap().values().unwrap(), ["through"]);
}

/// The address of the proxy is in the certificate, and the name of the broker is not.
fn another_name_is_an_error_that_names_the_broker<S: Subject>() {
    let cluster = TestCluster::builder().tls().start().unwrap();
    let proxy = Proxy::start(Ipv4Addr::LOCALHOST, cluster.address(1).unwrap(), 0);
    let broker = "behind-the-proxy.invalid:1234";
    let reason = publish::<S>(&cluster, &proxy, broker, &[]).unwrap_err();
    let SendErrorReason::Authentication(AuthenticationError::Connection(_)) = &reason else { panic!("{reason}") };
    let text = reason.to_string();
    assert!(text.contains(broker) && text.contains("use a name in the certificate"), "{text}");
    assert!(!text.contains(&proxy.address.to_string()), "{text}");
    assert_eq!(proxy.asked(), [("behind-the-proxy.invalid".to_owned(), 1234)], "it is not retriable");
    assert_eq!(cluster.requests(), [], "nothing is sent to it");
    let any_name = [("ssl.endpoint.identification.algorithm", "none")];
    assert_eq!(publish::<S>(&cluster, &proxy, broker, &any_name).unwrap(), 0);
}

fn users_authenticate_to_the_broker<S: Subject>() {
    let cluster = TestCluster::builder().tls().plain_user("alice", "open sesame");
    let cluster = cluster.scram_user(ScramHash::Sha512, "carol", "sesame, open").start().unwrap();
    let to = cluster.address(1).unwrap();
    let proxy = Proxy::start(NOT_IN_THE_CERTIFICATE, to, 0);
    let broker = format!("localhost:{}", to.port());
    for (offset, (mechanism, user, password)) in
        (0..).zip([("PLAIN", "alice", "open sesame"), ("SCRAM-SHA-512", "carol", "sesame, open")])
    {
        let login = |password| {
            let settings = [
                ("security.protocol", "sasl_ssl"),
                ("sasl.mechanism", mechanism),
                ("sasl.username", user),
                ("sasl.password", password),
            ];
            publish::<S>(&cluster, &proxy, &broker, &settings)
        };
        assert_eq!(login(password).unwrap(), offset, "{mechanism}");
        // The login of the proxy is not that of the broker.
        let reason = login(server::PASSWORD).unwrap_err();
        assert!(matches!(reason, SendErrorReason::Authentication(_)), "{mechanism}: {reason}");
        assert!(!reason.to_string().contains(server::PASSWORD), "{reason}");
    }
}

macro_rules! over_each_runtime {
    ($($case:ident)*) => { $(mod $case {
        #[test]
        fn over_tokio() {
            super::$case::<super::Tokio>();
        }

        #[test]
        fn over_async_std() {
            super::$case::<super::AsyncStd>();
        }

        #[test]
        fn over_smol() {
            super::$case::<super::Smol>();
        }
    })* };
}

over_each_runtime! {
    the_certificate_is_that_of_the_broker
    another_name_is_an_error_that_names_the_broker
    users_authenticate_to_the_broker
}
