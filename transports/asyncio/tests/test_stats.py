"""The statistics of a producer, over the cluster in this process."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from kafka_batch import KafkaBatch, Producer, Stats, stats
from kafka_batch.testing import Cluster


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Return a cluster of one broker."""
    with Cluster({"t": 1}) as cluster:
        yield cluster


def test_a_snapshot_has_what_was_sent(cluster: Cluster) -> None:
    async def main() -> tuple[Stats, Stats, Stats]:
        async with Producer(bootstrap_servers=cluster.bootstrap_servers, batch_size=1000) as producer:
            before = await producer.stats()
            assert len(await (await producer.send_batch(KafkaBatch("a", "b"), "t", partition=0))) == 2
            await producer.send("t", "c")
            after = await producer.stats()
        return before, after, await producer.stats()

    before, after, last = asyncio.run(main())
    assert (before.topics, before.metadata_age, before.total.accepted.sum().batch_total) == ((), None, 0)
    assert before.total.batch_size_avg() is None and before.oldest_batch_age() is None
    assert 0 <= before.at <= after.at <= last.at

    [topic] = after.topics
    assert (topic.topic, topic.batches, topic.oldest_batch_age) == ("t", after.total, None)
    accepted = after.total.accepted
    assert (accepted.explicit.batch_total, accepted.explicit.record_total) == (1, 2)
    assert (accepted.linger.batch_total, accepted.linger.limit_total) == (1, 1000)
    assert accepted.sum().records_per_batch_avg() == 1.5
    assert (after.total.record_send_total, after.total.record_ack_total, after.total.record_error_total) == (3, 3, 0)
    assert after.total.batch_size_avg() == after.total.sealed_byte_total / 2
    assert (after.total.compression_rate_avg(), dict(after.total.errors)) == (1, {})
    assert after.total.ack_time.count == 2 and 0 < after.total.ack_time.max <= after.total.ack_time.total < 60
    assert after.total.ack_time.avg_since(before.total.ack_time) == after.total.ack_time.avg()

    assert after.metadata_age is not None and 0 <= after.metadata_age < 60
    assert after.connection_count() >= 1 and after.requests_in_flight() == 0
    broker = next(broker for broker in after.brokers if broker.id is not None)
    assert broker.is_connected and broker.address == f"{broker.host}:{broker.port}" == cluster.bootstrap_servers
    assert broker.request_latency.count == 2 and broker.response_total >= 2 and broker.outgoing_byte_total > 0
    assert after.buffer.buffer_total_bytes == after.buffer.buffer_available_bytes == 33554432
    assert (after.buffer.batches_in_use, after.buffer.waiting) == (0, 0)

    assert last.connection_count() == 0, "the last ones remain after the producer was closed"
    assert last.total == after.total
    with pytest.raises(dataclasses.FrozenInstanceError):
        last.at = 0  # type: ignore[misc]
    assert dataclasses.asdict(last)["total"]["accepted"]["explicit"]["record_total"] == 2


def test_errors_of_brokers_have_kafka_s_names(cluster: Cluster) -> None:
    async def main() -> Stats:
        async with Producer(bootstrap_servers=cluster.bootstrap_servers) as producer:
            await producer.send("t", "first")
            cluster.inject("error", code=6)  # the leader has moved
            await producer.send("t", "second")
            return await producer.stats()

    found = asyncio.run(main())
    assert dict(found.total.errors) == {"NOT_LEADER_OR_FOLLOWER": 1}
    assert (found.total.batch_retry_total, found.total.record_ack_total) == (1, 2)


def test_every_name_of_the_table_exists() -> None:
    table = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text(encoding="utf-8")
    rows = [row for row in table.split("## All of them")[1].split("## In Prometheus")[0].splitlines() if row.startswith("| `")]
    classes = [getattr(stats, name) for name in stats.__all__]
    names = {name for each in classes for name in (*(field.name for field in dataclasses.fields(each)), *vars(each))}
    found = re.findall(r"`(\w+)", " ".join(row.split("|")[1] for row in rows))
    assert len(found) > 40 and set(found) <= names, set(found) - names
    # And no field is missing in the table, except for those that say what the others are about.
    described = {"at", "total", "topics", "brokers", "buffer", "topic", "batches", "id", "host", "port", "count", "max"}
    described |= {"batch_total", "record_total", "limit_total", "client_instance_id", "full", "linger", "flush", "memory"}
    fields = {field.name for each in classes for field in dataclasses.fields(each)}
    assert fields - set(found) <= described | {"explicit"}, fields - set(found) - described
