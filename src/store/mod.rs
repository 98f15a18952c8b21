//! The store: the only module with SQL.
//!
//! Each noun has a file, which holds its statements as constants beside the functions that map their rows. A public
//! method is one transaction: either all of it took effect and is durable, or nothing did. A method that differs says
//! so: some run several transactions, and some do not wait for the disk. To add a noun, add a file with an `impl Store`
//! to the folder it belongs to, a migration, and tests in `tests/store`. Statements are `const NAME: &str`, so that
//! `query_plans.rs` finds them and checks that they need no full scan.
//!
//! The folders, lowest first. A folder imports only folders above it in this table (`tests/api/structure` checks that).
//!
//! | folder | holds |
//! | --- | --- |
//! | `database` | the interface to the database: transactions, rows, ids, errors, the folder lock, [`Store`] |
//! | `sqlite` | its implementation for SQLite: one writer, several readers, migrations |
//! | `operations` | alerts, budgets, retention, the schedule, settings, secrets, files |
//! | `contacts` | who wrote, merging, opt-out, blocking |
//! | `conversations` | listing, transcript, context window, ending |
//! | `queue` | turns and parts: claim, settle, recover, jobs |
//! | `inbound` | receive, catch-up, attachments, the webhook log |
//! | `outbound` | replies, parts, reconcile, delivery statuses, templates |
//! | `people` | finding a person, and everything that is held on them |

mod contacts;
mod conversations;
mod database;
mod inbound;
mod operations;
mod outbound;
mod people;
#[cfg(test)]
mod query_plans;
mod queue;
mod sqlite;
#[cfg(test)]
mod tests;

pub use self::contacts::addresses::AddressRow;
pub use self::contacts::reachability::Reachability;
pub use self::conversations::context_window::{WindowLine, keep_whole_exchanges};
pub use self::conversations::listing::ConversationRow;
pub use self::conversations::transcript::{AttachmentRow, TranscriptLine, Undelivered};
pub use self::database::{DatabaseSize, ErasureKey, FolderLock, LockError, PerNumber, Store, StoreError, StoreOptions};
pub use self::inbound::admission::{Admission, MissedWebhook, ReceiveOutcome, Received, SenderStatus};
pub use self::inbound::attachments::{AttachmentOutcome, ModelPicture, StoredAttachment};
pub use self::inbound::catch_up::CatchUpProgress;
pub use self::inbound::unread_attachments::UnreadAttachment;
pub use self::inbound::webhook_log::WebhookRecord;
pub use self::operations::admin_sessions::{
    AdminSession, IDLE_LIMIT, NewSession, REMEMBERED_LIMIT, SESSION_LIMIT, TokenHash,
};
pub use self::operations::alert_deliveries::{AlertDelivery, DeliveryRow};
pub use self::operations::alerts::Alert;
pub use self::operations::configuration::{StoredConfiguration, stored_configuration};
pub use self::operations::erased::{ErasedAddress, erased_addresses_in};
pub use self::operations::schedule::ScheduledJob;
pub use self::operations::secrets::SealedSecret;
pub use self::outbound::answered_elsewhere::AnswerCheck;
pub use self::outbound::delivery_status::StatusOutcome;
pub use self::outbound::drafts::Draft;
pub use self::outbound::operator_messages::OperatorMessageOutcome;
pub use self::outbound::parts::{PartSentOutcome, PartSplitOutcome};
pub use self::outbound::reconcile::LookupOutcome;
pub use self::outbound::reply::{HandOver, Reply, StoredReply};
pub use self::people::erase::{Deleted, Erasure, UnfinishedErasure};
pub use self::people::find::Person;
pub use self::people::mentions::Mention;
pub use self::people::records::{ConversationRecord, FileRecord, PersonRecord, WebhookLogOfPerson};
pub use self::queue::budget_reservations::Reservation;
pub use self::queue::built_in_request::BuiltInRequest;
pub use self::queue::claims::Claims;
pub use self::queue::jobs::{Backlog, JobRow, RequeueOutcome};
pub use self::queue::limits::{MAX_PARTS_PER_TEXT, SEND_WITHIN};
pub use self::queue::part_claims::PartClaim;
pub use self::queue::reconcile_claims::{FIRST_LOOKUP_DELAY, LookupClaim};
pub use self::queue::recovery::RecoveryReport;
pub use self::queue::restored_work::RestoredWork;
pub use self::queue::statistics::QueueStatistics;
pub use self::queue::turns::TurnClaim;
pub use self::sqlite::{
    CopyError, DatabaseCopy, Inspection, check_whole, copy_database, files_in_copy, inspect, is_in_use,
};
