//! What was measured on, and with which versions: it stands in the results.

use std::fs;
use std::process::Command;

/// The crates whose version decides what comes out.
const CRATES: [&str; 9] =
    ["async-std", "crc-fast", "kafka-batch", "krafka", "lz4_flex", "rdkafka", "rdkafka-sys", "rskafka", "tokio"];

/// Date, processor, compiler and crates, as a list.
pub fn lines() -> String {
    let date = chrono::Local::now().format("%F");
    let processor = processor().unwrap_or_else(|| std::env::consts::ARCH.into());
    let rustc = Command::new("rustc").arg("--version").output();
    let rustc =
        rustc.map_or_else(|_| "an unknown rustc".into(), |output| String::from_utf8_lossy(&output.stdout).into_owned());
    let crates: Vec<_> = crates().map(|(name, version)| format!("{name} {version}")).collect();
    format!(
        "- {date}, {processor}, {}, release with thin LTO and one codegen unit\n- {}\n",
        rustc.trim(),
        crates.join(", ")
    )
}

/// Names and versions, as the lock file has them.
fn crates() -> impl Iterator<Item = (&'static str, &'static str)> {
    let locked = include_str!("../Cargo.lock").split("[[package]]").filter_map(|package| {
        let field = |name: &str| package.lines().find(|line| line.starts_with(name))?.split('"').nth(1);
        Some((field("name")?, field("version")?))
    });
    locked.filter(|(name, _)| CRATES.contains(name))
}

/// Its model by name if it has one, and by number: some virtual machines show only the maker.
fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let field = |name: &str| {
        let line = text.lines().find(|line| line.split(':').next().is_some_and(|key| key.trim() == name))?;
        Some(line.split(':').nth(1)?.trim().to_owned())
    };
    Some(format!("{} (family {}, model {})", field("model name")?, field("cpu family")?, field("model")?))
}
