"""Transactions, over the cluster in this process, and over a real broker if there is one."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from kafka_batch import (
    CommitInterruptedError,
    ConfigError,
    DeliveryError,
    EncodeError,
    GroupMetadata,
    InitTransactionsTimeoutError,
    KafkaBatch,
    Producer,
    ProducerFencedError,
    SendError,
    TransactionAbortedError,
    TransactionError,
)
from kafka_batch.testing import Cluster

LIMIT = 60


def run(main: Callable[[], Awaitable[Any]]) -> Any:
    """Run a coroutine on asyncio's own event loop."""

    async def limited() -> Any:
        return await asyncio.wait_for(main(), LIMIT)

    return asyncio.run(limited())


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Return a cluster of one broker, whose log is checked in the end."""
    with Cluster({"t": 2, "input": 2}) as cluster:
        yield cluster
        assert cluster.violations() == []


def committed(cluster: Cluster, partition: int = 0) -> list[bytes | None]:
    return [record.value for record in cluster.committed_records("t", partition)]


def test_a_block_commits_what_it_sends(cluster: Cluster) -> None:
    async def main() -> None:
        async with Producer(bootstrap_servers=cluster.bootstrap_servers, transactional_id="id") as producer:
            for number in range(3):
                async with producer.transaction() as transaction:
                    batch = transaction.batch(f"batch {number}")
                    await transaction.send_batch(batch, "t", partition=0)
                    delivery = await transaction.publish_batch("published", topic="t", partition=1)
                    assert len(delivery) == 1
                    await transaction.send("t", f"sent {number}", partition=1)
                    await transaction.send_offsets("group", {("input", 0): number + 1, ("input", 1): (7, "metadata")})
                    assert len(committed(cluster)) == number, "it is not committed yet"
                    assert cluster.committed_offsets("group").get(("input", 0), 0) == number

    run(main)
    assert committed(cluster, 0) == [b"batch 0", b"batch 1", b"batch 2"]
    assert committed(cluster, 1) == [b"published", b"sent 0", b"published", b"sent 1", b"published", b"sent 2"]
    assert cluster.committed_offsets("group") == {("input", 0): 3, ("input", 1): 7}


def test_a_block_that_raises_aborts(cluster: Cluster) -> None:
    async def main() -> None:
        async with Producer(bootstrap_servers=cluster.bootstrap_servers, transactional_id="id") as producer:
            with pytest.raises(ZeroDivisionError):
                async with producer.transaction() as transaction:
                    await transaction.send("t", "aborted", partition=0)
                    await transaction.send_offsets("group", {("input", 0): 5})
                    1 // 0
            async with producer.transaction() as transaction:
                await transaction.send("t", "aborted, too", partition=0)
                await transaction.abort()
            async with producer.transaction() as transaction:
                await transaction.send("t", "committed", partition=0)

    run(main)
    assert committed(cluster) == [b"committed"]
    assert cluster.committed_offsets("group") == {}
    assert len(cluster.records("t")) == 3


def test_a_transaction_with_a_batch_that_failed_is_aborted(cluster: Cluster) -> None:
    async def main() -> None:
        async with Producer(bootstrap_servers=cluster.bootstrap_servers, transactional_id="id") as producer:
            async with producer.transaction() as transaction:
                await transaction.send("t", "first", partition=0)
            with pytest.raises(TransactionAbortedError, match="INVALID_RECORD"):
                async with producer.transaction() as transaction:
                    await transaction.send("t", "lost", partition=0)
                    cluster.inject("error", code=87)
                    await transaction.send_batch(KafkaBatch("refused"), "t", partition=0)
            with pytest.raises(DeliveryError):
                async with producer.transaction() as transaction:
                    cluster.inject("error", code=87)
                    await transaction.publish_batch("refused", topic="t", partition=0)
            async with producer.transaction() as transaction:
                await transaction.send("t", "again", partition=0)

    run(main)
    assert committed(cluster) == [b"first", b"again"]


def test_another_producer_of_the_same_name_fences(cluster: Cluster) -> None:
    async def main() -> None:
        settings: Any = {"bootstrap_servers": cluster.bootstrap_servers, "transactional_id": "id"}
        async with Producer(**settings) as zombie:
            with pytest.raises(ProducerFencedError):
                async with zombie.transaction() as transaction:
                    await transaction.send("t", "zombie", partition=0)
                    async with Producer(**settings) as producer, producer.transaction() as other:
                        await other.send("t", "alive", partition=0)
            with pytest.raises(ProducerFencedError):
                async with zombie.transaction():
                    pass

    run(main)
    assert committed(cluster) == [b"alive"]


def test_a_commit_that_was_cancelled_goes_on_and_is_reported_once(cluster: Cluster) -> None:
    async def main() -> None:
        async with Producer(bootstrap_servers=cluster.bootstrap_servers, transactional_id="id") as producer:
            is_sent = asyncio.Event()

            async def transact() -> None:
                async with producer.transaction() as transaction:
                    await transaction.send("t", "cancelled", partition=0)
                    is_sent.set()

            task = asyncio.create_task(transact())
            await is_sent.wait()
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            with pytest.raises(CommitInterruptedError) as interrupted:
                async with producer.transaction():
                    pass
            assert interrupted.value.error is None, "it is committed"
            async with producer.transaction() as transaction:
                await transaction.send("t", "next", partition=0)

    run(main)
    assert committed(cluster) == [b"cancelled", b"next"]


@pytest.mark.parametrize("is_aborted", [False, True])
def test_what_is_not_accepted_at_the_end_of_its_block_is_not_in_the_next_transaction(
    cluster: Cluster, is_aborted: bool
) -> None:
    async def main() -> None:
        async with Producer(bootstrap_servers=cluster.bootstrap_servers, transactional_id="id") as producer:
            batch = producer.batch("batch")
            cluster.inject("close_before", api="Metadata")  # so the topic is known only when the next transaction is open
            async with producer.transaction() as one:
                record = asyncio.create_task(one.send("input", "record", partition=0))
                sent = asyncio.create_task(one.send_batch(batch, "input", partition=0))
                await asyncio.sleep(0)
                if is_aborted:
                    await one.abort()
            async with producer.transaction() as two:
                for task in (record, sent):
                    with pytest.raises(SendError, match="its transaction ended"):
                        await task
                await two.send("t", "other", partition=0)
                await two.send("input", "record", partition=0)
                await two.publish_batch(topic="input", batch=batch, partition=0)

    run(main)
    assert committed(cluster) == [b"other"]
    assert [record.value for record in cluster.records("input", 0)] == [b"record", b"batch"]


def test_the_work_of_a_block_that_raised_is_done_again_once(cluster: Cluster) -> None:
    class Unencodable:
        pass

    async def main() -> None:
        async with Producer(bootstrap_servers=cluster.bootstrap_servers, transactional_id="id") as producer:
            cluster.inject("close_before", api="Metadata")  # so the topic is known only when the next transaction is open
            with pytest.raises(EncodeError):
                async with producer.transaction() as one:
                    await asyncio.gather(one.send("input", "x", partition=0), one.send("t", Unencodable(), partition=0))
            async with producer.transaction() as two:
                await two.send("t", "y", partition=0)
                await two.send("input", "x", partition=0)

    run(main)
    assert committed(cluster) == [b"y"]
    assert [record.value for record in cluster.committed_records("input", 0)] == [b"x"]


def test_a_task_that_begins_during_the_commit_of_another_is_refused(cluster: Cluster) -> None:
    async def main() -> None:
        async with Producer(bootstrap_servers=cluster.bootstrap_servers, transactional_id="id") as producer:
            is_sent = asyncio.Event()

            async def transact() -> None:
                async with producer.transaction() as transaction:
                    await transaction.send("t", "first", partition=0)
                    is_sent.set()

            task = asyncio.create_task(transact())
            await is_sent.wait()
            assert not task.done(), "it commits"
            with pytest.raises(RuntimeError, match="one transaction at a time"):
                async with producer.transaction():
                    pass
            await task
            async with producer.transaction() as transaction:
                await transaction.send("t", "second", partition=0)

    run(main)
    assert committed(cluster) == [b"first", b"second"]


def test_a_begin_that_is_cancelled_begins_nothing(cluster: Cluster) -> None:
    async def main() -> None:
        async with Producer(bootstrap_servers=cluster.bootstrap_servers, transactional_id="id") as producer:
            for turns in range(4):

                async def transact() -> None:
                    async with producer.transaction() as transaction:
                        await transaction.send("t", "cancelled", partition=0)

                task = asyncio.create_task(transact())
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                async with producer.transaction() as transaction:
                    await transaction.send("t", f"{turns}", partition=0)

    run(main)
    assert committed(cluster) == [b"0", b"1", b"2", b"3"]


def test_what_is_not_in_the_block_is_refused(cluster: Cluster) -> None:
    async def main() -> None:
        async with Producer(bootstrap_servers=cluster.bootstrap_servers, transactional_id="id") as producer:
            for send in (producer.send("t", "x"), producer.publish_batch("x", topic="t")):
                with pytest.raises(RuntimeError, match="transaction"):
                    await send
            transaction = producer.transaction()
            with pytest.raises(RuntimeError, match="not open"):
                await transaction.send("t", "x")
            async with transaction:
                with pytest.raises(RuntimeError, match="one transaction at a time"):
                    async with producer.transaction():
                        pass
                await transaction.send("t", "inside", partition=0)
            with pytest.raises(RuntimeError, match="not open"):
                await transaction.send("t", "late")
            with pytest.raises(RuntimeError, match="begun once"):
                async with transaction:
                    pass
        async with Producer(bootstrap_servers=cluster.bootstrap_servers) as plain:
            with pytest.raises(ConfigError, match="transactional_id"):
                plain.transaction()

    run(main)
    assert committed(cluster) == [b"inside"]


def test_members_of_groups_and_offsets_of_aiokafka_are_taken(cluster: Cluster) -> None:
    structs = pytest.importorskip("aiokafka.structs")

    async def main() -> None:
        async with Producer(bootstrap_servers=cluster.bootstrap_servers, transactional_id="id") as producer:
            async with producer.transaction() as transaction:
                offsets: Any = {structs.TopicPartition("input", 0): structs.OffsetAndMetadata(4, "")}
                await transaction.send_offsets("group", offsets)
            with pytest.raises(TransactionError):
                async with producer.transaction() as transaction:
                    await transaction.send_offsets(GroupMetadata("group", 3, "a member it never had"), {("input", 0): 9})
            async with producer.transaction() as transaction:
                await transaction.send("t", "goes on", partition=0)

    run(main)
    assert cluster.committed_offsets("group") == {("input", 0): 4}
    assert committed(cluster) == [b"goes on"]


def test_without_a_coordinator_a_producer_is_not_made() -> None:
    async def main() -> None:
        with pytest.raises(InitTransactionsTimeoutError):
            async with Producer(
                bootstrap_servers="127.0.0.1:1", transactional_id="id", delivery_timeout_ms=200, request_timeout_ms=100
            ):
                pass

    run(main)


@pytest.mark.broker
@pytest.mark.skipif("KAFKA_BATCH_BROKERS" not in os.environ, reason="no KAFKA_BATCH_BROKERS")
def test_aiokafka_reads_what_a_real_broker_committed() -> None:
    aiokafka = pytest.importorskip("aiokafka")
    brokers, name = os.environ["KAFKA_BATCH_BROKERS"], f"transactions-{uuid.uuid4()}"

    async def main() -> None:
        async with Producer(bootstrap_servers=brokers, transactional_id=name) as producer:
            for number in range(6):
                try:
                    async with producer.transaction() as transaction:
                        batch = transaction.batch(*[f"{number} {n}" for n in range(10)])
                        await transaction.send_batch(batch, name, partition=0)
                        await transaction.send_offsets(name, {(name, 0): number + 1})
                        if number % 2:
                            raise ZeroDivisionError
                except ZeroDivisionError:
                    pass
            async with producer.transaction() as transaction:
                await transaction.send(name, "end", partition=0)
        consumer = aiokafka.AIOKafkaConsumer(
            bootstrap_servers=brokers, isolation_level="read_committed", group_id=name, enable_auto_commit=False
        )
        async with consumer:
            partition = aiokafka.TopicPartition(name, 0)
            consumer.assign([partition])
            assert await consumer.committed(partition) == 5
            consumer.seek(partition, 0)
            found: list[str] = []
            while "end" not in found:
                found.append((await consumer.getone()).value.decode())
        assert found == [f"{number} {n}" for number in (0, 2, 4) for n in range(10)] + ["end"]

    run(main)
