//! The two things that `check` compares with Amazon's. Each reads lines from standard input and prints a line for each.
//!
//! - `tokens`: a line is a region, an access key, a secret key, and perhaps a session token. Prints the token of the crate
//!   `aws-msk-iam-sasl-signer`, and when it expires.
//! - `signatures`: a line is a request, with tabs between its parts, which `vectors.py` has from Amazon's test suite. Prints its
//!   signature by the function with which that crate signs, called as the crate does.

use std::env;
use std::error::Error;
use std::io;
use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_msk_iam_sasl_signer::generate_auth_token_from_credentials_provider;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use aws_types::region::Region;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let what = env::args().nth(1).unwrap_or_default();
    for line in io::stdin().lines() {
        let line = line?;
        match &*what {
            "tokens" => println!("{}", token(&line).await?),
            "signatures" => println!("{}", signature(&line)?),
            _ => return Err("usage: kafka-batch-msk-iam tokens|signatures".into()),
        }
    }
    Ok(())
}

async fn token(line: &str) -> Result<String, Box<dyn Error>> {
    let mut words = line.split(' ').map(str::to_owned);
    let [region, access_key, secret_key] = [(); 3].map(|()| words.next());
    let (Some(region), Some(access_key), Some(secret_key)) = (region, access_key, secret_key) else {
        return Err("a line has a region, an access key and a secret key".into());
    };
    let credentials = Credentials::new(access_key, secret_key, words.next(), None, "test");
    let provider = SharedCredentialsProvider::new(credentials);
    let (token, expires_ms) = generate_auth_token_from_credentials_provider(Region::new(region), provider).await?;
    Ok(format!("{token} {expires_ms}"))
}

fn signature(line: &str) -> Result<String, Box<dyn Error>> {
    let parts: Vec<_> = line.split('\t').collect();
    let [
        region,
        service,
        access_key,
        secret_key,
        token,
        seconds,
        expires_in,
        normalize,
        method,
        url,
        body,
        headers @ ..,
    ] = &parts[..]
    else {
        return Err("a line has eleven parts, and headers".into());
    };
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(Duration::from_secs(expires_in.parse()?));
    // The crate leaves this as it is by default, which is `true`. Its URLs have the path `/`, for which there is no difference.
    settings.uri_path_normalization_mode = normalize.parse::<bool>()?.into();
    let token = (!token.is_empty()).then(|| (*token).to_owned());
    let identity = Credentials::new(*access_key, *secret_key, token, None, "test").into();
    let params = SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(service)
        .time(UNIX_EPOCH + Duration::from_secs(seconds.parse()?))
        .settings(settings)
        .build()?;
    let headers = headers.iter().filter_map(|header| header.split_once(':'));
    let request = SignableRequest::new(method, *url, headers, SignableBody::Bytes(body.as_bytes()))?;
    let (_, signature) = sign(request, &params.into())?.into_parts();
    Ok(signature)
}
