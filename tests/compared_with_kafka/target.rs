//! What requests are sent to.

use std::collections::BTreeMap;
use std::fmt::Debug;

/// An id that no topic has.
pub(crate) const UNKNOWN_ID: [u8; 16] = *b"no topic has it!";

/// A cluster, with what differs between clusters in the requests: the ids of its topics, of a producer, and its own.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) address: String,
    pub(crate) cluster_id: String,
    /// The producer id and epoch of [`crate::setup::TRANSACTIONAL_ID`].
    pub(crate) producer: (i64, i16),
    pub(crate) topic_ids: BTreeMap<String, [u8; 16]>,
}

impl Target {
    pub(crate) fn new(name: &'static str, address: String) -> Self {
        Self { name, address, cluster_id: String::new(), producer: (-1, -1), topic_ids: BTreeMap::new() }
    }

    /// Returns a target that does not exist.
    pub(crate) fn nowhere() -> Self {
        Self::new("nowhere", String::new())
    }

    /// Returns the id of a topic. (The crate of the oracle's id type is not named here.)
    pub(crate) fn id<T: TryFrom<Vec<u8>, Error: Debug>>(&self, topic: &str) -> T {
        id_of(self.topic_ids.get(topic).copied().unwrap_or([1; 16]))
    }
}

/// Returns an id in the oracle's type.
pub(crate) fn id_of<T: TryFrom<Vec<u8>, Error: Debug>>(id: [u8; 16]) -> T {
    id.to_vec().try_into().unwrap()
}
