#!/usr/bin/env bash
# Publishes twenty times with one key, with a batch publisher and with a publisher of single messages, to a topic with four
# partitions of librdkafka's mock cluster. Needs Python; ten seconds.
source "$(dirname "$0")/lib.sh"
faststream=0.7.8 aiokafka=0.14.0 confluent=2.16.1
python_with "faststream[kafka]==$faststream" "aiokafka==$aiokafka" "confluent-kafka==$confluent"

seen=$(python - 2>"$work/log" <<'PY'
import asyncio
from confluent_kafka import Producer
from faststream.kafka import KafkaBroker

mock = Producer({"test.mock.num.brokers": 1})
address = next(iter(mock.list_topics("topic", timeout=30).brokers.values()))

async def main():
    async with KafkaBroker(f"{address.host}:{address.port}", logger=None) as broker:
        for name, batch in ("single", False), ("batch", True):
            publisher = broker.publisher("topic", batch=batch)
            partitions = {(await publisher.publish("v", key=b"k")).partition for _ in range(20)}
            print(f"{name}: {'one partition' if len(partitions) == 1 else 'several partitions'}")

asyncio.run(asyncio.wait_for(main(), 90))
PY
) || { cat "$work/log" >&2; exit 2; }
judge "FastStream: the key of a batch does not choose its partition" \
    "FastStream $faststream, aiokafka $aiokafka, mock cluster of confluent-kafka $confluent" \
    "what has the same key goes to the same partition, as the documentation of key= says" \
    "$seen" \
    $'single: one partition\nbatch: several partitions'
