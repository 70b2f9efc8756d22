//! No text that this library gives holds a secret: random keys and passwords, in every setting that takes one, wrong in every
//! way that we know of; brokers that repeat what they were sent. The text of each error, of its sources, of each `Debug` and
//! of each log line is searched for any eight bytes of a secret in a row, plain and in each way in which bytes are written.

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
