//! The broker that the tests were given: where it is, which version, and where it keeps its log.

use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::environment::variable;

/// Apache Kafka, as the environment describes it. A test without one has failed, not been skipped.
#[derive(Clone, Debug)]
pub(crate) struct Kafka {
    pub(crate) address: String,
    pub(crate) version: String,
}

impl Kafka {
    pub(crate) fn here() -> Self {
        let kafka = Self { address: variable("KAFKA_BATCH_BROKERS"), version: variable("KAFKA_BATCH_KAFKA_VERSION") };
        assert!(kafka.major() >= 3, "KAFKA_BATCH_KAFKA_VERSION={:?} is no Kafka that is tested here", kafka.version);
        kafka
    }

    pub(crate) fn major(&self) -> u32 {
        let number = self.version.split('.').next().and_then(|number| number.parse().ok());
        number.unwrap_or_else(|| panic!("KAFKA_BATCH_KAFKA_VERSION={:?} is no version", self.version))
    }

    /// The segment with which a partition's log begins.
    pub(crate) fn segment(&self, topic: &str, partition: i32) -> PathBuf {
        Self::data().join(format!("{topic}-{partition}")).join("00000000000000000000.log")
    }

    pub(crate) fn data() -> PathBuf {
        let data = PathBuf::from(variable("KAFKA_BATCH_KAFKA_DATA"));
        assert!(data.is_dir(), "KAFKA_BATCH_KAFKA_DATA={data:?} is no folder");
        data
    }
}

/// A name that no other test has, nor an earlier run against the same broker.
pub(crate) fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{name}-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A file of that name for this test alone.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(unique("kafka"));
    std::fs::create_dir_all(&folder).unwrap();
    folder.join(name)
}

/// Looks until there is something: for what Kafka does in its own time. The only place here where a test waits.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited a minute in vain: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}
