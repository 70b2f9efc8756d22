//! The environment that `cargo with-kafka` provides.

use std::env;

/// Returns a variable of that environment. A test without it fails; it is not skipped.
pub(crate) fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|error| {
        let suite = env!("CARGO_CRATE_NAME");
        panic!("{name}: {error}; run: cargo with-kafka --kafka VERSION -- cargo witnesses --test {suite} -- --ignored")
    })
}
