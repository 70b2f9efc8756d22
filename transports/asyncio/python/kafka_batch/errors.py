"""The exceptions of kafka-batch. All of them are `KafkaBatchError`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from ._native import KafkaBatch

Fate: TypeAlias = Literal["written", "not_written", "unknown"]


class KafkaBatchError(Exception):
    """The base of all exceptions of this package."""


class BatchBufferOverflowError(KafkaBatchError):
    """The batch was full before all the messages were appended."""

    message_position: int
    """The position among the messages of the call, counted from 0, of the first one that did not fit."""
    needed: int
    """The bytes that it would have added; 0 if the batch was closed."""
    available: int
    """The bytes that were left."""
    reason: str
    """The limit: ``batch_size``, ``max_message_bytes``, ``max_records``, ``format`` or ``closed``."""
    limit: int | None
    """The limit in bytes or records."""

    def __init__(
        self,
        message_position: int,
        needed: int = 0,
        available: int = 0,
        reason: str = "closed",
        limit: int | None = None,
        text: str = "the batch is closed",
    ) -> None:
        """Create the error of a message at this position."""
        super().__init__(message_position, needed, available, reason, limit, text)
        self.message_position = message_position
        self.needed = needed
        self.available = available
        self.reason = reason
        self.limit = limit
        self._text = text

    def __str__(self) -> str:
        """Return the position and the reason."""
        return f"the batch is full at position {self.message_position}: {self._text}"


class AppendError(KafkaBatchError, ValueError):
    """No batch with these settings can hold the record. The batch is unchanged."""

    message_position: int | None
    """The position among the messages of the call, counted from 0; ``None`` if the call has one message."""

    def __init__(self, text: str, message_position: int | None = None) -> None:
        """Create the error of a message at this position."""
        super().__init__(text, message_position)
        self.message_position = message_position
        self._text = text

    def __str__(self) -> str:
        """Return the reason, with the position if there is one."""
        if self.message_position is None:
            return self._text
        return f"message {self.message_position} cannot be appended: {self._text}"


class EncodeError(AppendError):
    """The message could not be encoded. ``__cause__`` is the encoder's exception."""

    def __str__(self) -> str:
        """Return the encoder's text, with the position if there is one."""
        where = "" if self.message_position is None else f" at position {self.message_position}"
        return f"the message{where} could not be encoded: {self._text}"


class SealError(KafkaBatchError):
    """The batch could not be sealed. It is unchanged."""

    reason: str
    """``empty``, ``too_large`` or ``compression``."""
    record_count: int | None
    """The number of records."""
    size: int | None
    """The size in bytes as the batch would be sent, if it is too large."""
    limit: int | None
    """The limit in bytes, if the batch exceeds it. `KafkaBatch.split` takes it."""

    def __init__(
        self, text: str, reason: str, record_count: int | None = None, size: int | None = None, limit: int | None = None
    ) -> None:
        """Create the error of a batch."""
        super().__init__(text, reason, record_count, size, limit)
        self.reason = reason
        self.record_count = record_count
        self.size = size
        self.limit = limit
        self._text = text

    def __str__(self) -> str:
        """Return the reason as a sentence."""
        return self._text


class BatchSealedError(KafkaBatchError):
    """The call needs an open batch, and this one is sealed or sent."""

    def __str__(self) -> str:
        """Return the reason and the remedy."""
        return "the batch is sealed: its records are final; to append, use the open copy that batch.copy() returns"


class BatchSentError(KafkaBatchError):
    """The batch was sent before."""

    def __str__(self) -> str:
        """Return the reason and the remedy."""
        return "the batch was given to a producer before: to send the same records again, send a copy made by batch.copy()"


class RollbackError(KafkaBatchError):
    """The mark is of another batch, an earlier rollback removed it, or the batch is closed. The batch is unchanged."""


class ConfigError(KafkaBatchError, ValueError):
    """A setting of a producer is unknown, out of range, or in conflict with another one."""


class SendError(KafkaBatchError):
    """A batch or message was not accepted by the producer, and nothing of it was sent."""

    is_retriable: bool
    """Whether sending it again later may succeed."""

    def __init__(self, text: str, is_retriable: bool = False) -> None:
        """Create the error."""
        super().__init__(text, is_retriable)
        self.is_retriable = is_retriable
        self._text = text

    def __str__(self) -> str:
        """Return the reason."""
        return self._text


class RecordError(NamedTuple):
    """A record that the broker rejected, and with it the whole batch."""

    position: int
    """The position in the batch, counted from 0."""
    message: str | None
    """The broker's message, if it returned one."""


class DeliveryError(KafkaBatchError):
    """An accepted batch or message failed."""

    topic: str
    """The topic."""
    partition: int
    """The partition."""
    fate: Fate | None
    """Whether it is in the log: ``written``, ``not_written``, or ``unknown`` if either is possible. ``None`` if the records of
    a batch, which was sent in parts, have different ones."""
    fates: list[Fate]
    """The fate of each record."""
    record_errors: list[RecordError]
    """The records that the broker rejected, if it named them."""
    batch: KafkaBatch | None
    """The batch, open, to be sent again. ``None`` for a message, or if the batch is lost."""
    is_retriable: bool
    """Whether sending it again may succeed. That cannot write a record twice only if its fate is ``not_written``."""

    def __init__(
        self,
        text: str,
        topic: str,
        partition: int,
        fate: Fate | None,
        fates: list[Fate],
        record_errors: list[tuple[int, str | None]],
        batch: KafkaBatch | None = None,
        is_retriable: bool = False,
    ) -> None:
        """Create the error."""
        super().__init__(text, topic, partition, fate, fates, record_errors, batch, is_retriable)
        self.topic = topic
        self.partition = partition
        self.fate = fate
        self.fates = fates
        self.record_errors = [RecordError(*error) for error in record_errors]
        self.batch = batch
        self.is_retriable = is_retriable
        self._text = text

    def __str__(self) -> str:
        """Return the reason and the fate."""
        return self._text


class TransactionError(KafkaBatchError):
    """The base of the errors of transactions. Each class says what to do next."""


class TransactionAbortedError(TransactionError):
    """The transaction is certainly not committed, and the producer goes on: begin again from the last committed offsets."""


class CommitUnknownError(TransactionError):
    """The transaction may be committed: create a new producer with the same ``transactional_id``, and then read the offsets of
    the group, or the records, to find out."""


class ProducerFencedError(TransactionError):
    """The transaction is certainly not committed, and another producer with this ``transactional_id`` has taken over: stop.

    With ``transaction.version`` 0 or 1, brokers answer in the same way after ``transaction_timeout_ms``: then build a new producer.
    """


class TransactionFatalError(TransactionError):
    """The transaction is certainly not committed, and this producer cannot go on: its permissions or the brokers' versions do
    not suffice, or it is closed."""


class InitTransactionsTimeoutError(TransactionError):
    """No coordinator has assigned a producer id within ``delivery_timeout_ms``: begin again."""


class CommitInterruptedError(TransactionError):
    """The end of the block of the transaction before was cancelled during the commit, which has ended meanwhile. This is raised
    once; then begin again."""

    error: TransactionError | None
    """How it failed; ``None`` if it is committed."""

    def __init__(self, error: TransactionError | None) -> None:
        """Create the error of a commit with this outcome."""
        super().__init__(error)
        self.error = error

    def __str__(self) -> str:
        """Return the outcome."""
        outcome = "it is committed" if self.error is None else str(self.error)
        return f"the commit of the transaction before was cancelled, and has ended: {outcome}"
