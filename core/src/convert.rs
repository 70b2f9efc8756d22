//! Converts a batch to an older record format, for a broker that does not support the format in which it was filled.
//!
//! A batch is filled as magic 2 unless another format is chosen ([`MagicChoice`](crate::MagicChoice)). Brokers before Kafka
//! 0.11 require magic 0 or 1, which have no headers, and magic 0 no timestamps. The transports convert a batch when they
//! send it; [`DownConversion`] is the setting that says which losses are allowed, and by default only timestamps may be lost (magic 0 has none).
//!
//! | to … | see |
//! |---|---|
//! | list what a format would lose | [`KafkaBatch::losses_at`](crate::KafkaBatch::losses_at), [`Loss`] |
//! | convert a batch | [`KafkaBatch::convert`](crate::KafkaBatch::convert), [`ConvertError`] |
//! | handle a batch that a transport did not convert | [`LossyConversion`], which has the list of losses |
//!
//! # Examples
//!
//! ```
//! use kafka_batch_core::convert::Loss;
//! use kafka_batch_core::{Header, KafkaBatch, Magic, Record, Timestamp};
//!
//! let mut batch = KafkaBatch::new(Timestamp::from_millis(0));
//! let headers = [Header::new("unit", "°C")];
//! batch.extend([Record::new("21.5").headers(&headers)])?;
//! let losses: Vec<_> = batch.losses_at(Magic::V1).collect();
//! assert_eq!(losses, [Loss::Headers { position: 0, count: 1 }]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub use crate::batch::convert::{ConvertError, DownConversion, Loss, LossyConversion};
