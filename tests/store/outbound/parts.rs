//! Parts that are being sent.

use mynah::model::{DeliveryStatus as Is, PartRef};
use mynah::store::{LookupOutcome, PartSentOutcome, PartSplitOutcome, StatusOutcome};

use crate::setup::fresh_store::{ANN, BEN, FreshStore, at, sid, status_update};

pub async fn parts_go_out_one_at_a_time_and_in_order(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    let (mut part, mut token) = fresh.answer(&claim, &["One.", "Two.", "Three."]).await;
    for (number, text) in [(2, "Two."), (3, "Three.")] {
        fresh.assert_nothing_due(at(900_000)).await;
        assert!(fresh.provider_hands_on(part, token, &format!("SM{part}"), at(2_000)).await);
        let next = fresh.due_part(at(2_000)).await;
        assert_eq!((next.outgoing.text.as_str(), next.outgoing.reference.number), (text, number));
        assert_eq!((next.outgoing.to.as_str(), next.channel.as_str()), ("whatsapp:+15550000001", "twilio"));
        assert_eq!((next.outgoing.from.as_str(), next.attempt), ("whatsapp:+14155238886", 1));
        assert_eq!(next.deadline, at(23 * 3_600_000));
        (part, token) = (next.outgoing.reference, next.token);
    }
    assert_eq!(
        (fresh.part_states(claim.turn), fresh.turn_state(claim.turn)),
        ("sent sent sending".into(), "sending".into())
    );
    assert!(fresh.provider_hands_on(part, token, "SMlast", at(9_000)).await);
    assert_eq!(fresh.rows("SELECT state, finished_at FROM turns"), [format!("done|{}", at(9_000).0)]);
    let sent = "SELECT number, state, provider_id, sent_at FROM parts WHERE number = 3";
    assert_eq!(fresh.rows(sent), [format!("3|sent|SMlast|{}", at(9_000).0)]);
    fresh.assert_nothing_due(at(900_000)).await;
}

/// Two messages that the provider accepts right after each other may arrive swapped.
pub async fn a_part_waits_until_the_one_before_is_handed_on_or_for_three_seconds(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    let (part, token) = fresh.answer(&claim, &["One.", "Two.", "Three."]).await;
    assert_eq!(
        fresh.mark_part_sent(part, token, sid("SM1"), at(2_000)).await.unwrap(),
        PartSentOutcome::NextIsScheduled
    );
    for (status, taken) in [(Is::Queued, StatusOutcome::Recorded), (Is::Sending, StatusOutcome::Recorded)] {
        assert_eq!(fresh.apply_status(status_update("SM1", status, None), None, at(2_100)).await.unwrap(), taken);
        fresh.assert_nothing_due(at(2_100)).await;
    }
    assert_eq!(
        fresh.apply_status(status_update("SM1", Is::Sent, None), None, at(2_200)).await.unwrap(),
        StatusOutcome::NextIsScheduled
    );
    let second = fresh.due_part(at(2_200)).await;
    // No status of the second: the next part waits no longer than this.
    let part = second.outgoing.reference;
    assert!(fresh.provider_accepts(part, second.token, "SM2", at(3_000)).await);
    assert_eq!(
        fresh.apply_status(status_update("SM1", Is::Delivered, None), None, at(3_100)).await.unwrap(),
        StatusOutcome::Recorded
    );
    assert_eq!(fresh.claim(at(5_999), 10, 10).await.unwrap().next_due, Some(at(6_000)));
    assert_eq!(fresh.due_part(at(6_000)).await.outgoing.text, "Three.");
}

/// A callback that overtakes the answer to its post counts like any other.
pub async fn a_part_that_is_settled_by_its_callback_lets_the_next_one_go(fresh: &FreshStore) {
    for (from, status, due) in [(ANN, Is::Queued, 5_000), (BEN, Is::Delivered, 2_000)] {
        let claim = fresh.claimed_turn(from).await;
        let (part, _) = fresh.answer(&claim, &["One.", "Two."]).await;
        let update = status_update(&format!("SM-of-{from}"), status, Some(part));
        assert_eq!(fresh.apply_status(update, None, at(2_000)).await.unwrap(), StatusOutcome::NextIsScheduled);
        fresh.assert_nothing_due(at(due - 1)).await;
        assert_eq!(fresh.due_part(at(due)).await.outgoing.text, "Two.");
    }
}

pub async fn a_late_status_does_not_hurry_a_part_that_waits_for_another_reason(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    let (part, token) = fresh.answer(&claim, &["One.", "Two."]).await;
    assert!(fresh.provider_accepts(part, token, "SM1", at(2_000)).await);
    let second = fresh.due_part(at(5_000)).await;
    assert!(fresh.retry_part(second.outgoing.reference, second.token, at(60_000), "429".into()).await.unwrap());
    assert_eq!(
        fresh.apply_status(status_update("SM1", Is::Sent, None), None, at(5_500)).await.unwrap(),
        StatusOutcome::Recorded
    );
    fresh.assert_nothing_due(at(59_999)).await;
    fresh.due_part(at(60_000)).await;
}

pub async fn parts_that_are_due_are_claimed_before_turns(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    let (part, token) = fresh.answer(&claim, &["One.", "Two."]).await;
    fresh.contact_writes(BEN, "SM-ben", at(1_000)).await;
    assert!(fresh.provider_hands_on(part, token, "SMone", at(5_000)).await);
    let claims = fresh.claim(at(5_000), 10, 1).await.unwrap();
    assert_eq!((claims.parts.len(), claims.turns.len()), (1, 0));
    assert_eq!(claims.next_due, Some(at(2_000)), "the turn is due still");
    assert_eq!(fresh.due_turn(at(5_000)).await.to, "whatsapp:+15550000002");
}

pub async fn a_part_of_which_nothing_was_created_is_posted_again(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    let (part, token) = fresh.answer(&claim, &["One.", "Two."]).await;
    assert!(fresh.retry_part(part, token, at(4_000), "429".into()).await.unwrap());
    assert_eq!(fresh.rows("SELECT state, error FROM parts WHERE number = 1"), ["ready|429"]);
    let claims = fresh.claim(at(3_999), 10, 10).await.unwrap();
    assert!(claims.is_empty());
    assert_eq!(claims.next_due, Some(at(4_000)));
    let again = fresh.due_part(at(4_000)).await;
    assert_eq!((again.outgoing.reference, again.attempt, again.outgoing.text.as_str()), (part, 2, "One."));
    assert_ne!(again.token, token);
    assert!(!fresh.provider_accepts(part, token, "SMstale", at(4_100)).await, "the first claim is stale");
    assert!(fresh.provider_hands_on(part, again.token, "SMone", at(4_100)).await);
    assert_eq!(fresh.rows("SELECT state, error FROM parts WHERE number = 1"), ["sent|-"]);
    assert_eq!(fresh.due_part(at(4_100)).await.outgoing.text, "Two.");
}

/// Each message of the contact moves the deadline, so that alone would let it go on for ever.
pub async fn a_part_is_given_up_after_a_hundred_attempts_and_the_conversation_goes_on(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    let (part, mut token) = fresh.answer(&claim, &["One.", "Two."]).await;
    let waiting = fresh.contact_writes(ANN, "SM2", at(1_000)).await;
    for attempt in 1..=100 {
        let now = at(1_000 + attempt * 1_000);
        assert!(fresh.retry_part(part, token, now, "63018: too many".into()).await.unwrap());
        if attempt < 100 {
            let again = fresh.due_part(now).await;
            assert_eq!(again.attempt, attempt + 1);
            token = again.token;
        }
    }
    fresh.assert_nothing_due(at(101_000)).await;
    assert_eq!(fresh.part_states(claim.turn), "failed failed");
    let why = fresh.rows(&format!("SELECT state, error FROM turns WHERE id = {}", claim.turn));
    assert_eq!(why, ["dead|not sent in 100 attempts; last error: 63018: too many"]);
    assert_eq!(fresh.due_turn(at(101_000)).await.turn, waiting);
}

pub async fn a_part_that_cannot_be_sent_ends_its_turn_and_frees_the_next(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    let (part, token) = fresh.answer(&claim, &["One.", "Two.", "Three."]).await;
    let waiting = fresh.contact_writes(ANN, "SM2", at(1_000)).await;
    assert!(fresh.provider_hands_on(part, token, "SMone", at(2_000)).await);
    let second = fresh.due_part(at(2_000)).await;
    assert!(
        fresh
            .fail_part(second.outgoing.reference, second.token, "63024: no such number".into(), at(3_000))
            .await
            .unwrap()
    );
    assert_eq!(fresh.part_states(claim.turn), "sent failed failed");
    assert_eq!(
        fresh.rows(&format!("SELECT state, error, finished_at, due_at FROM turns WHERE id = {}", claim.turn)),
        [format!("dead|63024: no such number|{}|-", at(3_000).0)]
    );
    assert_eq!(fresh.due_turn(at(3_000)).await.turn, waiting);
}

/// The texts of a turn's parts, in order, with their states.
fn texts(fresh: &FreshStore, part: PartRef) -> Vec<String> {
    fresh.rows(&format!("SELECT number, body, state FROM parts WHERE turn_id = {} ORDER BY number", part.turn))
}

pub async fn a_part_that_is_too_long_goes_out_in_halves(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    let (part, token) = fresh.answer(&claim, &["OneTwo.", "Three."]).await;
    assert_eq!(
        fresh.split_part(part, token, ("One".into(), "Two.".into()), "21617".into(), at(2_000)).await.unwrap(),
        PartSplitOutcome::Split
    );
    assert_eq!(texts(fresh, part), ["1|One|ready", "2|Two.|ready", "3|Three.|ready"]);
    let mut outcomes = Vec::new();
    for number in 1..=3 {
        let next = fresh.due_part(at(2_000)).await;
        assert_eq!(next.outgoing.reference, PartRef { turn: claim.turn, number });
        outcomes.push(next.outgoing.text);
        assert!(fresh.provider_hands_on(next.outgoing.reference, next.token, &format!("SM{number}"), at(2_000)).await);
    }
    assert_eq!(outcomes, ["One", "Two.", "Three."]);
    assert_eq!(fresh.turn_state(claim.turn), "done");
}

pub async fn parts_are_halved_again_and_in_the_middle(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    let (part, token) = fresh.answer(&claim, &["A", "BCDE", "F"]).await;
    assert!(fresh.provider_hands_on(part, token, "SMa", at(2_000)).await);
    let middle = fresh.due_part(at(2_000)).await;
    let part = middle.outgoing.reference;
    assert_eq!(
        fresh.split_part(part, middle.token, ("BC".into(), "DE".into()), "21617".into(), at(2_000)).await.unwrap(),
        PartSplitOutcome::Split
    );
    let again = fresh.due_part(at(2_000)).await;
    assert_eq!(again.outgoing.reference, part);
    assert_eq!(
        fresh.split_part(part, again.token, ("B".into(), "C".into()), "21617".into(), at(2_000)).await.unwrap(),
        PartSplitOutcome::Split
    );
    assert_eq!(texts(fresh, part), ["1|A|sent", "2|B|ready", "3|C|ready", "4|DE|ready", "5|F|ready"]);
    for number in 2..=5 {
        let next = fresh.due_part(at(2_000)).await;
        assert_eq!(next.outgoing.reference.number, number);
        assert!(fresh.provider_hands_on(next.outgoing.reference, next.token, &format!("SM{number}"), at(2_000)).await);
    }
    assert_eq!(fresh.turn_state(claim.turn), "done");
}

/// A provider that finds everything too long would otherwise get a reply letter by letter.
pub async fn a_reply_in_ten_parts_is_not_cut_further(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    let (part, mut token) = fresh.answer(&claim, &["One.", "Two."]).await;
    let waiting = fresh.contact_writes(ANN, "SM2", at(1_000)).await;
    let halve = async |token| {
        let halves = ("One".into(), ".".into());
        fresh.split_part(part, token, halves, "21617: too long".into(), at(2_000)).await.unwrap()
    };
    for parts in 3..=10 {
        assert_eq!(halve(token).await, PartSplitOutcome::Split);
        assert_eq!(fresh.count("parts"), parts);
        token = fresh.due_part(at(2_000)).await.token;
    }
    assert_eq!(halve(token).await, PartSplitOutcome::Failed);
    assert_eq!(fresh.part_states(claim.turn), ["failed"; 10].join(" "));
    let why = fresh.rows(&format!("SELECT state, error FROM turns WHERE id = {}", claim.turn));
    assert_eq!(why, ["dead|21617: too long; not split further, because the reply already has 10 parts"]);
    assert_eq!(fresh.due_turn(at(2_000)).await.turn, waiting);
}

/// Else the write would be refused, and the part stay in the hands of a worker that has gone.
pub async fn a_part_with_the_provider_id_of_another_is_looked_up(fresh: &FreshStore) {
    let ann = fresh.claimed_turn(ANN).await;
    let (part, token) = fresh.answer(&ann, &["One."]).await;
    assert_eq!(
        fresh.mark_part_sent(part, token, sid("SM1"), at(2_000)).await.unwrap(),
        PartSentOutcome::NothingFollows
    );
    let ben = fresh.claimed_turn(BEN).await;
    let (part, token) = fresh.answer(&ben, &["Eins."]).await;
    assert_eq!(
        fresh.mark_part_sent(part, token, sid("SM1"), at(2_000)).await.unwrap(),
        PartSentOutcome::ProviderIdInUse
    );
    assert_eq!((fresh.part_states(ben.turn), fresh.turn_state(ben.turn)), ("unknown".into(), "sending".into()));
    fresh.assert_nothing_due(at(3_999)).await;
    assert_eq!(fresh.due_lookup(at(4_000)).await.part, part);
    assert_eq!(
        fresh.settle_lookup(part, vec![sid("SM1"), sid("SM2")], false, at(4_000)).await.unwrap(),
        LookupOutcome::Found
    );
    assert_eq!(fresh.rows("SELECT provider_id FROM parts ORDER BY turn_id"), ["SM1", "SM2"]);
}

pub async fn a_stale_worker_changes_nothing_of_a_part(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    let (part, first) = fresh.answer(&claim, &["One.", "Two."]).await;
    assert!(fresh.retry_part(part, first, at(2_000), "429".into()).await.unwrap());
    let held = fresh.due_part(at(2_000)).await.token;
    let waiting = PartRef { turn: part.turn, number: 2 };
    let nowhere = PartRef { turn: part.turn, number: 9 };
    let before = fresh.all_rows();
    for (part, stale) in [(part, first), (part, held.wrapping_add(1)), (waiting, held), (nowhere, held)] {
        let why = || "late".to_owned();
        assert_eq!(
            fresh.mark_part_sent(part, stale, sid("SMlate"), at(3_000)).await.unwrap(),
            PartSentOutcome::StaleClaim
        );
        assert!(!fresh.retry_part(part, stale, at(3_000), why()).await.unwrap());
        assert!(!fresh.mark_part_unknown(part, stale, at(3_000), why()).await.unwrap());
        assert!(!fresh.fail_part(part, stale, why(), at(3_000)).await.unwrap());
        let halved = fresh.split_part(part, stale, (why(), why()), why(), at(3_000)).await.unwrap();
        assert_eq!(halved, PartSplitOutcome::StaleClaim);
        assert_eq!(fresh.all_rows(), before);
    }
    assert!(fresh.provider_accepts(part, held, "SMone", at(3_000)).await);
    let before = fresh.all_rows();
    assert!(!fresh.provider_accepts(part, held, "SMtwice", at(3_000)).await, "a part is settled once");
    assert_eq!(fresh.all_rows(), before);
}

pub async fn conversations_do_not_wait_for_each_other(fresh: &FreshStore) {
    let ann = fresh.claimed_turn(ANN).await;
    let (part, token) = fresh.answer(&ann, &["One.", "Two."]).await;
    assert!(fresh.mark_part_unknown(part, token, at(500_000), "no answer".into()).await.unwrap());
    let ben = fresh.claimed_turn(BEN).await;
    let (part, token) = fresh.answer(&ben, &["Eins.", "Zwei."]).await;
    assert!(fresh.provider_hands_on(part, token, "SMeins", at(2_000)).await);
    let next = fresh.due_part(at(2_000)).await;
    assert_eq!(next.outgoing.text, "Zwei.");
    assert!(fresh.provider_hands_on(next.outgoing.reference, next.token, "SMzwei", at(2_000)).await);
    assert_eq!((fresh.turn_state(ben.turn), fresh.turn_state(ann.turn)), ("done".into(), "sending".into()));
}
