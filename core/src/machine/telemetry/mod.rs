//! Telemetry (KIP-714): when a subscription is requested, when metrics are pushed, and which. It is a value; the requests are formed
//! and their responses handled in `transitions/telemetry.rs`.
//!
//! ```text
//!  Subscription needed ──GetTelemetrySubscriptions──▶ subscribed ──PushTelemetry every push interval──┐
//!       ▲  ▲ nothing is subscribed to: after the push interval   │  ▲───────────────────────────────────┘
//!       │  └─────────────────────────────────────────────────────┤
//!       └── another subscription or codec; too large ────────────┘      the client is refused ──▶ ended
//! ```

mod collected;
mod otlp;

use core::time::Duration;

pub(super) use self::collected::{Baseline, Measured, PushTime};
use super::config::MachineConfig;
use crate::compression::{Codec, Compression};
use crate::protocol::{ErrorCode, GetTelemetrySubscriptionsResponse, Uuid};
use crate::splitmix64::SplitMix64;
use crate::time::Instant;

/// The push interval if a broker has named none, or not answered (`DEFAULT_PUSH_INTERVAL_MS` of the Java client).
const DEFAULT_INTERVAL: Duration = Duration::from_secs(300);

/// The shortest push interval: the least value of `interval.ms` that Kafka accepts for a subscription. A shorter one is most
/// likely no push interval.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

/// How long a close waits for the last push.
pub(super) const TERMINATION_LIMIT: Duration = Duration::from_secs(1);

/// The state of telemetry.
#[derive(Debug)]
pub(super) struct Telemetry {
    /// The id that the first broker has assigned; zero before.
    client_instance_id: Uuid,
    subscription: Option<Subscription>,
    /// Nothing is pushed before the subscription is requested again, except at the end.
    is_outdated: bool,
    /// A push that a broker called too large.
    too_large: Option<TooLarge>,
    in_flight: Option<TelemetryRequest>,
    /// `None`: a broker has refused this client for good.
    not_before: Option<Instant>,
    termination: Option<Termination>,
    baseline: Baseline,
    /// The baseline of the next push, if the broker takes the one in flight.
    next_baseline: Option<Baseline>,
    /// What was measured for the last push, if no broker has taken it.
    not_pushed: Option<Baseline>,
}

/// A request of telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TelemetryRequest {
    GetSubscriptions,
    Push,
}

/// The end of telemetry, because the producer is being closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Termination {
    /// The last push is to be sent; until this moment.
    Due(Instant),
    /// It is in flight, until this moment at the latest.
    InFlight(Instant),
    Done,
}

/// What the cluster subscribes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Subscription {
    pub(super) id: i32,
    pub(super) compression: Compression,
    pub(super) max_bytes: usize,
    /// `telemetry_max_bytes` of the response.
    announced_max_bytes: i32,
    pub(super) is_delta: bool,
    pub(super) selection: Selection,
    interval: Duration,
}

/// A push that was too large for a broker, although it kept to what that had announced.
#[derive(Clone, Copy, Debug)]
struct TooLarge {
    /// The bytes of the push.
    size: usize,
    /// The announced limit. It holds again once another is announced.
    announced: i32,
}

impl TooLarge {
    /// Returns the limit of pushes while this one is announced.
    fn limit(too_large: Option<Self>, announced: i32) -> usize {
        let smaller = too_large.filter(|found| found.announced == announced).map(|found| found.size.saturating_sub(1));
        usize::try_from(announced).unwrap_or(0).min(smaller.unwrap_or(usize::MAX))
    }
}

/// A set of metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Selection(u8);

impl Selection {
    /// Adds the metrics whose names begin so. The prefix of all is empty, or `*`.
    pub(super) fn add(&mut self, prefix: &str) {
        for (at, name) in collected::NAMES.iter().enumerate() {
            if prefix == "*" || name.starts_with(prefix) {
                self.0 |= 1 << at;
            }
        }
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    const fn contains(self, at: usize) -> bool {
        self.0 >> at & 1 == 1
    }
}

impl Telemetry {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            client_instance_id: Uuid::ZERO,
            subscription: None,
            is_outdated: false,
            too_large: None,
            in_flight: None,
            not_before: Some(now),
            termination: None,
            baseline: Baseline::default(),
            next_baseline: None,
            not_pushed: None,
        }
    }

    /// Returns the id of this client instance, if a broker has assigned one.
    pub(super) fn client_instance_id(&self) -> Option<Uuid> {
        Some(self.client_instance_id).filter(|id| !id.is_zero())
    }

    pub(super) const fn id_to_send(&self) -> Uuid {
        self.client_instance_id
    }

    pub(super) const fn baseline(&self) -> &Baseline {
        &self.baseline
    }

    /// Returns what was measured for the last push, if no broker has taken it.
    pub(super) const fn not_pushed(&self) -> Option<&Baseline> {
        self.not_pushed.as_ref()
    }

    /// Returns the request that may be sent now.
    pub(super) fn due(&self, now: Instant) -> Option<(TelemetryRequest, Option<Subscription>)> {
        if self.in_flight.is_some() {
            return None;
        }
        match self.termination {
            Some(Termination::Due(_)) => self.subscription.map(|all| (TelemetryRequest::Push, Some(all))),
            Some(Termination::InFlight(_) | Termination::Done) => None,
            None => {
                self.not_before.filter(|&at| at <= now)?;
                let current = self.subscription.filter(|_| !self.is_outdated);
                let pushes = current.filter(|subscription| !subscription.selection.is_empty());
                let request = pushes.map_or(TelemetryRequest::GetSubscriptions, |_| TelemetryRequest::Push);
                Some((request, pushes))
            }
        }
    }

    /// Returns when [`due`](Self::due) has to be called again.
    pub(super) fn wakes_at(&self) -> Option<Instant> {
        match self.termination {
            Some(Termination::Due(until) | Termination::InFlight(until)) => Some(until),
            Some(Termination::Done) => None,
            None => self.not_before.filter(|_| self.in_flight.is_none()),
        }
    }

    /// Returns `true` if this push is the last one.
    pub(super) const fn is_terminating(&self) -> bool {
        matches!(self.termination, Some(Termination::Due(_)))
    }

    /// Records that a request is sent.
    pub(super) fn sent(&mut self, request: TelemetryRequest, next_baseline: Option<Baseline>) {
        self.in_flight = Some(request);
        self.next_baseline = next_baseline;
        if let Some(Termination::Due(until)) = self.termination {
            self.termination = Some(Termination::InFlight(until));
        }
    }

    /// Records that a push is omitted, because nothing of it is small enough for the broker, or was measured. The subscription is
    /// requested again, because a broker may meanwhile take larger ones.
    pub(super) fn omitted(&mut self, now: Instant) {
        self.is_outdated = true;
        match self.termination {
            Some(_) => self.termination = Some(Termination::Done),
            None => self.wait(now, self.interval()),
        }
    }

    /// Ends telemetry, because the producer is being closed. Returns `true` once nothing is to be waited for.
    pub(super) fn terminate(&mut self, can_push: bool, now: Instant) -> bool {
        let is_subscribed = self.subscription.is_some_and(|subscription| !subscription.selection.is_empty());
        let until = match self.termination {
            None if is_subscribed && can_push && self.not_before.is_some() => {
                let until = now + TERMINATION_LIMIT;
                self.termination = Some(Termination::Due(until));
                until
            }
            Some(Termination::Due(until)) if is_subscribed && can_push => until,
            Some(Termination::InFlight(until)) if can_push => until,
            None | Some(_) => {
                self.termination = Some(Termination::Done);
                return true;
            }
        };
        if until <= now {
            self.termination = Some(Termination::Done);
        }
        until <= now
    }

    /// Applies a response to GetTelemetrySubscriptions. Returns the error if the broker refuses this client for good.
    pub(super) fn on_subscription(
        &mut self,
        response: &GetTelemetrySubscriptionsResponse,
        selection: Selection,
        now: Instant,
        random: &mut SplitMix64,
    ) -> Option<ErrorCode> {
        self.in_flight = None;
        if response.error_code.is_error() {
            return self.on_error(response.error_code, DEFAULT_INTERVAL, now);
        }
        let id = response.client_instance_id;
        if !id.is_zero() {
            self.client_instance_id = id;
        }
        // Without an id nothing can be pushed. This client makes none of its own: a random one could reveal the seed.
        let selection = if self.client_instance_id.is_zero() { Selection::default() } else { selection };
        let millis = u64::try_from(response.push_interval_ms).ok().filter(|&millis| millis > 0);
        let interval = millis.map_or(DEFAULT_INTERVAL, Duration::from_millis).max(SHORTEST_INTERVAL);
        let usable = |id: &i8| Codec::from_id(*id as u8 & 7).filter(|codec| *id == codec.id() as i8);
        let codecs = response.accepted_compression_types.iter().filter_map(usable);
        self.is_outdated = false;
        self.subscription = Some(Subscription {
            id: response.subscription_id,
            compression: codecs.filter_map(Compression::with_default_level).next().unwrap_or_default(),
            max_bytes: TooLarge::limit(self.too_large, response.telemetry_max_bytes),
            announced_max_bytes: response.telemetry_max_bytes,
            is_delta: response.delta_temporality,
            selection,
            interval,
        });
        // The first push is between half the interval and one and a half, so that clients that start together do not push
        // together. If nothing is subscribed to, the subscription is requested again after the interval.
        let wait = match selection.is_empty() {
            true => interval,
            false => interval.saturating_mul(500 + random.below(1_000) as u32) / 1_000,
        };
        self.wait(now, wait);
        None
    }

    /// Applies the error code of a response to PushTelemetry to a push of this many bytes. Returns the error if the broker refuses
    /// this client for good.
    pub(super) fn on_pushed(&mut self, code: ErrorCode, size: usize, now: Instant) -> Option<ErrorCode> {
        self.in_flight = None;
        self.terminated();
        let next_baseline = self.next_baseline.take();
        if code.is_error() {
            self.not_pushed = next_baseline;
            if let Some(subscription) = self.subscription.as_mut().filter(|_| code == ErrorCode::TELEMETRY_TOO_LARGE) {
                // The next push is smaller, as KIP-714 asks for, and follows another subscription, as in Java's client.
                let announced = subscription.announced_max_bytes;
                self.too_large = Some(TooLarge { size, announced });
                subscription.max_bytes = subscription.max_bytes.min(TooLarge::limit(self.too_large, announced));
                self.is_outdated = true;
            }
            return self.on_error(code, self.interval(), now);
        }
        self.baseline = next_baseline.unwrap_or_default();
        self.not_pushed = None;
        self.wait(now, self.interval());
        None
    }

    /// Records that there is no response to the request in flight.
    pub(super) fn on_no_response(&mut self, now: Instant) {
        if let Some(next_baseline) = self.next_baseline.take() {
            self.not_pushed = Some(next_baseline);
        }
        self.terminated();
        if let Some(request) = self.in_flight.take() {
            let wait = match request {
                TelemetryRequest::GetSubscriptions => DEFAULT_INTERVAL,
                TelemetryRequest::Push => self.interval(),
            };
            self.wait(now, wait);
        }
    }

    /// Records that the last push has a response, or gets none.
    fn terminated(&mut self) {
        if let Some(Termination::InFlight(_)) = self.termination {
            self.termination = Some(Termination::Done);
        }
    }

    /// Decides what follows an error, as Java's `ClientTelemetryUtils.maybeFetchErrorIntervalMs` does, but never requests a
    /// subscription again at once if the request for one has failed.
    fn on_error(&mut self, code: ErrorCode, interval: Duration, now: Instant) -> Option<ErrorCode> {
        match code {
            ErrorCode::UNKNOWN_SUBSCRIPTION_ID | ErrorCode::UNSUPPORTED_COMPRESSION_TYPE => {
                let had_one = self.subscription.take().is_some();
                self.wait(now, if had_one { Duration::ZERO } else { interval });
                None
            }
            ErrorCode::TELEMETRY_TOO_LARGE | ErrorCode::THROTTLING_QUOTA_EXCEEDED => {
                self.wait(now, interval);
                None
            }
            code if code.is_retriable() => {
                self.wait(now, interval);
                None
            }
            code => {
                self.not_before = None;
                Some(code)
            }
        }
    }

    fn interval(&self) -> Duration {
        self.subscription.map_or(DEFAULT_INTERVAL, |subscription| subscription.interval)
    }

    fn wait(&mut self, now: Instant, interval: Duration) {
        self.not_before = self.not_before.map(|_| now + interval);
    }
}

/// Returns the labels of the client: those that KIP-714 has for producers, without `client_rack`, which the machine does not know.
pub(super) fn labels(config: &MachineConfig) -> impl Iterator<Item = (&'static str, &str)> {
    config.transactional_id.as_deref().map(|id| ("transactional_id", id)).into_iter()
}
