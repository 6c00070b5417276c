//! How far an import is: on a terminal alone.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar over the file's bytes, with rows a second and the time left.
pub(crate) struct Progress {
    bar: ProgressBar,
    begun: Instant,
}

impl Progress {
    /// Nothing is drawn where standard error is no terminal.
    pub(crate) fn new(bytes: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent:>3}%  {msg}  {eta} left") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(250));
        Self { bar, begun: Instant::now() }
    }

    /// So many bytes are done, and so many rows.
    pub(crate) fn at(&self, bytes: u64, rows: u64) {
        #[allow(clippy::cast_precision_loss)]
        let rate = rows as f64 / self.begun.elapsed().as_secs_f64().max(0.001);
        self.bar.set_message(format!("{rows} rows, {rate:.0} rows/s"));
        self.bar.set_position(bytes);
    }

    /// Takes the bar away.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
