//! `mynah conversations`: what was said, and what an operator does about it. Works beside a running `serve`, which notices
//! within a second.

use anyhow::{Result, anyhow, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::columns::{columns, one_line};
use super::undelivered;
use crate::channel::twilio::TEXT_LIMIT;
use crate::clock::Time;
use crate::config::{Config, Directory, NumberConfig};
use crate::model::{Address, ConversationId, ShortId};
use crate::store::{ConversationRow, Said, Spoken, Store};
use crate::text;
use crate::work::PARTS;

/// Messages of a transcript that are shown.
const SHOWN: i64 = 200;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
    /// One JSON document on stdout
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List conversations, the latest first
    List {
        /// Only conversations that began before this one
        #[arg(long, value_name = "ID", value_parser = id)]
        before: Option<ShortId>,
        /// How many at the most
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=1000))]
        limit: i64,
    },
    /// Show a conversation and what was said last in it
    Show {
        /// The conversation: its id, or the beginning or end of it
        #[arg(value_parser = id)]
        id: ShortId,
    },
    /// Say who answers a conversation from now on
    Mode {
        /// The conversation: its id, or the beginning or end of it
        #[arg(value_parser = id)]
        id: ShortId,
        /// `human`: a person; `auto`: the assistant
        mode: Mode,
    },
    /// Write to the contact as a person; the assistant is silent from then on
    Say {
        /// The conversation: its id, or the beginning or end of it
        #[arg(value_parser = id)]
        id: ShortId,
        /// What to say
        text: String,
    },
    /// End a conversation; the contact's next message begins a new one
    End {
        /// The conversation: its id, or the beginning or end of it
        #[arg(value_parser = id)]
        id: ShortId,
    },
    /// Neither answer nor write to somebody any more
    Block {
        /// A phone number such as +15551234567, or a business-scoped user ID
        #[arg(value_parser = address)]
        address: Address,
    },
    /// Take a block back
    Unblock {
        /// A phone number such as +15551234567, or a business-scoped user ID
        #[arg(value_parser = address)]
        address: Address,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    Human,
    Auto,
}

fn id(text: &str) -> Result<ShortId, String> {
    let expected =
        "neither the id of a conversation nor four or more characters of its beginning or end; `list` shows them";
    ShortId::parse(text).ok_or_else(|| expected.into())
}

fn address(text: &str) -> Result<Address, String> {
    Address::parse(text.strip_prefix("whatsapp:").unwrap_or(text)).map_err(|error| error.to_string())
}

pub(super) async fn run(config: Config, arguments: Arguments) -> Result<()> {
    let store = super::store_that_exists(&config)?;
    let now = super::clock().now();
    let until = config.people.human_return.map(|after| now + after);
    let json = arguments.json;
    let numbers = Numbers { every: config.every_number(), directory: config.directory() };
    match arguments.action {
        Action::List { before, limit } => {
            let before = match before {
                Some(before) => Some(find(&store, before).await?),
                None => None,
            };
            let rows = store.conversations(before, limit).await?;
            list(&rows.into_iter().map(|row| row.at(now)).collect::<Vec<_>>(), &numbers, json);
        }
        Action::Show { id } => {
            let id = find(&store, id).await?;
            let (row, said) = store.conversation(id, SHOWN).await?.ok_or_else(|| unknown(id))?;
            show(&row.at(now), &said, &numbers, json);
        }
        Action::Mode { id, mode } => {
            let id = find(&store, id).await?;
            let changed = match mode {
                Mode::Human => {
                    let (row, _) = store.conversation(id, 1).await?.ok_or_else(|| unknown(id))?;
                    let tell = Some(numbers.of(&row).texts.human.clone());
                    store.take_over(id, until, "an operator took over".into(), tell, now).await?
                }
                Mode::Auto => store.hand_back(id).await?,
            };
            if !changed {
                bail!(not_open(&store, id).await?);
            }
            match mode {
                Mode::Human => {
                    told(json, id, json!({ "mode": "human", "until": time(until) }), "a person answers it now");
                }
                Mode::Auto => told(json, id, json!({ "mode": "auto" }), "the assistant answers it again"),
            }
        }
        Action::Say { id, text } => {
            sayable(&text)?;
            let id = find(&store, id).await?;
            match store.say(id, text, until, now).await? {
                Spoken::Queued(turn) => told(json, id, json!({ "turn": turn.0 }), &format!("queued as turn {turn}")),
                Spoken::NoConversation => bail!(not_open(&store, id).await?),
                Spoken::Silenced => {
                    bail!("conversation {id}: the contact opted out or is blocked; nothing may be sent")
                }
                Spoken::TooLate => bail!(
                    "conversation {id}: the contact last wrote 23 hours ago or earlier, and WhatsApp takes no free text \
                     after 24 hours"
                ),
            }
        }
        Action::End { id } => {
            let id = find(&store, id).await?;
            if !store.end_conversation(id, now).await? {
                bail!(not_open(&store, id).await?);
            }
            told(json, id, json!({ "ended_at": now.to_string() }), "ended");
        }
        Action::Block { address } => block(&store, address, true, now, json).await?,
        Action::Unblock { address } => block(&store, address, false, now, json).await?,
    }
    Ok(())
}

/// Whether the text can be sent whole.
fn sayable(text: &str) -> Result<()> {
    // As it goes out.
    let text = text::clean(text);
    if text.trim().is_empty() {
        bail!("there is nothing to say: the text is blank");
    }
    if text::split(&text, TEXT_LIMIT, PARTS + 1).len() > PARTS {
        bail!(
            "the text of {} characters is too long: at most {PARTS} messages of {TEXT_LIMIT} characters are sent at once; say it \
             in pieces",
            text.chars().count()
        );
    }
    Ok(())
}

async fn block(store: &Store, address: Address, blocked: bool, now: Time, json: bool) -> Result<()> {
    let shown = address.as_str().to_owned();
    store.block(address, blocked, now).await?;
    if json {
        println!("{:#}", json!({ "address": shown, "blocked": blocked }));
    } else {
        println!("{shown} is {}", if blocked { "blocked" } else { "not blocked any more" });
    }
    Ok(())
}

/// Conversations that fit a piece of an id are counted up to here.
const COUNTED: usize = 100;

/// The one conversation that is meant.
async fn find(store: &Store, short: ShortId) -> Result<ConversationId> {
    if let Some(id) = short.whole() {
        return Ok(id);
    }
    let found = store.conversations_like(short.clone(), COUNTED).await?;
    match found.as_slice() {
        [] => bail!("no id of a conversation begins or ends with {short}; `mynah conversations list` shows them"),
        [id] => Ok(*id),
        [first, second, ..] => {
            let more = if found.len() == COUNTED { " or more" } else { "" };
            bail!(
                "{}{more} conversations have an id that begins or ends with {short}, such as {first} and {second}: write \
                 more of it, best of its end, where ids differ most",
                found.len()
            )
        }
    }
}

fn unknown(id: ConversationId) -> anyhow::Error {
    anyhow!("there is no conversation {id}; `mynah conversations list` shows them")
}

/// Why nothing was done about a conversation.
async fn not_open(store: &Store, id: ConversationId) -> Result<String> {
    Ok(match store.conversation(id, 1).await? {
        Some((row, _)) => match row.ended_at {
            Some(at) => format!("conversation {id} ended at {at}"),
            None => format!("conversation {id} changed in this moment; try again"),
        },
        None => unknown(id).to_string(),
    })
}

fn told(json: bool, id: ConversationId, mut facts: Value, words: &str) {
    if json {
        facts["conversation"] = id.to_string().into();
        println!("{facts:#}");
    } else {
        println!("conversation {id}: {words}");
    }
}

fn time(time: Option<Time>) -> Option<String> {
    time.map(|time| time.to_string())
}

/// Our numbers, as they are configured now.
struct Numbers {
    every: Vec<NumberConfig>,
    directory: Directory,
}

impl Numbers {
    /// That of a conversation.
    fn of(&self, row: &ConversationRow) -> &NumberConfig {
        &self.every[self.directory.find(&row.account, &row.ours).0]
    }
}

fn facts(row: &ConversationRow, numbers: &Numbers) -> Value {
    json!({
        "id": row.id.to_string(),
        "name": row.name,
        "contact": row.contact,
        "our_address": row.ours,
        "number": numbers.of(row).name,
        "mode": if row.human { "human" } else { "auto" },
        "mode_until": time(row.human_until),
        "started_at": row.started_at.to_string(),
        "last_inbound_at": row.last_inbound_at.to_string(),
        "ended_at": time(row.ended_at),
        "blocked": row.blocked,
        "opted_out": row.opted_out,
    })
}

/// What is special about a conversation, in a few words.
fn remarks(row: &ConversationRow) -> String {
    let mut remarks = Vec::new();
    if row.ended_at.is_some() {
        remarks.push("ended");
    }
    if row.human {
        remarks.push("a person answers");
    }
    if row.blocked {
        remarks.push("blocked");
    }
    if row.opted_out {
        remarks.push("opted out");
    }
    remarks.join(", ")
}

fn list(rows: &[ConversationRow], numbers: &Numbers, json: bool) {
    if json {
        println!("{:#}", Value::from(rows.iter().map(|row| facts(row, numbers)).collect::<Vec<_>>()));
        return;
    }
    if rows.is_empty() {
        println!("no conversations yet; one begins with a contact's first message");
    }
    let row = |row: &ConversationRow| {
        // An empty column is not shown.
        let number = if numbers.directory.is_several() { numbers.of(row).name.clone() } else { String::new() };
        [row.id.to_string(), row.last_inbound_at.to_string(), number, row.contact.clone(), remarks(row), name(row)]
    };
    print!("{}", columns(rows.iter().map(row).collect()));
}

/// The name that the contact shows.
fn name(row: &ConversationRow) -> String {
    let name = one_line(row.name.as_deref().unwrap_or_default());
    if name.is_empty() { "–".into() } else { name }
}

fn show(row: &ConversationRow, list: &[Said], numbers: &Numbers, json: bool) {
    if json {
        let mut document = facts(row, numbers);
        document["messages"] = list
            .iter()
            .map(|said| {
                json!({
                    "role": said.role.as_str(),
                    "content": said.content,
                    "created_at": said.at.to_string(),
                    "turn": said.turn.0,
                    "turn_state": said.state,
                    "turn_error": said.error,
                    "turn_undelivered": undelivered::facts(&said.undelivered),
                })
            })
            .collect();
        println!("{document:#}");
        return;
    }
    println!("{}  {}", row.contact, name(row));
    println!("{}", row.id);
    if numbers.directory.is_several() {
        println!("on {} ({})", numbers.of(row).name, row.ours);
    }
    println!("began {}, last heard of {}  {}\n", row.started_at, row.last_inbound_at, remarks(row));
    for (at, said) in list.iter().enumerate() {
        let state = if said.state == "done" { String::new() } else { format!("  [{}]", said.state) };
        println!("{}  {}{state}", said.at, said.role.as_str());
        for line in text::clean(&said.content).lines() {
            println!("    {line}");
        }
        if let Some(error) = &said.error {
            println!("    ({})", one_line(error));
        }
        // What is known of a turn's messages stands below the last thing said in it.
        if list.get(at + 1).is_none_or(|next| next.turn != said.turn) {
            for line in undelivered::lines(&said.undelivered) {
                println!("    ({line})");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_would_be_cut_is_refused_and_one_of_five_messages_is_not() {
        let five = format!("{}\n", "x".repeat(TEXT_LIMIT)).repeat(PARTS);
        assert!(sayable(&five).is_ok() && sayable(&format!("{five}\u{202e}\u{200b}")).is_ok());
        let refused = sayable(&format!("{five}y")).unwrap_err().to_string();
        assert!(refused.contains("at most 5 messages of 1500 characters"), "{refused}");
        for blank in ["", " \n", "\u{202e}\u{200b}"] {
            assert!(sayable(blank).unwrap_err().to_string().contains("blank"), "{blank:?}");
        }
    }
}
