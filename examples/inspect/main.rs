//! Shows the record batches in a file: a Kafka log segment, or the contents of the `records` field of a Fetch response.
//!
//! ```text
//! cargo run --example inspect -- /var/lib/kafka/orders-0/00000000000000000000.log
//! cargo run --example inspect -- --json segment.log
//! cargo run --example inspect -- --skip-damaged segment.log
//! ```

mod batches;
mod json;
mod table;

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use kafka_batch::decode::DEFAULT_MAX_DECOMPRESSED;

use batches::{Found, show_batches};

/// Shows the record batches in files, such as Kafka log segments.
///
/// Exit status: 0 if all batches are valid (an incomplete last batch is only reported), 1 if a batch is damaged, whether
/// or not it is skipped, 2 if a file cannot be read.
#[derive(Parser)]
struct Args {
    /// The files to read; - is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// Prints an array with an object for each batch, its records included, instead of a table
    #[arg(long)]
    json: bool,

    /// Reports damaged records and batches and continues after them, if the start of the next one is known. By default, the
    /// first damage ends a file
    #[arg(long)]
    skip_damaged: bool,

    /// The maximum decompressed size of a batch's records: a small file can expand to a very large size
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT_MAX_DECOMPRESSED)]
    max_decompressed: usize,
}

/// An output format. `file` is empty if the program has only one file to show.
trait Show {
    fn begin_file(&mut self, file: &str) -> io::Result<()>;
    fn batch(&mut self, file: &str, found: &Found<'_>) -> io::Result<()>;
    fn end_file(&mut self) -> io::Result<()>;
    fn end(&mut self) -> io::Result<()>;
}

fn main() -> ExitCode {
    let args = Args::parse();
    let out = io::BufWriter::new(io::stdout().lock());
    let shown = if args.json { inspect(&args, json::Array::new(out)) } else { inspect(&args, table::Table::new(out)) };
    match shown {
        Ok(status) => ExitCode::from(status),
        // The reader of the output, such as `head`, has closed it.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            report(&format!("error: standard output cannot be written: {error}"));
            ExitCode::from(2)
        }
    }
}

/// Shows all files, and returns the exit status: the highest of all files.
fn inspect(args: &Args, mut show: impl Show) -> io::Result<u8> {
    let mut worst = 0;
    for path in &args.files {
        let name = path.display().to_string();
        let status = match read(path) {
            Ok(bytes) => {
                let heading = if args.files.len() > 1 { name.as_str() } else { "" };
                show.begin_file(heading)?;
                let outcome = show_batches(&bytes, args, heading, &mut show)?;
                show.end_file()?;
                for damage in &outcome.damage {
                    report(&format!("error: {name} is damaged {damage}"));
                }
                if let Some(tail) = outcome.tail {
                    report(&format!("{name}: {tail}"));
                }
                u8::from(!outcome.damage.is_empty())
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

/// Writes a message to standard error, ignoring errors such as a closed pipe.
fn report(message: &str) {
    let _ = writeln!(io::stderr(), "{message}");
}
