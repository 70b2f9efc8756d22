#!/usr/bin/env bash
# Compares the documentation of BatchBuilder.append's timestamp with its effect. Needs Python; ten seconds.
source "$(dirname "$0")/lib.sh"
aiokafka=0.14.0
python_with "aiokafka==$aiokafka"

seen=$(python - <<'PY'
import time
from datetime import datetime, timezone
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import DefaultRecordBatch

documented = " ".join(BatchBuilder.append.__doc__.split())
print("documented:", "float, in seconds" if "timestamp (float or None): epoch timestamp in seconds" in documented else "other")
for now in time.time(), int(time.time()):
    batch = BatchBuilder(1000, 0, is_transactional=False, key_serializer=None, value_serializer=None)
    batch.append(timestamp=now, key=None, value=b"v")
    [record] = DefaultRecordBatch(bytes(batch._build()))
    print(f"{type(now).__name__} seconds: stored as", datetime.fromtimestamp(record.timestamp / 1000, timezone.utc).year)
PY
)
judge "aiokafka's BatchBuilder: the timestamp is in milliseconds, not in seconds as documented" \
    "aiokafka $aiokafka" \
    "seconds, also with a fraction, are taken and stored as this year" \
    "$seen" \
    $'documented: float, in seconds\nfloat seconds: stored as 1970\nint seconds: stored as 1970'
