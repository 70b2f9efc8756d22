"""The statistics of a producer: `Producer.stats` returns a `Stats`, a snapshot as plain values.

Counters only grow, so a rate is the difference of two snapshots, divided by the difference of their `Stats.at`. Names are those of
the Java client's metrics, with ``_`` for ``-``. Sizes are bytes, times are seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

__all__ = [
    "AcceptedByReason",
    "AcceptedStats",
    "BatchStats",
    "BrokerStats",
    "BufferStats",
    "Stats",
    "Timing",
    "TopicStats",
]


def _quotient(dividend: float, divisor: int) -> float | None:
    return dividend / divisor if divisor > 0 else None


@dataclass(frozen=True)
class Timing:
    """Times that were measured."""

    count: int
    """How many."""
    total: float
    """Their sum, in seconds."""
    max: float
    """The longest since the producer was created, in seconds."""

    def avg(self) -> float | None:
        """Return their average in seconds, or ``None`` if there is none."""
        return _quotient(self.total, self.count)

    def avg_since(self, earlier: Timing) -> float | None:
        """Return the average of the times since an earlier snapshot of the same producer, or ``None`` if there is none."""
        return _quotient(self.total - earlier.total, self.count - earlier.count)


@dataclass(frozen=True)
class AcceptedStats:
    """Accepted batches, and how full they were."""

    batch_total: int
    """Batches."""
    record_total: int
    """Their records."""
    byte_total: int
    """Their bytes before compression, headers included."""
    limit_total: int
    """The sum of their limits (``batch_size``), in bytes."""

    def fill_avg(self) -> float | None:
        """Return bytes before compression ÷ ``batch_size``, weighted by ``batch_size``. May exceed 1, since the first record of a
        batch is taken whatever its size.
        """
        return _quotient(self.byte_total, self.limit_total)

    def records_per_batch_avg(self) -> float | None:
        """Return the average number of records in a batch."""
        return _quotient(self.record_total, self.batch_total)


@dataclass(frozen=True)
class AcceptedByReason:
    """Accepted batches by why each was sent when it was."""

    full: AcceptedStats
    """It had no room for the next message."""
    linger: AcceptedStats
    """``linger_ms`` had passed since its first message."""
    flush: AcceptedStats
    """A flush, a close, the end of a transaction, or another batch for the partition, which must not overtake it."""
    memory: AcceptedStats
    """Memory was scarce: a call waited for ``buffer_memory``."""
    explicit: AcceptedStats
    """The program has filled it, and passed it as a whole."""

    def sum(self) -> AcceptedStats:
        """Return their sum."""
        each = (self.full, self.linger, self.flush, self.memory, self.explicit)
        return AcceptedStats(
            batch_total=sum(one.batch_total for one in each),
            record_total=sum(one.record_total for one in each),
            byte_total=sum(one.byte_total for one in each),
            limit_total=sum(one.limit_total for one in each),
        )


@dataclass(frozen=True)
class BatchStats:
    """Counters of batches and their records. Each attempt to send a batch counts as sent, as in the Java client."""

    accepted: AcceptedByReason
    """Batches that were accepted, by why each was sent when it was."""
    sealed_byte_total: int
    """The sealed size of the accepted batches in bytes."""
    batch_size_max: int
    """The largest sealed size of an accepted batch, in bytes."""
    record_send_total: int
    """Records in Produce requests. A record that is sent again counts again."""
    byte_total: int
    """Bytes of batches in Produce requests."""
    batch_send_total: int
    """Batches in Produce requests."""
    record_retry_total: int
    """Those of ``record_send_total`` that were in a request before."""
    batch_retry_total: int
    """Those of ``batch_send_total`` that were in a request before."""
    record_queue_time: Timing
    """How long batches waited before they were sent for the first time."""
    record_ack_total: int
    """Records that are in the log (with ``acks=0``: that were sent)."""
    batch_ack_total: int
    """Batches that are in the log (with ``acks=0``: that were sent)."""
    ack_time: Timing
    """The time from the acceptance of a batch to its acknowledgement."""
    record_error_total: int
    """Records that failed for good."""
    batch_error_total: int
    """Batches that failed for good."""
    no_response_total: int
    """Batches in requests without a usable response. They are retried."""
    batch_split_total: int
    """Batches, or parts of batches, that were split because they were too large."""
    errors: Mapping[str, int]
    """How many batches brokers have answered with each error code, by Kafka's name of the code, whether they were retried or failed."""
    unknown_error_total: int
    """How many batches brokers have answered with codes that this version does not know."""

    def batch_size_avg(self) -> float | None:
        """Return the average sealed size of an accepted batch, in bytes."""
        return _quotient(self.sealed_byte_total, self.accepted.sum().batch_total)

    def compression_rate_avg(self) -> float | None:
        """Return bytes after compression ÷ bytes before, of accepted batches, headers included."""
        return _quotient(self.sealed_byte_total, self.accepted.sum().byte_total)


@dataclass(frozen=True)
class TopicStats:
    """The batches of one topic."""

    topic: str
    """The name of the topic."""
    batches: BatchStats
    """The batches that were sent to it."""
    oldest_batch_age: float | None
    """The age of the oldest batch without an outcome in seconds, or ``None`` if there is no such batch."""


@dataclass(frozen=True)
class BrokerStats:
    """One broker, or a bootstrap server."""

    id: int | None
    """``None`` for a bootstrap server; the broker that it is has another entry."""
    host: str
    """Host name or IP address."""
    port: int
    """Port."""
    is_connected: bool
    """Whether a connection to it is established now."""
    connection_creation_total: int
    """Connections that were established."""
    connection_close_total: int
    """Established connections that have ended, for whatever reason."""
    connection_error_total: int
    """Connections that could not be established, or were lost while they were in use."""
    failed_authentication_total: int
    """Connections that failed because the authentication did, of either side."""
    request_total: int
    """Requests that were sent, of all kinds."""
    response_total: int
    """Responses that were received."""
    outgoing_byte_total: int
    """Bytes of requests, before TLS."""
    incoming_byte_total: int
    """Bytes that were received, after TLS."""
    request_latency: Timing
    """From a Produce request to its response."""
    produce_throttle_time: Timing
    """The throttle times in Produce responses, most of them zero."""
    throttled_for: float
    """For how many seconds no request is sent to it, because it throttles this client."""
    requests_in_flight: int
    """Requests that wait for a response now."""

    @property
    def address(self) -> str:
        """Its address, as ``host:port``."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class BufferStats:
    """The use of ``buffer_memory``."""

    buffer_total_bytes: int
    """``buffer_memory`` in bytes."""
    buffer_available_bytes: int
    """The part that is not in use, in bytes."""
    batches_in_use: int
    """Accepted batches without an outcome."""
    waiting: int
    """Calls that wait for room now."""
    bufferpool_wait_time: Timing
    """How long calls waited for room, if they had to."""
    buffer_exhausted_total: int
    """Batches that were refused because there was no room. A producer waits instead."""


@dataclass(frozen=True)
class Stats:
    """What a producer has done so far, and its present state."""

    at: float
    """When the snapshot was taken, in seconds since the producer was created."""
    total: BatchStats
    """The batches of all topics, also of topics that are forgotten."""
    topics: tuple[TopicStats, ...]
    """The known topics, by name. One for which nothing was sent for ``metadata_max_idle_ms`` is forgotten."""
    brokers: tuple[BrokerStats, ...]
    """The brokers that the producer has connected to: bootstrap servers, then brokers by their id."""
    buffer: BufferStats
    """The use of ``buffer_memory``."""
    metadata_age: float | None
    """The seconds since the last Metadata response that was used, or ``None`` before the first."""
    client_instance_id: str | None
    """The id of this client instance (KIP-714), or ``None`` before a broker has assigned one."""

    def connection_count(self) -> int:
        """Return the number of connections that are established now."""
        return sum(broker.is_connected for broker in self.brokers)

    def requests_in_flight(self) -> int:
        """Return the number of requests that wait for a response now, at all brokers."""
        return sum(broker.requests_in_flight for broker in self.brokers)

    def oldest_batch_age(self) -> float | None:
        """Return the age of the oldest batch without an outcome in seconds, or ``None`` if there is no such batch."""
        ages = (topic.oldest_batch_age for topic in self.topics)
        return max((age for age in ages if age is not None), default=None)


# What the native part returns: a dictionary for each class.
_Raw: TypeAlias = "dict[str, Any]"


def _with_times(raw: _Raw, *names: str) -> _Raw:
    return {name: Timing(**value) if name in names else value for name, value in raw.items()}


def _batches(raw: _Raw) -> BatchStats:
    each: dict[str, _Raw] = raw["accepted"]
    accepted = AcceptedByReason(**{reason: AcceptedStats(**counters) for reason, counters in each.items()})
    fields: _Raw = {**_with_times(raw, "record_queue_time", "ack_time"), "accepted": accepted}
    return BatchStats(**fields)


def _topic(raw: _Raw) -> TopicStats:
    return TopicStats(raw["topic"], _batches(raw["batches"]), raw["oldest_batch_age"])


def to_stats(raw: _Raw) -> Stats:
    """Return the statistics that the native part has returned as dictionaries. Not for programs."""
    topics: list[_Raw] = raw["topics"]
    brokers: list[_Raw] = raw["brokers"]
    return Stats(
        at=raw["at"],
        total=_batches(raw["total"]),
        topics=tuple(map(_topic, topics)),
        brokers=tuple(BrokerStats(**_with_times(one, "request_latency", "produce_throttle_time")) for one in brokers),
        buffer=BufferStats(**_with_times(raw["buffer"], "bufferpool_wait_time")),
        metadata_age=raw["metadata_age"],
        client_instance_id=raw["client_instance_id"],
    )
