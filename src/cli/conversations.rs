//! `mynah conversations`: what was said, and what an operator does about it. Works beside a running `serve`, which notices
//! within a second.

use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::columns::{columns, one_line};
use super::{sending, undelivered};
use crate::clock::Time;
use crate::config::{Config, Directory, NumberConfig};
use crate::model::{Address, ContentSid, ConversationId, ShortId};
use crate::store::{AddressRow, ConversationRow, Said, Spoken, Store};
use crate::text;

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
        #[arg(required_unless_present = "file")]
        text: Option<String>,
        /// A picture, document, film or sound that goes with it
        #[arg(long, value_name = "PATH")]
        file: Option<PathBuf>,
    },
    /// Send an approved template, also after WhatsApp's 24 hours; who answers stays as it is
    Template {
        /// The conversation: its id, or the beginning or end of it
        #[arg(value_parser = id)]
        id: ShortId,
        /// The template's name at Twilio, HX and 32 digits
        #[arg(value_parser = sending::content_sid)]
        content_sid: ContentSid,
        /// What stands in one of its gaps, such as 1=Ana; once for each
        #[arg(long = "var", value_name = "NAME=VALUE", value_parser = sending::variable)]
        variables: Vec<(String, String)>,
    },
    /// End a conversation; the contact's next message begins a new one
    End {
        /// The conversation: its id, or the beginning or end of it
        #[arg(value_parser = id)]
        id: ShortId,
    },
    /// Neither answer nor write to somebody any more
    Block {
        /// A phone number such as +15551234567 or "+49 (0)30 901820", or a business-scoped user ID
        #[arg(value_parser = address)]
        address: Address,
    },
    /// Take a block back
    Unblock {
        /// A phone number such as +15551234567 or "+49 (0)30 901820", or a business-scoped user ID
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
    Address::written(text.strip_prefix("whatsapp:").unwrap_or(text)).map_err(|error| error.to_string())
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
            let addresses = store.addresses(id).await?;
            show(&row.at(now), &addresses, &said, &numbers, json);
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
        Action::Say { id, text, file } => {
            let id = find(&store, id).await?;
            let spoken = match (text, file) {
                (text, Some(file)) => sending::say_with_file(&config, &store, id, text, &file, (until, now)).await?,
                (text, None) => {
                    let text = text.unwrap_or_default();
                    sending::sayable(&text, 0)?;
                    store.say(id, text, until, now).await?
                }
            };
            spoke(&store, id, spoken, json).await?;
        }
        Action::Template { id, content_sid, variables } => {
            let template = sending::template(content_sid, variables)?;
            let id = find(&store, id).await?;
            let (id, spoken) = store.send_template(id, template, now).await?;
            spoke(&store, id, spoken, json).await?;
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

async fn spoke(store: &Store, id: ConversationId, spoken: Spoken, json: bool) -> Result<()> {
    match spoken {
        Spoken::Queued(turn) => told(json, id, json!({ "turn": turn.0 }), &format!("queued as turn {turn}")),
        Spoken::NoConversation => bail!(not_open(store, id).await?),
        Spoken::Silenced => bail!("conversation {id}: the contact opted out or is blocked; nothing may be sent"),
        Spoken::TooLate => bail!(
            "conversation {id}: the contact last wrote 23 hours ago or earlier, and WhatsApp takes no free text after 24 hours; \
             `mynah conversations template` sends what it takes at any time"
        ),
    }
    Ok(())
}

async fn block(store: &Store, address: Address, blocked: bool, now: Time, json: bool) -> Result<()> {
    let shown = address.as_str().to_owned();
    if let Address::Phone(phone) = &address
        && blocked
        && !phone.validates()
    {
        // It may be one that WhatsApp knows all the same, so it is taken as it is.
        eprintln!("{shown}: no country gives out such a number; check its digits");
    }
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

/// An address of the contact, in a line.
fn reached(row: &AddressRow) -> String {
    let seen = row.seen_at.map_or("never seen".to_owned(), |at| format!("seen {at}"));
    let doubt = if row.invalid { ", no country gives out such a number" } else { "" };
    format!("{} ({seen}{doubt})", row.address.as_str())
}

fn show(row: &ConversationRow, addresses: &[AddressRow], list: &[Said], numbers: &Numbers, json: bool) {
    if json {
        let mut document = facts(row, numbers);
        document["addresses"] = addresses
            .iter()
            .map(|row| {
                json!({
                    "kind": row.address.kind(),
                    "value": row.address.as_str(),
                    "seen_at": time(row.seen_at),
                    "validates": !row.invalid,
                })
            })
            .collect();
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
    for row in addresses {
        println!("{}", reached(row));
    }
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
