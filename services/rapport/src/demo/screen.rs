//! Where the demo shows itself: a terminal, a pipe, or a list that a test reads.

use std::io::{self, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::card::{Card, Style, paragraph};

/// Takes what the demo has to show. Answers are shown at once; progress is for the impatient and may be dropped.
pub trait Show: Send {
    /// Shows a card.
    ///
    /// # Errors
    /// When the output is gone.
    fn card(&mut self, card: &Card) -> io::Result<()>;

    /// Shows a sentence or two between cards.
    ///
    /// # Errors
    /// When the output is gone.
    fn say(&mut self, text: &str) -> io::Result<()>;

    /// Shows lines as they are: commands to copy.
    ///
    /// # Errors
    /// When the output is gone.
    fn lines(&mut self, lines: &[String]) -> io::Result<()>;

    /// `done` of `total` units of `task` are done.
    fn progress(&mut self, task: &'static str, done: usize, total: usize);
}

/// Shows everything as lines on `out` and progress on standard error.
pub struct Screen<W> {
    out: W,
    style: Style,
    meter: Meter,
}

impl<W: Write + Send> Screen<W> {
    /// Shows answers on `out` in this style; progress as a bar when `bar` says that standard error is a terminal, as
    /// a few plain lines there otherwise.
    pub fn new(out: W, style: Style, bar: bool) -> Self {
        Self { out, style, meter: Meter { bar, shown: None, quarter: 0, task: "" } }
    }
}

impl<W: Write + Send> Show for Screen<W> {
    fn card(&mut self, card: &Card) -> io::Result<()> {
        self.meter.clear();
        for line in card.render(self.style) {
            writeln!(self.out, "{line}")?;
        }
        writeln!(self.out)?;
        self.out.flush()
    }

    fn say(&mut self, text: &str) -> io::Result<()> {
        self.meter.clear();
        for line in paragraph(text) {
            writeln!(self.out, "{line}")?;
        }
        writeln!(self.out)?;
        self.out.flush()
    }

    fn lines(&mut self, lines: &[String]) -> io::Result<()> {
        self.meter.clear();
        for line in lines {
            writeln!(self.out, "{line}")?;
        }
        writeln!(self.out)?;
        self.out.flush()
    }

    fn progress(&mut self, task: &'static str, done: usize, total: usize) {
        self.meter.show(task, done, total);
    }
}

/// Keeps the lines that were shown: for tests, and to show nothing.
#[derive(Debug, Default)]
pub struct Kept {
    /// The lines, in the style of a boxed card without colour.
    pub lines: Vec<String>,
}

impl Show for Kept {
    fn card(&mut self, card: &Card) -> io::Result<()> {
        self.lines.extend(card.render(Style { boxes: true, color: false }));
        Ok(())
    }

    fn say(&mut self, text: &str) -> io::Result<()> {
        self.lines.extend(paragraph(text));
        Ok(())
    }

    fn lines(&mut self, lines: &[String]) -> io::Result<()> {
        self.lines.extend_from_slice(lines);
        Ok(())
    }

    fn progress(&mut self, _task: &'static str, _done: usize, _total: usize) {}
}

/// Progress on standard error.
struct Meter {
    bar: bool,
    shown: Option<ProgressBar>,
    quarter: usize,
    task: &'static str,
}

impl Meter {
    fn show(&mut self, task: &'static str, done: usize, total: usize) {
        if self.task != task {
            self.clear();
            self.task = task;
            self.quarter = 0;
        }
        if self.bar {
            let bar = self.shown.get_or_insert_with(|| {
                let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stderr());
                // A template with a mistake would fall back to the default look, nothing more.
                if let Ok(style) = ProgressStyle::with_template("{msg:24} [{bar:30}] {human_pos}/{human_len} {eta:>4}")
                {
                    bar.set_style(style.progress_chars("=> "));
                }
                bar.set_message(task);
                bar
            });
            bar.set_position(done as u64);
            if done >= total {
                self.clear();
            }
            return;
        }
        let quarter = (done * 4).checked_div(total).unwrap_or(4);
        if quarter > self.quarter {
            self.quarter = quarter;
            // Standard error may be closed: progress is not worth failing for.
            let _ = writeln!(io::stderr(), "{task}: {done} of {total}");
        }
    }

    fn clear(&mut self) {
        if let Some(bar) = self.shown.take() {
            bar.finish_and_clear();
        }
    }
}
