//! Two contacts that turn out to be one person.

use mynah::model::{Address, Budget, Budgets, Charge};
use mynah::store::{Admission, ReceiveOutcome, StoreOptions};

use super::two_addresses::{
    OTHER_USER_ID, PHONE_AND_USER_ID, USER_ID, addresses, answer_due_turn, at_claim_time, contact_writes_through,
};
use crate::setup::fresh_store::{ANN, BEN, DEFAULT_OPTIONS, FreshStore, START, answer, at, inbound};

/// Two separate contacts, each with an answered conversation; the first is known by phone.
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
    // The id of a merged contact is not reused.
    fresh.contact_writes(BEN, "SM5", at(7_000)).await;
    assert_eq!(fresh.rows("SELECT id FROM contacts ORDER BY id"), ["2", "3"]);
}

pub async fn a_merge_keeps_the_latest_of_two_open_conversations_and_answers_both(fresh: &FreshStore) {
    let waits = fresh.contact_writes(USER_ID, "SM1", at(100)).await;
    let last = fresh.contact_writes(ANN, "SM2", at(200)).await;
    assert_eq!(fresh.contact_writes(PHONE_AND_USER_ID, "SM3", at(300)).await, last, "it joins what was said last");
    let mut claims = fresh.due_turns(at(1_300)).await;
    claims.sort_by_key(|claim| claim.turn);
    let claimed: Vec<_> = claims.iter().map(|claim| (claim.turn, claim.contact)).collect();
    assert_eq!(claimed, [(waits, 2), (last, 2)]);
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
        let admission = Admission::default();
        let met =
            fresh.contact_writes_with(&format!("{phone} {id}"), &format!("SM3{number}"), at(6_000), admission).await;
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

pub async fn two_contacts_of_two_accounts_are_merged_by_the_number_that_both_have(fresh: &FreshStore) {
    contact_writes_through(fresh, "AC1", PHONE_AND_USER_ID, "SM1", 0).await;
    contact_writes_through(fresh, "AC2", OTHER_USER_ID, "SM2", 1).await;
    assert_eq!(addresses(fresh), [format!("1|{ANN}"), format!("1|{USER_ID}"), format!("2|{OTHER_USER_ID}")]);
    contact_writes_through(fresh, "AC2", &format!("{ANN} {OTHER_USER_ID}"), "SM3", 2).await;
    assert_eq!(addresses(fresh), [format!("2|{ANN}"), format!("2|{USER_ID}"), format!("2|{OTHER_USER_ID}")]);
    // Two contacts with different user IDs of one account are not merged, whichever account the number came through.
    contact_writes_through(fresh, "AC1", "US.3", "SM4", 3).await;
    contact_writes_through(fresh, "AC3", "US.4", "SM5", 4).await;
    fresh.execute_sql("UPDATE addresses SET contact_id = 3 WHERE value = 'US.4'");
    contact_writes_through(fresh, "AC3", &format!("{ANN} US.4"), "SM6", 5).await;
    let moved = ["3|+15550000001", "2|US.13491208655302741918", "2|US.20000000000000000002", "3|US.3", "3|US.4"];
    assert_eq!(addresses(fresh), moved);
}
