//! Signed JSON Web Tokens (RFC 7515, RFC 7519), and the set of keys with which a broker verifies them (RFC 7517).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};

/// An issuer of tokens, with a key of its own (ES256).
#[derive(Debug)]
pub struct JwtIssuer {
    key: EcdsaKeyPair,
    random: SystemRandom,
}

impl JwtIssuer {
    /// Creates an issuer.
    ///
    /// # Panics
    /// The key cannot be generated.
    #[must_use]
    pub fn new() -> Self {
        let random = SystemRandom::new();
        let generated = super::generate();
        assert_eq!(generated.algorithm(), &rcgen::PKCS_ECDSA_P256_SHA256, "the key is of the curve P-256");
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &generated.serialize_der(), &random);
        Self { key: key.expect("a key"), random }
    }

    /// Returns the set of its public keys, as a JWKS.
    #[must_use]
    pub fn jwks(&self) -> String {
        // A point that is not compressed: 4, then the two coordinates.
        let point = self.key.public_key().as_ref();
        let (x, y) = point[1..].split_at(32);
        let (x, y) = (BASE64.encode(x), BASE64.encode(y));
        format!(
            r#"{{"keys":[{{"kty":"EC","crv":"P-256","kid":"test","alg":"ES256","use":"sig","x":"{x}","y":"{y}"}}]}}"#
        )
    }

    /// Returns a token with these claims, a JSON object.
    ///
    /// # Panics
    /// The system has no randomness.
    #[must_use]
    pub fn sign(&self, claims: &str) -> String {
        let signed =
            format!("{}.{}", BASE64.encode(r#"{"alg":"ES256","typ":"JWT","kid":"test"}"#), BASE64.encode(claims));
        let signature = self.key.sign(&self.random, signed.as_bytes()).expect("a signature");
        format!("{signed}.{}", BASE64.encode(signature.as_ref()))
    }

    /// Returns a token with these claims that nobody has signed (RFC 7519, section 6).
    #[must_use]
    pub fn unsecured(claims: &str) -> String {
        format!("{}.{}.", BASE64.encode(r#"{"alg":"none"}"#), BASE64.encode(claims))
    }
}

impl Default for JwtIssuer {
    fn default() -> Self {
        Self::new()
    }
}
