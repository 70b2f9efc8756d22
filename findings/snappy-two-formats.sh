#!/usr/bin/env bash
# Sends the same value with compression.type=snappy with the Java client and with librdkafka, and reads it from the broker's
# log. Needs Java 17, Maven and Python; half a minute.
source "$(dirname "$0")/lib.sh"
kafka=4.4.0 confluent=2.16.1 cramjam=2.14.0
python_with "confluent-kafka==$confluent" "cramjam==$cramjam"
kafka "$kafka"
cat >"$work/Send.java" <<'JAVA'
import java.util.Map;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.serialization.StringSerializer;

class Send {
    public static void main(String[] broker) throws Exception {
        Map<String, Object> config = Map.of("bootstrap.servers", broker[0], "compression.type", "snappy");
        try (var producer = new KafkaProducer<>(config, new StringSerializer(), new StringSerializer())) {
            producer.send(new ProducerRecord<>("java", "kafka".repeat(1000))).get();
        }
    }
}
JAVA
quietly java "$work/Send.java" "$broker"
quietly python - <<'PY'
import os
from confluent_kafka import Producer

producer = Producer({"bootstrap.servers": os.environ["broker"], "compression.type": "snappy"})
producer.produce("librdkafka", "kafka" * 1000)
assert producer.flush(60) == 0
PY
stop_broker TERM
seen=$(python - "$work/kafka" <<'PY'
import sys
import cramjam
from cramjam import snappy

for client in "java", "librdkafka":
    data = open(f"{sys.argv[1]}/{client}-0/00000000000000000000.log", "rb").read()
    codec, records = data[22] & 7, data[61:]
    read = []
    for name, decompress in ("raw", snappy.decompress_raw), ("framing format", snappy.decompress):
        try:
            decompress(records)
            read.append(name)
        except cramjam.DecompressionError:
            pass
    print(f"{client}: codec {codec}, begins with {records[:8].hex()}, a Snappy library reads it as {' or '.join(read) or 'nothing'}")
PY
)
judge "Snappy: the same codec number stands for two formats, and a library knows one of them" \
    "Apache Kafka $kafka, confluent-kafka $confluent, cramjam $cramjam" \
    "one format for both, one of the two that Snappy's own project describes" \
    "$seen" \
    "java: codec 2, begins with 82534e4150505900, a Snappy library reads it as nothing
librdkafka: codec 2, begins with *, a Snappy library reads it as raw"
