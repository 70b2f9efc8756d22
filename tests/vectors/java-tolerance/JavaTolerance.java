// Writes the vectors of this directory, and reports what Java's reader returns for each: see README.md.
//
//     java -cp CLASSPATH JavaTolerance.java write FOLDER     writes the vectors and manifest.json
//     java -cp CLASSPATH JavaTolerance.java read FOLDER      prints the manifest of the existing vectors
//
// The class path is that of org.apache.kafka:kafka-clients:4.4.0, whose record package is internal.

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.zip.CRC32;

import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.DefaultRecordBatch;
import org.apache.kafka.common.record.internal.FileRecords;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.apache.kafka.common.record.internal.SimpleRecord;
import org.apache.kafka.common.utils.internals.AppInfoParser;
import org.apache.kafka.common.utils.internals.ByteUtils;
import org.apache.kafka.common.utils.internals.BufferSupplier;
import org.apache.kafka.common.utils.internals.ByteBufferOutputStream;
import org.apache.kafka.common.utils.internals.CloseableIterator;

public final class JavaTolerance {
    static final long TIME = 1_700_000_000_000L;
    static final int HEADER = 61;
    static final CompressionType NONE = CompressionType.NONE;

    /** The description of a vector, and its bytes. */
    record Vector(String what, byte[] bytes) {}

    public static void main(String[] args) throws Exception {
        Path folder = Path.of(args[1]);
        Map<String, String> what = new LinkedHashMap<>();
        if (args[0].equals("write")) {
            for (Map.Entry<String, Vector> entry : vectors().entrySet()) {
                Files.write(folder.resolve(entry.getKey() + ".bin"), entry.getValue().bytes());
                what.put(entry.getKey(), entry.getValue().what());
            }
        } else {
            try (var files = Files.list(folder)) {
                files.map(file -> file.getFileName().toString()).filter(name -> name.endsWith(".bin")).sorted()
                    .forEach(name -> what.put(name.substring(0, name.length() - 4), null));
            }
        }
        List<String> lines = new ArrayList<>();
        for (String name : what.keySet()) {
            lines.add(entry(folder.resolve(name + ".bin"), what.get(name)));
        }
        String manifest = "[\n" + String.join(",\n", lines) + "\n]\n";
        if (args[0].equals("write")) {
            Files.writeString(folder.resolve("manifest.json"), manifest);
        } else {
            System.out.print(manifest);
        }
    }

    // ---- What Java reads

    static String entry(Path file, String what) throws Exception {
        byte[] bytes = Files.readAllBytes(file);
        String inMemory = read(MemoryRecords.readableRecords(ByteBuffer.wrap(bytes)).batches().iterator());
        String inFile;
        try (FileRecords records = FileRecords.open(file.toFile(), false)) {
            inFile = read(records.batches().iterator()).replace(file.toString(), file.getFileName().toString());
        }
        StringBuilder line = new StringBuilder("{");
        line.append("\"file\":").append(text(file.getFileName().toString()));
        if (what != null) {
            line.append(",\"what\":").append(text(what));
        }
        line.append(",\"bytes\":").append(bytes.length);
        String hash = HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
        line.append(",\"sha256\":").append(text(hash));
        line.append(",\"reader\":").append(text("kafka-clients " + AppInfoParser.getVersion()));
        line.append(",\"java\":").append(inMemory);
        // Only if a log segment is read differently from a fetch response.
        if (!inFile.equals(inMemory)) {
            line.append(",\"java_file\":").append(inFile);
        }
        return line.append("}").toString();
    }

    /** Reads each batch as a consumer does: checks it, then reads its records. */
    static String read(Iterator<? extends RecordBatch> batches) {
        List<String> read = new ArrayList<>();
        String error = "null";
        try {
            while (batches.hasNext()) {
                read.add(batch(batches.next()));
            }
        } catch (Exception e) {
            error = error(e);
        }
        return "{\"batches\":[" + String.join(",", read) + "],\"error\":" + error + "}";
    }

    static String batch(RecordBatch batch) {
        List<String> records = new ArrayList<>();
        String error = "null";
        String next = "null";
        try {
            batch.ensureValid();
            if (batch.magic() == RecordBatch.MAGIC_VALUE_V2) {
                next = Long.toString(batch.nextOffset());
            }
            try (CloseableIterator<Record> iterator = batch.streamingIterator(BufferSupplier.NO_CACHING)) {
                while (iterator.hasNext()) {
                    Record record = iterator.next();
                    record.ensureValid();
                    records.add(record(record));
                }
            }
        } catch (Throwable e) {
            error = error(e);
        }
        return "{\"bytes\":" + batch.sizeInBytes() + ",\"next_offset\":" + next + ",\"records\":["
            + String.join(",", records) + "],\"error\":" + error + "}";
    }

    static String record(Record record) {
        List<String> headers = new ArrayList<>();
        for (Header header : record.headers()) {
            byte[] value = header.value();
            headers.add("[" + text(header.key()) + "," + base64(value == null ? null : ByteBuffer.wrap(value)) + "]");
        }
        return "{\"offset\":" + record.offset() + ",\"timestamp\":" + record.timestamp() + ",\"key\":"
            + base64(record.key()) + ",\"value\":" + base64(record.value()) + ",\"headers\":["
            + String.join(",", headers) + "]}";
    }

    static String error(Throwable e) {
        return text(e.getClass().getSimpleName() + ": " + e.getMessage());
    }

    static String base64(ByteBuffer buffer) {
        if (buffer == null) {
            return "null";
        }
        byte[] bytes = new byte[buffer.remaining()];
        buffer.duplicate().get(bytes);
        return text(Base64.getEncoder().encodeToString(bytes));
    }

    static String text(String text) {
        StringBuilder json = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') {
                json.append('\\').append(c);
            } else if (c < 0x20 || c > 0x7e) {
                json.append(String.format("\\u%04x", (int) c));
            } else {
                json.append(c);
            }
        }
        return json.append('"').toString();
    }

    // ---- Records and batches of magic 2, with every possible mistake of a writer

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.ISO_8859_1);
    }

    static byte[] join(byte[]... parts) {
        ByteArrayOutputStream joined = new ByteArrayOutputStream();
        for (byte[] part : parts) {
            joined.writeBytes(part);
        }
        return joined.toByteArray();
    }

    static byte[] zeros(int count) {
        return new byte[count];
    }

    static byte[] hex(String digits) {
        return HexFormat.of().parseHex(digits.replace(" ", ""));
    }

    static byte[] varint(int value) {
        ByteBuffer buffer = ByteBuffer.allocate(5);
        ByteUtils.writeVarint(value, buffer);
        return Arrays.copyOf(buffer.array(), buffer.position());
    }

    static byte[] sized(byte[] bytes) {
        return bytes == null ? varint(-1) : join(varint(bytes.length), bytes);
    }

    /** Returns a record of these encoded parts, with a valid length. */
    static byte[] record(int offsetDelta, byte[] key, byte[] value, byte[] headers) {
        byte[] body = join(zeros(1), varint(0), varint(offsetDelta), key, value, headers);
        return join(varint(body.length), body);
    }

    static byte[] record(int offsetDelta, String value) {
        return record(offsetDelta, sized(bytes("k" + offsetDelta)), sized(bytes(value)), varint(0));
    }

    /** Returns a record with these headers: names as Latin-1, and values. */
    static byte[] recordWith(int offsetDelta, String value, byte[]... namesAndValues) {
        byte[] headers = varint(namesAndValues.length / 2);
        for (byte[] part : namesAndValues) {
            headers = join(headers, sized(part));
        }
        return record(offsetDelta, varint(-1), sized(bytes(value)), headers);
    }

    static byte[] three() {
        return join(record(0, "first"), record(1, "second"), record(2, "third"));
    }

    static byte[] batch(CompressionType type, long baseOffset, int lastDelta, int count, byte[] payload) {
        ByteBuffer buffer = ByteBuffer.allocate(HEADER + payload.length);
        buffer.position(HEADER);
        buffer.put(payload);
        buffer.position(0);
        DefaultRecordBatch.writeHeader(buffer, baseOffset, lastDelta, buffer.capacity(), (byte) 2, type,
            TimestampType.CREATE_TIME, TIME, TIME, -1, (short) -1, -1, false, false, false, -1, count);
        return buffer.array();
    }

    /** Returns three records at offsets from `baseOffset` on, with a valid header. */
    static byte[] good(long baseOffset) {
        return batch(NONE, baseOffset, 2, 3, three());
    }

    static byte[] edited(byte[] batch, Consumer<ByteBuffer> edit) {
        byte[] copy = batch.clone();
        edit.accept(ByteBuffer.wrap(copy));
        return copy;
    }

    /** Edits a batch of magic 2 and updates its checksum. */
    static byte[] resummed(byte[] batch, Consumer<ByteBuffer> edit) {
        byte[] copy = edited(batch, edit);
        java.util.zip.CRC32C crc = new java.util.zip.CRC32C();
        crc.update(copy, 21, copy.length - 21);
        ByteBuffer.wrap(copy).putInt(17, (int) crc.getValue());
        return copy;
    }

    static Compression compression(CompressionType type) {
        return Compression.of(type).build();
    }

    /** Compresses the bytes with Java's compressor of this type. */
    static byte[] packed(CompressionType type, byte magic, byte[] bytes) throws IOException {
        ByteBufferOutputStream out = new ByteBufferOutputStream(4096);
        try (OutputStream stream = compression(type).wrapForOutput(out, magic)) {
            stream.write(bytes);
        }
        ByteBuffer buffer = out.buffer();
        buffer.flip();
        byte[] packed = new byte[buffer.remaining()];
        buffer.get(packed);
        return packed;
    }

    static byte[] packed(CompressionType type, byte[] bytes) throws IOException {
        return packed(type, (byte) 2, bytes);
    }

    static byte[] raw(byte[] bytes) throws IOException {
        return org.xerial.snappy.Snappy.compress(bytes);
    }

    // ---- Messages of magic 0 and 1

    static byte[] message(int magic, int attributes, long offset, byte[] key, byte[] value) {
        int size = 4 + 2 + (magic == 0 ? 0 : 8) + 4 + (key == null ? 0 : key.length) + 4 + (value == null ? 0 : value.length);
        ByteBuffer buffer = ByteBuffer.allocate(12 + size);
        buffer.putLong(offset).putInt(size).putInt(0).put((byte) magic).put((byte) attributes);
        if (magic > 0) {
            buffer.putLong(TIME);
        }
        for (byte[] field : Arrays.asList(key, value)) {
            buffer.putInt(field == null ? -1 : field.length);
            if (field != null) {
                buffer.put(field);
            }
        }
        return resummedMessage(buffer.array(), edit -> {});
    }

    static byte[] message(int magic, long offset, byte[] key, byte[] value) {
        return message(magic, 0, offset, key, value);
    }

    static byte[] message(int magic, long offset, String value) {
        return message(magic, 0, offset, null, bytes(value));
    }

    static byte[] resummedMessage(byte[] message, Consumer<ByteBuffer> edit) {
        byte[] copy = edited(message, edit);
        CRC32 crc = new CRC32();
        crc.update(copy, 16, copy.length - 16);
        ByteBuffer.wrap(copy).putInt(12, (int) crc.getValue());
        return copy;
    }

    static byte[] wrapper(int magic, long offset, byte[] compressed) {
        return message(magic, CompressionType.GZIP.id, offset, null, compressed);
    }

    static byte[] gzipped(int magic, byte[] messages) throws IOException {
        return packed(CompressionType.GZIP, (byte) magic, messages);
    }

    // ---- The vectors

    static Map<String, Vector> vectors() throws IOException {
        Map<String, Vector> all = new LinkedHashMap<>();
        offsets(all);
        records(all);
        segments(all);
        gzip(all);
        snappy(all);
        frames(all);
        legacy(all);
        return all;
    }

    static void put(Map<String, Vector> all, String name, String what, byte[] bytes) {
        if (all.put(name, new Vector(what, bytes)) != null) {
            throw new IllegalStateException(name);
        }
    }

    static byte[] withDeltas(int lastDelta, int... deltas) {
        byte[] payload = {};
        for (int delta : deltas) {
            payload = join(payload, record(delta, "delta " + delta));
        }
        return batch(NONE, 100, lastDelta, deltas.length, payload);
    }

    static void offsets(Map<String, Vector> all) throws IOException {
        put(all, "offset-last-delta-0", "last offset delta 0 over three records, as old Sarama wrote it",
            batch(NONE, 100, 0, 3, three()));
        put(all, "offset-last-delta-0-gzip", "the same, compressed",
            batch(CompressionType.GZIP, 100, 0, 3, packed(CompressionType.GZIP, three())));
        put(all, "offset-last-delta-too-large", "last offset delta 9 over deltas 0, 1, 2", batch(NONE, 100, 9, 3, three()));
        put(all, "offset-last-delta-negative", "last offset delta -1 over three records", batch(NONE, 100, -1, 3, three()));
        put(all, "offset-last-delta-negative-empty", "last offset delta -1, no records", batch(NONE, 100, -1, 0, zeros(0)));
        put(all, "offset-gaps", "deltas 0, 2, 5 of 0 to 9, as compaction leaves them", withDeltas(9, 0, 2, 5));
        put(all, "offset-first-gone", "deltas 4, 9 of 0 to 9, as compaction leaves them", withDeltas(9, 4, 9));
        put(all, "offset-all-0", "deltas 0, 0, 0, last offset delta 2", withDeltas(2, 0, 0, 0));
        put(all, "offset-all-0-last-0", "deltas 0, 0, 0, last offset delta 0", withDeltas(0, 0, 0, 0));
        put(all, "offset-backwards", "deltas 2, 1, 0", withDeltas(2, 2, 1, 0));
        put(all, "offset-twice", "deltas 0, 1, 1, 2", withDeltas(2, 0, 1, 1, 2));
        put(all, "offset-from-1", "deltas 1, 2, 3, last offset delta 2", withDeltas(2, 1, 2, 3));
        put(all, "offset-negative", "deltas -1, 0, 1", withDeltas(2, -1, 0, 1));
        put(all, "offset-overflow", "base offset 2^63 - 2, deltas 0, 1, 2", batch(NONE, Long.MAX_VALUE - 1, 2, 3, three()));
    }

    static byte[] withMiddle(byte[] middle) {
        return batch(NONE, 100, 2, 3, join(record(0, "first"), middle, record(2, "third")));
    }

    static void records(Map<String, Vector> all) throws IOException {
        byte[] v = bytes("v");
        put(all, "header-latin1", "the header name caf\\xe9 in the second record of three",
            withMiddle(recordWith(1, "second", bytes("good"), v, bytes("caf\u00e9"), v, bytes("last"), null)));
        put(all, "header-latin1-gzip", "the same, compressed", batch(CompressionType.GZIP, 100, 2, 3,
            packed(CompressionType.GZIP, join(record(0, "first"), recordWith(1, "second", bytes("caf\u00e9"), v), record(2, "third")))));
        put(all, "header-not-utf8", "header names that are not UTF-8 in eight ways: a lone continuation, an overlong /, "
                + "half of a three-byte character, three quarters of a four-byte one, a surrogate, beyond U+10FFFF, FF, "
                + "and half a character before an A",
            withMiddle(recordWith(1, "second", hex("80"), v, hex("c0af"), v, hex("e282"), v, hex("f09f98"), v,
                hex("eda080"), v, hex("f4908080"), v, hex("ff"), v, hex("e28241"), v)));
        put(all, "header-name-null", "a header name of length -1",
            withMiddle(record(1, varint(-1), sized(v), join(varint(1), varint(-1), sized(v)))));
        put(all, "header-value-minus-2", "a header value of length -2",
            withMiddle(record(1, varint(-1), sized(v), join(varint(1), sized(v), varint(-2)))));
        put(all, "header-count-minus-1", "-1 headers", withMiddle(record(1, varint(-1), sized(v), varint(-1))));
        put(all, "header-count-too-large", "three headers where there is one",
            withMiddle(record(1, varint(-1), sized(v), join(varint(3), sized(v), sized(v)))));
        put(all, "key-minus-2", "a key of length -2", withMiddle(record(1, varint(-2), sized(v), varint(0))));
        put(all, "value-minus-2", "a value of length -2", withMiddle(record(1, sized(v), varint(-2), varint(0))));
        put(all, "value-too-long", "a value longer than its record",
            withMiddle(record(1, sized(v), join(varint(100), v), varint(0))));
        put(all, "record-left-over", "three bytes behind the last field of the second record",
            withMiddle(record(1, sized(v), sized(v), join(varint(0), bytes("abc")))));
        put(all, "record-empty", "the second record has length 0", withMiddle(varint(0)));
        put(all, "record-length-negative", "the second record has length -5", withMiddle(varint(-5)));
        put(all, "record-length-too-long", "the second record is longer than the batch",
            withMiddle(join(varint(1000), bytes("abc"))));
        put(all, "count-one-less", "three records, and a count of two", batch(NONE, 100, 2, 2, three()));
        put(all, "count-one-more", "three records, and a count of four", batch(NONE, 100, 3, 4, three()));
        put(all, "count-one-more-gzip", "the same, compressed",
            batch(CompressionType.GZIP, 100, 3, 4, packed(CompressionType.GZIP, three())));
        put(all, "count-0", "three records, and a count of 0", batch(NONE, 100, 2, 0, three()));
        put(all, "count-negative", "three records, and a count of -1", batch(NONE, 100, 2, -1, three()));
    }

    static byte[] between(byte[] middle) {
        return join(good(0), middle, good(6));
    }

    static void segments(Map<String, Vector> all) throws IOException {
        put(all, "segment-checksum", "a bit of the second batch of three has changed",
            between(edited(good(3), batch -> batch.put(HEADER + 8, (byte) (batch.get(HEADER + 8) ^ 1)))));
        put(all, "segment-magic-3", "the second batch of three has magic 3", between(edited(good(3), b -> b.put(16, (byte) 3))));
        put(all, "segment-magic-minus-1", "the second batch of three has magic -1",
            between(edited(good(3), b -> b.put(16, (byte) -1))));
        put(all, "segment-magic-1", "the second batch of three has magic 1", between(edited(good(3), b -> b.put(16, (byte) 1))));
        put(all, "segment-short", "the second batch of three has magic 2 and length 20",
            between(edited(Arrays.copyOf(good(3), 32), b -> b.putInt(8, 20))));
        put(all, "segment-length-13", "the second batch of three has length 13", between(edited(good(3), b -> b.putInt(8, 13))));
        put(all, "segment-length-negative", "the second batch of three has length -1",
            between(edited(good(3), b -> b.putInt(8, -1))));
        put(all, "segment-length-past-end", "the second batch of three has a length that goes past the end",
            between(edited(good(3), b -> b.putInt(8, 100_000))));
        put(all, "segment-length-one-short", "the second batch of three has a length that is one too short",
            between(edited(good(3), b -> b.putInt(8, b.getInt(8) - 1))));
        put(all, "segment-codec-5", "the second batch of three names codec 5",
            between(resummed(good(3), b -> b.putShort(21, (short) 5))));
        put(all, "segment-gzip-damaged", "the second batch of three names gzip, and has none",
            between(resummed(good(3), b -> b.putShort(21, (short) 1))));
        put(all, "segment-count-negative", "the second batch of three has a count of -1",
            between(batch(NONE, 3, 2, -1, three())));
        put(all, "segment-record-length", "the second batch of three has a second record longer than itself",
            between(batch(NONE, 3, 2, 3, join(record(0, "first"), varint(1000), record(2, "third")))));
        put(all, "segment-v1-checksum", "a bit of the second message of three has changed, magic 1",
            join(message(1, 0, "first"), edited(message(1, 1, "second"), m -> m.put(34, (byte) 'S')), message(1, 2, "third")));
        put(all, "segment-v0-field", "the second message of three has a key longer than itself, magic 0",
            join(message(0, 0, "first"), resummedMessage(message(0, 1, "second"), m -> m.putInt(18, 99)), message(0, 2, "third")));
        put(all, "segment-v0-left-over", "the second message of three has a value shorter than its room, magic 0",
            join(message(0, 0, "first"), resummedMessage(message(0, 1, "second"), m -> m.putInt(22, 3)), message(0, 2, "third")));
    }

    static byte[] inBatch(CompressionType type, byte[] compressed) {
        return batch(type, 100, 2, 3, compressed);
    }

    static void gzip(Map<String, Vector> all) throws IOException {
        CompressionType type = CompressionType.GZIP;
        byte[] payload = three();
        byte[] whole = packed(type, payload);
        byte[] first = packed(type, Arrays.copyOf(payload, 11));
        byte[] second = packed(type, Arrays.copyOfRange(payload, 11, payload.length));
        put(all, "gzip-two-members", "the records in two members", inBatch(type, join(first, second)));
        put(all, "gzip-empty-member", "a member without bytes, then one with the records", inBatch(type, join(packed(type, zeros(0)), whole)));
        for (int count : new int[] {1, 8, 18, 19, 512, 9000}) {
            put(all, "gzip-zeros-" + count, count + " zero bytes behind the member", inBatch(type, join(whole, zeros(count))));
        }
        put(all, "gzip-two-members-zeros", "two members and 40 zero bytes", inBatch(type, join(first, second, zeros(40))));
        put(all, "gzip-zeros-between", "40 zero bytes between two members", inBatch(type, join(first, zeros(40), second)));
        put(all, "gzip-garbage", "bytes behind the member that are no gzip", inBatch(type, join(whole, bytes("behind the last member there is more"))));
        put(all, "gzip-garbage-short", "three bytes behind the member that are no gzip", inBatch(type, join(whole, bytes("abc"))));
        put(all, "gzip-half-magic", "the first byte of a member behind the member", inBatch(type, join(whole, hex("1f"))));
        put(all, "gzip-header-only", "a member's first ten bytes behind the member", inBatch(type, join(whole, hex("1f8b0800000000000003"))));
        put(all, "gzip-second-method-7", "a second member whose method is not deflate", inBatch(type, join(first, edited(second, b -> b.put(2, (byte) 7)))));
        put(all, "gzip-second-cut", "a second member that is cut", inBatch(type, join(first, Arrays.copyOf(second, second.length - 12))));
        put(all, "gzip-second-sum", "a second member with a wrong checksum", inBatch(type, join(first, edited(second, b -> b.putInt(second.length - 8, 1)))));
        put(all, "gzip-cut", "a member that is cut in its trailer", inBatch(type, Arrays.copyOf(whole, whole.length - 3)));
    }

    static void snappy(Map<String, Vector> all) throws IOException {
        CompressionType type = CompressionType.SNAPPY;
        byte[] payload = three();
        byte[] whole = packed(type, payload);
        byte[] first = packed(type, Arrays.copyOf(payload, 11));
        byte[] second = packed(type, Arrays.copyOfRange(payload, 11, payload.length));
        byte[] frame = Arrays.copyOf(whole, 16);
        byte[] half = raw(Arrays.copyOf(payload, 11));
        byte[] other = raw(Arrays.copyOfRange(payload, 11, payload.length));
        byte[] none = raw(zeros(0));
        put(all, "snappy-two-streams", "two xerial streams, one behind the other", inBatch(type, join(first, second)));
        put(all, "snappy-three-streams", "three xerial streams, the second without blocks", inBatch(type, join(first, frame, second)));
        put(all, "snappy-stream-in-block", "a xerial stream whose second header is between two blocks of one stream",
            inBatch(type, join(frame, block(raw(Arrays.copyOf(payload, 5))), block(raw(Arrays.copyOfRange(payload, 5, 11))), second)));
        put(all, "snappy-second-header-cut", "a second xerial header that is cut", inBatch(type, join(whole, Arrays.copyOf(frame, 10))));
        put(all, "snappy-second-version-0", "a second xerial stream of version 0",
            inBatch(type, join(first, edited(second, b -> b.putInt(8, 0)))));
        put(all, "snappy-second-version-2", "a second xerial stream of version 2",
            inBatch(type, join(first, edited(second, b -> b.putInt(8, 2)))));
        put(all, "snappy-second-magic", "a second xerial header with one byte of its magic changed",
            inBatch(type, join(first, edited(second, b -> b.put(5, (byte) 'x')))));
        put(all, "snappy-empty-block", "a xerial block that decompresses to nothing, between two others",
            inBatch(type, join(frame, block(half), block(none), block(other))));
        put(all, "snappy-block-0", "a xerial block of length 0 between two others", inBatch(type, join(frame, block(half), zeros(4), block(other))));
        for (int count : new int[] {1, 3, 4, 40}) {
            put(all, "snappy-zeros-" + count, count + " zero bytes behind the last block", inBatch(type, join(whole, zeros(count))));
        }
        put(all, "snappy-garbage-3", "three bytes behind the last block", inBatch(type, join(whole, bytes("abc"))));
        put(all, "snappy-garbage", "bytes behind the last block", inBatch(type, join(whole, hex("00000009"), bytes("behind"))));
        put(all, "snappy-raw", "raw Snappy without framing", inBatch(type, raw(payload)));
        put(all, "snappy-raw-zeros", "raw Snappy and 4 zero bytes", inBatch(type, join(raw(payload), zeros(4))));
        put(all, "snappy-raw-twice", "raw Snappy twice, half of the records in each", inBatch(type, join(half, other)));
        put(all, "snappy-raw-then-xerial", "raw Snappy, then a xerial stream", inBatch(type, join(half, second)));
        put(all, "snappy-no-blocks", "a xerial header alone, and no records", batch(type, 100, 0, 0, frame));
    }

    static byte[] block(byte[] raw) {
        return join(ByteBuffer.allocate(4).putInt(raw.length).array(), raw);
    }

    static void frames(Map<String, Vector> all) throws IOException {
        for (CompressionType type : List.of(CompressionType.LZ4, CompressionType.ZSTD)) {
            byte[] payload = three();
            byte[] whole = packed(type, payload);
            byte[] first = packed(type, Arrays.copyOf(payload, 11));
            byte[] second = packed(type, Arrays.copyOfRange(payload, 11, payload.length));
            byte[] empty = packed(type, zeros(0));
            byte[] skipped = hex("502a4d18 03000000 616263");
            put(all, type.name + "-two-frames", "the records in two frames", inBatch(type, join(first, second)));
            put(all, type.name + "-empty-frame-last", "a frame with the records, then one without bytes", inBatch(type, join(whole, empty)));
            put(all, type.name + "-skippable-first", "a skippable frame, then one with the records", inBatch(type, join(skipped, whole)));
            put(all, type.name + "-skippable-last", "a frame with the records, then a skippable one", inBatch(type, join(whole, skipped)));
            put(all, type.name + "-zeros-1", "1 zero byte behind the frame", inBatch(type, join(whole, zeros(1))));
            put(all, type.name + "-zeros-40", "40 zero bytes behind the frame", inBatch(type, join(whole, zeros(40))));
            put(all, type.name + "-garbage", "bytes behind the frame that are no frame", inBatch(type, join(whole, bytes("behind the last frame there is more"))));
            put(all, type.name + "-second-cut", "a second frame that is cut", inBatch(type, join(first, Arrays.copyOf(second, second.length - 9))));
            put(all, type.name + "-no-end", "a frame without its last four bytes", inBatch(type, Arrays.copyOf(whole, whole.length - 4)));
        }
    }

    static void legacy(Map<String, Vector> all) throws IOException {
        byte[] a = message(1, 0, "first");
        byte[] b = message(1, 1, "second");
        byte[] c = message(1, 2, "third");
        put(all, "v0-key-minus-2", "the second message of three has a key of length -2, magic 0",
            join(message(0, 0, "first"), resummedMessage(message(0, 1, "second"), m -> m.putInt(18, -2)), message(0, 2, "third")));
        put(all, "v1-value-minus-2", "a message with a value of length -2, magic 1",
            resummedMessage(message(1, 0, null, zeros(0)), m -> m.putInt(30, -2)));
        put(all, "v1-left-over", "a message with four bytes behind its value, magic 1",
            resummedMessage(message(1, 0, "first"), m -> m.putInt(30, 1)));
        put(all, "v1-relative", "inner offsets 0, 1, 2 in a wrapper with offset 102", wrapper(1, 102, gzipped(1, join(a, b, c))));
        put(all, "v1-gaps", "inner offsets 0, 2, 5 in a wrapper with offset 105",
            wrapper(1, 105, gzipped(1, join(a, message(1, 2, "second"), message(1, 5, "third")))));
        put(all, "v1-backwards", "inner offsets 2, 1, 0 in a wrapper with offset 102", wrapper(1, 102, gzipped(1, join(c, b, a))));
        put(all, "v1-all-0", "inner offsets 0, 0, 0 in a wrapper with offset 102", wrapper(1, 102, gzipped(1, join(a, a, a))));
        put(all, "v1-wrapper-0", "inner offsets 0, 1, 2 in a wrapper with offset 0", wrapper(1, 0, gzipped(1, join(a, b, c))));
        put(all, "v1-wrapper-too-small", "inner offsets 0, 1, 2 in a wrapper with offset 1", wrapper(1, 1, gzipped(1, join(a, b, c))));
        put(all, "v1-inner-checksum", "the second inner message of three has a wrong checksum",
            wrapper(1, 102, gzipped(1, join(a, edited(b, m -> m.put(34, (byte) 'S')), c))));
        put(all, "v1-inner-magic-0", "the second inner message of three has magic 0",
            wrapper(1, 102, gzipped(1, join(a, message(0, 1, "second"), c))));
        put(all, "v1-inner-compressed", "the second inner message of three is a wrapper",
            wrapper(1, 102, gzipped(1, join(a, wrapper(1, 1, gzipped(1, b)), c))));
        put(all, "v1-inner-cut", "the last inner message of three is cut",
            wrapper(1, 102, gzipped(1, join(a, b, Arrays.copyOf(c, c.length - 2)))));
        put(all, "v1-inner-cut-wrapper-0", "the same in a wrapper with offset 0",
            wrapper(1, 0, gzipped(1, join(a, b, Arrays.copyOf(c, c.length - 2)))));
        put(all, "v0-inner-cut", "the last inner message of three is cut, magic 0", wrapper(0, 102,
            gzipped(0, join(message(0, 100, "first"), message(0, 101, "second"), Arrays.copyOf(message(0, 102, "third"), 20)))));
        put(all, "v0-inner-length", "the second inner message of three has length 5, magic 0", wrapper(0, 102,
            gzipped(0, join(message(0, 100, "first"), edited(message(0, 101, "second"), m -> m.putInt(8, 5)), message(0, 102, "third")))));
        put(all, "v0-absolute", "inner offsets 100, 101, 102, magic 0", wrapper(0, 102,
            gzipped(0, join(message(0, 100, "first"), message(0, 101, "second"), message(0, 102, "third")))));
        put(all, "v0-inner-magic-1", "the second inner message of three has magic 1, in magic 0", wrapper(0, 102,
            gzipped(0, join(message(0, 100, "first"), message(1, 101, "second"), message(0, 102, "third")))));
        put(all, "v1-gzip-two-members", "magic 1: the messages in two gzip members",
            wrapper(1, 102, join(gzipped(1, a), gzipped(1, join(b, c)))));
        put(all, "v1-gzip-zeros", "magic 1: 40 zero bytes behind the gzip member", wrapper(1, 102, join(gzipped(1, join(a, b, c)), zeros(40))));
        put(all, "v1-gzip-garbage", "magic 1: bytes behind the gzip member that are no gzip",
            wrapper(1, 102, join(gzipped(1, join(a, b, c)), bytes("behind the last member there is more"))));
        put(all, "v1-wrapper-null", "magic 1: a wrapper without a value", message(1, CompressionType.GZIP.id, 102, null, null));
        put(all, "v1-wrapper-no-messages", "magic 1: a wrapper without messages", wrapper(1, 102, gzipped(1, zeros(0))));
        put(all, "v0-then-damaged-wrapper", "a wrapper whose gzip is damaged between two messages, magic 0",
            join(message(0, 0, "first"), wrapper(0, 1, bytes("this is no gzip")), message(0, 2, "third")));
    }
}
