//! Words that a contact may say to the assistant itself, which the model never sees.

/// What such a word asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Nothing is sent any more, but one confirmation (WhatsApp leaves opt-out to the business; Twilio's own handling is
    /// for SMS).
    OptOut,
    /// The end of that.
    OptIn,
    /// A new conversation.
    Reset,
    /// What the assistant can do.
    Help,
    /// A person.
    Human,
}

impl Command {
    /// The stored name.
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

/// The words that are always known.
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

/// The words that are known, with those that the owner added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keywords(Vec<(String, Command)>);

impl Keywords {
    /// The known words and these for opting out and in, such as CANCEL or BAJA, which elsewhere are ordinary words.
    pub fn new(opt_out: &[String], opt_in: &[String]) -> Keywords {
        let own =
            |words: &[String], command| words.iter().map(move |word| (normalize(word), command)).collect::<Vec<_>>();
        let known = BUILT_IN_KEYWORDS.into_iter().map(|(word, command)| (word.to_owned(), command));
        Keywords(known.chain(own(opt_out, Command::OptOut)).chain(own(opt_in, Command::OptIn)).collect())
    }

    /// The command that a message is: the whole of it, in any case, whatever stands around the word.
    pub fn command_in(&self, message: &str) -> Option<Command> {
        // No keyword is a sentence.
        if message.len() > 256 {
            return None;
        }
        let said = normalize(message);
        self.0.iter().find(|(word, _)| *word == said).map(|(_, command)| *command)
    }
}

/// A word as it is compared: lower case, without blanks, quotation marks, full stops and invisible characters around it.
fn normalize(text: &str) -> String {
    let around = |char: char| {
        char.is_whitespace()
            || char.is_control()
            || matches!(
                char,
                '.' | ',' | '!' | '?' | '¡' | '¿' | '"' | '\'' | '“' | '”' | '„' | '«' | '»' | '*' | '_' | '~'
            )
            || matches!(char, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{fe0f}')
            // What turns the direction of writing around: a phone that writes Arabic or Hebrew wraps words in it.
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
