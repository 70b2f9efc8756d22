//! SaslHandshake, v0 and v1, and SaslAuthenticate, v0 to v2.

use bytes::Bytes;

use super::schema::message;

message! {
    /// A SaslHandshake request.
    pub struct SaslHandshakeRequest {
        /// The mechanism.
        mechanism: String = String::new(), 0..;
    }

    /// A SaslHandshake response.
    pub struct SaslHandshakeResponse {
        /// The error code, or 0.
        error_code: i16 = 0, 0..;
        /// The mechanisms that the broker has.
        mechanisms: Vec<String> = Vec::new(), 0..;
    }

    /// A SaslAuthenticate request.
    pub struct SaslAuthenticateRequest {
        /// The client's token.
        auth_bytes: Bytes = Bytes::new(), 0..;
    }

    /// A SaslAuthenticate response.
    pub struct SaslAuthenticateResponse {
        /// The error code, or 0.
        error_code: i16 = 0, 0..;
        /// The message of the error.
        error_message: Option<String> = None, 0..;
        /// The broker's token.
        auth_bytes: Bytes = Bytes::new(), 0..;
        /// The time after which the client must authenticate again (KIP-368), in milliseconds, or 0.
        session_lifetime_ms: i64 = 0, 1..;
    }
}
