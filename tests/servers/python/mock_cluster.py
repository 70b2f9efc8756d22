"""Runs the mock cluster of the librdkafka in confluent-kafka, and prints its address."""

import threading

from confluent_kafka import Producer

producer = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1})
(broker,) = producer.list_topics(timeout=30).brokers.values()
print(f"listening at {broker.host}:{broker.port}", flush=True)
threading.Event().wait()
