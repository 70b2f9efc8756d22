#!/usr/bin/env bash
# The only producer of its transactional id commits after transaction.timeout.ms has passed and the broker has aborted the
# transaction. The broker checks for timeouts every 0.2 seconds here, not every ten, to save time. Needs Java 17, Maven and
# Python; half a minute.
source "$(dirname "$0")/lib.sh"
kafka=4.4.0 confluent=2.16.1
python_with "confluent-kafka==$confluent"
kafka "$kafka" transaction.abort.timed.out.transaction.cleanup.interval.ms=200

seen=$(python - 2>"$work/log" <<'PY'
import os, time
from confluent_kafka import KafkaException, Producer, libversion
from raw import Broker

broker = Broker(os.environ["broker"])
broker.create_topic("topic")
config = {"bootstrap.servers": os.environ["broker"], "transactional.id": "id", "transaction.timeout.ms": 1000}
producer = Producer(config)
producer.init_transactions(60)
producer.begin_transaction()
producer.produce("topic", b"v")
producer.flush(30)
deadline = time.monotonic() + 60
while broker.end_offset("topic", committed=True) == 0 and time.monotonic() < deadline:  # until the abort marker is there
    time.sleep(0.1)
print("librdkafka", libversion()[0])
try:
    producer.commit_transaction(60)
    print("committed")
except KafkaException as raised:
    error = raised.args[0]
    print(error.name(), "fatal" if error.fatal() else "abort and go on" if error.txn_requires_abort() else "")
    print(error.str())
PY
) || { cat "$work/log" >&2; exit 2; }
judge "librdkafka: a producer alone, whose transaction timed out, is told that a newer instance has fenced it" \
    "confluent-kafka $confluent, Apache Kafka $kafka" \
    "an error that says time-out, after which abort_transaction lets the producer go on (KIP-588)" \
    "$seen" \
    "librdkafka *
_FENCED fatal
*fenced by a newer instance*"
