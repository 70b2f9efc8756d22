#!/usr/bin/env bash
# Sends batches of three messages to a compacted topic, which accepts none without a key. Kafka's response lists the
# positions of the invalid ones (KIP-467). Needs Java 17, Maven and Python; half a minute.
source "$(dirname "$0")/lib.sh"
kafka=4.4.0 confluent=2.16.1
python_with "confluent-kafka==$confluent"
kafka "$kafka"

seen=$(python - <<'PY'
import os
from confluent_kafka import Producer, libversion
from raw import Broker, batch

broker = Broker(os.environ["broker"])
broker.create_topic("topic", cleanup_policy="compact")
producer = Producer({"bootstrap.servers": os.environ["broker"], "linger.ms": 500})
print("librdkafka", libversion()[0])
for keys in (b"k", None, b"k"), (None, b"k", None):
    *_, errors, _ = broker.produce("topic", batch([(key, b"v") for key in keys]))[0]
    print("Kafka lists", [position for position, _ in errors], end="; ")
    reports = {}
    for position, key in enumerate(keys):
        def report(error, message, position=position):
            reports[position] = error.name()
        producer.produce("topic", b"v", key=key, partition=0, on_delivery=report)
    producer.flush(30)
    print("reported", *[reports[position] for position in range(3)])
PY
)
judge "librdkafka: if one record of a batch is invalid, all are reported as invalid; if two are, only those" \
    "confluent-kafka $confluent, Apache Kafka $kafka" \
    "INVALID_RECORD for those that Kafka lists, and _INVALID_DIFFERENT_RECORD for the others" \
    "$seen" \
    "librdkafka *
Kafka lists \[1\]; reported INVALID_RECORD INVALID_RECORD INVALID_RECORD
Kafka lists \[0, 2\]; reported INVALID_RECORD _INVALID_DIFFERENT_RECORD INVALID_RECORD"
