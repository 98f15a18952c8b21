//! Phone numbers and user IDs of one contact, numbers that go to somebody else, and accounts.

use std::sync::Arc;

use mynah::model::{Address, Command, Inbound};
use mynah::store::{Admission, ReceiveOutcome, SenderStatus};

use super::two_addresses::{
    OTHER_USER_ID, PHONE_AND_USER_ID, USER_ID, addresses, answer_due_turn, at_claim_time, contact_writes_through,
};
use crate::setup::fresh_store::{ANN, BEN, FreshStore, START, answer, at, inbound, sid};

const DAY: i64 = 86_400_000;

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
        let window = fresh.window_lines(claims[1].conversation, turn, 9).await;
        assert!(!window.contains(&format!("user: SM1{first}")), "{window:?}");
        // Each is known by their own address.
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

    // A number that sent STOP stays opted out, until START.
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
    // Of two numbers the one seen last counts, and none that only an operator has named.
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

pub async fn a_person_has_a_user_id_with_each_account(fresh: &FreshStore) {
    contact_writes_through(fresh, "AC1", PHONE_AND_USER_ID, "SM1", 0).await;
    contact_writes_through(fresh, "AC2", &format!("{ANN} {OTHER_USER_ID}"), "SM2", 1).await;
    let all = [format!("1|{ANN}"), format!("1|{USER_ID}"), format!("1|{OTHER_USER_ID}")];
    assert_eq!(addresses(fresh), all, "one person");
    // Each belongs to one person; another user ID through the same account is another person.
    contact_writes_through(fresh, "AC1", USER_ID, "SM3", 2).await;
    contact_writes_through(fresh, "AC2", OTHER_USER_ID, "SM4", 3).await;
    assert_eq!(addresses(fresh), all);
    contact_writes_through(fresh, "AC3", ANN, "SM6", 3).await;
    contact_writes_through(fresh, "AC2", &format!("{ANN} US.3"), "SM5", 4).await;
    let moved = [format!("2|{ANN}"), format!("1|{USER_ID}"), format!("1|{OTHER_USER_ID}"), "2|US.3".to_owned()];
    assert_eq!(addresses(fresh), moved);
    // Messages that wait for the previous person go to their user ID with the account in use, or else to another of
    // their user IDs.
    let to = fresh.rows("SELECT account, reply_to FROM conversations WHERE contact_id = 1 ORDER BY account");
    assert_eq!(
        to,
        [format!("AC1|whatsapp:{USER_ID}"), format!("AC2|whatsapp:{OTHER_USER_ID}"), format!("AC3|whatsapp:{USER_ID}")]
    );
}

pub async fn a_user_id_of_two_accounts_of_one_business_is_known_through_both(fresh: &FreshStore) {
    contact_writes_through(fresh, "AC1", USER_ID, "SM1", 0).await;
    contact_writes_through(fresh, "AC2", &format!("{ANN} {OTHER_USER_ID}"), "SM2", 1).await;
    // The number belongs to another user ID of the second account.
    contact_writes_through(fresh, "AC2", PHONE_AND_USER_ID, "SM3", 2).await;
    assert_eq!(addresses(fresh), [format!("1|{ANN}"), format!("1|{USER_ID}"), format!("2|{OTHER_USER_ID}")]);
    assert_eq!(fresh.rows(&format!("SELECT accounts FROM addresses WHERE value = '{USER_ID}'")), ["AC1 AC2"]);
    // So another user ID through the second account is another person.
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
    let lookup = fresh.due_lookup(at(3_000)).await;
    assert_eq!((lookup.part, lookup.to), (part, format!("whatsapp:{USER_ID}")));
    fresh.settle_lookup(part, vec![sid("SMfound")], false, at(3_000)).await.unwrap();
    // The next part goes to the contact's current address, and is looked up there.
    let next = fresh.due_part(at(6_000)).await;
    assert_eq!(next.outgoing.to, format!("whatsapp:{ANN}"));
    fresh.contact_writes(OTHER_USER_ID, "SM3", at(6_500)).await;
    fresh.execute_sql(&format!(
        "UPDATE conversations SET reply_to = 'whatsapp:{USER_ID}' WHERE reply_to = 'whatsapp:{ANN}'"
    ));
    let (part, why) = (next.outgoing.reference, "the answer did not come".to_owned());
    assert!(fresh.mark_part_unknown(part, next.token, at(7_000), why).await.unwrap());
    let lookups = fresh.claim(at(7_000), 0, 9).await.unwrap().lookups;
    assert_eq!((lookups.len(), lookups[0].to.as_str()), (1, &*format!("whatsapp:{ANN}")));
}
