//! One request on a connection of its own, and what follows it.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use bytes::Bytes;

use crate::fields::Field;
use crate::normalise::normalise;
use crate::table::{CORRELATION_ID, Expected, Row};
use crate::target::Target;

/// The time after which a test fails that would hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// The time for which nothing is sent where nothing is expected.
const SILENCE: Duration = Duration::from_secs(1);

/// ApiVersions v0 with the correlation id 8 and without a client id: its response shows that a connection is still served.
const PROBE: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 8, 0xff, 0xff];

/// What a target sends.
enum Next {
    /// The response to the request, without its length.
    Response(Bytes),
    /// The response to the probe.
    Probe,
    Closed,
    Nothing,
}

/// Sends the request of a row, and returns the response and what becomes of the connection.
pub(crate) fn exchange(target: &Target, row: &Row) -> Vec<Field> {
    let mut stream = TcpStream::connect(&target.address).unwrap_or_else(|error| panic!("{}: {error}", target.address));
    stream.set_nodelay(true).unwrap();
    let patience = if row.expected == Expected::Silence { SILENCE } else { PATIENCE };
    stream.set_read_timeout(Some(patience)).unwrap();
    let mut sent = (row.request)(target);
    if row.expected == Expected::NoResponse {
        sent.extend_from_slice(&PROBE);
    }
    // A target that has closed the connection is found out by the next call.
    let _ = stream.write_all(&sent);
    if row.expected == Expected::EndAfterEnd {
        stream.shutdown(Shutdown::Write).unwrap();
    }
    let mut fields = Vec::new();
    let mut next = next_of(&mut stream);
    if let Next::Response(frame) = next {
        match (row.decode)(frame.clone(), row.response_version) {
            Ok(decoded) => fields.extend(decoded),
            Err(error) => fields.push(Field::new("undecodable", format!("{error}: {frame:?}"))),
        }
        if row.expected != Expected::NoResponse {
            let _ = stream.write_all(&PROBE);
        }
        next = next_of(&mut stream);
    }
    let connection = match next {
        Next::Probe => "open",
        Next::Closed => "closed",
        Next::Nothing => "silent",
        Next::Response(_) => "a second response",
    };
    fields.push(Field::new("connection", connection));
    normalise(&mut fields, &row.api, target);
    fields
}

fn next_of(stream: &mut TcpStream) -> Next {
    match frame(stream) {
        Ok(frame) if frame.get(..4) == Some(&[0, 0, 0, 8]) => Next::Probe,
        Ok(frame) => Next::Response(frame),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Next::Nothing,
        // At its end, or reset because the target had closed it before it read everything.
        Err(_) => Next::Closed,
    }
}

/// Reads a frame, and returns it without its length.
pub(crate) fn frame(stream: &mut TcpStream) -> io::Result<Bytes> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut frame = vec![0; u32::from_be_bytes(length).min(1 << 28) as usize];
    stream.read_exact(&mut frame)?;
    Ok(frame.into())
}

#[test]
fn the_probe_has_another_correlation_id() {
    assert_ne!(PROBE[8..12], CORRELATION_ID.to_be_bytes());
}
