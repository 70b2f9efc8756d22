//! FindCoordinator, v0 to v6.

use super::schema::message;

message! {
    /// A FindCoordinator request.
    pub struct FindCoordinatorRequest {
        /// The group or transactional id.
        key: String = String::new(), 0..=3;
        /// 0 for a group, 1 for a transactional id, 2 for a share group.
        key_type: i8 = 0, 1..;
        /// The groups or transactional ids.
        coordinator_keys: Vec<String> = Vec::new(), 4..;
    }

    /// A FindCoordinator response.
    pub struct FindCoordinatorResponse {
        /// The throttle time, in milliseconds.
        throttle_time_ms: i32 = 0, 1..;
        /// The error code, or 0.
        error_code: i16 = 0, 0..=3;
        /// What the error code means.
        error_message: Option<String> = None, 1..=3;
        /// The coordinator, or −1.
        node_id: i32 = -1, 0..=3;
        /// Its host.
        host: String = String::new(), 0..=3;
        /// Its port, or −1.
        port: i32 = -1, 0..=3;
        /// The coordinator of each key.
        coordinators: Vec<Coordinator> = Vec::new(), 4..;
    }

    /// The coordinator of a key.
    pub struct Coordinator {
        /// The key.
        key: String = String::new(), 4..;
        /// The coordinator, or −1.
        node_id: i32 = -1, 4..;
        /// Its host.
        host: String = String::new(), 4..;
        /// Its port, or −1.
        port: i32 = -1, 4..;
        /// The error code, or 0.
        error_code: i16 = 0, 4..;
        /// What the error code means.
        error_message: Option<String> = Some(String::new()), 4..;
    }
}
