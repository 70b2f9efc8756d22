#!/usr/bin/env bash
# A Produce request with two entries for the same partition. Needs Java 17, Maven and Python; half a minute.
source "$(dirname "$0")/lib.sh"
kafka=4.4.0
python_with
kafka "$kafka"

seen=$(python - <<'PY'
import os
from raw import Broker, batch

broker = Broker(os.environ["broker"])
broker.create_topic("topic")
for version in 3, 8:
    before = broker.end_offset("topic")
    answers = broker.produce("topic", batch([(b"k", b"first")]), batch([(b"k", b"second")]), version=version)
    added = broker.end_offset("topic") - before
    print(f"Produce {version}: 2 batches sent, {len(answers)} answered with error {answers[0][0]}, {added} in the log")
PY
)
stop_broker TERM
seen+=$'\n'"in the log: $(grep -aohE 'first|second' "$work"/kafka/topic-0/*.log | xargs)"
judge "Produce: of two entries for one partition, Kafka appends one and answers one, without an error" \
    "Apache Kafka $kafka" \
    "both are appended in their order, or the request is refused" \
    "$seen" \
    "Produce 3: 2 batches sent, 1 answered with error 0, 1 in the log
Produce 8: 2 batches sent, 1 answered with error 0, 1 in the log
in the log: second second"
