"""Writes and reads with kafka-python: with_kafka_python.py HOST:PORT[,…] write|read"""

from __future__ import annotations

from typing import Any

import kafka
from job import Progress, arguments, emit, emit_record, parts, read_job, wait_for_line


def write(servers: str, job: dict[str, Any]) -> None:
    """Write the records to each partition."""
    producers = [
        (
            target["partition"],
            kafka.KafkaProducer(
                bootstrap_servers=servers.split(","),
                acks="all",
                compression_type=None if target["codec"] == "none" else target["codec"],
                enable_idempotence=target["idempotent"],
                linger_ms=50,
                batch_size=1 << 20,
            ),
        )
        for target in job["partitions"]
    ]
    for number, positions in enumerate(parts(job)):
        if number:
            wait_for_line()
        sent = []
        for partition, producer in producers:
            for position in positions:
                fields = arguments(job["records"][position])
                sent.append((partition, position, producer.send(job["topic"], partition=partition, **fields)))
        for partition, position, future in sent:
            emit("sent", partition=partition, position=position, offset=future.get(timeout=60).offset)
    for _, producer in producers:
        producer.close()


def read(servers: str, job: dict[str, Any]) -> None:
    """Read the partitions from their first offsets on."""
    consumer = kafka.KafkaConsumer(bootstrap_servers=servers.split(","), group_id=None, enable_auto_commit=False)
    partitions = [kafka.TopicPartition(source["topic"], source["partition"]) for source in job["partitions"]]
    consumer.assign(partitions)
    earliest = consumer.beginning_offsets(partitions)
    latest = consumer.end_offsets(partitions)
    times = consumer.offsets_for_times(dict.fromkeys(partitions, job["time"]))
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
    consumer.seek_to_beginning(*partitions)
    progress = Progress(job)
    for limit in [job["pause_after"], None]:
        while not progress.reached(limit):
            for records in consumer.poll(timeout_ms=1000).values():
                for record in records:
                    progress.add(record)
                    emit_record(record)
        if limit is None:
            break
        wait_for_line()
    consumer.close()


if __name__ == "__main__":
    servers, mode, job = read_job()
    emit("client", name="kafka-python", version=kafka.__version__)
    {"write": write, "read": read}[mode](servers, job)
