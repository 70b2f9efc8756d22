#!/usr/bin/env bash
# A producer commits a transaction; its request is delayed in the network, and repeated. The delayed one arrives when the next
# transaction has written one of two records. Needs Java 17, Maven and Python; half a minute.
source "$(dirname "$0")/lib.sh"
kafka=3.9.2
python_with
kafka "$kafka"

seen=$(python - <<'PY'
import os
from raw import Broker
from raw_transactions import Producer, committed_values, visible

address = os.environ["broker"]
Broker(address).create_topic("topic")
producer = Producer(address, "id")
assert producer.init() == 0 and producer.add("topic") == 0
assert producer.produce("topic", producer.batch(b"a1", 0)) == (0, 0)
assert producer.end(True) == 0  # the repeated request; the first one is still in transit
assert visible(Broker(address), "topic", 2)
assert producer.add("topic") == 0
assert producer.produce("topic", producer.batch(b"b1", 1)) == (0, 2)
late = producer.end(True)  # the first one
visible(Broker(address), "topic", 4)
second = producer.produce("topic", producer.batch(b"b2", 2))[0]
print(f"the late commit: error {late}; the second half: error {second}; committed: {committed_values(Broker(address), 'topic')}")
PY
)
judge "Transactions before level 2: a late commit of one transaction commits half of the next one" \
    "Apache Kafka $kafka" \
    "the late commit of the first transaction is refused, and the second transaction is committed as a whole or not at all" \
    "$seen" \
    "the late commit: error 0; the second half: error 48; committed: \['a1', 'b1']"
