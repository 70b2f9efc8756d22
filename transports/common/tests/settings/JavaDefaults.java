import java.util.Map;
import java.util.Properties;
import java.util.TreeSet;

import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;

/** Prints the settings of Java's producer and their defaults. */
public class JavaDefaults {
    public static void main(String[] arguments) throws Exception {
        var version = new Properties();
        version.load(KafkaProducer.class.getResourceAsStream("/kafka/kafka-version.properties"));
        System.out.println("# Settings of Java's client " + version.getProperty("version") + " and their defaults: JavaDefaults.java.");
        Map<String, Object> defaults = ProducerConfig.configDef().defaultValues();
        for (String name : new TreeSet<>(ProducerConfig.configNames())) {
            Object value = defaults.get(name);
            System.out.println(name + "\t" + (value == null ? "" : value instanceof Class<?> type ? type.getName() : value));
        }
    }
}
