#!/usr/bin/env bash
# Produces messages with the timestamps 0 and 1 to librdkafka's mock cluster and reads them. Needs Python; ten seconds.
source "$(dirname "$0")/lib.sh"
confluent=2.16.1
python_with "confluent-kafka==$confluent"

seen=$(python - 2>"$work/log" <<'PY'
import time
from confluent_kafka import Consumer, Producer, TopicPartition, libversion

mock = Producer({"test.mock.num.brokers": 1})
broker = next(iter(mock.list_topics(timeout=30).brokers.values()))
for timestamp in 0, 1:
    mock.produce("topic", b"v", partition=0, timestamp=timestamp)
mock.flush(30)
consumer = Consumer({"bootstrap.servers": f"{broker.host}:{broker.port}", "group.id": "group"})
consumer.assign([TopicPartition("topic", 0, 0)])
read = [consumer.poll(30).timestamp()[1] for _ in range(2)]
consumer.close()
shown = ["now" if abs(time.time() * 1000 - each) < 60000 else each for each in read]
print(f"librdkafka {libversion()[0]}: 0 is stored as {shown[0]}, 1 as {shown[1]}")
PY
) || { cat "$work/log" >&2; exit 2; }
judge "librdkafka: the timestamp 0 (January 1, 1970, 0:00) cannot be produced" \
    "confluent-kafka $confluent" \
    "0 is stored as 0, as 1 is stored as 1" \
    "$seen" \
    "librdkafka *: 0 is stored as now, 1 as 1"
