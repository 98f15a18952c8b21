//! The store: the only place with SQL.
//!
//! One file per noun, each with its statements as constants beside the functions that map their rows. Every public
//! method is one transaction: it either happened and is durable, or it did not happen. To add a noun: a file with an
//! `impl Store` in the room it belongs to, a migration, and its promises in `tests/store`. Statements are `const NAME: &str`, so
//! that `query_plans.rs` finds them and proves that they need no full scan.
//!
//! The rooms, lowest first; a room imports only those above it in this table (`tests/api/structure` reads it):
//!
//! | room | holds |
//! | --- | --- |
//! | `database` | the seam: transactions, rows, ids, errors, the lock on the folder, [`Store`] |
//! | `sqlite` | that seam over SQLite: one writer, several readers, migrations |
//! | `operations` | alerts, budgets, retention, the schedule, settings, secrets, files |
//! | `contacts` | who wrote, merging, opt-out, blocking |
//! | `conversations` | listing, transcript, context window, ending |
//! | `queue` | turns and parts: claims, outcomes, recovery, jobs |
//! | `inbound` | receiving, catch-up, attachments, the webhook log |
//! | `outbound` | replies, parts, reconciling, delivery statuses, templates |

mod contacts;
mod conversations;
mod database;
mod inbound;
mod operations;
mod outbound;
#[cfg(test)]
mod query_plans;
mod queue;
mod sqlite;
#[cfg(test)]
mod tests;

pub use self::contacts::addresses::AddressRow;
pub use self::conversations::listing::ConversationRow;
pub use self::conversations::transcript::{AttachmentRow, TranscriptLine, Undelivered};
pub use self::conversations::window::{WindowLine, keep_whole_exchanges};
pub use self::database::{ByNumber, FolderLock, LockError, Store, StoreError, StoreOptions};
pub use self::inbound::admission::{Admission, MissedWebhook, ReceiveOutcome, Received, SenderStatus};
pub use self::inbound::attachments::{AttachmentOutcome, ModelPicture, StoredAttachment};
pub use self::inbound::catch_up::CatchUpProgress;
pub use self::inbound::unread_attachments::UnreadAttachment;
pub use self::inbound::webhook_log::WebhookRecord;
pub use self::operations::alerts::Alert;
pub use self::operations::schedule::ScheduledJob;
pub use self::operations::settings::stored_settings;
pub use self::outbound::delivery_status::StatusOutcome;
pub use self::outbound::drafts::Draft;
pub use self::outbound::operator_messages::OperatorMessageOutcome;
pub use self::outbound::parts::{PartSentOutcome, PartSplitOutcome};
pub use self::outbound::reconcile::LookupOutcome;
pub use self::outbound::reply::{HandOver, Reply, StoredReply};
pub use self::queue::claims::Claims;
pub use self::queue::jobs::{Backlog, JobRow, RequeueOutcome};
pub use self::queue::limits::{MAX_PARTS_PER_TEXT, SEND_WITHIN};
pub use self::queue::lookup_claims::{FIRST_LOOKUP_DELAY, LookupClaim};
pub use self::queue::part_claims::PartClaim;
pub use self::queue::recovery::RecoveryReport;
pub use self::queue::request::BuiltInRequest;
pub use self::queue::reservations::Reservation;
pub use self::queue::turns::TurnClaim;
