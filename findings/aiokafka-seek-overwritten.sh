#!/usr/bin/env bash
# Calls seek_to_beginning while aiokafka looks up the initial offset of a partition, against librdkafka's mock cluster. The lookup's
# response is held until the call is made; without that it is a race. Needs Python; ten seconds.
source "$(dirname "$0")/lib.sh"
aiokafka=0.14.0 confluent=2.16.1
python_with "aiokafka==$aiokafka" "confluent-kafka==$confluent"

seen=$(python - 2>"$work/log" <<'PY'
import asyncio
from aiokafka import AIOKafkaConsumer, TopicPartition
from confluent_kafka import Producer

async def main(address, reset):
    consumer = AIOKafkaConsumer(bootstrap_servers=address, auto_offset_reset=reset, enable_auto_commit=False)
    await consumer.start()
    looked_up, called, send = asyncio.Event(), asyncio.Event(), consumer._client.send

    async def hold_the_first_lookup(node, request, **options):
        response = await send(node, request, **options)
        if "OffsetRequest" in type(request).__name__ and not looked_up.is_set():
            looked_up.set()
            await called.wait()
        return response

    consumer._client.send = hold_the_first_lookup
    partition = TopicPartition("topic", 0)
    consumer.assign([partition])
    await asyncio.wait_for(looked_up.wait(), 30)
    seek = asyncio.create_task(consumer.seek_to_beginning(partition))
    await asyncio.sleep(0)  # until it waits
    called.set()
    returned = await asyncio.wait_for(seek, 30)
    print(f"{reset}: seek_to_beginning returns {returned}, the position is {await consumer.position(partition)}")
    await consumer.stop()

mock = Producer({"test.mock.num.brokers": 1})
broker = next(iter(mock.list_topics(timeout=30).brokers.values()))
for _ in range(3):
    mock.produce("topic", b"v", partition=0)
mock.flush(30)
for reset in "latest", "earliest":
    asyncio.run(main(f"{broker.host}:{broker.port}", reset))
PY
) || { cat "$work/log" >&2; exit 2; }
judge "aiokafka: seek_to_beginning does nothing while the initial offset is looked up (auto_offset_reset=latest, the default)" \
    "aiokafka $aiokafka, confluent-kafka $confluent" \
    "the position is 0, the first of three records" \
    "$seen" \
    $'latest: seek_to_beginning returns True, the position is 3\nearliest: seek_to_beginning returns True, the position is 0'
