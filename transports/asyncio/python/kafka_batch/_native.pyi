"""The native part of kafka-batch."""

from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, final, overload

from ._types import Headers, Octets, Split

@final
class RecordMetadata:
    """The metadata of an appended record. Has the attributes of aiokafka's `DefaultRecordMetadata`."""

    @property
    def offset(self) -> int:
        """The position in the batch, counted from 0."""
    @property
    def size(self) -> int:
        """The encoded size in bytes, before compression."""
    @property
    def timestamp(self) -> int:
        """The timestamp in milliseconds since the epoch; -1 before Kafka 0.10."""
    @property
    def crc(self) -> int | None:
        """The checksum; ``None`` from Kafka 0.11 on."""
    def __eq__(self, other: object, /) -> bool: ...

@final
class Record:
    """A record of a batch, as it is read back."""

    @property
    def offset(self) -> int:
        """The position in the batch, counted from 0."""
    @property
    def timestamp(self) -> int:
        """The timestamp in milliseconds since the epoch."""
    @property
    def key(self) -> bytes | None:
        """The key."""
    @property
    def value(self) -> bytes | None:
        """The value. ``None`` is null, a tombstone on a compacted topic."""
    @property
    def headers(self) -> tuple[tuple[str, bytes | None], ...]:
        """The headers, in order. Names may repeat."""

@final
class Mark:
    """A position in a batch, for `KafkaBatch.rollback`."""

@final
class KafkaBatch:
    """A batch of records for one partition, which the program fills and sends as it is.

    Every method can be called from any thread. While one thread seals the batch, the others wait.

    Messages are bytes-like, text (the header ``content-type`` is ``text/plain``), ``None`` (an empty value; null, if
    there is a key), a `Message`, or anything that is encoded as JSON (``application/json``).

    Headers are a mapping or pairs of name and value. ``headers`` replace ``correlation_id`` and ``reply_to``, these
    replace ``content-type``, and a message's own headers replace all of them, each by name.
    """

    def __new__(
        cls,
        *messages: object,
        timestamp_ms: int | None = None,
        headers: Headers | None = None,
        reply_to: str = "",
        correlation_id: str | None = None,
        batch_size: int | None = 16384,
        compression_type: str | None = None,
        api_version: str | None = "auto",
        is_transactional: bool | None = False,
        max_message_bytes: int = 1_048_588,
        max_records: int | None = None,
        boundary: Literal["inclusive", "aiokafka"] = "inclusive",
        key: Octets | str | None = None,
    ) -> KafkaBatch:
        """Create a batch that holds these messages.

        ``batch_size`` is the soft limit in bytes before compression (Kafka's ``batch.size``); the first record may
        exceed it. ``max_message_bytes`` is the hard limit of what is sent (``message.max.bytes``). With a ``boundary``
        of ``aiokafka``, a batch stays below ``batch_size`` instead of reaching it.

        ``compression_type`` is ``gzip``, ``snappy``, ``lz4`` or ``zstd``, the first and the last with an optional
        level (``gzip:9``). ``api_version`` is a broker's version, which matters before 0.11 only.
        ``is_transactional`` demands a transactional producer.

        Raises `BatchBufferOverflowError` if the messages do not fit, and `ValueError` for settings that do not exist.
        """

    @overload
    def append(
        self,
        message: object,
        timestamp_ms: int | None = None,
        headers: Headers | None = None,
        reply_to: str = "",
        correlation_id: str | None = None,
        *,
        key: Octets | str | None = None,
    ) -> RecordMetadata | None: ...
    @overload
    def append(
        self,
        *,
        value: Octets | None,
        key: Octets | str | None = None,
        timestamp: int | None = None,
        headers: Headers | None = None,
    ) -> RecordMetadata | None:
        """Append a message, or a record as aiokafka's ``BatchBuilder.append`` takes it.

        Return the metadata of the record, or ``None`` if the batch is full or closed: it is then unchanged, and a
        smaller record may still fit. Raises `AppendError` if no batch with these settings can hold the record.
        """

    def extend(
        self,
        *messages: object,
        timestamp_ms: int | None = None,
        headers: Headers | None = None,
        reply_to: str = "",
        correlation_id: str | None = None,
        key: Octets | str | None = None,
    ) -> None:
        """Append messages in order, up to the first one that does not fit.

        Raises `BatchBufferOverflowError` or `AppendError` with its ``message_position``; those before it stay.
        """

    def try_extend(
        self,
        *messages: object,
        timestamp_ms: int | None = None,
        headers: Headers | None = None,
        reply_to: str = "",
        correlation_id: str | None = None,
        key: Octets | str | None = None,
    ) -> None:
        """Append all the messages or none. Raises as `extend`."""

    def fill_from(
        self,
        messages: Sequence[object],
        start: int = 0,
        *,
        timestamp_ms: int | None = None,
        headers: Headers | None = None,
        reply_to: str = "",
        correlation_id: str | None = None,
        key: Octets | str | None = None,
    ) -> int:
        """Append messages from ``messages[start]`` on until one does not fit. Return how many were appended.

        Raises `AppendError`, whose ``message_position`` is an index of ``messages``; those before it stay.
        """

    @overload
    def cost(
        self,
        message: object,
        timestamp_ms: int | None = None,
        headers: Headers | None = None,
        reply_to: str = "",
        correlation_id: str | None = None,
        *,
        key: Octets | str | None = None,
    ) -> int: ...
    @overload
    def cost(
        self,
        *,
        value: Octets | None,
        key: Octets | str | None = None,
        timestamp: int | None = None,
        headers: Headers | None = None,
    ) -> int:
        """Return the bytes that `append` with these arguments would add now."""

    @overload
    def fits(
        self,
        message: object,
        timestamp_ms: int | None = None,
        headers: Headers | None = None,
        reply_to: str = "",
        correlation_id: str | None = None,
        *,
        key: Octets | str | None = None,
    ) -> bool: ...
    @overload
    def fits(
        self,
        *,
        value: Octets | None,
        key: Octets | str | None = None,
        timestamp: int | None = None,
        headers: Headers | None = None,
    ) -> bool:
        """Return whether `append` with these arguments would append now."""

    def room(self) -> int:
        """Return the bytes left. An empty batch also takes one larger record."""
    def size(self) -> int:
        """Return the size in bytes, header included: before compression until the batch is sealed, then as it is sent."""
    def record_count(self) -> int:
        """Return the number of records."""
    def closed(self) -> bool:
        """Return whether the batch takes no further records."""
    def close(self) -> None:
        """Take no further records."""
    def mark(self) -> Mark:
        """Return a mark at the current end. Raises `BatchSealedError`."""
    def rollback(self, mark: Mark) -> None:
        """Remove every record appended since the mark was made. Raises `RollbackError` or `BatchSealedError`."""
    def seal(self) -> int:
        """Compress the batch, check the hard limit, and return the size in bytes as it is sent.

        Other threads run meanwhile. Has no effect the second time. Raises `SealError`, after which the batch is still open.
        """
    def split(self, max_message_bytes: int) -> Split:
        """Return sealed batches of at most ``max_message_bytes`` bytes each, which have the records of this one. It is unchanged.

        A batch of several records is split into at least two.
        """
    def next_batch(self) -> KafkaBatch:
        """Return an empty batch with the settings of this one."""
    def copy(self) -> KafkaBatch:
        """Return another batch with the same records, which is open unless this one was closed by `close`.

        Raises `BatchSentError` if the batch moved into a producer, which returns it with its error.
        """
    @property
    def is_transactional(self) -> bool:
        """Whether the batch demands a transactional producer."""
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Record]: ...
    def _is_slow_to_seal(self) -> bool: ...
    def _builder(self, *, idempotent: bool, transactional: bool) -> Builder: ...
    def _unclaim(self) -> None: ...

@final
class Builder:
    """A sealed batch, as aiokafka's sender calls it."""

@final
class Cluster:
    """A Kafka cluster in this process, for tests. Its brokers listen on ports of 127.0.0.1 until it is stopped."""

    def __new__(
        cls,
        topics: Mapping[str, int] | None = None,
        *,
        brokers: int = 1,
        auto_create_topics: bool = True,
        plain_users: Mapping[str, str] | None = None,
        scram_users: Mapping[str, str] | None = None,
    ) -> Cluster:
        """Start a cluster with topics that have these numbers of partitions. Others are created on request.

        With users (names and passwords), clients have to authenticate by SASL.
        """
    @property
    def bootstrap_servers(self) -> str:
        """The addresses of the brokers, separated by commas. Raises `RuntimeError` once the cluster is stopped."""
    def topics(self) -> list[str]:
        """Return the names of the topics."""
    def records(self, topic: str, partition: int = 0) -> list[Record]:
        """Return the records of a partition. Raises `KeyError` if there is no such partition."""
    def committed_records(self, topic: str, partition: int = 0) -> list[Record]:
        """Return the records that a consumer with ``isolation_level="read_committed"`` reads."""
    def committed_offsets(self, group: str) -> dict[tuple[str, int], int]:
        """Return the offsets that a group has committed, by topic and partition."""
    def wait_for_records(self, count: int, topic: str, partition: int = 0, *, timeout: float = 10) -> list[Record]:
        """Return the records of a partition as soon as there are ``count``. Other threads run meanwhile.

        Raises `TimeoutError` after ``timeout`` seconds.
        """
    def batches(self, topic: str, partition: int = 0) -> list[int]:
        """Return the number of records of each batch of a partition."""
    def leader(self, topic: str, partition: int = 0) -> int | None:
        """Return the leader of a partition, if it has one."""
    def move_leader(self, topic: str, partition: int, to: int) -> bool:
        """Make another broker the leader of a partition. Return whether both exist."""
    def cut(self, broker: int) -> None:
        """Close a broker's connections."""
    def inject(
        self,
        fault: Literal[
            "error", "error_after_write", "reject_records", "drop_request", "drop_response", "close_before", "close_after"
        ],
        *,
        api: str | None = "Produce",
        code: int | None = None,
        positions: Sequence[int] | None = None,
        topic: str | None = None,
        partition: int | None = None,
        after: int = 0,
        times: int = 1,
    ) -> None:
        """Apply a fault to later requests of an API: skip ``after`` of them, and apply it to the next ``times``.

        ``error`` refuses them with an error ``code``, ``error_after_write`` executes them before. ``reject_records`` rejects the
        records at ``positions``. ``drop_request`` and ``close_before`` do not execute them, ``drop_response`` and
        ``close_after`` do.
        """
    def end_faults(self) -> None:
        """Remove the faults that have not been applied."""
    def violations(self) -> list[str]:
        """Return what clients sent that no broker accepts, such as malformed batches."""
    def kill(self, broker: int) -> bool:
        """Stop a broker (they are numbered from 1), as a crash does. Return whether it was running."""
    def restart(self, broker: int) -> bool:
        """Start a killed broker at its address. Return whether it was down."""
    def stop(self) -> None:
        """Stop all brokers. Has no effect the second time."""
    def __enter__(self) -> Cluster: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...

@final
class Delivery:
    """A batch that is in the log (with ``acks=0``: that was sent)."""

    @property
    def topic(self) -> str:
        """The topic."""
    @property
    def partition(self) -> int:
        """The partition."""
    @property
    def base_offset(self) -> int | None:
        """The offset of the first record; ``None`` with ``acks=0``."""
    @property
    def log_append_time(self) -> int | None:
        """The broker's timestamp in milliseconds, if the topic has ``message.timestamp.type=LogAppendTime``."""
    def offset(self, position: int) -> int | None:
        """Return the offset of the record at this position of the batch. Raises `IndexError`."""
    def timestamp(self, position: int) -> int | None:
        """Return the timestamp of the record at this position, in milliseconds since the epoch. Raises `IndexError`."""
    def batch(self) -> KafkaBatch:
        """Return a batch with the same records, which is open."""
    def __len__(self) -> int: ...

@final
class RecordDelivery:
    """A message that is in the log (with ``acks=0``: that was sent)."""

    @property
    def topic(self) -> str:
        """The topic."""
    @property
    def partition(self) -> int:
        """The partition."""
    @property
    def offset(self) -> int | None:
        """The offset; ``None`` with ``acks=0``."""
    @property
    def timestamp(self) -> int:
        """The timestamp in milliseconds since the epoch."""
    def __eq__(self, other: object, /) -> bool: ...

@final
class Machine:
    """A producer without event loop and timer. `_driver.Driver` has them."""

    def __new__(
        cls, settings: Sequence[tuple[str, str]], *, max_message_bytes: int | None, split_too_large: bool, seed: int
    ) -> Machine: ...
    @property
    def over_tls(self) -> bool: ...
    @property
    def setup_timeout(self) -> float: ...
    @property
    def address_family(self) -> Literal["any", "v4", "v6"]: ...
    @property
    def socket_options(self) -> tuple[int | None, int | None, int | None]: ...
    def batch(self) -> KafkaBatch: ...
    def send_batch(self, batch: KafkaBatch, topic: str, partition: int | None) -> tuple[int, bool]: ...
    def reclaim(self, id: int, batch: KafkaBatch) -> bool: ...
    def send(
        self,
        topic: str,
        message: object,
        partition: int | None,
        key: Octets | str | None,
        headers: Headers | None,
        timestamp_ms: int | None,
        correlation_id: str | None,
        reply_to: str,
    ) -> int: ...
    def partition_count(self, topic: str) -> int: ...
    def init_transactions(self) -> int: ...
    def begin_transaction(self) -> int: ...
    def send_offsets(
        self, group: tuple[str, int, str, str | None], offsets: Sequence[tuple[str, int, int, str]]
    ) -> int: ...
    def commit_transaction(self) -> int: ...
    def abort_transaction(self) -> int: ...
    def stats(self) -> int: ...
    def flush(self) -> int: ...
    def close(self, at_once: bool) -> int: ...
    def cancel(self, id: int) -> None: ...
    def open_socket(self, connection: int, is_ipv6: bool) -> int | None: ...
    def connected(self, connection: int) -> None: ...
    def received(self, connection: int, bytes: bytes) -> None: ...
    def transmitted(self, connection: int, frames: int) -> bool: ...
    def overflow_written(self, connection: int) -> None: ...
    def disconnected(self, connection: int, how: str, errno: int | None, text: str | None) -> None: ...
    def pump(self) -> tuple[list[tuple[Any, ...]], float | None, bool]: ...

def setting_names() -> list[str]: ...
