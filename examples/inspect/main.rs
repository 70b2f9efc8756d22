//! Shows the record batches in a file. A Kafka log segment is such a file, and so is what stands in the `records` field
//! of a Fetch response.
//!
//! ```text
//! cargo run --example inspect -- /var/lib/kafka/orders-0/00000000000000000000.log
//! cargo run --example inspect -- --json segment.log
//! ```

mod json;
mod table;

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use kafka_batch::{DEFAULT_MAX_DECOMPRESSED, DecodeError, RecordBatch, RecordBatches, RecordView, Records};

/// Shows the record batches in files, such as Kafka log segments.
///
/// Exit status: 0 if all batches are sound (a last batch that is cut off is only reported), 1 if a batch is damaged,
/// 2 if a file cannot be read.
#[derive(Parser)]
struct Args {
    /// The files to look into; - is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// Prints an array with an object for each batch, its records included, instead of a table
    #[arg(long)]
    json: bool,

    /// The most bytes that one batch's records may take once decompressed: a small file can claim a great many
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT_MAX_DECOMPRESSED)]
    max_decompressed: usize,
}

/// How one batch after another is shown. `file` is empty where only one was asked for.
trait Show {
    fn begin_file(&mut self, file: &str) -> io::Result<()>;
    fn batch(&mut self, file: &str, batch: &RecordBatch<'_>, records: &[RecordView<'_>]) -> io::Result<()>;
    fn end_file(&mut self) -> io::Result<()>;
    fn end(&mut self) -> io::Result<()>;
}

fn main() -> ExitCode {
    let args = Args::parse();
    let out = io::BufWriter::new(io::stdout().lock());
    let shown = if args.json { inspect(&args, json::Array::new(out)) } else { inspect(&args, table::Table::new(out)) };
    match shown {
        Ok(status) => ExitCode::from(status),
        // The program that reads our output (`head`, say) has closed it.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            report(&format!("error: standard output cannot be written: {error}"));
            ExitCode::from(2)
        }
    }
}

/// Shows all the files, and answers with the exit status: that of the worst of them.
fn inspect(args: &Args, mut show: impl Show) -> io::Result<u8> {
    let mut worst = 0;
    for path in &args.files {
        let name = path.display().to_string();
        let status = match read(path) {
            Ok(bytes) => {
                let heading = if args.files.len() > 1 { name.as_str() } else { "" };
                show.begin_file(heading)?;
                let outcome = show_batches(&bytes, args.max_decompressed, heading, &mut show)?;
                show.end_file()?;
                match outcome {
                    Ok(None) => 0,
                    Ok(Some(tail)) => {
                        report(&format!("{name}: {tail}"));
                        0
                    }
                    Err(damage) => {
                        report(&format!("error: {name} is damaged {damage}"));
                        1
                    }
                }
            }
            Err(error) => {
                report(&format!("error: {name} cannot be read: {error}"));
                2
            }
        };
        worst = worst.max(status);
    }
    show.end()?;
    Ok(worst)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes)?;
        return Ok(bytes);
    }
    fs::read(path)
}

/// What was left at the end of a sound file, or what is wrong with a damaged one.
type Outcome = Result<Option<kafka_batch::IncompleteTail>, DecodeError>;

/// Shows the sound batches, up to the first that is not.
fn show_batches(bytes: &[u8], max_decompressed: usize, file: &str, show: &mut impl Show) -> io::Result<Outcome> {
    let mut batches = RecordBatches::new(bytes);
    for batch in &mut batches {
        // Three things can be wrong, each found no earlier than it has to be: the header or the checksum, then the
        // compressed bytes, then a record. A batch is shown once all of it is known to be sound.
        let batch = match batch {
            Ok(batch) => batch,
            Err(damage) => return Ok(Err(damage)),
        };
        let records = match batch.records(max_decompressed) {
            Ok(records) => records,
            Err(damage) => return Ok(Err(damage)),
        };
        match views(&records) {
            Ok(views) => show.batch(file, &batch, &views)?,
            Err(damage) => return Ok(Err(damage)),
        }
    }
    Ok(Ok(batches.tail()))
}

/// Views of the records: nothing of their keys and values is copied.
fn views<'r>(records: &'r Records<'_>) -> Result<Vec<RecordView<'r>>, DecodeError> {
    records.iter().collect()
}

/// Says something on standard error; that nobody listens there is no reason to stop.
fn report(message: &str) {
    let _ = writeln!(io::stderr(), "{message}");
}
