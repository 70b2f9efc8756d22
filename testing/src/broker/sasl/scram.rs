//! SASL/SCRAM on the broker (RFC 5802, RFC 7677), as Kafka has it: no SASLprep, and no channel binding.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use hmac::{EagerHash, Hmac, KeyInit as _, Mac as _};
use sha2::{Sha256, Sha512};

use super::{Outcome, Users};
use crate::random::Random;

/// The iterations of Kafka's own tools.
const ITERATIONS: u32 = 4_096;

/// The longest message of a client that is read, in bytes.
const LONGEST_MESSAGE: usize = 10_000;

/// A hash function of SASL/SCRAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScramHash {
    /// SCRAM-SHA-256.
    Sha256,
    /// SCRAM-SHA-512.
    Sha512,
}

impl ScramHash {
    /// Returns the name of the mechanism.
    #[must_use]
    pub const fn mechanism(self) -> &'static str {
        match self {
            Self::Sha256 => "SCRAM-SHA-256",
            Self::Sha512 => "SCRAM-SHA-512",
        }
    }

    pub(super) fn of_mechanism(name: &str) -> Option<Self> {
        [Self::Sha256, Self::Sha512].into_iter().find(|hash| hash.mechanism() == name)
    }
}

/// The state of an exchange.
#[derive(Debug)]
pub(super) struct Exchange {
    hash: ScramHash,
    challenged: Option<Challenged>,
}

/// What the client was challenged with.
#[derive(Debug)]
struct Challenged {
    user: String,
    salt: [u8; 16],
    /// The nonces of both sides.
    nonce: String,
    /// The messages so far, which both sides sign.
    signed: String,
}

impl Exchange {
    pub(super) const fn new(hash: ScramHash) -> Self {
        Self { hash, challenged: None }
    }

    pub(super) fn token(&mut self, token: &[u8], users: &Users, random: &mut Random) -> Outcome {
        let text = Some(token).filter(|token| token.len() <= LONGEST_MESSAGE);
        let Some(text) = text.and_then(|token| std::str::from_utf8(token).ok()) else { return Outcome::Failed };
        match self.challenged.take() {
            None => self.first(text, random),
            Some(challenged) => self.last(text, &challenged, users),
        }
        .unwrap_or(Outcome::Failed)
    }

    /// Handles `n,,n=user,r=nonce`.
    fn first(&mut self, text: &str, random: &mut Random) -> Option<Outcome> {
        let bare = text.strip_prefix("n,").and_then(|rest| rest.split_once(',')).map(|(_, bare)| bare)?;
        let mut attributes = bare.split(',');
        let user = attributes.next()?.strip_prefix("n=")?.replace("=2C", ",").replace("=3D", "=");
        let client_nonce = attributes.next()?.strip_prefix("r=").filter(|nonce| !nonce.is_empty())?;
        let mut salt = [0; 16];
        salt[..8].copy_from_slice(&random.draw().to_be_bytes());
        salt[8..].copy_from_slice(&random.draw().to_be_bytes());
        let nonce = format!("{client_nonce}{:016x}{:016x}", random.draw(), random.draw());
        let challenge = format!("r={nonce},s={},i={ITERATIONS}", BASE64.encode(salt));
        self.challenged = Some(Challenged { user, salt, nonce, signed: format!("{bare},{challenge}") });
        Some(Outcome::Challenge(challenge.into()))
    }

    /// Handles `c=…,r=nonce,p=proof`.
    fn last(&self, text: &str, challenged: &Challenged, users: &Users) -> Option<Outcome> {
        let (without_proof, proof) = text.rsplit_once(",p=")?;
        let mut attributes = without_proof.split(',');
        let channel = BASE64.decode(attributes.next()?.strip_prefix("c=")?).ok()?;
        let nonce = attributes.next()?.strip_prefix("r=")?;
        if !channel.starts_with(b"n,") || nonce != challenged.nonce {
            return None;
        }
        let password = users.scram.get(&(self.hash, challenged.user.clone()))?;
        let signed = format!("{},{without_proof}", challenged.signed);
        let check = match self.hash {
            ScramHash::Sha256 => check::<Sha256>,
            ScramHash::Sha512 => check::<Sha512>,
        };
        let signature = check(password, &challenged.salt, &signed, &BASE64.decode(proof).ok()?)?;
        Some(Outcome::Authenticated(Bytes::from(format!("v={}", BASE64.encode(signature)))))
    }
}

/// Checks the proof of the password, and returns the broker's signature.
fn check<H: EagerHash + sha2::Digest>(password: &str, salt: &[u8], signed: &str, proof: &[u8]) -> Option<Vec<u8>> {
    let mut block = mac::<H>(password.as_bytes(), &[salt, &1_u32.to_be_bytes()]);
    let mut salted = block.clone();
    for _ in 1..ITERATIONS {
        block = mac::<H>(password.as_bytes(), &[&block]);
        xor(&mut salted, &block);
    }
    let stored_key = H::digest(mac::<H>(&salted, &[b"Client Key"])).to_vec();
    let mut client_key = mac::<H>(&stored_key, &[signed.as_bytes()]);
    if proof.len() != client_key.len() {
        return None;
    }
    xor(&mut client_key, proof);
    let is_right = H::digest(&client_key).to_vec() == stored_key;
    is_right.then(|| mac::<H>(&mac::<H>(&salted, &[b"Server Key"]), &[signed.as_bytes()]))
}

fn mac<H: EagerHash>(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<H>::new_from_slice(key).expect("HMAC accepts keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

fn xor(bytes: &mut [u8], with: &[u8]) {
    bytes.iter_mut().zip(with).for_each(|(byte, with)| *byte ^= with);
}
