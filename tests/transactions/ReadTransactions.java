import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Properties;

import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;

/**
 * Reads topics from their beginnings to their ends, with each isolation level. Arguments: the brokers, and the topics. Prints a line
 * for each partition, "read", isolation level, topic, partition, and one for each record with its value besides.
 */
public class ReadTransactions {
    public static void main(String[] arguments) throws Exception {
        for (String isolation : List.of("read_committed", "read_uncommitted")) {
            Properties settings = new Properties();
            settings.put("bootstrap.servers", arguments[0]);
            settings.put("isolation.level", isolation);
            settings.put("enable.auto.commit", "false");
            settings.put("key.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
            settings.put("value.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
            settings.put("group.id", "java-reader-of-transactions");
            try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(settings)) {
                List<TopicPartition> partitions = new ArrayList<>();
                for (int i = 1; i < arguments.length; i++) {
                    for (PartitionInfo partition : consumer.partitionsFor(arguments[i])) {
                        partitions.add(new TopicPartition(partition.topic(), partition.partition()));
                    }
                }
                for (TopicPartition partition : partitions) {
                    print(isolation, partition, "");
                }
                read(consumer, partitions, isolation);
            }
        }
    }

    private static void read(KafkaConsumer<String, String> consumer, Collection<TopicPartition> partitions, String isolation)
            throws Exception {
        consumer.assign(partitions);
        consumer.seekToBeginning(partitions);
        Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
        while (!partitions.stream().allMatch(partition -> consumer.position(partition) >= ends.get(partition))) {
            for (ConsumerRecord<String, String> record : poll(consumer)) {
                print(isolation, new TopicPartition(record.topic(), record.partition()), "\t" + record.value());
            }
        }
    }

    /** Polls with the method that the release has: clients before 2.0 have poll(long), and those from 4.0 on poll(Duration). */
    @SuppressWarnings("unchecked")
    private static ConsumerRecords<String, String> poll(KafkaConsumer<String, String> consumer) throws Exception {
        try {
            return (ConsumerRecords<String, String>)
                    KafkaConsumer.class.getMethod("poll", Duration.class).invoke(consumer, Duration.ofSeconds(1));
        } catch (NoSuchMethodException e) {
            return (ConsumerRecords<String, String>) KafkaConsumer.class.getMethod("poll", long.class).invoke(consumer, 1000L);
        }
    }

    private static void print(String isolation, TopicPartition partition, String value) {
        System.out.println("read\t" + isolation + "\t" + partition.topic() + "\t" + partition.partition() + value);
    }
}
