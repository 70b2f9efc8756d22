use kafka_batch::Header;
use kafka_batch::record::EncodedHeaders;
use opentelemetry::propagation::Injector;

struct Headers<'a>(&'a mut EncodedHeaders);

impl Injector for Headers<'_> {
    fn set(&mut self, name: &str, value: String) {
        let _ = self.0.push(Header::new(name, &value)); // fails only with more than 2 GiB
    }
}

fn add_trace(_topic: &str, headers: &mut EncodedHeaders) {
    let context = opentelemetry::Context::current(); // or Span::current().context(), of the crate tracing-opentelemetry
    opentelemetry::global::get_text_map_propagator(|propagator| {
        propagator.inject_context(&context, &mut Headers(headers));
    });
}
