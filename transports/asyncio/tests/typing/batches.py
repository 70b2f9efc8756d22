"""What a type checker has to accept, and to refuse. Pyright reads this file, and nothing runs it."""

from __future__ import annotations

from collections.abc import Iterator

from typing_extensions import assert_type

from kafka_batch import KafkaBatch, Mark, Message, Record, RecordMetadata, Split


def accepted(batch: KafkaBatch) -> None:
    """Use the interface as documented."""
    assert_type(KafkaBatch("a", b"b", {"c": 1}, None, headers={"h": "1"}, batch_size=16384), KafkaBatch)
    assert_type(batch.append("a", headers=[("h", None), ("h", b"1")], key="k"), RecordMetadata | None)
    assert_type(batch.append(key=None, value=bytearray(b"v"), timestamp=None, headers=[]), RecordMetadata | None)
    assert_type(batch.fill_from(["a", {"b": 1}, Message("c", key=b"k")], 1), int)
    assert_type(batch.cost(value=None, key=b"k"), int)
    assert_type(batch.fits("a"), bool)
    assert_type(batch.mark(), Mark)
    assert_type(batch.split(1000), Split)
    assert_type(batch.split(1000).parts, list[tuple[int, KafkaBatch]])
    assert_type(iter(batch), Iterator[Record])
    for record in batch:
        assert_type(record.headers, tuple[tuple[str, bytes | None], ...])


def refused(batch: KafkaBatch) -> None:
    """Use it wrongly. With `reportUnnecessaryTypeIgnoreComment`, a line without an error is one."""
    batch.append(value="text")  # pyright: ignore[reportArgumentType]
    batch.append("a", value=b"v")  # pyright: ignore[reportCallIssue]
    batch.append("a", headers={"h": 1})  # pyright: ignore[reportArgumentType]
    batch.fill_from(iter(["a"]))  # pyright: ignore[reportArgumentType]
    KafkaBatch(boundary="exclusive")  # pyright: ignore[reportArgumentType]
    batch.size = 5  # pyright: ignore[reportAttributeAccessIssue]
