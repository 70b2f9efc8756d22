#!/usr/bin/env bash
# Two producers have one transactional id, at transaction.version 2. The second one fences the first, and commits a transaction with
# the requests of an older client, which do not change the epoch. Then the first one, which has sent nothing, ends a transaction
# with EndTxn 5, as a client of level 2 does. Needs Java 17, Maven and Python; half a minute.
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
first, second = Producer(address, "id"), Producer(address, "id")
assert first.init() == 0 and second.init() == 0 and (first.epoch, second.epoch) == (0, 1)
assert second.add("topic") == 0
assert second.produce("topic", second.batch(b"second", 0)) == (0, 0)
assert second.end(True) == 0
assert visible(Broker(address), "topic", 2)
fenced = first.produce("topic", first.batch(b"first", 0), version=12)[0]
ended = first.end(True, version=5)
print(f"Produce of the first: error {fenced}; its EndTxn 5: error {ended}, and its epoch is {first.epoch}")
again = first.produce("topic", first.batch(b"first", 1), version=12)[0]
committed = first.end(True, version=5)
visible(Broker(address), "topic", 4)
print(f"Produce again: error {again}; EndTxn 5: error {committed}; committed: {committed_values(Broker(address), 'topic')}")
PY
) || { echo "$seen" >&2; exit 2; }
judge "Transactions: a fenced producer gets the epoch of the one that has fenced it, and goes on" \
    "Apache Kafka $kafka" \
    "EndTxn of a fenced producer is refused (90), so that it stops" \
    "$seen" \
    $'Produce of the first: error 47; its EndTxn 5: error 0, and its epoch is 1\nProduce again: error 0; EndTxn 5: error 0; committed: \[\'second\', \'first\'\]'
