#!/usr/bin/env bash
# A producer without a transactional id asks for its next epoch: InitProducerId with the id and epoch that it has (KIP-360).
# Needs Java 17, Maven and Python; half a minute.
source "$(dirname "$0")/lib.sh"
kafka=4.4.0
python_with
kafka "$kafka"

seen=$(python - <<'PY'
import os, struct
from raw import Broker

broker = Broker(os.environ["broker"])
_, first, epoch = broker.init_producer_id()
_, second, second_epoch = broker.init_producer_id(current=(first, epoch))
print("the same id" if second == first else "another id", "with epoch", second_epoch)
PY
)
judge "InitProducerId: without a transactional id, the producer's id and epoch are not looked at" \
    "Apache Kafka $kafka" \
    "the same id with epoch 1, or an error" \
    "$seen" \
    "another id with epoch 0"
