#!/usr/bin/env bash
# A producer has three batches in the log and has lost the responses to the last two. The broker is restarted cleanly, and
# the producer repeats both. Needs Java 17, Maven and Python; a minute.
source "$(dirname "$0")/lib.sh"
kafka=4.4.0
python_with
kafka "$kafka"

cat >"$work/trial.py" <<'PY'
import json, os, sys
from raw import Broker, batch

broker = Broker(os.environ["broker"])
when, state = sys.argv[1:]
if when == "before":
    broker.create_topic("topic")
    _, producer_id, epoch = broker.init_producer_id()
    batches = [batch([(b"k", b"v")], producer=(producer_id, epoch, sequence)) for sequence in range(3)]
    for each in batches:
        assert broker.produce("topic", each)[0][0] == 0
    json.dump([each.hex() for each in batches], open(state, "w"))
second, third = (bytes.fromhex(each) for each in json.load(open(state))[1:])
print(f"{when} the restart:", *("error %d, offset %d;" % broker.produce("topic", each)[0][:2] for each in (second, third)))
PY
before=$(python "$work/trial.py" before "$work/state")
stop_broker TERM
start_broker
after=$(python "$work/trial.py" after "$work/state")

judge "Idempotence: a restarted Kafka remembers one batch of each producer, a running one five" \
    "Apache Kafka $kafka" \
    "both repeated batches are recognised as duplicates, before and after a clean restart" \
    "$before"$'\n'"$after" \
    $'before the restart: error 0, offset 1; error 0, offset 2;\nafter the restart: error 45, offset -1; error 0, offset 2;'
