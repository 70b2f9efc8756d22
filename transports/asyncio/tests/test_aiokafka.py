"""What aiokafka's producer asks of a batch, without a broker."""

from __future__ import annotations

import asyncio
import struct
from types import SimpleNamespace
from typing import Any

import pytest

from kafka_batch import BatchSentError, KafkaBatch, SealError
from kafka_batch.aiokafka import send_batch

accumulator = pytest.importorskip("aiokafka.producer.message_accumulator")

NOW = 1_734_300_000_000


def header(batch: bytes) -> dict[str, int]:
    names = "offset length leader_epoch magic crc attributes last_delta base_time max_time id epoch sequence count"
    return dict(zip(names.split(), struct.unpack_from(">qiibIhiqqqhii", batch), strict=True))


def builder_of_aiokafka(size: int) -> Any:
    """Return a builder without compression. aiokafka 0.12 still asks for the format."""
    try:
        return accumulator.BatchBuilder(size, 0)
    except TypeError:
        return accumulator.BatchBuilder(2, size, 0, is_transactional=0)


class Producer:
    """A producer that takes or refuses batches as `AIOKafkaProducer` does."""

    def __init__(self, *, transactional_id: str | None = None, idempotent: bool = False) -> None:
        manager = SimpleNamespace(transactional_id=transactional_id)
        self._txn_manager = manager if idempotent or transactional_id else None
        self.sent: list[tuple[Any, str, int | None]] = []
        self.refusal: BaseException | None = None

    async def send_batch(self, builder: Any, topic: str, *, partition: int | None) -> asyncio.Future[None]:
        await asyncio.sleep(0)
        if self.refusal is not None:
            raise self.refusal
        self.sent.append((builder, topic, partition))
        return asyncio.get_running_loop().create_future()


def send(producer: Producer, batch: KafkaBatch) -> Any:
    asyncio.run(send_batch(producer, batch, "topic", partition=3))  # type: ignore[arg-type]
    return producer.sent[-1][0]


@pytest.mark.parametrize("records", [[b"x" * 100] * 5, [b""] * 3, [None, b"a"]])
def test_the_bytes_are_those_of_aiokafka(records: list[bytes | None]) -> None:
    theirs, ours = builder_of_aiokafka(16384), KafkaBatch()
    for n, value in enumerate(records):
        arguments: dict[str, Any] = {"timestamp": NOW + n, "key": b"k", "value": value, "headers": [("h", b"v"), ("n", None)]}
        expected, found = theirs.append(**arguments), ours.append(**arguments)
        assert found is not None
        for name in ("offset", "size", "timestamp", "crc"):
            assert getattr(found, name) == getattr(expected, name)
    assert ours.size() == theirs.size()
    builder = send(Producer(idempotent=True), ours)
    for batch in (theirs, builder):
        batch._set_producer_state(7, 3, 9)
    assert builder._build() == bytes(theirs._build())
    assert builder._build() is builder._build(), "a retry sends the same bytes"


def test_the_limits_are_those_of_aiokafka() -> None:
    for size in range(62, 700):
        theirs, ours = builder_of_aiokafka(size), KafkaBatch(batch_size=size, boundary="aiokafka")
        expected = 0
        while expected < 20 and theirs.append(timestamp=5, key=None, value=b"x" * 50) is not None:
            expected += 1
        assert ours.fill_from([b"x" * 50] * 20, timestamp_ms=5) == expected


def test_the_builder_has_what_the_sender_asks_for() -> None:
    builder = send(Producer(), KafkaBatch(b"a", b"b"))
    assert (builder.closed(), builder.record_count()) == (True, 2)
    builder.close()
    assert builder.append(timestamp=None, key=None, value=b"single", headers=[]) is None
    assert builder.size() == len(builder._build())
    assert header(builder._build())["id"] == -1


@pytest.mark.parametrize("codec", [None, "gzip", "snappy", "lz4", "zstd"])
def test_transactional_and_codec_are_in_the_attributes(codec: str | None) -> None:
    number = [None, "gzip", "snappy", "lz4", "zstd"].index(codec)
    for producer, bit in ((Producer(), 0), (Producer(idempotent=True), 0), (Producer(transactional_id="t"), 16)):
        batch = KafkaBatch(*[b"x" * 100] * 50, compression_type=codec)
        builder = send(producer, batch)
        builder._set_producer_state(5, 0, 0)
        assert header(builder._build())["attributes"] == number + bit
        assert [record.value for record in batch] == [b"x" * 100] * 50, "a sent batch can be read"


def test_a_batch_is_sent_once() -> None:
    producer, batch = Producer(), KafkaBatch("a")
    send(producer, batch)
    with pytest.raises(BatchSentError, match="copy"):
        send(producer, batch)
    send(producer, batch.copy())
    assert len(producer.sent) == 2


@pytest.mark.parametrize("refusal", [RuntimeError("closed"), asyncio.CancelledError()])
def test_a_batch_that_was_not_accepted_can_be_sent_again(refusal: BaseException) -> None:
    producer, batch = Producer(), KafkaBatch("a", compression_type="gzip")
    producer.refusal = refusal
    with pytest.raises(type(refusal)):
        send(producer, batch)
    producer.refusal = None
    assert send(producer, batch).record_count() == 1


def test_what_would_end_the_producer_is_refused_before() -> None:
    producer = Producer(idempotent=True)
    with pytest.raises(SealError, match="no records"):
        send(producer, KafkaBatch())
    with pytest.raises(ValueError, match="producer id"):
        send(producer, KafkaBatch(b"a", api_version="0.10.2"))
    with pytest.raises(ValueError, match="transactional_id"):
        send(producer, KafkaBatch(b"a", is_transactional=True))
    assert producer.sent == []
    assert header(send(Producer(), KafkaBatch(b"a", api_version="0.10.2"))._build().ljust(61))["magic"] == 1


def test_a_large_batch_is_compressed_off_the_event_loop() -> None:
    async def main() -> None:
        producer = Producer()
        batch = KafkaBatch(batch_size=1 << 20, compression_type="gzip:9")
        batch.fill_from([f"{n * n * n:060}".encode() for n in range(9000)])
        turns = 0

        async def tick() -> None:
            nonlocal turns
            while not producer.sent:
                turns += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        await asyncio.sleep(0)
        await send_batch(producer, batch, "topic", partition=0)  # type: ignore[arg-type]
        await ticking
        assert turns > 10, "the loop ran while the batch was compressed"

    asyncio.run(main())
