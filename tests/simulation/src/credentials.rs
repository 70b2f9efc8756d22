//! The only user of simulated clusters.

use kafka_batch_core::machine::{Sasl, SaslMechanism};
use kafka_batch_testing::simulated::Users;

const USER: &str = "simulation";
/// The user's password.
pub const PASSWORD: &str = "open sesame";

/// Returns the user with this password, as a client names it.
///
/// # Panics
/// The password contains a NUL.
#[must_use]
pub fn credentials(password: &str) -> Sasl {
    Sasl::new(SaslMechanism::Plain, USER, password).expect("PLAIN carries any password without a NUL")
}

/// Returns the users as brokers know them.
#[must_use]
pub fn users() -> Users {
    Users::default().plain(USER, PASSWORD)
}
