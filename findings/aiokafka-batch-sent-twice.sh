#!/usr/bin/env bash
# Passes the same batch to send_batch() of an idempotent producer twice, then sends something else. Waits 5 s for each outcome. Needs Java 17, Maven and
# Python; half a minute.
source "$(dirname "$0")/lib.sh"
kafka=4.4.0 aiokafka=0.14.0
python_with "aiokafka==$aiokafka"
kafka "$kafka"

seen=$(python - 2>"$work/log" <<'PY'
import asyncio
import os
from aiokafka import AIOKafkaProducer

async def outcome(sending):
    try:
        delivery = await asyncio.wait_for(sending, 5)
        return f"offset {(await asyncio.wait_for(asyncio.shield(delivery), 5)).offset}"
    except BaseException as error:
        return type(error).__name__

async def main():
    producer = AIOKafkaProducer(bootstrap_servers=os.environ["broker"], enable_idempotence=True)
    await producer.start()
    batch = producer.create_batch()
    batch.append(timestamp=None, key=None, value=b"batch")
    print("once:", await outcome(producer.send_batch(batch, "topic", partition=0)))
    print("twice:", await outcome(producer.send_batch(batch, "topic", partition=0)))
    print("another message:", await outcome(producer.send("topic", b"other", partition=0)))

asyncio.run(main())
PY
) || { cat "$work/log" >&2; exit 2; }
judge "aiokafka: a batch that is passed to send_batch() twice ends the producer: everything after it fails, too" \
    "Apache Kafka $kafka, aiokafka $aiokafka" \
    "the second call raises an error, and nothing else is affected" \
    "$seen" \
    "once: offset 0
twice: TimeoutError
another message: KafkaError"
