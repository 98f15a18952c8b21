//! Whose message it is: phone numbers and user IDs of one person, and of two.

use std::sync::Arc;

use mynah::clock::Time;
use mynah::model::{Address, Budget, Budgets, Charge, Command, Inbound};
use mynah::store::{Admission, ReceiveOutcome, SenderStatus, StoreOptions};

use crate::setup::fresh_store::{ANN, BEN, DEFAULT_OPTIONS, FreshStore, START, answer, at, inbound, sid};

const USER_ID: &str = "US.13491208655302741918";
const OTHER_USER_ID: &str = "US.20000000000000000002";
const PHONE_AND_USER_ID: &str = "+15550000001 US.13491208655302741918";
const DAY: i64 = 86_400_000;

fn addresses(fresh: &FreshStore) -> Vec<String> {
    fresh.rows("SELECT contact_id, value FROM addresses ORDER BY value")
}

fn at_claim_time(millis: i64) -> Time {
    at(1_000 + millis)
}

/// The one turn that is due is answered and sent.
async fn answer_due_turn(fresh: &FreshStore, now: Time) {
    let claim = fresh.due_turn(now).await;
    if let Some(reservation) = &claim.reservation {
        reservation.record_calls(Charge { calls: 1, tokens: 10, micros: 0 }, 0);
    }
    let (part, token) = fresh.answer_at(&claim, &["Hello."], now).await;
    assert!(fresh.provider_accepts(part, token, &format!("SM-out-{}", claim.turn), now).await);
}

pub async fn a_contact_first_seen_by_phone_keeps_everything_when_a_user_id_comes_with_it(fresh: &FreshStore) {
    fresh.contact_writes(ANN, "SM1", START).await;
    answer_due_turn(fresh, at_claim_time(0)).await;
    fresh.contact_writes(PHONE_AND_USER_ID, "SM2", at(2_000)).await;
    assert_eq!(addresses(fresh), [format!("1|{ANN}"), format!("1|{USER_ID}")]);
    let claim = fresh.due_turn(at(3_000)).await;
    assert_eq!(
        fresh.window_lines(claim.conversation, claim.turn, 9).await,
        ["user: SM1", "assistant: Hello.", "user: SM2"]
    );
    fresh.contact_writes(USER_ID, "SM3", at(3_000)).await;
    fresh.contact_writes(ANN, "SM4", at(3_000)).await;
    assert_eq!((fresh.count("contacts"), fresh.count("conversations")), (1, 1));
}

pub async fn a_contact_first_seen_by_user_id_is_known_by_the_phone_that_comes_later(fresh: &FreshStore) {
    fresh.contact_writes(USER_ID, "SM1", START).await;
    let turn = fresh.contact_writes(PHONE_AND_USER_ID, "SM2", at(100)).await;
    assert_eq!(fresh.contact_writes(ANN, "SM3", at(200)).await, turn);
    assert_eq!(addresses(fresh), [format!("1|{ANN}"), format!("1|{USER_ID}")]);
    assert_eq!((fresh.count("contacts"), fresh.count("conversations")), (1, 1));
}

/// Two contacts that were known apart, each with an answered conversation; the first by phone.
async fn two_contacts(fresh: &FreshStore) {
    fresh.contact_writes(ANN, "SM1", START).await;
    answer_due_turn(fresh, at_claim_time(0)).await;
    fresh.contact_writes(USER_ID, "SM2", at(2_000)).await;
    answer_due_turn(fresh, at(3_000)).await;
    assert_eq!((fresh.count("contacts"), fresh.count("conversations")), (2, 2));
}

pub async fn two_contacts_that_are_one_person_are_merged_with_what_was_said_to_either(fresh: &FreshStore) {
    two_contacts(fresh).await;
    let elsewhere = |id: &str, when| {
        let mut message = inbound(ANN, id, when);
        message.to = "whatsapp:+14155230000".into();
        message
    };
    fresh.receive_plain(elsewhere("SM3", at(3_500)), None).await.unwrap();
    answer_due_turn(fresh, at(4_500)).await;
    fresh.execute_sql("UPDATE contacts SET admitted_at = 5, noticed_at = 6 WHERE id = 1");
    fresh.execute_sql("UPDATE contacts SET name = NULL WHERE id = 2");
    fresh.contact_writes(PHONE_AND_USER_ID, "SM4", at(5_000)).await;
    assert_eq!(addresses(fresh), [format!("2|{ANN}"), format!("2|{USER_ID}")]);
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
    assert_eq!(
        fresh.window_lines(claim.conversation, claim.turn, 9).await,
        ["user: SM2", "assistant: Hello.", "user: SM4"]
    );
    // A number is not given to anybody else.
    fresh.contact_writes(BEN, "SM5", at(7_000)).await;
    assert_eq!(fresh.rows("SELECT id FROM contacts ORDER BY id"), ["2", "3"]);
}

pub async fn a_merge_keeps_the_latest_of_two_open_conversations_and_answers_both(fresh: &FreshStore) {
    let waits = fresh.contact_writes(USER_ID, "SM1", at(100)).await;
    let last = fresh.contact_writes(ANN, "SM2", at(200)).await;
    assert_eq!(fresh.contact_writes(PHONE_AND_USER_ID, "SM3", at(300)).await, last, "it joins what was said last");
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
        assert!(fresh.provider_accepts(part, token, &format!("SM-out-{}", claim.turn), at(1_300)).await);
        assert_eq!(fresh.turn_state(claim.turn), "done");
    }
}

pub async fn a_person_who_answers_one_of_two_conversations_answers_the_one_that_goes_on(fresh: &FreshStore) {
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
        fresh.contact_writes(&phone, &format!("SM1{number}"), START).await;
        answer_due_turn(fresh, at_claim_time(0)).await;
        let taken = fresh.conversations(None, 1).await.unwrap()[0].id;
        assert!(fresh.take_over(taken, until, "so".into(), None, at(1_000)).await.unwrap());
        fresh.contact_writes(&id, &format!("SM2{number}"), at(2_000)).await;
        answer_due_turn(fresh, at(3_000)).await;
        let goes_on = fresh.conversations(None, 1).await.unwrap()[0].id;
        if let Some(until) = other {
            assert!(fresh.take_over(goes_on, until, "so".into(), None, at(3_000)).await.unwrap());
        }
        let reception = Admission::default();
        let met =
            fresh.contact_writes_with(&format!("{phone} {id}"), &format!("SM3{number}"), at(6_000), reception).await;
        assert_eq!(matches!(met, ReceiveOutcome::Skipped(_)), expected.starts_with("human"), "{expected}");
        let mode =
            format!("SELECT mode, mode_until, mode_why FROM conversations WHERE hex(id) = '{}'", goes_on.0.simple());
        let mode = mode.replace("hex(id)", "lower(hex(id))");
        assert_eq!(fresh.rows(&mode), [expected]);
        if let ReceiveOutcome::Queued(_) = met {
            answer_due_turn(fresh, at(7_000)).await;
        }
    }
}

pub async fn an_opt_out_or_block_of_one_of_two_merged_contacts_holds_for_both(fresh: &FreshStore) {
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
        fresh.contact_writes(&phone, &format!("SM1{number}"), START).await;
        answer_due_turn(fresh, at_claim_time(0)).await;
        fresh.contact_writes(&id, &format!("SM2{number}"), at(2_000)).await;
        answer_due_turn(fresh, at(3_000)).await;
        let marked = if by_phone { &phone } else { &id };
        fresh.execute_sql(&format!(
            "UPDATE contacts SET {mark} = 7 WHERE id = (SELECT contact_id FROM addresses WHERE value = '{marked}')"
        ));
        let met = fresh
            .contact_writes_with(&format!("{phone} {id}"), &format!("SM3{number}"), at(4_000), Admission::default())
            .await;
        let ReceiveOutcome::Skipped(turn) = met else { panic!("{mark}: {met:?}") };
        assert_eq!(fresh.turn_error(turn), why);
        let left =
            format!("SELECT {mark} FROM contacts WHERE id = (SELECT contact_id FROM addresses WHERE value = '{id}')");
        assert_eq!(fresh.rows(&left), ["7"]);
        fresh.assert_nothing_due(at(100_000)).await;
    }
    assert_eq!(fresh.count("contacts"), 4);
}

pub async fn parts_for_a_contact_who_turns_out_to_be_blocked_are_held_back(fresh: &FreshStore) {
    for (number, (by_phone, blocked_first)) in
        [(true, true), (false, true), (true, false), (false, false)].into_iter().enumerate()
    {
        let (phone, id) = (format!("+1555000100{number}"), format!("US.{number}"));
        let (blocked, free) = if by_phone { (&phone, &id) } else { (&id, &phone) };
        let block = || fresh.set_blocked(Address::parse(blocked).unwrap(), true, START);
        if blocked_first {
            block().await.unwrap();
        }
        fresh.contact_writes(free, &format!("SM1{number}"), START).await;
        let claim = fresh.due_turn(at_claim_time(0)).await;
        if !blocked_first {
            block().await.unwrap();
        }
        let met = fresh
            .contact_writes_with(&format!("{phone} {id}"), &format!("SM2{number}"), at(2_000), Admission::default())
            .await;
        assert!(matches!(met, ReceiveOutcome::Skipped(_)), "{met:?}");
        let replied = fresh.reply(&claim, answer("Hello."), vec!["Hello.".into()], at(2_000)).await.unwrap();
        assert_eq!((replied, fresh.turn_state(claim.turn).as_str()), (None, "skipped"));
    }
}

fn with_one_call_a_day(fresh: &FreshStore) -> FreshStore {
    let contact_day = Budget { calls: Some(3), ..Budget::default() };
    let reserve = Charge { calls: 1, tokens: 100, micros: 0 };
    fresh.with_options(StoreOptions {
        budgets: Budgets { contact_day, ..Budgets::NONE },
        call_reservation: reserve,
        ..DEFAULT_OPTIONS
    })
}

pub async fn the_usage_of_two_contacts_is_added_when_they_are_merged(fresh: &FreshStore) {
    let fresh = &with_one_call_a_day(fresh);
    two_contacts(fresh).await;
    let spent = || fresh.rows("SELECT scope, calls, tokens FROM spent ORDER BY scope");
    assert_eq!(spent(), ["contact 1|1|10", "contact 2|1|10"]);
    fresh.contact_writes(PHONE_AND_USER_ID, "SM3", at(4_000)).await;
    assert_eq!(spent(), ["contact 2|2|20"]);
    answer_due_turn(fresh, at(5_000)).await;
    fresh.contact_writes(ANN, "SM4", at(6_000)).await;
    assert_eq!(fresh.due_turn(at(7_000)).await.exhausted_budget, Some("of one contact for a day"));
}

pub async fn a_call_that_runs_during_a_merge_is_charged_to_the_merged_contact(fresh: &FreshStore) {
    let fresh = &with_one_call_a_day(fresh);
    fresh.contact_writes(ANN, "SM1", START).await;
    let claim = fresh.due_turn(at_claim_time(0)).await;
    assert_eq!(claim.contact, 1);
    fresh.contact_writes(USER_ID, "SM2", at(2_000)).await;
    fresh.contact_writes(PHONE_AND_USER_ID, "SM3", at(2_100)).await;
    claim.reservation.as_ref().unwrap().record_calls(Charge { calls: 2, tokens: 30, micros: 0 }, 0);
    assert!(fresh.reserve_another_call(claim.turn, claim.reservation.as_ref().unwrap()).await.unwrap());
    let (part, token) = fresh.answer_at(&claim, &["Hello."], at(3_000)).await;
    assert!(fresh.provider_accepts(part, token, "SMout", at(3_000)).await);
    assert_eq!(fresh.rows("SELECT scope, calls, tokens FROM spent"), ["contact 2|2|30"]);
}

pub async fn a_phone_number_with_another_user_id_belongs_to_another_person(fresh: &FreshStore) {
    for known in [false, true] {
        let phone = format!("+1555000100{}", u8::from(known));
        let (first, second) = (format!("US.1{}", u8::from(known)), format!("US.2{}", u8::from(known)));
        fresh.contact_writes(&format!("{phone} {first}"), &format!("SM1{first}"), START).await;
        let conversation = fresh.conversations(None, 1).await.unwrap()[0].id;
        if known {
            fresh.contact_writes(&second, &format!("SM0{second}"), at(10)).await;
        }
        let turn = fresh.contact_writes(&format!("{phone} {second}"), &format!("SM2{second}"), at(100)).await;
        let claims = fresh.due_turns(at(1_100)).await;
        let ways: Vec<_> = claims.iter().map(|claim| (claim.conversation == conversation, claim.to.clone())).collect();
        assert_eq!(ways, [(true, format!("whatsapp:{first}")), (false, format!("whatsapp:{phone}"))]);
        let heard = fresh.window_lines(claims[1].conversation, turn, 9).await;
        assert!(!heard.contains(&format!("user: SM1{first}")), "{heard:?}");
        // Each is known by what they have.
        fresh.contact_writes(&first, &format!("SM3{first}"), at(1_200)).await;
        fresh.contact_writes(&phone, &format!("SM3{second}"), at(1_200)).await;
        let said = fresh.rows(&format!(
            "SELECT c.contact_id <> d.contact_id FROM messages m JOIN conversations c ON c.id = m.conversation_id
             JOIN messages n ON n.provider_id = 'SM3{second}' JOIN conversations d ON d.id = n.conversation_id
             WHERE m.provider_id = 'SM3{first}'"
        ));
        assert_eq!(said, ["1"]);
        for claim in claims {
            fresh.answer_at(&claim, &["Hello."], at(1_300)).await;
        }
        fresh.execute_sql("DELETE FROM conversations");
    }
    assert_eq!(fresh.count("contacts"), 4);
}

pub async fn a_blocked_number_stays_blocked_whoever_writes_with_it(fresh: &FreshStore) {
    fresh.contact_writes(PHONE_AND_USER_ID, "SM1", START).await;
    answer_due_turn(fresh, at_claim_time(0)).await;
    fresh.set_blocked(Address::parse(ANN).unwrap(), true, at(2_000)).await.unwrap();
    let meets = async |from: &str, id: &str| {
        let met = fresh.contact_writes_with(from, id, at(3_000), Admission::default()).await;
        let ReceiveOutcome::Skipped(turn) = met else { panic!("{from}: {met:?}") };
        assert_eq!(fresh.turn_error(turn), "the contact is blocked");
    };
    meets(ANN, "SM2").await;
    meets(USER_ID, "SM3").await;
    meets(&format!("{ANN} {OTHER_USER_ID}"), "SM4").await;
    meets(OTHER_USER_ID, "SM5").await;
    meets(USER_ID, "SM6").await;
    fresh.set_blocked(Address::parse(OTHER_USER_ID).unwrap(), false, at(4_000)).await.unwrap();
    fresh.contact_writes(ANN, "SM7", at(5_000)).await;

    // So does one that said STOP, until START.
    answer_due_turn(fresh, at(6_000)).await;
    fresh.contact_sends_command(ANN, "SM8", at(7_000), Command::OptOut).await;
    answer_due_turn(fresh, at(8_000)).await;
    let met = fresh.contact_writes_with(&format!("{ANN} US.3"), "SM9", at(9_000), Admission::default()).await;
    let ReceiveOutcome::Skipped(turn) = met else { panic!("{met:?}") };
    assert_eq!(fresh.turn_error(turn), "the contact opted out");
    fresh.contact_sends_command(ANN, "SM10", at(9_000), Command::OptIn).await;
}

pub async fn a_hidden_number_is_answered_for_thirty_days_and_then_the_user_id(fresh: &FreshStore) {
    let to = |conversation: &str| fresh.rows(&format!("SELECT reply_to FROM conversations {conversation}"));
    let last = "ORDER BY id DESC LIMIT 1";
    fresh.contact_writes(PHONE_AND_USER_ID, "SM1", START).await;
    fresh.contact_writes(USER_ID, "SM2", at(30 * DAY - 1)).await;
    assert_eq!(to(last), [format!("whatsapp:{ANN}")]);
    fresh.contact_writes(USER_ID, "SM3", at(30 * DAY)).await;
    assert_eq!(to(last), [format!("whatsapp:{USER_ID}")]);
    // Of two numbers the one seen last, and none that an operator alone ever named.
    fresh.contact_writes(&format!("{BEN} {USER_ID}"), "SM4", at(31 * DAY)).await;
    fresh.contact_writes(USER_ID, "SM5", at(32 * DAY)).await;
    assert_eq!(to(last), [format!("whatsapp:{BEN}")]);
    fresh.contact_writes(PHONE_AND_USER_ID, "SM6", at(32 * DAY)).await;
    fresh.contact_writes(&format!("{BEN} {USER_ID}"), "SM7", at(32 * DAY + 1)).await;
    fresh.contact_writes(USER_ID, "SM8", at(33 * DAY)).await;
    assert_eq!(to(last), [format!("whatsapp:{BEN}")]);
    fresh.set_blocked(Address::parse("+15550000009").unwrap(), true, at(33 * DAY)).await.unwrap();
    fresh.set_blocked(Address::parse("+15550000009").unwrap(), false, at(33 * DAY)).await.unwrap();
    fresh.execute_sql("UPDATE addresses SET contact_id = 1 WHERE value = '+15550000009'");
    fresh.contact_writes(USER_ID, "SM9", at(33 * DAY)).await;
    assert_eq!(to(last), [format!("whatsapp:{BEN}")]);
}

pub async fn the_last_seen_time_of_an_address_is_updated_once_a_day(fresh: &FreshStore) {
    let seen = || fresh.rows("SELECT DISTINCT seen_at FROM addresses");
    for (id, when, noted) in [("SM1", 0, 0), ("SM2", DAY - 1, 0), ("SM3", DAY, DAY), ("SM0", DAY - 5, DAY)] {
        fresh.contact_writes(PHONE_AND_USER_ID, id, at(when)).await;
        assert_eq!(seen(), [at(noted).0.to_string()], "{id}");
    }
}

/// A message through an account, which has a number of its own.
async fn contact_writes_through(fresh: &FreshStore, account: &str, from: &str, id: &str, millis: i64) {
    let reception = Admission { account: account.into(), ..Admission::default() };
    let inbound = Inbound { to: format!("whatsapp:+1999000000{}", &account[2..]), ..inbound(from, id, at(millis)) };
    fresh.receive(inbound, None, reception).await.unwrap();
}

pub async fn a_person_has_a_user_id_with_each_account(fresh: &FreshStore) {
    contact_writes_through(fresh, "AC1", PHONE_AND_USER_ID, "SM1", 0).await;
    contact_writes_through(fresh, "AC2", &format!("{ANN} {OTHER_USER_ID}"), "SM2", 1).await;
    let all = [format!("1|{ANN}"), format!("1|{USER_ID}"), format!("1|{OTHER_USER_ID}")];
    assert_eq!(addresses(fresh), all, "one person");
    // Each is theirs alone, and another one through the same account another person.
    contact_writes_through(fresh, "AC1", USER_ID, "SM3", 2).await;
    contact_writes_through(fresh, "AC2", OTHER_USER_ID, "SM4", 3).await;
    assert_eq!(addresses(fresh), all);
    contact_writes_through(fresh, "AC3", ANN, "SM6", 3).await;
    contact_writes_through(fresh, "AC2", &format!("{ANN} US.3"), "SM5", 4).await;
    let moved = [format!("2|{ANN}"), format!("1|{USER_ID}"), format!("1|{OTHER_USER_ID}"), "2|US.3".to_owned()];
    assert_eq!(addresses(fresh), moved);
    // What waits for the one before goes to their user ID with the account that it goes through, else to another one of
    // theirs.
    let to = fresh.rows("SELECT account, reply_to FROM conversations WHERE contact_id = 1 ORDER BY account");
    assert_eq!(
        to,
        [format!("AC1|whatsapp:{USER_ID}"), format!("AC2|whatsapp:{OTHER_USER_ID}"), format!("AC3|whatsapp:{USER_ID}")]
    );
}

pub async fn two_contacts_of_two_accounts_are_merged_by_the_number_that_both_have(fresh: &FreshStore) {
    contact_writes_through(fresh, "AC1", PHONE_AND_USER_ID, "SM1", 0).await;
    contact_writes_through(fresh, "AC2", OTHER_USER_ID, "SM2", 1).await;
    assert_eq!(addresses(fresh), [format!("1|{ANN}"), format!("1|{USER_ID}"), format!("2|{OTHER_USER_ID}")]);
    contact_writes_through(fresh, "AC2", &format!("{ANN} {OTHER_USER_ID}"), "SM3", 2).await;
    assert_eq!(addresses(fresh), [format!("2|{ANN}"), format!("2|{USER_ID}"), format!("2|{OTHER_USER_ID}")]);
    // Two who have an ID with the same account each are not, whichever account the number came through.
    contact_writes_through(fresh, "AC1", "US.3", "SM4", 3).await;
    contact_writes_through(fresh, "AC3", "US.4", "SM5", 4).await;
    fresh.execute_sql("UPDATE addresses SET contact_id = 3 WHERE value = 'US.4'");
    contact_writes_through(fresh, "AC3", &format!("{ANN} US.4"), "SM6", 5).await;
    let moved = ["3|+15550000001", "2|US.13491208655302741918", "2|US.20000000000000000002", "3|US.3", "3|US.4"];
    assert_eq!(addresses(fresh), moved);
}

pub async fn a_user_id_of_two_accounts_of_one_business_is_known_through_both(fresh: &FreshStore) {
    contact_writes_through(fresh, "AC1", USER_ID, "SM1", 0).await;
    contact_writes_through(fresh, "AC2", &format!("{ANN} {OTHER_USER_ID}"), "SM2", 1).await;
    // The number has an ID with the second account, which this one is not.
    contact_writes_through(fresh, "AC2", PHONE_AND_USER_ID, "SM3", 2).await;
    assert_eq!(addresses(fresh), [format!("1|{ANN}"), format!("1|{USER_ID}"), format!("2|{OTHER_USER_ID}")]);
    assert_eq!(fresh.rows(&format!("SELECT accounts FROM addresses WHERE value = '{USER_ID}'")), ["AC1 AC2"]);
    // So whoever comes through the second with another one is not that person.
    contact_writes_through(fresh, "AC2", &format!("{ANN} US.3"), "SM4", 3).await;
    assert_eq!(addresses(fresh)[0], format!("3|{ANN}"));
}

pub async fn a_user_id_blocked_by_an_operator_gets_its_account_from_the_first_message(fresh: &FreshStore) {
    fresh.set_blocked(Address::parse(USER_ID).unwrap(), true, START).await.unwrap();
    contact_writes_through(fresh, "AC1", PHONE_AND_USER_ID, "SM1", 0).await;
    assert_eq!(fresh.rows("SELECT accounts FROM addresses WHERE kind = 'bsuid'"), ["AC1"]);
    contact_writes_through(fresh, "AC2", &format!("{ANN} {OTHER_USER_ID}"), "SM2", 1).await;
    assert_eq!(fresh.rows("SELECT DISTINCT contact_id FROM addresses").len(), 1);
}

pub async fn an_answer_does_not_follow_a_number_that_goes_to_somebody_else_meanwhile(fresh: &FreshStore) {
    let claim = {
        fresh.contact_writes(PHONE_AND_USER_ID, "SM1", START).await;
        fresh.due_turn(at_claim_time(0)).await
    };
    assert_eq!(claim.to, format!("whatsapp:{ANN}"));
    fresh.contact_writes(&format!("{ANN} {OTHER_USER_ID}"), "SM2", at(2_000)).await;
    let replied = fresh.reply(&claim, answer("Hello."), vec!["Hello.".into()], at(2_000)).await.unwrap().unwrap();
    assert_eq!(replied.to, format!("whatsapp:{USER_ID}"));
    assert_eq!(fresh.rows("SELECT posted_to FROM parts"), [replied.to]);
}

pub async fn a_contact_has_the_latest_profile_name(fresh: &FreshStore) {
    for (id, name, called) in
        [("SM1", None, ""), ("SM2", Some("Ann"), "Ann"), ("SM3", None, "Ann"), ("SM4", Some("Ann B."), "Ann B.")]
    {
        let message = Inbound { profile_name: name.map(str::to_owned), ..inbound(ANN, id, START) };
        fresh.receive(message, None, Admission::default()).await.unwrap();
        assert_eq!(fresh.rows("SELECT COALESCE(name, '') FROM contacts"), [called], "{id}");
    }
}

pub async fn a_contact_admitted_by_one_address_is_admitted_by_the_other(fresh: &FreshStore) {
    let closed = || Admission {
        sender: SenderStatus::Unknown,
        allowed_senders: Arc::new([Address::parse(ANN).unwrap()]),
        ..Admission::default()
    };
    fresh.contact_writes(PHONE_AND_USER_ID, "SM1", START).await;
    assert!(matches!(fresh.contact_writes_with(USER_ID, "SM2", at(1), closed()).await, ReceiveOutcome::Queued(_)));
    assert!(matches!(
        fresh.contact_writes_with(OTHER_USER_ID, "SM3", at(1), closed()).await,
        ReceiveOutcome::Skipped(_)
    ));
    assert!(matches!(fresh.contact_writes_with(BEN, "SM4", at(1), closed()).await, ReceiveOutcome::Skipped(_)));
}

pub async fn an_unknown_part_is_looked_up_at_the_address_where_it_was_posted(fresh: &FreshStore) {
    let (_, part) = fresh.unknown_part(USER_ID, &["One.", "Two."]).await;
    fresh.contact_writes(&format!("{ANN} {USER_ID}"), "SM2", at(2_500)).await;
    assert_eq!(fresh.rows("SELECT reply_to FROM conversations"), [format!("whatsapp:{ANN}")]);
    let look = fresh.due_lookup(at(3_000)).await;
    assert_eq!((look.part, look.to), (part, format!("whatsapp:{USER_ID}")));
    fresh.settle_lookup(part, vec![sid("SMfound")], false, at(3_000)).await.unwrap();
    // The next part goes where the contact is answered by now, and is looked for there.
    let next = fresh.due_part(at(6_000)).await;
    assert_eq!(next.outgoing.to, format!("whatsapp:{ANN}"));
    fresh.contact_writes(OTHER_USER_ID, "SM3", at(6_500)).await;
    fresh.execute_sql(&format!(
        "UPDATE conversations SET reply_to = 'whatsapp:{USER_ID}' WHERE reply_to = 'whatsapp:{ANN}'"
    ));
    let (part, why) = (next.outgoing.reference, "the answer did not come".to_owned());
    assert!(fresh.mark_part_unknown(part, next.token, at(7_000), why).await.unwrap());
    let looks = fresh.claim(at(7_000), 0, 9).await.unwrap().lookups;
    assert_eq!((looks.len(), looks[0].to.as_str()), (1, &*format!("whatsapp:{ANN}")));
}
