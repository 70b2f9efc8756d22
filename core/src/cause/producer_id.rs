//! Errors of InitProducerId.

use core::fmt;

use crate::protocol::BrokerError;

/// Why a response to InitProducerId has no usable producer id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProducerIdError {
    /// The broker reported success, with a negative id or epoch.
    #[error("the broker answered InitProducerId with producer id {id} and epoch {epoch}, which no producer can have")]
    Invalid {
        /// The id.
        id: i64,
        /// The epoch.
        epoch: i16,
    },
    /// The broker assigned an id and epoch that this producer had before: under them its sequence numbers are used up.
    #[error("the broker answered InitProducerId with producer id {id} and epoch {epoch} again, {}", After(refusal.as_ref()))]
    Repeated {
        /// The id.
        id: i64,
        /// The epoch.
        epoch: i16,
        /// The last refusal of this producer's id by a broker, if there was one.
        refusal: Option<BrokerError>,
    },
}

/// Displays why another id was requested.
struct After<'a>(Option<&'a BrokerError>);

impl fmt::Display for After<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(refusal) => write!(f, "after {refusal}"),
            None => f.write_str("under which this producer has sent batches before"),
        }
    }
}
