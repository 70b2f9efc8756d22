"""What a type checker has to accept, and to refuse, of the producer. Pyright reads this file, and nothing runs it."""

from __future__ import annotations

import asyncio
import ssl

from typing_extensions import assert_type

from kafka_batch import (
    Delivery,
    DeliveryError,
    GroupMetadata,
    KafkaBatch,
    Producer,
    RecordDelivery,
    RecordError,
    Stats,
    Transaction,
)
from kafka_batch.stats import TopicStats


async def accepted(context: ssl.SSLContext) -> None:
    """Use the interface as documented."""
    async with Producer(
        bootstrap_servers=["a:9093", "b:9093"], ssl_context=context, acks="all", linger_ms=5, compression_type="zstd"
    ) as producer:
        assert_type(producer, Producer)
        assert_type(producer.batch("a", key="k"), KafkaBatch)
        assert_type(await producer.send_batch(KafkaBatch("a"), "t"), asyncio.Future[Delivery])
        assert_type(await producer.publish_batch("a", {"b": 1}, topic="t", partition=0), Delivery)
        assert_type(await producer.send("t", b"a", key="k", headers={"h": None}), RecordDelivery)
        assert_type(await producer.partition_count("t"), int)
        stats = await producer.stats()
        assert_type(stats, Stats)
        assert_type(stats.topics, tuple[TopicStats, ...])
        assert_type(stats.brokers[0].request_latency.avg(), float | None)
        assert_type(stats.total.errors["NOT_LEADER_OR_FOLLOWER"], int)
        stats.at = 0  # pyright: ignore[reportAttributeAccessIssue]
        try:
            await producer.flush()
        except DeliveryError as error:
            assert_type(error.record_errors, list[RecordError])
            assert_type(error.batch, KafkaBatch | None)


async def transactions() -> None:
    """Use transactions as documented."""
    async with Producer(bootstrap_servers="a", transactional_id="id", transaction_timeout_ms=10_000) as producer:
        async with producer.transaction() as transaction:
            assert_type(transaction, Transaction)
            assert_type(await transaction.send_batch(transaction.batch("a"), "t"), asyncio.Future[Delivery])
            assert_type(await transaction.send("t", "a"), RecordDelivery)
            await transaction.send_offsets("group", {("t", 0): 1})
            await transaction.send_offsets(GroupMetadata("group", 1, "member"), {("t", 0): (1, "metadata")})
            await transaction.send_offsets("group", {"t": 1})  # pyright: ignore[reportArgumentType]
            await transaction.commit()  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


async def refused(producer: Producer) -> None:
    """Use it wrongly. With `reportUnnecessaryTypeIgnoreComment`, a line without an error is one."""
    Producer()  # pyright: ignore[reportCallIssue]
    Producer(bootstrap_servers="a", linger=5)  # pyright: ignore[reportCallIssue]
    Producer(bootstrap_servers="a", acks="most")  # pyright: ignore[reportArgumentType]
    await producer.publish_batch("a")  # pyright: ignore[reportCallIssue]
    await producer.send_batch("a", "t")  # pyright: ignore[reportArgumentType]
