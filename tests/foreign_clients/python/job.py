"""What the Python programs share: the job from standard input, and lines of JSON to standard output."""

from __future__ import annotations

import json
import sys
from base64 import b64decode, b64encode
from typing import Any


def read_job() -> tuple[str, str, dict[str, Any]]:
    """Return the addresses of brokers, the mode, and the job."""
    _, servers, mode = sys.argv
    return servers, mode, json.loads(sys.stdin.readline())


def emit(kind: str, **fields: Any) -> None:
    """Write a line."""
    print(json.dumps({kind: fields}))


def wait_for_line() -> None:
    """Report a pause, and wait until it ends."""
    print('"paused"', flush=True)
    sys.stdin.readline()


def decoded(text: str | None) -> bytes | None:
    """Return the bytes of base64."""
    return None if text is None else b64decode(text)


def encoded(field: bytes | None) -> str | None:
    """Return bytes as base64."""
    return None if field is None else b64encode(field).decode()


def arguments(record: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a producer's `send` for a record of the job."""
    return {
        "key": decoded(record["key"]),
        "value": decoded(record["value"]),
        "headers": [(name, decoded(value)) for name, value in record["headers"]],
        "timestamp_ms": record["timestamp"],
    }


def parts(job: dict[str, Any]) -> list[range]:
    """Return the positions of the records before and after the pause."""
    count, pause = len(job["records"]), job["pause_after"]
    return [range(count)] if pause is None else [range(pause), range(pause, count)]


def emit_record(record: Any) -> None:
    """Write a line for a record that a consumer has returned."""
    emit(
        "record",
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp=record.timestamp,
        key=encoded(record.key),
        value=encoded(record.value),
        headers=[(name, encoded(value)) for name, value in record.headers],
    )


class Progress:
    """Counts what has been read of each partition."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.counts = {(source["topic"], source["partition"]): source["count"] for source in job["partitions"]}
        self.read = dict.fromkeys(self.counts, 0)

    def add(self, record: Any) -> None:
        """Count a record."""
        self.read[record.topic, record.partition] += 1

    def reached(self, limit: int | None) -> bool:
        """Return whether everything, or this many records of each partition, has been read."""
        return all(
            self.read[partition] >= (count if limit is None else min(limit, count))
            for partition, count in self.counts.items()
        )
