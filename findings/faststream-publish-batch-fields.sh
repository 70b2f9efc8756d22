#!/usr/bin/env bash
# Publishes a KafkaPublishMessage, which according to its documentation sets attributes of single messages in publish_batch,
# on librdkafka's mock cluster. Needs Python; ten seconds.
source "$(dirname "$0")/lib.sh"
faststream=0.7.8 aiokafka=0.14.0 confluent=2.16.1
python_with "faststream[kafka]==$faststream" "aiokafka==$aiokafka" "confluent-kafka==$confluent"

seen=$(python - 2>"$work/log" <<'PY'
import asyncio
from aiokafka import AIOKafkaConsumer, TopicPartition
from confluent_kafka import Producer
from faststream.kafka import KafkaBroker, KafkaPublishMessage as Message

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
        message = Message("v", key=b"k", headers={"own": "header"}, correlation_id="own-id", timestamp_ms=1000)
        await broker.publish_batch(message, topic="topic", partition=0)
        [record] = await read("topic")
        headers = dict(record.headers)
        kept = {
            "key": record.key == b"k",
            "headers": headers.get("own") == b"header",
            "correlation_id": headers.get("correlation_id") == b"own-id",
            "timestamp_ms": record.timestamp == 1000,
        }
        print(*[f"{field} {'kept' if fine else 'lost'}" for field, fine in kept.items()], sep=", ")

asyncio.run(asyncio.wait_for(main(), 90))
PY
) || { cat "$work/log" >&2; exit 2; }
judge "FastStream: of a KafkaPublishMessage, publish_batch sends the value and the key alone" \
    "FastStream $faststream, aiokafka $aiokafka, mock cluster of confluent-kafka $confluent" \
    "key, headers, correlation_id and timestamp_ms kept, or an error" \
    "$seen" \
    "key kept, headers lost, correlation_id lost, timestamp_ms lost"
