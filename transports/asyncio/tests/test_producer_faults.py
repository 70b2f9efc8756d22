"""The producer, when brokers and connections fail."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from kafka_batch import DeliveryError, KafkaBatch, Producer, SendError
from kafka_batch.testing import Cluster


def run(main: Callable[[], Awaitable[Any]], limit: float = 60) -> Any:
    """Run a coroutine on asyncio's own event loop."""

    async def limited() -> Any:
        return await asyncio.wait_for(main(), limit)

    return asyncio.run(limited())


def test_a_refused_batch_is_not_written_and_is_returned() -> None:
    async def main(servers: str) -> None:
        async with Producer(bootstrap_servers=servers) as producer:
            cluster.inject("error", code=87)
            with pytest.raises(DeliveryError, match="INVALID_RECORD") as refused:
                await producer.publish_batch("a", "b", topic="t", partition=0)
            error = refused.value
            assert (error.topic, error.partition, error.fate, error.fates) == ("t", 0, "not_written", ["not_written"] * 2)
            assert error.batch is not None and [record.value for record in error.batch] == [b"a", b"b"]
            assert (await producer.publish_batch(batch=error.batch, topic="t", partition=0)).offset(1) == 1
            cluster.inject("error", code=87)
            with pytest.raises(DeliveryError) as of_message:
                await producer.send("t", "c", partition=0)
            assert (of_message.value.fate, of_message.value.batch) == ("not_written", None)

    with Cluster({"t": 1}) as cluster:
        run(lambda: main(cluster.bootstrap_servers))
        assert [record.value for record in cluster.records("t")] == [b"a", b"b"]


def test_rejected_records_are_named() -> None:
    async def main(servers: str) -> None:
        async with Producer(bootstrap_servers=servers) as producer:
            cluster.inject("reject_records", positions=[1])
            with pytest.raises(DeliveryError) as rejected:
                await producer.publish_batch("a", "b", "c", topic="t", partition=0)
            assert [error.position for error in rejected.value.record_errors] == [1]
            assert rejected.value.fate == "not_written"
            await producer.partition_count("t")
            cluster.inject("reject_records", positions=[2])
            sending = [producer.send("t", value, partition=0) for value in "abc"]
            found = await asyncio.gather(*sending, return_exceptions=True)
            errors = [error for error in found if isinstance(error, DeliveryError)]
            assert [error.is_retriable for error in errors] == [True, True, False]
            assert [len(error.record_errors) for error in errors] == [0, 0, 1]

    with Cluster({"t": 1}) as cluster:
        run(lambda: main(cluster.bootstrap_servers))
        assert cluster.records("t") == []


@pytest.mark.parametrize(("fault", "records"), [("drop_response", 1), ("drop_request", 0)])
def test_without_a_response_the_fate_is_unknown(fault: Any, records: int) -> None:
    async def main(servers: str) -> None:
        async with Producer(bootstrap_servers=servers, request_timeout_ms=300, delivery_timeout_ms=400) as producer:
            cluster.inject(fault, times=100)
            with pytest.raises(DeliveryError, match="delivery.timeout.ms") as lost:
                await producer.publish_batch("a", topic="t", partition=0)
            assert (lost.value.fate, lost.value.fates) == ("unknown", ["unknown"])
            cluster.end_faults()
            await producer.send("t", "b", partition=0)

    with Cluster({"t": 1}) as cluster:
        run(lambda: main(cluster.bootstrap_servers))
        assert [record.value for record in cluster.records("t")] == [b"a", b"b"][1 - records :]


def test_a_lost_response_writes_nothing_twice() -> None:
    async def main(servers: str) -> None:
        async with Producer(bootstrap_servers=servers) as producer:
            for fault in ("close_after", "close_before", "error_after_write"):
                cluster.inject(fault, code=7)
                await producer.publish_batch(fault, topic="t", partition=0)

    with Cluster({"t": 1}) as cluster:
        run(lambda: main(cluster.bootstrap_servers))
        assert [record.value for record in cluster.records("t")] == [b"close_after", b"close_before", b"error_after_write"]
        assert cluster.violations() == []


def test_a_leader_moves_and_a_broker_is_killed() -> None:
    async def main(servers: str) -> None:
        async with Producer(bootstrap_servers=servers) as producer:
            for number in range(6):
                assert cluster.move_leader("t", 0, 1 + number % 3)
                await producer.send("t", str(number), partition=0)
            leader = cluster.leader("t", 0)
            assert leader is not None and cluster.kill(leader)
            await producer.send("t", "6", partition=0)

    with Cluster({"t": 1}, brokers=3) as cluster:
        run(lambda: main(cluster.bootstrap_servers))
        assert [record.value for record in cluster.records("t")] == [str(number).encode() for number in range(7)]
        assert cluster.violations() == []


def test_connection_errors_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def main(servers: str) -> None:
        async with Producer(bootstrap_servers=f"127.0.0.1:1,{servers}", reconnect_backoff_ms=1) as producer:
            await producer.send("t", "x")
            while not caplog.records:
                cluster.inject("close_before")
                await producer.send("t", "x")

    with Cluster({"t": 1}) as cluster:
        run(lambda: main(cluster.bootstrap_servers))
    assert {record.name for record in caplog.records} == {"kafka_batch"}


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_sasl(mechanism: Any) -> None:
    users = {"me": "secret"}

    async def main(servers: str, password: str) -> None:
        async with Producer(
            bootstrap_servers=servers,
            security_protocol="sasl_plaintext",
            sasl_mechanism=mechanism,
            sasl_username="me",
            sasl_password=password,
        ) as producer:
            await producer.send("t", "x")

    with Cluster({"t": 1}, plain_users=users, scram_users=users) as cluster:
        run(lambda: main(cluster.bootstrap_servers, "secret"))
        with pytest.raises(SendError, match="authentication failed") as refused:
            run(lambda: main(cluster.bootstrap_servers, "wrong hunter2"))
        assert "hunter2" not in str(refused.value)
        assert len(cluster.records("t")) == 1


RECORDS = 500_000
PARTITIONS = 4


def test_chaos_loses_nothing_doubles_nothing_and_keeps_the_order() -> None:
    """Batches and messages of eight tasks, while connections are cut, leaders move, and brokers are killed."""
    choices = random.Random(7)
    faults = 0

    async def messages(producer: Producer, partition: int) -> None:
        for start in range(0, RECORDS // 8, 50):
            texts = [f"m {number}" for number in range(start, start + 50)]
            sending = [asyncio.ensure_future(producer.send("t", text, partition=partition)) for text in texts]
            found = await asyncio.gather(*sending)
            offsets = [one.offset for one in found if one.offset is not None]
            assert offsets == sorted(offsets)

    async def batches(producer: Producer, partition: int) -> None:
        outcomes = []
        for start in range(0, RECORDS // 8, 20):
            batch = producer.batch(*[f"b {number}" for number in range(start, start + 20)])
            outcomes.append(await producer.send_batch(batch, "t", partition=partition))
        for outcome in outcomes:
            assert len(await outcome) == 20

    async def disturb(ended: asyncio.Event) -> None:
        nonlocal faults
        while not ended.is_set():
            await asyncio.sleep(0.01)
            faults += 1
            match choices.randrange(4):
                case 0 | 1:
                    cluster.cut(choices.randint(1, 3))
                case 2:
                    cluster.move_leader("t", choices.randrange(PARTITIONS), choices.randint(1, 3))
                case _:
                    broker = choices.randint(1, 3)
                    cluster.kill(broker)
                    await asyncio.sleep(0.03)
                    cluster.restart(broker)

    async def main(servers: str) -> None:
        ended = asyncio.Event()
        disturbing = asyncio.ensure_future(disturb(ended))
        async with Producer(
            bootstrap_servers=servers, reconnect_backoff_ms=5, retry_backoff_ms=5, delivery_timeout_ms=240_000
        ) as producer:
            work = [kind(producer, partition) for partition in range(PARTITIONS) for kind in (messages, batches)]
            await asyncio.gather(*work)
        ended.set()
        await disturbing

    with Cluster({"t": PARTITIONS}, brokers=3) as cluster:
        run(lambda: main(cluster.bootstrap_servers), 300)
        assert faults > 20
        expected = list(range(RECORDS // 8))
        for partition in range(PARTITIONS):
            found = [record.value.decode().split() for record in cluster.records("t", partition) if record.value]
            for kind in "mb":
                assert [int(number) for own, number in found if own == kind] == expected
        assert cluster.violations() == []
