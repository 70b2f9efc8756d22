import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Writes and reads with Java's client: java ForeignClient.java HOST:PORT[,…] write|read */
public final class ForeignClient {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final BufferedReader IN = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    private static final PrintStream OUT = new PrintStream(System.out, false, StandardCharsets.UTF_8);

    public static void main(String[] arguments) throws Exception {
        String servers = arguments[0];
        JsonNode job = JSON.readTree(IN.readLine());
        ObjectNode client = JsonNodeFactory.instance.objectNode();
        emit("client", client.put("name", "kafka-clients").put("version", version()));
        switch (arguments[1]) {
            case "write" -> write(servers, job);
            case "read" -> read(servers, job);
            default -> throw new IllegalArgumentException(arguments[1]);
        }
        OUT.flush();
    }

    private static String version() throws IOException {
        Properties properties = new Properties();
        try (InputStream file = KafkaProducer.class.getResourceAsStream("/kafka/kafka-version.properties")) {
            properties.load(file);
        }
        return properties.getProperty("version");
    }

    private static void emit(String kind, ObjectNode fields) throws IOException {
        ObjectNode line = JsonNodeFactory.instance.objectNode();
        line.set(kind, fields);
        OUT.println(JSON.writeValueAsString(line));
    }

    private static void waitForLine() throws IOException {
        OUT.println("\"paused\"");
        OUT.flush();
        IN.readLine();
    }

    private static byte[] bytes(JsonNode text) throws IOException {
        return text.isNull() ? null : text.binaryValue();
    }

    private record Sent(int partition, int position, Future<RecordMetadata> acknowledged) {}

    private static void write(String servers, JsonNode job) throws Exception {
        Map<Integer, KafkaProducer<byte[], byte[]>> producers = new LinkedHashMap<>();
        for (JsonNode target : job.get("partitions")) {
            Map<String, Object> settings = new HashMap<>();
            settings.put("bootstrap.servers", servers);
            settings.put("acks", "all");
            settings.put("compression.type", target.get("codec").textValue());
            settings.put("enable.idempotence", target.get("idempotent").booleanValue());
            settings.put("linger.ms", 50);
            settings.put("batch.size", 1 << 20);
            producers.put(target.get("partition").intValue(),
                new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer()));
        }
        int count = job.get("records").size();
        JsonNode pause = job.get("pause_after");
        send(job, producers, 0, pause.isNull() ? count : pause.intValue());
        if (!pause.isNull()) {
            waitForLine();
            send(job, producers, pause.intValue(), count);
        }
        producers.values().forEach(KafkaProducer::close);
    }

    private static void send(JsonNode job, Map<Integer, KafkaProducer<byte[], byte[]>> producers, int from, int to)
            throws Exception {
        String topic = job.get("topic").textValue();
        List<Sent> all = new ArrayList<>();
        for (Map.Entry<Integer, KafkaProducer<byte[], byte[]>> each : producers.entrySet()) {
            for (int position = from; position < to; position++) {
                JsonNode record = job.get("records").get(position);
                List<Header> headers = new ArrayList<>();
                for (JsonNode header : record.get("headers")) {
                    headers.add(new RecordHeader(header.get(0).textValue(), bytes(header.get(1))));
                }
                ProducerRecord<byte[], byte[]> sent = new ProducerRecord<>(topic, each.getKey(),
                    record.get("timestamp").longValue(), bytes(record.get("key")), bytes(record.get("value")), headers);
                all.add(new Sent(each.getKey(), position, each.getValue().send(sent)));
            }
        }
        for (Sent sent : all) {
            ObjectNode fields = JsonNodeFactory.instance.objectNode();
            fields.put("partition", sent.partition()).put("position", sent.position());
            emit("sent", fields.put("offset", sent.acknowledged().get().offset()));
        }
    }

    private static void read(String servers, JsonNode job) throws IOException {
        Map<TopicPartition, Integer> counts = new LinkedHashMap<>();
        for (JsonNode source : job.get("partitions")) {
            counts.put(new TopicPartition(source.get("topic").textValue(), source.get("partition").intValue()),
                source.get("count").intValue());
        }
        Map<String, Object> settings = Map.of("bootstrap.servers", servers, "enable.auto.commit", false);
        try (KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.assign(counts.keySet());
            emitRanges(consumer, counts.keySet(), job.get("time").longValue());
            consumer.seekToBeginning(counts.keySet());
            Map<TopicPartition, Integer> read = new HashMap<>();
            JsonNode pause = job.get("pause_after");
            if (!pause.isNull()) {
                poll(consumer, counts, read, pause.intValue());
                waitForLine();
            }
            poll(consumer, counts, read, Integer.MAX_VALUE);
        }
    }

    private static void emitRanges(KafkaConsumer<byte[], byte[]> consumer, Iterable<TopicPartition> partitions, long time)
            throws IOException {
        List<TopicPartition> all = new ArrayList<>();
        partitions.forEach(all::add);
        Map<TopicPartition, Long> times = new HashMap<>();
        all.forEach(partition -> times.put(partition, time));
        Map<TopicPartition, Long> earliest = consumer.beginningOffsets(all);
        Map<TopicPartition, Long> latest = consumer.endOffsets(all);
        Map<TopicPartition, OffsetAndTimestamp> found = consumer.offsetsForTimes(times);
        for (TopicPartition partition : all) {
            ObjectNode fields = JsonNodeFactory.instance.objectNode();
            fields.put("topic", partition.topic()).put("partition", partition.partition());
            fields.put("earliest", earliest.get(partition)).put("latest", latest.get(partition));
            OffsetAndTimestamp first = found.get(partition);
            if (first == null) {
                fields.putNull("from_time");
            } else {
                fields.putArray("from_time").add(first.offset()).add(first.timestamp());
            }
            emit("range", fields);
        }
    }

    /** Polls until everything, or this many records of each partition, has been read. */
    private static void poll(KafkaConsumer<byte[], byte[]> consumer, Map<TopicPartition, Integer> counts,
            Map<TopicPartition, Integer> read, int limit) throws IOException {
        while (counts.entrySet().stream()
                .anyMatch(each -> read.getOrDefault(each.getKey(), 0) < Math.min(limit, each.getValue()))) {
            for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofSeconds(1))) {
                read.merge(new TopicPartition(record.topic(), record.partition()), 1, Integer::sum);
                ObjectNode fields = JsonNodeFactory.instance.objectNode();
                fields.put("topic", record.topic()).put("partition", record.partition()).put("offset", record.offset());
                fields.put("timestamp", record.timestamp()).put("key", record.key()).put("value", record.value());
                ArrayNode headers = fields.putArray("headers");
                for (Header header : record.headers()) {
                    headers.addArray().add(header.key()).add(header.value());
                }
                emit("record", fields);
            }
        }
    }
}
