"""Publish sample orders through aiokafka, in batches that end when they are full."""

from __future__ import annotations

import argparse
import asyncio
import time

from aiokafka import AIOKafkaProducer

from kafka_batch import KafkaBatch
from kafka_batch.aiokafka import send_batch
from kafka_batch.testing import Cluster


async def publish(brokers: str, topic: str, count: int) -> None:
    """Publish ``count`` orders, and print where they are."""
    orders = [{"order": n, "customer": f"customer {n % 97}", "cents": n * 101 % 9973} for n in range(count)]
    producer = AIOKafkaProducer(bootstrap_servers=brokers, enable_idempotence=True)
    await producer.start()
    try:
        sent, futures, begun = 0, [], time.perf_counter()
        batch = KafkaBatch(compression_type="lz4", batch_size=64 * 1024)
        while sent < count:
            sent += batch.fill_from(orders, sent, headers={"source": "sample"})
            futures.append((len(batch), await send_batch(producer, batch, topic, partition=0)))
            batch = batch.next_batch()
        for records, future in futures:
            print(f"{records} orders from offset {(await future).offset} on")
        print(f"{count} orders in {len(futures)} batches in {time.perf_counter() - begun:.2f} s")
    finally:
        await producer.stop()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--brokers", help="HOST:PORT of a broker; without it, a cluster is started in this process")
    arguments.add_argument("--topic", default="sample-orders")
    arguments.add_argument("--count", type=int, default=5000)
    given = arguments.parse_args()
    if given.brokers is not None:
        asyncio.run(publish(given.brokers, given.topic, given.count))
    else:
        with Cluster() as cluster:
            asyncio.run(publish(cluster.bootstrap_servers, given.topic, given.count))
            print(f"{len(cluster.records(given.topic))} records are in the log")
