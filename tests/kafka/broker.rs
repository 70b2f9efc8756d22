//! The broker that the tests use: its address, version, and data directory.

use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::environment::variable;

/// Apache Kafka, as described by the environment. A test without it fails; it is not skipped.
#[derive(Clone, Debug)]
pub(crate) struct Kafka {
    pub(crate) address: String,
    pub(crate) version: String,
}

impl Kafka {
    pub(crate) fn here() -> Self {
        let kafka = Self { address: variable("KAFKA_BATCH_BROKERS"), version: variable("KAFKA_BATCH_KAFKA_VERSION") };
        assert!(kafka.major() >= 3, "KAFKA_BATCH_KAFKA_VERSION={:?} is not tested here", kafka.version);
        kafka
    }

    pub(crate) fn major(&self) -> u32 {
        let number = self.version.split('.').next().and_then(|number| number.parse().ok());
        number.unwrap_or_else(|| panic!("KAFKA_BATCH_KAFKA_VERSION={:?} is not a version", self.version))
    }

    /// Returns the first segment of a partition's log.
    pub(crate) fn segment(&self, topic: &str, partition: i32) -> PathBuf {
        Self::data().join(format!("{topic}-{partition}")).join("00000000000000000000.log")
    }

    pub(crate) fn data() -> PathBuf {
        let data = PathBuf::from(variable("KAFKA_BATCH_KAFKA_DATA"));
        assert!(data.is_dir(), "KAFKA_BATCH_KAFKA_DATA={data:?} is not a directory");
        data
    }
}

/// Returns a name that no other test uses, nor an earlier run with the same broker.
pub(crate) fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{name}-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Returns the path of a file with this name for this test alone.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(unique("kafka"));
    std::fs::create_dir_all(&folder).unwrap();
    folder.join(name)
}

/// Polls for something that Kafka does at a time of its own. The only function here that waits.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within a minute: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}
