//! Stop words, greetings and thanks in English, German, Spanish, French and Italian: in lower case, without accents,
//! sorted.

/// English.
#[rustfmt::skip]
const ENGLISH_STOP_WORDS: [&str; 95] = [
    "a", "about", "am", "an", "and", "any", "are", "as", "at", "be", "been", "but", "by", "can", "could", "did", "do",
    "does", "for", "from", "had", "has", "have", "her", "here", "him", "his", "how", "i", "if", "in", "into", "is",
    "it", "its", "like", "ll", "m", "many", "may", "me", "might", "much", "must", "my", "need", "no", "not", "of",
    "on", "or", "our", "out", "please", "re", "s", "shall", "she", "should", "so", "some", "tell", "than", "that",
    "the", "their", "them", "then", "there", "these", "they", "this", "those", "to", "too", "us", "ve", "very",
    "want", "was", "we", "were", "what", "when", "where", "which", "who", "whom", "why", "will", "with", "would",
    "yes", "you", "your",
];

/// German.
#[rustfmt::skip]
const GERMAN_STOP_WORDS: [&str; 126] = [
    "aber", "als", "also", "am", "an", "auch", "auf", "aus", "bei", "bin", "bis", "bist", "bitte", "da", "dann",
    "darf", "das", "dass", "dein", "deine", "dem", "den", "denn", "der", "des", "dich", "die", "dies", "diese",
    "dieser", "dieses", "dir", "doch", "du", "durch", "ein", "eine", "einem", "einen", "einer", "eines", "er", "es",
    "etwas", "euch", "euer", "eure", "fur", "gerne", "gibt", "habe", "haben", "habt", "hat", "hatte", "hatten", "ich",
    "ihr", "ihre", "im", "in", "ist", "ja", "kann", "kannst", "kein", "keine", "konnen", "konnt", "konnte", "konnten",
    "man", "mehr", "mein", "meine", "mich", "mir", "mit", "mochte", "mochten", "muss", "nach", "nein", "nicht",
    "noch", "nur", "ob", "oder", "ohne", "schon", "sehr", "seid", "sein", "sich", "sie", "sind", "so", "uber", "um",
    "und", "uns", "unser", "unsere", "vom", "von", "wann", "war", "warum", "was", "welche", "welcher", "wenn", "wer",
    "werden", "wie", "wieviel", "wir", "wird", "wo", "wollen", "worden", "wurde", "wurden", "zu", "zum", "zur",
];

/// Spanish.
#[rustfmt::skip]
const SPANISH_STOP_WORDS: [&str; 107] = [
    "a", "al", "algo", "algun", "alguna", "ante", "como", "con", "cual", "cuales", "cuando", "cuanta", "cuantas",
    "cuanto", "cuantos", "de", "del", "desde", "donde", "e", "el", "ella", "ellas", "ellos", "en", "entre", "era",
    "eres", "es", "esa", "ese", "eso", "esta", "estan", "estas", "este", "esto", "estos", "estoy", "favor", "fue",
    "ha", "hace", "hacen", "hacer", "han", "hasta", "hay", "he", "la", "las", "le", "les", "lo", "los", "me", "mi",
    "mis", "mucho", "muy", "ni", "no", "nos", "nosotros", "o", "para", "pero", "podria", "podrian", "por", "porque",
    "puede", "pueden", "puedo", "que", "queria", "quien", "quiero", "quisiera", "se", "ser", "si", "sin", "sobre",
    "son", "soy", "su", "sus", "tambien", "te", "tener", "tengo", "tiene", "tienen", "tu", "tus", "u", "un", "una",
    "uno", "unos", "usted", "ustedes", "vosotros", "y", "ya", "yo",
];

/// French.
#[rustfmt::skip]
const FRENCH_STOP_WORDS: [&str; 121] = [
    "a", "ai", "ainsi", "alors", "as", "au", "aux", "avec", "avez", "avoir", "avons", "c", "ce", "cela", "ces", "cet",
    "cette", "ceux", "chez", "combien", "comme", "comment", "d", "dans", "de", "des", "deux", "dois", "donc", "du",
    "elle", "elles", "en", "es", "est", "et", "etait", "ete", "etes", "etre", "eux", "faire", "faut", "il", "ils",
    "j", "je", "l", "la", "le", "les", "leur", "leurs", "lui", "m", "ma", "mais", "me", "mes", "moi", "mon", "n",
    "ne", "nos", "notre", "nous", "on", "ont", "ou", "par", "pas", "peut", "peux", "plait", "pour", "pourquoi",
    "pourrais", "pourriez", "puis", "qu", "quand", "que", "quel", "quelle", "quelles", "quels", "qui", "quoi", "s",
    "sa", "sans", "se", "ses", "si", "sommes", "sont", "souhaite", "suis", "sur", "svp", "t", "ta", "te", "tes",
    "toi", "ton", "tous", "tout", "toute", "tres", "tu", "un", "une", "va", "vais", "veux", "vos", "votre",
    "voudrais", "vous", "y",
];

/// Italian.
#[rustfmt::skip]
const ITALIAN_STOP_WORDS: [&str; 139] = [
    "a", "agli", "ai", "al", "alla", "alle", "allo", "anche", "avere", "avete", "c", "che", "chi", "ci", "coi", "col",
    "come", "con", "cosa", "cui", "da", "dagli", "dai", "dal", "dalla", "dalle", "de", "degli", "dei", "del", "dell",
    "della", "delle", "dello", "di", "dov", "dove", "e", "ed", "era", "essere", "fa", "favore", "fino", "fra", "gli",
    "ha", "hai", "hanno", "ho", "i", "il", "in", "io", "l", "la", "le", "lei", "li", "lo", "loro", "lui", "ma", "mi",
    "mia", "mie", "miei", "mio", "molto", "ne", "negli", "nei", "nel", "nell", "nella", "nelle", "nello", "noi",
    "non", "nostra", "nostro", "o", "ogni", "per", "perche", "piu", "posso", "potete", "potrei", "puo", "puoi",
    "quale", "quali", "quando", "quanta", "quante", "quanti", "quanto", "quella", "quelle", "quelli", "quello",
    "questa", "queste", "questi", "questo", "qui", "sara", "se", "sei", "si", "siamo", "siete", "sono", "sta", "su",
    "sua", "sue", "sugli", "sui", "sul", "sulla", "suo", "suoi", "te", "ti", "tra", "tu", "tua", "tuo", "un", "una",
    "uno", "vi", "voglio", "voi", "vorrei", "vostra", "vostro",
];

/// Words that are a greeting by themselves.
#[rustfmt::skip]
const GREETINGS: [&str; 19] = [
    "allo", "bonjour", "bonsoir", "buonasera", "buongiorno", "ciao", "coucou", "greetings", "hallo", "hello", "hey",
    "hi", "hiya", "hola", "howdy", "moin", "salut", "salve", "servus",
];

/// Words that form a greeting together ("good morning", "guten Tag", "grüß Gott"), or accompany greetings and thanks.
#[rustfmt::skip]
const GREETING_PARTS: [&str; 45] = [
    "abend", "afternoon", "again", "beaucoup", "buena", "buenas", "bueno", "buenos", "buon", "buona", "day", "dear",
    "dia", "dias", "evening", "everyone", "good", "gott", "grus", "gruss", "gruß", "grußgott", "gute", "guten",
    "guter", "lot", "mille", "morgen", "morning", "muchas", "noche", "noches", "nochmals", "schon", "schonen", "tag",
    "tante", "tanto", "tarde", "tardes", "team", "there", "viele", "vielen", "vielmals",
];

/// Thanks.
#[rustfmt::skip]
const THANKS: [&str; 11] = [
    "cheers", "dank", "danke", "dankeschon", "gracias", "grazie", "merci", "thank", "thanks", "thx", "ty",
];

/// Endings that are removed from words, longest first.
#[rustfmt::skip]
pub(super) const WORD_ENDINGS: [&str; 36] = [
    "ations", "ciones", "ungen", "ments", "zione", "zioni", "ation", "mente", "ement", "cion", "ings", "ment", "ies",
    "ics", "ing", "ung", "ern", "ers", "ens", "ere", "es", "en", "er", "ed", "em", "ic", "as", "os", "is", "s", "e",
    "n", "y", "a", "o", "i",
];

/// Returns whether the word is a stop word.
pub(super) fn is_stop_word(word: &str) -> bool {
    [&ENGLISH_STOP_WORDS[..], &GERMAN_STOP_WORDS, &SPANISH_STOP_WORDS, &FRENCH_STOP_WORDS, &ITALIAN_STOP_WORDS]
        .iter()
        .any(|list| list.binary_search(&word).is_ok())
}

/// Returns whether the word is a greeting.
pub(super) fn is_greeting(word: &str) -> bool {
    GREETINGS.binary_search(&word).is_ok()
}

/// Returns whether the word belongs to a greeting or thanks if the text has no other words.
pub(super) fn is_greeting_part(word: &str) -> bool {
    GREETING_PARTS.binary_search(&word).is_ok()
}

/// Returns whether the word expresses thanks.
pub(super) fn is_thanks(word: &str) -> bool {
    THANKS.binary_search(&word).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_list_is_sorted_and_endings_go_from_long_to_short() {
        for list in [
            &ENGLISH_STOP_WORDS[..],
            &GERMAN_STOP_WORDS,
            &SPANISH_STOP_WORDS,
            &FRENCH_STOP_WORDS,
            &ITALIAN_STOP_WORDS,
            &GREETINGS,
            &GREETING_PARTS,
            &THANKS,
        ] {
            assert!(list.is_sorted(), "{list:?}");
        }
        assert!(WORD_ENDINGS.is_sorted_by(|long, short| long.len() >= short.len()));
    }
}
