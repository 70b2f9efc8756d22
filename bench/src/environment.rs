//! What was measured on, with what, and how: it stands in the results.

use std::fs;
use std::process::Command;

/// How, in a sentence.
pub const METHOD: &str = "each figure is the median of interleaved samples of at least half a millisecond, all contenders \
     in turns on one pinned core; each ratio is the median of the ratios within a turn; every build begins with no memory \
     and ends with the bytes to send, checksum included";

/// The crates whose version decides what comes out.
const CRATES: [&str; 14] = [
    "bytes",
    "crc-fast",
    "crc32fast",
    "flate2",
    "kafka-batch-core",
    "kafka-protocol",
    "krafka",
    "lz4_flex",
    "rskafka",
    "snap",
    "tansu-sans-io",
    "zlib-rs",
    "zstd",
    "zstd-sys",
];

pub struct Environment {
    pub date: String,
    pub processor: String,
    pub rustc: String,
}

impl Environment {
    pub fn look() -> Self {
        Self {
            date: says("date", &["+%F"]),
            processor: processor().unwrap_or_else(|| std::env::consts::ARCH.into()),
            rustc: says("rustc", &["--version"]),
        }
    }

    pub fn lines(&self) -> String {
        let Self { date, processor, rustc } = self;
        let crates: Vec<String> = crates().map(|(name, version)| format!("{name} {version}")).collect();
        let crates = crates.join(", ");
        format!("- {date}, {processor}, {rustc}, release with thin LTO and one codegen unit\n- {crates}\n- {METHOD}")
    }
}

/// Names and versions, as this crate's lock file has them.
pub fn crates() -> impl Iterator<Item = (&'static str, &'static str)> {
    let locked = include_str!("../Cargo.lock").split("[[package]]").filter_map(|package| {
        let field = |name: &str| {
            let line = package.lines().find(|line| line.starts_with(name))?;
            line.split('"').nth(1)
        };
        Some((field("name")?, field("version")?))
    });
    locked.filter(|(name, _)| CRATES.contains(name))
}

/// Its model by name if it has one, else by number: some virtual machines show only the maker.
fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let field = |name: &str| {
        let line = text.lines().find(|line| line.split(':').next().is_some_and(|key| key.trim() == name))?;
        Some(line.split(':').nth(1)?.trim().to_owned())
    };
    Some(format!("{} (family {}, model {})", field("model name")?, field("cpu family")?, field("model")?))
}

fn says(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(|_| "unknown".into(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
