#!/usr/bin/env bash
# aiokafka's send() can append to an open batch that was passed to send_batch() and waits to be sent. With a
# value_serializer, on librdkafka's mock cluster. Needs Python; ten seconds.
source "$(dirname "$0")/lib.sh"
aiokafka=0.14.0 confluent=2.16.1
python_with "aiokafka==$aiokafka" "confluent-kafka==$confluent"

seen=$(python - 2>"$work/log" <<'PY'
import asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from confluent_kafka import Producer

mock = Producer({"test.mock.num.brokers": 1})
broker = next(iter(mock.list_topics(timeout=30).brokers.values()))
address = f"{broker.host}:{broker.port}"

async def main():
    serializer = lambda value: b"<" + value + b">"
    async with AIOKafkaProducer(bootstrap_servers=address, value_serializer=serializer, linger_ms=500) as producer:
        batch = producer.create_batch()
        batch.append(timestamp=None, key=None, value=b"appended")
        futures = [
            await producer.send_batch(batch, "topic", partition=0),
            await producer.send("topic", b"sent behind it", partition=0),
        ]
        await asyncio.gather(*futures)
        await producer.send_and_wait("topic", b"sent alone", partition=0)
    async with AIOKafkaConsumer(bootstrap_servers=address) as consumer:
        consumer.assign([TopicPartition("topic", 0)])
        consumer.seek(TopicPartition("topic", 0), 0)
        print(*[(await consumer.getone()).value.decode() for _ in range(3)], sep=", ")

asyncio.run(asyncio.wait_for(main(), 60))
PY
) || { cat "$work/log" >&2; exit 2; }
judge "aiokafka: send() behind an open batch serializes the value twice" \
    "aiokafka $aiokafka, mock cluster of confluent-kafka $confluent" \
    "<appended>, <sent behind it>, <sent alone>" \
    "$seen" \
    "<appended>, <<sent behind it>>, <sent alone>"
