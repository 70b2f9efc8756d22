"""FastStream's broker with batches, in process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

pytest.importorskip("faststream.kafka")

from faststream import BaseMiddleware
from faststream.kafka.annotations import KafkaMessage
from faststream.kafka.exceptions import BatchBufferOverflowException

from kafka_batch import BatchSentError, KafkaBatch, Message, SealError
from kafka_batch.faststream import KafkaBroker, TestKafkaBroker

NOW = 1_734_300_000_000


class Received:
    """What the handlers of a broker received."""

    def __init__(self, broker: KafkaBroker) -> None:
        self.batches: list[list[Any]] = []
        self.singles: list[tuple[Any, Any]] = []

        @broker.subscriber("batches", batch=True)
        async def batches(bodies: list[Any], message: KafkaMessage) -> None:
            self.batches.append([(body, raw) for body, raw in zip(bodies, message.raw_message, strict=True)])

        @broker.subscriber("singles")
        async def singles(body: Any, message: KafkaMessage) -> None:
            self.singles.append((body, message.raw_message))

    def bodies(self) -> list[list[Any]]:
        return [[body for body, _ in batch] for batch in self.batches]


def run(test: Callable[[KafkaBroker, Received], Awaitable[None]], **options: Any) -> None:
    async def main() -> None:
        broker = KafkaBroker(**options)
        received = Received(broker)
        async with TestKafkaBroker(broker):
            await test(broker, received)

    asyncio.run(main())


def test_the_three_cases_of_the_issue() -> None:
    async def test(broker: KafkaBroker, received: Received) -> None:
        await broker.publish_batch(batch=KafkaBatch("one", {"n": 2}, headers={"h": "1"}), topic="batches")
        await broker.publish_batch("three", {"n": 4}, topic="batches")
        await broker.publish_batch("six", batch=KafkaBatch("five"), topic="batches")
        assert received.bodies() == [["one", {"n": 2}], ["three", {"n": 4}], ["five", "six"]]
        full = KafkaBatch("x" * 50, "x" * 50, batch_size=400)
        before = [record.value for record in full]
        with pytest.raises(BatchBufferOverflowException) as overflow:
            await broker.publish_batch("a", "x" * 200, batch=full, topic="batches")
        assert overflow.value.message_position == 1
        assert [record.value for record in full] == before
        assert not full.closed()
        assert len(received.batches) == 3
        await broker.publish_batch(batch=full, topic="batches")
        with pytest.raises(BatchSentError):
            await broker.publish_batch(batch=full, topic="batches")
        with pytest.raises(BatchBufferOverflowException) as overflow:
            await broker.publish_batch("late", batch=full, topic="batches")
        assert overflow.value.message_position == 0
        with pytest.raises(ValueError, match="one batch"):
            await broker.publish_batch(KafkaBatch("a"), batch=KafkaBatch("b"), topic="batches")

    run(test)


def test_a_batch_that_is_too_large_is_as_it_was() -> None:
    async def test(broker: KafkaBroker, received: Received) -> None:
        noise = [f"{n * n * 7919 % 999_983:06}" for n in range(200)]
        batch = KafkaBatch(*noise, batch_size=1 << 20, max_message_bytes=1700, compression_type="gzip")
        size = batch.copy().seal()
        assert size > 1000
        with pytest.raises(SealError):
            await broker.publish_batch(*noise, batch=batch, topic="batches")
        assert len(batch) == 200
        await broker.publish_batch(batch=batch, topic="batches")
        assert len(received.bodies()[0]) == 200

    run(test)


def test_records_reach_handlers_with_every_field() -> None:
    async def test(broker: KafkaBroker, received: Received) -> None:
        batch = KafkaBatch()
        batch.append("text", NOW, {"h": "1"}, "replies", "id", key="k")
        await broker.publish_batch(batch=batch, topic="singles", partition=3)
        [(body, raw)] = received.singles
        assert (body, raw.key, raw.timestamp, raw.partition, raw.offset) == ("text", b"k", NOW, 3, 0)
        assert dict(raw.headers) == {
            "content-type": b"text/plain", "h": b"1", "reply_to": b"replies", "correlation_id": b"id",
        }  # fmt: skip

    run(test)


def test_nothing_of_a_message_is_lost() -> None:
    async def test(broker: KafkaBroker, received: Received) -> None:
        own = Message({"n": 1}, key=b"own", headers={"h": "own"}, timestamp_ms=NOW)
        await broker.publish_batch(None, "b", None, own, topic="batches", headers={"h": "call", "i": "call"})
        [batch] = received.batches
        assert [raw.value for _, raw in batch] == [b"", b"b", b"", b'{"n":1}']
        assert (batch[3][1].key, batch[3][1].timestamp) == (b"own", NOW)
        fields = [dict(raw.headers) for _, raw in batch]
        assert [field["h"] for field in fields] == [b"call", b"call", b"call", b"own"]
        assert fields[3]["i"] == b"call"
        assert fields[3]["content-type"] == b"application/json"
        assert len({field["correlation_id"] for field in fields}) == 1
        await broker.publish_batch(None, topic="batches")
        await broker.publish_batch("extra", None, batch=KafkaBatch("b"), topic="batches")
        assert [[raw.value for _, raw in batch] for batch in received.batches[1:]] == [[b""], [b"b", b"extra", b""]]

    run(test)


def test_properties_of_faststreams_own_message() -> None:
    from faststream.kafka import KafkaResponse

    def message(body: Any) -> Any:
        options: dict[str, Any] = {"headers": {"h": "own"}, "timestamp_ms": NOW, "correlation_id": "own"}
        try:
            return KafkaResponse(body, key=b"k", **options)
        except TypeError:  # FastStream 0.6.0 has no key
            response = KafkaResponse(body, **options)
            response.key = b"k"  # type: ignore[attr-defined]
            return response

    async def test(broker: KafkaBroker, received: Received) -> None:
        await broker.publish_batch(message({"n": 1}), message(None), topic="batches", headers={"h": "call"})
        await broker.publish_batch(message("x"), batch=KafkaBatch("first"), topic="batches")
        await broker.publish_batch(batch=KafkaBatch(message({"n": 1})), topic="batches")
        for batch, position in ((received.batches[0], 0), (received.batches[1], 1), (received.batches[2], 0)):
            raw = batch[position][1]
            fields = dict(raw.headers)
            assert (raw.key, raw.timestamp, fields["h"], fields["correlation_id"]) == (b"k", NOW, b"own", b"own")
        assert received.batches[0][1][1].value is None

    run(test)


def test_middlewares_see_and_change_the_command() -> None:
    seen: list[Any] = []

    class Trace(BaseMiddleware):
        async def publish_scope(self, call_next: Any, cmd: Any) -> Any:
            cmd.headers["trace"] = "1"
            seen.append([type(body).__name__ for body in cmd.batch_bodies])
            return await call_next(cmd)

    async def test(broker: KafkaBroker, received: Received) -> None:
        await broker.publish_batch("extra", batch=KafkaBatch("own"), topic="batches")
        [(_, own), (_, extra)] = received.batches[0]
        assert dict(extra.headers)["trace"] == b"1"
        assert "trace" not in dict(own.headers), "the records of a batch are encoded already"

    run(test, middlewares=[Trace])
    assert seen == [["KafkaBatch", "str"]]


def test_no_confirm_returns_a_future() -> None:
    async def test(broker: KafkaBroker, received: Received) -> None:
        future: Any = await broker.publish_batch(batch=KafkaBatch("a"), topic="batches", no_confirm=True)
        await future
        assert received.bodies() == [["a"]]

    run(test)


def test_publishers_take_and_handlers_return_batches() -> None:
    async def main() -> None:
        broker = KafkaBroker()
        received = Received(broker)
        publisher = broker.publisher("batches", batch=True, headers={"from": "publisher"})

        @broker.subscriber("in")
        @publisher
        async def handle(body: str) -> Any:
            return KafkaBatch(body, body.upper())

        async with TestKafkaBroker(broker):
            await publisher.publish(KafkaBatch("one"), "two")
            await broker.publish("three", "in")
        assert received.bodies() == [["one", "two"], ["three", "THREE"]]
        assert dict(received.batches[0][1][1].headers)["from"] == b"publisher"

    asyncio.run(main())
