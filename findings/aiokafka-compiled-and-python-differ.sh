#!/usr/bin/env bash
# aiokafka implements its record formats twice, compiled and in Python (used with AIOKAFKA_NO_EXTENSIONS, or where there is
# no compiled one). Makes the same calls with both. Needs Python; ten seconds.
source "$(dirname "$0")/lib.sh"
aiokafka=0.14.0
python_with "aiokafka==$aiokafka"

cat >"$work/trial.py" <<'PY'
import random
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

def builder(limit=10000, codec=0):
    return DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, limit)

def append(to, position, timestamp, value=b"x" * 50):
    return to.append(position, timestamp, None, value, []) is not None

measure = builder()
append(measure, 0, 1000), append(measure, 1, 1000)
exact = builder(limit=measure.size())
append(exact, 0, 1000)
print("a record that fits exactly:", "taken" if append(exact, 1, 1000) else "refused")

noise = builder(codec=1)
append(noise, 0, 1000, random.Random(1).randbytes(50))
before = noise.size()
print("noise with gzip:", "larger than before" if len(noise.build()) > before else "sent uncompressed")

unknown = builder()
append(unknown, 0, -1), append(unknown, 1, 5000)  # -1 is Kafka's "no timestamp"
print("timestamps -1 and 5000, read:", *(record.timestamp for record in DefaultRecordBatch(bytes(unknown.build()))))
PY
compiled=$(python "$work/trial.py")
plain=$(AIOKAFKA_NO_EXTENSIONS=1 python "$work/trial.py")

judge "aiokafka's two record formats, compiled and in Python, make different batches of the same records" \
    "aiokafka $aiokafka" \
    "the same of both" \
    "compiled:"$'\n'"$compiled"$'\n'"in Python:"$'\n'"$plain" \
    "compiled:
a record that fits exactly: refused
noise with gzip: larger than before
timestamps -1 and 5000, read: 5000 5000
in Python:
a record that fits exactly: taken
noise with gzip: sent uncompressed
timestamps -1 and 5000, read: -1 5000"
