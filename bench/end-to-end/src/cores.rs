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

/// How long this process's core has been at work, for whomever; where the system tells (Linux).
pub fn busy_seconds() -> f64 {
    /// Of the figures in `/proc/stat`, whatever the kernel's own clock is.
    const TICKS_A_SECOND: f64 = 100.0;
    let read = |file| std::fs::read_to_string(file).unwrap_or_default();
    let (status, stat) = (read("/proc/self/status"), read("/proc/stat"));
    let core = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).map(str::trim);
    let of_core = |line: &&str| core.is_some_and(|core| line.split(' ').next() == Some(&format!("cpu{core}")));
    let ticks: Option<Vec<f64>> =
        stat.lines().find(of_core).map(|line| line.split(' ').skip(1).flat_map(str::parse).collect());
    match ticks.as_deref() {
        // Interrupts are left out: they are this process's own traffic. What is stolen went to another machine.
        Some([user, nice, system, _idle, _wait, _irq, _softirq, stolen, ..]) => {
            (user + nice + system + stolen) / TICKS_A_SECOND
        }
        _ => 0.0,
    }
}
