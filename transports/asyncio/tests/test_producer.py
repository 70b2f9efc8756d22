"""The producer, over the cluster in this process, and over a real broker if there is one."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import threading
import uuid
import warnings
import weakref
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from kafka_batch import (
    AppendError,
    BatchBufferOverflowError,
    BatchSentError,
    ConfigError,
    KafkaBatch,
    Message,
    Producer,
    SealError,
    SendError,
)
from kafka_batch._driver import Connection
from kafka_batch._native import setting_names
from kafka_batch._settings import Settings
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
    with Cluster({"t": 3}) as cluster:
        yield cluster
        assert cluster.violations() == []


def values(cluster: Cluster, topic: str = "t", partition: int = 0) -> list[bytes | None]:
    return [record.value for record in cluster.records(topic, partition)]


def test_batches_are_written_as_they_were_filled(cluster: Cluster) -> None:
    async def main() -> None:
        async with Producer(bootstrap_servers=cluster.bootstrap_servers, compression_type="zstd") as producer:
            batch = producer.batch("one", b"two", key="k", headers={"h": "1"}, timestamp_ms=5)
            future = await producer.send_batch(batch, "t", partition=1)
            with pytest.raises(BatchSentError):
                await producer.send_batch(batch, "t", partition=1)
            delivery = await future
            assert (delivery.topic, delivery.partition, delivery.base_offset, len(delivery)) == ("t", 1, 0, 2)
            assert [delivery.offset(position) for position in range(2)] == [0, 1]
            assert delivery.timestamp(1) == 5
            with pytest.raises(IndexError, match="none at position 2"):
                delivery.offset(2)
            assert [record.value for record in delivery.batch()] == [b"one", b"two"]
            assert repr(delivery) == "<Delivery: 2 records in t-1 from offset 0>"
            ten = await asyncio.gather(
                *[producer.send_batch(KafkaBatch(str(n), str(n)), "t", partition=0) for n in range(10)]
            )
            assert [(await future).base_offset for future in ten] == list(range(0, 20, 2))

    run(main)
    one, two = cluster.records("t", 1)
    assert (one.key, one.value, one.timestamp) == (b"k", b"one", 5)
    assert one.headers == (("content-type", b"text/plain"), ("h", b"1"))
    assert two.headers == (("h", b"1"),)
    assert cluster.batches("t", 1) == [2] and cluster.batches("t", 0) == [2] * 10
    assert values(cluster) == [str(n).encode() for n in range(10) for _ in range(2)]


def test_the_cases_of_publish_batch(cluster: Cluster) -> None:
    async def main() -> None:
        async with Producer(bootstrap_servers=cluster.bootstrap_servers) as producer:
            assert (await producer.publish_batch("a", "b", topic="t", partition=0)).base_offset == 0
            await producer.publish_batch(batch=KafkaBatch("c"), topic="t", partition=0)
            mixed = KafkaBatch("d", batch_size=200)
            with pytest.raises(BatchBufferOverflowError) as full:
                await producer.publish_batch("e", "f" * 200, batch=mixed, topic="t", partition=0)
            assert full.value.message_position == 1 and [record.value for record in mixed] == [b"d"]
            await producer.publish_batch("e", batch=mixed, topic="t", partition=0)
            with pytest.raises(SealError):
                await producer.publish_batch(topic="t")
            seen = {(await producer.publish_batch("x", topic="t")).partition for _ in range(12)}
            assert seen == {0, 1, 2}, "without a partition, they take turns"

    run(main)
    assert values(cluster)[:5] == [b"a", b"b", b"c", b"d", b"e"]


def test_a_hundred_tasks_share_one_producer(cluster: Cluster) -> None:
    async def main() -> None:
        async with Producer(bootstrap_servers=cluster.bootstrap_servers) as producer:

            async def task(number: int) -> None:
                for n in range(20):
                    await producer.send("t", f"{number} {n}", key=str(number))

            await asyncio.gather(*[task(number) for number in range(100)])

    run(main)
    found = [value.decode().split() for partition in range(3) for value in values(cluster, "t", partition) if value]
    assert len(found) == 2000
    for number in range(100):
        assert [int(n) for own, n in found if own == str(number)] == list(range(20)), "its order is kept"
    assert sum(len(cluster.batches("t", partition)) for partition in range(3)) < 1000, "they share batches"


def test_messages_are_gathered_as_the_settings_say(cluster: Cluster) -> None:
    async def main() -> None:
        servers = cluster.bootstrap_servers
        async with Producer(bootstrap_servers=servers, linger_ms=3_600_000, batch_size=500) as producer:
            sending = [asyncio.ensure_future(producer.send("t", "x" * 100, partition=0)) for _ in range(5)]
            first = await sending[0]
            assert (first.topic, first.partition, first.offset) == ("t", 0, 0) and first.timestamp > 0
            assert not sending[4].done(), "it lingers"
            await producer.flush()
            assert [(await one).offset for one in sending] == [0, 1, 2, 3, 4]
            message = Message({"json": 1}, key=b"k", headers=[("a", None)], timestamp_ms=7)
            keyed, keyed_too = asyncio.ensure_future(producer.send("t", message)), producer.send("t", None, key="k")
            both = asyncio.gather(keyed, keyed_too)
            await asyncio.sleep(0)
            await producer.flush()
            one, two = await both
            assert one.partition == two.partition and one.timestamp == 7

    run(main)
    first, second = cluster.batches("t", 0)[:2]
    assert (first, second) == (3, 2)


def test_what_is_not_accepted_sends_nothing(cluster: Cluster) -> None:
    async def main() -> None:
        async with Producer(bootstrap_servers=cluster.bootstrap_servers, max_message_bytes=2000) as producer:
            batch = KafkaBatch("x")
            with pytest.raises(SendError, match="partitions 0 to 2, but partition 3 was requested") as unknown:
                await producer.send_batch(batch, "t", partition=3)
            assert unknown.value.is_retriable
            with pytest.raises(SendError, match="1 to 249 characters"):
                await producer.send_batch(batch, "", partition=0)
            assert (await (await producer.send_batch(batch, "t", partition=0))).offset(0) == 0, "it can be sent again"
            with pytest.raises(AppendError):
                await producer.send("t", "x" * 3000)
            with pytest.raises(SendError, match="partition 9"):
                await producer.send("t", "x", partition=9)
            with pytest.raises(ValueError, match="is_transactional"):
                await producer.send_batch(KafkaBatch("x", is_transactional=True), "t", partition=0)
            assert await producer.partition_count("t") == 3

    run(main)
    assert values(cluster) == [b"x"]


def test_nothing_is_accepted_after_close(cluster: Cluster) -> None:
    async def main() -> None:
        producer = Producer(bootstrap_servers=cluster.bootstrap_servers)
        async with producer:
            await producer.partition_count("t")
            sending = asyncio.ensure_future(producer.send("t", "x", partition=0))
            await asyncio.sleep(0)
            await producer.close()
            assert (await sending).offset == 0, "what was accepted is sent"
        batch = KafkaBatch("y")
        with pytest.raises(SendError, match="closed"):
            await producer.send_batch(batch, "t", partition=0)
        with pytest.raises(SendError, match="closed"):
            await producer.send("t", "y")
        await producer.close()
        await producer.flush()
        assert repr(producer).endswith(", closed>")

    run(main)
    assert values(cluster) == [b"x"]


def test_memory_is_waited_for_in_order_and_a_cancelled_batch_is_returned(cluster: Cluster) -> None:
    async def main() -> None:
        async with Producer(
            bootstrap_servers=cluster.bootstrap_servers, buffer_memory=1000, delivery_timeout_ms=60_000
        ) as producer:
            await producer.publish_batch("first", topic="t", partition=0)
            cluster.inject("error", code=6, times=3)  # the leader has moved: the batch is sent again
            batches = [KafkaBatch(str(n) * 600) for n in range(4)]
            sending = [asyncio.ensure_future(producer.send_batch(batch, "t", partition=0)) for batch in batches]
            await asyncio.sleep(0)
            assert sending[0].done() and not sending[1].done()
            sending[1].cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending[1]
            for one in (sending[0], sending[2], sending[3]):
                await (await one)
            await (await producer.send_batch(batches[1], "t", partition=0))

    run(main)
    assert [value[:1] for value in values(cluster) if value] == [b"f", b"0", b"2", b"3", b"1"]


def test_cancelling_one_harms_no_other(cluster: Cluster) -> None:
    async def main() -> None:
        async with Producer(bootstrap_servers=cluster.bootstrap_servers) as producer:
            early = [asyncio.ensure_future(producer.send("t", f"early {n}", partition=0)) for n in range(10)]
            await asyncio.sleep(0)
            for one in early[::2]:
                one.cancel()  # before the topic is known, so they are not accepted
            await asyncio.gather(*early, return_exceptions=True)
            late = [asyncio.ensure_future(producer.send("t", f"late {n}", partition=0)) for n in range(10)]
            await asyncio.sleep(0)
            for one in late[::2]:
                one.cancel()  # they are accepted
            assert [one.offset for one in await asyncio.gather(*late[1::2])] == [6, 8, 10, 12, 14]
            future = await producer.send_batch(KafkaBatch("last"), "t", partition=0)
            future.cancel()
            closing = asyncio.ensure_future(producer.close())
            await asyncio.sleep(0)
            closing.cancel()

    run(main)
    expected = [f"early {n}" for n in range(1, 10, 2)] + [f"late {n}" for n in range(10)] + ["last"]
    assert values(cluster) == [text.encode() for text in expected]


def test_what_was_accepted_is_sent_after_the_last_reference_is_gone(cluster: Cluster) -> None:
    async def main() -> None:
        producer = Producer(bootstrap_servers=cluster.bootstrap_servers)
        outcomes = [await producer.send_batch(KafkaBatch(str(n)), "t", partition=0) for n in range(5)]
        driver = weakref.ref(producer._driver())  # pyright: ignore[reportPrivateUsage]
        with pytest.warns(ResourceWarning, match="unclosed <Producer: 127"):
            del producer
            gc.collect()
        assert [(await outcome).base_offset for outcome in outcomes] == list(range(5))
        await until(lambda: gc.collect() >= 0 and driver() is None)

    run(main)
    assert values(cluster) == [b"0", b"1", b"2", b"3", b"4"]


async def until(condition: Callable[[], bool]) -> None:
    """Let other tasks run until the condition holds."""
    while not condition():
        await asyncio.sleep(0.001)


def test_an_event_loop_that_ends_before_close_leaves_a_warning_only(cluster: Cluster) -> None:
    async def main() -> Producer:
        producer = Producer(bootstrap_servers=cluster.bootstrap_servers)
        await producer.publish_batch("x", topic="t", partition=0)
        await producer.send_batch(KafkaBatch("y"), "t", partition=0)
        return producer

    producer = run(main)

    async def elsewhere() -> None:
        with pytest.raises(RuntimeError, match="another event loop"):
            await producer.flush()

    run(elsewhere)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del producer
        gc.collect()
    assert any("unclosed <Producer" in str(one.message) for one in caught)


def test_a_pending_call_ends_with_its_event_loop() -> None:
    """`asyncio.run` cancels what waits, also if no broker responds."""
    outcomes: list[str] = []

    async def send(producer: Producer) -> None:
        try:
            await producer.send("t", "x")
        except asyncio.CancelledError:
            outcomes.append("cancelled")
            raise

    async def main() -> Producer:
        producer = Producer(bootstrap_servers="127.0.0.1:1", reconnect_backoff_ms=1)
        tasks.append(asyncio.ensure_future(send(producer)))
        await asyncio.sleep(0.05)
        return producer

    tasks: list[asyncio.Future[None]] = []
    producer = run(main)
    assert outcomes == ["cancelled"]
    tasks.clear()  # their tracebacks have the producer
    with pytest.warns(ResourceWarning):
        del producer
        gc.collect()


def test_no_broker_and_closing_at_once() -> None:
    async def main() -> None:
        producer = Producer(bootstrap_servers="127.0.0.1:1", request_timeout_ms=100, delivery_timeout_ms=100)
        with pytest.raises(SendError, match=r"no broker responds \(127.0.0.1:1\)") as error:
            await producer.send("t", "x")
        assert error.value.is_retriable and "refused" in str(error.value)
        sending = asyncio.ensure_future(producer.send("t", "y"))
        await asyncio.sleep(0)
        await producer.close_at_once()
        with pytest.raises(SendError, match="closed"):
            await sending

    run(main)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_is_refused_and_harms_not_the_parent(cluster: Cluster) -> None:
    async def child(used: Producer, unused: Producer) -> str:
        with pytest.raises(RuntimeError, match=r"used before os.fork\(\).*create another one in the child"):
            await used.send("t", "x")
        with pytest.raises(RuntimeError, match=r"used before os.fork\(\)"):
            used.batch("x")
        assert len(unused.batch("x")) == 1
        async with unused:
            await unused.send("t", "of the child", partition=1)
        return "done"

    async def main() -> None:
        async with Producer(bootstrap_servers=cluster.bootstrap_servers) as producer:
            unused = Producer(bootstrap_servers=cluster.bootstrap_servers)
            await producer.send("t", "before", partition=0)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads, which the cluster has
                pid = os.fork()
            if pid == 0:
                # A new thread, because this one is inside a running event loop.
                results: list[str] = []
                thread = threading.Thread(target=lambda: results.append(run(lambda: child(producer, unused))))
                thread.start()
                thread.join(30)
                os._exit(0 if results == ["done"] else 1)
            status = await asyncio.to_thread(os.waitpid, pid, 0)
            assert status[1] == 0
            await producer.send("t", "after", partition=0)

    run(main)
    assert values(cluster) == [b"before", b"after"] and values(cluster, "t", 1) == [b"of the child"]


def test_settings_have_their_kafka_names() -> None:
    tls = {name for name in setting_names() if name.startswith("ssl.")}
    # The event loop connects, to one address after the other.
    refused = {
        "client.dns.lookup": "resolve_canonical_bootstrap_servers_only",
        "connection.attempt.delay.ms": "100",
        "socks5.proxy": "proxy:1080",
        "socks5.proxy.username": "bob",
        "socks5.proxy.password": "hunter2",
    }
    of_producer = {*setting_names()} - tls - refused.keys() - {"bootstrap.servers"}
    assert {name.replace("_", ".") for name in Settings.__annotations__} == of_producer
    for name, value in refused.items():
        with pytest.raises(ConfigError, match=re.escape(name)):
            Producer(bootstrap_servers="a:1", **{name.replace(".", "_"): value})  # type: ignore[arg-type]
    Producer(
        bootstrap_servers=["a:1", "b:2"],
        client_id="me",
        acks=1,
        enable_idempotence=False,
        linger_ms=5,
        batch_size=1 << 20,
        compression_type="gzip",
        compression_gzip_level=9,
    )
    assert Producer(bootstrap_servers="a", batch_size=300).batch().room() == 300 - 61
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"linger": 5}, "did you mean linger_ms"),
        ({"acks": "most"}, "acks"),
        ({"acks": 1, "enable_idempotence": True}, "idempotence needs acks=all"),
        ({"sasl_username": "me"}, "sasl"),
        ({"security_protocol": "ssl", "ssl_ca_location": "/ca"}, "event loop's own object"),
        ({"security_protocol": "sasl_plaintext", "sasl_username": "me"}, "sasl.password"),
    ]
    for settings, text in wrong:
        with pytest.raises(ConfigError, match=text):
            Producer(bootstrap_servers="a:1", **settings)
    with pytest.raises(ConfigError) as error:
        Producer(bootstrap_servers="a:1", sasl_password="hunter2", acks="hunter2")  # pyright: ignore
    assert "sasl.password" not in str(error.value) or "hunter2" not in str(error.value).replace("acks", "")


def test_acks_0_has_no_offsets(cluster: Cluster) -> None:
    async def main() -> None:
        async with Producer(bootstrap_servers=cluster.bootstrap_servers, acks=0) as producer:
            assert (await producer.send("t", "x", partition=0)).offset is None
            assert (await producer.publish_batch("y" * 900_000, topic="t", partition=0)).base_offset is None

    run(main)
    assert [len(record.value or b"") for record in cluster.wait_for_records(2, "t", 0)] == [1, 900_000]


def test_compression_in_a_thread_keeps_the_batch(cluster: Cluster) -> None:
    async def main() -> None:
        async with Producer(
            bootstrap_servers=cluster.bootstrap_servers, compression_type="gzip", batch_size=1 << 20
        ) as producer:
            batch = producer.batch()
            taken = batch.fill_from([f"value {n}" for n in range(10_000)])
            assert taken == 10_000 and len(await producer.publish_batch(batch=batch, topic="t", partition=2)) == taken

    run(main)
    assert values(cluster, "t", 2) == [f"value {n}".encode() for n in range(10_000)]


@pytest.mark.parametrize(("acks", "size", "writes"), [("all", 1000, [5]), ("0", 1000, [1]), ("all", 100_000, [1, 1, 1, 1, 1])])
def test_short_frames_are_written_together(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, acks: str, size: int, writes: list[int]
) -> None:
    async def by_transport(self: Connection, host: str, address: str, port: int) -> None:
        await asyncio.get_running_loop().create_connection(lambda: self, address, port)

    async def main() -> None:
        monkeypatch.setattr(Connection, "_attempt", by_transport)
        settings = {"acks": acks, "batch_size": size * 2}
        async with Producer(bootstrap_servers=cluster.bootstrap_servers, **settings) as producer:  # type: ignore[arg-type]
            await producer.publish_batch("connects", topic="t", partition=0)
            written: list[int] = []
            transmit = Connection.transmit

            def counting(self: Connection, data: bytes, frames: int) -> None:
                written.append(frames)
                transmit(self, data, frames)

            monkeypatch.setattr(Connection, "transmit", counting)
            batches = [KafkaBatch(f"{n}".ljust(size), batch_size=size * 2) for n in range(6)]
            futures = [await producer.send_batch(batch, "t", partition=0) for batch in batches]
            await futures[0]
            assert written[: len(writes)] == writes, "at most five are in flight, or one if nothing is acknowledged"
            await asyncio.gather(*futures)
            assert sum(written) == 6

    run(main)
    cluster.wait_for_records(7, "t", 0)
    assert values(cluster)[1:] == [f"{n}".ljust(size).encode() for n in range(6)]


def test_uvloop_runs_it(cluster: Cluster) -> None:
    uvloop = pytest.importorskip("uvloop")

    async def main() -> None:
        for acks in ("all", "0"):
            async with Producer(bootstrap_servers=cluster.bootstrap_servers, acks=acks) as producer:  # pyright: ignore
                await asyncio.gather(*[producer.send("t", str(n), partition=0) for n in range(1000)])
                await producer.publish_batch("x" * 500_000, topic="t", partition=1)

    loop = uvloop.new_event_loop()
    try:
        loop.run_until_complete(asyncio.wait_for(main(), LIMIT))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
    cluster.wait_for_records(2000, "t", 0)
    assert values(cluster) == [str(n).encode() for n in range(1000)] * 2
    assert len(cluster.wait_for_records(2, "t", 1)) == 2


@pytest.mark.broker
def test_a_real_broker_accepts_it(brokers: str) -> None:
    aiokafka = pytest.importorskip("aiokafka")
    topic = f"producer-{uuid.uuid4()}"

    async def main() -> None:
        async with Producer(bootstrap_servers=brokers, compression_type="lz4") as producer:
            delivery = await producer.publish_batch("one", "two", topic=topic, partition=0, headers={"h": "1"})
            assert delivery.base_offset == 0
            sent = await asyncio.gather(*[producer.send(topic, str(n), partition=0) for n in range(1000)])
            assert [one.offset for one in sent] == list(range(2, 1002))
        consumer = aiokafka.AIOKafkaConsumer(bootstrap_servers=brokers)
        await consumer.start()
        try:
            partition = aiokafka.TopicPartition(topic, 0)
            consumer.assign([partition])
            await consumer.seek_to_beginning(partition)
            found = [(await consumer.getone()) for _ in range(1002)]
        finally:
            await consumer.stop()
        assert [record.value for record in found] == [b"one", b"two"] + [str(n).encode() for n in range(1000)]

    run(main)
