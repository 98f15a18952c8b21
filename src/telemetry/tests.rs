use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use tracing::subscriber::with_default;

use super::*;
use crate::text;

/// The text that was written to stderr.
#[derive(Clone, Default)]
struct CapturedStderr(Arc<Mutex<Vec<u8>>>);

impl io::Write for CapturedStderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl CapturedStderr {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

fn captured_log(config: &LogConfig, colour: bool, log: impl FnOnce()) -> String {
    captured_log_on(config, Stderr { colour, target: Target::Plain }, |_| log())
}

/// `log` can change the filter through the handle.
fn captured_log_on(config: &LogConfig, stderr: Stderr, log: impl FnOnce(FilterHandle)) -> String {
    let screen = CapturedStderr::default();
    let writer = screen.clone();
    let (subscriber, filter, guard) = build_subscriber(config, move || writer.clone(), stderr).unwrap();
    with_default(subscriber, || log(filter));
    drop(guard);
    screen.text()
}

const JOURNAL: Stderr = Stderr { colour: false, target: Target::Journal };

fn config(filter: &str, format: LogFormat, dir: Option<&Path>) -> LogConfig {
    LogConfig { filter: filter.into(), format, dir: dir.map(Path::to_owned), max_files: Some(15) }
}

/// Returns the name and the text of the only file in the folder.
fn file_in(dir: &Path) -> (String, String) {
    let files: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    let name = files[0].file_name().unwrap().to_string_lossy().into_owned();
    (name, fs::read_to_string(&files[0]).unwrap())
}

#[test]
fn a_wrong_filter_is_an_error_that_names_its_setting() {
    let wrong = config("mynah=loud", LogFormat::Text, None);
    let error = start(&wrong).unwrap_err().to_string();
    assert_eq!(
        error,
        "MYNAH_LOG: \"mynah=loud\" is not a valid filter; expected a filter such as info or info,mynah=debug"
    );
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error_that_names_its_setting() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = start(&config("info", LogFormat::Text, Some(&file.path().join("logs")))).unwrap_err();
    assert!(error.to_string().starts_with("MYNAH_LOG_DIR: cannot write to "), "{error}");
}

#[test]
fn the_filter_decides_what_is_logged() {
    let text = captured_log(&config("info,quiet=error", LogFormat::Text, None), false, || {
        tracing::info!("seen");
        tracing::debug!("unseen detail");
        tracing::warn!(target: "quiet", "unseen warning");
    });
    assert!(text.contains("seen") && !text.contains("unseen"), "{text}");
}

#[test]
fn nothing_hides_in_a_line_whoever_wrote_it() {
    let deceives = "\u{1b}[31mpay \u{202e}001\u{2066} hi\u{e0068}\u{e0069}\u{feff} é\u{85}";
    let dir = tempfile::tempdir().unwrap();
    for (format, dir) in [(LogFormat::Text, None), (LogFormat::Json, None), (LogFormat::Text, Some(dir.path()))] {
        let mut text = captured_log(&config("info", format, dir), false, || {
            tracing::info!(shown = %deceives, quoted = deceives, "they said {deceives}");
        });
        if let Some(dir) = dir {
            text.push_str(&file_in(dir).1);
        }
        let kept: Vec<_> = text.chars().filter(|char| *char != '\n' && text::is_hidden(*char)).collect();
        assert!(kept.is_empty() && text.contains("[31mpay 001 hi é"), "{format:?} {kept:?} {text}");
    }
    let coloured =
        captured_log(&config("info", LogFormat::Text, None), true, || tracing::info!(shown = %deceives, "bright"));
    assert!(coloured.contains('\u{1b}') && !coloured.contains('\u{202e}'), "{coloured}");
}

#[test]
fn log_text_is_colored_only_if_asked() {
    let config = config("info", LogFormat::Text, None);
    assert!(!captured_log(&config, false, || tracing::info!(turn = 7, "plain")).contains('\u{1b}'));
    assert!(captured_log(&config, true, || tracing::info!(turn = 7, "bright")).contains('\u{1b}'));
}

#[test]
fn json_is_one_object_on_each_line_with_its_fields_and_its_span() {
    let text = captured_log(&config("info", LogFormat::Json, None), false, || {
        let _turn = tracing::error_span!("turn", turn = 7).entered();
        tracing::info!(parts = 2, "sent");
    });
    let line: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
    assert_eq!((&line["message"], &line["parts"], &line["level"]), (&"sent".into(), &2.into(), &"INFO".into()));
    assert_eq!(line["span"], serde_json::json!({"name": "turn", "turn": 7}));
}

#[test]
fn a_folder_gets_the_same_lines_as_json_by_the_time_the_guard_is_gone() {
    for format in [LogFormat::Text, LogFormat::Json] {
        let dir = tempfile::tempdir().unwrap();
        let logs = dir.path().join("logs");
        let screen = captured_log(&config("info", format, Some(&logs)), true, || tracing::info!(parts = 2, "sent"));
        let (name, text) = file_in(&logs);
        let day = name.strip_prefix("mynah.").and_then(|rest| rest.strip_suffix(".log")).unwrap();
        assert!(day.parse::<jiff::civil::Date>().is_ok() && day.len() == 10, "{name}");
        let line: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
        assert_eq!((&line["message"], &line["parts"]), (&"sent".into(), &2.into()));
        assert_eq!(screen == text, format == LogFormat::Json, "{screen}");
    }
}

#[test]
fn as_many_daily_files_are_kept_as_the_setting_says() {
    for (max_files, kept) in [(Some(15), 15), (Some(2), 2), (None, 21)] {
        let dir = tempfile::tempdir().unwrap();
        for day in 1..=20 {
            fs::write(dir.path().join(format!("mynah.2026-01-{day:02}.log")), "{}\n").unwrap();
        }
        fs::write(dir.path().join("other.log"), "").unwrap();
        let config = LogConfig { max_files, ..config("info", LogFormat::Text, Some(dir.path())) };
        captured_log(&config, false, || tracing::info!("today"));
        let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.iter().filter(|name| name.to_string_lossy().starts_with("mynah.")).count(), kept);
        assert!(names.iter().any(|name| name == "other.log"));
    }
}

#[test]
fn the_journal_gets_priorities_and_neither_a_time_nor_colors() {
    let log = || {
        tracing::error!("broken");
        tracing::warn!("odd\nand long");
        tracing::info!("usual");
        tracing::debug!("detail");
    };
    let dir = tempfile::tempdir().unwrap();
    for format in [LogFormat::Text, LogFormat::Json] {
        let text = captured_log_on(&config("debug", format, Some(dir.path())), JOURNAL, |_| log());
        assert!(!text.contains('\u{1b}'), "{text}");
        let priorities: Vec<_> = text.lines().map(|line| &line[..3]).collect();
        if format == LogFormat::Text {
            assert_eq!(priorities, ["<3>", "<4>", "<4>", "<6>", "<7>"], "{text}");
            assert!(text.starts_with("<3>ERROR "), "{text}");
        } else {
            assert_eq!(priorities, ["<3>", "<4>", "<6>", "<7>"], "{text}");
            assert!(text.lines().all(|line| serde_json::from_str::<serde_json::Value>(&line[3..]).is_ok()), "{text}");
        }
    }
    let (_, file) = file_in(dir.path());
    assert!(file.lines().count() == 8 && file.lines().all(|line| line.starts_with('{')), "{file}");
}

#[test]
fn phone_numbers_are_masked_in_every_form() {
    let log = || {
        let span = tracing::error_span!("turn", to = "whatsapp:+12025550101").entered();
        tracing::info!(url = "https://a.example/?To=whatsapp%3A%2B12025550102", "called +12025550103");
        drop(span);
    };
    for (format, stderr) in [
        (LogFormat::Text, Stderr { colour: false, target: Target::Plain }),
        (LogFormat::Text, Stderr { colour: true, target: Target::Plain }),
        (LogFormat::Json, Stderr { colour: false, target: Target::Plain }),
        (LogFormat::Text, JOURNAL),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let screen = captured_log_on(&config("info", format, Some(dir.path())), stderr, |_| log());
        for text in [screen, file_in(dir.path()).1] {
            assert!(!text.contains("2025550"), "{format:?} {stderr:?} {text}");
            assert!(text.contains("+1…01") && text.contains("%2B1…02") && text.contains("+1…03"), "{text}");
        }
    }
}

/// One turn after the other, with a line of each level.
fn answer_turns_11_and_12() {
    for turn in [11, 12] {
        let conversation = tracing::field::display(format!("0193f2a0-0000-7000-8000-0000000000{turn}"));
        let _turn = tracing::error_span!("turn", turn = turn, conversation, channel = "twilio").entered();
        tracing::info!("answered");
        tracing::debug!("asked a model");
    }
    tracing::debug!("outside");
}

#[test]
fn the_filter_selects_by_the_fields_of_a_span() {
    for filter in [
        "info,[turn{turn=12}]=debug",
        "info,mynah[turn{turn=12}]=debug",
        "warn,[turn{turn=11}]=info,[turn{turn=12}]=debug",
        "info,[turn{conversation=0193f2a0-0000-7000-8000-000000000012}]=debug",
    ] {
        let text = captured_log(&config(filter, LogFormat::Text, None), false, answer_turns_11_and_12);
        assert_eq!(text.matches("answered").count(), 2, "{filter}\n{text}");
        let details: Vec<_> = text.lines().filter(|line| line.contains("DEBUG")).collect();
        assert!(details.len() == 1 && details[0].contains("turn=12"), "{filter}\n{text}");
    }
    let text = captured_log(&config("off,[turn{turn=12}]=debug", LogFormat::Text, None), false, answer_turns_11_and_12);
    assert!(text.lines().count() == 2 && text.lines().all(|line| line.contains("turn=12")), "{text}");
}

#[test]
fn the_filter_of_a_running_log_can_be_replaced() {
    let log = config("warn", LogFormat::Text, None);
    let text = captured_log_on(&log, Stderr { colour: false, target: Target::Plain }, |filter| {
        answer_turns_11_and_12();
        filter.reload(parse_filter("info,[turn{turn=12}]=debug").unwrap()).unwrap();
        answer_turns_11_and_12();
        filter.reload(parse_filter("error").unwrap()).unwrap();
        answer_turns_11_and_12();
    });
    assert_eq!((text.matches("INFO").count(), text.matches("DEBUG").count()), (2, 1), "{text}");
}

#[test]
fn a_line_bears_the_fields_of_its_span_whatever_the_filter_lets_through() {
    let text = captured_log(&config("error", LogFormat::Text, None), false, || {
        let _turn = tracing::error_span!("turn", turn = 12, channel = "twilio").entered();
        tracing::error!("broken");
    });
    assert!(text.contains("turn=12") && text.contains("channel=\"twilio\""), "{text}");
}
