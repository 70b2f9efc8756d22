import java.lang.management.ManagementFactory;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * The measured programs with Java's client. Arguments: the program, servers, topic, id, partitions, records of a batch, size of their
 * values; then those of the program.
 *
 * <p>{@code commit}, warm-up, transactions: transactions one after the other, each with a batch for each partition. Prints the
 * processor time of the process, the median time and the mean time, all in ms for one transaction.
 *
 * <p>{@code stream}, batches, turns, milliseconds: publishes without pause in turns, with an idempotent producer, with the same and
 * {@code flush} after each so many batches, and in transactions of so many batches. Prints a line for each turn: records a second of
 * the three.
 *
 * <p>A transaction that fails is aborted and begun again, as the documentation of KafkaProducer asks for; if the producer cannot go
 * on, another one is made. The last line has how often each of them happened.
 */
public final class Transactions {
    private static String[] arguments;
    private static String topic;
    private static int partitions;
    private static int records;
    private static byte[] value;
    private static KafkaProducer<byte[], byte[]> producer;
    private static int aborted;
    private static int replaced;

    public static void main(String[] words) throws Exception {
        arguments = words;
        topic = words[2];
        partitions = Integer.parseInt(words[4]);
        records = Integer.parseInt(words[5]);
        value = new byte[Integer.parseInt(words[6])];
        int[] numbers = Arrays.stream(words).skip(7).mapToInt(Integer::parseInt).toArray();
        if (words[0].equals("commit")) {
            commit(numbers[0], numbers[1]);
        } else {
            stream(numbers[0], numbers[1], numbers[2]);
        }
        producer.close();
        System.out.println("failures " + aborted + " " + replaced);
    }

    private static void commit(int warmUp, int transactions) {
        producer = transactional();
        var system = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        double[] times = new double[transactions];
        long processor = 0;
        for (int number = -warmUp; number < transactions; number++) {
            if (number == 0) {
                processor = system.getProcessCpuTime();
            }
            long begun = System.nanoTime();
            transaction(partitions);
            if (number >= 0) {
                times[number] = (System.nanoTime() - begun) / 1e6;
            }
        }
        processor = system.getProcessCpuTime() - processor;
        Arrays.sort(times);
        double mean = Arrays.stream(times).sum() / transactions;
        System.out.println(processor / 1e6 / transactions + " " + times[transactions / 2] + " " + mean);
    }

    private static void stream(int batches, int turns, int milliseconds) throws Exception {
        producer = transactional();
        try (var idempotent = new KafkaProducer<>(settings(), new ByteArraySerializer(), new ByteArraySerializer())) {
            for (int turn = 0; turn < turns; turn++) {
                double pipelined = rate(batches, milliseconds, () -> fill(idempotent, batches), idempotent::flush);
                double flushed = rate(batches, milliseconds, () -> {
                    fill(idempotent, batches);
                    idempotent.flush();
                }, () -> { });
                double inTransactions = rate(batches, milliseconds, () -> transaction(batches), () -> { });
                System.out.println(pipelined + " " + flushed + " " + inTransactions);
            }
        }
        if (failure.get() != null) {
            throw failure.get();
        }
    }

    /** Repeats this for so long. Returns how many records a second that was, until all of them are acknowledged. */
    private static double rate(int batches, int milliseconds, Runnable step, Runnable end) {
        long begun = System.nanoTime();
        long until = begun + milliseconds * 1_000_000L;
        long steps = 0;
        while (System.nanoTime() < until) {
            step.run();
            steps++;
        }
        end.run();
        return steps * batches * records / ((System.nanoTime() - begun) / 1e9);
    }

    private static final AtomicReference<Exception> failure = new AtomicReference<>();

    /** Sends so many batches, one partition after the other. */
    private static void fill(KafkaProducer<byte[], byte[]> producer, int batches) {
        for (int batch = 0; batch < batches; batch++) {
            for (int record = 0; record < records; record++) {
                producer.send(new ProducerRecord<>(topic, batch % partitions, null, value), (metadata, exception) -> {
                    if (exception != null && producer != Transactions.producer) {
                        failure.compareAndSet(null, exception);
                    }
                });
            }
        }
    }

    /** Commits a transaction of so many batches; repeats it until it is committed. */
    private static void transaction(int batches) {
        while (true) {
            try {
                producer.beginTransaction();
                fill(producer, batches);
                producer.commitTransaction();
                return;
            } catch (KafkaException exception) {
                System.err.println("Java's client: " + exception + (exception.getCause() == null ? "" : "; " + exception.getCause()));
                try {
                    producer.abortTransaction();
                    aborted++;
                } catch (KafkaException fatal) {
                    System.err.println("Java's client cannot abort: " + fatal);
                    producer.close(java.time.Duration.ZERO);
                    producer = transactional();
                    replaced++;
                }
            }
        }
    }

    private static Map<String, Object> settings() {
        Map<String, Object> settings = new HashMap<>();
        settings.put("bootstrap.servers", arguments[1]);
        // Room for the records of a batch, and not for another one.
        settings.put("batch.size", records * (value.length + 16) + 100);
        // A batch is sent when it is full, or when the transaction is committed.
        settings.put("linger.ms", 1000);
        return settings;
    }

    private static KafkaProducer<byte[], byte[]> transactional() {
        Map<String, Object> settings = settings();
        settings.put("transactional.id", arguments[3]);
        var producer = new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
        producer.initTransactions();
        return producer;
    }
}
