#!/usr/bin/env bash
# An idempotent producer sends records that are 23 or 25 hours old, as in a backfill, and repeats its last request, as after
# a lost response. The broker expires producers by the timestamps of their records, and checks every second here, not every
# ten minutes, to save time. Needs Java 17, Maven and Python; half a minute.
source "$(dirname "$0")/lib.sh"
kafka=4.4.0
python_with
kafka "$kafka" producer.id.expiration.check.interval.ms=1000

cat >"$work/trial.py" <<'PY'
import os, time
from raw import Broker, batch

broker, now = Broker(os.environ["broker"]), int(time.time() * 1000)
for age in 23, 25:
    topic = f"aged-{age}"
    broker.create_topic(topic)
    _, producer_id, epoch = broker.init_producer_id()
    data = batch([(b"k", b"v")], producer=(producer_id, epoch, 0), timestamps=[now - age * 3600 * 1000])
    assert broker.produce(topic, data)[0][:2] == (0, 0)
    # Repeated until it is appended again, for ten seconds at most.
    end = time.monotonic() + 10
    while broker.produce(topic, data)[0][:2] == (0, 0) and time.monotonic() < end:
        time.sleep(0.2)
    print(f"{age} hours old: {broker.end_offset(topic)} in the log")
PY
seen=$(python "$work/trial.py")

judge "Idempotence: Kafka soon forgets a producer whose records are old, though it has just produced" \
    "Apache Kafka $kafka, producer.id.expiration.ms at its default of a day" \
    "a producer is forgotten a day after it was last active; until then a repeated batch is not appended again" \
    "$seen" \
    $'23 hours old: 1 in the log\n25 hours old: 2 in the log'
