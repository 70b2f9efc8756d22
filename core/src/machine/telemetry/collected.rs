//! The metrics that are pushed: those that KIP-714 requires of producers.

use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::time::Duration;

use super::otlp::{self, Metric, MetricKind, Point, Times, Value};
use super::{Selection, Subscription};
use crate::machine::stats::Window;
use crate::time::{Instant, Timestamp};

/// The metrics' names, with the prefix that KIP-714 has for its standard metrics.
pub(super) const NAMES: [&str; 8] = [
    "org.apache.kafka.producer.connection.creation.rate",
    "org.apache.kafka.producer.connection.creation.total",
    "org.apache.kafka.producer.node.request.latency.avg",
    "org.apache.kafka.producer.node.request.latency.max",
    "org.apache.kafka.producer.produce.throttle.time.avg",
    "org.apache.kafka.producer.produce.throttle.time.max",
    "org.apache.kafka.producer.record.queue.time.avg",
    "org.apache.kafka.producer.record.queue.time.max",
];

/// The metrics of brokers, of which there are as many points as brokers.
const OF_NODES: Selection = Selection(0b1100);

/// What the machine has measured so far, with the longest times since the last call.
#[derive(Clone, Debug, Default)]
pub(in crate::machine) struct Measured {
    /// Connections that were established.
    pub(in crate::machine) connections: u64,
    pub(in crate::machine) throttle: Window,
    pub(in crate::machine) queue: Window,
    /// The latency of Produce requests, by broker.
    pub(in crate::machine) latencies: BTreeMap<i32, Window>,
}

/// What was measured up to the last push.
#[derive(Clone, Debug, Default)]
pub(in crate::machine) struct Baseline {
    /// `None` before the first push.
    at: Option<Instant>,
    measured: Measured,
}

/// The times of a push.
#[derive(Clone, Copy, Debug)]
pub(in crate::machine) struct PushTime {
    pub(in crate::machine) now: Instant,
    /// The same on the wall clock.
    pub(in crate::machine) wall: Timestamp,
    /// When the producer was created.
    pub(in crate::machine) started: Instant,
}

impl Measured {
    /// Returns the baseline of the next push.
    pub(in crate::machine) fn into_baseline(self, now: Instant) -> Baseline {
        Baseline { at: Some(now), measured: self }
    }

    /// Includes the longest times of what was measured earlier, and was not pushed.
    pub(in crate::machine) fn include_longest(&mut self, Baseline { measured: earlier, .. }: &Baseline) {
        self.throttle.max = self.throttle.max.max(earlier.throttle.max);
        self.queue.max = self.queue.max.max(earlier.queue.max);
        for (id, window) in &mut self.latencies {
            if let Some(earlier) = earlier.latencies.get(id) {
                window.max = window.max.max(earlier.max);
            }
        }
    }

    /// Returns the selected metrics of the time since the baseline, as OpenTelemetry's `MetricsData`; without those of brokers if
    /// `is_short`. `None` if there is none: an average needs something that was measured.
    pub(in crate::machine) fn encode(
        &self,
        baseline: &Baseline,
        subscription: &Subscription,
        is_short: bool,
        labels: &[(&str, &str)],
        time: PushTime,
    ) -> Option<Vec<u8>> {
        let metrics = self.metrics(baseline, subscription, is_short, time);
        if metrics.is_empty() {
            return None;
        }
        let since_start = time.now.since(time.started);
        let start = match baseline.at.filter(|_| subscription.is_delta) {
            Some(at) => time.now.since(at),
            None => since_start,
        };
        let now = unix_nanos(time.wall);
        Some(otlp::encode(&metrics, labels, Times { start: now.saturating_sub(nanos(start)), now }))
    }

    fn metrics(
        &self,
        Baseline { at, measured: before }: &Baseline,
        subscription: &Subscription,
        is_short: bool,
        time: PushTime,
    ) -> Vec<Metric> {
        let elapsed = time.now.since(at.unwrap_or(time.started)).as_secs_f64();
        let created = self.connections.saturating_sub(before.connections);
        let total = if subscription.is_delta { created } else { self.connections };
        let single = |value: Option<f64>| value.map(|value| Point { value: Value::Double(value), node: None });
        let of_nodes = |value: fn(&Window, &Window) -> Option<f64>| {
            let points = self.latencies.iter().filter_map(move |(id, window)| {
                let earlier = before.latencies.get(id).copied().unwrap_or_default();
                Some(Point { value: Value::Double(value(window, &earlier)?), node: Some(id.to_string()) })
            });
            points.collect::<Vec<_>>()
        };
        let selection = subscription.selection;
        let all = NAMES.iter().enumerate().filter(|(at, _)| selection.contains(*at));
        let all = all.filter(|(at, _)| !(is_short && OF_NODES.contains(*at)));
        let metrics = all.map(|(at, &name)| {
            let (unit, kind) = match at {
                0 => ("1/s", MetricKind::Gauge),
                1 => ("1", MetricKind::Sum { is_delta: subscription.is_delta }),
                _ => ("ms", MetricKind::Gauge),
            };
            let points = match at {
                0 => single((elapsed > 0.0).then(|| created as f64 / elapsed)).into_iter().collect(),
                1 => {
                    let value = Value::Integer(i64::try_from(total).unwrap_or(i64::MAX));
                    Vec::from([Point { value, node: None }])
                }
                2 => of_nodes(average),
                3 => of_nodes(longest),
                4 => single(average(&self.throttle, &before.throttle)).into_iter().collect(),
                5 => single(longest(&self.throttle, &before.throttle)).into_iter().collect(),
                6 => single(average(&self.queue, &before.queue)).into_iter().collect(),
                _ => single(longest(&self.queue, &before.queue)).into_iter().collect(),
            };
            Metric { name, unit, kind, points }
        });
        metrics.filter(|metric: &Metric| !metric.points.is_empty()).collect()
    }
}

/// Returns the average of what was measured since, in milliseconds.
fn average(now: &Window, before: &Window) -> Option<f64> {
    let count = now.count.saturating_sub(before.count);
    (count > 0).then(|| now.total.saturating_sub(before.total) as f64 / 1e6 / count as f64)
}

/// Returns the longest of what was measured since, in milliseconds.
fn longest(now: &Window, before: &Window) -> Option<f64> {
    (now.count > before.count).then(|| now.max as f64 / 1e6)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn unix_nanos(wall: Timestamp) -> u64 {
    u64::try_from(wall.millis()).unwrap_or(0).saturating_mul(1_000_000)
}
