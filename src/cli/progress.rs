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
