//! Whose message it is: phone numbers and user IDs of one person, and of two.

use std::sync::Arc;

use mynah::clock::Time;
use mynah::model::{Address, Budget, Budgets, Charge, Command, Inbound};
use mynah::store::{Admission, ReceiveOutcome, SenderStatus, StoreOptions};

use crate::fresh::{ANN, BEN, Fresh, OPTIONS, START, answer, at, inbound, sid};

const ID: &str = "US.13491208655302741918";
const OTHER: &str = "US.20000000000000000002";
const BOTH: &str = "+15550000001 US.13491208655302741918";
const DAY: i64 = 86_400_000;

fn addresses(fresh: &Fresh) -> Vec<String> {
    fresh.rows("SELECT contact_id, value FROM addresses ORDER BY value")
}

fn later(millis: i64) -> Time {
    at(1_000 + millis)
}

/// The one turn that is due is answered and sent.
async fn answered(fresh: &Fresh, now: Time) {
    let claim = fresh.due_turn(now).await;
    if let Some(reservation) = &claim.reservation {
        reservation.record_calls(Charge { calls: 1, tokens: 10, micros: 0 }, 0);
    }
    let (part, token) = fresh.answer_at(&claim, &["Hello."], now).await;
    assert!(fresh.sent(part, token, &format!("SM-out-{}", claim.turn), now).await);
}

pub async fn a_contact_first_seen_by_phone_keeps_everything_when_a_user_id_comes_with_it(fresh: &Fresh) {
    fresh.said(ANN, "SM1", START).await;
    answered(fresh, later(0)).await;
    fresh.said(BOTH, "SM2", at(2_000)).await;
    assert_eq!(addresses(fresh), [format!("1|{ANN}"), format!("1|{ID}")]);
    let claim = fresh.due_turn(at(3_000)).await;
    assert_eq!(fresh.heard(claim.conversation, claim.turn, 9).await, ["user: SM1", "assistant: Hello.", "user: SM2"]);
    fresh.said(ID, "SM3", at(3_000)).await;
    fresh.said(ANN, "SM4", at(3_000)).await;
    assert_eq!((fresh.count("contacts"), fresh.count("conversations")), (1, 1));
}

pub async fn a_contact_first_seen_by_user_id_is_known_by_the_phone_that_comes_later(fresh: &Fresh) {
    fresh.said(ID, "SM1", START).await;
    let turn = fresh.said(BOTH, "SM2", at(100)).await;
    assert_eq!(fresh.said(ANN, "SM3", at(200)).await, turn);
    assert_eq!(addresses(fresh), [format!("1|{ANN}"), format!("1|{ID}")]);
    assert_eq!((fresh.count("contacts"), fresh.count("conversations")), (1, 1));
}

/// Two contacts that were known apart, each with an answered conversation; the first by phone.
async fn two(fresh: &Fresh) {
    fresh.said(ANN, "SM1", START).await;
    answered(fresh, later(0)).await;
    fresh.said(ID, "SM2", at(2_000)).await;
    answered(fresh, at(3_000)).await;
    assert_eq!((fresh.count("contacts"), fresh.count("conversations")), (2, 2));
}

pub async fn two_contacts_that_are_one_person_are_merged_with_what_was_said_to_either(fresh: &Fresh) {
    two(fresh).await;
    let elsewhere = |id: &str, when| {
        let mut message = inbound(ANN, id, when);
        message.to = "whatsapp:+14155230000".into();
        message
    };
    fresh.receive_plain(elsewhere("SM3", at(3_500)), None).await.unwrap();
    answered(fresh, at(4_500)).await;
    fresh.meddle("UPDATE contacts SET admitted_at = 5, noticed_at = 6 WHERE id = 1");
    fresh.meddle("UPDATE contacts SET name = NULL WHERE id = 2");
    fresh.said(BOTH, "SM4", at(5_000)).await;
    assert_eq!(addresses(fresh), [format!("2|{ANN}"), format!("2|{ID}")]);
    assert_eq!(
        fresh.rows("SELECT id, name, created_at, opted_out_at, blocked_at, admitted_at, noticed_at FROM contacts"),
        [format!("2|Ann|{}|-|-|5|6", START.0)]
    );
    assert_eq!(
        fresh.rows("SELECT contact_id, our_address, ended_at IS NULL FROM conversations ORDER BY id"),
        [
            "2|whatsapp:+14155238886|0".to_owned(),
            "2|whatsapp:+14155238886|1".to_owned(),
            "2|whatsapp:+14155230000|1".to_owned()
        ],
        "nothing that was said is lost, and on the other number it goes on"
    );
    let claim = fresh.due_turn(at(6_000)).await;
    assert_eq!(fresh.heard(claim.conversation, claim.turn, 9).await, ["user: SM2", "assistant: Hello.", "user: SM4"]);
    // A number is not given to anybody else.
    fresh.said(BEN, "SM5", at(7_000)).await;
    assert_eq!(fresh.rows("SELECT id FROM contacts ORDER BY id"), ["2", "3"]);
}

pub async fn of_two_open_conversations_the_one_spoken_in_last_goes_on_and_both_are_answered(fresh: &Fresh) {
    let waits = fresh.said(ID, "SM1", at(100)).await;
    let last = fresh.said(ANN, "SM2", at(200)).await;
    assert_eq!(fresh.said(BOTH, "SM3", at(300)).await, last, "it joins what was said last");
    let mut claims = fresh.due_turns(at(1_300)).await;
    claims.sort_by_key(|claim| claim.turn);
    let heard: Vec<_> = claims.iter().map(|claim| (claim.turn, claim.contact)).collect();
    assert_eq!(heard, [(waits, 2), (last, 2)]);
    assert_eq!(
        fresh.rows("SELECT ended_at, revision FROM conversations ORDER BY id"),
        [format!("{}|2", at(300).0), "-|2".to_owned()],
        "of the one that ended no window is current"
    );
    for claim in claims {
        let (part, token) = fresh.answer_at(&claim, &["Hello."], at(1_300)).await;
        assert!(fresh.sent(part, token, &format!("SM-out-{}", claim.turn), at(1_300)).await);
        assert_eq!(fresh.turn_state(claim.turn), "done");
    }
}

pub async fn a_person_who_answers_one_of_two_conversations_answers_the_one_that_goes_on(fresh: &Fresh) {
    for (number, (until, other, expected)) in [
        (Some(at(90_000)), None, format!("human|{}|so", at(90_000).0)),
        (Some(at(90_000)), Some(Some(at(95_000))), format!("human|{}|so", at(95_000).0)),
        (None, Some(Some(at(95_000))), "human|-|so".into()),
        (Some(at(90_000)), Some(None), "human|-|so".into()),
        (Some(at(5_000)), None, "auto|-|-".into()),
    ]
    .into_iter()
    .enumerate()
    {
        let (phone, id) = (format!("+1555000100{number}"), format!("US.{number}"));
        fresh.said(&phone, &format!("SM1{number}"), START).await;
        answered(fresh, later(0)).await;
        let taken = fresh.conversations(None, 1).await.unwrap()[0].id;
        assert!(fresh.take_over(taken, until, "so".into(), None, at(1_000)).await.unwrap());
        fresh.said(&id, &format!("SM2{number}"), at(2_000)).await;
        answered(fresh, at(3_000)).await;
        let goes_on = fresh.conversations(None, 1).await.unwrap()[0].id;
        if let Some(until) = other {
            assert!(fresh.take_over(goes_on, until, "so".into(), None, at(3_000)).await.unwrap());
        }
        let reception = Admission::default();
        let met = fresh.met(&format!("{phone} {id}"), &format!("SM3{number}"), at(6_000), reception).await;
        assert_eq!(matches!(met, ReceiveOutcome::Skipped(_)), expected.starts_with("human"), "{expected}");
        let mode =
            format!("SELECT mode, mode_until, mode_why FROM conversations WHERE hex(id) = '{}'", goes_on.0.simple());
        let mode = mode.replace("hex(id)", "lower(hex(id))");
        assert_eq!(fresh.rows(&mode), [expected]);
        if let ReceiveOutcome::Queued(_) = met {
            answered(fresh, at(7_000)).await;
        }
    }
}

pub async fn what_is_forbidden_to_one_of_two_contacts_is_forbidden_to_both(fresh: &Fresh) {
    for (number, (mark, by_phone, why)) in [
        ("opted_out_at", true, "the contact opted out"),
        ("opted_out_at", false, "the contact opted out"),
        ("blocked_at", true, "the contact is blocked"),
        ("blocked_at", false, "the contact is blocked"),
    ]
    .into_iter()
    .enumerate()
    {
        let (phone, id) = (format!("+1555000100{number}"), format!("US.{number}"));
        fresh.said(&phone, &format!("SM1{number}"), START).await;
        answered(fresh, later(0)).await;
        fresh.said(&id, &format!("SM2{number}"), at(2_000)).await;
        answered(fresh, at(3_000)).await;
        let marked = if by_phone { &phone } else { &id };
        fresh.meddle(&format!(
            "UPDATE contacts SET {mark} = 7 WHERE id = (SELECT contact_id FROM addresses WHERE value = '{marked}')"
        ));
        let met = fresh.met(&format!("{phone} {id}"), &format!("SM3{number}"), at(4_000), Admission::default()).await;
        let ReceiveOutcome::Skipped(turn) = met else { panic!("{mark}: {met:?}") };
        assert_eq!(fresh.why(turn), why);
        let left =
            format!("SELECT {mark} FROM contacts WHERE id = (SELECT contact_id FROM addresses WHERE value = '{id}')");
        assert_eq!(fresh.rows(&left), ["7"]);
        fresh.nothing_due(at(100_000)).await;
    }
    assert_eq!(fresh.count("contacts"), 4);
}

pub async fn what_was_on_its_way_to_a_contact_who_turns_out_to_be_blocked_is_held_back(fresh: &Fresh) {
    for (number, (by_phone, blocked_first)) in
        [(true, true), (false, true), (true, false), (false, false)].into_iter().enumerate()
    {
        let (phone, id) = (format!("+1555000100{number}"), format!("US.{number}"));
        let (blocked, free) = if by_phone { (&phone, &id) } else { (&id, &phone) };
        let block = || fresh.set_blocked(Address::parse(blocked).unwrap(), true, START);
        if blocked_first {
            block().await.unwrap();
        }
        fresh.said(free, &format!("SM1{number}"), START).await;
        let claim = fresh.due_turn(later(0)).await;
        if !blocked_first {
            block().await.unwrap();
        }
        let met = fresh.met(&format!("{phone} {id}"), &format!("SM2{number}"), at(2_000), Admission::default()).await;
        assert!(matches!(met, ReceiveOutcome::Skipped(_)), "{met:?}");
        let replied = fresh.reply(&claim, answer("Hello."), vec!["Hello.".into()], at(2_000)).await.unwrap();
        assert_eq!((replied, fresh.turn_state(claim.turn).as_str()), (None, "skipped"));
    }
}

fn one_call_a_day(fresh: &Fresh) -> Fresh {
    let contact_day = Budget { calls: Some(3), ..Budget::default() };
    let reserve = Charge { calls: 1, tokens: 100, micros: 0 };
    fresh.with(StoreOptions { budgets: Budgets { contact_day, ..Budgets::NONE }, call_reservation: reserve, ..OPTIONS })
}

pub async fn what_two_contacts_spent_today_is_spent_by_the_one_that_they_are(fresh: &Fresh) {
    let fresh = &one_call_a_day(fresh);
    two(fresh).await;
    let spent = || fresh.rows("SELECT scope, calls, tokens FROM spent ORDER BY scope");
    assert_eq!(spent(), ["contact 1|1|10", "contact 2|1|10"]);
    fresh.said(BOTH, "SM3", at(4_000)).await;
    assert_eq!(spent(), ["contact 2|2|20"]);
    answered(fresh, at(5_000)).await;
    fresh.said(ANN, "SM4", at(6_000)).await;
    assert_eq!(fresh.due_turn(at(7_000)).await.exhausted_budget, Some("of one contact for a day"));
}

pub async fn a_call_that_ran_while_two_contacts_became_one_is_settled_with_the_one(fresh: &Fresh) {
    let fresh = &one_call_a_day(fresh);
    fresh.said(ANN, "SM1", START).await;
    let claim = fresh.due_turn(later(0)).await;
    assert_eq!(claim.contact, 1);
    fresh.said(ID, "SM2", at(2_000)).await;
    fresh.said(BOTH, "SM3", at(2_100)).await;
    claim.reservation.as_ref().unwrap().record_calls(Charge { calls: 2, tokens: 30, micros: 0 }, 0);
    assert!(fresh.reserve_another_call(claim.turn, claim.reservation.as_ref().unwrap()).await.unwrap());
    let (part, token) = fresh.answer_at(&claim, &["Hello."], at(3_000)).await;
    assert!(fresh.sent(part, token, "SMout", at(3_000)).await);
    assert_eq!(fresh.rows("SELECT scope, calls, tokens FROM spent"), ["contact 2|2|30"]);
}

pub async fn a_number_that_comes_with_another_user_id_has_gone_to_another_person(fresh: &Fresh) {
    for known in [false, true] {
        let phone = format!("+1555000100{}", u8::from(known));
        let (first, second) = (format!("US.1{}", u8::from(known)), format!("US.2{}", u8::from(known)));
        fresh.said(&format!("{phone} {first}"), &format!("SM1{first}"), START).await;
        let conversation = fresh.conversations(None, 1).await.unwrap()[0].id;
        if known {
            fresh.said(&second, &format!("SM0{second}"), at(10)).await;
        }
        let turn = fresh.said(&format!("{phone} {second}"), &format!("SM2{second}"), at(100)).await;
        let claims = fresh.due_turns(at(1_100)).await;
        let ways: Vec<_> = claims.iter().map(|claim| (claim.conversation == conversation, claim.to.clone())).collect();
        assert_eq!(ways, [(true, format!("whatsapp:{first}")), (false, format!("whatsapp:{phone}"))]);
        let heard = fresh.heard(claims[1].conversation, turn, 9).await;
        assert!(!heard.contains(&format!("user: SM1{first}")), "{heard:?}");
        // Each is known by what they have.
        fresh.said(&first, &format!("SM3{first}"), at(1_200)).await;
        fresh.said(&phone, &format!("SM3{second}"), at(1_200)).await;
        let said = fresh.rows(&format!(
            "SELECT c.contact_id <> d.contact_id FROM messages m JOIN conversations c ON c.id = m.conversation_id
             JOIN messages n ON n.provider_id = 'SM3{second}' JOIN conversations d ON d.id = n.conversation_id
             WHERE m.provider_id = 'SM3{first}'"
        ));
        assert_eq!(said, ["1"]);
        for claim in claims {
            fresh.answer_at(&claim, &["Hello."], at(1_300)).await;
        }
        fresh.meddle("DELETE FROM conversations");
    }
    assert_eq!(fresh.count("contacts"), 4);
}

pub async fn a_blocked_number_stays_blocked_whoever_writes_with_it(fresh: &Fresh) {
    fresh.said(BOTH, "SM1", START).await;
    answered(fresh, later(0)).await;
    fresh.set_blocked(Address::parse(ANN).unwrap(), true, at(2_000)).await.unwrap();
    let meets = async |from: &str, id: &str| {
        let met = fresh.met(from, id, at(3_000), Admission::default()).await;
        let ReceiveOutcome::Skipped(turn) = met else { panic!("{from}: {met:?}") };
        assert_eq!(fresh.why(turn), "the contact is blocked");
    };
    meets(ANN, "SM2").await;
    meets(ID, "SM3").await;
    meets(&format!("{ANN} {OTHER}"), "SM4").await;
    meets(OTHER, "SM5").await;
    meets(ID, "SM6").await;
    fresh.set_blocked(Address::parse(OTHER).unwrap(), false, at(4_000)).await.unwrap();
    fresh.said(ANN, "SM7", at(5_000)).await;

    // So does one that said STOP, until START.
    answered(fresh, at(6_000)).await;
    fresh.asked(ANN, "SM8", at(7_000), Command::OptOut).await;
    answered(fresh, at(8_000)).await;
    let met = fresh.met(&format!("{ANN} US.3"), "SM9", at(9_000), Admission::default()).await;
    let ReceiveOutcome::Skipped(turn) = met else { panic!("{met:?}") };
    assert_eq!(fresh.why(turn), "the contact opted out");
    fresh.asked(ANN, "SM10", at(9_000), Command::OptIn).await;
}

pub async fn a_hidden_number_is_answered_for_thirty_days_and_then_the_user_id(fresh: &Fresh) {
    let to = |conversation: &str| fresh.rows(&format!("SELECT reply_to FROM conversations {conversation}"));
    let last = "ORDER BY id DESC LIMIT 1";
    fresh.said(BOTH, "SM1", START).await;
    fresh.said(ID, "SM2", at(30 * DAY - 1)).await;
    assert_eq!(to(last), [format!("whatsapp:{ANN}")]);
    fresh.said(ID, "SM3", at(30 * DAY)).await;
    assert_eq!(to(last), [format!("whatsapp:{ID}")]);
    // Of two numbers the one seen last, and none that an operator alone ever named.
    fresh.said(&format!("{BEN} {ID}"), "SM4", at(31 * DAY)).await;
    fresh.said(ID, "SM5", at(32 * DAY)).await;
    assert_eq!(to(last), [format!("whatsapp:{BEN}")]);
    fresh.said(BOTH, "SM6", at(32 * DAY)).await;
    fresh.said(&format!("{BEN} {ID}"), "SM7", at(32 * DAY + 1)).await;
    fresh.said(ID, "SM8", at(33 * DAY)).await;
    assert_eq!(to(last), [format!("whatsapp:{BEN}")]);
    fresh.set_blocked(Address::parse("+15550000009").unwrap(), true, at(33 * DAY)).await.unwrap();
    fresh.set_blocked(Address::parse("+15550000009").unwrap(), false, at(33 * DAY)).await.unwrap();
    fresh.meddle("UPDATE addresses SET contact_id = 1 WHERE value = '+15550000009'");
    fresh.said(ID, "SM9", at(33 * DAY)).await;
    assert_eq!(to(last), [format!("whatsapp:{BEN}")]);
}

pub async fn an_address_that_is_seen_again_is_noted_once_a_day(fresh: &Fresh) {
    let seen = || fresh.rows("SELECT DISTINCT seen_at FROM addresses");
    for (id, when, noted) in [("SM1", 0, 0), ("SM2", DAY - 1, 0), ("SM3", DAY, DAY), ("SM0", DAY - 5, DAY)] {
        fresh.said(BOTH, id, at(when)).await;
        assert_eq!(seen(), [at(noted).0.to_string()], "{id}");
    }
}

/// A message through an account, which has a number of its own.
async fn through(fresh: &Fresh, account: &str, from: &str, id: &str, millis: i64) {
    let reception = Admission { account: account.into(), ..Admission::default() };
    let inbound = Inbound { to: format!("whatsapp:+1999000000{}", &account[2..]), ..inbound(from, id, at(millis)) };
    fresh.receive(inbound, None, reception).await.unwrap();
}

pub async fn a_person_has_a_user_id_with_each_account(fresh: &Fresh) {
    through(fresh, "AC1", BOTH, "SM1", 0).await;
    through(fresh, "AC2", &format!("{ANN} {OTHER}"), "SM2", 1).await;
    let all = [format!("1|{ANN}"), format!("1|{ID}"), format!("1|{OTHER}")];
    assert_eq!(addresses(fresh), all, "one person");
    // Each is theirs alone, and another one through the same account another person.
    through(fresh, "AC1", ID, "SM3", 2).await;
    through(fresh, "AC2", OTHER, "SM4", 3).await;
    assert_eq!(addresses(fresh), all);
    through(fresh, "AC3", ANN, "SM6", 3).await;
    through(fresh, "AC2", &format!("{ANN} US.3"), "SM5", 4).await;
    let moved = [format!("2|{ANN}"), format!("1|{ID}"), format!("1|{OTHER}"), "2|US.3".to_owned()];
    assert_eq!(addresses(fresh), moved);
    // What waits for the one before goes to their user ID with the account that it goes through, else to another one of
    // theirs.
    let to = fresh.rows("SELECT account, reply_to FROM conversations WHERE contact_id = 1 ORDER BY account");
    assert_eq!(to, [format!("AC1|whatsapp:{ID}"), format!("AC2|whatsapp:{OTHER}"), format!("AC3|whatsapp:{ID}")]);
}

pub async fn two_contacts_of_two_accounts_are_merged_by_the_number_that_both_have(fresh: &Fresh) {
    through(fresh, "AC1", BOTH, "SM1", 0).await;
    through(fresh, "AC2", OTHER, "SM2", 1).await;
    assert_eq!(addresses(fresh), [format!("1|{ANN}"), format!("1|{ID}"), format!("2|{OTHER}")]);
    through(fresh, "AC2", &format!("{ANN} {OTHER}"), "SM3", 2).await;
    assert_eq!(addresses(fresh), [format!("2|{ANN}"), format!("2|{ID}"), format!("2|{OTHER}")]);
    // Two who have an ID with the same account each are not, whichever account the number came through.
    through(fresh, "AC1", "US.3", "SM4", 3).await;
    through(fresh, "AC3", "US.4", "SM5", 4).await;
    fresh.meddle("UPDATE addresses SET contact_id = 3 WHERE value = 'US.4'");
    through(fresh, "AC3", &format!("{ANN} US.4"), "SM6", 5).await;
    let moved = ["3|+15550000001", "2|US.13491208655302741918", "2|US.20000000000000000002", "3|US.3", "3|US.4"];
    assert_eq!(addresses(fresh), moved);
}

pub async fn a_user_id_of_two_accounts_of_one_business_is_known_through_both(fresh: &Fresh) {
    through(fresh, "AC1", ID, "SM1", 0).await;
    through(fresh, "AC2", &format!("{ANN} {OTHER}"), "SM2", 1).await;
    // The number has an ID with the second account, which this one is not.
    through(fresh, "AC2", BOTH, "SM3", 2).await;
    assert_eq!(addresses(fresh), [format!("1|{ANN}"), format!("1|{ID}"), format!("2|{OTHER}")]);
    assert_eq!(fresh.rows(&format!("SELECT accounts FROM addresses WHERE value = '{ID}'")), ["AC1 AC2"]);
    // So whoever comes through the second with another one is not that person.
    through(fresh, "AC2", &format!("{ANN} US.3"), "SM4", 3).await;
    assert_eq!(addresses(fresh)[0], format!("3|{ANN}"));
}

pub async fn a_user_id_that_an_operator_named_is_known_by_where_it_comes_from(fresh: &Fresh) {
    fresh.set_blocked(Address::parse(ID).unwrap(), true, START).await.unwrap();
    through(fresh, "AC1", BOTH, "SM1", 0).await;
    assert_eq!(fresh.rows("SELECT accounts FROM addresses WHERE kind = 'bsuid'"), ["AC1"]);
    through(fresh, "AC2", &format!("{ANN} {OTHER}"), "SM2", 1).await;
    assert_eq!(fresh.rows("SELECT DISTINCT contact_id FROM addresses").len(), 1);
}

pub async fn an_answer_does_not_follow_a_number_that_goes_to_somebody_else_meanwhile(fresh: &Fresh) {
    let claim = {
        fresh.said(BOTH, "SM1", START).await;
        fresh.due_turn(later(0)).await
    };
    assert_eq!(claim.to, format!("whatsapp:{ANN}"));
    fresh.said(&format!("{ANN} {OTHER}"), "SM2", at(2_000)).await;
    let replied = fresh.reply(&claim, answer("Hello."), vec!["Hello.".into()], at(2_000)).await.unwrap().unwrap();
    assert_eq!(replied.to, format!("whatsapp:{ID}"));
    assert_eq!(fresh.rows("SELECT posted_to FROM parts"), [replied.to]);
}

pub async fn a_contact_is_called_as_they_last_called_themselves(fresh: &Fresh) {
    for (id, name, called) in
        [("SM1", None, ""), ("SM2", Some("Ann"), "Ann"), ("SM3", None, "Ann"), ("SM4", Some("Ann B."), "Ann B.")]
    {
        let message = Inbound { profile_name: name.map(str::to_owned), ..inbound(ANN, id, START) };
        fresh.receive(message, None, Admission::default()).await.unwrap();
        assert_eq!(fresh.rows("SELECT COALESCE(name, '') FROM contacts"), [called], "{id}");
    }
}

pub async fn who_may_talk_by_one_address_may_by_the_other(fresh: &Fresh) {
    let closed = || Admission {
        sender: SenderStatus::Unknown,
        allowed_senders: Arc::new([Address::parse(ANN).unwrap()]),
        ..Admission::default()
    };
    fresh.said(BOTH, "SM1", START).await;
    assert!(matches!(fresh.met(ID, "SM2", at(1), closed()).await, ReceiveOutcome::Queued(_)));
    assert!(matches!(fresh.met(OTHER, "SM3", at(1), closed()).await, ReceiveOutcome::Skipped(_)));
    assert!(matches!(fresh.met(BEN, "SM4", at(1), closed()).await, ReceiveOutcome::Skipped(_)));
}

pub async fn a_part_in_doubt_is_looked_for_where_it_was_posted(fresh: &Fresh) {
    let (_, part) = fresh.lost(ID, &["One.", "Two."]).await;
    fresh.said(&format!("{ANN} {ID}"), "SM2", at(2_500)).await;
    assert_eq!(fresh.rows("SELECT reply_to FROM conversations"), [format!("whatsapp:{ANN}")]);
    let look = fresh.due_look(at(3_000)).await;
    assert_eq!((look.part, look.to), (part, format!("whatsapp:{ID}")));
    fresh.settle_lookup(part, vec![sid("SMfound")], false, at(3_000)).await.unwrap();
    // The next part goes where the contact is answered by now, and is looked for there.
    let next = fresh.due_part(at(6_000)).await;
    assert_eq!(next.outgoing.to, format!("whatsapp:{ANN}"));
    fresh.said(OTHER, "SM3", at(6_500)).await;
    fresh.meddle(&format!("UPDATE conversations SET reply_to = 'whatsapp:{ID}' WHERE reply_to = 'whatsapp:{ANN}'"));
    let (part, why) = (next.outgoing.reference, "the answer did not come".to_owned());
    assert!(fresh.mark_part_unknown(part, next.token, at(7_000), why).await.unwrap());
    let looks = fresh.claim(at(7_000), 0, 9).await.unwrap().lookups;
    assert_eq!((looks.len(), looks[0].to.as_str()), (1, &*format!("whatsapp:{ANN}")));
}
