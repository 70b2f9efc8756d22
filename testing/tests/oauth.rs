//! SASL/OAUTHBEARER over tokio, on sockets: tokens from a provider, sessions that end, and what is refused.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kafka_batch_core::machine::{OAuthToken, OAuthTokenError};
use kafka_batch_core::{Record, SendError, SendErrorReason, TopicPartition, Transport};
use kafka_batch_testing::{ApiKey, TestCluster};
use kafka_batch_tokio::TokioProducer;

const HOUR: Duration = Duration::from_secs(3_600);

/// Returns a producer whose tokens are made by this function, which gets the number of tokens before.
fn producer<E>(
    cluster: &TestCluster,
    token: impl Fn(usize) -> Result<OAuthToken, E> + Send + Sync + 'static,
) -> TokioProducer
where
    E: Into<Box<dyn Error + Send + Sync>> + Send + 'static,
{
    let asked = Arc::new(AtomicUsize::new(0));
    TokioProducer::builder()
        .set("bootstrap.servers", cluster.bootstrap_servers())
        .set("security.protocol", "sasl_plaintext")
        .set("sasl.mechanism", "OAUTHBEARER")
        .token_provider(move || {
            let token = token(asked.fetch_add(1, Ordering::Relaxed));
            async { token }
        })
        .build()
        .unwrap()
}

fn token(value: &str, lifetime: Duration) -> Result<OAuthToken, OAuthTokenError> {
    Ok(OAuthToken::new(value)?.lifetime(lifetime))
}

async fn send(producer: &TokioProducer, value: &str) -> Result<Option<i64>, SendError> {
    let mut batch = producer.batch();
    batch.extend([Record::new(value)]).unwrap();
    let accepted = producer.send_batch(batch, TopicPartition::new("t", 0)).await?;
    Ok(accepted.await.unwrap().offset(0))
}

#[tokio::test]
async fn a_token_of_a_provider_is_accepted() {
    let cluster = TestCluster::builder().oauth_token("good.token", HOUR).start().unwrap();
    let producer = producer(&cluster, |_| OAuthToken::new("good.token")?.extension("logicalCluster", "lkc-1"));
    assert_eq!(send(&producer, "a").await.unwrap(), Some(0));
    assert_eq!(cluster.log("t", 0).unwrap().values().unwrap(), ["a"]);
    producer.close().await.unwrap();
}

#[tokio::test]
async fn a_refused_token_is_an_error_in_words() {
    let cluster = TestCluster::builder().oauth_token("good", HOUR).start().unwrap();
    let producer = producer(&cluster, |_| token("bad.token.value", HOUR));
    let error = send(&producer, "a").await.unwrap_err();
    assert!(matches!(error.reason, SendErrorReason::Authentication(_)), "{:?}", error.reason);
    let text = format!("{error} {error:?}");
    assert!(text.contains("OAUTHBEARER: the broker refuses the token: invalid_token, so it has expired, "), "{text}");
    assert!(!text.contains("bad.token"), "{text}");
}

#[tokio::test]
async fn another_token_is_asked_for_after_a_refusal_and_after_an_error() {
    let cluster = TestCluster::builder().oauth_token("good", HOUR).start().unwrap();
    let producer = producer(&cluster, |before| match before {
        0 => Err("the endpoint is down".into()),
        1 => OAuthToken::new("bad").map_err(Box::<dyn Error + Send + Sync>::from),
        _ => OAuthToken::new("good").map_err(Into::into),
    });
    // The first error is retried; the second one is final for this batch.
    let error = send(&producer, "a").await.unwrap_err();
    assert!(error.to_string().contains("refuses the token"), "{error}");
    assert_eq!(send(&producer, "b").await.unwrap(), Some(0));
}

/// Sends until a connection has authenticated twice, each batch once, in order. The first token expires meanwhile.
#[tokio::test]
async fn connections_authenticate_again_with_the_next_token() {
    let begun = Instant::now();
    let builder = TestCluster::builder().oauth_token("first", Duration::from_secs(3)).oauth_token("second", HOUR);
    let cluster = builder.longest_session(Duration::from_secs(2)).start().unwrap();
    let producer = producer(&cluster, |before| match before {
        0 => token("first", Duration::from_secs(2)),
        _ => token("second", HOUR),
    });
    let mut sent = Vec::new();
    let mut logins: BTreeMap<u64, u32> = BTreeMap::new();
    while logins.values().all(|&count| count < 3) {
        assert!(begun.elapsed() < Duration::from_secs(60), "{logins:?}");
        let value = sent.len().to_string();
        assert_eq!(send(&producer, &value).await.unwrap(), Some(sent.len() as i64));
        sent.push(value);
        for request in cluster.take_requests() {
            *logins.entry(request.connection).or_default() += u32::from(request.api == ApiKey::SaslHandshake);
        }
    }
    assert_eq!(logins.len(), 2, "connections are not replaced: {logins:?}");
    assert_eq!(cluster.log("t", 0).unwrap().values().unwrap(), sent);
    assert!(cluster.violations().is_empty(), "{:?}", cluster.violations());
    producer.close().await.unwrap();
}

#[test]
fn a_provider_and_the_mechanism_need_each_other() {
    let builder = || TokioProducer::builder().set("bootstrap.servers", "localhost:9092");
    let sasl = builder().set("security.protocol", "sasl_plaintext").set("sasl.mechanism", "OAUTHBEARER");
    let error = sasl.build_with_task().map(drop).unwrap_err().to_string();
    assert_eq!(
        error,
        "sasl.mechanism = \"OAUTHBEARER\": it needs tokens: pass a provider of them to ProducerBuilder::token_provider"
    );
    let error = builder().token_provider(|| async { OAuthToken::new("t") }).build_with_task().map(drop).unwrap_err();
    assert!(error.to_string().contains("has an effect only with OAUTHBEARER"), "{error}");
}
