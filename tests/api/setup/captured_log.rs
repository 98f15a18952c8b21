//! What is logged in the course of a test.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, Once};

/// What is logged on this thread, for as long as it lives.
pub struct CapturedLog {
    lines: Arc<Mutex<Vec<u8>>>,
}

thread_local! {
    static CAPTURED_LINES: RefCell<Option<Arc<Mutex<Vec<u8>>>>> = const { RefCell::new(None) };
}

impl CapturedLog {
    /// One subscriber serves all threads. With one per thread, a thread without one could be the first to reach a log
    /// statement, and tracing would remember for all threads that nobody is interested in it.
    pub fn start() -> CapturedLog {
        static ALL: Once = Once::new();
        ALL.call_once(|| {
            let all =
                tracing_subscriber::fmt().with_ansi(false).without_time().with_writer(|| CapturedLogWriter).finish();
            tracing::subscriber::set_global_default(all).unwrap();
        });
        // For a log statement that was reached just before that.
        tracing::callsite::rebuild_interest_cache();
        let lines = Arc::new(Mutex::new(Vec::new()));
        CAPTURED_LINES.set(Some(Arc::clone(&lines)));
        CapturedLog { lines }
    }

    /// Lines of that level which hold that text.
    pub fn count_lines(&self, level: &str, text: &str) -> usize {
        let lines = String::from_utf8(self.lines.lock().unwrap().clone()).unwrap();
        lines.lines().filter(|line| line.trim_start().starts_with(level) && line.contains(text)).count()
    }
}

impl Drop for CapturedLog {
    fn drop(&mut self) {
        CAPTURED_LINES.set(None);
    }
}

/// Writes to the lines of this thread, if it captures them.
struct CapturedLogWriter;

impl std::io::Write for CapturedLogWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        CAPTURED_LINES
            .with_borrow(|lines| lines.iter().for_each(|lines| lines.lock().unwrap().extend_from_slice(bytes)));
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
