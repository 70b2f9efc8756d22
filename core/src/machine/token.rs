//! When the token of OAUTHBEARER is asked for.

use core::time::Duration;

use crate::splitmix64::SplitMix64;
use crate::time::Instant;

/// The state of the token. The token itself is among the credentials.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    /// Whether one was asked for, and not brought.
    pub(super) is_requested: bool,
    /// When the present one is not used any more.
    pub(super) unusable_at: Option<Instant>,
    /// Whether the present one is to be replaced, once a connection needs one.
    pub(super) is_old: bool,
}

/// How long before its end a token is not used any more: the session would end as soon as it has begun, and the broker's clock
/// may be ahead. A token with a shorter lifetime is used for the connections that wait for it.
pub(super) const EXPIRY_MARGIN: Duration = Duration::from_secs(2);

/// How long to wait after an error before another token is asked for, while the present one is valid: as long as the thread
/// of Java's client that renews tokens (`ExpiringCredentialRefreshingLogin`).
pub(super) const RETRY_AFTER_ERROR: Duration = Duration::from_secs(10);

/// The least time for which a token is used, however short its lifetime is: without a minimum the application would be asked
/// continuously.
const SHORTEST: Duration = Duration::from_secs(1);

/// Returns how long a token is used before another one is asked for: 80 to 85 % of its lifetime, at random, as in Java's
/// client (`sasl.login.refresh.window.factor` and `.jitter`).
pub(super) fn renewal(lifetime: Duration, random: &mut SplitMix64) -> Duration {
    let thousandths = 800 + random.below(51) as u32;
    lifetime.saturating_mul(thousandths).checked_div(1_000).unwrap_or(lifetime).min(lifetime).max(SHORTEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_before_it_expires() {
        let mut random = SplitMix64::new(7);
        for seconds in [2, 60, 3_600] {
            for _ in 0..100 {
                let wait = renewal(Duration::from_secs(seconds), &mut random).as_millis() as u64;
                assert!((seconds * 800..=seconds * 850).contains(&wait), "{seconds}: {wait}");
            }
        }
        assert_eq!(renewal(Duration::ZERO, &mut random), SHORTEST);
        assert!(renewal(Duration::MAX, &mut random) > Duration::from_secs(1 << 40));
    }
}
