//! One run of the program: all files, one after the other.

mod capture;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use serde::Serialize;

use crate::args::Args;
use crate::check::Check;
use crate::filter::Filter;
use crate::scan::{End, Options, scan};
use crate::show::{Out, Show, json};
use crate::statistics::Statistics;
use crate::window::Window;
use crate::{index, report, segment, show};

/// How often a file that is followed is examined.
const INTERVAL: Duration = Duration::from_millis(100);

/// The state of a run, and where it is printed.
pub(crate) struct Session<'a> {
    args: &'a Args,
    filter: Filter,
    show: Box<dyn Show>,
    out: Out,
    /// The exit status: the highest of all files.
    worst: u8,
    /// The state of the checks; a segment continues that of the one before it in its directory.
    check: Check,
}

/// What a file has so far.
struct Sums {
    statistics: Statistics,
    /// Damage, and what `--check` has found.
    problems: u64,
}

/// What `--check` has counted in a file, as JSON.
#[derive(Serialize)]
struct Checked<'a> {
    file: &'a str,
    check: Counts,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Counts {
    Segment { batches: u64, records: u64, bytes: u64, problems: u64 },
    Index { entries: u64, problems: u64 },
}

/// An error of reading a file, apart from those of writing the output, which end the run.
struct ReadError(io::Error);

impl<'a> Session<'a> {
    pub(crate) fn new(args: &'a Args) -> Self {
        let out = Out::new();
        Self { args, filter: Filter::new(args), show: show::format(args), out, worst: 0, check: Check::default() }
    }

    /// Shows all files, and returns the exit status.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub(crate) fn run(mut self) -> io::Result<u8> {
        let names_files = self.args.files.len() > 1 || self.args.files.iter().any(|path| path.is_dir());
        let args = self.args;
        for path in &args.files {
            self.check = Check::default();
            if path.is_dir() {
                self.directory(path)?;
            } else {
                self.file(path, names_files)?;
            }
        }
        self.out.flush()?;
        Ok(self.worst)
    }

    /// Shows the segments in a directory, in their order.
    fn directory(&mut self, path: &Path) -> io::Result<()> {
        match segment::segments(path) {
            Ok(segments) if segments.is_empty() => {
                self.cannot_read(path, &"the directory contains no segments, such as 00000000000000000000.log")
            }
            Ok(segments) => {
                // Those that appear later are found when the last one is followed.
                let followed = segments.len() - usize::from(self.args.follow);
                for segment in &segments[..followed] {
                    self.segment(segment, true, false)?;
                }
                match segments.get(followed) {
                    Some(last) => self.segment(last, true, true),
                    None => Ok(()),
                }
            }
            Err(error) => self.cannot_read(path, &error),
        }
    }

    fn file(&mut self, path: &Path, names_files: bool) -> io::Result<()> {
        let name = path.display().to_string();
        let heading = if names_files { name.as_str() } else { "" };
        if let Some(version) = self.args.fetch {
            return self.capture(path, heading, version);
        }
        match index::Kind::of(path) {
            Some(kind) => self.index(path, kind, heading),
            None => self.segment(path, names_files, self.args.follow),
        }
    }

    fn cannot_read(&mut self, path: &Path, error: &dyn std::fmt::Display) -> io::Result<()> {
        self.worst = self.worst.max(2);
        self.out.flush()?;
        report(&format!("error: {} cannot be read: {error}", path.display()));
        Ok(())
    }

    fn index(&mut self, path: &Path, kind: index::Kind, heading: &str) -> io::Result<()> {
        let name = path.display();
        if self.args.check {
            let mut problems = 0_u64;
            let checked = index::check(path, kind, self.args.max_bytes, &mut |problem| {
                problems += 1;
                report(&format!("error: {name}: {problem}"));
            });
            return match checked {
                Ok(entries) => {
                    self.worst = self.worst.max(u8::from(problems > 0));
                    if self.args.json {
                        let (file, check) = (name.to_string(), Counts::Index { entries, problems });
                        return json::line(&Checked { file: &file, check }, &mut self.out);
                    }
                    writeln!(self.out, "{name}: {entries} entries, {}", counted(problems))
                }
                Err(error) => self.cannot_read(path, &error),
            };
        }
        match index::show(path, kind, heading, self.args.json, &mut self.out) {
            Ok(false) => Ok(()),
            Ok(true) => {
                self.worst = self.worst.max(1);
                self.out.flush()?;
                report(&format!("error: {name} ends within an entry"));
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(error),
            Err(error) => self.cannot_read(path, &error),
        }
    }

    /// Shows a segment, or what standard input has.
    fn segment(&mut self, path: &Path, names_files: bool, follow: bool) -> io::Result<()> {
        let mut path = path.to_path_buf();
        loop {
            let name = path.display().to_string();
            let heading = if names_files { name.as_str() } else { "" };
            let input: Box<dyn Read> = if path == Path::new("-") {
                if follow {
                    return self.cannot_read(&path, &"--follow needs the name of a file");
                }
                Box::new(io::stdin().lock())
            } else {
                match File::open(&path) {
                    Ok(file) => Box::new(file),
                    Err(error) => return self.cannot_read(&path, &error),
                }
            };
            let base = segment::base_offset(&path);
            self.show.begin_file(heading, &mut self.out)?;
            let mut sums = Sums::new(self.args);
            let mut window = Window::new(input);
            let end = loop {
                let end = match self.read(&mut window, &name, heading, base, &mut sums)? {
                    Ok(end) => end,
                    Err(ReadError(error)) => break Err(error),
                };
                if !follow || matches!(end, End::Damaged(_)) {
                    break Ok((end, None));
                }
                self.out.flush()?;
                match grown(&path, window.position() + window.unread().len() as u64) {
                    Ok(Grown::Same) => thread::sleep(INTERVAL),
                    Ok(Grown::Longer) => {}
                    Ok(Grown::Followed(next)) => break Ok((end, Some(next))),
                    Err(error) => break Err(error),
                }
            };
            let next = match end {
                Ok((end, next)) => {
                    self.end_file(Some(&path), &name, heading, &sums, &end)?;
                    next
                }
                Err(error) => {
                    self.show.end_file(&sums.statistics, &mut self.out)?;
                    return self.cannot_read(&path, &error);
                }
            };
            match next {
                Some(next) => path = next,
                None => return Ok(()),
            }
        }
    }

    /// Shows the batches up to the end of the input. The outer error is one of standard output.
    fn read<R: Read>(
        &mut self,
        window: &mut Window<R>,
        name: &str,
        heading: &str,
        base: Option<i64>,
        sums: &mut Sums,
    ) -> io::Result<Result<End, ReadError>> {
        let Self { args, filter, show, out, check, worst } = self;
        let options = Options {
            filter,
            skips_damaged: args.skips_damaged(),
            shows_records: args.shows_records(),
            is_followed: args.follow,
            max_decompressed: args.max_decompressed,
            max_bytes: args.max_bytes,
        };
        let mut written = Ok(());
        let scanned = scan(window, &options, &mut |found| {
            sums.statistics.add(found);
            written = show.batch(heading, found, filter, out);
            if args.check {
                for problem in check.batch(found, base) {
                    sums.problems += 1;
                    report(&format!("error: {name}: in the batch at byte {}: {problem}", found.position.start));
                }
            }
            for damage in found.damage {
                *worst = (*worst).max(1);
                sums.problems += 1;
                report(&format!("error: {name} is damaged {damage}"));
            }
            match &written {
                Ok(()) => Ok(()),
                // Ends the scan; the error itself is returned below.
                Err(error) => Err(io::Error::from(error.kind())),
            }
        });
        if sums.problems > 0 {
            *worst = (*worst).max(1);
        }
        written?;
        Ok(scanned.map_err(ReadError))
    }

    /// Shows what is known at the end of a segment, or of records that are in no file: those have no `path`.
    fn end_file(&mut self, path: Option<&Path>, name: &str, heading: &str, sums: &Sums, end: &End) -> io::Result<()> {
        self.show.end_file(&sums.statistics, &mut self.out)?;
        // A broker writes to the last segment only.
        let is_followed = || path.is_some_and(|path| segment::after(path).is_ok_and(|following| following.is_some()));
        let is_cut = matches!(end, End::Complete(Some(_))) && is_followed();
        if self.args.stats {
            self.statistics(heading, &sums.statistics)?;
        }
        if self.args.check {
            let Statistics { batches, records, bytes, .. } = sums.statistics;
            let problems = sums.problems + u64::from(is_cut);
            if self.args.json {
                let check = Counts::Segment { batches, records, bytes, problems };
                json::line(&Checked { file: name, check }, &mut self.out)?;
            } else {
                let problems = counted(problems);
                writeln!(self.out, "{name}: {batches} batches, {records} records, {bytes} bytes, {problems}")?;
            }
        }
        // Errors of this file are written to standard error next; its output should precede them.
        self.out.flush()?;
        match end {
            End::Complete(None) => {}
            End::Complete(Some(tail)) if is_cut => {
                self.worst = self.worst.max(1);
                report(&format!("error: {name}: {tail}, and another segment follows"));
            }
            End::Complete(Some(tail)) => report(&format!("{name}: {tail}")),
            End::Damaged(damage) => {
                self.worst = self.worst.max(1);
                report(&format!("error: {name} is damaged {damage}"));
            }
        }
        Ok(())
    }

    fn statistics(&mut self, heading: &str, statistics: &Statistics) -> io::Result<()> {
        #[derive(Serialize)]
        struct Line<'a> {
            #[serde(skip_serializing_if = "str::is_empty")]
            file: &'a str,
            statistics: &'a Statistics,
        }

        if self.args.json {
            return json::line(&Line { file: heading, statistics }, &mut self.out);
        }
        if !heading.is_empty() {
            writeln!(self.out, "{heading}:")?;
        }
        write!(self.out, "{statistics}")
    }
}

fn counted(problems: u64) -> String {
    match problems {
        0 => "no problems".into(),
        1 => "1 problem".into(),
        problems => format!("{problems} problems"),
    }
}

impl Sums {
    fn new(args: &Args) -> Self {
        let is_filtered = Filter::new(args).examines_records() || args.producer_id.is_some();
        Self { statistics: Statistics::new(is_filtered), problems: 0 }
    }
}

/// What has happened to a file that is followed.
enum Grown {
    Same,
    Longer,
    /// Its end was reached, and this segment follows.
    Followed(PathBuf),
}

/// Compares a file with what was read of it.
fn grown(path: &Path, read: u64) -> io::Result<Grown> {
    // In this order: what was appended to the file before the next segment appeared is seen.
    let next = segment::after(path)?;
    let length = path.metadata()?.len();
    if length < read {
        let text =
            format!("it was truncated to {length} bytes, and {read} were read: followers do that when leaders change");
        return Err(io::Error::other(text));
    }
    Ok(match next {
        _ if length > read => Grown::Longer,
        Some(next) => Grown::Followed(next),
        None => Grown::Same,
    })
}
