"""Several threads at once, as hard as they can: above all for an interpreter without a global lock."""

from __future__ import annotations

import asyncio
import random
import sys
import threading
from collections.abc import Callable

import pytest
from test_threads import run

from kafka_batch import BatchBufferOverflowError, BatchSentError, Delivery, KafkaBatch, KafkaBatchError, Producer
from kafka_batch.testing import Cluster

THREADS = 4


@pytest.fixture(autouse=True)
def frequent_switches() -> object:
    """Let an interpreter with a global lock switch threads often."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


def together(function: Callable[[int], object]) -> None:
    """Call a function in several threads, which begin at the same time."""
    barrier = threading.Barrier(THREADS)

    def begin(name: int) -> None:
        barrier.wait()
        function(name)

    run(*[lambda name=name: begin(name) for name in range(THREADS)])  # type: ignore[misc]


@pytest.mark.parametrize("seed", range(3))
def test_what_was_appended_is_in_the_batch_once_and_in_order(seed: int) -> None:
    batch = KafkaBatch(batch_size=8 << 20, max_message_bytes=8 << 20, compression_type="lz4")
    appended: list[list[bytes]] = [[] for _ in range(THREADS)]

    def work(name: int) -> None:
        draw, mine = random.Random(seed * THREADS + name), appended[name]

        def values(count: int) -> list[bytes]:
            return [b"%d %d " % (name, len(mine) + n) + b"x" * draw.randrange(60) for n in range(count)]

        for _ in range(400):
            new = values(1 + draw.randrange(6))
            kind = draw.randrange(6)
            if kind == 0:
                batch.extend(*new, correlation_id="c")
            elif kind == 1:
                assert batch.fill_from(new) == len(new)
            elif kind == 2:
                batch.try_extend(*[value.decode() for value in new])
            elif kind == 3:
                new = new[:1]
                assert batch.append(value=new[0], key=b"k", headers={"h": "1"}) is not None
            elif kind == 4:
                with pytest.raises(BatchBufferOverflowError):
                    batch.try_extend(*new, b"z" * (9 << 20))
                new = []
            else:
                assert batch.size() > 0 and len(batch) >= len(mine) and batch.room() >= 0
                batch.cost(new[0], headers=[("a", None)])
                assert batch.fits(new[0])
                assert len(batch.copy()) >= len(mine) and not batch.next_batch().closed()
                new = []
            mine += new

    together(work)
    batch.seal()
    read: list[list[bytes]] = [[] for _ in range(THREADS)]
    for record in batch:
        assert record.value is not None
        read[int(record.value.split()[0])].append(record.value)
    assert read == appended


@pytest.mark.parametrize("codec", [None, "gzip", "zstd"])
def test_a_batch_is_one_whole_batch_whatever_is_called(codec: str | None) -> None:
    for seed in range(20):
        batch = KafkaBatch("first", batch_size=1 << 16, compression_type=codec)
        taken: list[object] = []

        def work(name: int, batch: KafkaBatch = batch, taken: list[object] = taken, seed: int = seed) -> None:
            draw = random.Random(seed * THREADS + name)
            mark = None
            for _ in range(60):
                kind = draw.randrange(20)
                try:
                    if kind < 8:
                        batch.append(f"{name}")
                    elif kind < 12:
                        batch.fill_from([b"1", b"2", b"3", b"4", b"5"])
                    elif kind == 12:
                        mark = batch.mark()
                    elif kind == 13 and mark is not None:
                        batch.rollback(mark)
                    elif kind == 14:
                        assert {record.value for record in batch} <= allowed
                    elif kind == 15:
                        parts = batch.copy().split(4096).parts
                        assert all(part.closed() for _, part in parts)
                    elif kind == 16:
                        repr(batch), batch.size(), batch.closed(), batch.record_count()
                    elif kind == 17 and draw.randrange(20) == 0:
                        batch.close()
                    elif kind == 18 and draw.randrange(20) == 0:
                        batch.seal()
                    elif kind == 19 and draw.randrange(20) == 0:
                        taken.append(batch._builder(idempotent=False, transactional=False))
                except KafkaBatchError:
                    pass  # another thread has sealed it, or has undone what was marked

        allowed = {b"first", *[b"%d" % n for n in range(6)]}
        together(work)
        assert len(taken) <= 1
        try:
            batch.seal()
        except BatchSentError:
            assert taken
        assert len(list(batch)) == len(batch)
        assert {record.value for record in batch} <= allowed


def test_producers_of_several_threads_share_a_process() -> None:
    with Cluster({"orders": THREADS}) as cluster:
        deliveries: list[Delivery] = []

        async def publish(name: int) -> None:
            async with Producer(bootstrap_servers=cluster.bootstrap_servers, linger_ms=1) as producer:
                for n in range(30):
                    batch = producer.batch()
                    assert batch.fill_from([b"%d" % (n * 10 + k) for k in range(10)]) == 10
                    deliveries.append(await (await producer.send_batch(batch, "orders", partition=name)))
                await asyncio.gather(*[producer.send("orders", f"{n}", partition=name) for n in range(300, 400)])

        together(lambda name: asyncio.run(publish(name)))
        for partition in range(THREADS):
            records = cluster.wait_for_records(400, "orders", partition)
            assert [record.value for record in records] == [b"%d" % n for n in range(400)]
        assert cluster.violations() == []
        together(lambda _: [delivery.offset(k) for delivery in deliveries for k in range(len(delivery))])
        assert len(deliveries) == 30 * THREADS
