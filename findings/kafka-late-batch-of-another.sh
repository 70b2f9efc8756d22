#!/usr/bin/env bash
# A producer aborts a transaction whose batch is delayed in the network. The batch arrives in the next transaction, before that
# has written its own. Needs Java 17, Maven and Python; half a minute.
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
late = producer.batch(b"aborted", 0)
assert producer.end(False) == 0
assert producer.add("topic") == 0
first = producer.produce("topic", late)
own = producer.produce("topic", producer.batch(b"next", 0))
assert producer.end(True) == 0
visible(Broker(address), "topic", 3)
print(f"the late batch: error %d, offset %d; the own one: error %d, offset %d;" % (first + own), end=" ")
print(f"committed: {committed_values(Broker(address), 'topic')}")
PY
)
judge "Transactions before level 2: a late batch of an aborted transaction is committed with the next one, in place of its own" \
    "Apache Kafka $kafka" \
    "the batch of the aborted transaction is refused, and the record of the next one is committed" \
    "$seen" \
    "the late batch: error 0, offset 1; the own one: error 0, offset 1; committed: \['aborted']"
