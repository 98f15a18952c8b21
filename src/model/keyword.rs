//! Command words that a contact can send to mynah itself. The model never sees them.

/// What a command word asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// The contact opts out: nothing is sent any more except one confirmation. (WhatsApp leaves opt-out to the
    /// business; Twilio's own handling is for SMS.)
    OptOut,
    /// The contact opts in again.
    OptIn,
    /// The contact wants a new conversation.
    Reset,
    /// The contact asks what the assistant can do.
    Help,
    /// The contact wants a person.
    Human,
}

impl Command {
    /// Returns the stored name.
    pub fn as_str(self) -> &'static str {
        match self {
            Command::OptOut => "opt_out",
            Command::OptIn => "opt_in",
            Command::Reset => "reset",
            Command::Help => "help",
            Command::Human => "human",
        }
    }

    /// Reads the stored name.
    pub fn parse(text: &str) -> Option<Command> {
        [Command::OptOut, Command::OptIn, Command::Reset, Command::Help, Command::Human]
            .into_iter()
            .find(|command| command.as_str() == text)
    }
}

/// The command words that always work.
const BUILT_IN_KEYWORDS: [(&str, Command); 8] = [
    ("stop", Command::OptOut),
    ("stopall", Command::OptOut),
    ("unsubscribe", Command::OptOut),
    ("start", Command::OptIn),
    ("unstop", Command::OptIn),
    ("/reset", Command::Reset),
    ("/help", Command::Help),
    ("/human", Command::Human),
];

/// The built-in command words and those that the owner added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keywords(Vec<(String, Command)>);

impl Keywords {
    /// Creates the list of the built-in words and the owner's words for opting out and in, such as CANCEL or BAJA.
    /// Those are ordinary words elsewhere.
    pub fn new(opt_out: &[String], opt_in: &[String]) -> Keywords {
        let own =
            |words: &[String], command| words.iter().map(move |word| (normalize(word), command)).collect::<Vec<_>>();
        let known = BUILT_IN_KEYWORDS.into_iter().map(|(word, command)| (word.to_owned(), command));
        Keywords(known.chain(own(opt_out, Command::OptOut)).chain(own(opt_in, Command::OptIn)).collect())
    }

    /// Returns the command if the whole message is a command word, in any case and with any punctuation around it.
    pub fn command_in(&self, message: &str) -> Option<Command> {
        // No command word is this long.
        if message.len() > 256 {
            return None;
        }
        let said = normalize(message);
        self.0.iter().find(|(word, _)| *word == said).map(|(_, command)| *command)
    }
}

/// Returns a word in the form in which words are compared: in lower case, without the whitespace, punctuation and
/// invisible characters around it.
fn normalize(text: &str) -> String {
    let around = |char: char| {
        char.is_whitespace()
            || char.is_control()
            || matches!(
                char,
                '.' | ',' | '!' | '?' | '¡' | '¿' | '"' | '\'' | '“' | '”' | '„' | '«' | '»' | '*' | '_' | '~'
            )
            || matches!(char, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{fe0f}')
            // Marks of the writing direction: a phone that writes Arabic or Hebrew wraps words in them.
            || matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.trim_matches(around).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_known_as_the_whole_message_in_any_case() {
        let words = Keywords::new(&["BAJA".into(), "Arrêt".into()], &["ALTA".into()]);
        for (said, command) in [
            ("STOP", Some(Command::OptOut)),
            (" Stop.\n", Some(Command::OptOut)),
            ("“stop”!", Some(Command::OptOut)),
            ("\u{200e}UNSUBSCRIBE\u{200f}", Some(Command::OptOut)),
            ("\u{202b}stop\u{202c}", Some(Command::OptOut)),
            ("\u{2067}STOP\u{2069}.", Some(Command::OptOut)),
            ("baja", Some(Command::OptOut)),
            ("ARRÊT", Some(Command::OptOut)),
            ("start", Some(Command::OptIn)),
            ("Alta!", Some(Command::OptIn)),
            ("/RESET", Some(Command::Reset)),
            ("/help", Some(Command::Help)),
            ("/human", Some(Command::Human)),
            ("stop it", None),
            ("Where does the bus stop?", None),
            ("help", None),
            ("", None),
            ("…", None),
        ] {
            assert_eq!(words.command_in(said), command, "{said:?}");
        }
        assert_eq!(Keywords::new(&[], &[]).command_in("baja"), None, "an ordinary word unless the owner says so");
    }

    #[test]
    fn commands_are_stored_by_name() {
        for command in [Command::OptOut, Command::OptIn, Command::Reset, Command::Help, Command::Human] {
            assert_eq!(Command::parse(command.as_str()), Some(command));
        }
        assert_eq!(Command::parse("dance"), None);
    }
}
