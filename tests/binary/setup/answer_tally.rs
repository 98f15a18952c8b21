//! What was answered: each message holds `#<sender>-<number>#`, and an answer repeats the marks that it answers.

use std::collections::BTreeMap;
use std::fmt;

/// One message of one sender; both count from 0.
pub type MessageMark = (usize, usize);

/// A message's text.
pub fn marked_text((sender, number): MessageMark) -> String {
    format!("#{sender}-{number}# is this it?")
}

/// The marks in a text, in order.
pub fn marks_in(text: &str) -> Vec<MessageMark> {
    let mark = |word: &str| {
        let (sender, number) = word.split_once('-')?;
        Some((sender.parse().ok()?, number.parse().ok()?))
    };
    text.split('#').filter_map(mark).collect()
}

/// A contact's number.
pub fn phone(sender: usize) -> String {
    format!("+1202555{sender:04}")
}

/// How the answers differ from what was promised. Empty is good.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct AnswerTally {
    /// Never answered.
    pub lost: Vec<MessageMark>,
    /// Answered more than once.
    pub duplicated: Vec<MessageMark>,
    /// Answered after a later one of the same sender.
    pub out_of_order: Vec<MessageMark>,
    /// Answered to somebody else, or never said.
    pub misdirected: Vec<MessageMark>,
}

impl AnswerTally {
    /// Counts the answers, each a contact's address and a text, in the order in which Twilio took them, against `each`
    /// messages of each of `senders` senders.
    pub fn of(answers: &[(String, String)], senders: usize, each: usize) -> AnswerTally {
        let mut tally = AnswerTally::default();
        let mut seen: BTreeMap<MessageMark, usize> = BTreeMap::new();
        let mut last: BTreeMap<usize, usize> = BTreeMap::new();
        for (to, text) in answers {
            for mark in marks_in(text) {
                let (sender, number) = mark;
                if *to != format!("whatsapp:{}", phone(sender)) || sender >= senders || number >= each {
                    tally.misdirected.push(mark);
                    continue;
                }
                let times = seen.entry(mark).or_default();
                *times += 1;
                match *times {
                    1 if last.get(&sender).is_some_and(|last| *last > number) => tally.out_of_order.push(mark),
                    1 => drop(last.insert(sender, number)),
                    2 => tally.duplicated.push(mark),
                    _ => {}
                }
            }
        }
        let all = (0..senders).flat_map(|sender| (0..each).map(move |number| (sender, number)));
        tally.lost = all.filter(|mark| !seen.contains_key(mark)).collect();
        tally
    }
}

impl fmt::Display for AnswerTally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut say = |what: &str, marks: &[MessageMark]| {
            let shown = &marks[..marks.len().min(10)];
            write!(f, "{what} {}{}", marks.len(), if shown.is_empty() { String::new() } else { format!(" {shown:?}") })
        };
        say("lost", &self.lost)?;
        say(", duplicated", &self.duplicated)?;
        say(", out of order", &self.out_of_order)?;
        say(", strange", &self.misdirected)
    }
}

#[test]
fn the_count_sees_what_is_lost_doubled_misordered_and_misdirected() {
    let said = |sender: usize, text: &str| (format!("whatsapp:{}", phone(sender)), text.to_owned());
    let good = [said(0, "re: #0-0#"), said(1, "re: #1-0# #1-1#"), said(0, "re: #0-1#")];
    assert_eq!(AnswerTally::of(&good, 2, 2), AnswerTally::default());
    let bad = [said(0, "re: #0-1#"), said(0, "re: #0-0#"), said(1, "re: #1-0# #1-0#"), said(1, "re: #0-0#")];
    let tally = AnswerTally::of(&bad, 2, 2);
    assert_eq!(tally.lost, [(1, 1)]);
    assert_eq!(tally.duplicated, [(1, 0)]);
    assert_eq!(tally.out_of_order, [(0, 0)]);
    assert_eq!(tally.misdirected, [(0, 0)]);
}
