"""Writes and reads with aiokafka: with_aiokafka.py HOST:PORT[,…] write|read"""

from __future__ import annotations

import asyncio
from typing import Any

import aiokafka
from job import Progress, arguments, emit, emit_record, parts, read_job, wait_for_line


async def write(servers: str, job: dict[str, Any]) -> None:
    """Write the records to each partition."""
    producers = []
    for target in job["partitions"]:
        producer = aiokafka.AIOKafkaProducer(
            bootstrap_servers=servers,
            acks="all",
            compression_type=None if target["codec"] == "none" else target["codec"],
            enable_idempotence=target["idempotent"],
            linger_ms=50,
            max_batch_size=1 << 20,
        )
        await producer.start()
        producers.append((target["partition"], producer))
    for number, positions in enumerate(parts(job)):
        if number:
            wait_for_line()
        sent = []
        for partition, producer in producers:
            for position in positions:
                fields = arguments(job["records"][position])
                sent.append((partition, position, await producer.send(job["topic"], partition=partition, **fields)))
        for partition, position, future in sent:
            emit("sent", partition=partition, position=position, offset=(await future).offset)
    for _, producer in producers:
        await producer.stop()


async def read(servers: str, job: dict[str, Any]) -> None:
    """Read the partitions from their first offsets on."""
    # Not the default, latest: seek_to_beginning does nothing while the first offset is being looked up.
    consumer = aiokafka.AIOKafkaConsumer(
        bootstrap_servers=servers, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    await consumer.start()
    partitions = [aiokafka.TopicPartition(source["topic"], source["partition"]) for source in job["partitions"]]
    consumer.assign(partitions)
    earliest = await consumer.beginning_offsets(partitions)
    latest = await consumer.end_offsets(partitions)
    times = await consumer.offsets_for_times(dict.fromkeys(partitions, job["time"]))
    for each in partitions:
        found = times[each]
        emit(
            "range",
            topic=each.topic,
            partition=each.partition,
            earliest=earliest[each],
            latest=latest[each],
            from_time=None if found is None else (found.offset, found.timestamp),
        )
    progress = Progress(job)
    for limit in [job["pause_after"], None]:
        while not progress.reached(limit):
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                for record in records:
                    progress.add(record)
                    emit_record(record)
        if limit is None:
            break
        wait_for_line()
    await consumer.stop()


if __name__ == "__main__":
    servers, mode, job = read_job()
    emit("client", name="aiokafka", version=aiokafka.__version__)
    asyncio.run({"write": write, "read": read}[mode](servers, job))
