//! Turns: claimed, answered, retried.

use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use mynah::model::{Command, ConversationId, TurnId};
use mynah::store::{Admission, BuiltInRequest, PartSentOutcome, ReceiveOutcome, Reply, StoredReply, TurnClaim};

use crate::setup::fresh_store::{ANN, BEN, FreshStore, MERGE_WINDOW, START, answer, at, inbound, sid};

pub async fn a_turn_waits_for_more_of_a_burst(fresh: &FreshStore) {
    let turn = fresh.contact_writes(ANN, "SM1", START).await;
    let claims = fresh.claim(at(999), 10, 10).await.unwrap();
    assert!(claims.is_empty());
    assert_eq!(claims.next_due, Some(at(1_000)));
    let claim = fresh.due_turn(at(1_000)).await;
    assert_eq!((claim.turn, claim.attempt, claim.from.as_str()), (turn, 1, "whatsapp:+14155238886"));
}

pub async fn messages_join_the_open_turn(fresh: &FreshStore) {
    let turn = fresh.contact_writes(ANN, "SM1", START).await;
    assert_eq!(fresh.contact_writes(ANN, "SM2", at(600)).await, turn);
    assert_eq!(
        fresh.contact_writes(ANN, "SM3", at(5_000)).await,
        turn,
        "also past the merge window, if nobody has claimed it"
    );
    let claim = fresh.due_turn(at(5_000)).await;
    assert_eq!(fresh.window_lines(claim.conversation, turn, 10).await, ["user: SM1", "user: SM2", "user: SM3"]);
    fresh.assert_nothing_due(at(100_000)).await;
}

pub async fn messages_wait_in_one_open_turn_while_another_is_active(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    let waiting = fresh.contact_writes(ANN, "SM2", at(1_100)).await;
    assert_ne!(waiting, claim.turn);
    fresh.assert_nothing_due(at(100_000)).await;
    // Between two tries.
    assert!(fresh.retry_turn(&claim, at(200_000), "overloaded".into()).await.unwrap());
    assert_eq!(fresh.contact_writes(ANN, "SM3", at(100_000)).await, waiting);
    fresh.assert_nothing_due(at(199_999)).await;
    let claim = fresh.due_turn(at(200_000)).await;
    assert!(claim.turn < waiting, "the first turn comes first");
    // While its reply goes out.
    let (part, token) = fresh.answer_at(&claim, &["Hello."], at(200_000)).await;
    assert_eq!(fresh.contact_writes(ANN, "SM4", at(200_100)).await, waiting);
    fresh.assert_nothing_due(at(300_000)).await;
    // The first message waited longer than the merge window: at once.
    assert!(fresh.provider_accepts(part, token, "SMout", at(200_200)).await);
    let next = fresh.due_turn(at(200_200)).await;
    assert_eq!(next.turn, waiting);
    assert_eq!(
        fresh.window_lines(next.conversation, next.turn, 10).await[1..],
        ["assistant: Hello.", "user: SM2", "user: SM3", "user: SM4"]
    );
}

pub async fn a_waiting_turn_falls_due_after_what_is_left_of_its_merge_window(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    let (part, token) = fresh.answer(&claim, &["Hello."]).await;
    let waiting = fresh.contact_writes(ANN, "SM2", at(2_000)).await;
    assert_eq!(fresh.claim(at(2_100), 10, 10).await.unwrap().next_due, None, "nobody can tell when");
    assert!(fresh.provider_accepts(part, token, "SMout", at(2_300)).await);
    let claims = fresh.claim(at(2_999), 10, 10).await.unwrap();
    assert!(claims.is_empty());
    assert_eq!(claims.next_due, Some(at(3_000)));
    assert_eq!(fresh.due_turn(at(3_000)).await.turn, waiting);
}

pub async fn turns_never_overlap_and_run_in_order(fresh: &FreshStore) {
    const CONVERSATIONS: usize = 40;
    const ROUNDS: usize = 4;
    #[derive(Default)]
    struct Observed {
        active: Mutex<HashSet<ConversationId>>,
        order: Mutex<BTreeMap<ConversationId, Vec<TurnId>>>,
        done: AtomicUsize,
    }
    async fn run_worker(fresh: &FreshStore, seen: &Observed) {
        let later = START + MERGE_WINDOW + MERGE_WINDOW;
        while seen.done.load(Ordering::SeqCst) < CONVERSATIONS * ROUNDS {
            let claims = fresh.claim(later, 3, 3).await.unwrap();
            assert!(claims.len() <= 3);
            for claim in claims.turns {
                answer_one(fresh, seen, &claim).await;
            }
            tokio::task::yield_now().await;
        }
    }
    async fn answer_one(fresh: &FreshStore, seen: &Observed, claim: &TurnClaim) {
        let later = START + MERGE_WINDOW + MERGE_WINDOW;
        assert!(seen.active.lock().unwrap().insert(claim.conversation), "two turns of one conversation at once");
        let round = {
            let mut order = seen.order.lock().unwrap();
            let turns = order.entry(claim.conversation).or_default();
            assert!(turns.last() < Some(&claim.turn), "{turns:?} and then {}", claim.turn);
            turns.push(claim.turn);
            turns.len()
        };
        if round < ROUNDS {
            let from = claim.to.strip_prefix("whatsapp:").unwrap();
            for number in 0..3 {
                fresh.contact_writes(from, &format!("SM-{from}-{round}-{number}"), START).await;
            }
        }
        let (part, token) = fresh.answer_at(claim, &["Hello."], later).await;
        // Told before the write that lets the next one in.
        seen.active.lock().unwrap().remove(&claim.conversation);
        assert!(fresh.provider_accepts(part, token, &format!("SM-out-{}", claim.turn), later).await);
        seen.done.fetch_add(1, Ordering::SeqCst);
    }

    for number in 0..CONVERSATIONS {
        fresh.contact_writes(&format!("+1555000{number:04}"), &format!("SM{number}"), START).await;
    }
    let seen = Observed::default();
    let (one, two, three, four) =
        (run_worker(fresh, &seen), run_worker(fresh, &seen), run_worker(fresh, &seen), run_worker(fresh, &seen));
    tokio::join!(one, two, three, four);
    let order = seen.order.lock().unwrap();
    assert_eq!(order.len(), CONVERSATIONS);
    assert!(order.values().all(|turns| turns.len() == ROUNDS));
    assert_eq!(fresh.rows("SELECT state, COUNT(*) FROM turns GROUP BY state"), ["done|160"]);
}

pub async fn a_failed_attempt_is_made_again_and_counted(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    assert!(fresh.retry_turn(&claim, at(5_000), "429: slow down".into()).await.unwrap());
    assert_eq!(fresh.rows("SELECT state, error FROM turns"), ["retry|429: slow down"]);
    fresh.assert_nothing_due(at(4_999)).await;
    let again = fresh.due_turn(at(5_000)).await;
    assert_eq!((again.turn, again.attempt), (claim.turn, 2));
    assert_ne!(again.token, claim.token);
    let (part, token) = fresh.answer_at(&again, &["Hello."], at(6_000)).await;
    assert!(fresh.provider_accepts(part, token, "SMout", at(6_500)).await);
    assert_eq!(fresh.rows("SELECT state, error, finished_at FROM turns"), [format!("done|-|{}", at(6_500).0)]);
}

pub async fn a_claim_given_back_is_not_counted(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    assert!(fresh.release_turn(&claim, at(2_000)).await.unwrap());
    let again = fresh.due_turn(at(2_000)).await;
    assert_eq!((again.turn, again.attempt), (claim.turn, 1));
    assert_eq!((claim.is_first_claim, again.is_first_claim), (true, false), "though it was claimed before");
}

pub async fn a_stale_worker_changes_nothing_of_a_turn(fresh: &FreshStore) {
    let first = fresh.claimed_turn(ANN).await;
    assert!(fresh.release_turn(&first, at(1_500)).await.unwrap());
    let held = fresh.due_turn(at(1_500)).await;
    let mut forged = held.clone();
    forged.token = held.token.wrapping_add(1);
    let before = fresh.all_rows();
    for stale in [&first, &forged] {
        assert!(!fresh.retry_turn(stale, at(2_000), "late".into()).await.unwrap());
        assert!(!fresh.release_turn(stale, at(2_000)).await.unwrap());
        assert!(!fresh.give_up_turn(stale, "late".into(), "sorry".into(), at(2_000)).await.unwrap());
        assert_eq!(fresh.reply(stale, answer("late"), vec!["late".into()], at(2_000)).await.unwrap(), None);
        let apology = Reply::Apology { why: "late".into() };
        assert_eq!(fresh.reply(stale, apology, vec!["sorry".into()], at(2_000)).await.unwrap(), None);
    }
    assert_eq!(fresh.all_rows(), before);
    fresh.answer(&held, &["Hello."]).await;
    // It holds no longer once it has answered.
    let before = fresh.all_rows();
    assert_eq!(fresh.reply(&held, answer("twice"), vec!["twice".into()], at(2_000)).await.unwrap(), None);
    assert!(!fresh.retry_turn(&held, at(2_000), "late".into()).await.unwrap());
    assert!(!fresh.release_turn(&held, at(2_000)).await.unwrap());
    assert!(!fresh.give_up_turn(&held, "late".into(), "sorry".into(), at(2_000)).await.unwrap());
    assert_eq!(fresh.all_rows(), before);
}

pub async fn a_reply_is_stored_once_with_its_parts(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    let (part, token) = fresh.answer(&claim, &["One.", "Two.", "Three."]).await;
    assert_eq!((part.turn, part.number), (claim.turn, 1));
    let now = (START + MERGE_WINDOW).0;
    assert_eq!(
        fresh.rows(
            "SELECT number, body, state, due_at, attempts, first_tried_at, provider_id FROM parts ORDER BY number"
        ),
        [format!("1|One.|sending|-|1|{now}|-"), "2|Two.|ready|-|0|-|-".into(), "3|Three.|ready|-|0|-|-".into()]
    );
    assert_eq!(
        fresh.rows("SELECT state, model, input_tokens, output_tokens, tokens_estimated, error FROM turns"),
        ["sending|parrot-1|11|7|0|-"]
    );
    let said = "SELECT role, content, turn_id, provider_id FROM messages WHERE role = 'assistant'";
    assert_eq!(fresh.rows(said), [format!("assistant|One. Two. Three.|{}|-", claim.turn)]);
    assert_ne!(
        fresh.mark_part_sent(part, token, sid("SMout"), at(2_000)).await.unwrap(),
        PartSentOutcome::StaleClaim,
        "the token is the first part's"
    );
}

pub async fn an_apology_ends_the_turn_dead_and_is_no_part_of_the_history(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    let apology = Reply::Apology { why: "the key is wrong".into() };
    let StoredReply { part, token, .. } =
        fresh.reply(&claim, apology, vec!["Sorry.".into()], at(1_000)).await.unwrap().unwrap();
    assert_eq!(fresh.turn_state(claim.turn), "sending");
    let next = fresh.contact_writes(ANN, "SM2", START).await;
    assert!(fresh.provider_accepts(part, token, "SMout", at(2_000)).await);
    assert_eq!(
        fresh.rows(&format!("SELECT state, error, model FROM turns WHERE id = {}", claim.turn)),
        ["dead|the key is wrong|-"]
    );
    assert_eq!(fresh.part_states(claim.turn), "sent");
    let claim = fresh.due_turn(at(2_000)).await;
    assert_eq!(claim.turn, next, "the conversation goes on");
    assert_eq!(fresh.window_lines(claim.conversation, next, 10).await[1..], ["user: SM2"]);
}

pub async fn a_turn_that_is_given_up_is_dead_once_the_apology_is_sent(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    let next = fresh.contact_writes(ANN, "SM2", START).await;
    assert!(fresh.give_up_turn(&claim, "a defect".into(), "Sorry.".into(), at(2_000)).await.unwrap());
    let apology = fresh.due_part(at(2_000)).await;
    assert_eq!((apology.outgoing.text.as_str(), apology.outgoing.reference.turn), ("Sorry.", claim.turn));
    assert!(fresh.provider_accepts(apology.outgoing.reference, apology.token, "SMout", at(2_000)).await);
    assert_eq!(fresh.rows(&format!("SELECT state, error FROM turns WHERE id = {}", claim.turn)), ["dead|a defect"]);
    assert_eq!(fresh.due_turn(at(2_000)).await.turn, next);
}

pub async fn a_keyword_that_waited_for_a_turn_which_a_takeover_ended_is_answered(fresh: &FreshStore) {
    let running = fresh.claimed_turn(ANN).await;
    let asks = Admission { command: Some(Command::Help), ..Admission::default() };
    let received = fresh.receive(inbound(ANN, "SM2", at(2_000)), None, asks).await.unwrap();
    fresh.assert_nothing_due(at(3_000)).await;
    assert!(fresh.take_over(running.conversation, None, "so".into(), None, at(3_000)).await.unwrap());
    let claim = fresh.due_turn(at(3_000)).await;
    assert_eq!(
        (ReceiveOutcome::Queued(claim.turn), claim.request),
        (received.outcome, Some(BuiltInRequest::Command(Command::Help)))
    );
}

pub async fn a_conversation_is_not_deleted_before_each_of_its_turns_has_an_outcome(fresh: &FreshStore) {
    let asks = Admission { command: Some(Command::Reset), ..Admission::default() };
    fresh.receive(inbound(ANN, "SM1", START), None, asks).await.unwrap();
    let long_after = START + std::time::Duration::from_secs(90 * 86_400);
    assert_eq!(fresh.delete_ended_conversations(long_after).await.unwrap(), 0);
    assert_eq!(fresh.expire_overdue_turns(long_after).await.unwrap(), 1);
    assert_eq!(fresh.delete_ended_conversations(long_after).await.unwrap(), 1);
    for table in ["conversations", "messages", "parts"] {
        assert_eq!(fresh.count(table), 0, "{table}");
    }
}

/// Were there ever a mistake in when turns fall due, one conversation would wait and not everybody.
pub async fn a_turn_that_is_due_beside_an_active_one_of_its_conversation_holds_up_no_other(fresh: &FreshStore) {
    let active = fresh.claimed_turn(ANN).await;
    let waiting = fresh.contact_writes(ANN, "SM2", at(2_000)).await;
    fresh.execute_sql(&format!("UPDATE turns SET due_at = 0 WHERE id = {}", waiting.0));
    let other = fresh.contact_writes(BEN, "SM3", at(2_000)).await;
    assert_eq!(fresh.due_turn(at(4_000)).await.turn, other);
    let (part, token) = fresh.answer_at(&active, &["Done."], at(5_000)).await;
    assert!(fresh.provider_accepts(part, token, "SMout", at(5_000)).await);
    assert_eq!(fresh.due_turn(at(5_000)).await.turn, waiting);
}

pub async fn a_claim_takes_no_more_than_it_is_asked_for(fresh: &FreshStore) {
    for number in 0..5 {
        let message = inbound(&format!("+1555000000{number}"), &format!("SM{number}"), at(number));
        fresh.receive_plain(message, None).await.unwrap();
    }
    let now = at(1_010);
    assert!(fresh.claim(now, 0, 10).await.unwrap().is_empty(), "without a model turns wait");
    assert_eq!(fresh.claim(now, 0, 10).await.unwrap().next_due, None, "and nobody is woken for them");
    let some = fresh.claim(now, 2, 10).await.unwrap();
    assert_eq!(
        some.turns.iter().map(|claim| claim.to.as_str()).collect::<Vec<_>>(),
        ["whatsapp:+15550000000", "whatsapp:+15550000001"]
    );
    assert_eq!(some.next_due, Some(at(1_002)), "the longest waiting went first");
    let third = fresh.claim(now, 10, 1).await.unwrap();
    assert_eq!((third.len(), third.turns[0].to.as_str()), (1, "whatsapp:+15550000002"));
    assert_eq!(fresh.claim(now, 10, 10).await.unwrap().turns.len(), 2);
}

pub async fn turn_ids_are_never_reused(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    let (part, token) = fresh.answer(&claim, &["Hello."]).await;
    assert!(fresh.provider_accepts(part, token, "SMout", at(2_000)).await);
    assert!(fresh.end_conversation(claim.conversation, at(3_000)).await.unwrap());
    assert_eq!(fresh.delete_ended_conversations(at(4_000)).await.unwrap(), 1);
    assert_eq!((fresh.count("messages"), fresh.count("parts")), (0, 0), "nothing that was said is left");
    let next = fresh.contact_writes(BEN, "SM2", at(5_000)).await;
    assert!(next > claim.turn, "late news of the old one would be taken for news of this one");
}
