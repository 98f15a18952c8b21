//! What the model sees of a conversation.

use mynah::model::{DeliveryStatus, Role};
use mynah::store::StoredReply;

use crate::setup::fresh_store::{ANN, BEN, FreshStore, answer, at, inbound, sid, status_update};

pub async fn the_window_is_the_last_messages_up_to_the_turn_oldest_first(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    fresh.claimed_turn(BEN).await;
    let (part, token) = fresh.answer(&claim, &["One."]).await;
    assert!(fresh.provider_accepts(part, token, "SMout", at(2_000)).await);
    for number in 2..=4 {
        fresh.contact_writes(ANN, &format!("SM{number}"), at(2_000)).await;
    }
    let claim = fresh.due_turn(at(3_000)).await;
    fresh.contact_writes(ANN, "SM5", at(3_000)).await;
    let conversation = claim.conversation;
    let all = ["user: SM-first-of-+15550000001", "assistant: One.", "user: SM2", "user: SM3", "user: SM4"];
    assert_eq!(fresh.window_lines(conversation, claim.turn, 100).await, all, "and nothing of the turn behind it");
    assert_eq!(fresh.window_lines(conversation, claim.turn, 5).await, all);
    assert_eq!(
        fresh.window_lines(conversation, claim.turn, 4).await,
        all[2..],
        "an exchange that would be cut is left out"
    );
    assert_eq!(fresh.window_lines(conversation, claim.turn, 1).await, all[4..], "but never the turn's own messages");
    let lines = fresh.context_window(conversation, claim.turn, 5).await.unwrap();
    assert_eq!((lines[1].role, &lines[1].provider_id), (Role::Assistant, &None));
    assert_eq!((lines[4].role, &lines[4].provider_id), (Role::User, &Some(sid("SM4"))));
}

pub async fn an_answer_stands_before_what_was_said_while_it_was_made(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    fresh.contact_writes(ANN, "SM2", at(1_100)).await;
    let (part, token) = fresh.answer_at(&claim, &["One."], at(5_000)).await;
    fresh.contact_writes(ANN, "SM3", at(5_100)).await;
    assert!(fresh.provider_accepts(part, token, "SMout", at(5_200)).await);
    let next = fresh.due_turn(at(5_200)).await;
    assert_eq!(
        fresh.window_lines(next.conversation, next.turn, 10).await,
        ["user: SM-first-of-+15550000001", "assistant: One.", "user: SM2", "user: SM3"]
    );
}

pub async fn text_comes_back_to_the_letter(fresh: &FreshStore) {
    let family = "\u{1f469}\u{1f3fd}\u{200d}\u{1f469}\u{1f3fd}\u{200d}\u{1f466}\u{1f3fd}";
    let hard = [
        "\u{1f99c}".repeat(4_096),
        family.repeat(4_096 / family.chars().count()),
        format!("\u{202b}{}\u{202c}", "مرحبا، كم الساعة؟ ".repeat(200)),
        "e\u{301}\u{200b}\u{feff}\u{200d}\u{2060}".repeat(600),
        "\u{1}\u{7f}\t\r\n'; DROP TABLE messages; -- \\ \" % _ ?1 $1 :a\u{10ffff}".repeat(60),
        " \u{a0} ".into(),
        String::new(),
    ];
    let mut said = Vec::new();
    for (number, text) in hard.iter().enumerate() {
        let mut message = inbound(ANN, &format!("SM{number}"), at(0));
        message.text.clone_from(text);
        message.profile_name = Some("\u{202e}Ann\u{1f99c}".into());
        message.metadata.insert("Körper".into(), text.as_str().into());
        said.push(serde_json::to_string(&message.metadata).unwrap());
        fresh.receive_plain(message, None).await.unwrap();
    }
    let claim = fresh.due_turn(at(1_000)).await;
    let lines = fresh.context_window(claim.conversation, claim.turn, 100).await.unwrap();
    assert_eq!(lines.into_iter().map(|line| line.content).collect::<Vec<_>>(), hard);
    assert_eq!(fresh.rows("SELECT metadata FROM messages ORDER BY id"), said);
    assert_eq!(fresh.rows("SELECT name FROM contacts"), ["\u{202e}Ann\u{1f99c}"]);

    // And on the way out.
    let reply = answer(&hard[3]);
    let StoredReply { part, token, .. } =
        fresh.reply(&claim, reply, hard[..6].to_vec(), at(1_000)).await.unwrap().unwrap();
    assert!(fresh.provider_hands_on(part, token, "SMout1", at(1_000)).await);
    for (number, text) in hard[..6].iter().enumerate().skip(1) {
        let next = fresh.due_part(at(1_000)).await;
        assert_eq!(&next.outgoing.text, text);
        assert!(
            fresh
                .provider_hands_on(next.outgoing.reference, next.token, &format!("SMout{}", number + 1), at(1_000))
                .await
        );
    }
    assert_eq!(fresh.context_window(claim.conversation, claim.turn, 1).await.unwrap()[0].content, hard[3]);
}

pub async fn the_revision_rises_with_every_change_of_the_history(fresh: &FreshStore) {
    let revision = || -> i64 { fresh.rows("SELECT revision FROM conversations")[0].parse().unwrap() };
    let last = std::cell::Cell::new(0);
    let rose = |what: &str| {
        assert!(revision() > last.get(), "{what}");
        last.set(revision());
    };
    fresh.contact_writes(ANN, "SM1", at(0)).await;
    rose("the first message");
    fresh.contact_writes(ANN, "SM2", at(0)).await;
    rose("a message of the same turn");
    let claim = fresh.due_turn(at(1_000)).await;
    assert_eq!((claim.revision, revision()), (last.get(), last.get()), "a claim tells it and changes nothing");
    fresh.contact_writes(ANN, "SM3", at(1_000)).await;
    rose("a message that waits");
    let (part, token) = fresh.answer(&claim, &["One."]).await;
    rose("an answer");
    assert!(fresh.fail_part(part, token, "63024".into(), at(2_000)).await.unwrap());
    fresh.status_arrives(status_update("SMx", DeliveryStatus::Read, None), at(2_000)).await;
    fresh.receive_plain(inbound(ANN, "SM3", at(3_000)), None).await.unwrap();
    assert_eq!(revision(), last.get(), "a repeat changes nothing");
    assert!(fresh.is_requeued(claim.turn, at(4_000)).await);
    rose("an answer that is taken back");
}
