//! Spans of the crate `tracing` for batches, with OpenTelemetry's attributes.

use kafka_batch_core::machine::{Change, Retry};
use kafka_batch_core::observer::{BatchToSeal, Observer, Sent};
use kafka_batch_core::{Delivery, DeliveryError, FailureReason};
use tracing::field::Empty;
use tracing::{Level, Span, event};

/// The target of all spans and events.
const TARGET: &str = "kafka_batch";

/// Makes a span of the crate [`tracing`] for each batch, from before it is sealed to its outcome, with the attributes of
/// [OpenTelemetry's semantic conventions for Kafka] 1.44.0 (*send*, span kind CLIENT). What happens meanwhile are events in it.
///
/// ```
/// use kafka_batch_transport::{ProducerBuilder, TracingObserver};
///
/// # fn builder<R>(builder: ProducerBuilder<R>) -> ProducerBuilder<R> {
/// builder.observer(TracingObserver::new())
/// # }
/// ```
///
/// The target of all spans and events is `kafka_batch`. The parent of a span is the current span of the task that sends the batch; a
/// batch of single messages, which can be from many tasks, has none.
///
/// | field of the span (level INFO) | value |
/// |---|---|
/// | `messaging.system` | `kafka` |
/// | `messaging.operation.name`, `messaging.operation.type` | `send` |
/// | `messaging.destination.name`, `messaging.destination.partition.id` | topic and partition |
/// | `messaging.batch.message_count` | the number of records |
/// | `messaging.client.id` | `client.id` |
/// | `server.address`, `server.port` | the broker that the batch was last sent to |
/// | `messaging.kafka.offset` | the offset, if the batch has one record |
/// | `kafka_batch.base_offset` | the offset of the first record |
/// | `kafka_batch.size` | the size before compression, in bytes |
/// | `error.type` | after a failure: Kafka's name of the broker's error, such as `MESSAGE_TOO_LARGE`; `timeout`, `unknown_partition`, `conversion`, `codec`, `seal`, `too_large`, `request`, `transaction_aborted`, `closed`, `stopped`, `transport`; `not_accepted` if the caller has the error or has dropped the future, and if the producer's task has panicked; `_OTHER` |
/// | `kafka_batch.fate` | after a failure: `not written`, `written` or `unknown, perhaps written`, if it is the same for all records |
/// | `otel.name`, `otel.kind`, `otel.status_code`, `otel.status_description` | what the crate `tracing-opentelemetry` makes name, kind and status of the span of |
///
/// | event | level | fields |
/// |---|---|---|
/// | sent | DEBUG | `broker`, `server.address`, `server.port`, `attempt` |
/// | retry | WARN | `broker`, `failures`, `error.type` (`no_response` if there was none), `backoff_ms` |
/// | leader change | DEBUG | `previous`, `leader` |
/// | throttled | DEBUG | `broker`, `server.address`, `server.port`, `time_ms` |
/// | producer id | DEBUG | `producer_id`, `epoch` |
///
/// Each of the last three also is one event of level INFO outside of any span, with the topic and the partition of a leader change.
///
/// Messages get no headers by this: [`ProducerBuilder::inject_headers`](crate::ProducerBuilder::inject_headers) adds those of a trace.
///
/// [OpenTelemetry's semantic conventions for Kafka]: https://opentelemetry.io/docs/specs/semconv/messaging/kafka/
#[derive(Clone, Copy, Debug, Default)]
pub struct TracingObserver(());

impl TracingObserver {
    /// Creates an observer.
    #[must_use]
    pub const fn new() -> Self {
        Self(())
    }
}

/// The span of a batch.
#[derive(Debug)]
pub struct BatchSpan {
    span: Span,
    has_outcome: bool,
}

impl BatchSpan {
    fn fail(&mut self, error_type: &str) {
        self.span.record("error.type", error_type);
        self.span.record("otel.status_code", "ERROR");
        self.has_outcome = true;
    }
}

impl Drop for BatchSpan {
    fn drop(&mut self) {
        if !self.has_outcome {
            self.fail("not_accepted");
        }
    }
}

impl Observer for TracingObserver {
    type Batch = BatchSpan;

    fn before_seal(&self, batch: &BatchToSeal<'_>) -> BatchSpan {
        let BatchToSeal { topic, partition, batch, client_id, .. } = *batch;
        let span = tracing::span!(
            target: TARGET,
            Level::INFO,
            "send",
            otel.name = %format_args!("send {topic}"),
            otel.kind = "client",
            otel.status_code = Empty,
            otel.status_description = Empty,
            messaging.system = "kafka",
            messaging.operation.name = "send",
            messaging.operation.type = "send",
            messaging.destination.name = topic,
            messaging.destination.partition.id = %partition,
            messaging.batch.message_count = batch.record_count(),
            messaging.client.id = client_id,
            messaging.kafka.offset = Empty,
            server.address = Empty,
            server.port = Empty,
            error.type = Empty,
            kafka_batch.base_offset = Empty,
            kafka_batch.size = batch.size(),
            kafka_batch.fate = Empty,
        );
        BatchSpan { span, has_outcome: false }
    }

    fn on_sent(&self, batch: &mut BatchSpan, sent: &Sent<'_>) {
        let Sent { broker, host, port, attempt, .. } = *sent;
        batch.span.record("server.address", host);
        batch.span.record("server.port", port);
        event!(
            target: TARGET, parent: &batch.span, Level::DEBUG,
            broker, server.address = host, server.port = port, attempt, "sent"
        );
    }

    fn on_retry(&self, batch: &mut BatchSpan, retry: &Retry) {
        let Retry { broker, failures, error, backoff, .. } = *retry;
        let error_type = error.map_or("no_response", |code| code.name().unwrap_or("_OTHER"));
        let backoff_ms = backoff.as_millis() as u64;
        event!(
            target: TARGET, parent: &batch.span, Level::WARN,
            broker, failures, error.type = error_type, backoff_ms, "retry"
        );
    }

    fn on_change(&self, change: &Change) {
        match change {
            Change::Leader { topic, partition, previous, leader } => event!(
                target: TARGET, parent: None, Level::INFO,
                messaging.destination.name = &**topic, messaging.destination.partition.id = %partition,
                previous, leader, "leader change"
            ),
            Change::Throttled { broker, host, port, time } => event!(
                target: TARGET, parent: None, Level::INFO,
                broker, server.address = &**host, server.port = port, time_ms = time.as_millis() as u64, "throttled"
            ),
            Change::ProducerId { current, .. } => event!(
                target: TARGET, parent: None, Level::INFO,
                producer_id = current.producer_id, epoch = current.epoch, "producer id"
            ),
            _ => {}
        }
    }

    fn on_change_during(&self, batch: &mut BatchSpan, change: &Change) {
        let span = &batch.span;
        match change {
            Change::Leader { previous, leader, .. } => {
                event!(target: TARGET, parent: span, Level::DEBUG, previous, leader, "leader change");
            }
            Change::Throttled { broker, host, port, time } => event!(
                target: TARGET, parent: span, Level::DEBUG,
                broker, server.address = &**host, server.port = port, time_ms = time.as_millis() as u64, "throttled"
            ),
            Change::ProducerId { current, .. } => event!(
                target: TARGET, parent: span, Level::DEBUG,
                producer_id = current.producer_id, epoch = current.epoch, "producer id"
            ),
            _ => {}
        }
    }

    fn on_acknowledgement(&self, mut batch: BatchSpan, delivery: &Delivery) {
        batch.has_outcome = true;
        if let Some(offset) = delivery.base_offset() {
            batch.span.record("kafka_batch.base_offset", offset);
            if delivery.record_count() == 1 {
                batch.span.record("messaging.kafka.offset", offset);
            }
        }
    }

    fn on_failure(&self, mut batch: BatchSpan, error: &DeliveryError) {
        batch.fail(error_type(&error.reason));
        batch.span.record("otel.status_description", tracing::field::display(&error.reason));
        if let Some(fate) = error.fate() {
            batch.span.record("kafka_batch.fate", tracing::field::display(fate));
        }
    }
}

fn error_type(reason: &FailureReason) -> &'static str {
    if let Some(code) = reason.code() {
        return code.name().unwrap_or("_OTHER");
    }
    match reason {
        FailureReason::TimedOut { .. } => "timeout",
        FailureReason::UnknownPartition { .. } => "unknown_partition",
        FailureReason::Conversion(_) => "conversion",
        FailureReason::Codec(_) => "codec",
        FailureReason::Seal(_) => "seal",
        FailureReason::Append(_) => "too_large",
        FailureReason::Request(_) => "request",
        FailureReason::TransactionAborted => "transaction_aborted",
        FailureReason::Closed => "closed",
        FailureReason::Stopped => "stopped",
        FailureReason::Transport(_) => "transport",
        _ => "_OTHER",
    }
}
