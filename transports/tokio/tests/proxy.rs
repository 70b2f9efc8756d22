//! Producers whose connections go through a SOCKS5 proxy, to brokers whose names only the proxy can resolve.

#[path = "proxy/server.rs"]
mod server;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use kafka_batch_core::error::TransportError;
use kafka_batch_core::machine::ConnectionErrorKind;
use kafka_batch_core::{EnqueueErrorReason, FailureReason, Record, SendMessageError};
use kafka_batch_testing::TestCluster;
use kafka_batch_tokio::{ProducerBuilder, Socks5Error, Socks5ErrorKind, Socks5Reply, Tokio, TokioProducer};
use server::{PASSWORD, Proxy, USERNAME};
use tokio::net::TcpSocket;

fn through(proxy: SocketAddr) -> ProducerBuilder<Tokio> {
    TokioProducer::builder()
        .set("bootstrap.servers", "behind-the-proxy.invalid:1234")
        .set("socks5.proxy", proxy.to_string())
        .set("socks5.proxy.username", USERNAME)
        .set("delivery.timeout.ms", "300")
        .set("request.timeout.ms", "300")
}

#[tokio::test]
async fn brokers_are_connected_to_by_the_proxy_which_resolves_their_names() {
    let cluster = TestCluster::start();
    let to = cluster.address(1).unwrap();
    let proxy = Proxy::start(Ipv4Addr::LOCALHOST, to, 0);
    let producer = through(proxy.address).set("socks5.proxy.password", PASSWORD).build().unwrap();
    producer.send(("readings", 0), Record::new("21.5")).await.unwrap();
    producer.close().await.unwrap();
    assert_eq!(cluster.log("readings", 0).unwrap().values().unwrap(), ["21.5"]);
    let expected = [("behind-the-proxy.invalid".to_owned(), 1234), (to.ip().to_string(), to.port())];
    assert_eq!(proxy.asked(), expected);
}

/// Returns the error of the proxy that a message failed with.
async fn error(builder: ProducerBuilder<Tokio>) -> (String, Socks5ErrorKind) {
    let producer = builder.build().unwrap();
    let failed = producer.send(("readings", 0), Record::new("21.5")).await.unwrap_err();
    let text = failed.to_string();
    let error = match &failed {
        SendMessageError::NotAccepted(error) => match &error.reason {
            EnqueueErrorReason::Send(reason) => reason.connection_error(),
            other => panic!("{other}"),
        },
        SendMessageError::Delivery(error) => match &*error.reason {
            FailureReason::TimedOut { cause: Some(cause), .. } => cause.connection_error(),
            other => panic!("{other}"),
        },
        other => panic!("{other}"),
    };
    let Some(ConnectionErrorKind::Disconnected { error: Some(error), .. }) = error.map(|error| &error.kind) else {
        panic!("{text}")
    };
    let found = TransportError::downcast_ref::<io::Error>(error).unwrap();
    let proxy = found.get_ref().unwrap().downcast_ref::<Socks5Error>().unwrap();
    let kind = match &proxy.kind {
        Socks5ErrorKind::Refused(reply) => Socks5ErrorKind::Refused(*reply),
        Socks5ErrorKind::LoginRefused { status } => Socks5ErrorKind::LoginRefused { status: *status },
        Socks5ErrorKind::NoAcceptableMethod { has_login } => {
            Socks5ErrorKind::NoAcceptableMethod { has_login: *has_login }
        }
        Socks5ErrorKind::Unreachable(error) => Socks5ErrorKind::Unreachable(error.kind().into()),
        other => panic!("{other}"),
    };
    (text, kind)
}

#[tokio::test]
async fn refusals_of_a_proxy_are_typed_errors_of_the_delivery() {
    let cluster = TestCluster::start();
    let proxy = Proxy::start(Ipv4Addr::LOCALHOST, cluster.address(1).unwrap(), 2);
    let address = proxy.address;
    let (text, kind) = error(through(address).set("socks5.proxy.password", PASSWORD)).await;
    assert!(matches!(kind, Socks5ErrorKind::Refused(Socks5Reply::NotAllowed)), "{text}");
    assert!(text.contains(&format!("the SOCKS5 proxy {address}: its rules do not allow the connection")), "{text}");
    let (text, kind) = error(through(address).set("socks5.proxy.password", "guess")).await;
    assert!(matches!(kind, Socks5ErrorKind::LoginRefused { status: 1 }), "{text}");
    assert!(!text.contains("guess") && !text.contains(USERNAME), "{text}");
    let without_login = TokioProducer::builder()
        .set("bootstrap.servers", "behind-the-proxy.invalid:1234")
        .set("socks5.proxy", address.to_string())
        .set("delivery.timeout.ms", "300")
        .set("request.timeout.ms", "300");
    let (text, kind) = error(without_login).await;
    assert!(matches!(kind, Socks5ErrorKind::NoAcceptableMethod { has_login: false }), "{text}");
    // Bound, so that nobody else can listen there.
    let silent = TcpSocket::new_v4().unwrap();
    silent.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let nobody = silent.local_addr().unwrap();
    let (text, kind) = error(through(nobody).set("socks5.proxy.password", PASSWORD)).await;
    assert!(
        matches!(kind, Socks5ErrorKind::Unreachable(error) if error.kind() == io::ErrorKind::ConnectionRefused),
        "{text}"
    );
}
