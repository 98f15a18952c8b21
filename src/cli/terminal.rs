//! What stdout can show: colors, and how wide it is. Programs that read stdout get no colors, whole ids and whole times.

use console::{Style, Term};

use crate::model::ConversationId;

/// How something stands, which people see by its color.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// All is well.
    Good,
    /// Somebody should look at it.
    Warning,
    /// It failed.
    Bad,
    /// It needs no attention.
    Faint,
}

/// Returns the width of the terminal; `None` if stdout is not one.
pub(super) fn width() -> Option<usize> {
    let stdout = Term::stdout();
    if !stdout.is_term() {
        return None;
    }
    stdout.size_checked().map(|(_, columns)| usize::from(columns))
}

/// Returns whether stdout shows colors: on a terminal, unless NO_COLOR is set.
pub(super) fn uses_color() -> bool {
    console::colors_enabled() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Returns the text in the color of its tone, if `color`.
pub(super) fn paint(text: &str, tone: Tone, color: bool) -> String {
    let style = Style::new().force_styling(color);
    let style = match tone {
        Tone::Good => style.green(),
        Tone::Warning => style.yellow(),
        Tone::Bad => style.red().bold(),
        Tone::Faint => style.dim(),
    };
    style.apply_to(text).to_string()
}

/// Returns the tone of a turn's state.
pub(super) fn state_tone(state: &str) -> Option<Tone> {
    match state {
        "dead" | "expired" => Some(Tone::Bad),
        "retry" => Some(Tone::Warning),
        "skipped" => Some(Tone::Faint),
        _ => None,
    }
}

/// Returns a turn's state in its color.
pub(super) fn paint_state(state: &str) -> String {
    state_tone(state).map_or(state.to_owned(), |tone| paint(state, tone, uses_color()))
}

/// Returns a time such as `2026-11-01T10:00:00.000Z` as people read it in a list, to the minute; whole if a program
/// reads it.
pub(super) fn time(time: impl ToString) -> String {
    let whole = time.to_string();
    if width().is_some() { short_time(&whole) } else { whole }
}

/// Returns as much of an id as people need to name it: its end, where ids differ most; all of it if a program reads it.
pub(super) fn conversation_id(id: ConversationId) -> String {
    if width().is_some() { short_id(id) } else { id.to_string() }
}

/// Returns a contact's address without the name of the channel, if people read it.
pub(super) fn address(address: &str) -> String {
    let short = address.strip_prefix("whatsapp:").unwrap_or(address);
    if width().is_some() { short.to_owned() } else { address.to_owned() }
}

/// `2026-11-01 10:00Z`.
fn short_time(whole: &str) -> String {
    match (whole.get(..10), whole.get(11..16)) {
        (Some(day), Some(minute)) => format!("{day} {minute}Z"),
        _ => whole.to_owned(),
    }
}

fn short_id(id: ConversationId) -> String {
    let whole = id.0.simple().to_string();
    whole[whole.len() - 8..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_short_times_and_ids() {
        assert_eq!(short_time("2026-11-01T10:00:00.000Z"), "2026-11-01 10:00Z");
        let id = "019a3f00-0002-7000-8000-00000fedcba9".parse().unwrap();
        assert_eq!(short_id(ConversationId(id)), "0fedcba9");
    }

    #[test]
    fn a_color_is_there_only_if_it_is_asked_for() {
        assert_eq!(paint("dead", Tone::Bad, false), "dead");
        assert_eq!(console::strip_ansi_codes(&paint("dead", Tone::Bad, true)), "dead");
        assert_ne!(paint("dead", Tone::Bad, true), "dead");
    }
}
