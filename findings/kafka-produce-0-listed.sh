#!/usr/bin/env bash
# Requests the versions of Produce that a broker supports, and sends one request in each. Needs Java 17, Maven and Python;
# half a minute.
source "$(dirname "$0")/lib.sh"
kafka=4.4.0
python_with
kafka "$kafka"

seen=$(python - <<'PY'
import os
from raw import Broker, batch, legacy_message

broker = Broker(os.environ["broker"])
broker.create_topic("topic")
low, high = broker.api_versions()[0]
print(f"listed: {low} to {high}")
for version in range(low, 4):
    data = legacy_message(b"k", b"v", version // 2) if version < 3 else batch([(b"k", b"v")])
    try:
        answer = f"error {Broker(os.environ['broker']).produce('topic', data, version=version)[0][0]}"
    except ConnectionError:
        answer = "connection closed"
    print(f"Produce {version}: {answer}")
PY
)
judge "ApiVersions: Kafka 4 lists Produce 0 to 2, and closes the connection on them" \
    "Apache Kafka $kafka" \
    "a listed version is answered, if need be with an error" \
    "$seen" \
    "listed: 0 to *
Produce 0: connection closed
Produce 1: connection closed
Produce 2: connection closed
Produce 3: error 0"
