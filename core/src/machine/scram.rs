//! SCRAM (RFC 5802, RFC 7677; KIP-84): both sides prove that they know the password, and neither sends it.
//!
//! ```text
//! client                                     server
//!   n,,n=user,r=nonce            ──▶
//!                                ◀──  r=nonce + suffix,s=salt,i=iterations           AwaitsSalt
//!   c=biws,r=…,p=proof           ──▶
//!                                ◀──  v=signature                                    AwaitsSignature
//! ```
//!
//! Messages of the server are bounded before they are processed: in length, and in the number of iterations.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::digest::Output;
use hmac::{EagerHash, Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha512};

use super::backoff::ConnectionRng;
use super::credentials::ScramHash;
use crate::cause::{LEAST_ITERATIONS, LONGEST_MESSAGE, MOST_ITERATIONS, ScramError};
use crate::secret;

/// No channel binding, and no authorization id (RFC 5802: gs2-header).
const HEADER: &str = "n,,";

/// The user name and the nonce were sent.
#[derive(Debug)]
pub(super) struct AwaitsSalt {
    hash: ScramHash,
    nonce: String,
    /// The first message without the header: part of what both sides sign.
    first: String,
}

/// The proof was sent.
pub(super) struct AwaitsSignature {
    expected: Vec<u8>,
    /// The proof, which the broker may repeat in a message.
    proof: Vec<u8>,
}

impl ConnectionRng {
    /// Returns a nonce of 24 characters, unique to this authentication of this connection. It does not disclose the seed,
    /// and does not affect other random numbers.
    pub(super) fn nonce(self) -> String {
        let (connection, authentications) = (self.connection.to_be_bytes(), self.authentications.to_be_bytes());
        let drawn = mac::<Sha256>(&self.seed.0.to_be_bytes(), &[b"client nonce", &connection, &authentications]);
        BASE64.encode(&drawn[..18])
    }
}

impl AwaitsSalt {
    /// Returns the first message, and the state that handles the response.
    pub(super) fn begin(hash: ScramHash, username: &str, nonce: String) -> (Vec<u8>, Self) {
        let name = username.replace('=', "=3D").replace(',', "=2C");
        let first = format!("n={name},r={nonce}");
        (format!("{HEADER}{first}").into_bytes(), Self { hash, nonce, first })
    }

    /// Handles the challenge. Returns the last message, with the proof.
    pub(super) fn on_token(self, password: &str, token: &[u8]) -> Result<(Vec<u8>, AwaitsSignature), ScramError> {
        let challenge = text(token)?;
        let Challenge { nonce, salt, iterations } = Challenge::read(challenge)?;
        if nonce.strip_prefix(self.nonce.as_str()).is_none_or(str::is_empty) {
            return Err(ScramError::NonceMismatch);
        }
        let channel = BASE64.encode(HEADER);
        let last = format!("c={channel},r={nonce}");
        let signed = format!("{},{challenge},{last}", self.first);
        let prove = match self.hash {
            ScramHash::Sha256 => prove::<Sha256>,
            ScramHash::Sha512 => prove::<Sha512>,
        };
        let (proof, expected) = prove(password.as_bytes(), &salt, iterations, signed.as_bytes());
        Ok((format!("{last},p={}", BASE64.encode(&proof)).into_bytes(), AwaitsSignature { expected, proof }))
    }
}

impl AwaitsSignature {
    /// Returns a broker's message, redacted if it repeats the proof or the signature.
    pub(super) fn redacted(&self, message: String) -> String {
        let is_repeated =
            [&self.proof, &self.expected].into_iter().any(|derived| secret::is_repeated(derived, &message));
        if is_repeated { secret::NOT_SHOWN.to_string() } else { message }
    }

    /// Verifies that the broker knows the password too.
    pub(super) fn on_token(self, token: &[u8]) -> Result<(), ScramError> {
        let text = text(token).map_err(|error| error.map_message(|message| self.redacted(message)))?;
        let mut attributes = text.split(',');
        let signature = attributes.next().and_then(|first| first.strip_prefix("v="));
        let signature = signature.ok_or(ScramError::Malformed("a signature must come first"))?;
        let signature = BASE64.decode(signature).map_err(|_| ScramError::Malformed("the signature is not base64"))?;
        // In constant time, wherever they differ.
        let differing = self.expected.iter().zip(&signature).fold(0, |bits, (one, two)| bits | (one ^ two));
        if differing == 0 && signature.len() == self.expected.len() { Ok(()) } else { Err(ScramError::WrongSignature) }
    }
}

impl fmt::Debug for AwaitsSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwaitsSignature").finish_non_exhaustive()
    }
}

/// The server's first message.
struct Challenge<'t> {
    nonce: &'t str,
    salt: Vec<u8>,
    iterations: u32,
}

impl<'t> Challenge<'t> {
    /// Parses the message. Attributes have a fixed order; extensions after them may be ignored. A mandatory extension
    /// (`m=`) comes first, in the place of the nonce, and is therefore refused.
    fn read(message: &'t str) -> Result<Self, ScramError> {
        let mut attributes = message.split(',');
        let mut next = |name, missing| {
            let value = attributes.next().and_then(|attribute| attribute.strip_prefix(name));
            value.ok_or(ScramError::Malformed(missing))
        };
        let nonce = next("r=", "a nonce must come first")?;
        let salt = next("s=", "a salt must come second")?;
        let iterations = next("i=", "a number of iterations must come third")?;
        let salt = BASE64.decode(salt).map_err(|_| ScramError::Malformed("the salt is not base64"))?;
        if salt.is_empty() {
            return Err(ScramError::Malformed("the salt is empty"));
        }
        if iterations.is_empty() || !iterations.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ScramError::Malformed("the number of iterations is not a decimal number"));
        }
        let iterations = iterations.parse().unwrap_or(u64::MAX);
        match u32::try_from(iterations) {
            Ok(number) if (LEAST_ITERATIONS..=MOST_ITERATIONS).contains(&iterations) => {
                Ok(Self { nonce, salt, iterations: number })
            }
            _ => Err(ScramError::Iterations(iterations)),
        }
    }
}

/// Returns a message as text, if it is short enough, valid UTF-8 and not a refusal.
fn text(token: &[u8]) -> Result<&str, ScramError> {
    if token.len() > LONGEST_MESSAGE {
        return Err(ScramError::TooLong(token.len()));
    }
    let text = core::str::from_utf8(token).map_err(|_| ScramError::Malformed("it is not UTF-8"))?;
    match text.strip_prefix("e=") {
        Some(why) => Err(ScramError::Refused(why.to_string())),
        None => Ok(text),
    }
}

/// Returns the proof of the client, and the expected signature of the server: the formulas of RFC 5802, section 3.
fn prove<D: EagerHash>(password: &[u8], salt: &[u8], iterations: u32, signed: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let salted = salted::<D>(password, salt, iterations);
    let client_key = mac::<D>(&salted, &[b"Client Key"]);
    let client_signature = mac::<D>(&D::digest(&client_key), &[signed]);
    let proof = client_key.iter().zip(&client_signature).map(|(key, signature)| key ^ signature).collect();
    let server_key = mac::<D>(&salted, &[b"Server Key"]);
    (proof, mac::<D>(&server_key, &[signed]).to_vec())
}

/// `Hi` of RFC 5802: PBKDF2 with one block of output.
fn salted<D: EagerHash>(password: &[u8], salt: &[u8], iterations: u32) -> Output<Hmac<D>> {
    let keyed = keyed::<D>(password);
    let mut last = keyed.clone().chain_update(salt).chain_update([0, 0, 0, 1]).finalize().into_bytes();
    let mut sum = last.clone();
    for _ in 1..iterations {
        last = keyed.clone().chain_update(&last).finalize().into_bytes();
        sum.iter_mut().zip(&last).for_each(|(sum, byte)| *sum ^= byte);
    }
    sum
}

fn mac<D: EagerHash>(key: &[u8], parts: &[&[u8]]) -> Output<Hmac<D>> {
    parts.iter().fold(keyed::<D>(key), |mac, part| mac.chain_update(part)).finalize().into_bytes()
}

fn keyed<D: EagerHash>(key: &[u8]) -> Hmac<D> {
    Hmac::new_from_slice(key).expect("HMAC accepts keys of any length")
}

#[cfg(test)]
pub(super) mod tests;
