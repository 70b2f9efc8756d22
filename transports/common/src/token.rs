//! The source of the tokens of SASL OAUTHBEARER.

#[cfg(feature = "oauth")]
mod client_credentials;

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use kafka_batch_core::error::TransportError;
use kafka_batch_core::machine::{OAuthToken, OAuthTokenError};

#[cfg(feature = "oauth")]
pub use self::client_credentials::{ClientCredentials, ClientCredentialsError, ClientCredentialsRequest};

/// The result of asking for a token.
pub(crate) type TokenFuture = Pin<Box<dyn Future<Output = Result<OAuthToken, TransportError>> + Send>>;

/// Asks the application for tokens.
#[derive(Clone)]
pub(crate) struct TokenProvider(Arc<dyn Fn() -> TokenFuture + Send + Sync>);

impl TokenProvider {
    pub(crate) fn new<F, Fut, E>(provider: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<OAuthToken, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        Self(Arc::new(move || {
            let token = provider();
            Box::pin(async { token.await.map_err(TransportError::new) })
        }))
    }

    pub(crate) fn token(&self) -> TokenFuture {
        (self.0)()
    }
}

impl fmt::Debug for TokenProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenProvider")
    }
}

/// Returns a provider of tokens that reads this file whenever a token is needed: for files that something else replaces, such
/// as the token of a Kubernetes service account. A JWT is replaced before it [expires](OAuthToken::jwt).
///
/// ```
/// use kafka_batch_transport::{ProducerBuilder, token_file};
///
/// # fn builder<R>(builder: ProducerBuilder<R>) -> ProducerBuilder<R> {
/// builder.set("sasl.mechanism", "OAUTHBEARER").token_provider(token_file("/var/run/secrets/kafka/token"))
/// # }
/// ```
///
/// The file is read on the thread that polls the producer's task. Its size may be up to 64 KiB.
pub fn token_file(
    path: impl Into<PathBuf>,
) -> impl Fn() -> std::future::Ready<Result<OAuthToken, TokenFileError>> + Send + Sync + 'static {
    let path = path.into();
    move || std::future::ready(read(&path).map_err(|reason| TokenFileError { path: path.clone(), reason }))
}

/// The error of [`token_file`].
#[derive(Debug)]
pub struct TokenFileError {
    path: PathBuf,
    reason: Reason,
}

#[derive(Debug)]
enum Reason {
    Unreadable(std::io::Error),
    TooLong,
    Token(OAuthTokenError),
}

/// The longest file that is read, in bytes.
const LONGEST: u64 = 64 << 10;

fn read(path: &std::path::Path) -> Result<OAuthToken, Reason> {
    use std::io::Read as _;

    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(Reason::Unreadable)?;
    file.take(LONGEST + 1).read_to_string(&mut text).map_err(Reason::Unreadable)?;
    if text.len() as u64 > LONGEST {
        return Err(Reason::TooLong);
    }
    OAuthToken::jwt(text.trim(), SystemTime::now()).map_err(Reason::Token)
}

impl fmt::Display for TokenFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, reason } = self;
        write!(f, "the file {}: ", path.display())?;
        match reason {
            Reason::Unreadable(error) => error.fmt(f),
            Reason::TooLong => write!(f, "it has more than {LONGEST} bytes"),
            Reason::Token(error) => error.fmt(f),
        }
    }
}

impl Error for TokenFileError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.reason {
            Reason::Unreadable(error) => error.source(),
            Reason::Token(error) => error.source(),
            Reason::TooLong => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    use super::*;

    fn now<T>(mut future: impl Future<Output = T> + Unpin) -> T {
        match Pin::new(&mut future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(done) => done,
            Poll::Pending => panic!("it is ready at once"),
        }
    }

    #[test]
    fn a_file_is_read_again_each_time() {
        let directory = std::env::temp_dir().join(format!("kafka-batch-token-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join("token");
        let provider = TokenProvider::new(token_file(&path));
        let error = now(provider.token()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("the file {}: ", path.display())), "{error}");
        // The claim `exp` is 4102444800, the beginning of 2100.
        fs::write(&path, "e30.eyJleHAiOjQxMDI0NDQ4MDB9.c2ln\n").unwrap();
        let token = now(provider.token()).unwrap();
        assert!(token.valid_for().is_some_and(|time| time > Duration::from_secs(1 << 30)), "{token:?}");
        fs::write(&path, "opaque").unwrap();
        assert_eq!(now(provider.token()), Ok(OAuthToken::new("opaque").unwrap()));
        fs::write(&path, "two words").unwrap();
        let error = now(provider.token()).unwrap_err().to_string();
        assert!(error.contains("RFC 6750") && !error.contains("words"), "{error}");
        fs::write(&path, "x".repeat(65_537)).unwrap();
        assert!(now(provider.token()).unwrap_err().to_string().ends_with("it has more than 65536 bytes"));
        fs::remove_dir_all(directory).unwrap();
    }
}
