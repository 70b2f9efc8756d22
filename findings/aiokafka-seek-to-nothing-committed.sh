#!/usr/bin/env bash
# A consumer without committed offsets reads some records, as before a transaction that is aborted, and then calls
# seek_to_committed, to read them again. Needs Java 17, Maven and Python; half a minute.
source "$(dirname "$0")/lib.sh"
kafka=4.4.0 aiokafka=0.14.0
python_with "aiokafka==$aiokafka"
kafka "$kafka"

seen=$(python - <<'PY'
import asyncio, os
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

address = os.environ["broker"]

async def main():
    async with AIOKafkaProducer(bootstrap_servers=address) as producer:
        for value in range(4):
            await producer.send_and_wait("topic", str(value).encode(), partition=0)
    partition = TopicPartition("topic", 0)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=address, group_id="group", enable_auto_commit=False, auto_offset_reset="earliest"
    )
    async with consumer:
        consumer.assign([partition])
        for committed in (None, 0, 1):
            consumer.seek(partition, 0)
            if committed is not None:
                await consumer.commit({partition: committed})
            await consumer.getone()
            await consumer.getone()
            await consumer.seek_to_committed()
            print(f"committed {await consumer.committed(partition)}: the position is {await consumer.position(partition)}")

asyncio.run(main())
PY
) || { echo "$seen" >&2; exit 2; }
judge "aiokafka: seek_to_committed goes nowhere if the committed offset is 0, or there is none" \
    "Apache Kafka $kafka, aiokafka $aiokafka" \
    "the position is the committed offset, 0; without one, that of auto_offset_reset, 0, or an error" \
    "$seen" \
    $'committed None: the position is 2\ncommitted 0: the position is 2\ncommitted 1: the position is 1'
