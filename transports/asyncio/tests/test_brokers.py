"""Batches through aiokafka and FastStream to a broker, read back by aiokafka's consumer."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from kafka_batch import BatchSentError, KafkaBatch, Message

aiokafka = pytest.importorskip("aiokafka")

from kafka_batch.aiokafka import send_batch

NOW = 1_734_300_000_000
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "idempotent": {"enable_idempotence": True},
    "transactional": {"transactional_id": "kafka-batch"},
}


async def read(brokers: str, topic: str, count: int) -> list[Any]:
    """Return the first records of a topic that are committed."""
    consumer = aiokafka.AIOKafkaConsumer(
        bootstrap_servers=brokers, auto_offset_reset="earliest", isolation_level="read_committed"
    )
    await consumer.start()
    try:
        partition = aiokafka.TopicPartition(topic, 0)
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        return [await asyncio.wait_for(consumer.getone(), 30) for _ in range(count)]
    finally:
        await consumer.stop()


@pytest.mark.parametrize("codec", [None, "gzip", "snappy", "lz4", "zstd"])
@pytest.mark.parametrize("kind", ["plain", "idempotent", pytest.param("transactional", marks=pytest.mark.broker)])
def test_every_field_is_read_back(brokers: str, kind: str, codec: str | None) -> None:
    topic = f"{kind}-{codec}-{uuid.uuid4().hex}"

    def batch(n: int) -> KafkaBatch:
        batch = KafkaBatch(compression_type=codec, correlation_id="id")
        batch.append(key=b"k%d" % n, value=b"v" * 100, timestamp=NOW + n, headers=[("h", b"1"), ("h", None), ("e", b"")])
        batch.append(key=None, value=b"x" * 100, timestamp=NOW)
        batch.append(key=b"tomb", value=None, timestamp=NOW)
        batch.append("text", NOW, {"a": "b"}, "replies", "id")
        batch.extend({"n": n}, Message(b"own", key="own", timestamp_ms=NOW + 1), timestamp_ms=NOW)
        return batch

    def expected(n: int) -> list[tuple[Any, ...]]:
        text = (
            ("content-type", b"text/plain"), ("correlation_id", b"id"), ("reply_to", b"replies"), ("a", b"b"),
        )  # fmt: skip
        return [
            (b"k%d" % n, b"v" * 100, NOW + n, (("h", b"1"), ("h", None), ("e", b""))),
            (None, b"x" * 100, NOW, ()),
            (b"tomb", None, NOW, ()),
            (None, b"text", NOW, text),
            (None, b'{"n":%d}' % n, NOW, (("content-type", b"application/json"),)),
            (b"own", b"own", NOW + 1, ()),
        ]

    async def main() -> None:
        producer = aiokafka.AIOKafkaProducer(bootstrap_servers=brokers, **KINDS[kind])
        await producer.start()

        async def send() -> list[int]:
            futures = [await send_batch(producer, batch(n), topic, partition=0) for n in range(3)]
            return [(await future).offset for future in futures]

        try:
            if kind == "transactional":
                with pytest.raises(RuntimeError, match="abort"):
                    async with producer.transaction():
                        await send()
                        raise RuntimeError("abort")
                async with producer.transaction():
                    offsets = await send()
            else:
                offsets = await send()
        finally:
            await producer.stop()
        read_back = await read(brokers, topic, 18)
        found = [(record.key, record.value, record.timestamp, record.headers) for record in read_back]
        assert found == [record for n in range(3) for record in expected(n)]
        assert [record.offset for record in read_back[::6]] == offsets, "an aborted batch is not read"

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["plain", "idempotent"])
def test_a_retry_sends_the_same_batch(brokers: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from aiokafka.errors import RequestTimedOutError

    async def main() -> None:
        topic, attempts = f"retry-{uuid.uuid4().hex}", 0
        producer = aiokafka.AIOKafkaProducer(bootstrap_servers=brokers, retry_backoff_ms=10, **KINDS[kind])
        await producer.start()
        send = producer.client.send

        async def fail_twice(node: Any, request: Any, **options: Any) -> Any:
            nonlocal attempts
            if type(request).__name__.startswith("ProduceRequest"):
                attempts += 1
                if attempts < 3:
                    raise RequestTimedOutError
            return await send(node, request, **options)

        monkeypatch.setattr(producer.client, "send", fail_twice)
        try:
            await (await send_batch(producer, KafkaBatch("a", "b"), topic, partition=0))
            batch = KafkaBatch("c")
            await (await send_batch(producer, batch, topic, partition=0))
            with pytest.raises(BatchSentError):
                await send_batch(producer, batch, topic, partition=0)
            await (await send_batch(producer, batch.copy(), topic, partition=0))
        finally:
            await producer.stop()
        assert attempts == 5
        assert [record.value for record in await read(brokers, topic, 4)] == [b"a", b"b", b"c", b"c"]

    asyncio.run(main())


def test_single_messages_beside_a_batch(brokers: str) -> None:
    async def main() -> None:
        topic = f"single-{uuid.uuid4().hex}"
        producer = aiokafka.AIOKafkaProducer(bootstrap_servers=brokers, linger_ms=200)
        await producer.start()
        try:
            future = await send_batch(producer, KafkaBatch("a"), topic, partition=0)
            single = await producer.send(topic, b"single", partition=0)
            assert ((await future).offset, (await single).offset) == (0, 1)
        finally:
            await producer.stop()

    asyncio.run(main())


def test_faststream(brokers: str) -> None:
    pytest.importorskip("faststream.kafka")
    from kafka_batch.faststream import KafkaBroker

    async def main() -> None:
        topic = f"faststream-{uuid.uuid4().hex}"
        async with KafkaBroker(brokers, compression_type="gzip") as broker:
            options: dict[str, Any] = {"topic": topic, "partition": 0, "timestamp_ms": NOW}
            await broker.publish_batch(batch=KafkaBatch("one", headers={"h": "1"}), **options)
            await broker.publish_batch(None, Message("two", headers={"h": "2"}), **options, headers={"h": "3"})
            await broker.publish_batch("four", batch=KafkaBatch("three", compression_type="zstd"), **options)
            future: Any = await broker.publish_batch(batch=KafkaBatch("five"), **options, no_confirm=True)
            assert (await future).offset == 5
            await broker.publisher(topic, batch=True, partition=0).publish(KafkaBatch("six"))
        records = await read(brokers, topic, 7)
        assert [record.value for record in records] == [b"one", b"", b"two", b"three", b"four", b"five", b"six"]
        fields = [dict(record.headers).get("h") for record in records]
        assert fields == [b"1", b"3", b"2", None, None, None, None]

    asyncio.run(main())
