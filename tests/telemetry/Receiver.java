import java.io.FileWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.metrics.KafkaMetric;
import org.apache.kafka.common.metrics.MetricsReporter;
import org.apache.kafka.server.authorizer.AuthorizableRequestContext;
import org.apache.kafka.server.telemetry.ClientTelemetry;
import org.apache.kafka.server.telemetry.ClientTelemetryPayload;
import org.apache.kafka.server.telemetry.ClientTelemetryReceiver;
import org.apache.kafka.shaded.io.opentelemetry.proto.common.v1.KeyValue;
import org.apache.kafka.shaded.io.opentelemetry.proto.metrics.v1.Metric;
import org.apache.kafka.shaded.io.opentelemetry.proto.metrics.v1.MetricsData;
import org.apache.kafka.shaded.io.opentelemetry.proto.metrics.v1.NumberDataPoint;
import org.apache.kafka.shaded.io.opentelemetry.proto.metrics.v1.ResourceMetrics;
import org.apache.kafka.shaded.io.opentelemetry.proto.metrics.v1.ScopeMetrics;

/**
 * A plugin of the broker that receives telemetry, and appends each push to the file that the system property "telemetry.file"
 * names: a line for the push and one for each point, of fields that end with a tab, and an empty line.
 */
public class Receiver implements MetricsReporter, ClientTelemetry, ClientTelemetryReceiver {
    @Override
    public void exportMetrics(AuthorizableRequestContext context, ClientTelemetryPayload payload) {
        StringBuilder text = new StringBuilder();
        line(text, "push", context.clientId(), payload.clientInstanceId(), payload.isTerminating(), payload.contentType());
        try {
            for (ResourceMetrics resource : MetricsData.parseFrom(payload.data()).getResourceMetricsList()) {
                List<String> labels = labels(resource.getResource().getAttributesList());
                for (ScopeMetrics scope : resource.getScopeMetricsList()) {
                    for (Metric metric : scope.getMetricsList()) {
                        boolean isSum = metric.hasSum();
                        List<NumberDataPoint> points =
                            isSum ? metric.getSum().getDataPointsList() : metric.getGauge().getDataPointsList();
                        String kind = isSum
                            ? metric.getSum().getAggregationTemporality() + (metric.getSum().getIsMonotonic() ? " monotonic" : "")
                            : "gauge";
                        for (NumberDataPoint point : points) {
                            List<String> all = new ArrayList<>(labels);
                            all.addAll(labels(point.getAttributesList()));
                            double value = point.hasAsDouble() ? point.getAsDouble() : point.getAsInt();
                            long age = System.currentTimeMillis() - point.getTimeUnixNano() / 1_000_000;
                            line(text, "point", metric.getName(), kind, String.join(" ", all), value, age);
                        }
                    }
                }
            }
        } catch (IOException error) {
            line(text, "error", error);
        }
        append(text + "\n");
    }

    private static List<String> labels(List<KeyValue> attributes) {
        List<String> labels = new ArrayList<>();
        for (KeyValue attribute : attributes) {
            labels.add(attribute.getKey() + "=" + attribute.getValue().getStringValue());
        }
        return labels;
    }

    private static void line(StringBuilder text, Object... fields) {
        for (Object field : fields) {
            text.append(field).append('\t');
        }
        text.append('\n');
    }

    private static synchronized void append(String text) {
        try (FileWriter file = new FileWriter(System.getProperty("telemetry.file"), true)) {
            file.write(text);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    @Override
    public ClientTelemetryReceiver clientReceiver() {
        return this;
    }

    @Override
    public void init(List<KafkaMetric> metrics) {}

    @Override
    public void metricChange(KafkaMetric metric) {}

    @Override
    public void metricRemoval(KafkaMetric metric) {}

    @Override
    public void configure(Map<String, ?> configs) {}

    @Override
    public void close() {}
}
