//! The table of requests.

use std::fmt::Debug;

use bytes::Bytes;
use kafka_batch_witnesses::kafka_protocol::messages::{RequestHeader, ResponseHeader};
use kafka_batch_witnesses::kafka_protocol::protocol::{
    Decodable as _, Encodable as _, HeaderVersion as _, Request, StrBytes,
};

use crate::fields::Field;
use crate::normalise;
use crate::target::Target;

/// The correlation id of a row's request.
pub(crate) const CORRELATION_ID: i32 = 7;

/// What follows a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// A response, or the end of the connection.
    Response,
    /// No response, but the next request is executed.
    NoResponse,
    /// Nothing at all: the connection is not closed either.
    Silence,
    /// The end of the connection, after the client has ended its side of it.
    EndAfterEnd,
}

/// A field that differs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Difference {
    /// The name of the field, or of a structure; `*` if everything differs.
    pub(crate) field: &'static str,
    pub(crate) reason: &'static str,
}

/// Returns the bytes of a request, with the ids of a target's topics.
type Encode = Box<dyn Fn(&Target) -> Vec<u8>>;

/// Decodes the body of a response, after its header.
type Decode = fn(Bytes, i16) -> Result<Vec<Field>, String>;

/// A request, and what is expected of the responses.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) api: String,
    pub(crate) version: i16,
    /// Returns the bytes of the request, with the ids of a target's topics.
    pub(crate) request: Encode,
    pub(crate) decode: Decode,
    /// The version in which the response is decoded.
    pub(crate) response_version: i16,
    pub(crate) expected: Expected,
    pub(crate) differences: Vec<Difference>,
}

impl Row {
    /// Expects that there is no response.
    pub(crate) fn no_response(&mut self) -> &mut Self {
        self.expected = Expected::NoResponse;
        self
    }

    /// Expects that nothing happens.
    pub(crate) fn silence(&mut self) -> &mut Self {
        self.expected = Expected::Silence;
        self
    }

    /// Lets the client end its side of the connection after the request.
    pub(crate) fn end_after_end(&mut self) -> &mut Self {
        self.expected = Expected::EndAfterEnd;
        self
    }

    /// Expects a response of this version.
    pub(crate) fn responds_in(&mut self, version: i16) -> &mut Self {
        self.response_version = version;
        self
    }

    /// Expects that a field, or everything in a structure of this name, differs.
    pub(crate) fn differs(&mut self, field: &'static str, reason: &'static str) -> &mut Self {
        self.differences.push(Difference { field, reason });
        self
    }
}

/// The table.
#[derive(Default)]
pub(crate) struct Table {
    pub(crate) rows: Vec<Row>,
    /// The number of partitions in use of the topic [`crate::setup::PLAIN`].
    pub(crate) partitions: i32,
}

impl Table {
    /// Returns a partition that no other row uses.
    pub(crate) fn partition(&mut self) -> i32 {
        self.partitions += 1;
        self.partitions - 1
    }

    /// Adds a request of the oracle.
    pub(crate) fn ask<R: Asked>(&mut self, name: impl Into<String>, version: i16, body: R) -> &mut Row {
        self.raw_with::<R>(name, version, move |_| framed::<R>(version, &encoded(&body, version)))
    }

    /// Adds a request of the oracle with ids.
    pub(crate) fn ask_with<R: Asked>(
        &mut self,
        name: impl Into<String>,
        version: i16,
        body: impl Fn(&Target) -> R + 'static,
    ) -> &mut Row {
        self.raw_with::<R>(name, version, move |target| framed::<R>(version, &encoded(&body(target), version)))
    }

    /// Adds a request whose body was written by hand.
    pub(crate) fn by_hand<R: Asked>(
        &mut self,
        name: impl Into<String>,
        version: i16,
        body: impl Into<Vec<u8>>,
    ) -> &mut Row {
        self.raw::<R>(name, version, framed::<R>(version, &body.into()))
    }

    /// Adds a request all of whose bytes were written by hand.
    pub(crate) fn raw<R: Asked>(&mut self, name: impl Into<String>, version: i16, bytes: Vec<u8>) -> &mut Row {
        self.raw_with::<R>(name, version, move |_| bytes.clone())
    }

    pub(crate) fn raw_with<R: Asked>(
        &mut self,
        name: impl Into<String>,
        version: i16,
        request: impl Fn(&Target) -> Vec<u8> + 'static,
    ) -> &mut Row {
        let api = std::any::type_name::<R>().rsplit("::").next().unwrap_or_default();
        self.rows.push(Row {
            name: name.into(),
            api: api.trim_end_matches("Request").to_owned(),
            version,
            request: Box::new(request),
            decode: decoded::<R>,
            response_version: version,
            expected: Expected::Response,
            differences: Vec::new(),
        });
        self.rows.last_mut().expect("a row was pushed")
    }
}

/// A request of the oracle whose responses can be shown.
pub(crate) trait Asked: Request<Response: Debug + 'static> + 'static {}

impl<R: Request<Response: Debug + 'static> + 'static> Asked for R {}

/// Encodes a body with the oracle.
pub(crate) fn encoded<R: Request>(body: &R, version: i16) -> Vec<u8> {
    let mut bytes = Vec::new();
    body.encode(&mut bytes, version)
        .unwrap_or_else(|error| panic!("{} v{version}: {error}", std::any::type_name::<R>()));
    bytes
}

/// Returns the frame of a request with this body.
pub(crate) fn framed<R: Request>(version: i16, body: &[u8]) -> Vec<u8> {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(CORRELATION_ID)
        .with_client_id(Some(StrBytes::from_static_str("compared")));
    let mut message = Vec::new();
    header.encode(&mut message, R::header_version(version)).expect("a header");
    message.extend_from_slice(body);
    with_length(&message)
}

/// Returns a frame with these bytes.
pub(crate) fn with_length(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u32).to_be_bytes()[..], message].concat()
}

/// Decodes a response, from its header on.
fn decoded<R: Asked>(mut frame: Bytes, version: i16) -> Result<Vec<Field>, String> {
    let header = ResponseHeader::decode(&mut frame, R::Response::header_version(version));
    let header = header.map_err(|error| error.to_string())?;
    let mut response = R::Response::decode(&mut frame, version).map_err(|error| error.to_string())?;
    if !frame.is_empty() {
        return Err(format!("{} bytes are left after {response:?}", frame.len()));
    }
    let mut fields = vec![Field::new("correlation_id", header.correlation_id.to_string())];
    fields.extend(normalise::fields_of(&mut response));
    Ok(fields)
}
