"""Measures Python's producers against one broker: processor time of the client's process for a million records, and round trips.

Every client is measured in a process of its own, which publishes values of 100 bytes to one partition (acks=all, idempotent, no
codec), several rounds; rounds of the clients alternate. Printed is the median. The machine's load disturbs records per second more
than processor time::

    pip install ./transports/asyncio aiokafka==0.14.0 confluent-kafka==2.16.1
    cargo with-kafka --kafka 4 -- bash -c 'python bench/python/end_to_end.py "$KAFKA_BATCH_BROKERS"'
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable

VALUE = b"v" * 100
IN_FLIGHT = 5
"""So many batches are given to a producer before the first outcome is awaited, but for 1 MiB in all at least."""


def processor_time() -> float:
    """Return the seconds of processor time of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def ours(brokers: str, topic: str, size: int, records: int) -> None:
    """Publish by `kafka_batch.Producer`, in batches."""
    from kafka_batch import Producer

    async with Producer(bootstrap_servers=brokers, batch_size=size) as producer:
        values, sent = [VALUE] * 10_000, 0
        waiting: list[asyncio.Future[object]] = []
        while sent < records:
            batch = producer.batch()
            sent += batch.fill_from(values, max(0, len(values) - (records - sent)))
            waiting.append(await producer.send_batch(batch, topic, partition=0))  # type: ignore[arg-type]
            if len(waiting) >= max(IN_FLIGHT, (1 << 20) // size):
                await waiting.pop(0)
        await asyncio.gather(*waiting)


async def ours_one_by_one(brokers: str, topic: str, size: int, records: int) -> None:
    """Publish by `kafka_batch.Producer.send`, by a hundred tasks."""
    from kafka_batch import Producer

    async with Producer(bootstrap_servers=brokers, batch_size=size) as producer:

        async def task() -> None:
            for _ in range(records // 1000):
                await asyncio.gather(*[producer.send(topic, VALUE, partition=0) for _ in range(10)])

        await asyncio.gather(*[task() for _ in range(100)])


async def aiokafka(brokers: str, topic: str, size: int, records: int) -> None:
    """Publish by aiokafka, in batches."""
    from aiokafka import AIOKafkaProducer

    settings = {"max_batch_size": size, "max_request_size": 2 << 20}
    async with AIOKafkaProducer(bootstrap_servers=brokers, enable_idempotence=True, **settings) as producer:
        sent = 0
        waiting: list[asyncio.Future[object]] = []
        while sent < records:
            batch = producer.create_batch()
            while sent < records and batch.append(key=None, value=VALUE, timestamp=None) is not None:
                sent += 1
            batch.close()
            waiting.append(await producer.send_batch(batch, topic, partition=0))
            if len(waiting) >= max(IN_FLIGHT, (1 << 20) // size):
                await waiting.pop(0)
        await asyncio.gather(*waiting)


async def aiokafka_one_by_one(brokers: str, topic: str, size: int, records: int) -> None:
    """Publish by aiokafka's `send_and_wait`, by a hundred tasks."""
    from aiokafka import AIOKafkaProducer

    settings = {"max_batch_size": size, "max_request_size": 2 << 20}
    async with AIOKafkaProducer(bootstrap_servers=brokers, enable_idempotence=True, **settings) as producer:

        async def task() -> None:
            for _ in range(records // 1000):
                await asyncio.gather(*[producer.send_and_wait(topic, VALUE, partition=0) for _ in range(10)])

        await asyncio.gather(*[task() for _ in range(100)])


async def confluent(brokers: str, topic: str, size: int, records: int) -> None:
    """Publish by confluent-kafka's `produce_batch`."""
    from confluent_kafka import Producer

    producer = Producer(
        {
            "bootstrap.servers": brokers,
            "enable.idempotence": True,
            "batch.size": size,
            "linger.ms": 5,
            "queue.buffering.max.messages": 0,
            "message.max.bytes": 2 << 20,
        }
    )
    messages = [{"value": VALUE} for _ in range(10_000)]
    sent = 0
    while sent < records:
        some = messages[: records - sent]
        producer.produce_batch(topic, some, partition=0)
        sent += len(some)
        producer.poll(0)
    producer.flush()


async def round_trips(client: str, brokers: str, topic: str, count: int) -> list[float]:
    """Return the seconds of round trips of single records."""
    if client == "ours":
        from kafka_batch import Producer

        async with Producer(bootstrap_servers=brokers) as producer:
            return await timed(lambda: producer.send(topic, VALUE, partition=0), count)
    from aiokafka import AIOKafkaProducer

    async with AIOKafkaProducer(bootstrap_servers=brokers, enable_idempotence=True) as other:
        return await timed(lambda: other.send_and_wait(topic, VALUE, partition=0), count)


async def timed(send: Callable[[], object], count: int) -> list[float]:
    """Return the seconds of each of ``count`` calls, after some that do not count."""
    found = []
    for number in range(count + 100):
        start = time.perf_counter()
        await send()  # type: ignore[misc]
        if number >= 100:
            found.append(time.perf_counter() - start)
    return found


CLIENTS = {
    "kafka_batch": ours,
    "aiokafka": aiokafka,
    "confluent-kafka produce_batch": confluent,
    "kafka_batch send": ours_one_by_one,
    "aiokafka send": aiokafka_one_by_one,
}


def measure(client: str, brokers: str, size: int, records: int) -> None:
    """Print the processor time and the records of a second. Runs in a process of its own."""
    if client.startswith("round trip "):
        found = asyncio.run(round_trips(client.removeprefix("round trip "), brokers, f"m-{uuid.uuid4()}", records))
        print(statistics.median(found) * 1e6)
        return
    topic = f"m-{uuid.uuid4()}"
    asyncio.run(CLIENTS[client](brokers, topic, size, 10_000))  # connections, imports and the topic are not measured
    start, used = time.perf_counter(), processor_time()
    asyncio.run(CLIENTS[client](brokers, topic, size, records))
    used, elapsed = processor_time() - used, time.perf_counter() - start
    print(used / records * 1e6, records / elapsed / 1e6)


def run(client: str, brokers: str, size: int, records: int) -> list[float]:
    """Run a measurement in a process of its own."""
    command = [sys.executable, __file__, brokers, "--client", client, "--size", str(size), "--records", str(records)]
    return [float(text) for text in subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()]


def main() -> None:
    """Measure all clients, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("brokers")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--records", type=int, default=300_000)
    parser.add_argument("--client", help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    brokers, records = arguments.brokers, arguments.records
    if arguments.client:
        measure(arguments.client, brokers, arguments.size, records)
        return
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {arguments.rounds} rounds of {records} records\n")
    print("| client | batches | processor time, s per million records | million records a second |\n|---|--:|--:|--:|")
    for size in (16_384, 1_000_000):
        clients = [client for client in CLIENTS if size == 16_384 or not client.endswith("send")]
        found: dict[str, list[list[float]]] = {client: [] for client in clients}
        for _ in range(arguments.rounds):
            for client in clients:
                count = records // 5 if client.endswith("send") else records
                found[client].append(run(client, brokers, size, count))
        for client in clients:
            used, speed = (statistics.median(values) for values in zip(*found[client], strict=True))
            print(f"| {client} | {size} | {used:.3f} | {speed:.2f} |", flush=True)
    print("\n| one record at a time | median round trip, µs |\n|---|--:|")
    trips: dict[str, list[float]] = {"ours": [], "aiokafka": []}
    for _ in range(arguments.rounds):
        for client in trips:
            trips[client] += run(f"round trip {client}", brokers, 0, 1000)
    for client, values in trips.items():
        print(f"| {client.replace('ours', 'kafka_batch')} | {statistics.median(values):.0f} |")


if __name__ == "__main__":
    main()
