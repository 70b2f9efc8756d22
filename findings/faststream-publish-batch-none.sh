#!/usr/bin/env bash
# Publishes batches with None at different positions, on librdkafka's mock cluster. Needs Python; ten seconds.
source "$(dirname "$0")/lib.sh"
faststream=0.7.8 aiokafka=0.14.0 confluent=2.16.1
python_with "faststream[kafka]==$faststream" "aiokafka==$aiokafka" "confluent-kafka==$confluent"

seen=$(python - 2>"$work/log" <<'PY'
import asyncio
from aiokafka import AIOKafkaConsumer, TopicPartition
from confluent_kafka import Producer
from faststream.kafka import KafkaBroker

mock = Producer({"test.mock.num.brokers": 1})
address = next(iter(mock.list_topics(timeout=30).brokers.values()))
address = f"{address.host}:{address.port}"

async def read(topic):
    place = TopicPartition(topic, 0)
    async with AIOKafkaConsumer(bootstrap_servers=address) as consumer:
        consumer.assign([place])
        count = (await consumer.end_offsets([place]))[place]
        consumer.seek(place, 0)
        return [await consumer.getone() for _ in range(count)]

async def main():
    async with KafkaBroker(address, logger=None) as broker:
        for topic, messages in ("middle", ("a", None, "b")), ("first", (None, "b")):
            await broker.publish_batch(*messages, topic=topic, partition=0)
            print(*messages, "is read as", *[record.value for record in await read(topic)])

asyncio.run(asyncio.wait_for(main(), 90))
PY
) || { cat "$work/log" >&2; exit 2; }
judge "FastStream: publish_batch drops None, but only if it is the first message" \
    "FastStream $faststream, aiokafka $aiokafka, mock cluster of confluent-kafka $confluent" \
    "None is an empty message, or a tombstone, at every position" \
    "$seen" \
    "a None b is read as b'a' b'' b'b'
None b is read as b'b'"
