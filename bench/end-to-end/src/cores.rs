//! How busy a core is.

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
