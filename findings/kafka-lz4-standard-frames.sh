#!/usr/bin/env bash
# Sends the same records, compressed by the LZ4 library's Python binding in four ways that the LZ4 frame format allows, to a
# broker. Java's consumer decompresses with the same class as the broker. Needs Java 17, Maven and Python; half a minute.
source "$(dirname "$0")/lib.sh"
kafka=4.4.0 lz4=4.4.5 aiokafka=0.14.0
python_with "lz4==$lz4" "aiokafka[lz4]==$aiokafka"
kafka "$kafka"

seen=$(python - <<'PY'
import os
from aiokafka.record.memory_records import MemoryRecords
from lz4.frame import compress
from raw import Broker, batch

broker = Broker(os.environ["broker"])
broker.create_topic("topic")
pairs = [(b"key", b"value %d" % index) for index in range(9000)]  # more than one block
ways = {
    "independent blocks": lambda data: compress(data, block_linked=False),
    "linked blocks (the library's default)": compress,
    "two frames": lambda data: b"".join(compress(part, block_linked=False) for part in (data[:70000], data[70000:])),
    "an empty frame first": lambda data: compress(b"", block_linked=False) + compress(data, block_linked=False),
}
for name, way in ways.items():
    data = batch(pairs, codec=3, compress=way)
    read = [(record.key, record.value) for record in MemoryRecords(data).next_batch()]
    reads = "reads them" if read == pairs else "does not read them"
    print(f"{name}: aiokafka {reads}, Kafka answers {broker.produce('topic', data)[0][0]}")
PY
)
judge "LZ4: Kafka does not read linked blocks, nor several frames" \
    "Apache Kafka $kafka, lz4 $lz4, aiokafka $aiokafka" \
    "every valid LZ4 frame is decompressed; or if not, then all are refused with one error that says so (CORRUPT_MESSAGE, 2)" \
    "$seen" \
    "independent blocks: aiokafka reads them, Kafka answers 0
linked blocks (the library's default): aiokafka reads them, Kafka answers -1
two frames: aiokafka reads them, Kafka answers 87
an empty frame first: aiokafka reads them, Kafka answers 87"
