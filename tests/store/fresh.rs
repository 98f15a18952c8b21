//! A fresh store with the words that promises are written in.

use std::any::Any;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use mynah::clock::Time;
use mynah::model::{
    Address, Command, ConversationId, DeliveryStatus, Identity, Inbound, PartRef, ProviderId, StatusUpdate, TurnId,
    Usage,
};
use mynah::store::{
    Admission, LookupClaim, PartClaim, PartSentOutcome, ReceiveOutcome, Reply, RequeueOutcome, StatusOutcome, Store,
    StoreOptions, TurnClaim, WebhookRecord,
};

/// When each promise begins.
pub const START: Time = Time(1_790_000_000_000);

/// How long a new turn waits for more.
pub const MERGE: Duration = Duration::from_millis(1_000);

/// One of our numbers.
pub const OURS: &str = "whatsapp:+14155238886";

/// The contact of promises about one contact.
pub const ANN: &str = "+15550000001";

/// Another one.
pub const BEN: &str = "+15550000002";

/// `START` and so many milliseconds.
pub const fn at(millis: i64) -> Time {
    Time(START.0 + millis)
}

/// Runs a `SELECT` beside the store.
pub type Reads = Arc<dyn Fn(&str) -> Vec<String> + Send + Sync>;

/// Writes around the store.
pub type Writes = Arc<dyn Fn(&str) + Send + Sync>;

/// Opens the same database once more.
pub type Opens = Arc<dyn Fn(StoreOptions) -> Store + Send + Sync>;

/// What most promises are about.
pub const OPTIONS: StoreOptions = StoreOptions::new(MERGE, Duration::from_secs(7 * 86_400));

/// A store that nobody has used.
pub struct Fresh {
    store: Store,
    opens: Opens,
    reads: Reads,
    writes: Writes,
    poison: &'static str,
    /// What has to live as long as the store, such as its folder. Dropped after the store.
    pub keep: Box<dyn Any + Send + Sync>,
}

impl Deref for Fresh {
    type Target = Store;
    fn deref(&self) -> &Store {
        &self.store
    }
}

impl Fresh {
    /// `opens` opens the database, which is empty; `reads` runs a `SELECT` beside the store and gives rows as `a|b|c`,
    /// NULL as `-`, bytes in hex; `writes` writes beside it. `poison` is SQL that has the database refuse webhook log
    /// entries with the body `poison`.
    pub fn new(
        opens: Opens,
        reads: Reads,
        writes: Writes,
        poison: &'static str,
        keep: Box<dyn Any + Send + Sync>,
    ) -> Fresh {
        Fresh { store: opens(OPTIONS), opens, reads, writes, poison, keep }
    }

    /// The same database by other options.
    pub fn with(&self, options: StoreOptions) -> Fresh {
        let (opens, reads, writes) = (Arc::clone(&self.opens), Arc::clone(&self.reads), Arc::clone(&self.writes));
        Fresh { store: opens(options), opens, reads, writes, poison: self.poison, keep: Box::new(()) }
    }

    /// What is committed.
    pub fn rows(&self, sql: &str) -> Vec<String> {
        (self.reads)(sql)
    }

    /// From now on a webhook log entry with the body `poison` is refused.
    pub fn poison(&self) {
        self.meddle(self.poison);
    }

    /// Writes around the store.
    pub fn meddle(&self, sql: &str) {
        (self.writes)(sql);
    }

    /// Rows of a table.
    pub fn count(&self, table: &str) -> usize {
        self.rows(&format!("SELECT COUNT(*) FROM {table}"))[0].parse().unwrap()
    }

    /// All that a write could have changed.
    pub fn everything(&self) -> Vec<String> {
        let all = ["contacts", "addresses", "conversations", "messages", "turns", "parts"];
        all.iter().flat_map(|table| self.rows(&format!("SELECT '{table}', t.* FROM {table} t ORDER BY 2, 3"))).collect()
    }

    /// The state of a turn.
    pub fn turn_state(&self, turn: TurnId) -> String {
        self.rows(&format!("SELECT state FROM turns WHERE id = {turn}")).remove(0)
    }

    /// The states of a turn's parts, in order.
    pub fn part_states(&self, turn: TurnId) -> String {
        self.rows(&format!("SELECT state FROM parts WHERE turn_id = {turn} ORDER BY number")).join(" ")
    }

    /// A part's delivery status and error code.
    pub fn delivery(&self, part: PartRef) -> String {
        let PartRef { turn, number } = part;
        self.rows(&format!("SELECT status, error_code FROM parts WHERE turn_id = {turn} AND number = {number}"))
            .remove(0)
    }

    /// A message arrives; its turn.
    pub async fn said(&self, from: &str, id: &str, when: Time) -> TurnId {
        match self.receive_plain(inbound(from, id, when), None).await.unwrap() {
            ReceiveOutcome::Queued(turn) => turn,
            ReceiveOutcome::Skipped(_) | ReceiveOutcome::Duplicate => panic!("{id} is known"),
        }
    }

    /// A message arrives of which that was found out before; what became of it.
    pub async fn met(&self, from: &str, id: &str, when: Time, reception: Admission) -> ReceiveOutcome {
        self.receive(inbound(from, id, when), None, reception).await.unwrap().outcome
    }

    /// A word that no model answers arrives; its turn.
    pub async fn asked(&self, from: &str, id: &str, when: Time, command: Command) -> TurnId {
        match self.met(from, id, when, Admission { command: Some(command), ..Admission::default() }).await {
            ReceiveOutcome::Queued(turn) => turn,
            other => panic!("{id}: {other:?}"),
        }
    }

    /// Why a turn was not answered.
    pub fn why(&self, turn: TurnId) -> String {
        self.rows(&format!("SELECT error FROM turns WHERE id = {turn}")).remove(0)
    }

    /// Turns that are due.
    pub async fn due_turns(&self, now: Time) -> Vec<TurnClaim> {
        let claims = self.claim(now, 100, 100).await.unwrap();
        assert_eq!((&claims.parts, &claims.lookups), (&vec![], &vec![]), "only turns were to be due");
        claims.turns
    }

    /// The one turn that is due, and nothing else.
    pub async fn due_turn(&self, now: Time) -> TurnClaim {
        let mut turns = self.due_turns(now).await;
        assert_eq!(turns.len(), 1, "one turn was to be due");
        turns.remove(0)
    }

    /// The one part that is due, and nothing else.
    pub async fn due_part(&self, now: Time) -> PartClaim {
        let mut claims = self.claim(now, 100, 100).await.unwrap();
        assert_eq!((claims.turns.len(), claims.lookups.len(), claims.parts.len()), (0, 0, 1), "{claims:?}");
        claims.parts.remove(0)
    }

    /// The one part to be looked for, and nothing else.
    pub async fn due_look(&self, now: Time) -> LookupClaim {
        let mut claims = self.claim(now, 100, 100).await.unwrap();
        assert_eq!((claims.turns.len(), claims.parts.len(), claims.lookups.len()), (0, 0, 1), "{claims:?}");
        claims.lookups.remove(0)
    }

    /// Nothing is due.
    pub async fn nothing_due(&self, now: Time) {
        let claims = self.claim(now, 100, 100).await.unwrap();
        assert!(claims.is_empty(), "{claims:?}");
    }

    /// A contact wrote and the turn is claimed, at `START` and one merge window.
    pub async fn started(&self, from: &str) -> TurnClaim {
        self.said(from, &format!("SM-first-of-{from}"), START).await;
        self.due_turn(START + MERGE).await
    }

    /// The model answered: the first part and its token. At the claim's moment in promises that begin with `started`.
    pub async fn answer(&self, claim: &TurnClaim, parts: &[&str]) -> (PartRef, i64) {
        self.answer_at(claim, parts, START + MERGE).await
    }

    /// The model answered at that time.
    pub async fn answer_at(&self, claim: &TurnClaim, parts: &[&str], now: Time) -> (PartRef, i64) {
        let parts: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
        let reply = answer(&parts.join(" "));
        let replied = self.reply(claim, reply, parts, now).await.unwrap().expect("a claim that holds");
        (replied.part, replied.token)
    }

    /// The provider took the part.
    pub async fn sent(&self, part: PartRef, token: i64, id: &str, now: Time) -> bool {
        self.mark_part_sent(part, token, sid(id), now).await.unwrap() != PartSentOutcome::StaleClaim
    }

    /// The provider took the part and handed it on, so that the next one is due.
    pub async fn handed_on(&self, part: PartRef, token: i64, id: &str, now: Time) -> bool {
        self.sent(part, token, id, now).await && self.told(news(id, DeliveryStatus::Sent, None), now).await
    }

    /// Whether a turn is answered again.
    pub async fn revived(&self, turn: TurnId, now: Time) -> bool {
        self.requeue(turn, now).await.unwrap() == RequeueOutcome::Requeued
    }

    /// News arrives; whether it is about a message of ours.
    pub async fn told(&self, update: StatusUpdate, now: Time) -> bool {
        !matches!(self.apply_status(update, None, now).await.unwrap(), StatusOutcome::NotOurs | StatusOutcome::PartGone)
    }

    /// One part of which nobody knows whether it was created, to be looked for at `at(3_000)`. The rest wait.
    pub async fn lost(&self, from: &str, parts: &[&str]) -> (TurnClaim, PartRef) {
        let claim = self.started(from).await;
        let (part, token) = self.answer(&claim, parts).await;
        let due = START + MERGE + mynah::store::FIRST_LOOKUP_DELAY;
        assert!(self.mark_part_unknown(part, token, due, "the answer did not come".into()).await.unwrap());
        (claim, part)
    }

    /// The window of a claim's turn as `role: text`.
    pub async fn heard(&self, conversation: ConversationId, turn: TurnId, most: usize) -> Vec<String> {
        let lines = self.context_window(conversation, turn, most).await.unwrap();
        lines.into_iter().map(|line| format!("{}: {}", line.role.as_str(), line.content)).collect()
    }
}

/// A provider's id.
pub fn sid(id: &str) -> ProviderId {
    ProviderId(id.to_owned())
}

/// A message whose text is its id, from one address or two with a blank between; the first is where the answer goes.
pub fn inbound(from: &str, id: &str, when: Time) -> Inbound {
    let (first, second) = from.split_once(' ').map_or((from, None), |(first, second)| (first, Some(second)));
    Inbound {
        channel: "twilio",
        provider_id: sid(id),
        from: Identity::from(Address::parse(first).unwrap())
            .with_address(second.map(|text| Address::parse(text).unwrap())),
        reply_to: format!("whatsapp:{first}"),
        to: OURS.into(),
        profile_name: Some("Ann".into()),
        text: id.into(),
        attachments: Vec::new(),
        quoted_id: None,
        keyword_text: id.into(),
        metadata: serde_json::Map::new(),
        received_at: when,
    }
}

/// The log of a webhook.
pub fn record(body: &str) -> WebhookRecord {
    WebhookRecord {
        channel: "twilio",
        received_at: START,
        path: "/webhooks/twilio".into(),
        headers: "{}".into(),
        body: body.into(),
        status: 200,
        began: std::time::Instant::now(),
        error: None,
    }
}

/// What a model said.
pub fn answer(text: &str) -> Reply {
    let usage = Usage { input_tokens: 11, output_tokens: 7, estimated: false };
    Reply::Answer { text: text.into(), model: "parrot-1".into(), usage, cost: 0, hand_over: None }
}

/// News of a message that was sent.
pub fn news(id: &str, status: DeliveryStatus, reference: Option<PartRef>) -> StatusUpdate {
    StatusUpdate {
        channel: "twilio",
        provider_id: sid(id),
        from: OURS.into(),
        status: Some(status),
        reference,
        error_code: None,
        error_message: None,
    }
}
