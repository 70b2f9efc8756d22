#!/usr/bin/env bash
# Starts Kafka with transaction.version 0, and uses the newest versions that it lists: Produce 12 within a transaction. Needs Java
# 17, Maven and Python; half a minute.
source "$(dirname "$0")/lib.sh"
kafka=4.4.0
python_with
kafka_features=transaction.version=0
kafka "$kafka"

seen=$(python - <<'PY'
import os, time
from raw import Broker
from raw_transactions import Producer

address = os.environ["broker"]
Broker(address).create_topic("topic")
versions = Broker(address).api_versions()
producer = Producer(address, "id")
assert producer.init() == 0
refused = producer.produce("topic", producer.batch(b"v", 0), version=12)[0]
codes, until = set(), time.monotonic() + 10
while time.monotonic() < until:
    codes.add(producer.end(False, version=2))
    codes.add(producer.produce("topic", producer.batch(b"v", 0), version=12)[0])
    time.sleep(0.2)
print(f"listed: Produce {versions[0][1]}, EndTxn {versions[26][1]}; Produce 12: error {refused}; for 10 s then: errors {codes}")
PY
)
judge "Transactions at level 0: versions of level 2 are listed, and using them blocks the transactional id" \
    "Apache Kafka $kafka with transaction.version=0" \
    "versions that need level 2 are not listed, or a request with one is refused and changes nothing" \
    "$seen" \
    "listed: Produce 13, EndTxn 5; Produce 12: error *; for 10 s then: errors {51}"
