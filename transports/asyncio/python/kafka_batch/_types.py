"""The types of arguments and results that need no native code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from ._native import KafkaBatch

Octets: TypeAlias = "bytes | bytearray | memoryview"
HeaderValue: TypeAlias = "Octets | str | None"
Headers: TypeAlias = "Mapping[str, HeaderValue] | Iterable[tuple[str, HeaderValue]]"


@dataclass(frozen=True)
class Message:
    """A message that has a key, headers or a timestamp of its own.

    What is not set is taken from the call that appends the message, and the content type from the value. The headers are
    merged over those of the call. A value of ``None`` is a tombstone if there is a key, and empty otherwise.
    """

    value: object
    key: Octets | str | None = None
    headers: Headers | None = None
    timestamp_ms: int | None = None
    correlation_id: str | None = None
    reply_to: str | None = None
    content_type: str | None = None


class RecordTooLarge(NamedTuple):
    """A record that exceeds the limit even alone in a batch."""

    position: int
    """The position in the batch that was split."""
    size: int
    """The size in bytes of a batch with this record alone."""
    batch: KafkaBatch
    """A batch with this record alone."""


class Split(NamedTuple):
    """The result of `KafkaBatch.split`. Its two parts together have every record once."""

    parts: list[tuple[int, KafkaBatch]]
    """Sealed batches within the limit, each with the position of its first record in the batch that was split."""
    too_large: list[RecordTooLarge]
    """The records that exceed the limit."""
