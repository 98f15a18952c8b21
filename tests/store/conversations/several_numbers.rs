//! Several numbers: a conversation remembers the account that it came through, and each number has its own.

use mynah::model::{ContentSid, DeliveryStatus};
use mynah::store::{Admission, PartClaim, PerNumber, StatusOutcome};

use crate::setup::fresh_store::{ANN, BEN, FreshStore, answer, at, status_update};

const DAY: i64 = 24 * 3_600_000;

fn through_account(account: &str) -> Admission {
    Admission { account: account.into(), ..Admission::default() }
}

pub async fn a_conversation_remembers_the_account_that_it_came_through_last(fresh: &FreshStore) {
    fresh.contact_writes_with(ANN, "SM1", at(0), through_account("AC1")).await;
    let claim = fresh.due_turn(at(2_000)).await;
    assert_eq!(claim.account, "AC1");
    let (part, token) = fresh.answer(&claim, &["One."]).await;
    assert!(fresh.retry_part(part, token, at(3_000), "503".into()).await.unwrap());
    let claim = fresh.due_part(at(3_000)).await;
    assert_eq!(claim.account, "AC1");
    assert!(fresh.mark_part_unknown(part, claim.token, at(5_000), "cut".into()).await.unwrap());
    // Moved to another account meanwhile.
    fresh.contact_writes_with(ANN, "SM2", at(4_000), through_account("AC2")).await;
    assert_eq!(fresh.due_lookup(at(5_000)).await.account, "AC2");
    assert_eq!(fresh.conversations(None, 9).await.unwrap()[0].account, "AC2");
}

pub async fn a_turn_given_up_at_a_start_is_apologized_for_in_the_numbers_own_text(fresh: &FreshStore) {
    for (from, id, account) in [(ANN, "SM1", "AC1"), (BEN, "SM2", "AC2")] {
        fresh.contact_writes_with(from, id, at(0), through_account(account)).await;
    }
    let of_account = |account: &str, _: &str| format!("Sorry from {account}.");
    fresh.due_turns(at(2_000)).await;
    for death in 0..7 {
        let now = at((death + 1) * 2 * 3_600_000);
        fresh.recover(now, PerNumber::new(of_account)).await.unwrap();
        if death < 6 {
            assert_eq!(fresh.due_turns(now + std::time::Duration::from_secs(4_200)).await.len(), 2);
        }
    }
    let mut parts = fresh.claim(at(15 * 3_600_000), 9, 9).await.unwrap().parts;
    let mut sent: Vec<_> = parts.drain(..).map(|part| (part.account, part.outgoing.text)).collect();
    sent.sort();
    let sent_texts: Vec<_> = sent.iter().map(|(account, text)| (account.as_str(), text.as_str())).collect();
    assert_eq!(sent_texts, [("AC1", "Sorry from AC1."), ("AC2", "Sorry from AC2.")]);
}

fn template_sid(part: &PartClaim) -> Option<ContentSid> {
    part.outgoing.template.as_ref().map(|template| template.sid)
}

pub async fn each_number_has_its_own_template_or_none(fresh: &FreshStore) {
    let template = ContentSid::parse("HX00000000000000000000000000000001");
    let store = (**fresh)
        .clone()
        .with_reopen_templates(PerNumber::new(move |account, _| template.filter(|_| account == "AC1")));
    for (from, id, account) in [(ANN, "SM1", "AC1"), (BEN, "SM2", "AC2")] {
        fresh.contact_writes_with(from, id, at(0), through_account(account)).await;
    }
    // Both ways to give a turn up.
    assert!(store.claim(at(DAY), 1, 9).await.unwrap().turns.is_empty());
    store.expire_overdue_turns(at(DAY)).await.unwrap();
    let parts = store.claim(at(DAY), 9, 9).await.unwrap().parts;
    let sent: Vec<_> = parts.iter().map(|part| (part.account.as_str(), template_sid(part))).collect();
    assert_eq!(sent, [("AC1", template)]);
    let again = (**fresh)
        .clone()
        .with_reopen_templates(PerNumber::new(move |account, _| template.filter(|_| account == "AC2")));
    fresh.contact_writes_with(BEN, "SM3", at(DAY), through_account("AC2")).await;
    again.expire_overdue_turns(at(2 * DAY)).await.unwrap();
    assert_eq!(template_sid(&again.claim(at(2 * DAY), 9, 9).await.unwrap().parts[0]), template);
}

pub async fn an_account_may_report_the_status_of_its_own_messages_only(fresh: &FreshStore) {
    fresh.contact_writes_with(ANN, "SM1", at(0), through_account("AC1")).await;
    let claim = fresh.due_turn(at(2_000)).await;
    let (part, token) = fresh.answer(&claim, &["One."]).await;
    let from =
        async |account: &str, news| fresh.apply_status_from(Some(account.into()), news, None, at(3_000)).await.unwrap();
    // Before its id is known, by our reference.
    assert_eq!(from("AC2", status_update("SMout", DeliveryStatus::Sent, Some(part))).await, StatusOutcome::NotOurs);
    assert_eq!(fresh.part_states(claim.turn), "sending");
    assert!(fresh.provider_accepts(part, token, "SMout", at(3_000)).await);
    // And after, by its id.
    assert_eq!(from("AC2", status_update("SMout", DeliveryStatus::Failed, None)).await, StatusOutcome::NotOurs);
    assert_eq!(fresh.delivery_status(part), "-|-");
    assert_eq!(from("AC1", status_update("SMout", DeliveryStatus::Sent, None)).await, StatusOutcome::Recorded);
    assert_eq!(from("AC1", status_update("SMelse", DeliveryStatus::Sent, None)).await, StatusOutcome::NotOurs);
}

pub async fn a_number_moved_to_another_account_posts_through_the_new_one(fresh: &FreshStore) {
    let moved = (**fresh).clone().with_posting_accounts(PerNumber::new(|_, _| "AC2".to_owned()));
    fresh.contact_writes_with(ANN, "SM1", at(0), through_account("AC1")).await;
    let claim = fresh.due_turn(at(2_000)).await;
    let parts = vec!["One.".into(), "Two.".into()];
    let replied = moved.reply(&claim, answer("One. Two."), parts, at(2_000)).await.unwrap().unwrap();
    let news = |part, account: &str| {
        moved.apply_status_from(
            Some(account.into()),
            status_update("SMout", DeliveryStatus::Sent, Some(part)),
            None,
            at(3_000),
        )
    };
    assert_eq!(news(replied.part, "AC1").await.unwrap(), StatusOutcome::NotOurs);
    assert_eq!(news(replied.part, "AC2").await.unwrap(), StatusOutcome::NextIsScheduled);
    let second = moved.claim(at(6_000), 9, 9).await.unwrap().parts.remove(0);
    let (part, why) = (second.outgoing.reference, "cut".to_owned());
    assert!(fresh.mark_part_unknown(part, second.token, at(7_000), why).await.unwrap());
    let lookup = fresh.due_lookup(at(7_000)).await;
    assert_eq!((lookup.account.as_str(), lookup.posted_by.as_str()), ("AC1", "AC2"));
}

pub async fn each_number_has_its_own_catch_up_position(fresh: &FreshStore) {
    fresh.record_caught_up("AC1 whatsapp:+1", at(1_000)).await.unwrap();
    assert_eq!(fresh.catch_up_progress("AC2 whatsapp:+2").await.unwrap(), None);
    fresh.record_caught_up("AC2 whatsapp:+2", at(2_000)).await.unwrap();
    assert_eq!(fresh.catch_up_progress("AC1 whatsapp:+1").await.unwrap().unwrap().caught_up_at, at(1_000));
}
