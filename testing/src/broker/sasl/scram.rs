//! SASL/SCRAM on the broker (RFC 5802, RFC 7677), as Kafka has it: no SASLprep, and no channel binding.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use hmac::{EagerHash, Hmac, KeyInit as _, Mac as _};
use sha2::{Digest, Sha256, Sha512};

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

/// What a broker knows of a password: enough to check it, computed once.
#[derive(Clone)]
pub(super) struct Credential {
    salt: Vec<u8>,
    stored_key: Vec<u8>,
    server_key: Vec<u8>,
}

impl Credential {
    /// Computes what a broker knows. (The salt is that of the user in all clusters, so that runs are the same.)
    pub(super) fn new(hash: ScramHash, user: &str, password: &str) -> Self {
        let salt = Sha256::digest(user)[..16].to_vec();
        match hash {
            ScramHash::Sha256 => Self::with::<Sha256>(salt, password),
            ScramHash::Sha512 => Self::with::<Sha512>(salt, password),
        }
    }

    fn with<H: EagerHash + Digest>(salt: Vec<u8>, password: &str) -> Self {
        let keyed = keyed::<H>(password.as_bytes());
        let mut block = keyed.clone().chain_update(&salt).chain_update([0, 0, 0, 1]).finalize().into_bytes();
        let mut salted = block.to_vec();
        for _ in 1..ITERATIONS {
            block = keyed.clone().chain_update(&block).finalize().into_bytes();
            xor(&mut salted, &block);
        }
        let stored_key = H::digest(mac::<H>(&salted, b"Client Key")).to_vec();
        Self { salt, stored_key, server_key: mac::<H>(&salted, b"Server Key") }
    }

    /// Checks the proof of the password, and returns the broker's signature.
    fn check<H: EagerHash + Digest>(&self, signed: &str, proof: &[u8]) -> Option<Vec<u8>> {
        let mut client_key = mac::<H>(&self.stored_key, signed.as_bytes());
        if proof.len() != client_key.len() {
            return None;
        }
        xor(&mut client_key, proof);
        let is_right = H::digest(&client_key).to_vec() == self.stored_key;
        is_right.then(|| mac::<H>(&self.server_key, signed.as_bytes()))
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
            None => self.first(text, users, random),
            Some(challenged) => self.last(text, &challenged, users),
        }
        .unwrap_or(Outcome::Failed)
    }

    /// Handles `n,,n=user,r=nonce`.
    fn first(&mut self, text: &str, users: &Users, random: &mut Random) -> Option<Outcome> {
        let bare = text.strip_prefix("n,").and_then(|rest| rest.split_once(',')).map(|(_, bare)| bare)?;
        let mut attributes = bare.split(',');
        let user = attributes.next()?.strip_prefix("n=")?.replace("=2C", ",").replace("=3D", "=");
        let client_nonce = attributes.next()?.strip_prefix("r=").filter(|nonce| !nonce.is_empty())?;
        let credential = users.scram.get(&(self.hash, user.clone()))?;
        let nonce = format!("{client_nonce}{:016x}{:016x}", random.draw(), random.draw());
        let challenge = format!("r={nonce},s={},i={ITERATIONS}", BASE64.encode(&credential.salt));
        self.challenged = Some(Challenged { user, nonce, signed: format!("{bare},{challenge}") });
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
        let credential = users.scram.get(&(self.hash, challenged.user.clone()))?;
        let (signed, proof) = (format!("{},{without_proof}", challenged.signed), BASE64.decode(proof).ok()?);
        let signature = match self.hash {
            ScramHash::Sha256 => credential.check::<Sha256>(&signed, &proof)?,
            ScramHash::Sha512 => credential.check::<Sha512>(&signed, &proof)?,
        };
        Some(Outcome::Authenticated(Bytes::from(format!("v={}", BASE64.encode(signature)))))
    }
}

fn keyed<H: EagerHash>(key: &[u8]) -> Hmac<H> {
    Hmac::new_from_slice(key).expect("HMAC accepts keys of any length")
}

fn mac<H: EagerHash>(key: &[u8], message: &[u8]) -> Vec<u8> {
    keyed::<H>(key).chain_update(message).finalize().into_bytes().to_vec()
}

fn xor(bytes: &mut [u8], with: &[u8]) {
    bytes.iter_mut().zip(with).for_each(|(byte, with)| *byte ^= with);
}
