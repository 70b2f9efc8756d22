//! No text that this library produces contains a secret: random keys and passwords in every setting that accepts one,
//! malformed in every known way, and brokers that repeat what they received. The text of each error, of its sources, each
//! `Debug` text and each log line is searched for any eight consecutive bytes of a secret, plain and in each form in which
//! bytes are written.

#[path = "secrets/answers.rs"]
mod answers;
#[path = "secrets/exchange.rs"]
mod exchange;
#[path = "secrets/keys.rs"]
mod keys;
#[path = "secrets/log.rs"]
mod log;
#[path = "secrets/needles.rs"]
mod needles;
#[path = "secrets/servers.rs"]
mod servers;
#[path = "secrets/settings.rs"]
mod settings;
