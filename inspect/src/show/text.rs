//! Bytes as text.

use std::io::Write;
use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Appends bytes as text in quotes. What is not UTF-8 is `\xNN`, control characters are escaped; null is `null`.
pub(crate) fn append_quoted(bytes: Option<&[u8]>, line: &mut Vec<u8>) {
    let Some(bytes) = bytes else {
        line.extend_from_slice(b"null");
        return;
    };
    line.push(b'"');
    for chunk in bytes.utf8_chunks() {
        if chunk.valid().bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\') {
            line.extend_from_slice(chunk.valid().as_bytes());
        } else {
            for character in chunk.valid().chars() {
                match character {
                    '\'' => line.push(b'\''),
                    _ => put(line, character.escape_debug()),
                }
            }
        }
        put(line, chunk.invalid().escape_ascii());
    }
    line.push(b'"');
}

/// Appends bytes as `hexdump -C` prints them, indented.
pub(crate) fn append_hex(bytes: &[u8], line: &mut Vec<u8>) {
    for (number, row) in bytes.chunks(16).enumerate() {
        put(line, format_args!("    {:08x} ", number * 16));
        for at in 0..16 {
            if at == 8 {
                line.push(b' ');
            }
            match row.get(at) {
                Some(byte) => put(line, format_args!(" {byte:02x}")),
                None => line.extend_from_slice(b"   "),
            }
        }
        line.extend_from_slice(b"  |");
        line.extend(row.iter().map(|&byte| if (b' '..=b'~').contains(&byte) { byte } else { b'.' }));
        line.extend_from_slice(b"|\n");
    }
}

/// Appends UTF-8 as in a JSON string (RFC 8259, section 7), with as few escapes as possible: those that `serde_json` writes.
/// Returns whether all of it is ASCII. Other bytes are appended as they are, so the caller may check afterwards whether they are
/// UTF-8.
pub(crate) fn append_escaped(text: &[u8], line: &mut Vec<u8>) -> bool {
    line.reserve(text.len() + 16);
    let (mut start, mut all) = (0, 0);
    let mut words = text.chunks_exact(8);
    let mut at = 0;
    for word in words.by_ref() {
        let word = u64::from_le_bytes(*word.first_chunk().expect("eight bytes"));
        all |= word;
        let mut escapes = escapes(word);
        while escapes != 0 {
            let position = at + escapes.trailing_zeros() as usize / 8;
            append_run(text, start..position, line);
            append_escape(text[position], line);
            start = position + 1;
            escapes &= escapes - 1;
        }
        at += 8;
    }
    for &byte in words.remainder() {
        all |= u64::from(byte);
        if byte < b' ' || byte == b'"' || byte == b'\\' {
            line.extend_from_slice(&text[start..at]);
            append_escape(byte, line);
            start = at + 1;
        }
        at += 1;
    }
    line.extend_from_slice(&text[start..]);
    all & HIGH == 0
}

/// The lowest bits of eight bytes, and their highest bits.
const LOW: u64 = u64::MAX / 255;
const HIGH: u64 = LOW << 7;

/// Returns the highest bits of those of eight bytes that have an escape in JSON.
const fn escapes(word: u64) -> u64 {
    const BUT_HIGH: u64 = !HIGH;
    // No sum exceeds its byte, because the highest bits are omitted, and added again.
    const fn at_least(word: u64, least: u8) -> u64 {
        (((word & BUT_HIGH) + LOW * (0x80 - least as u64)) | word) & HIGH
    }
    const fn differs(word: u64, byte: u8) -> u64 {
        at_least(word ^ (LOW * byte as u64), 1)
    }
    !(at_least(word, b' ') & differs(word, b'"') & differs(word, b'\\')) & HIGH
}

/// Appends a part of a text, which is short if the text has many escapes: copies of a fixed size take less time than others.
#[inline(always)]
fn append_run(text: &[u8], run: Range<usize>, line: &mut Vec<u8>) {
    const SHORT: usize = 16;
    match text[run.start..].first_chunk::<SHORT>() {
        Some(chunk) if run.len() <= SHORT => {
            let end = line.len() + run.len();
            line.extend_from_slice(chunk);
            line.truncate(end);
        }
        _ => line.extend_from_slice(&text[run]),
    }
}

#[inline(always)]
fn append_escape(byte: u8, line: &mut Vec<u8>) {
    let escape = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        _ => return put(line, format_args!("\\u{byte:04x}")),
    };
    line.extend_from_slice(&[b'\\', escape]);
}

/// Appends base64 with padding.
pub(crate) fn append_base64(bytes: &[u8], line: &mut Vec<u8>) {
    let start = line.len();
    line.resize(start + bytes.len().div_ceil(3) * 4, 0);
    STANDARD.encode_slice(bytes, &mut line[start..]).expect("the slice has the size of the text");
}

/// Appends a value by its `Display`.
pub(crate) fn put(line: &mut Vec<u8>, value: impl std::fmt::Display) {
    write!(line, "{value}").expect("a Vec can be written to");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_bytes_have_one_line_and_lose_nothing() {
        let quoted = |bytes| {
            let mut line = Vec::new();
            append_quoted(bytes, &mut line);
            String::from_utf8(line).unwrap()
        };
        assert_eq!(quoted(None), "null");
        assert_eq!(quoted(Some(b"")), "\"\"");
        assert_eq!(quoted(Some("it's Müller".as_bytes())), "\"it's Müller\"");
        assert_eq!(quoted(Some(b"a\"b\\c\n\x00\xff\x7f")), r#""a\"b\\c\n\0\xff\u{7f}""#);
    }

    #[test]
    fn json_is_escaped_as_by_serde_json() {
        let escaped = |text: &str| {
            let mut line = b"\"".to_vec();
            assert_eq!(append_escaped(text.as_bytes(), &mut line), text.is_ascii(), "{text:?}");
            line.push(b'"');
            String::from_utf8(line).unwrap()
        };
        // Each character at each position of a word, alone and twice, and among letters of several bytes.
        for character in ('\0'..='\u{ff}').chain(['\u{2028}', '\u{fffd}', '🦀']) {
            for before in 0..17 {
                for (filler, after) in [('a', 0), ('a', 9), ('ü', 3), ('!', 20), ('\u{7f}', 1)] {
                    let text: String = std::iter::repeat_n(filler, before)
                        .chain([character])
                        .chain(std::iter::repeat_n(filler, after))
                        .chain([character])
                        .collect();
                    assert_eq!(escaped(&text), serde_json::to_string(&text).unwrap());
                }
            }
        }
    }

    #[test]
    fn base64_has_padding() {
        let mut line = b"> ".to_vec();
        for bytes in [&b""[..], b"a", b"ab", b"abc", b"\xff\xfe?"] {
            append_base64(bytes, &mut line);
            line.push(b' ');
        }
        assert_eq!(String::from_utf8(line).unwrap(), ">  YQ== YWI= YWJj //4/ ");
    }

    #[test]
    fn hexadecimal_is_that_of_hexdump() {
        let mut line = Vec::new();
        append_hex(b"0123456789abcdefX\n", &mut line);
        let expected = "    00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  |0123456789abcdef|\n    \
                        00000010  58 0a                                             |X.|\n";
        assert_eq!(String::from_utf8(line).unwrap(), expected);
    }
}
