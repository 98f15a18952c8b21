//! `mynah conversations`: what was said, and what an operator does about it. Works beside a running `serve`, which notices
//! within a second.

use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::operator_messages;
use super::transcript::{ConfiguredNumbers, json_time, print_conversation, print_list};
use crate::app;
use crate::clock::Time;
use crate::config::Config;
use crate::model::{Address, ContentSid, ConversationId, ShortId};
use crate::store::{OperatorMessageOutcome, Store};

/// Messages of a transcript that are shown.
const MAX_MESSAGES: i64 = 200;

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
        #[arg(long, value_name = "ID", value_parser = parse_id)]
        before: Option<ShortId>,
        /// How many at the most
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=1000))]
        limit: i64,
    },
    /// Show a conversation and what was said last in it
    Show {
        /// The conversation: its id, or the beginning or end of it
        #[arg(value_parser = parse_id)]
        id: ShortId,
    },
    /// Say who answers a conversation from now on
    Mode {
        /// The conversation: its id, or the beginning or end of it
        #[arg(value_parser = parse_id)]
        id: ShortId,
        /// `human`: a person; `auto`: the assistant
        mode: Mode,
    },
    /// Write to the contact as a person; the assistant is silent from then on
    Say {
        /// The conversation: its id, or the beginning or end of it
        #[arg(value_parser = parse_id)]
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
        #[arg(value_parser = parse_id)]
        id: ShortId,
        /// The template's name at Twilio, HX and 32 digits
        #[arg(value_parser = operator_messages::parse_content_sid)]
        content_sid: ContentSid,
        /// What stands in one of its gaps, such as 1=Ana; once for each
        #[arg(long = "var", value_name = "NAME=VALUE", value_parser = operator_messages::parse_variable)]
        variables: Vec<(String, String)>,
    },
    /// End a conversation; the contact's next message begins a new one
    End {
        /// The conversation: its id, or the beginning or end of it
        #[arg(value_parser = parse_id)]
        id: ShortId,
    },
    /// Neither answer nor write to somebody any more
    Block {
        /// A phone number such as +15551234567 or "+49 (0)30 901820", or a business-scoped user ID
        #[arg(value_parser = parse_address)]
        address: Address,
    },
    /// Take a block back
    Unblock {
        /// A phone number such as +15551234567 or "+49 (0)30 901820", or a business-scoped user ID
        #[arg(value_parser = parse_address)]
        address: Address,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    Human,
    Auto,
}

fn parse_id(text: &str) -> Result<ShortId, String> {
    let expected =
        "neither the id of a conversation nor four or more characters of its beginning or end; `list` shows them";
    ShortId::parse(text).ok_or_else(|| expected.into())
}

fn parse_address(text: &str) -> Result<Address, String> {
    Address::parse_lenient(text.strip_prefix("whatsapp:").unwrap_or(text)).map_err(|error| error.to_string())
}

pub(super) async fn run(config: Config, arguments: Arguments) -> Result<()> {
    let store = super::open_existing_store(&config)?;
    let now = super::clock().now();
    let until = config.contact_policy.human_return.map(|after| now + after);
    let json = arguments.json;
    let numbers = ConfiguredNumbers::new(&config);
    match arguments.action {
        Action::List { before, limit } => {
            let before = match before {
                Some(before) => Some(find_conversation(&store, before).await?),
                None => None,
            };
            let rows = store.conversations(before, limit).await?;
            print_list(&rows.into_iter().map(|row| row.as_of(now)).collect::<Vec<_>>(), &numbers, json);
        }
        Action::Show { id } => {
            let id = find_conversation(&store, id).await?;
            let (row, said) = store.conversation(id, MAX_MESSAGES).await?.ok_or_else(|| no_such_conversation(id))?;
            let addresses = store.contact_addresses(id).await?;
            print_conversation(&row.as_of(now), &addresses, &said, (&numbers, &app::media_files(&config)), json);
        }
        Action::Mode { id, mode } => {
            let id = find_conversation(&store, id).await?;
            let changed = match mode {
                Mode::Human => {
                    let (row, _) = store.conversation(id, 1).await?.ok_or_else(|| no_such_conversation(id))?;
                    let tell = Some(numbers.number_of(&row).texts.human.clone());
                    store.take_over(id, until, "an operator took over".into(), tell, now).await?
                }
                Mode::Auto => store.return_to_assistant(id).await?,
            };
            if !changed {
                bail!(why_not_open(&store, id).await?);
            }
            match mode {
                Mode::Human => {
                    print_result(
                        json,
                        id,
                        json!({ "mode": "human", "until": json_time(until) }),
                        "a person answers it now",
                    );
                }
                Mode::Auto => print_result(json, id, json!({ "mode": "auto" }), "the assistant answers it again"),
            }
        }
        Action::Say { id, text, file } => {
            let id = find_conversation(&store, id).await?;
            let spoken = match (text, file) {
                (text, Some(file)) => {
                    operator_messages::queue_file(&config, &store, id, text, &file, (until, now)).await?
                }
                (text, None) => {
                    let text = text.unwrap_or_default();
                    operator_messages::check_sendable_text(&text, 0)?;
                    store.send_operator_message(id, text, until, now).await?
                }
            };
            print_queue_result(&store, id, spoken, json).await?;
        }
        Action::Template { id, content_sid, variables } => {
            let template = operator_messages::build_template(content_sid, variables)?;
            let id = find_conversation(&store, id).await?;
            let (id, spoken) = store.send_template(id, template, now).await?;
            print_queue_result(&store, id, spoken, json).await?;
        }
        Action::End { id } => {
            let id = find_conversation(&store, id).await?;
            if !store.end_conversation(id, now).await? {
                bail!(why_not_open(&store, id).await?);
            }
            print_result(json, id, json!({ "ended_at": now.to_string() }), "ended");
        }
        Action::Block { address } => set_blocked(&store, address, true, now, json).await?,
        Action::Unblock { address } => set_blocked(&store, address, false, now, json).await?,
    }
    Ok(())
}

async fn print_queue_result(
    store: &Store,
    id: ConversationId,
    queue_result: OperatorMessageOutcome,
    json: bool,
) -> Result<()> {
    match queue_result {
        OperatorMessageOutcome::Queued(turn) => {
            print_result(json, id, json!({ "turn": turn.0 }), &format!("queued as turn {turn}"));
        }
        OperatorMessageOutcome::NoConversation => bail!(why_not_open(store, id).await?),
        OperatorMessageOutcome::OptedOutOrBlocked => {
            bail!("conversation {id}: the contact opted out or is blocked; nothing may be sent")
        }
        OperatorMessageOutcome::TooLate => bail!(
            "conversation {id}: the contact last wrote 23 hours ago or earlier, and WhatsApp takes no free text after 24 hours; \
             `mynah conversations template` sends what it takes at any time"
        ),
    }
    Ok(())
}

async fn set_blocked(store: &Store, address: Address, blocked: bool, now: Time, json: bool) -> Result<()> {
    let shown = address.as_str().to_owned();
    if let Address::Phone(phone) = &address
        && blocked
        && !phone.is_valid()
    {
        // It may be one that WhatsApp knows all the same, so it is taken as it is.
        eprintln!("{shown}: no country gives out such a number; check its digits");
    }
    store.set_blocked(address, blocked, now).await?;
    if json {
        println!("{:#}", json!({ "address": shown, "blocked": blocked }));
    } else {
        println!("{shown} is {}", if blocked { "blocked" } else { "not blocked any more" });
    }
    Ok(())
}

/// Conversations that fit a piece of an id are counted up to here.
const MAX_COUNTED: usize = 100;

/// The one conversation that is meant.
async fn find_conversation(store: &Store, short: ShortId) -> Result<ConversationId> {
    if let Some(id) = short.full_id() {
        return Ok(id);
    }
    let found = store.conversations_by_short_id(short.clone(), MAX_COUNTED).await?;
    match found.as_slice() {
        [] => bail!("no id of a conversation begins or ends with {short}; `mynah conversations list` shows them"),
        [id] => Ok(*id),
        [first, second, ..] => {
            let more = if found.len() == MAX_COUNTED { " or more" } else { "" };
            bail!(
                "{}{more} conversations have an id that begins or ends with {short}, such as {first} and {second}: write \
                 more of it, best of its end, where ids differ most",
                found.len()
            )
        }
    }
}

fn no_such_conversation(id: ConversationId) -> anyhow::Error {
    anyhow!("there is no conversation {id}; `mynah conversations list` shows them")
}

/// Why nothing was done about a conversation.
async fn why_not_open(store: &Store, id: ConversationId) -> Result<String> {
    Ok(match store.conversation(id, 1).await? {
        Some((row, _)) => match row.ended_at {
            Some(at) => format!("conversation {id} ended at {at}"),
            None => format!("conversation {id} changed in this moment; try again"),
        },
        None => no_such_conversation(id).to_string(),
    })
}

fn print_result(json: bool, id: ConversationId, mut facts: Value, words: &str) {
    if json {
        facts["conversation"] = id.to_string().into();
        println!("{facts:#}");
    } else {
        println!("conversation {id}: {words}");
    }
}
