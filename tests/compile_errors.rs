//! The compiler's messages for keys, values, records, messages and transports of types that are not accepted.
//!
//! Compiles snippets against core's metadata, which `cargo check` writes into the target directory, and looks for the text
//! of the crate's `#[diagnostic::on_unimplemented]` attributes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The metadata of `kafka-batch-core`, and the directory of its dependencies.
fn core_metadata() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let output = Command::new(env!("CARGO"))
            .args(["check", "--quiet", "--locked", "--package", "kafka-batch-core", "--message-format", "json"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("cargo runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let messages = String::from_utf8(output.stdout).expect("JSON is UTF-8");
        let artifact = messages
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("a JSON message"))
            .filter(|message| message["target"]["name"] == "kafka_batch_core")
            .find_map(|message| {
                message["filenames"].as_array()?.iter().find_map(|file| Some(file.as_str()?.to_owned()))
            });
        artifact.expect("cargo names the metadata of core").into()
    })
}

/// Compiles `body` as the body of a function. Returns what the compiler prints, and whether it succeeds.
fn compile(name: &str, body: &str) -> (bool, String) {
    let metadata = core_metadata();
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let source = directory.join(format!("{name}.rs"));
    let code = format!(
        "#![allow(unused)]\nuse kafka_batch_core::{{BatchOptions, BoxTransport, KafkaBatch, Magic, Publish, Record, Timestamp}};\n\
         use kafka_batch_core::{{Transport, message::{{Message, OutgoingMessage}}}};\n\
         fn publish<T: Transport>(transport: &T) {{}}\n\
         struct Own;\n\
         pub fn snippet(batch: &mut KafkaBatch, id: u64, text: String, option: &Option<String>, transport: BoxTransport) {{\n\
         {body}\n}}\n"
    );
    std::fs::write(&source, code).expect("a writable target directory");
    let output = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args(["--edition", "2024", "--crate-type", "lib", "--emit", "metadata", "--color", "never"])
        .arg("--out-dir")
        .arg(directory)
        .arg("--extern")
        .arg(format!("kafka_batch_core={}", metadata.display()))
        .arg("-L")
        .arg(format!("dependency={}", metadata.parent().expect("a directory").display()))
        .arg(&source)
        .output()
        .expect("rustc runs");
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[track_caller]
fn assert_rejected(name: &str, body: &str, expected: &[&str]) {
    let (compiles, text) = compile(name, body);
    assert!(!compiles, "it compiles: {body}");
    for expected in expected {
        assert!(text.contains(expected), "{expected:?} is missing in:\n{text}");
    }
}

#[test]
fn bytes_and_text_are_accepted_owned_borrowed_and_optional() {
    let (compiles, text) = compile(
        "accepted",
        r#"
        let _ = batch.append(Record::new("text").key(&text));
        let _ = batch.append(Record::new(&text).key(id.to_be_bytes()));
        let _ = batch.append(Record::new(&id.to_be_bytes()).key(id.to_string()));
        let _ = batch.append(Record::new(b"bytes").key(option.as_deref()));
        let _ = batch.append(Record::new(option.clone()).key(Some(b"key".to_vec())));
        let _ = batch.append(Record::new(std::borrow::Cow::from("cow")).key(None::<&str>));
        let owned: Record<'static, String, Vec<u8>> = Record::new(vec![1]).key(text);
        let _ = batch.append(&owned);
        let _ = batch.append(owned);
        "#,
    );
    assert!(compiles, "{text}");
}

#[test]
fn an_integer_is_rejected_with_both_of_its_encodings() {
    let encodings = ["`n.to_string()`", "`n.to_be_bytes()`", "neither bytes nor text"];
    assert_rejected("integer_key", "let _ = Record::new(\"v\").key(id);", &encodings);
    assert_rejected("integer_reference", "let _ = Record::new(\"v\").key(&id);", &encodings);
    assert_rejected("integer_literal", "let _ = Record::new(7);", &encodings);
    assert_rejected("optional_integer", "let _ = Record::new(Some(id));", &encodings);
    assert_rejected("integer_tombstone", "let _ = Record::tombstone(id);", &encodings);
}

#[test]
fn a_reference_to_an_option_is_rejected_with_as_deref() {
    assert_rejected("option_reference", "let _ = Record::new(\"v\").key(option);", &["`value.as_deref()`"]);
}

#[test]
fn a_value_that_is_not_a_record_is_rejected_with_the_way_to_make_one() {
    assert_rejected(
        "text_record",
        "let _ = batch.append(\"text\");",
        &["`&str` is not a record", "`Record::new(value)`"],
    );
    assert_rejected("texts", "let _ = batch.extend([text]);", &["`String` is not a record", "`Record::new(value)`"]);
}

#[test]
fn the_key_of_a_call_and_a_format_are_accepted_in_every_form() {
    let (compiles, errors) = compile(
        "accepted_by_publish",
        r#"
        let _: Publish<'_> = Publish::to("t").key("text").key(&text).key(text.clone()).key(vec![1_u8]).key(b"bytes");
        let _: Publish<'_> = Publish::to(text).key(id.to_be_bytes()).key(option.as_deref()).key(option.clone());
        let _: Publish<'_> = Publish::to("t").key(std::borrow::Cow::from("cow")).key(None::<&str>);
        let _ = BatchOptions::default().magic(Magic::V1);
        publish(&transport);
        "#,
    );
    assert!(compiles, "{errors}");
}

#[test]
fn the_key_of_a_call_is_rejected_as_that_of_a_record() {
    let encodings = ["`u64` is neither bytes nor text", "`n.to_string()`", "`n.to_be_bytes()`"];
    assert_rejected("publish_integer_key", "let _: Publish<'_> = Publish::to(\"t\").key(id);", &encodings);
    let as_deref = ["neither bytes nor text", "`value.as_deref()`"];
    assert_rejected("publish_option_key", "let _: Publish<'_> = Publish::to(\"t\").key(option);", &as_deref);
}

#[test]
fn a_value_that_is_not_a_message_is_rejected_with_the_ways_to_make_one() {
    let own = ["`Own` is not a message", "`Json(value)`", "implement `kafka_batch::message::Message`"];
    assert_rejected("own_messages", "let _ = Publish::to(\"t\").messages(&[Own]);", &own);
    assert_rejected("own_message", "let _ = OutgoingMessage::new(Own).payload(&mut Vec::new());", &own[..1]);
    let integer = ["`u64` is not a message", "`n.to_string()`"];
    assert_rejected("integer_messages", "let _ = Publish::to(\"t\").messages(&[id]);", &integer);
}

#[test]
fn what_is_not_a_transport_is_rejected_with_what_is_one() {
    let clone = ["is not a transport", "`TokioProducer`", "pass the producer or a clone"];
    assert_rejected("transport_reference", "publish(&&transport);", &clone);
    assert_rejected("transport_arc", "publish(&std::sync::Arc::new(transport));", &clone);
    assert_rejected("own_transport", "publish(&Own);", &["`Own` is not a transport", "by `build()?`"]);
}

/// The compiler's own words are enough: they name the type that is expected.
#[test]
fn what_is_not_a_batch_is_rejected_with_the_type_of_one() {
    assert_rejected("not_a_batch", "let _: Publish<'_> = Publish::to(\"t\").batch(text);", &["expected `KafkaBatch`"]);
    let sealed = "let _: Publish<'_> = Publish::to(\"t\").batch(batch.clone().seal().unwrap());";
    assert_rejected("a_sealed_batch", sealed, &["expected `KafkaBatch`, found `SealedBatch`"]);
}
