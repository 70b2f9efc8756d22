//! Who runs on which core.

use std::error::Error;

/// The two sides of a connection.
#[derive(Clone, Copy, Debug)]
pub enum Side {
    /// Has the first core.
    Broker,
    /// Has the last one.
    Client,
}

/// Keeps this thread, and whatever it starts from here on, on its side's core.
pub fn pin(side: Side) -> Result<(), Box<dyn Error>> {
    let cores = core_affinity::get_core_ids().ok_or("no cores to choose from")?;
    let core = match side {
        Side::Broker => cores.first(),
        Side::Client => cores.last(),
    };
    if core_affinity::set_for_current(*core.ok_or("no core")?) {
        Ok(())
    } else {
        Err("the core is not to be had".into())
    }
}
