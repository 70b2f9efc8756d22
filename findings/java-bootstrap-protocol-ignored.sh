#!/usr/bin/env bash
# Gives Java's producer a broker as SSL://host:port, as some tools that create clusters print it, without security.protocol, and
# reads the first byte that it sends. Needs Java 17 and Maven; a few seconds.
source "$(dirname "$0")/lib.sh"
kafka=4.4.0
jars_of "org.apache.kafka:kafka-clients:$kafka"

cat >"$work/FirstByte.java" <<'JAVA'
import java.net.InetAddress;
import java.net.ServerSocket;
import java.time.Duration;
import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.serialization.StringSerializer;

class FirstByte {
    public static void main(String[] arguments) throws Exception {
        try (var server = new ServerSocket(0, 1, InetAddress.getByName("127.0.0.1"))) {
            server.setSoTimeout(20_000);
            Map<String, Object> settings = Map.of("bootstrap.servers", "SSL://127.0.0.1:" + server.getLocalPort());
            var producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer());
            int first;
            try (var connection = server.accept()) {
                first = connection.getInputStream().read();
            }
            producer.close(Duration.ZERO);
            System.out.println(switch (first) {
                case 0 -> "accepted; connects without TLS";
                case 22 -> "accepted; connects with TLS";
                default -> "accepted; the first byte is " + first;
            });
        } catch (org.apache.kafka.common.KafkaException error) {
            System.out.println("refused");
        }
    }
}
JAVA
seen=$(java -Dorg.slf4j.simpleLogger.defaultLogLevel=off "$work/FirstByte.java") || exit 2
judge "Java's client ignores the protocol in bootstrap.servers" \
    "kafka-clients $kafka" \
    "SSL://host:port selects TLS (librdkafka compares it with security.protocol), or is refused" \
    "$seen" \
    "accepted; connects without TLS"
