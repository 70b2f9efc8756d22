#!/usr/bin/env bash
# A producer commits, and does not get the response. A second instance with the same transactional id starts. The first one repeats
# its commit. Needs Java 17, Maven and Python; half a minute.
source "$(dirname "$0")/lib.sh"
kafka=4.4.0
python_with
kafka "$kafka"

seen=$(python - <<'PY'
import os
from raw import Broker
from raw_transactions import Producer, committed_values, visible

address = os.environ["broker"]
Broker(address).create_topic("topic")
first = Producer(address, "id")
assert first.init() == 0
assert first.produce("topic", first.batch(b"v", 0), version=12) == (0, 0)
identity = first.producer_id, first.epoch
assert first.end(True, version=5) == 0
first.producer_id, first.epoch = identity  # the response was lost
assert Producer(address, "id").init() == 0
again = first.end(True, version=5)
visible(Broker(address), "topic", 2)
print(f"commit again: error {again}; committed: {committed_values(Broker(address), 'topic')}")
PY
)
judge "Transactions: a commit that is repeated after its response was lost is refused with PRODUCER_FENCED, although it took effect" \
    "Apache Kafka $kafka" \
    "PRODUCER_FENCED (90) says that the transaction of the fenced producer is not committed" \
    "$seen" \
    "commit again: error 90; committed: \['v']"
