//! A random walk through everything that can happen, checked after each step (`random_walk_invariants`).
//!
//! Beside the store the test records which parts the provider really created. Answers get lost, callbacks overtake
//! them, workers are stale, the process dies; but no reported status is false, so no part may ever be posted twice.
//! `MYNAH_WALK_SEED` sets another seed, `MYNAH_WALK_STEPS` another number of steps.

use std::collections::BTreeMap;
use std::time::Duration;

use mynah::clock::Time;
use mynah::model::{Address, Command, DeliveryStatus, PartRef, ProviderId, TurnId};
use mynah::store::{
    Admission, Claims, MissedWebhook, PartSentOutcome, PartSplitOutcome, ReceiveOutcome, Reply, SenderStatus,
    StoredReply, TurnClaim,
};

use crate::setup::fresh_store::{FreshStore, MERGE_WINDOW, START, answer, inbound, status_update};

const CONTACTS: u64 = 3;

pub async fn random_histories_keep_the_promises(fresh: &FreshStore) {
    let setting = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let seed = setting("MYNAH_WALK_SEED").unwrap_or(20_260_101);
    let steps = setting("MYNAH_WALK_STEPS").unwrap_or(1_500);
    let mut walk = RandomWalk::new(fresh, seed);
    for step in 0..steps {
        let did = walk.step().await;
        walk.last_step = format!("seed {seed}, step {step}: {did}");
        walk.check_invariants();
    }
    walk.finish_all_turns().await;
    walk.check_invariants();
    walk.check_final_states();
}

/// A post that a worker is making. The worker knows the outcome of this one and of no other.
#[derive(Clone)]
struct PendingPost {
    part: PartRef,
    token: i64,
    text: String,
    created: Option<ProviderId>,
}

pub(super) struct RandomWalk<'a> {
    pub(super) fresh: &'a FreshStore,
    random_state: u64,
    now: Time,
    pub(super) received_messages: Vec<String>,
    /// Claims that workers hold, stale ones included.
    claimed_turns: Vec<TurnClaim>,
    pending_posts: Vec<PendingPost>,
    pending_lookups: Vec<PartRef>,
    /// What the provider really created.
    pub(super) created_at_provider: BTreeMap<PartRef, ProviderId>,
    ids: u64,
    /// How each turn ended.
    pub(super) turn_ends: BTreeMap<i64, String>,
    pub(super) last_step: String,
}

impl<'a> RandomWalk<'a> {
    fn new(fresh: &'a FreshStore, seed: u64) -> RandomWalk<'a> {
        RandomWalk {
            fresh,
            random_state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            now: START,
            received_messages: Vec::new(),
            claimed_turns: Vec::new(),
            pending_posts: Vec::new(),
            pending_lookups: Vec::new(),
            created_at_provider: BTreeMap::new(),
            ids: 0,
            turn_ends: BTreeMap::new(),
            last_step: String::new(),
        }
    }

    /// 0 to `sides - 1` (xorshift64).
    fn roll(&mut self, sides: u64) -> u64 {
        self.random_state ^= self.random_state << 13;
        self.random_state ^= self.random_state >> 7;
        self.random_state ^= self.random_state << 17;
        (self.random_state >> 16) % sides
    }

    fn pick(&mut self, len: usize) -> usize {
        usize::try_from(self.roll(len as u64)).unwrap()
    }

    fn id(&mut self) -> String {
        self.ids += 1;
        format!("SM{}", self.ids)
    }

    async fn step(&mut self) -> String {
        match self.roll(100) {
            0..14 => self.receive_message().await,
            14..34 => self.claim().await,
            34..52 => self.work_on_a_turn().await,
            52..72 => self.settle_a_post().await,
            72..78 => self.settle_a_lookup().await,
            78..83 => self.send_status_callback().await,
            83..85 => self.restart_process().await,
            85..87 => self.end_or_requeue_a_turn().await,
            87..91 => self.act_as_operator().await,
            _ => self.advance_clock(),
        }
    }

    /// A message, sometimes one that was received before.
    async fn receive_message(&mut self) -> String {
        let from = self.random_sender();
        if !self.received_messages.is_empty() && self.roll(4) == 0 {
            let index = self.pick(self.received_messages.len());
            let (id, from) = self.received_messages[index].split_once(' ').unwrap();
            let again = self.fresh.receive_plain(inbound(from, id, self.now), None).await.unwrap();
            assert_eq!(again, ReceiveOutcome::Duplicate, "{}", self.last_step);
            return format!("heard {id} again");
        }
        let id = self.id();
        let mut admission = self.random_admission();
        let mut when = self.now;
        if self.roll(8) == 0 {
            // Its webhook never came; it is found at the provider.
            when = when - Duration::from_secs(30 + self.roll(7_200));
            admission.missed_webhook = Some(MissedWebhook { found_at: self.now, is_too_old: self.roll(4) == 0 });
        }
        let description = format!("{admission:?}");
        let received = self.fresh.receive(inbound(&from, &id, when), None, admission).await.unwrap();
        self.received_messages.push(format!("{id} {from}"));
        format!("heard {id} from {from}: {received:?} by {description}")
    }

    /// One of the contacts, by phone, by user ID or by both; sometimes a number has gone to another person.
    fn random_sender(&mut self) -> String {
        let contact = self.roll(CONTACTS);
        let other = if self.roll(12) == 0 { self.roll(CONTACTS) } else { contact };
        let (phone, id) = (format!("+1555000{contact:04}"), format!("US.{other}"));
        match self.roll(4) {
            0 => phone,
            1 => id,
            2 => format!("{phone} {id}"),
            _ => format!("{id} {phone}"),
        }
    }

    /// Mostly a message like any other.
    fn random_admission(&mut self) -> Admission {
        const COMMANDS: [Command; 6] =
            [Command::OptOut, Command::OptIn, Command::OptIn, Command::Reset, Command::Help, Command::Human];
        Admission {
            account: String::new(),
            command: (self.roll(5) == 0).then(|| COMMANDS[self.pick(COMMANDS.len())]),
            sender: [SenderStatus::Allowed, SenderStatus::Unknown, SenderStatus::HasPairingCode]
                [usize::from(self.roll(8) == 0) * self.pick(3)],
            rate_wait: (self.roll(6) == 0).then(|| Duration::from_secs(self.roll(30))),
            slow_down_notice: (self.roll(2) == 0).then(|| ("Slowly!".to_owned(), Duration::from_secs(60))),
            refusal_text: (self.roll(2) == 0).then(|| "Not for you.".to_owned()),
            restart_running_turn: self.roll(3) == 0,
            missed_webhook: None,
            ..Admission::default()
        }
    }

    /// An operator writes, takes over, returns, ends or blocks.
    async fn act_as_operator(&mut self) -> String {
        let contact = self.roll(CONTACTS);
        let address = Address::parse(&format!("+1555000{contact:04}")).unwrap();
        let conversations = self.fresh.conversations(None, 100).await.unwrap();
        let Some(id) = (!conversations.is_empty()).then(|| conversations[self.pick(conversations.len())].id) else {
            return "nobody to operate on".into();
        };
        let until = (self.roll(2) == 0).then(|| self.now + Duration::from_secs(3_600));
        match self.roll(8) {
            0..3 => {
                format!(
                    "said {:?} in {id}",
                    self.fresh.send_operator_message(id, "Operator.".into(), until, self.now).await.unwrap()
                )
            }
            3 => {
                let tell = (self.roll(2) == 0).then(|| "A person comes.".to_owned());
                format!(
                    "took {id} over: {}",
                    self.fresh.take_over(id, until, "so".into(), tell, self.now).await.unwrap()
                )
            }
            4 => format!("gave {id} back: {}", self.fresh.return_to_assistant(id).await.unwrap()),
            5 => format!("ended {id}: {}", self.fresh.end_conversation(id, self.now).await.unwrap()),
            6 => {
                self.fresh.set_blocked(address, true, self.now).await.unwrap();
                format!("blocked {contact}")
            }
            _ => {
                self.fresh.set_blocked(address, false, self.now).await.unwrap();
                format!("unblocked {contact}")
            }
        }
    }

    async fn claim(&mut self) -> String {
        let most = self.pick(6) + 1;
        let most_turns = self.pick(4);
        let claims = self.fresh.claim(self.now, most_turns, most).await.unwrap();
        let did = format!("claimed {claims:?}");
        self.take_claims(claims);
        did
    }

    fn take_claims(&mut self, claims: Claims) {
        for claim in claims.parts {
            assert!(claim.deadline > self.now, "posted too late after {}", self.last_step);
            let PartRef { turn, number } = claim.outgoing.reference;
            assert!(self.unwanted_turns(turn).is_empty(), "{turn}.{number} is not wanted, after {}", self.last_step);
            let too_soon = format!(
                "SELECT 1 FROM parts WHERE turn_id = {turn} AND number = {number} - 1 AND status_rank < {} AND sent_at > {}",
                DeliveryStatus::Sent.rank(),
                self.now.0 - 3_000
            );
            assert!(self.fresh.rows(&too_soon).is_empty(), "{turn}.{number} may overtake, after {}", self.last_step);
            self.post(claim.outgoing.reference, claim.token, claim.outgoing.text);
        }
        for claim in &claims.turns {
            assert!(
                self.unwanted_turns(claim.turn).is_empty(),
                "{} is not wanted, after {}",
                claim.turn,
                self.last_step
            );
        }
        self.claimed_turns.extend(claims.turns);
        self.pending_lookups.extend(claims.lookups.into_iter().map(|claim| claim.part));
    }

    /// A worker posts; the provider creates the message or does not.
    fn post(&mut self, part: PartRef, token: i64, text: String) {
        assert!(!self.created_at_provider.contains_key(&part), "{part} is posted twice, after {}", self.last_step);
        let created = (self.roll(3) > 0).then(|| ProviderId(self.id()));
        self.created_at_provider.extend(created.clone().map(|id| (part, id)));
        self.pending_posts.push(PendingPost { part, token, text, created });
    }

    async fn work_on_a_turn(&mut self) -> String {
        if self.claimed_turns.is_empty() {
            return "no turn".into();
        }
        let index = self.pick(self.claimed_turns.len());
        // Sometimes it is kept, to come back stale.
        let claim =
            if self.roll(8) == 0 { self.claimed_turns[index].clone() } else { self.claimed_turns.swap_remove(index) };
        match self.roll(8) {
            0 => {
                let due = self.now + Duration::from_secs(self.roll(20));
                let held = self.fresh.retry_turn(&claim, due, "429".into()).await.unwrap();
                format!("tried turn {} in vain: {held}", claim.turn)
            }
            1 => format!("gave turn {} back: {}", claim.turn, self.fresh.release_turn(&claim, self.now).await.unwrap()),
            sort => {
                let parts: Vec<String> = (0..self.roll(4) + 1).map(|part| format!("part {part} of it")).collect();
                let reply = if sort == 2 { Reply::Apology { why: "no".into() } } else { answer("all of it") };
                let first = parts[0].clone();
                let held = self.fresh.reply(&claim, reply, parts, self.now).await.unwrap();
                if let Some(StoredReply { part, token, .. }) = held {
                    self.post(part, token, first);
                }
                format!("answered turn {}: {held:?}", claim.turn)
            }
        }
    }

    async fn settle_a_post(&mut self) -> String {
        if self.pending_posts.is_empty() {
            return "no post".into();
        }
        let index = self.pick(self.pending_posts.len());
        let PendingPost { part, token, text, created } =
            if self.roll(3) == 0 { self.pending_posts[index].clone() } else { self.pending_posts.swap_remove(index) };
        let due = self.now + Duration::from_secs(self.roll(10));
        let (fresh, why) = (self.fresh, "so it went".to_owned());
        let sort = self.roll(6);
        let (did, held) = match created {
            Some(_) if sort == 0 => ("lost", fresh.mark_part_unknown(part, token, due, why).await.unwrap()),
            Some(id) => {
                ("sent", fresh.mark_part_sent(part, token, id, self.now).await.unwrap() != PartSentOutcome::StaleClaim)
            }
            None if sort == 0 => ("lost", fresh.mark_part_unknown(part, token, due, why).await.unwrap()),
            None if sort == 1 => ("failed", fresh.fail_part(part, token, why, self.now).await.unwrap()),
            None if sort == 2 && text.len() > 1 => {
                let (head, tail) = text.split_at(text.len() / 2);
                let halves = (head.into(), tail.into());
                let halved = fresh.split_part(part, token, halves, why, self.now).await.unwrap();
                ("halved", halved != PartSplitOutcome::StaleClaim)
            }
            None => ("again", fresh.retry_part(part, token, due, why).await.unwrap()),
        };
        format!("{part} {did}: {held}")
    }

    async fn settle_a_lookup(&mut self) -> String {
        if self.pending_lookups.is_empty() {
            return "no lookup".into();
        }
        let index = self.pick(self.pending_lookups.len());
        let part = self.pending_lookups.swap_remove(index);
        if self.roll(5) == 0 {
            let due = self.now + Duration::from_secs(7);
            let outcome = self.fresh.record_failed_lookup(part, due, "401".into(), self.now).await.unwrap();
            return format!("lookup of {part} failed: {outcome:?}");
        }
        let mut candidates: Vec<ProviderId> = self.created_at_provider.values().take(2).cloned().collect();
        candidates.retain(|id| self.fresh.rows(&format!("SELECT 1 FROM parts WHERE provider_id = '{id}'")) == ["1"]);
        candidates.extend(self.created_at_provider.get(&part).cloned());
        let hold = self.roll(2) == 0;
        let outcome = self.fresh.settle_lookup(part, candidates, hold, self.now).await.unwrap();
        format!("looked up {part}: {outcome:?}")
    }

    async fn send_status_callback(&mut self) -> String {
        const ALL: [DeliveryStatus; 7] = [
            DeliveryStatus::Accepted,
            DeliveryStatus::Queued,
            DeliveryStatus::Sending,
            DeliveryStatus::Sent,
            DeliveryStatus::Failed,
            DeliveryStatus::Delivered,
            DeliveryStatus::Read,
        ];
        if self.created_at_provider.is_empty() {
            return "no news".into();
        }
        // Mostly of a message that was created recently.
        let last = self.created_at_provider.len();
        let back = self.pick(last.min(5)) + 1;
        let (part, id) =
            self.created_at_provider.iter().nth(last - back).map(|(part, id)| (*part, id.clone())).unwrap();
        let status = ALL[self.pick(ALL.len())];
        let reference = (self.roll(4) > 0).then_some(part);
        let ours = self.fresh.status_arrives(status_update(&id.0, status, reference), self.now).await;
        format!("news of {part} {id}: {status:?}: {ours}")
    }

    /// The process dies and starts again. What its workers held is lost, or comes back stale.
    async fn restart_process(&mut self) -> String {
        if self.roll(2) == 0 {
            self.claimed_turns.clear();
            self.pending_posts.clear();
            self.pending_lookups.clear();
        }
        format!("{:?}", self.fresh.recover(self.now, "Sorry.".into()).await.unwrap())
    }

    /// The operator or the clock ends or requeues a turn.
    async fn end_or_requeue_a_turn(&mut self) -> String {
        let turns = self.fresh.count("turns") as u64;
        let turn = TurnId(i64::try_from(turns.saturating_sub(self.roll(6))).unwrap());
        match self.roll(3) {
            0 => {
                let revived = self.fresh.is_requeued(turn, self.now).await;
                if revived {
                    self.turn_ends.remove(&turn.0);
                }
                format!("revived {turn}: {revived}")
            }
            1 => format!("discarded {turn}: {}", self.fresh.discard(turn, self.now).await.unwrap()),
            _ => format!("expired {}", self.fresh.expire_overdue_turns(self.now).await.unwrap()),
        }
    }

    fn advance_clock(&mut self) -> String {
        let millis = match self.roll(24) {
            0 => 23 * 3_600_000,
            1..8 => self.roll(100_000),
            _ => self.roll(10_000),
        };
        self.now = self.now + Duration::from_millis(millis);
        format!("waited {millis} ms")
    }

    /// No more failures: everything that can still be answered is answered.
    async fn finish_all_turns(&mut self) {
        self.claimed_turns.clear();
        self.pending_posts.clear();
        self.fresh.recover(self.now, "Sorry.".into()).await.unwrap();
        for round in 0..2_000 {
            let unended = self.fresh.rows("SELECT 1 FROM turns WHERE finished_at IS NULL LIMIT 1");
            if unended.is_empty() {
                return;
            }
            self.now = self.now + MERGE_WINDOW * 20;
            let claims = self.fresh.claim(self.now, 100, 100).await.unwrap();
            self.last_step = format!("round {round} of settling: {claims:?}");
            self.take_claims(claims);
            for claim in std::mem::take(&mut self.claimed_turns) {
                if let Some(StoredReply { part, token, .. }) =
                    self.fresh.reply(&claim, answer("Done."), vec!["Done.".into()], self.now).await.unwrap()
                {
                    self.post(part, token, "Done.".into());
                }
            }
            for PendingPost { part, token, created, .. } in std::mem::take(&mut self.pending_posts) {
                match created {
                    Some(id) => {
                        self.fresh.mark_part_sent(part, token, id, self.now).await.unwrap()
                            != PartSentOutcome::StaleClaim
                    }
                    None => self.fresh.retry_part(part, token, self.now, "503".into()).await.unwrap(),
                };
            }
            for part in std::mem::take(&mut self.pending_lookups) {
                let found = self.created_at_provider.get(&part).cloned().into_iter().collect();
                self.fresh.settle_lookup(part, found, false, self.now).await.unwrap();
            }
            self.check_invariants();
        }
        panic!("some turns never end: {:?}", self.fresh.rows("SELECT * FROM turns WHERE finished_at IS NULL"));
    }
}
