import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;

import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Uses transactions of the Java client, and prints what happens, one line each. Argument: the brokers' addresses. */
public class Transactions {
    static String brokers;

    static KafkaProducer<String, String> producer() {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", brokers);
        settings.put("transactional.id", "a");
        settings.put("max.block.ms", "60000");
        KafkaProducer<String, String> producer =
            new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer());
        producer.initTransactions();
        return producer;
    }

    static KafkaConsumer<String, String> consumer(String isolation) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", brokers);
        settings.put("group.id", "g");
        settings.put("isolation.level", isolation);
        settings.put("enable.auto.commit", "false");
        return new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
    }

    static void send(KafkaProducer<String, String> producer, String value) throws Exception {
        List<java.util.concurrent.Future<?>> sent = new ArrayList<>();
        for (int partition = 0; partition < 2; partition++) {
            sent.add(producer.send(new ProducerRecord<>("t", partition, null, value)));
        }
        producer.flush();
        for (var each : sent) {
            each.get();
        }
    }

    /** Prints what is read of partition 0 up to the end. */
    static void read(String isolation) {
        try (KafkaConsumer<String, String> consumer = consumer(isolation)) {
            TopicPartition partition = new TopicPartition("t", 0);
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            long end = consumer.endOffsets(List.of(partition)).get(partition);
            List<String> values = new ArrayList<>();
            while (consumer.position(partition) < end) {
                consumer.poll(Duration.ofMillis(100)).forEach(record -> values.add(record.value()));
            }
            System.out.println(isolation + " " + String.join(" ", values));
        }
    }

    public static void main(String[] arguments) throws Exception {
        brokers = arguments[0];
        KafkaProducer<String, String> first = producer();
        for (int round = 0; round < 4; round++) {
            first.beginTransaction();
            send(first, "value" + round);
            TopicPartition input = new TopicPartition("t", 1);
            first.sendOffsetsToTransaction(
                Map.of(input, new OffsetAndMetadata(round + 1)), new ConsumerGroupMetadata("g"));
            if (round % 2 == 0) {
                first.commitTransaction();
            } else {
                first.abortTransaction();
            }
            try (KafkaConsumer<String, String> consumer = consumer("read_committed")) {
                System.out.println("offset " + consumer.committed(Set.of(input)).get(input).offset());
            }
        }
        first.beginTransaction();
        send(first, "open");
        read("read_committed");
        read("read_uncommitted");
        KafkaProducer<String, String> second = producer();
        try {
            first.commitTransaction();
            System.out.println("committed by a fenced producer");
        } catch (Exception error) {
            System.out.println("fenced " + error.getClass().getSimpleName());
        }
        second.beginTransaction();
        send(second, "second");
        second.commitTransaction();
        read("read_committed");
        second.close();
        first.close(Duration.ZERO);
    }
}
