#!/usr/bin/env bash
# Sends hand-written Produce requests to librdkafka's mock cluster and checks its responses: missing bytes at the end,
# according to the fields of each version, and the timestamp. Needs Python; ten seconds.
source "$(dirname "$0")/lib.sh"
confluent=2.16.1
python_with "confluent-kafka==$confluent"

seen=$(python - 2>"$work/log" <<'PY'
import struct
from confluent_kafka import Producer, libversion
from raw import Broker, array, batch, string

mock = Producer({"test.mock.num.brokers": 1})
address = next(iter(mock.list_topics("topic", timeout=30).brokers.values()))
broker = Broker(f"{address.host}:{address.port}")
data = batch([(b"k", b"v")])
topic = string("topic") + array([struct.pack(">ii", 0, len(data)) + data])
body = string(None) + struct.pack(">hi", -1, 30000) + array([topic])
# https://kafka.apache.org/protocol.html#The_Messages_Produce
print("librdkafka", libversion()[0])
for version in range(3, 9):
    reader = broker.request(0, version, body)
    reader.take("i"), reader.string(), reader.take("i")
    # Partition, error code, offset, timestamp; from 5 on the log's first offset; from 8 on errors of records and a message;
    # behind the partitions the throttle time.
    size = 22 + 8 * (version >= 5) + 6 * (version >= 8) + 4
    missing = size - reader.left()
    _, code, _, timestamp = reader.take("ihqq")
    print(f"Produce {version}: error {code}, log append time {timestamp}, {missing} bytes missing")
PY
) || { cat "$work/log" >&2; exit 2; }
judge "librdkafka's mock cluster: Produce 5 is answered without the log start offset, all versions with log append time 1234" \
    "confluent-kafka $confluent" \
    "every response complete, and the timestamp -1, since the topic stores the producer's times" \
    "$seen" \
    "librdkafka *
Produce 3: error 0, log append time 1234, 0 bytes missing
Produce 4: error 0, log append time 1234, 0 bytes missing
Produce 5: error 0, log append time 1234, 8 bytes missing
Produce 6: error 0, log append time 1234, 0 bytes missing
Produce 7: error 0, log append time 1234, 0 bytes missing
Produce 8: error 0, log append time 1234, 0 bytes missing"
