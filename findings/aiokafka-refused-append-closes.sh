#!/usr/bin/env bash
# Fills a batch of aiokafka until a record does not fit, and then appends one that would fit. Needs Python; ten seconds.
source "$(dirname "$0")/lib.sh"
aiokafka=0.14.0
python_with "aiokafka==$aiokafka"

seen=$(python - <<'PY'
from aiokafka.producer.message_accumulator import BatchBuilder

# As AIOKafkaProducer.create_batch makes it, for max_batch_size=1000.
batch = BatchBuilder(1000, 0, is_transactional=False, key_serializer=None, value_serializer=None)
first = batch.append(timestamp=None, key=None, value=b"x" * 100)
large = batch.append(timestamp=None, key=None, value=b"x" * 2000)
small = batch.append(timestamp=None, key=None, value=b"x")
answers = ["appended" if each else "None" for each in (first, large, small)]
print(f"100 bytes: {answers[0]}; 2000 bytes: {answers[1]}; 1 byte, with {1000 - batch.size()} bytes left: {answers[2]}")
PY
)
judge "aiokafka's BatchBuilder: an append that does not fit closes the batch to records that would" \
    "aiokafka $aiokafka" \
    "a refused append changes nothing, and the small record fits" \
    "$seen" \
    "100 bytes: appended; 2000 bytes: None; 1 byte, with *: None"
