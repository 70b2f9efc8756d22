#!/usr/bin/env bash
# At level 2 of transaction.version, sends one batch with a wrong sequence, and commits. Needs Java 17, Maven and Python; half a
# minute.
source "$(dirname "$0")/lib.sh"
kafka=4.4.0
python_with
kafka "$kafka"

seen=$(python - <<'PY'
import os
from raw import Broker
from raw_transactions import Producer

address = os.environ["broker"]
Broker(address).create_topic("topic")
producer = Producer(address, "id")
assert producer.init() == 0
empty = producer.end(True, version=5)
refused = producer.produce("topic", producer.batch(b"v", 5), version=12)[0]
print(f"commit without a batch: error {empty}; the batch: error {refused}; commit then: error {producer.end(True, version=5)}")
PY
)
judge "Transactions of level 2: a batch that is refused opens a transaction all the same" \
    "Apache Kafka $kafka" \
    "a transaction of which nothing was accepted is not open: both commits have the same error" \
    "$seen" \
    "commit without a batch: error 48; the batch: error 45; commit then: error 0"
