//! `mynah conversations`: shows conversations and acts on them for an operator. Works while `serve` runs, which picks
//! up changes within a second.

use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::transcript::{ConfiguredNumbers, json_time, print_conversation, print_list};
use super::{operator_messages, personal_data, who};
use crate::app;
use crate::clock::Time;
use crate::config::Config;
use crate::model::{Address, ContentSid, ConversationId, PersonQuery, ShortId};
use crate::store::{OperatorMessageOutcome, Store};

/// How many messages of a transcript are shown, the latest.
const MAX_MESSAGES: i64 = 200;

const EXAMPLES: &str = "Examples:
  mynah conversations list
  mynah conversations show 89ab
  mynah conversations say +15551234567 \"This is Eva, how can I help?\"
  mynah conversations mode \"Ana María\" auto

A conversation is named by its id or four characters of it, by the contact's phone number in any spelling, or by a name \
that only one contact has.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
    /// Print one JSON document on stdout
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List conversations, the newest first
    #[command(after_help = "Examples:\n  mynah conversations list\n  mynah conversations list --limit 10 --json")]
    List {
        /// List only conversations that began before this one
        #[arg(long, value_name = "ID", value_parser = parse_id)]
        before: Option<ShortId>,
        /// The maximum number of conversations
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=1000))]
        limit: i64,
    },
    /// Show a conversation and its latest messages
    #[command(
        after_help = "Examples:\n  mynah conversations show 89ab\n  mynah conversations show +15551234567 --json"
    )]
    Show {
        /// The conversation: its id or four characters of it, the contact's phone number, or their name
        #[arg(value_parser = who::parse)]
        who: PersonQuery,
    },
    /// Set who answers a conversation from now on
    #[command(after_help = "Examples:\n  mynah conversations mode 89ab human\n  mynah conversations mode 89ab auto")]
    Mode {
        /// The conversation: its id or four characters of it, the contact's phone number, or their name
        #[arg(value_parser = who::parse)]
        who: PersonQuery,
        /// `human`: a person answers; `auto`: the assistant answers
        mode: Mode,
    },
    /// Write to the contact as a person; the assistant falls silent
    #[command(after_help = "Examples:
  mynah conversations say 89ab \"This is Eva, how can I help?\"
  mynah conversations say +15551234567 \"Our menu\" --file menu.pdf")]
    Say {
        /// The conversation: its id or four characters of it, the contact's phone number, or their name
        #[arg(value_parser = who::parse)]
        who: PersonQuery,
        /// The text to send
        #[arg(required_unless_present = "file")]
        text: Option<String>,
        /// A picture, a document, a video or a sound to send, with or without text
        #[arg(long, value_name = "PATH")]
        file: Option<PathBuf>,
    },
    /// Send an approved template, also after WhatsApp's 24 hours; this does not change who answers
    #[command(after_help = "Example:
  mynah conversations template 89ab HX00000000000000000000000000000001 \\
      --var 1=Ana --var 2=Monday")]
    Template {
        /// The conversation: its id or four characters of it, the contact's phone number, or their name
        #[arg(value_parser = who::parse)]
        who: PersonQuery,
        /// The template's ContentSid at Twilio: HX and 32 hexadecimal digits
        #[arg(value_parser = operator_messages::parse_content_sid)]
        content_sid: ContentSid,
        /// The value of one variable of the template, such as 1=Ana; repeat for each variable
        #[arg(long = "var", value_name = "NAME=VALUE", value_parser = operator_messages::parse_variable)]
        variables: Vec<(String, String)>,
    },
    /// End a conversation; the contact's next message begins a new one
    #[command(after_help = "Example:\n  mynah conversations end 89ab")]
    End {
        /// The conversation: its id or four characters of it, the contact's phone number, or their name
        #[arg(value_parser = who::parse)]
        who: PersonQuery,
    },
    /// Block somebody: mynah stores what they write, but sends them nothing
    #[command(after_help = "Examples:
  mynah conversations block +15551234567
  mynah conversations block \"+49 (0)30 901820\"
  mynah conversations block \"Ana María\"")]
    Block {
        /// A phone number or a user ID, known or not, or a contact's name or the id of a conversation
        #[arg(value_parser = who::parse_address_or_person)]
        who: PersonQuery,
    },
    /// Remove a block
    #[command(after_help = "Example:\n  mynah conversations unblock +15551234567")]
    Unblock {
        /// A phone number or a user ID, known or not, or a contact's name or the id of a conversation
        #[arg(value_parser = who::parse_address_or_person)]
        who: PersonQuery,
    },
    /// Write everything that is held on a person to a folder, for the person
    ///
    /// The folder contains person.json and the person's files. With --json and without --output, the document goes to
    /// stdout instead, and no files are written.
    #[command(after_help = personal_data::EXPORT_EXAMPLES)]
    Export(personal_data::ExportArguments),
    /// Erase everything that is held on a person, for good, and prove it
    ///
    /// This removes the contact with all conversations, files, alerts and logged webhooks, also beside a running
    /// `serve`. Then it searches the bytes of the database for each address and the name. Only a keyed hash of each
    /// address stays, so that a STOP or a block stays in force if the person writes again.
    #[command(after_help = personal_data::ERASE_EXAMPLES)]
    Erase(personal_data::EraseArguments),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    Human,
    Auto,
}

fn parse_id(text: &str) -> Result<ShortId, String> {
    let expected =
        "expected a conversation id, or four or more characters of its beginning or end; `list` shows the ids";
    ShortId::parse(text).ok_or_else(|| expected.into())
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
                Some(before) => Some(who::find_by_id(&store, before).await?),
                None => None,
            };
            let rows = store.conversations(before, limit).await?;
            print_list(&rows.into_iter().map(|row| row.as_of(now)).collect::<Vec<_>>(), &numbers, json);
        }
        Action::Show { who } => {
            let id = who::find_conversation(&store, &who).await?;
            let (row, messages) =
                store.conversation(id, MAX_MESSAGES).await?.ok_or_else(|| no_such_conversation(id))?;
            let addresses = store.contact_addresses(id).await?;
            print_conversation(&row.as_of(now), &addresses, &messages, (&numbers, &app::media_files(&config)), json);
        }
        Action::Mode { who, mode } => {
            let id = who::find_conversation(&store, &who).await?;
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
                        "a person answers now",
                    );
                }
                Mode::Auto => print_result(json, id, json!({ "mode": "auto" }), "the assistant answers again"),
            }
        }
        Action::Say { who, text, file } => {
            let id = who::find_conversation(&store, &who).await?;
            let queued = match (text, file) {
                (text, Some(file)) => {
                    operator_messages::queue_file(&config, &store, id, text, &file, (until, now)).await?
                }
                (text, None) => {
                    let text = text.unwrap_or_default();
                    operator_messages::check_sendable_text(&text, 0)?;
                    store.send_operator_message(id, text, until, now).await?
                }
            };
            print_queue_result(&store, id, queued, json).await?;
        }
        Action::Template { who, content_sid, variables } => {
            let template = operator_messages::build_template(content_sid, variables)?;
            let id = who::find_conversation(&store, &who).await?;
            let (id, queued) = store.send_template(id, template, now).await?;
            print_queue_result(&store, id, queued, json).await?;
        }
        Action::End { who } => {
            let id = who::find_conversation(&store, &who).await?;
            if !store.end_conversation(id, now).await? {
                bail!(why_not_open(&store, id).await?);
            }
            print_result(json, id, json!({ "ended_at": now.to_string() }), "ended");
        }
        Action::Block { who } => set_blocked(&config, store, (&who, true), now, json).await?,
        Action::Unblock { who } => set_blocked(&config, store, (&who, false), now, json).await?,
        Action::Erase(arguments) => personal_data::erase(&config, store, arguments, json).await?,
        Action::Export(arguments) => personal_data::export(&config, &store, arguments, json).await?,
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
            bail!("conversation {id}: the contact opted out or is blocked, so mynah sends nothing")
        }
        OperatorMessageOutcome::TooLate => bail!(
            "conversation {id}: the contact last wrote 23 hours ago or earlier, and WhatsApp accepts no free text \
             after 24 hours; send a template with `mynah conversations template`, which WhatsApp accepts at any time"
        ),
    }
    Ok(())
}

async fn set_blocked(
    config: &Config,
    store: Store,
    (who, blocked): (&PersonQuery, bool),
    now: Time,
    json: bool,
) -> Result<()> {
    // A block of somebody who was erased is kept under a key.
    let store = app::with_erasure_key(store, &config.data, super::clock().as_ref()).await?;
    let address = who::find_address(&store, who).await?;
    let shown = address.as_str().to_owned();
    if let Address::Phone(phone) = &address
        && blocked
        && !phone.is_valid()
    {
        // WhatsApp may know this number all the same, so it is accepted as it is.
        eprintln!("note: {shown}: no country assigns such a number; check its digits");
    }
    store.set_blocked(address, blocked, now).await?;
    if json {
        println!("{:#}", json!({ "address": shown, "blocked": blocked }));
    } else {
        println!("{shown} is {}", if blocked { "blocked" } else { "no longer blocked" });
    }
    Ok(())
}

fn no_such_conversation(id: ConversationId) -> anyhow::Error {
    anyhow!("there is no conversation {id}; `mynah conversations list` shows the ids")
}

/// Returns why a command did nothing to a conversation.
async fn why_not_open(store: &Store, id: ConversationId) -> Result<String> {
    Ok(match store.conversation(id, 1).await? {
        Some((row, _)) => match row.ended_at {
            Some(at) => format!("conversation {id} ended at {at}"),
            None => format!("conversation {id} changed at this moment; try again"),
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
