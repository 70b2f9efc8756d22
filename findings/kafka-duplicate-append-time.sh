#!/usr/bin/env bash
# An idempotent producer repeats its request, as after a lost response, to a topic whose records keep the producer's timestamps.
# Needs Java 17, Maven and Python; half a minute.
source "$(dirname "$0")/lib.sh"
kafka=4.4.0
python_with
kafka "$kafka"

seen=$(python - <<'PY'
import os
import struct
import time
from raw import Broker, array, batch, string

broker, now = Broker(os.environ["broker"]), int(time.time() * 1000)
broker.create_topic("topic", message_timestamp_type="CreateTime")
_, producer_id, epoch = broker.init_producer_id()
times = [now - 5000, now - 3000, now - 4000]
data = batch([(b"k", b"v")] * 3, producer=(producer_id, epoch, 0), timestamps=times)
entry = struct.pack(">ii", 0, len(data)) + data
body = string(None) + struct.pack(">hi", -1, 30000) + array([string("topic") + array([entry])])
for turn in "first", "again":
    reader = broker.request(0, 3, body)
    reader.take("i"), reader.string(), reader.take("i")
    _, code, offset, append_time = reader.take("ihqq")
    shown = {-1: "none", times[1]: "the largest timestamp of the batch"}.get(append_time, str(append_time - now))
    print(f"{turn}: error {code}, offset {offset}, log append time: {shown}")
print(f"{broker.end_offset('topic')} in the log")
PY
)
judge "Idempotence: the response to a repeated batch has a log append time, although the topic has none" \
    "Apache Kafka $kafka" \
    "log append time -1 both times; a client takes another one for the timestamp of each record" \
    "$seen" \
    'first: error 0, offset 0, log append time: none
again: error 0, offset 0, log append time: the largest timestamp of the batch
3 in the log'
