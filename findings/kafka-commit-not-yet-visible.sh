#!/usr/bin/env bash
# Commits 200 transactions of one record each, one after the other. After each acknowledged commit, requests the end offset
# of the partition as a read_committed consumer does. Needs Java 17, Maven and Python; a minute.
source "$(dirname "$0")/lib.sh"
kafka=4.4.0 confluent=2.16.1
python_with "confluent-kafka==$confluent"
kafka "$kafka"

seen=$(python - <<'PY'
import os
from confluent_kafka import Producer, libversion
from raw import Broker

broker = Broker(os.environ["broker"])
broker.create_topic("topic")
producer = Producer({"bootstrap.servers": os.environ["broker"], "transactional.id": "id", "linger.ms": 0})
producer.init_transactions(60)
late, delivered = 0, []
for _ in range(200):
    producer.begin_transaction()
    producer.produce("topic", b"v", on_delivery=lambda error, message: delivered.append(message.offset()))
    producer.commit_transaction(60)
    late += broker.end_offset("topic", committed=True) <= delivered[-1]
print(f"librdkafka {libversion()[0]}: the last record is {'not yet' if late else 'always'} visible after commit_transaction")
PY
)
judge "Transactions: a commit that is acknowledged may not be visible yet" \
    "Apache Kafka $kafka, confluent-kafka $confluent" \
    "what commit_transaction has committed, a read_committed consumer that asks afterwards finds" \
    "$seen" \
    "*: the last record is not yet visible after commit_transaction"
