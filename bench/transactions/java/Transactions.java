import java.lang.management.ManagementFactory;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Commits transactions with Java's client, one after the other: in each, {@code records} of {@code size} bytes to each of
 * {@code partitions}. Arguments: servers, topic, id, partitions, records, size, warm-up, transactions. Prints the processor time
 * of the process in ms and the median time in ms, both for one transaction.
 */
public final class Transactions {
    public static void main(String[] arguments) throws Exception {
        String topic = arguments[1];
        int partitions = Integer.parseInt(arguments[3]);
        int records = Integer.parseInt(arguments[4]);
        byte[] value = new byte[Integer.parseInt(arguments[5])];
        int warmUp = Integer.parseInt(arguments[6]);
        int transactions = Integer.parseInt(arguments[7]);
        Map<String, Object> settings = new HashMap<>();
        settings.put("bootstrap.servers", arguments[0]);
        settings.put("transactional.id", arguments[2]);
        // All records of a partition fit into one batch, which commitTransaction sends at once.
        settings.put("batch.size", 32 << 10);
        settings.put("linger.ms", 1000);
        var system = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        try (var producer = new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer())) {
            producer.initTransactions();
            double[] times = new double[transactions];
            long processor = 0;
            for (int number = -warmUp; number < transactions; number++) {
                if (number == 0) {
                    processor = system.getProcessCpuTime();
                }
                long begun = System.nanoTime();
                producer.beginTransaction();
                for (int record = 0; record < records; record++) {
                    for (int partition = 0; partition < partitions; partition++) {
                        producer.send(new ProducerRecord<>(topic, partition, null, value));
                    }
                }
                producer.commitTransaction();
                if (number >= 0) {
                    times[number] = (System.nanoTime() - begun) / 1e6;
                }
            }
            processor = system.getProcessCpuTime() - processor;
            Arrays.sort(times);
            System.out.println(processor / 1e6 / transactions + " " + times[transactions / 2]);
        }
    }
}
