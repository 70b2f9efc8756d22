import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.stream.Collectors;

import org.apache.kafka.clients.ClientUtils;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * What Kafka's Java client makes of settings. Reads lines of fields that are separated by U+001F: the setting that is asked
 * for, then names and values, in which U+001E stands for a line end. Answers each with "refused", "unknown", or the value
 * behind "=", and ends each answer with U+001D and a line end.
 */
public final class JavaForms {
    private static final String END = "\u001d\n";

    /** Their values are names without regard to case; they are printed in small letters. And -1 is printed as `all` for acks. */
    private static final Set<String> NAMES =
            Set.of("security.protocol", "compression.type", "ssl.endpoint.identification.algorithm");

    public static void main(String[] arguments) throws Exception {
        var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        var out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        var version = new Properties();
        version.load(KafkaProducer.class.getResourceAsStream("/kafka/kafka-version.properties"));
        out.print("Java's client " + version.getProperty("version") + END);
        for (String line; (line = in.readLine()) != null;) {
            String[] fields = line.replace('\u001e', '\n').split("\u001f", -1);
            Map<String, Object> settings = new HashMap<>();
            settings.put("bootstrap.servers", "127.0.0.1:9092");
            for (int i = 1; i + 1 < fields.length; i += 2) {
                settings.put(fields[i], fields[i + 1]);
            }
            out.print(answer(fields[0], settings) + END);
        }
        System.exit(0); // some of the producers are still closing
    }

    private static String answer(String setting, Map<String, Object> settings) {
        if (!ProducerConfig.configNames().contains(setting)) {
            return "unknown";
        }
        settings.put("key.serializer", ByteArraySerializer.class.getName());
        settings.put("value.serializer", ByteArraySerializer.class.getName());
        addLogin(settings);
        try {
            var config = new ProducerConfig(settings);
            var producer = new KafkaProducer<byte[], byte[]>(settings);
            // Without waiting, because that may take as long as retry.backoff.ms, which may be centuries.
            var closing = new Thread(() -> producer.close(Duration.ZERO));
            closing.setDaemon(true);
            closing.start();
            return "=" + shown(setting, config);
        } catch (Exception error) {
            if (System.getenv("WHY") != null) {
                var cause = error.getCause() == null ? error : error.getCause();
                System.err.println(setting + " = " + settings.get(setting) + ": " + cause.getMessage());
            }
            return "refused";
        }
    }

    private static String shown(String setting, ProducerConfig config) {
        if (setting.equals("bootstrap.servers")) {
            return ClientUtils
                    .parseAndValidateAddresses(
                            config.getList(setting), config.getString(ProducerConfig.CLIENT_DNS_LOOKUP_CONFIG))
                    .stream()
                    .map(address -> bracketed(address.getHostString()) + ":" + address.getPort())
                    .collect(Collectors.joining(","));
        }
        Object value = config.values().get(setting);
        String text = value instanceof List<?> list
                ? list.stream().map(String::valueOf).collect(Collectors.joining(", "))
                : String.valueOf(value);
        if (setting.equals("acks") && text.equals("-1")) {
            return "all";
        }
        return NAMES.contains(setting) ? text.toLowerCase(Locale.ROOT) : text;
    }

    private static String bracketed(String host) {
        return host.contains(":") ? "[" + host + "]" : host;
    }

    /** Java's client takes user and password in another setting, and has GSSAPI for its default mechanism. */
    private static void addLogin(Map<String, Object> settings) {
        String protocol = String.valueOf(settings.get("security.protocol")).trim().toUpperCase(Locale.ROOT);
        if (!protocol.startsWith("SASL")) {
            return;
        }
        String mechanism = String.valueOf(settings.computeIfAbsent("sasl.mechanism", name -> "PLAIN"));
        String module = mechanism.toUpperCase(Locale.ROOT).contains("SCRAM") ? "scram.Scram" : "plain.Plain";
        settings.put("sasl.jaas.config", "org.apache.kafka.common.security." + module
                + "LoginModule required username=\"user\" password=\"password\";");
    }
}
