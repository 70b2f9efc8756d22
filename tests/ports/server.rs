//! What may listen on a port: a TLS server, a web server, others that are not brokers; and a minimal broker.

use std::io::{self, Read, Write};
use std::mem;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use tokio::net::TcpSocket;

/// Listens on a port of 127.0.0.1 until the process ends, and serves connections one after the other. The returned
/// stream is kept open.
pub(crate) fn listen(mut serve: impl FnMut(TcpStream) -> Option<TcpStream> + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming() {
            open.extend(serve(stream.unwrap()));
        }
    });
    port
}

/// Returns a port of 127.0.0.1 where nobody listens. It stays bound until the process ends: another test could get a free
/// one, and would be reported under the same number.
pub(crate) fn without_listener() -> u16 {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let port = socket.local_addr().unwrap().port();
    mem::forget(socket);
    port
}

/// Accepts connections and does nothing.
pub(crate) fn silent() -> u16 {
    listen(Some)
}

/// Closes each connection after the first bytes, of which it leaves nothing unread, since that would cause a reset.
pub(crate) fn closing() -> u16 {
    listen(|mut stream| {
        let _ = stream.read(&mut [0; 4_096]);
        None
    })
}

/// A web server, which rejects the request.
pub(crate) fn http() -> u16 {
    listen(|mut stream| {
        let _ = stream.read(&mut [0; 4_096]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        None
    })
}

/// A plaintext broker like Kafka's: it takes the beginning of a TLS handshake for the length of a request, which
/// exceeds its limit (socket.request.max.bytes), and closes the connection.
#[cfg(feature = "__witnesses")]
pub(crate) fn plaintext() -> u16 {
    listen(|mut stream| {
        let mut length = [0; 4];
        let _ = stream.read_exact(&mut length);
        assert!(u32::from_be_bytes(length) > 104_857_600, "a request");
        None
    })
}

/// A TLS server with a self-signed certificate.
#[cfg(feature = "__witnesses")]
pub(crate) fn tls() -> u16 {
    use std::sync::Arc;

    use kafka_batch_certificates::Identity;
    use kafka_batch_witnesses::rustls;
    use kafka_batch_witnesses::rustls::pki_types::pem::PemObject;
    use kafka_batch_witnesses::rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use kafka_batch_witnesses::rustls::{ServerConfig, ServerConnection};

    let Identity { certificate, key } = Identity::self_signed("127.0.0.1");
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap());
    listen(move |mut stream| {
        let mut session = ServerConnection::new(Arc::clone(&config)).unwrap();
        // The alert is sent before the error is returned.
        session.complete_io(&mut stream).unwrap_err();
        None
    })
}

/// How a broker replies to a request.
pub(crate) enum Reply {
    /// This body, after the correlation id.
    Body(Vec<u8>),
    /// A truncated response, and the end of the connection.
    Truncated,
    Silence,
    Close,
}

/// A broker with a topic `t` of one partition, which supports ApiVersions v3, Metadata v1, InitProducerId v0 and
/// Produce v3. `reply` determines the replies to the last two.
pub(crate) fn broker(reply: impl Fn(i16) -> Reply + Send + Sync + 'static) -> u16 {
    let reply = Arc::new(reply);
    listen(move |stream| {
        let reply = Arc::clone(&reply);
        thread::spawn(move || drop(serve(stream, &*reply)));
        None
    })
}

fn serve(mut stream: TcpStream, reply: &impl Fn(i16) -> Reply) -> io::Result<()> {
    let port = stream.local_addr()?.port();
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let mut request = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut request)?;
        let body = match i16::from_be_bytes([request[0], request[1]]) {
            18 => Reply::Body(versions()),
            3 => Reply::Body(metadata(port)),
            api => reply(api),
        };
        let correlation = &request[4..8];
        match body {
            Reply::Body(body) => {
                stream.write_all(&[&(body.len() as u32 + 4).to_be_bytes()[..], correlation, &body].concat())?;
            }
            Reply::Truncated => {
                stream.write_all(&[&100_u32.to_be_bytes()[..], correlation, &[0; 6]].concat())?;
                return Ok(());
            }
            Reply::Silence => {}
            Reply::Close => return Ok(()),
        }
    }
}

fn versions() -> Vec<u8> {
    let apis = [(0_u8, 3_u8), (3, 1), (18, 3), (22, 0)];
    let mut body = vec![0, 0, apis.len() as u8 + 1];
    apis.iter().for_each(|(api, newest)| body.extend([0, *api, 0, 0, 0, *newest, 0]));
    body.extend([0; 5]);
    body
}

fn string(text: &str) -> Vec<u8> {
    [&(text.len() as i16).to_be_bytes()[..], text.as_bytes()].concat()
}

/// Broker 7 at this port leads the partition.
fn metadata(port: u16) -> Vec<u8> {
    let id = 7_i32.to_be_bytes();
    let broker =
        [&1_i32.to_be_bytes()[..], &id, &string("127.0.0.1"), &i32::from(port).to_be_bytes(), &[255; 2]].concat();
    let topic = [&id[..], &1_i32.to_be_bytes(), &[0, 0], &string("t"), &[0]].concat();
    let partition = [&1_i32.to_be_bytes()[..], &[0; 6], &id, &[0; 8]].concat();
    [broker, topic, partition].concat()
}

/// Returns a response to InitProducerId v0 with this producer id.
pub(crate) fn producer_id(id: i64) -> Reply {
    Reply::Body([&[0; 6][..], &id.to_be_bytes(), &[0; 2]].concat())
}

/// Returns a response to Produce v3: the batch is at offset 0.
pub(crate) fn produced() -> Reply {
    let one = 1_i32.to_be_bytes();
    Reply::Body([&one[..], &string("t"), &one, &[0; 6], &[0; 8], &[255; 8], &[0; 4]].concat())
}

/// Returns a broker, and a function that closes all its connections while nothing is pending on them.
pub(crate) fn closing_on_request() -> (u16, impl Fn()) {
    let streams = Arc::new(Mutex::new(Vec::new()));
    let opened = Arc::clone(&streams);
    let port = listen(move |stream| {
        opened.lock().unwrap().push(stream.try_clone().unwrap());
        let usual = |api| if api == 22 { producer_id(5) } else { produced() };
        thread::spawn(move || drop(serve(stream, &usual)));
        None
    });
    let end = move || streams.lock().unwrap().drain(..).for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
    (port, end)
}
