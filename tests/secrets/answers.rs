//! A broker that rejects every client and repeats what it received: the frames that it sends, without their lengths.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// What the broker does with a token.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Rejects it with an error message that contains the token in the form of this number.
    Reject(usize),
    /// Rejects it within the mechanism (SCRAM's `e=`), with such a message.
    RejectInToken(usize),
    /// Responds with these bytes as the next token.
    Token(Vec<u8>),
    /// Responds with these bytes as the whole frame.
    Frame(Vec<u8>),
    /// Responds with the same token.
    Repeat,
}

/// The broker's side of a SASL exchange.
#[derive(Clone, Debug)]
pub(crate) struct Hostile {
    /// The user's password, if the broker performs SCRAM up to the client's proof.
    pub(crate) challenges: Option<String>,
    pub(crate) answer: Answer,
    /// The secrets that it has received, and those that it has derived from them.
    pub(crate) secrets: Vec<Vec<u8>>,
    /// The number of received tokens.
    pub(crate) tokens: usize,
    auth_message: String,
}

pub(crate) const SALT: &[u8] = b"salt of the earth";

impl Hostile {
    pub(crate) fn new(challenges: Option<String>, answer: Answer) -> Self {
        Self { challenges, answer, secrets: Vec::new(), tokens: 0, auth_message: String::new() }
    }

    /// Returns the response to a request, or `None` to close the connection.
    pub(crate) fn respond(&mut self, request: &[u8]) -> Option<Vec<u8>> {
        let word = |at: usize| Some(i16::from_be_bytes(request.get(at..at + 2)?.try_into().unwrap()));
        let (api, version, correlation) = (word(0)?, word(2)?, request.get(4..8)?);
        let respond = |body: &[u8]| Some([correlation, body].concat());
        match api {
            // In the layout of v0, which reports that there is no other.
            18 => {
                let code: i16 = if version > 0 { 35 } else { 0 };
                let apis: [(i16, i16); 5] = [(0, 7), (3, 5), (17, 1), (18, 0), (36, 1)];
                let apis = apis.map(|(api, newest)| [api.to_be_bytes(), [0, 0], newest.to_be_bytes()].concat());
                respond(&[&code.to_be_bytes()[..], &5_i32.to_be_bytes(), &apis.concat()].concat())
            }
            17 => {
                let names = ["PLAIN", "SCRAM-SHA-256"].map(|name| [&[0, name.len() as u8], name.as_bytes()].concat());
                respond(&[&[0, 0, 0, 0, 0, 2][..], &names.concat()].concat())
            }
            36 => {
                let client = usize::from(request[9]);
                let token = request.get(10 + client + 4..)?.to_vec();
                self.tokens += 1;
                self.on_token(&token, &respond)
            }
            _ => None,
        }
    }

    fn on_token(&mut self, token: &[u8], respond: &dyn Fn(&[u8]) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
        let next = |token: &[u8]| {
            respond(&[&[0, 0, 255, 255][..], &(token.len() as i32).to_be_bytes(), token, &[0; 8]].concat())
        };
        if let Some(password) = self.challenges.clone() {
            let text = String::from_utf8(token.to_vec()).unwrap();
            if let Some(first) = text.strip_prefix("n,,") {
                let nonce = first.split_once("r=").unwrap().1;
                let challenge = format!("r={nonce}more,s={},i=4096", STANDARD.encode(SALT));
                self.auth_message = format!("{first},{challenge}");
                return next(challenge.as_bytes());
            }
            let (last, proof) = text.rsplit_once(",p=").unwrap();
            self.secrets.push(STANDARD.decode(proof).unwrap());
            self.secrets.extend(derived(&password, &format!("{},{last}", self.auth_message)));
        }
        let message = |form: &usize| form_of(token, *form);
        match &self.answer {
            Answer::Reject(form) => {
                let message = message(form);
                respond(&[&[0, 58][..], &(message.len() as i16).to_be_bytes(), message.as_bytes(), &[0; 12]].concat())
            }
            Answer::RejectInToken(form) => next(format!("e={}", message(form)).as_bytes()),
            Answer::Token(token) => next(token),
            Answer::Frame(frame) => Some(frame.clone()),
            Answer::Repeat => next(token),
        }
    }
}

/// The number of forms.
pub(crate) const FORMS: usize = 7;

/// Returns a token as a broker may write it in an error message.
fn form_of(token: &[u8], form: usize) -> String {
    let hex: String = token.iter().map(|byte| format!("{byte:02x}")).collect();
    match form {
        0 => String::from_utf8_lossy(token).into_owned(),
        1 => format!("invalid token {:?}", String::from_utf8_lossy(token)),
        2 => format!("invalid token {token:?}"),
        3 => hex,
        4 => hex.to_uppercase(),
        5 => STANDARD.encode(token),
        _ => token.escape_ascii().to_string(),
    }
}

fn mac(key: &[u8], message: &[u8]) -> Vec<u8> {
    Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(message).finalize().into_bytes().to_vec()
}

/// Returns the values that SCRAM-SHA-256 derives from a password (RFC 5802, section 3). None of them may be shown.
fn derived(password: &str, auth_message: &str) -> Vec<Vec<u8>> {
    let mut last = mac(password.as_bytes(), &[SALT, &[0, 0, 0, 1]].concat());
    let mut salted = last.clone();
    for _ in 1..4096 {
        last = mac(password.as_bytes(), &last);
        salted.iter_mut().zip(&last).for_each(|(sum, byte)| *sum ^= byte);
    }
    let client_key = mac(&salted, b"Client Key");
    let stored_key = Sha256::digest(&client_key).to_vec();
    let server_key = mac(&salted, b"Server Key");
    let server_signature = mac(&server_key, auth_message.as_bytes());
    vec![salted, client_key, stored_key, server_key, server_signature]
}
