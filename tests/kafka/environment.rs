//! What `cargo with-kafka` tells the command that it runs beside a broker.

use std::env;

/// A variable of that environment. A test without it has failed, not been skipped.
pub(crate) fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|error| {
        let suite = env!("CARGO_CRATE_NAME");
        panic!("{name}: {error}; run: cargo with-kafka --kafka VERSION -- cargo test --test {suite} -- --ignored")
    })
}
