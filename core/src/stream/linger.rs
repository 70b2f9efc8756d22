//! How long a batch may still wait.

use core::time::Duration;

use crate::time::Timestamp;

/// Returns how long a batch may still wait whose first record was appended at `since`.
///
/// If the clock was set back to before `since`, the batch is due, rather than waiting for an unknown time.
pub(super) fn time_left(linger: Duration, since: Timestamp, now: Timestamp) -> Duration {
    let waited = now.millis().saturating_sub(since.millis());
    let waited = u64::try_from(waited).map_or(linger, Duration::from_millis);
    linger.saturating_sub(waited)
}
