//! Bytes as text.

use std::io::Write;

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
    fn hexadecimal_is_that_of_hexdump() {
        let mut line = Vec::new();
        append_hex(b"0123456789abcdefX\n", &mut line);
        let expected = "    00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  |0123456789abcdef|\n    \
                        00000010  58 0a                                             |X.|\n";
        assert_eq!(String::from_utf8(line).unwrap(), expected);
    }
}
