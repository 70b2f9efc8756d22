#!/usr/bin/env bash
# Prints the delivery reports of 1100 messages with acks=0, on librdkafka's mock cluster. A client knows no offsets then.
# Needs Python; ten seconds.
source "$(dirname "$0")/lib.sh"
confluent=2.16.1
python_with "confluent-kafka==$confluent"

seen=$(python - 2>"$work/log" <<'PY'
from confluent_kafka import Producer, libversion

reports = []
producer = Producer({"test.mock.num.brokers": 1, "acks": 0, "linger.ms": 500})
for _ in range(1100):
    producer.produce("topic", b"v", partition=0, on_delivery=lambda error, message: reports.append((error, message.offset())))
producer.flush(30)
assert len(reports) == 1100 and not any(error for error, _ in reports)
known = [(position, offset) for position, (_, offset) in enumerate(reports) if offset is not None]
print(f"librdkafka {libversion()[0]}:", *[f"message {position} has offset {offset}," for position, offset in known[:2]])
PY
) || { cat "$work/log" >&2; exit 2; }
judge "librdkafka: with acks=0, the messages of a batch from the 1002nd on are reported with offsets from 0" \
    "confluent-kafka $confluent" \
    "no offset, for all messages" \
    "$seen" \
    "librdkafka *: message 1001 has offset 0, message 1002 has offset 1,"
