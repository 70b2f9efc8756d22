//! Bytes as text.

use std::io::Write;

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
    line.reserve(text.len() + 3 * WORD);
    let (mut rest, mut all) = (text, 0);
    while let Some((part, after)) = rest.split_first_chunk::<PART>() {
        let words = part.chunks_exact(WORD).map(word_of);
        all |= words.clone().fold(0, |all, word| all | word);
        if has_escapes(part) {
            words.for_each(|word| append_word(word, WORD, line));
        } else {
            line.extend_from_slice(part);
        }
        rest = after;
    }
    if rest.is_empty() {
        return all & HIGH == 0;
    }
    // The last bytes are examined together with some before them, and are then written together with these once more.
    if let Some(part) = text.last_chunk::<PART>().filter(|part| !has_escapes(part)) {
        all |= part.chunks_exact(WORD).fold(0, |all, word| all | word_of(word));
        line.truncate(line.len() + rest.len() - PART);
        line.extend_from_slice(part);
        return all & HIGH == 0;
    }
    while let Some((word, after)) = rest.split_first_chunk::<WORD>() {
        let word = word_of(word);
        all |= word;
        append_word(word, WORD, line);
        rest = after;
    }
    if !rest.is_empty() {
        let word = last_word(text, rest.len());
        all |= word;
        append_word(word, rest.len(), line);
    }
    all & HIGH == 0
}

#[inline(always)]
fn word_of(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(*bytes.first_chunk().expect("a word"))
}

/// The size in bytes of the parts that are examined at once.
const PART: usize = 32;

/// The size in bytes of the parts that are appended at once if there is an escape nearby.
const WORD: usize = 8;

/// Returns `true` if one of these bytes has an escape in JSON. It has no branches, so that the compiler uses wide registers.
#[inline(always)]
fn has_escapes(part: &[u8; PART]) -> bool {
    part.iter().fold(0, |any, &byte| any | u8::from(byte < b' ') | u8::from(byte == b'"') | u8::from(byte == b'\\'))
        != 0
}

/// Returns the last bytes of a text, the first one lowest, and above them spaces. `length` is from 1 to 7.
#[inline(always)]
fn last_word(text: &[u8], length: usize) -> u64 {
    let word = match text.last_chunk() {
        Some(last) => u64::from_le_bytes(*last) >> (64 - 8 * length),
        None => text.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)),
    };
    word | SPACES << (8 * length)
}

/// The lowest bits of eight bytes, their highest bits, and eight spaces.
const LOW: u64 = u64::MAX / 255;
const HIGH: u64 = LOW << 7;
const SPACES: u64 = LOW * b' ' as u64;

/// Returns the highest bits of those of eight bytes that have an escape in JSON.
const fn escapes(word: u64) -> u64 {
    const fn differs(word: u64, byte: u8) -> u64 {
        at_least(word ^ (LOW * byte as u64), 1)
    }
    controls(word) | !(differs(word, b'"') & differs(word, b'\\')) & HIGH
}

/// Returns the highest bits of those of eight bytes that are control characters.
const fn controls(word: u64) -> u64 {
    !at_least(word, b' ') & HIGH
}

/// Returns the highest bits of those of eight bytes that are not less than this one, which is at most 128.
const fn at_least(word: u64, least: u8) -> u64 {
    // No sum exceeds its byte, because the highest bits are omitted, and added again.
    (((word & !HIGH) + LOW * (0x80 - least as u64)) | word) & HIGH
}

/// Appends the lowest `length` bytes of a word, the lowest first.
#[inline(always)]
fn append_word(word: u64, length: usize, line: &mut Vec<u8>) {
    let mut escapes = escapes(word);
    let end = line.len() + length;
    if escapes == 0 {
        line.extend_from_slice(&word.to_le_bytes());
        line.truncate(end);
    } else if controls(word) == 0 {
        line.extend_from_slice(&[0; 3 * WORD]);
        let out: &mut [u8; 3 * WORD] = line.last_chunk_mut().expect("they were appended");
        let mut put = |at: usize, word: u64| {
            // At most 15: the mask lets the compiler see that.
            let at = at & (2 * WORD - 1);
            out[at..at + WORD].copy_from_slice(&word.to_le_bytes());
        };
        put(0, word);
        // For each escape, all that follows is written again, one byte later.
        let mut before = 0;
        while escapes != 0 {
            let position = escapes.trailing_zeros() as usize / 8;
            put(position + before, b'\\'.into());
            put(position + before + 1, word >> (8 * position));
            before += 1;
            escapes &= escapes - 1;
        }
        line.truncate(end + before);
    } else {
        for &byte in &word.to_le_bytes()[..length] {
            if byte < b' ' || byte == b'"' || byte == b'\\' {
                append_escape(byte, line);
            } else {
                line.push(byte);
            }
        }
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
            for before in (0..18).chain(30..42) {
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
    fn texts_of_any_length_and_density_of_escapes_are_escaped_as_by_serde_json() {
        let mut state = 1_u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize % below
        };
        for _ in 0..20_000 {
            let (length, rare) = (random(80), 1 + random(9));
            let text: String = (0..length)
                .map(|_| if random(rare) == 0 { ['"', '\\', '\n', '\u{1}', 'ß'][random(5)] } else { 'x' })
                .collect();
            let mut line = b"\"".to_vec();
            append_escaped(text.as_bytes(), &mut line);
            line.push(b'"');
            assert_eq!(String::from_utf8(line).unwrap(), serde_json::to_string(&text).unwrap());
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
