//! OpenTelemetry's `MetricsData` as protobuf, as far as the metrics of a producer need it: gauges and sums, with points of one
//! number. Field numbers are those of `opentelemetry/proto/metrics/v1/metrics.proto` 1.x, which are stable.

use alloc::string::String;
use alloc::vec::Vec;

/// A metric with its points.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Metric {
    pub(super) name: &'static str,
    /// In the notation of UCUM.
    pub(super) unit: &'static str,
    pub(super) kind: MetricKind,
    pub(super) points: Vec<Point>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MetricKind {
    Gauge,
    /// A monotonic sum. `is_delta`: its points are changes since the last push.
    Sum {
        is_delta: bool,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) value: Value,
    /// The label `node_id`, of metrics of brokers.
    pub(super) node: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    Integer(i64),
    Double(f64),
}

/// The times of all points, in nanoseconds since the Unix epoch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// The start of sums.
    pub(super) start: u64,
    pub(super) now: u64,
}

/// Returns these metrics as `MetricsData`. `labels` are the attributes of the resource.
pub(super) fn encode(metrics: &[Metric], labels: &[(&str, &str)], times: Times) -> Vec<u8> {
    let mut resource = Vec::new();
    for label in labels {
        message(&mut resource, 1, &attribute(*label));
    }
    let mut scope = Vec::new();
    for metric in metrics {
        message(&mut scope, 2, &encode_metric(metric, times));
    }
    let mut resource_metrics = Vec::new();
    message(&mut resource_metrics, 1, &resource);
    message(&mut resource_metrics, 2, &scope);
    let mut data = Vec::new();
    message(&mut data, 1, &resource_metrics);
    data
}

fn encode_metric(metric: &Metric, times: Times) -> Vec<u8> {
    let mut points = Vec::new();
    for point in &metric.points {
        message(&mut points, 1, &encode_point(point, metric.kind, times));
    }
    let mut bytes = Vec::new();
    message(&mut bytes, 1, metric.name.as_bytes());
    message(&mut bytes, 3, metric.unit.as_bytes());
    match metric.kind {
        MetricKind::Gauge => message(&mut bytes, 5, &points),
        MetricKind::Sum { is_delta } => {
            key(&mut points, 2, WireType::Varint);
            varint(&mut points, if is_delta { 1 } else { 2 }); // AggregationTemporality
            key(&mut points, 3, WireType::Varint);
            varint(&mut points, 1); // is_monotonic
            message(&mut bytes, 7, &points);
        }
    }
    bytes
}

fn encode_point(point: &Point, kind: MetricKind, times: Times) -> Vec<u8> {
    let mut bytes = Vec::new();
    if kind != MetricKind::Gauge {
        fixed(&mut bytes, 2, times.start);
    }
    fixed(&mut bytes, 3, times.now);
    match point.value {
        Value::Double(value) => fixed(&mut bytes, 4, value.to_bits()),
        Value::Integer(value) => fixed(&mut bytes, 6, value as u64),
    }
    if let Some(node) = &point.node {
        message(&mut bytes, 7, &attribute(("node_id", node)));
    }
    bytes
}

/// Returns a `KeyValue`, whose value is text.
fn attribute((name, text): (&str, &str)) -> Vec<u8> {
    let (mut value, mut bytes) = (Vec::new(), Vec::new());
    message(&mut value, 1, text.as_bytes());
    message(&mut bytes, 1, name.as_bytes());
    message(&mut bytes, 2, &value);
    bytes
}

#[derive(Clone, Copy)]
enum WireType {
    Varint = 0,
    Fixed64 = 1,
    Length = 2,
}

fn key(bytes: &mut Vec<u8>, field: u32, wire_type: WireType) {
    varint(bytes, u64::from(field << 3 | wire_type as u32));
}

/// Appends a field with a length: text, or a message that is encoded already.
fn message(bytes: &mut Vec<u8>, field: u32, encoded: &[u8]) {
    key(bytes, field, WireType::Length);
    varint(bytes, encoded.len() as u64);
    bytes.extend_from_slice(encoded);
}

fn fixed(bytes: &mut Vec<u8>, field: u32, value: u64) {
    key(bytes, field, WireType::Fixed64);
    bytes.extend_from_slice(&value.to_le_bytes());
}

fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}
