"""Measures filling a batch: nanoseconds of processor time for a record, beside aiokafka's C builder and FastStream's loop over it.

All ways are measured in one process, in turns; printed is the median of the rounds. Values have 100 bytes::

    pip install ./transports/asyncio aiokafka==0.14.0
    python bench/python/filling.py
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version

from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from kafka_batch import KafkaBatch

VALUES = [(b"%08d " % number).ljust(100, b"v") for number in range(10_000)]
HEADERS = [("content-type", b"text/plain")]
NOW = 1_700_000_000_000

assert "_crecords" in DefaultRecordBatchBuilder.__module__, "aiokafka without its C extension"


def builder(size: int) -> BatchBuilder:
    """Return an empty batch of aiokafka."""
    return BatchBuilder(size, 0)


def batch(size: int) -> KafkaBatch:
    """Return an empty batch of this package with the same limit."""
    return KafkaBatch(batch_size=size, max_message_bytes=size + 100)


def aiokafka_append(values: list[bytes], size: int) -> object:
    """Append one by one, by aiokafka."""
    filled = builder(size)
    append = filled.append
    for value in values:
        append(timestamp=None, key=None, value=value)
    return filled


def append_keywords(values: list[bytes], size: int) -> object:
    """Append one by one, by the same call."""
    filled = batch(size)
    append = filled.append
    for value in values:
        append(timestamp=None, key=None, value=value)
    return filled


def append_message(values: list[bytes], size: int) -> object:
    """Append one by one, as messages."""
    filled = batch(size)
    append = filled.append
    for value in values:
        append(value)
    return filled


def extend(values: list[bytes], size: int) -> object:
    """Append all by one call."""
    filled = batch(size)
    filled.extend(*values)
    return filled


def fill_from(values: list[bytes], size: int) -> object:
    """Append what fits of a list."""
    filled = batch(size)
    filled.fill_from(values)
    return filled


def aiokafka_keyed(values: list[bytes], size: int) -> object:
    """Append one by one with key, header and timestamp, by aiokafka."""
    filled = builder(2 * size)
    append = filled.append
    for value in values:
        append(timestamp=NOW, key=b"key-0001", value=value, headers=HEADERS)
    return filled


def append_keyed(values: list[bytes], size: int) -> object:
    """Append one by one with key, header and timestamp."""
    filled = batch(2 * size)
    append = filled.append
    for value in values:
        append(timestamp=NOW, key=b"key-0001", value=value, headers=HEADERS)
    return filled


def faststream_loop(values: list[bytes], size: int) -> object:
    """Append as FastStream's `publish_batch` does with messages that are encoded already."""
    filled = builder(2 * size)
    headers = {"correlation_id": "c"}
    for value in values:
        own = headers.copy()
        filled.append(
            key=None, value=value, timestamp=None, headers=[(name, text.encode()) for name, text in own.items()]
        )
    return filled


def extend_correlated(values: list[bytes], size: int) -> object:
    """Append all by one call with the same header."""
    filled = batch(2 * size)
    filled.extend(*values, correlation_id="c")
    return filled


WAYS: list[tuple[Callable[[list[bytes], int], object], str, Callable[[list[bytes], int], object]]] = [
    (aiokafka_append, "aiokafka `append`", aiokafka_append),
    (append_keywords, "kafka_batch `append(key=, value=, timestamp=)`", aiokafka_append),
    (append_message, "kafka_batch `append(message)`", aiokafka_append),
    (extend, "kafka_batch `extend`", aiokafka_append),
    (fill_from, "kafka_batch `fill_from`", aiokafka_append),
    (aiokafka_keyed, "aiokafka `append` with key, header, timestamp", aiokafka_keyed),
    (append_keyed, "kafka_batch `append` with key, header, timestamp", aiokafka_keyed),
    (faststream_loop, "aiokafka in FastStream's loop", faststream_loop),
    (extend_correlated, "kafka_batch `extend(correlation_id=)`", faststream_loop),
]


def measure(size: int, rounds: int) -> list[tuple[str, float, float]]:
    """Return each way's nanoseconds for a record, and how many times as fast as its peer it is."""
    taken = batch(size).fill_from(VALUES)
    other = builder(size)
    fitting = [value for value in VALUES[:taken] if other.append(timestamp=None, key=None, value=value) is not None]
    assert 0 <= taken - len(fitting) <= 1  # aiokafka stays below the limit
    repeats = max(1, 20_000 // len(fitting))
    found: dict[str, list[float]] = {name: [] for _, name, _ in WAYS}
    for _ in range(rounds):
        for way, name, _ in WAYS:
            start = time.process_time_ns()
            for _ in range(repeats):
                way(fitting, size)
            found[name].append((time.process_time_ns() - start) / repeats / len(fitting))
    medians = {name: statistics.median(values) for name, values in found.items()}
    names = {way: name for way, name, _ in WAYS}
    return [(name, medians[name], medians[names[peer]] / medians[name]) for _, name, peer in WAYS]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=21)
    rounds = parser.parse_args().rounds
    print(
        f"CPython {platform.python_version()}, aiokafka {version('aiokafka')}, "
        f"load {os.getloadavg()[0]:.1f}, median of {rounds} rounds\n"
    )
    small, large = measure(16_384, rounds), measure(1_000_000, rounds)
    print("| filling, ns a record | 16384 bytes | times as fast | 1000000 bytes | times as fast |\n|---|--:|--:|--:|--:|")
    for (name, ns, ratio), (_, large_ns, large_ratio) in zip(small, large, strict=True):
        print(f"| {name} | {ns:.1f} | {ratio:.2f} | {large_ns:.1f} | {large_ratio:.2f} |")


if __name__ == "__main__":
    main()
