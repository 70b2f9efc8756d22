//! Files that are replaced while the producer runs.

use std::fs;
use std::sync::Arc;

use futures_rustls::rustls::server::ServerConfig;
use kafka_batch_log_capture as log_capture;
use log::{Level, LevelFilter};

use super::directory::Directory;
use super::*;

/// A broker that verifies clients by these authorities, and remembers sessions, for all connections to it.
pub(super) struct Broker(Arc<ServerConfig>);

impl Broker {
    pub(super) fn new(identity: &Identity, clients: &[&Authority]) -> Self {
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        for authority in clients {
            roots.add(CertificateDer::from_pem_slice(authority.certificate.as_bytes()).unwrap()).unwrap();
        }
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap(),
            );
        Self(Arc::new(config.unwrap()))
    }

    /// Connects a client, and returns its certificate as the broker received it, or the client's error.
    pub(super) fn connect(&self, client: &Tls) -> io::Result<CertificateDer<'static>> {
        let peer = Peer::with_shared_config(Arc::clone(&self.0));
        let mut stream = ready(client.clone().connect(peer, "broker"))?;
        match Pin::new(&mut stream).poll_read(&mut context(), &mut [0; 100]) {
            Poll::Pending => {} // otherwise an alert has arrived
            Poll::Ready(result) => return Err(result.unwrap_err()),
        }
        Ok(stream.io.session.peer_certificates().unwrap()[0].clone())
    }

    #[track_caller]
    pub(super) fn accepts(&self, client: &Tls, identity: &Identity) {
        let expected = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
        assert_eq!(self.connect(client).unwrap(), expected);
    }
}

/// A client whose files can be replaced.
struct Client {
    directory: Directory,
    tls: Tls,
}

impl Client {
    fn new(authority: &Authority, identity: &Identity) -> Self {
        log_capture::start("", LevelFilter::Trace);
        let directory = Directory::new(&[]);
        directory.write("ca.pem", &authority.certificate);
        directory.write("client.pem", &identity.certificate);
        directory.write("client.key", &identity.key);
        let [ca, certificate, key] = ["ca.pem", "client.pem", "client.key"].map(|name| directory.file(name));
        let settings = [(CA_LOCATION, &*ca), (CERTIFICATE_LOCATION, &certificate), (KEY_LOCATION, &key)];
        Self { tls: config(&settings).unwrap(), directory }
    }

    /// Replaces a file as a whole, as careful programs do.
    fn rename_over(&self, name: &str, text: &str) {
        self.directory.write("new", text);
        fs::rename(self.directory.0.join("new"), self.directory.0.join(name)).unwrap();
    }

    fn replace(&self, identity: &Identity) {
        self.rename_over("client.pem", &identity.certificate);
        self.rename_over("client.key", &identity.key);
    }
}

/// Returns the lines that this thread has logged since `mark`, at this level.
fn logged(mark: log_capture::Mark, level: Level) -> Vec<String> {
    let lines = log_capture::lines(mark, |line| {
        line.is_of_this_thread() && line.level == level && line.target.starts_with("kafka_batch")
    });
    lines.into_iter().map(|line| line.text).collect()
}

#[test]
fn the_next_connection_uses_the_new_certificate_although_sessions_are_resumed() {
    let authority = Authority::new("authority");
    let [first, second, third] = ["first", "second", "third"].map(|name| authority.sign(name));
    let broker = Broker::new(&authority.sign("broker"), &[&authority]);
    let client = Client::new(&authority, &first);
    let mark = log_capture::mark();
    for _ in 0..3 {
        broker.accepts(&client.tls, &first);
    }
    assert_eq!(logged(mark, Level::Info), [""; 0]);
    client.replace(&second);
    broker.accepts(&client.tls, &second);
    broker.accepts(&client.tls, &second);
    // In place, and of the same length.
    client.directory.write("client.pem", &third.certificate);
    client.directory.write("client.key", &third.key);
    broker.accepts(&client.tls, &third);
    let changed = "the files of ssl.certificate.location, ssl.key.location have changed, and new connections use them";
    assert_eq!(logged(mark, Level::Info), [changed; 2]);
    assert_eq!(logged(mark, Level::Warn), [""; 0]);
}

#[test]
fn the_old_pair_is_used_until_the_new_one_is_whole() {
    let authority = Authority::new("authority");
    let [old, new] = ["old", "new"].map(|name| authority.sign(name));
    let broker = Broker::new(&authority.sign("broker"), &[&authority]);
    let client = Client::new(&authority, &old);
    let half = &new.certificate[..new.certificate.len() / 2];
    for (file, text, reason) in [
        ("client.pem", &*new.certificate, "the certificate and the key do not belong together"),
        ("client.pem", half, "the line -----END CERTIFICATE----- is missing"),
        ("client.pem", "", "no certificate found"),
        ("client.key", &new.key, "the certificate and the key do not belong together"),
        ("client.key", &new.key[..60], "the line -----END PRIVATE KEY----- is missing"),
        ("ca.pem", "", "no certificate found"),
        ("ca.pem", &old.key, "no certificate found"),
    ] {
        let mark = log_capture::mark();
        let before = fs::read(client.directory.0.join(file)).unwrap();
        client.directory.write(file, text);
        broker.accepts(&client.tls, &old);
        broker.accepts(&client.tls, &old);
        let warnings = logged(mark, Level::Warn);
        assert!(warnings.len() == 1 && warnings[0].contains(reason), "once: {warnings:?}");
        assert!(!warnings[0].contains(&new.key[30..50]), "{warnings:?}");
        client.directory.write(file, before);
        broker.accepts(&client.tls, &old);
    }
    client.directory.write("client.pem", &new.certificate);
    broker.accepts(&client.tls, &old);
    client.directory.write("client.key", &new.key);
    broker.accepts(&client.tls, &new);
}

#[test]
fn files_may_be_removed() {
    let authority = Authority::new("authority");
    let [old, new] = ["old", "new"].map(|name| authority.sign(name));
    let broker = Broker::new(&authority.sign("broker"), &[&authority]);
    let client = Client::new(&authority, &old);
    let mark = log_capture::mark();
    fs::remove_file(client.directory.0.join("client.key")).unwrap();
    for _ in 0..3 {
        broker.accepts(&client.tls, &old);
    }
    let warnings = logged(mark, Level::Warn);
    assert!(warnings.len() == 1 && warnings[0].contains("ssl.key.location"), "{warnings:?}");
    assert!(warnings[0].contains("this path cannot be read"), "{warnings:?}");
    client.replace(&new);
    broker.accepts(&client.tls, &new);
}

#[test]
fn authorities_are_replaced_as_a_file_and_in_a_directory() {
    let [old, new] = [Authority::new("old"), Authority::new("new")];
    let identity = old.sign("client");
    let [before, after] = [&old, &new].map(|authority| Broker::new(&authority.sign("broker"), &[&old]));
    let client = Client::new(&old, &identity);
    before.accepts(&client.tls, &identity);
    let error = after.connect(&client.tls).unwrap_err();
    assert!(is_distrust(&error), "{error}");
    client.rename_over("ca.pem", &new.certificate);
    after.accepts(&client.tls, &identity);
    assert!(before.connect(&client.tls).is_err(), "the old authority is no longer trusted");

    let directory = Directory::new(&[("old.pem", old.certificate.as_bytes())]);
    let identity_texts = [(CERTIFICATE_PEM, &*identity.certificate), (KEY_PEM, &identity.key)];
    let tls = config(&[&[(CA_LOCATION, directory.path())], &identity_texts[..]].concat()).unwrap();
    before.accepts(&tls, &identity);
    assert!(after.connect(&tls).is_err());
    directory.write("new.pem", &new.certificate);
    after.accepts(&tls, &identity);
    before.accepts(&tls, &identity);
    fs::remove_file(directory.0.join("old.pem")).unwrap();
    assert!(before.connect(&tls).is_err());
    fs::remove_file(directory.0.join("new.pem")).unwrap();
    after.accepts(&tls, &identity);
}

#[test]
fn a_rejection_tells_that_newer_files_cannot_be_used() {
    let [old, new] = [Authority::new("old"), Authority::new("new")];
    let [old_identity, new_identity] = [&old, &new].map(|authority| authority.sign("client"));
    let broker = Broker::new(&old.sign("broker"), &[&new]);
    let client = Client::new(&old, &old_identity);
    let error = broker.connect(&client.tls).unwrap_err();
    assert!(is_distrust(&error) && !error.to_string().contains("newer"), "{error}");
    client.rename_over("client.pem", &new_identity.certificate);
    let error = broker.connect(&client.tls).unwrap_err();
    let text = error.to_string();
    assert!(is_distrust(&error), "{text}");
    assert!(
        text.contains(
            "; newer files are not used for this connection, but those before, since ssl.certificate.location"
        )
    );
    assert!(text.contains("do not belong together") && text.lines().count() == 1, "{text}");
    client.rename_over("client.key", &new_identity.key);
    broker.accepts(&client.tls, &new_identity);
}

/// A path such as the shell's `<(command)` can be read only once.
#[cfg(target_os = "linux")]
#[test]
fn a_pipe_is_read_once() {
    use std::os::fd::AsRawFd as _;
    use std::process::{Command, Stdio};

    let authority = Authority::new("authority");
    let [old, new] = ["old", "new"].map(|name| authority.sign(name));
    let broker = Broker::new(&authority.sign("broker"), &[&authority]);
    let directory = Directory::new(&[("key", old.key.as_bytes()), ("certificate", old.certificate.as_bytes())]);
    let mut cat = Command::new("cat").arg(directory.file("key")).stdout(Stdio::piped()).spawn().unwrap();
    let pipe = cat.stdout.take().unwrap();
    let key = format!("/dev/fd/{}", pipe.as_raw_fd());
    let certificate = directory.file("certificate");
    let ca = (CA_PEM, &*authority.certificate);
    let tls = config(&[ca, (CERTIFICATE_LOCATION, &certificate), (KEY_LOCATION, &key)]).unwrap();
    cat.wait().unwrap();
    broker.accepts(&tls, &old);
    broker.accepts(&tls, &old);
    directory.write("certificate", &new.certificate);
    broker.accepts(&tls, &old);
    let same_key = old.reissued_with("client", |_| {});
    directory.write("certificate", &same_key.certificate);
    assert!(broker.connect(&tls).is_err(), "self-signed, so that its use shows");
}
