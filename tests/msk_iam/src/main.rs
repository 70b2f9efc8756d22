//! Prints a token for each line of standard input: a region, an access key, a secret key, and perhaps a session token. `check`
//! compares them with the tokens of Amazon's signer.

use std::error::Error;
use std::io;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_msk_iam_sasl_signer::generate_auth_token_from_credentials_provider;
use aws_types::region::Region;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    for line in io::stdin().lines() {
        let line = line?;
        let mut words = line.split(' ').map(str::to_owned);
        let [region, access_key, secret_key] = [(); 3].map(|()| words.next());
        let (Some(region), Some(access_key), Some(secret_key)) = (region, access_key, secret_key) else {
            return Err("a line has a region, an access key and a secret key".into());
        };
        let credentials = Credentials::new(access_key, secret_key, words.next(), None, "test");
        let provider = SharedCredentialsProvider::new(credentials);
        let (token, expires_ms) = generate_auth_token_from_credentials_provider(Region::new(region), provider).await?;
        println!("{token} {expires_ms}");
    }
    Ok(())
}
