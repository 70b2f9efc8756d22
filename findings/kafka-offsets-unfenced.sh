#!/usr/bin/env bash
# A consumer is the only member of a group. A transactional producer commits an offset of the group, naming nothing but the group,
# as sendOffsetsToTransaction does with a group id only. Needs Java 17, Maven and Python; half a minute.
source "$(dirname "$0")/lib.sh"
kafka=4.4.0 confluent=2.16.1
python_with "confluent-kafka==$confluent"
kafka "$kafka"

seen=$(python - <<'PY'
import os, time
from confluent_kafka import Consumer, TopicPartition
from raw import Broker
from raw_transactions import Producer

address = os.environ["broker"]
Broker(address).create_topic("topic")
consumer = Consumer({"bootstrap.servers": address, "group.id": "group", "enable.auto.commit": False})
consumer.subscribe(["topic"])
while not consumer.assignment():
    consumer.poll(0.2)
producer = Producer(address, "id")
assert producer.init() == 0 and producer.add_group("group") == 0
code = producer.commit_offset("group", "topic", 7)
assert producer.end(True) == 0
for _ in range(50):
    offset = consumer.committed([TopicPartition("topic", 0)], timeout=30)[0].offset
    if offset == 7:
        break
    time.sleep(0.1)
print(f"TxnOffsetCommit: error {code}; committed offset: {offset}")
PY
) || { echo "$seen" >&2; exit 2; }
judge "Transactions: a producer that names no member commits offsets of a group whose members are alive" \
    "Apache Kafka $kafka, confluent-kafka $confluent" \
    "an offset that is not of a member, with its generation, is refused while the group has members" \
    "$seen" \
    "TxnOffsetCommit: error 0; committed offset: 7"
