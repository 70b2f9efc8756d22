#!/usr/bin/env bash
# Sends three records of one batch with their own timestamps to a topic with CreateTime, and compares what send() returns
# with what a consumer reads. Needs Java 17, Maven and Python; half a minute.
source "$(dirname "$0")/lib.sh"
kafka=4.4.0 aiokafka=0.14.0
python_with "aiokafka==$aiokafka"
kafka "$kafka"

seen=$(python - <<'PY'
import asyncio, os
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

address, place, times = os.environ["broker"], TopicPartition("topic", 0), (1000, 2000, 3000)

async def main():
    async with AIOKafkaProducer(bootstrap_servers=address, linger_ms=500) as producer:
        futures = [await producer.send("topic", b"v", partition=0, timestamp_ms=time) for time in times]
        print("returned:", *[result.timestamp for result in await asyncio.gather(*futures)])
    async with AIOKafkaConsumer(bootstrap_servers=address) as consumer:
        consumer.assign([place])
        consumer.seek(place, 0)
        print("read:", *[(await consumer.getone()).timestamp for _ in times])

asyncio.run(asyncio.wait_for(main(), 60))
PY
)
judge "aiokafka: send() returns the first record's timestamp for all records of its batch" \
    "aiokafka $aiokafka, Apache Kafka $kafka" \
    "returned: 1000 2000 3000" \
    "$seen" \
    $'returned: 1000 1000 1000\nread: 1000 2000 3000'
