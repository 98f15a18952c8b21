//! An empty store, and the steps that promises are written with.

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
    Admission, ErasureKey, LookupClaim, PartClaim, PartSentOutcome, ReceiveOutcome, Reply, RequeueOutcome,
    StatusOutcome, Store, StoreOptions, TurnClaim, WebhookRecord,
};

/// When each promise begins.
pub const START: Time = Time(1_790_000_000_000);

/// How long a new turn waits for more.
pub const MERGE_WINDOW: Duration = Duration::from_millis(1_000);

/// One of our numbers.
pub const OUR_NUMBER: &str = "whatsapp:+14155238886";

/// The contact of promises about one contact.
pub const ANN: &str = "+15550000001";

/// Another one.
pub const BEN: &str = "+15550000002";

/// `START` plus so many milliseconds.
pub const fn at(millis: i64) -> Time {
    Time(START.0 + millis)
}

/// Runs a `SELECT` beside the store.
pub type RunSelect = Arc<dyn Fn(&str) -> Vec<String> + Send + Sync>;

/// Writes around the store.
pub type RunStatement = Arc<dyn Fn(&str) + Send + Sync>;

/// Opens the same database once more.
pub type OpenStore = Arc<dyn Fn(StoreOptions) -> Store + Send + Sync>;

/// The options of most promises.
pub const DEFAULT_OPTIONS: StoreOptions = StoreOptions::new(MERGE_WINDOW, Duration::from_secs(7 * 86_400));

/// A store that nobody has used.
pub struct FreshStore {
    store: Store,
    open_store: OpenStore,
    run_select: RunSelect,
    run_statement: RunStatement,
    poison_trigger: &'static str,
    /// What has to live as long as the store, such as its folder. Dropped after the store.
    pub keep: Box<dyn Any + Send + Sync>,
}

impl Deref for FreshStore {
    type Target = Store;
    fn deref(&self) -> &Store {
        &self.store
    }
}

impl FreshStore {
    /// `opens` opens the database, which is empty; `reads` runs a `SELECT` beside the store and gives rows as `a|b|c`,
    /// NULL as `-`, bytes in hex; `writes` writes beside it. `poison` is SQL that has the database refuse webhook log
    /// entries with the body `poison`.
    pub fn new(
        open_store: OpenStore,
        run_select: RunSelect,
        run_statement: RunStatement,
        poison_trigger: &'static str,
        keep: Box<dyn Any + Send + Sync>,
    ) -> FreshStore {
        FreshStore { store: open_store(DEFAULT_OPTIONS), open_store, run_select, run_statement, poison_trigger, keep }
    }

    /// The same database with other options.
    pub fn with_options(&self, options: StoreOptions) -> FreshStore {
        let (opens, reads, writes) =
            (Arc::clone(&self.open_store), Arc::clone(&self.run_select), Arc::clone(&self.run_statement));
        FreshStore {
            store: opens(options),
            open_store: opens,
            run_select: reads,
            run_statement: writes,
            poison_trigger: self.poison_trigger,
            keep: Box::new(()),
        }
    }

    /// The same database, under the key by which erased persons are recognized.
    pub fn with_erasure_key(&self) -> FreshStore {
        let fresh = self.with_options(DEFAULT_OPTIONS);
        FreshStore { store: fresh.store.with_erasure_key(ErasureKey::derive(&[7; 32])), ..fresh }
    }

    /// Everything that is stored, as one text.
    pub fn whole_content(&self) -> String {
        let tables = self.rows("SELECT name FROM sqlite_schema WHERE type = 'table'");
        tables.iter().flat_map(|table| self.rows(&format!("SELECT * FROM {table}"))).collect::<Vec<_>>().join("\n")
    }

    /// What is committed.
    pub fn rows(&self, sql: &str) -> Vec<String> {
        (self.run_select)(sql)
    }

    /// From now on a webhook log entry with the body `poison` is refused.
    pub fn install_poison_trigger(&self) {
        self.execute_sql(self.poison_trigger);
    }

    /// Writes around the store.
    pub fn execute_sql(&self, sql: &str) {
        (self.run_statement)(sql);
    }

    /// Rows of a table.
    pub fn count(&self, table: &str) -> usize {
        self.rows(&format!("SELECT COUNT(*) FROM {table}"))[0].parse().unwrap()
    }

    /// All that a write could have changed.
    pub fn all_rows(&self) -> Vec<String> {
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
    pub fn delivery_status(&self, part: PartRef) -> String {
        let PartRef { turn, number } = part;
        self.rows(&format!("SELECT status, error_code FROM parts WHERE turn_id = {turn} AND number = {number}"))
            .remove(0)
    }

    /// A message arrives; returns its turn.
    pub async fn contact_writes(&self, from: &str, id: &str, when: Time) -> TurnId {
        match self.receive_plain(inbound(from, id, when), None).await.unwrap() {
            ReceiveOutcome::Queued(turn) => turn,
            ReceiveOutcome::Skipped(_) | ReceiveOutcome::Duplicate => panic!("{id} is known"),
        }
    }

    /// A message arrives with this admission; returns what became of it.
    pub async fn contact_writes_with(&self, from: &str, id: &str, when: Time, admission: Admission) -> ReceiveOutcome {
        self.receive(inbound(from, id, when), None, admission).await.unwrap().outcome
    }

    /// A command arrives, which no model answers; returns its turn.
    pub async fn contact_sends_command(&self, from: &str, id: &str, when: Time, command: Command) -> TurnId {
        match self
            .contact_writes_with(from, id, when, Admission { command: Some(command), ..Admission::default() })
            .await
        {
            ReceiveOutcome::Queued(turn) => turn,
            other => panic!("{id}: {other:?}"),
        }
    }

    /// Why a turn was not answered.
    pub fn turn_error(&self, turn: TurnId) -> String {
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

    /// The one part to look up, and nothing else.
    pub async fn due_lookup(&self, now: Time) -> LookupClaim {
        let mut claims = self.claim(now, 100, 100).await.unwrap();
        assert_eq!((claims.turns.len(), claims.parts.len(), claims.lookups.len()), (0, 0, 1), "{claims:?}");
        claims.lookups.remove(0)
    }

    /// Nothing is due.
    pub async fn assert_nothing_due(&self, now: Time) {
        let claims = self.claim(now, 100, 100).await.unwrap();
        assert!(claims.is_empty(), "{claims:?}");
    }

    /// A contact wrote and the turn is claimed, at `START` and one merge window.
    pub async fn claimed_turn(&self, from: &str) -> TurnClaim {
        self.contact_writes(from, &format!("SM-first-of-{from}"), START).await;
        self.due_turn(START + MERGE_WINDOW).await
    }

    /// The model answered: the first part and its token. At the time of the claim in promises that begin with
    /// `claimed_turn`.
    pub async fn answer(&self, claim: &TurnClaim, parts: &[&str]) -> (PartRef, i64) {
        self.answer_at(claim, parts, START + MERGE_WINDOW).await
    }

    /// The model answered at that time.
    pub async fn answer_at(&self, claim: &TurnClaim, parts: &[&str], now: Time) -> (PartRef, i64) {
        let parts: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
        let reply = answer(&parts.join(" "));
        let replied = self.reply(claim, reply, parts, now).await.unwrap().expect("a claim that holds");
        (replied.part, replied.token)
    }

    /// The provider accepted the part.
    pub async fn provider_accepts(&self, part: PartRef, token: i64, id: &str, now: Time) -> bool {
        self.mark_part_sent(part, token, sid(id), now).await.unwrap() != PartSentOutcome::StaleClaim
    }

    /// The provider accepted the part and handed it on, so the next one is due.
    pub async fn provider_hands_on(&self, part: PartRef, token: i64, id: &str, now: Time) -> bool {
        self.provider_accepts(part, token, id, now).await
            && self.status_arrives(status_update(id, DeliveryStatus::Sent, None), now).await
    }

    /// Whether a turn is answered again.
    pub async fn is_requeued(&self, turn: TurnId, now: Time) -> bool {
        self.requeue(turn, now).await.unwrap() == RequeueOutcome::Requeued
    }

    /// A delivery status arrives; whether it is about a message of ours.
    pub async fn status_arrives(&self, update: StatusUpdate, now: Time) -> bool {
        !matches!(self.apply_status(update, None, now).await.unwrap(), StatusOutcome::NotOurs | StatusOutcome::PartGone)
    }

    /// One unknown part, to be looked up at `at(3_000)`. The rest wait.
    pub async fn unknown_part(&self, from: &str, parts: &[&str]) -> (TurnClaim, PartRef) {
        let claim = self.claimed_turn(from).await;
        let (part, token) = self.answer(&claim, parts).await;
        let due = START + MERGE_WINDOW + mynah::store::FIRST_LOOKUP_DELAY;
        assert!(self.mark_part_unknown(part, token, due, "the answer did not come".into()).await.unwrap());
        (claim, part)
    }

    /// The window of a claim's turn as `role: text`.
    pub async fn window_lines(&self, conversation: ConversationId, turn: TurnId, most: usize) -> Vec<String> {
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
        to: OUR_NUMBER.into(),
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
pub fn webhook_record(body: &str) -> WebhookRecord {
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

/// A delivery status of a message that was sent.
pub fn status_update(id: &str, status: DeliveryStatus, reference: Option<PartRef>) -> StatusUpdate {
    StatusUpdate {
        channel: "twilio",
        provider_id: sid(id),
        from: OUR_NUMBER.into(),
        status: Some(status),
        reference,
        error_code: None,
        error_message: None,
    }
}
