//! A person who is erased is gone, and does not come back.

use mynah::clock::Time;
use mynah::model::{Address, Attachment, Command, DeliveryStatus, FileHash, Media, PersonQuery};
use mynah::store::{
    Admission, AttachmentOutcome, Deleted, Erasure, MissedWebhook, ReceiveOutcome, StatusOutcome, StoreOptions,
    UnfinishedErasure,
};

use crate::setup::fresh_store::{
    ANN, BEN, DEFAULT_OPTIONS, FreshStore, MERGE_WINDOW, START, answer, at, inbound, status_update, webhook_record,
};

const USER_ID: &str = "US.13491208655302741918";

const HOUR: i64 = 3_600_000;

/// The contact of that address, as an operator finds them.
async fn contact_of(fresh: &FreshStore, address: &str) -> Option<i64> {
    let found = fresh.find_people(PersonQuery::parse(address).unwrap(), 10).await.unwrap();
    found.first().map(|person| person.contact)
}

async fn erase(fresh: &FreshStore, address: &str, when: Time) -> Erasure {
    let contact = contact_of(fresh, address).await.expect("a contact");
    fresh.erase_person(contact, when).await.unwrap().expect("a contact")
}

/// A message arrives by its webhook, whose body is as Twilio writes it.
async fn webhook_arrives(fresh: &FreshStore, from: &str, id: &str, when: Time) -> ReceiveOutcome {
    let phone = &from.split(' ').next().unwrap()[1..];
    let body = format!("From=whatsapp%3A%2B{phone}&WaId={phone}&ProfileName=Ann&Body={id}");
    fresh.receive(inbound(from, id, when), Some(webhook_record(&body)), Admission::default()).await.unwrap().outcome
}

/// Catch-up finds the message in the provider's list.
async fn is_listed(fresh: &FreshStore, from: &str, id: &str, sent_at: Time) -> ReceiveOutcome {
    let missed = MissedWebhook { found_at: at(2 * HOUR), is_too_old: false };
    let admission = Admission { missed_webhook: Some(missed), ..Admission::default() };
    fresh.receive(inbound(from, id, sent_at), None, admission).await.unwrap().outcome
}

async fn restriction(fresh: &FreshStore, address: &str) -> Vec<String> {
    let contact = contact_of(fresh, address).await.expect("a contact");
    fresh.rows(&format!("SELECT opted_out_at, blocked_at FROM contacts WHERE id = {contact}"))
}

pub async fn an_erased_person_stands_in_no_table(fresh: &FreshStore) {
    let fresh = &fresh.with_erasure_key();
    let from = format!("{ANN} {USER_ID}");
    // Answered, with an alert, a picture of an operator, a second conversation, and the log of all that.
    webhook_arrives(fresh, &from, "SM-of-ann", START).await;
    webhook_arrives(fresh, BEN, "SM-of-ben", START).await;
    for claim in fresh.due_turns(START + MERGE_WINDOW).await {
        let (part, token) = fresh.answer(&claim, &["Hello."]).await;
        fresh.provider_accepts(part, token, &format!("SM-to-{}", claim.turn), at(1_000)).await;
    }
    let conversation = fresh.conversations(None, 10).await.unwrap().pop().unwrap().id;
    let hash = FileHash::new([7; 32]);
    let media = Media { hash, media_type: "image/png".into(), name: "Ann at home.png".into(), size: 3 };
    fresh.send_operator_file(conversation, "for Ann".into(), media, None, at(2_000)).await.unwrap();
    fresh.record_alert("hand_over", conversation.to_string(), "Ann wants to talk".into(), START).await.unwrap();
    fresh.record_alert("model", "answers".into(), format!("no answer to {ANN}"), START).await.unwrap();
    fresh.record_alert("model", "voice notes".into(), format!("no answer to {BEN}"), START).await.unwrap();
    fresh.end_conversation(conversation, at(HOUR)).await.unwrap();
    webhook_arrives(fresh, &from, "SM-later", at(HOUR)).await;
    // A webhook that could not be read, and a status.
    let malformed = format!("From=whatsapp%3A%2B{}&Body=", &ANN[1..]);
    fresh.log_webhook(webhook_record(&malformed)).await.unwrap();
    let status = webhook_record(&format!("To=whatsapp%3A%2B{}&MessageStatus=read", &ANN[1..]));
    fresh.apply_status(status_update("SM-to-1", DeliveryStatus::Read, None), Some(status), at(HOUR)).await.unwrap();
    fresh.execute_sql("INSERT INTO spent VALUES ('contact 1', '2026-09-21', 1, 2, 3), ('all', '2026-09-21', 9, 9, 9)");
    let before = fresh.whole_content();
    for trace in [ANN, &ANN[1..], USER_ID, "Ann", &conversation.0.simple().to_string(), "SM-of-ann", "contact 1"] {
        assert!(before.contains(trace), "{trace} of {before}");
    }
    let of_ben = |fresh: &FreshStore| {
        let contact = fresh.rows("SELECT contact_id FROM addresses WHERE value = '+15550000002'").remove(0);
        let select = |sql: &str| fresh.rows(&sql.replace('$', &contact));
        [
            select("SELECT * FROM contacts WHERE id = $"),
            select(
                "SELECT m.* FROM conversations c JOIN messages m ON m.conversation_id = c.id WHERE c.contact_id = $",
            ),
            select("SELECT t.* FROM conversations c JOIN turns t ON t.conversation_id = c.id WHERE c.contact_id = $"),
            select("SELECT p.* FROM conversations c JOIN parts p ON p.conversation_id = c.id WHERE c.contact_id = $"),
            select("SELECT * FROM webhook_log WHERE body LIKE '%5550000002%'"),
            select("SELECT * FROM alerts WHERE message LIKE '%5550000002%'"),
            select("SELECT * FROM spent WHERE scope = 'all'"),
        ]
    };
    let untouched = of_ben(fresh);
    assert!(untouched.iter().all(|rows| !rows.is_empty()), "{untouched:?}");

    let erased = erase(fresh, ANN, at(2 * HOUR)).await;
    assert_eq!(erased.deleted, Deleted { conversations: 2, messages: 4, webhooks: 4, alerts: 2 });
    assert_eq!(erased.files, [hash]);
    assert_eq!((erased.person.name.as_deref(), erased.person.addresses.len()), (Some("Ann"), 2));
    // `Ann` is Ben's name here too.
    let after = fresh.whole_content();
    for trace in [ANN, &ANN[1..], USER_ID, &conversation.0.simple().to_string(), "SM-of-ann", "SM-later", "contact 1"] {
        assert!(!after.contains(trace), "{trace} of {after}");
    }
    assert_eq!(of_ben(fresh), untouched);
    assert_eq!(contact_of(fresh, ANN).await, None);
    assert_eq!(fresh.erase_person(1, at(2 * HOUR)).await.unwrap(), None, "only once");
}

pub async fn a_stop_and_a_block_outlive_the_erasure_of_the_person(fresh: &FreshStore) {
    let fresh = &fresh.with_erasure_key();
    fresh.contact_sends_command(ANN, "SM1", START, Command::OptOut).await;
    fresh.contact_writes(BEN, "SM2", START).await;
    fresh.set_blocked(Address::parse(BEN).unwrap(), true, at(1)).await.unwrap();
    erase(fresh, ANN, at(2)).await;
    erase(fresh, BEN, at(2)).await;
    assert!(matches!(webhook_arrives(fresh, ANN, "SM3", at(3)).await, ReceiveOutcome::Skipped(_)));
    assert!(matches!(webhook_arrives(fresh, BEN, "SM4", at(3)).await, ReceiveOutcome::Skipped(_)));
    assert_eq!(restriction(fresh, ANN).await, [format!("{}|-", START.0)]);
    assert_eq!(restriction(fresh, BEN).await, [format!("-|{}", at(1).0)]);
    // The person decides again, and that counts over the next erasure too.
    fresh.contact_sends_command(ANN, "SM5", at(4), Command::OptIn).await;
    fresh.set_blocked(Address::parse(BEN).unwrap(), false, at(4)).await.unwrap();
    for address in [ANN, BEN] {
        assert_eq!(restriction(fresh, address).await, ["-|-"]);
        erase(fresh, address, at(5)).await;
        webhook_arrives(fresh, address, &format!("SM6{address}"), at(6)).await;
        assert_eq!(restriction(fresh, address).await, ["-|-"], "{address}");
    }
}

pub async fn a_stop_of_an_erased_person_is_known_by_each_of_their_addresses(fresh: &FreshStore) {
    let fresh = &fresh.with_erasure_key();
    fresh.contact_sends_command(&format!("{ANN} {USER_ID}"), "SM1", START, Command::OptOut).await;
    erase(fresh, USER_ID, at(1)).await;
    webhook_arrives(fresh, ANN, "SM2", at(2)).await;
    assert_eq!(restriction(fresh, ANN).await, [format!("{}|-", START.0)]);
    let of_user_id = fresh.receive_plain(inbound(USER_ID, "SM3", at(3)), None).await.unwrap();
    assert!(matches!(of_user_id, ReceiveOutcome::Skipped(_)));
    // An operator who blocks the number makes a contact of it, who is opted out as before.
    erase(fresh, ANN, at(4)).await;
    fresh.set_blocked(Address::parse(ANN).unwrap(), true, at(5)).await.unwrap();
    assert_eq!(restriction(fresh, ANN).await, [format!("{}|{}", START.0, at(5).0)]);
}

pub async fn a_start_or_an_unblock_counts_for_every_address_of_an_erased_person(fresh: &FreshStore) {
    let fresh = &fresh.with_erasure_key();
    let both = format!("{ANN} {USER_ID}");
    fresh.contact_sends_command(&both, "SM1", START, Command::OptOut).await;
    fresh.set_blocked(Address::parse(ANN).unwrap(), true, at(1)).await.unwrap();
    erase(fresh, ANN, at(2)).await;
    // She comes back by her number, and her user ID shows only later.
    fresh.set_blocked(Address::parse(ANN).unwrap(), false, at(3)).await.unwrap();
    fresh.contact_sends_command(ANN, "SM2", at(4), Command::OptIn).await;
    assert!(matches!(webhook_arrives(fresh, &both, "SM3", at(5)).await, ReceiveOutcome::Queued(_)));
    assert_eq!(restriction(fresh, USER_ID).await, ["-|-"]);
    // Nor does a backup from between bring it back.
    let kept = fresh.erased_addresses().await.unwrap();
    assert_eq!(
        fresh.rows("SELECT COUNT(opted_out_at), COUNT(blocked_at), COUNT(DISTINCT person) FROM erased_addresses"),
        ["0|0|1"]
    );
    assert_eq!(kept.len(), 2);
}

pub async fn a_message_from_before_the_erasure_is_not_stored_again(fresh: &FreshStore) {
    let fresh = &fresh.with_erasure_key();
    webhook_arrives(fresh, ANN, "SM1", START).await;
    webhook_arrives(fresh, BEN, "SM2", START).await;
    erase(fresh, ANN, at(HOUR)).await;
    let logged = fresh.count("webhook_log");
    // The webhook is repeated; the list has the message, also with a time of another clock; and it has one that mynah
    // never saw.
    assert_eq!(webhook_arrives(fresh, ANN, "SM1", at(HOUR + 1)).await, ReceiveOutcome::Duplicate);
    assert_eq!(is_listed(fresh, ANN, "SM1", at(HOUR + 5_000)).await, ReceiveOutcome::Duplicate);
    assert_eq!(is_listed(fresh, ANN, "SM-unseen", at(HOUR - 1)).await, ReceiveOutcome::Duplicate);
    assert_eq!(contact_of(fresh, ANN).await, None);
    assert_eq!(fresh.rows("SELECT body FROM webhook_log ORDER BY id DESC LIMIT 1"), ["[not kept]"]);
    assert_eq!(fresh.count("webhook_log"), logged + 1);
    // Somebody else's are, and hers from later.
    assert!(matches!(is_listed(fresh, BEN, "SM3", at(HOUR - 1)).await, ReceiveOutcome::Queued(_)));
    assert!(matches!(is_listed(fresh, ANN, "SM4", at(HOUR + 1)).await, ReceiveOutcome::Queued(_)));
    // The hashes of messages are not kept for ever.
    assert_eq!(fresh.count("erased_messages"), 1);
    assert_eq!(fresh.delete_erased_messages(at(HOUR)).await.unwrap(), 0);
    assert_eq!(fresh.delete_erased_messages(at(HOUR + 1)).await.unwrap(), 1);
}

pub async fn work_that_ran_for_an_erased_person_writes_nothing_back(fresh: &FreshStore) {
    let fresh = &fresh.with_erasure_key();
    // A turn that waits for the model, one with a part that is being posted, one with an unread picture.
    let claim = fresh.claimed_turn(ANN).await;
    let (ben, cleo) = (fresh.claimed_turn(BEN).await, "+15550000003");
    let (part, token) = fresh.answer(&ben, &["one", "two"]).await;
    let picture = Attachment { url: "u".into(), media_type: "image/png".into(), placeholder: "[image]".into() };
    let message = mynah::model::Inbound { attachments: vec![picture], ..inbound(cleo, "SM-picture", START) };
    fresh.receive_plain(message, None).await.unwrap();
    fresh.execute_sql("UPDATE turns SET state = 'dead', live = NULL, due_at = NULL WHERE state = 'open'");
    let unread = fresh.unread_attachments(8).await.unwrap();
    assert_eq!(unread.len(), 1);
    for address in [ANN, BEN, cleo] {
        erase(fresh, address, at(2_000)).await;
    }
    let before = fresh.whole_content();

    assert_eq!(fresh.reply(&claim, answer("late"), vec!["late".into()], at(3_000)).await.unwrap(), None);
    assert!(!fresh.release_turn(&claim, at(3_000)).await.unwrap());
    assert_eq!(fresh.record_attachments(&claim, Vec::new(), at(3_000)).await.unwrap(), None);
    assert!(!fresh.provider_accepts(part, token, "SM-late", at(3_000)).await);
    assert!(!fresh.mark_part_unknown(part, token, at(3_000), "no answer".into()).await.unwrap());
    let outcome = AttachmentOutcome {
        message: unread[0].attachment.message,
        number: 0,
        text: "[a picture of Cleo]".into(),
        file: Some(Media { hash: FileHash::new([9; 32]), media_type: "image/png".into(), name: "c".into(), size: 1 }),
        model_image: None,
        error: None,
    };
    fresh.record_unread_attachment(&unread[0], outcome, at(3_000)).await.unwrap();
    assert_eq!(fresh.whole_content(), before);
    fresh.assert_nothing_due(at(24 * HOUR)).await;
}

pub async fn a_late_status_does_not_bring_an_erased_person_into_the_log(fresh: &FreshStore) {
    let fresh = &fresh.with_erasure_key();
    let claim = fresh.claimed_turn(ANN).await;
    let (part, token) = fresh.answer(&claim, &["Hello."]).await;
    fresh.provider_accepts(part, token, "SM-to-ann", at(1_000)).await;
    fresh.contact_writes(BEN, "SM2", at(1_000)).await;
    erase(fresh, ANN, at(2_000)).await;
    let body = format!("To=whatsapp%3A%2B{}&MessageStatus=read", &ANN[1..]);
    for (reference, expected) in [(None, StatusOutcome::NotOurs), (Some(part), StatusOutcome::PartGone)] {
        let update = status_update("SM-to-ann", DeliveryStatus::Read, reference);
        let outcome = fresh.apply_status(update, Some(webhook_record(&body)), at(3_000)).await.unwrap();
        assert_eq!(outcome, expected);
    }
    assert!(!fresh.whole_content().contains(&ANN[1..]));
    assert_eq!(fresh.count("webhook_log"), 2, "what happened is logged, without whom it is about");
}

pub async fn an_erasure_frees_no_id_for_another(fresh: &FreshStore) {
    let fresh = &fresh.with_erasure_key();
    fresh.contact_writes(BEN, "SM1", START).await;
    let last = fresh.contact_writes(ANN, "SM2", START).await;
    let contact = contact_of(fresh, ANN).await.unwrap();
    let erased = erase(fresh, ANN, at(1)).await;
    assert_eq!(fresh.rows("SELECT name, created_at FROM contacts WHERE id = 2"), ["-|0"]);
    let turn = fresh.rows(&format!("SELECT hex(conversation_id), state, error, model FROM turns WHERE id = {last}"));
    assert_eq!(turn, [format!("{}|skipped|its person was erased|-", "00".repeat(16))]);
    let next = fresh.contact_writes("+15550000003", "SM3", at(2)).await;
    assert!(next > last && contact_of(fresh, "+15550000003").await.unwrap() > contact);
    // Until somebody has seen to the files and the log, it is unfinished.
    assert_eq!(fresh.latest_erasure().await.unwrap(), erased.id);
    let unfinished = UnfinishedErasure { id: erased.id, erased_at: at(1) };
    assert_eq!(fresh.unfinished_erasures().await.unwrap(), [unfinished]);
    fresh.finish_erasure(erased.id).await.unwrap();
    assert_eq!(fresh.unfinished_erasures().await.unwrap(), []);
}

pub async fn a_budget_is_not_charged_for_an_erased_person(fresh: &FreshStore) {
    use mynah::model::{Budget, Budgets, Charge};
    let budgets = Budgets { contact_day: Budget { calls: Some(10), ..Budget::NONE }, ..Budgets::NONE };
    let keyed = fresh.with_options(StoreOptions { budgets, ..DEFAULT_OPTIONS });
    let store = keyed.clone().with_erasure_key(mynah::store::ErasureKey::derive(&[7; 32]));
    let claim = keyed.claimed_turn(ANN).await;
    let reservation = claim.reservation.clone().expect("a budget is set");
    assert_eq!(keyed.count("spent"), 1);
    let contact = contact_of(&keyed, ANN).await.unwrap();
    store.erase_person(contact, at(1)).await.unwrap().expect("a contact");
    reservation.record_calls(Charge { calls: 1, tokens: 5, micros: 5 }, 0);
    assert!(!store.reserve_another_call(claim.turn, &reservation).await.unwrap(), "no further call is made");
    assert_eq!(store.reply(&claim, answer("late"), vec!["late".into()], at(2)).await.unwrap(), None);
    assert_eq!(keyed.count("spent"), 0);
}

pub async fn a_restored_backup_does_not_bring_an_erased_person_back(fresh: &FreshStore) {
    let fresh = &fresh.with_erasure_key();
    // The backup is from before the erasure: all three are in it, Ann not opted out yet.
    fresh.contact_writes(ANN, "SM1", START).await;
    fresh.contact_writes(BEN, "SM2", START).await;
    // What the database that it replaces says: Ann was erased after she had sent STOP, and Ben before he wrote again.
    let folder = tempfile::tempdir().unwrap();
    let replaced = mynah::store::Store::open(&folder.path().join("mynah.db"), DEFAULT_OPTIONS).unwrap();
    let replaced = replaced.with_erasure_key(mynah::store::ErasureKey::derive(&[7; 32]));
    let opts_out = Admission { command: Some(Command::OptOut), ..Admission::default() };
    replaced.receive(inbound(ANN, "SM3", at(1)), None, opts_out).await.unwrap();
    replaced.receive_plain(inbound(BEN, "SM4", START - std::time::Duration::from_secs(60)), None).await.unwrap();
    replaced.erase_person(1, at(2)).await.unwrap().expect("Ann");
    replaced.erase_person(2, START - std::time::Duration::from_secs(30)).await.unwrap().expect("Ben");

    let kept = replaced.erased_addresses().await.unwrap();
    assert_eq!(kept.len(), 2);
    assert_eq!(fresh.erase_again(kept.clone(), at(10)).await.unwrap(), 1);
    assert_eq!(contact_of(fresh, ANN).await, None);
    assert!(contact_of(fresh, BEN).await.is_some(), "he wrote after he was erased");
    assert!(matches!(webhook_arrives(fresh, ANN, "SM5", at(11)).await, ReceiveOutcome::Skipped(_)));
    assert_eq!(restriction(fresh, ANN).await, [format!("{}|-", at(1).0)], "her STOP outlives both");
    assert_eq!(fresh.erase_again(kept, at(12)).await.unwrap(), 0, "she is a new contact now");
}

pub async fn the_messages_of_an_earlier_owner_of_a_number_stay(fresh: &FreshStore) {
    let fresh = &fresh.with_erasure_key();
    webhook_arrives(fresh, &format!("{ANN} US.1"), "SM-of-the-first", START).await;
    webhook_arrives(fresh, &format!("{ANN} US.2"), "SM-of-the-second", at(HOUR)).await;
    let second = contact_of(fresh, ANN).await.unwrap();
    assert_ne!(contact_of(fresh, "US.1").await, Some(second));
    let log = fresh.webhook_log_of_person(second).await.unwrap();
    let (records, _) = fresh.webhook_records(&log, 0).await.unwrap();
    assert_eq!(records.len(), 1, "{records:?}");
    assert!(records[0]["body"].as_str().unwrap().contains("SM-of-the-second"));
    erase(fresh, ANN, at(2 * HOUR)).await;
    let left = fresh.whole_content();
    assert!(left.contains("SM-of-the-first") && !left.contains("SM-of-the-second"), "{left}");
}
