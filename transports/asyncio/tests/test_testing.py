"""The cluster for the tests of other programs."""

from __future__ import annotations

import asyncio
import threading

import pytest

from kafka_batch import KafkaBatch
from kafka_batch.testing import Cluster


def test_a_cluster_starts_and_stops() -> None:
    with Cluster({"orders": 3, "refunds": 1}, brokers=2) as cluster:
        assert len(cluster.bootstrap_servers.split(",")) == 2
        assert sorted(cluster.topics()) == ["orders", "refunds"]
        assert cluster.records("orders", 2) == []
        with pytest.raises(KeyError, match="orders-3"):
            cluster.records("orders", 3)
        with pytest.raises(TimeoutError, match="orders-0 has not had 1 records"):
            cluster.wait_for_records(1, "orders", timeout=0.01)
        assert cluster.kill(1)
        assert not cluster.kill(1)
        assert cluster.restart(1)
        assert cluster.violations() == []
    cluster.stop()
    with pytest.raises(RuntimeError, match="stopped"):
        cluster.topics()
    with pytest.raises(ValueError, match="at least one broker"):
        Cluster(brokers=0)


def test_what_is_published_is_in_the_log() -> None:
    aiokafka = pytest.importorskip("aiokafka")
    from kafka_batch.aiokafka import send_batch

    async def publish(servers: str) -> None:
        async with aiokafka.AIOKafkaProducer(bootstrap_servers=servers, enable_idempotence=True) as producer:
            batch = KafkaBatch("one", headers={"h": "1"}, compression_type="zstd", key="k", timestamp_ms=5)
            await (await send_batch(producer, batch, "orders", partition=1))
            await (await send_batch(producer, batch.copy(), "orders", partition=1))

    with Cluster({"orders": 2}) as cluster:
        publishing = threading.Thread(target=lambda: asyncio.run(publish(cluster.bootstrap_servers)))
        publishing.start()
        first, second = cluster.wait_for_records(2, "orders", 1, timeout=60)
        publishing.join()
        assert (first.offset, first.key, first.value, first.timestamp) == (0, b"k", b"one", 5)
        assert first.headers == (("content-type", b"text/plain"), ("h", b"1"))
        assert (second.offset, second.value) == (1, b"one")
        assert cluster.records("orders", 0) == []
        assert cluster.violations() == []
