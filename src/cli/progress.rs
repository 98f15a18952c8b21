//! Shows that long work goes on, on stderr and only on a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// How often the spinner turns.
const TICK: Duration = Duration::from_millis(120);

/// Starts a spinner. End it before anything else is printed.
pub(super) fn spinner(what: &'static str) -> ProgressBar {
    // It draws nothing if stderr is not a terminal.
    let spinner = ProgressBar::new_spinner().with_message(what);
    let spinner = match ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
        Ok(style) => spinner.with_style(style),
        Err(_) => spinner,
    };
    spinner.enable_steady_tick(TICK);
    spinner
}

/// How far long work has come. Clones are the same bar. It draws nothing if stderr is not a terminal.
#[derive(Clone)]
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new() -> Bar {
        Bar(spinner("beginning"))
    }

    /// `total` is 0 if it is not known.
    pub(super) fn show(&self, doing: &'static str, done: u64, total: u64) {
        if self.0.is_hidden() {
            return;
        }
        let percent = (total > 0).then(|| format!(": {} %", done.saturating_mul(100) / total));
        self.0.set_message(format!("{doing}{}", percent.unwrap_or_default()));
    }

    /// Removes the bar. Call this before anything else is printed.
    pub(super) fn finish(&self) {
        self.0.finish_and_clear();
    }
}
