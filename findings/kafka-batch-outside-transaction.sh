#!/usr/bin/env bash
# Sends a batch without the transactional flag inside a transaction, aborts it, and reads what is committed. Needs Java 17, Maven
# and Python; half a minute.
source "$(dirname "$0")/lib.sh"
kafka=4.4.0 aiokafka=0.14.0
python_with "aiokafka==$aiokafka"
kafka "$kafka"

seen=$(python - 2>"$work/log" <<'PY'
import asyncio
import os
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.producer.message_accumulator import BatchBuilder

address, place = os.environ["broker"], TopicPartition("topic", 0)

async def main():
    producer = AIOKafkaProducer(bootstrap_servers=address, transactional_id="id")
    async with producer:
        for flag in 0, 1:
            batch = BatchBuilder(16384, 0, is_transactional=flag)
            batch.append(timestamp=None, key=None, value=b"flag %d" % flag)
            await producer.begin_transaction()
            await (await producer.send_batch(batch, "topic", partition=0))
            await producer.abort_transaction()
        async with producer.transaction():
            await producer.send_and_wait("topic", b"end", partition=0)
    async with AIOKafkaConsumer(bootstrap_servers=address, isolation_level="read_committed") as consumer:
        consumer.assign([place])
        consumer.seek(place, 0)
        values = []
        while values[-1:] != [b"end"]:
            values.append((await consumer.getone()).value)
        print("both batches are accepted; read after the aborts:", *values)

asyncio.run(asyncio.wait_for(main(), 90))
PY
) || { cat "$work/log" >&2; exit 2; }
judge "Kafka: a batch without the transactional flag is accepted inside a transaction, and is not aborted with it" \
    "Apache Kafka $kafka, aiokafka $aiokafka" \
    "a batch of a producer in a transaction that does not belong to it is refused" \
    "$seen" \
    "both batches are accepted; read after the aborts: b'flag 0' b'end'"
