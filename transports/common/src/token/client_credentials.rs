//! Tokens of an OAuth 2.0 endpoint, by the client credentials grant (RFC 6749, section 4.4; in Kafka KIP-768).

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, SystemTime};

use futures_rustls::rustls::crypto::ring;
use kafka_batch_core::machine::{OAuthToken, OAuthTokenError, Secret};
use ureq::Agent;
use ureq::http::{StatusCode, Uri};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use crate::oneshot::Slot;

/// Gets tokens for `sasl.mechanism=OAUTHBEARER` from the token endpoint of an identity provider, with the id and the secret of a
/// client: what Java's client does with the settings in parentheses (KIP-768, KIP-1139). Needs the feature `oauth`.
///
/// ```
/// use kafka_batch_transport::{ClientCredentials, ProducerBuilder};
///
/// # fn builder<R>(builder: ProducerBuilder<R>, secret: String) -> Result<ProducerBuilder<R>, Box<dyn std::error::Error>> {
/// let credentials = ClientCredentials::new("https://idp.example/oauth2/token", "billing", secret).scope("kafka");
/// Ok(builder
///     .set("security.protocol", "sasl_ssl")
///     .set("sasl.mechanism", "OAUTHBEARER")
///     .token_provider(credentials.provider()?))
/// # }
/// ```
///
/// Each request is made on a thread of its own, which ends with it. Redirections are not followed, and proxies are not used, whatever
/// the environment says. The certificate of the endpoint has to be of an authority that the system trusts, or of
/// [`ca_pem`](Self::ca_pem). Over `http://` the secret and the tokens are sent in the clear.
#[derive(Clone)]
#[must_use]
pub struct ClientCredentials {
    endpoint: String,
    id: String,
    secret: Secret,
    scope: Option<String>,
    ca_pem: Option<String>,
    timeout: Duration,
    extensions: Vec<(String, String)>,
}

/// Omits the secret, the values of the extensions, and an endpoint that has credentials itself.
impl fmt::Debug for ClientCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { endpoint, id, scope, timeout, extensions, .. } = self;
        let names: Vec<_> = extensions.iter().map(|(name, _)| name).collect();
        f.debug_struct("ClientCredentials")
            .field("endpoint", if endpoint.contains('@') { &"(not shown)" } else { endpoint })
            .field("id", id)
            .field("scope", scope)
            .field("timeout", timeout)
            .field("extensions", &names)
            .finish_non_exhaustive()
    }
}

/// The longest response that is read, in bytes.
const LONGEST: u64 = 256 << 10;

impl ClientCredentials {
    /// Sets the endpoint (`sasl.oauthbearer.token.endpoint.url`), and the id and the secret of the client
    /// (`sasl.oauthbearer.client.credentials.client.id` and `.client.secret`), which are sent as RFC 6749, section 2.3.1, says: by
    /// the scheme `Basic`, percent-encoded (as Java's with `sasl.oauthbearer.header.urlencode=true`).
    pub fn new(endpoint: impl Into<String>, id: impl Into<String>, secret: impl Into<Secret>) -> Self {
        Self {
            endpoint: endpoint.into(),
            id: id.into(),
            secret: secret.into(),
            scope: None,
            ca_pem: None,
            timeout: Duration::from_secs(20),
            extensions: Vec::new(),
        }
    }

    /// Sets the scope (`sasl.oauthbearer.scope`). Default: that of the endpoint.
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// Sets the authorities of the endpoint's certificate, as PEM text. Default: those that the system trusts.
    pub fn ca_pem(mut self, pem: impl Into<String>) -> Self {
        self.ca_pem = Some(pem.into());
        self
    }

    /// Sets how long a request may take. Default 20 s.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Adds an [extension](OAuthToken::extension) to each token.
    pub fn extension(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.extensions.push((name.into(), value.into()));
        self
    }

    /// Returns the provider, for [`ProducerBuilder::token_provider`](crate::ProducerBuilder::token_provider).
    ///
    /// # Errors
    /// The endpoint is no URL with `https://` or `http://`, or the authorities cannot be read.
    pub fn provider(
        self,
    ) -> Result<impl Fn() -> ClientCredentialsRequest + Send + Sync + 'static, ClientCredentialsError> {
        let uri: Option<Uri> = self.endpoint.parse().ok();
        let scheme = uri.as_ref().and_then(Uri::scheme_str);
        if !matches!(scheme, Some("https" | "http")) || uri.as_ref().and_then(Uri::host).is_none_or(str::is_empty) {
            return Err(Reason::Url.into());
        }
        let tls = TlsConfig::builder()
            .root_certs(self.roots()?)
            .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
            .build();
        let config = Agent::config_builder().timeout_global(Some(self.timeout)).tls_config(tls);
        let agent: Agent = config.http_status_as_error(false).max_redirects(0).proxy(None).build().into();
        let credentials = Arc::new(self);
        Ok(move || {
            let (agent, credentials, slot) = (agent.clone(), Arc::clone(&credentials), Arc::new(Slot::new()));
            let filled = Arc::clone(&slot);
            let thread = thread::Builder::new().name("kafka-batch-token".into());
            // If the thread panics, the outcome is that of its guard.
            let spawned = thread.spawn(move || {
                let guard = Guard(filled);
                let token = credentials.request(&agent);
                guard.0.fill(Some(token));
            });
            ClientCredentialsRequest { slot, failed: spawned.err().map(|error| Reason::Thread(error).into()) }
        })
    }

    fn roots(&self) -> Result<RootCerts, ClientCredentialsError> {
        let certificates: Vec<Certificate<'static>> = match &self.ca_pem {
            Some(pem) => parse_pem(pem.as_bytes())
                .filter_map(|item| match item {
                    Ok(PemItem::Certificate(certificate)) => Some(Ok(certificate)),
                    Ok(_) => None,
                    Err(_) => Some(Err(Reason::Pem)), // its text may quote the input
                })
                .collect::<Result<_, _>>()?,
            None => {
                let system = rustls_native_certs::load_native_certs().certs;
                system.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect()
            }
        };
        if certificates.is_empty() && self.ca_pem.is_some() {
            return Err(Reason::Pem.into());
        }
        Ok(RootCerts::from(certificates.into_iter()))
    }

    /// Requests a token. Blocks.
    fn request(&self, agent: &Agent) -> Result<OAuthToken, ClientCredentialsError> {
        use base64::Engine as _;

        let login = format!("{}:{}", encoded(&self.id), encoded(self.secret.expose()));
        let login = base64::engine::general_purpose::STANDARD.encode(login);
        let mut form = vec![("grant_type", "client_credentials")];
        form.extend(self.scope.as_deref().map(|scope| ("scope", scope)));
        let request = agent.post(&self.endpoint).header("Authorization", format!("Basic {login}"));
        let sent = request.header("Accept", "application/json").send_form(form);
        let mut response = sent.map_err(|error| Reason::Http(self.shown(&error.to_string())))?;
        let status = response.status();
        let body = response.body_mut().with_config().limit(LONGEST).read_to_string();
        let body = body.map_err(|error| Reason::Http(self.shown(&error.to_string())))?;
        let json: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
        let text = |name: &str| json.get(name).and_then(serde_json::Value::as_str);
        if !status.is_success() {
            let words = [text("error"), text("error_description")].into_iter().flatten().collect::<Vec<_>>().join(": ");
            return Err(Reason::Refused(status, self.shown(&words)).into());
        }
        let Some(token) = text("access_token") else { return Err(Reason::NoToken.into()) };
        let mut token = OAuthToken::jwt(token, SystemTime::now()).map_err(Reason::Token)?;
        // Some endpoints write the number as a string.
        let seconds = json.get("expires_in").and_then(|it| it.as_u64().or_else(|| it.as_str()?.parse().ok()));
        if let Some(seconds) = seconds {
            token = token.lifetime(Duration::from_secs(seconds));
        }
        for (name, value) in &self.extensions {
            token = token.extension(name, value).map_err(Reason::Token)?;
        }
        Ok(token)
    }

    /// Returns a text of the endpoint, unless it repeats the secret.
    fn shown(&self, text: &str) -> String {
        let mut text = text.replace(|character: char| character.is_control(), " ");
        // It was sent percent-encoded, and an endpoint may repeat the header.
        let sent = Secret::new(encoded(self.secret.expose()));
        if self.secret.is_repeated_in(&text) || sent.is_repeated_in(&text) {
            return "(not shown, since it may repeat the secret)".into();
        }
        if let Some((end, _)) = text.char_indices().nth(300) {
            text.truncate(end);
        }
        text
    }
}

/// Percent-encodes a text as in a form (RFC 6749, appendix B).
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' => encoded.push(char::from(byte)),
            b' ' => encoded.push('+'),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// The outcome of a request; `None` if its thread has panicked.
type Outcome = Option<Result<OAuthToken, ClientCredentialsError>>;

/// Ends the request if its thread panics.
struct Guard(Arc<Slot<Outcome>>);

impl Drop for Guard {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.fill(None);
        }
    }
}

/// A request for a token, as a future.
#[derive(Debug)]
pub struct ClientCredentialsRequest {
    slot: Arc<Slot<Outcome>>,
    failed: Option<ClientCredentialsError>,
}

impl Future for ClientCredentialsRequest {
    type Output = Result<OAuthToken, ClientCredentialsError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Err(error));
        }
        self.slot.poll_take(context).map(|outcome| outcome.unwrap_or(Err(Reason::Panicked.into())))
    }
}

/// The error of [`ClientCredentials`].
#[derive(Debug)]
pub struct ClientCredentialsError(Box<Reason>);

#[derive(Debug)]
enum Reason {
    Url,
    Pem,
    Thread(std::io::Error),
    Panicked,
    Http(String),
    Refused(StatusCode, String),
    NoToken,
    Token(OAuthTokenError),
}

impl From<Reason> for ClientCredentialsError {
    fn from(reason: Reason) -> Self {
        Self(Box::new(reason))
    }
}

impl fmt::Display for ClientCredentialsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the token endpoint: ")?;
        match &*self.0 {
            Reason::Url => f.write_str("its URL is not one with https:// or http://"),
            Reason::Pem => f.write_str("the authorities of its certificate are no certificates in PEM"),
            Reason::Thread(error) => write!(f, "no thread could be started: {error}"),
            Reason::Panicked => f.write_str("the request has panicked"),
            Reason::Http(error) => error.fmt(f),
            Reason::Refused(status, words) if words.is_empty() => write!(f, "it answers with the status {status}"),
            Reason::Refused(status, words) => write!(f, "it answers with the status {status}: {words}"),
            Reason::NoToken => f.write_str("its answer has no access_token"),
            Reason::Token(error) => error.fmt(f),
        }
    }
}

impl Error for ClientCredentialsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &*self.0 {
            Reason::Thread(error) => error.source(),
            Reason::Token(error) => error.source(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
