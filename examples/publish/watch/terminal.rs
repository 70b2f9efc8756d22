//! Where pictures are drawn: the terminal, a recording as SVG, or both.

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};

use super::history::History;
use super::{svg, view};
use crate::failure::Failure;

/// The size of a recording, in characters.
const RECORDED: (u16, u16) = (100, 26);
/// The pictures of a recording, and how many others are between two of them.
const RECORDED_PICTURES: usize = 5;
const SKIPPED: usize = 12;

pub(crate) struct Screen {
    terminal: Option<ratatui::DefaultTerminal>,
    recording: Option<Recording>,
}

struct Recording {
    path: PathBuf,
    terminal: Terminal<TestBackend>,
    drawn: usize,
    /// The last ones.
    pictures: Vec<Buffer>,
}

impl Screen {
    /// Opens the terminal, if standard output is one.
    pub(crate) fn open(svg: Option<PathBuf>) -> Result<Self, Failure> {
        let recording = svg.map(|path| {
            let terminal = Terminal::new(TestBackend::new(RECORDED.0, RECORDED.1)).map_err(|never| match never {})?;
            Ok(Recording { path, terminal, drawn: 0, pictures: Vec::new() })
        });
        let recording = recording.transpose()?;
        let is_terminal = io::stdout().is_terminal();
        if !is_terminal && recording.is_none() {
            return Err(Failure::new("standard output is no terminal", "run it in one, or record it with --svg FILE"));
        }
        let terminal = is_terminal.then(ratatui::try_init).transpose().map_err(|error| failed(&error))?;
        Ok(Self { terminal, recording })
    }

    pub(crate) fn draw(&mut self, history: &History) -> Result<(), Failure> {
        if let Some(terminal) = &mut self.terminal {
            terminal.draw(|frame| view::draw(frame, history)).map_err(|error| failed(&error))?;
        }
        if let Some(Recording { terminal, drawn, pictures, .. }) = &mut self.recording {
            let Ok(_) = terminal.draw(|frame| view::draw(frame, history));
            *drawn += 1;
            if *drawn % (SKIPPED + 1) == 0 {
                pictures.push(terminal.backend().buffer().clone());
                pictures.drain(..pictures.len().saturating_sub(RECORDED_PICTURES));
            }
        }
        Ok(())
    }

    /// Returns `true` if a key was pressed that ends the program.
    pub(crate) fn is_left(&self) -> Result<bool, Failure> {
        if self.terminal.is_none() {
            return Ok(false);
        }
        while event::poll(Duration::ZERO).map_err(|error| failed(&error))? {
            if let Event::Key(key) = event::read().map_err(|error| failed(&error))? {
                let is_interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
                if is_interrupt || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Leaves the terminal as it was, and writes the recording.
    pub(crate) fn close(&mut self) -> Result<(), Failure> {
        if self.terminal.take().is_some() {
            ratatui::restore();
        }
        if let Some(Recording { path, mut terminal, mut pictures, .. }) = self.recording.take() {
            if pictures.is_empty() {
                pictures.push(terminal.backend_mut().buffer().clone());
            }
            let written = std::fs::write(&path, svg::animation(&pictures));
            return written.map_err(|error| {
                Failure::new(format!("{} cannot be written: {error}", path.display()), "name another file with --svg")
            });
        }
        Ok(())
    }
}

/// After an error, too.
impl Drop for Screen {
    fn drop(&mut self) {
        if self.terminal.take().is_some() {
            ratatui::restore();
        }
    }
}

fn failed(error: &io::Error) -> Failure {
    Failure::new(format!("the terminal cannot be used: {error}"), "record it with --svg FILE")
}
