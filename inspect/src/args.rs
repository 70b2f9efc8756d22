//! The command line.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::{ArgGroup, Parser};
use kafka_batch_core::decode::DEFAULT_MAX_DECOMPRESSED;

use crate::time;

/// Shows and checks what is in Kafka's files: log segments (.log), their indexes (.index, .timeindex, .txnindex), and
/// Fetch responses.
///
/// Exit status: 0 if everything is valid (an incomplete batch at the end of the last segment is only reported), 1 if something is damaged,
/// whether or not it is skipped, or --check finds a problem, 2 if a file cannot be read or an argument is wrong.
#[derive(Debug, Parser)]
#[command(name = "kafka-batch-inspect", version)]
#[command(group = ArgGroup::new("filters").multiple(true))]
pub(crate) struct Args {
    /// The files to read. - is standard input; a directory stands for the segments in it, in their order
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,

    /// Prints a line for each record in place of one for each batch
    #[arg(long)]
    pub(crate) records: bool,

    /// Prints JSON lines: an object for each batch, its records included, or with --records one for each record. Bytes are
    /// base64
    #[arg(long)]
    pub(crate) json: bool,

    /// Prints keys, values and headers as text. In JSON it replaces base64; what is not UTF-8 becomes U+FFFD
    #[arg(long)]
    pub(crate) text: bool,

    /// Prints keys, values and header values in hexadecimal
    #[arg(long, conflicts_with_all = ["json", "text"])]
    pub(crate) hex: bool,

    /// Prints statistics of each file, in place of its batches unless another option asks for them
    #[arg(long)]
    pub(crate) stats: bool,

    /// Checks checksums, offsets, sequence numbers and timestamps, and indexes against the segment beside them. Prints the
    /// problems, and continues after damage
    #[arg(long, conflicts_with = "filters")]
    pub(crate) check: bool,

    /// Waits for what is appended to a segment, and for the segment after it
    #[arg(long, conflicts_with_all = ["stats", "fetch"])]
    pub(crate) follow: bool,

    /// Reads Fetch responses in this version of the API (0 to 18), as the broker sent them: the raw bytes of its half of a
    /// connection, or of one response
    #[arg(long, value_name = "VERSION", value_parser = clap::value_parser!(i16).range(0..=18))]
    pub(crate) fetch: Option<i16>,

    /// Shows the records with this key only
    #[arg(long, group = "filters", value_name = "TEXT")]
    pub(crate) key: Option<String>,

    /// Shows the records with this header only, and with this value if there is one. Several headers must all be there
    #[arg(long, group = "filters", value_name = "NAME[=VALUE]")]
    pub(crate) header: Vec<String>,

    /// Shows the records from this time on only: 2026-11-29, 2026-11-29T12:00:00.000Z (UTC), or milliseconds since 1970
    #[arg(long, group = "filters", value_name = "TIME", value_parser = time::parse, allow_hyphen_values = true)]
    pub(crate) from: Option<i64>,

    /// Shows the records before this time only
    #[arg(long, group = "filters", value_name = "TIME", value_parser = time::parse, allow_hyphen_values = true)]
    pub(crate) until: Option<i64>,

    /// Shows the records with these offsets only: FIRST..LAST, FIRST.. or one offset
    #[arg(long, group = "filters", value_name = "OFFSETS", value_parser = offsets)]
    pub(crate) offsets: Option<RangeInclusive<i64>>,

    /// Shows the batches of this producer id only
    #[arg(long, group = "filters", value_name = "ID", allow_hyphen_values = true)]
    pub(crate) producer_id: Option<i64>,

    /// Reports damaged records and batches and continues after them, if the start of the next one is known. By default, the
    /// first damage ends a file
    #[arg(long)]
    pub(crate) skip_damaged: bool,

    /// The maximum decompressed size of a batch's records: a small file can expand to a very large size
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT_MAX_DECOMPRESSED)]
    pub(crate) max_decompressed: usize,

    /// The maximum size of a batch, or of a Fetch response: a damaged length can claim gigabytes. Larger batches are damage
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT_MAX_DECOMPRESSED)]
    pub(crate) max_bytes: usize,
}

/// What is printed of batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Batches,
    Records,
    Hex,
    Json,
    JsonRecords,
    Nothing,
}

impl Args {
    /// Returns `true` if the format has the records of a batch.
    pub(crate) const fn shows_records(&self) -> bool {
        matches!(self.format(), Format::JsonRecords | Format::Json | Format::Hex | Format::Records)
    }

    pub(crate) const fn format(&self) -> Format {
        match (self.json, self.records, self.hex) {
            (true, true, _) => Format::JsonRecords,
            // With --stats, JSON is the format of the statistics.
            (true, false, _) if self.stats || self.check => Format::Nothing,
            (true, false, _) => Format::Json,
            (false, _, true) => Format::Hex,
            (false, true, false) => Format::Records,
            (false, false, false) if self.stats || self.check => Format::Nothing,
            (false, false, false) => Format::Batches,
        }
    }

    /// Returns whether reading continues after damage.
    pub(crate) const fn skips_damaged(&self) -> bool {
        self.skip_damaged || self.check
    }
}

fn offsets(text: &str) -> Result<RangeInclusive<i64>, String> {
    let number = |text: &str| {
        let number = text.parse::<i64>().ok().filter(|&number| number >= 0);
        number.ok_or_else(|| format!("{text:?} is no offset: write FIRST..LAST, FIRST.. or one offset"))
    };
    let (first, last) = match text.split_once("..") {
        None => (number(text)?, number(text)?),
        Some((first, "")) => (number(first)?, i64::MAX),
        Some((first, last)) => (number(first)?, number(last)?),
    };
    if first > last {
        return Err(format!("{first} is after {last}"));
    }
    Ok(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_a_range_its_start_or_one() {
        assert_eq!(offsets("3..5"), Ok(3..=5));
        assert_eq!(offsets("3.."), Ok(3..=i64::MAX));
        assert_eq!(offsets("3"), Ok(3..=3));
        for wrong in ["", "..", "..4", "5..3", "-1", "a", "1..b"] {
            assert!(offsets(wrong).is_err(), "{wrong}");
        }
    }
}
