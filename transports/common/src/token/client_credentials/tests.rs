//! Requests to an endpoint of this process, over HTTP and HTTPS.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::task::{Wake, Waker};
use std::thread::Thread;

use socket2::{Domain, Socket, Type};

use super::*;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<T>(mut future: impl Future<Output = T> + Unpin) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        if let Poll::Ready(done) = Pin::new(&mut future).poll(&mut Context::from_waker(&waker)) {
            return done;
        }
        thread::park();
    }
}

/// Reads a request: the lines of its head, and its body.
fn read(stream: &mut impl Read) -> (Vec<String>, String) {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let length = head.iter().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).unwrap();
    (head, String::from_utf8(body).unwrap())
}

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

/// Requests a token of an endpoint that answers so. Returns the outcome, and the request.
fn ask(
    status: &'static str,
    body: &'static str,
    change: impl FnOnce(ClientCredentials) -> ClientCredentials,
) -> (Result<OAuthToken, String>, Vec<String>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/token", listener.local_addr().unwrap());
    let (sender, received) = mpsc::channel();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        sender.send(read(&mut stream)).unwrap();
        stream.write_all(answer(status, body).as_bytes()).unwrap();
    });
    let credentials = change(ClientCredentials::new(endpoint, "a client:1", "hunter2 & more"));
    let token = block_on(credentials.provider().unwrap()());
    server.join().unwrap();
    let (head, body) = received.recv().unwrap();
    (token.map_err(|error| error.to_string()), head, body)
}

#[test]
fn a_token_is_requested_with_the_credentials() {
    let (token, head, body) =
        ask("200 OK", r#"{"access_token":"abc","token_type":"Bearer","expires_in":3600}"#, |it| {
            it.scope("kafka write").extension("pool", "blue")
        });
    let expected =
        OAuthToken::new("abc").unwrap().lifetime(Duration::from_secs(3_600)).extension("pool", "blue").unwrap();
    assert_eq!(token, Ok(expected));
    assert_eq!(head[0], "POST /token HTTP/1.1");
    let header = |name: &str| head.iter().find(|line| line.to_lowercase().starts_with(name)).cloned().unwrap();
    // base64 of "a+client%3A1:hunter2+%26+more"
    assert!(header("authorization").ends_with(" Basic YStjbGllbnQlM0ExOmh1bnRlcjIrJTI2K21vcmU="), "{head:?}");
    assert!(header("content-type").ends_with("application/x-www-form-urlencoded"), "{head:?}");
    assert!(
        ["grant_type=client_credentials&scope=kafka+write", "grant_type=client_credentials&scope=kafka%20write"]
            .contains(&&*body),
        "{body}"
    );
}

#[test]
fn the_lifetime_is_that_of_the_answer_or_of_the_token() {
    let (token, _, body) = ask("200 OK", r#"{"access_token":"abc","expires_in":"60"}"#, |it| it);
    assert_eq!(
        (token.unwrap().valid_for(), body.as_str()),
        (Some(Duration::from_secs(60)), "grant_type=client_credentials")
    );
    // Its claim `exp` is the beginning of 2100.
    let (token, ..) = ask("200 OK", r#"{"access_token":"e30.eyJleHAiOjQxMDI0NDQ4MDB9.c2ln"}"#, |it| it);
    assert!(token.unwrap().valid_for().is_some_and(|time| time > Duration::from_secs(1 << 30)));
    let (token, ..) = ask("200 OK", r#"{"access_token":"opaque"}"#, |it| it);
    assert_eq!(token.unwrap().valid_for(), None);
}

#[test]
fn what_the_endpoint_refuses_is_an_error_in_words() {
    for (status, body, expected) in [
        (
            "401 Unauthorized",
            r#"{"error":"invalid_client","error_description":"no such client"}"#,
            "it answers with the status 401 Unauthorized: invalid_client: no such client",
        ),
        (
            "400 Bad Request",
            r#"{"error":"invalid_client","error_description":"not hunter2 & more"}"#,
            "it answers with the status 400 Bad Request: (not shown, since it may repeat the secret)",
        ),
        // base64 of "a+client%3A1:hunter2+%26+more", which is what was sent
        (
            "400 Bad Request",
            r#"{"error":"no: Basic YStjbGllbnQlM0ExOmh1bnRlcjIrJTI2K21vcmU="}"#,
            "it answers with the status 400 Bad Request: (not shown, since it may repeat the secret)",
        ),
        ("503 Service Unavailable", "<html>", "it answers with the status 503 Service Unavailable"),
        ("302 Found", "", "it answers with the status 302 Found"),
        ("200 OK", "{}", "its answer has no access_token"),
        ("200 OK", "not JSON", "its answer has no access_token"),
        ("200 OK", r#"{"access_token":"two words"}"#, "the token has a character other than"),
    ] {
        let (token, ..) = ask(status, body, |it| it);
        let error = token.unwrap_err();
        assert!(error.starts_with(&format!("the token endpoint: {expected}")), "{status}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn an_endpoint_that_does_not_answer_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/", listener.local_addr().unwrap());
    let silent = ClientCredentials::new(&endpoint, "id", "secret").timeout(Duration::from_millis(50));
    let error = block_on(silent.provider().unwrap()()).unwrap_err().to_string();
    assert!(error.starts_with("the token endpoint: ") && error.contains("timeout"), "{error}");
    // Bound, so that nobody else can listen there.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let nobody = format!("http://{}/", socket.local_addr().unwrap().as_socket().unwrap());
    let unreachable = ClientCredentials::new(nobody, "id", "secret");
    assert!(block_on(unreachable.provider().unwrap()()).is_err());
    for wrong in ["", "idp.example", "ftp://idp.example", "https://", "file:///token"] {
        let error = ClientCredentials::new(wrong, "id", "secret").provider().map(drop).unwrap_err().to_string();
        assert_eq!(error, "the token endpoint: its URL is not one with https:// or http://", "{wrong}");
    }
    let error = ClientCredentials::new("https://h", "id", "secret").ca_pem("none").provider().map(drop).unwrap_err();
    assert!(error.to_string().ends_with("are no certificates in PEM"), "{error}");
}

#[test]
fn debug_shows_no_secret() {
    let credentials = ClientCredentials::new("https://me:horse@h", "id", "hunter2").extension("pool", "battery");
    let shown = format!("{credentials:?}");
    assert!(shown.contains("id") && shown.contains("pool"), "{shown}");
    assert!(!["hunter2", "horse", "battery"].iter().any(|secret| shown.contains(secret)), "{shown}");
}

/// Only an endpoint with a certificate of the given authority gets the credentials.
#[cfg(feature = "__witnesses")]
#[test]
fn the_endpoint_is_authenticated() {
    use futures_rustls::pki_types::pem::PemObject as _;
    use futures_rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use futures_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};
    use kafka_batch_certificates::Authority;

    let (authority, other) = (Authority::new("authority"), Authority::new("another"));
    let identity = authority.sign("127.0.0.1");
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("https://{}/token", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let config = Arc::new(config);
        let mut requests = 0;
        for _ in 0..2 {
            let (stream, _) = listener.accept().unwrap();
            let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream);
            if stream.conn.complete_io(&mut stream.sock).is_ok() {
                let _ = read(&mut stream);
                requests += 1;
                stream.write_all(answer("200 OK", r#"{"access_token":"abc"}"#).as_bytes()).unwrap();
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
        requests
    });
    let token = |ca: &str| block_on(ClientCredentials::new(&endpoint, "id", "secret").ca_pem(ca).provider().unwrap()());
    assert!(token(&other.certificate).unwrap_err().to_string().contains("certificate"));
    assert_eq!(token(&authority.certificate).unwrap(), OAuthToken::new("abc").unwrap());
    assert_eq!(server.join().unwrap(), 1, "the other client has sent nothing");
}
