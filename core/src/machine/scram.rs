//! SCRAM (RFC 5802, RFC 7677; KIP-84): both sides prove that they know the password, and neither sends it.
//!
//! ```text
//! client                                     server
//!   n,,n=user,r=nonce            ──▶
//!                                ◀──  r=nonce and more,s=salt,i=iterations           AwaitsSalt
//!   c=biws,r=…,p=our proof       ──▶
//!                                ◀──  v=its signature                                AwaitsSignature
//! ```
//!
//! What comes from the server is bounded before anything is done with it: its length, and how often we hash for it.

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

/// What SCRAM-SHA-256 asks for at least (RFC 7677), and Kafka of every user.
const LEAST_ITERATIONS: u64 = 4_096;
/// Kafka stores no more than 16 384; others may, and some tenths of a second of hashing are enough for any of them.
const MOST_ITERATIONS: u64 = 131_072;
/// Nonces and salts have some dozens of bytes.
const LONGEST_MESSAGE: usize = 4_096;
/// No channel binding, and nobody to act for (RFC 5802: gs2-header).
const HEADER: &str = "n,,";

/// Why a broker was not believed, or did not believe us, with SCRAM.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScramError {
    /// It does not believe us, or knows no such user; in its own words.
    #[error("the broker refuses the credentials: {0}")]
    Refused(String),
    /// What it says is longer than anything that a broker has to say here.
    #[error("a message of {0} bytes, where {LONGEST_MESSAGE} are the most")]
    TooLong(usize),
    /// What it says is not what RFC 5802 prescribes.
    #[error("a message that is not as RFC 5802 prescribes: {0}")]
    Malformed(&'static str),
    /// It answers to somebody else, or what somebody recorded.
    #[error("its nonce does not begin with ours, or does not go on")]
    ForeignNonce,
    /// So few would give the password away, and so many would keep us busy.
    #[error("{0} iterations, where {LEAST_ITERATIONS} are the least and {MOST_ITERATIONS} the most")]
    Iterations(u64),
    /// It does not know the password, so it is not the broker that it seems to be.
    #[error("its signature is wrong: whoever answers does not know the password")]
    WrongSignature,
}

/// The hash that the mechanism is named after.
#[derive(Clone, Copy, Debug)]
pub(super) enum Hash {
    Sha256,
    Sha512,
}

/// The user name and our nonce are out.
#[derive(Debug)]
pub(super) struct AwaitsSalt {
    hash: Hash,
    nonce: String,
    /// What was said, without the header: part of what both sides sign.
    said: String,
}

/// Our proof is out.
pub(super) struct AwaitsSignature {
    expected: Vec<u8>,
}

impl ConnectionRng {
    /// 24 characters that no other connection has. They tell nothing of the seed, and disturb no other draw.
    pub(super) fn nonce(self) -> String {
        let drawn = mac::<Sha256>(&self.seed.to_be_bytes(), &[b"client nonce", &self.connection.to_be_bytes()]);
        BASE64.encode(&drawn[..18])
    }
}

impl AwaitsSalt {
    /// The first message, and what to do with the answer.
    pub(super) fn begin(hash: Hash, username: &str, nonce: String) -> (Vec<u8>, Self) {
        let name = username.replace('=', "=3D").replace(',', "=2C");
        let said = format!("n={name},r={nonce}");
        (format!("{HEADER}{said}").into_bytes(), Self { hash, nonce, said })
    }

    /// The last message, with our proof.
    pub(super) fn on_token(self, password: &str, token: &[u8]) -> Result<(Vec<u8>, AwaitsSignature), ScramError> {
        let heard = text(token)?;
        let Challenge { nonce, salt, iterations } = Challenge::read(heard)?;
        if nonce.strip_prefix(self.nonce.as_str()).is_none_or(str::is_empty) {
            return Err(ScramError::ForeignNonce);
        }
        let channel = BASE64.encode(HEADER);
        let last = format!("c={channel},r={nonce}");
        let signed = format!("{},{heard},{last}", self.said);
        let prove = match self.hash {
            Hash::Sha256 => prove::<Sha256>,
            Hash::Sha512 => prove::<Sha512>,
        };
        let (proof, expected) = prove(password.as_bytes(), &salt, iterations, signed.as_bytes());
        Ok((format!("{last},p={}", BASE64.encode(proof)).into_bytes(), AwaitsSignature { expected }))
    }
}

impl AwaitsSignature {
    /// Whether the broker knows the password too.
    pub(super) fn on_token(self, token: &[u8]) -> Result<(), ScramError> {
        let mut attributes = text(token)?.split(',');
        let signature = attributes.next().and_then(|first| first.strip_prefix("v="));
        let signature = signature.ok_or(ScramError::Malformed("a signature has to come first"))?;
        let signature = BASE64.decode(signature).map_err(|_| ScramError::Malformed("the signature is no base64"))?;
        // In the same time wherever they differ.
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
    /// Attributes have their order; what comes behind them are extensions, which may be passed over. One that may not
    /// (`m=`) comes first, and so takes the place of the nonce.
    fn read(message: &'t str) -> Result<Self, ScramError> {
        let mut attributes = message.split(',');
        let mut next = |name, missing| {
            let value = attributes.next().and_then(|attribute| attribute.strip_prefix(name));
            value.ok_or(ScramError::Malformed(missing))
        };
        let nonce = next("r=", "a nonce has to come first")?;
        let salt = next("s=", "a salt has to come second")?;
        let iterations = next("i=", "a number of iterations has to come third")?;
        let salt = BASE64.decode(salt).map_err(|_| ScramError::Malformed("the salt is no base64"))?;
        if salt.is_empty() {
            return Err(ScramError::Malformed("the salt is empty"));
        }
        if iterations.is_empty() || !iterations.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ScramError::Malformed("the number of iterations is none"));
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

/// A message that is short enough, is text, and does not refuse.
fn text(token: &[u8]) -> Result<&str, ScramError> {
    if token.len() > LONGEST_MESSAGE {
        return Err(ScramError::TooLong(token.len()));
    }
    let text = core::str::from_utf8(token).map_err(|_| ScramError::Malformed("it is no UTF-8"))?;
    match text.strip_prefix("e=") {
        Some(why) => Err(ScramError::Refused(why.to_string())),
        None => Ok(text),
    }
}

/// Our proof, and the signature by which the server proves the same: the formulas of RFC 5802, section 3.
fn prove<D: EagerHash>(password: &[u8], salt: &[u8], iterations: u32, signed: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let salted = salted::<D>(password, salt, iterations);
    let client_key = mac::<D>(&salted, &[b"Client Key"]);
    let client_signature = mac::<D>(&D::digest(&client_key), &[signed]);
    let proof = client_key.iter().zip(&client_signature).map(|(key, signature)| key ^ signature).collect();
    let server_key = mac::<D>(&salted, &[b"Server Key"]);
    (proof, mac::<D>(&server_key, &[signed]).to_vec())
}

/// `Hi` of RFC 5802: PBKDF2, of one block.
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
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

#[cfg(test)]
pub(super) mod tests;
