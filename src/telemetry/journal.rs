//! The journal of systemd. It takes stderr line by line, and reads the priority of a line from a prefix such as `<3>`
//! (sd-daemon(3)).

use std::borrow::Cow;
use std::io;

use rustix::fs::fstat;
use tracing::Level;

/// The variable in which systemd names the device and the inode of the stream that goes to the journal.
const STREAM_VARIABLE: &str = "JOURNAL_STREAM";

/// Returns whether stderr goes to the journal. The variable alone does not tell: a program may start mynah with it and
/// read stderr itself.
pub(super) fn receives_stderr() -> bool {
    let Ok(stat) = fstat(io::stderr()) else { return false };
    std::env::var(STREAM_VARIABLE).is_ok_and(|named| named == format!("{}:{}", stat.st_dev, stat.st_ino))
}

/// Returns the prefix for the priority of that level (syslog: error, warning, informational, debug).
pub(super) fn priority_prefix(level: Level) -> &'static str {
    match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        Level::DEBUG | Level::TRACE => "<7>",
    }
}

/// Puts the prefix before each line. The journal takes each line of an event as an entry of its own.
pub(super) fn with_priority(event: &str, prefix: &str) -> String {
    let body = event.strip_suffix('\n').unwrap_or(event);
    let lines = if body.contains('\n') { Cow::Owned(body.replace('\n', &format!("\n{prefix}"))) } else { body.into() };
    format!("{prefix}{lines}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_of_an_event_has_the_priority_of_its_level() {
        for (level, prefix) in [
            (Level::ERROR, "<3>"),
            (Level::WARN, "<4>"),
            (Level::INFO, "<6>"),
            (Level::DEBUG, "<7>"),
            (Level::TRACE, "<7>"),
        ] {
            assert_eq!(priority_prefix(level), prefix);
        }
        assert_eq!(with_priority("one\n", "<6>"), "<6>one\n");
        assert_eq!(with_priority("one\ntwo\n", "<3>"), "<3>one\n<3>two\n");
    }
}
