//! Attachments of contacts.

use mynah::model::{Attachment, FileHash, Inbound, Media, TurnId};
use mynah::store::{Admission, AttachmentOutcome, ReceiveOutcome, TurnClaim};

use crate::setup::fresh_store::{ANN, BEN, FreshStore, MERGE_WINDOW, START, at, inbound, sid};

/// A message with these files, their placeholders after its text.
fn message_with_attachments(from: &str, id: &str, when: i64, words: &str, marks: &[&str]) -> Inbound {
    let attachments = marks.iter().map(|mark| Attachment {
        url: format!("https://api.twilio.com/{id}"),
        media_type: "image/jpeg".into(),
        placeholder: (*mark).into(),
    });
    let text = [words].iter().chain(marks).filter(|line| !line.is_empty()).copied().collect::<Vec<_>>().join("\n");
    Inbound { text, attachments: attachments.collect(), ..inbound(from, id, at(when)) }
}

async fn receive_message(fresh: &FreshStore, message: Inbound) -> TurnId {
    match fresh.receive(message, None, Admission::default()).await.unwrap().outcome {
        ReceiveOutcome::Queued(turn) => turn,
        other => panic!("{other:?}"),
    }
}

fn media_file(number: u8) -> Media {
    let hash = FileHash::new([number; 32]);
    Media { hash, media_type: "image/png".into(), name: "image".into(), size: 10 }
}

/// One outcome for each that waits.
async fn read_outcomes(fresh: &FreshStore, claim: &TurnClaim, words: &str) -> Vec<AttachmentOutcome> {
    let attached = fresh.turn_attachments(claim).await.unwrap();
    let all = attached.into_iter().filter(|attached| attached.waiting).enumerate().map(|(number, attached)| {
        AttachmentOutcome {
            message: attached.message,
            number: attached.number,
            text: format!("[{words} {number}]"),
            file: Some(media_file(1)),
            model_image: Some(media_file(2)),
            error: None,
        }
    });
    all.collect()
}

pub async fn text_read_from_attachments_is_in_their_messages(fresh: &FreshStore) {
    receive_message(fresh, message_with_attachments(ANN, "SM1", 0, "see [image] here", &["[image]", "[image]"])).await;
    receive_message(fresh, message_with_attachments(ANN, "SM2", 100, "", &["[voice message]"])).await;
    let claim = fresh.due_turn(at(20_000)).await;
    let attached = fresh.turn_attachments(&claim).await.unwrap();
    let outcomes: Vec<_> =
        attached.iter().map(|one| (one.number, one.attachment.placeholder.as_str(), one.waiting)).collect();
    assert_eq!(outcomes, [(0, "[image]", true), (1, "[image]", true), (0, "[voice message]", true)]);
    assert_eq!(attached[2].attachment.url, "https://api.twilio.com/SM2");

    let mut known = read_outcomes(fresh, &claim, "seen").await;
    known[2] = AttachmentOutcome { file: None, model_image: None, error: Some("too large".into()), ..known[2].clone() };
    let revision = fresh.record_attachments(&claim, known.clone(), at(20_000)).await.unwrap().unwrap();
    assert_eq!(revision, claim.revision + 1, "a window from before is not the latest");
    let window = fresh.window_lines(claim.conversation, claim.turn, 10).await;
    assert_eq!(
        window,
        ["user: see [image] here\n[seen 0]\n[seen 1]", "user: [seen 2]"],
        "what the contact wrote stays"
    );
    let attached = fresh.turn_attachments(&claim).await.unwrap();
    let states: Vec<_> = attached.iter().map(|one| (one.waiting, one.unreadable)).collect();
    assert_eq!(states, [(false, false), (false, false), (false, true)]);

    let (_, said) = fresh.conversation(claim.conversation, 9).await.unwrap().unwrap();
    let shown = said.into_iter().flat_map(|said| said.attachments);
    let shown: Vec<_> = shown.map(|one| (one.media_type, one.state, one.file, one.error)).collect();
    let read = ("image/png".to_owned(), "read".to_owned(), Some((media_file(1).hash, 10)), None);
    let unreadable = ("image/jpeg".to_owned(), "unreadable".to_owned(), None, Some("too large".to_owned()));
    assert_eq!(shown, [read.clone(), read, unreadable]);

    // Again, as after a retry: nothing changes.
    fresh.record_attachments(&claim, known, at(20_000)).await.unwrap();
    assert_eq!(fresh.window_lines(claim.conversation, claim.turn, 10).await, window);
}

pub async fn a_quoted_attachment_is_not_taken_for_one_of_the_message(fresh: &FreshStore) {
    receive_message(fresh, message_with_attachments(ANN, "SM1", 0, "", &["[voice message]"])).await;
    let claim = fresh.due_turn(at(20_000)).await;
    let words = |outcomes: Vec<AttachmentOutcome>, words: &str| {
        outcomes.into_iter().map(|one| AttachmentOutcome { text: format!("[voice message]\n{words}"), ..one }).collect()
    };
    let known = words(read_outcomes(fresh, &claim, "").await, "Do you have rye?");
    fresh.record_attachments(&claim, known, at(20_000)).await.unwrap().unwrap();
    let (part, token) = fresh.answer_at(&claim, &["Yes."], at(20_000)).await;
    assert!(fresh.provider_accepts(part, token, "SM-ours", at(21_000)).await);
    for (number, (quoted, tail)) in (2_i64..).zip([
        ("SM1", "[in reply to: “[voice message] Do you have rye?”]"),
        ("SM-unknown", "[in reply to an earlier message]"),
    ]) {
        let when = number * 100_000;
        let answers = message_with_attachments(ANN, &format!("SM{number}"), when, "", &["[voice message]"]);
        let text = format!("{}\n[in reply to an earlier message]", answers.text);
        let turn = receive_message(fresh, Inbound { text, quoted_id: Some(sid(quoted)), ..answers }).await;
        let claim = fresh.due_turn(at(when + 20_000)).await;
        let known = words(read_outcomes(fresh, &claim, "").await, "Two, please.");
        fresh.record_attachments(&claim, known, at(when + 20_000)).await.unwrap().unwrap();
        let window = fresh.window_lines(claim.conversation, turn, 1).await;
        assert_eq!(window, [format!("user: [voice message]\nTwo, please.\n{tail}")]);
        let (part, token) = fresh.answer_at(&claim, &["Yes."], at(when + 20_000)).await;
        assert!(fresh.provider_accepts(part, token, &format!("SM-ours-{number}"), at(when + 21_000)).await);
    }
}

pub async fn files_of_one_message_keep_their_places(fresh: &FreshStore) {
    let marks = ["[image]", "[document: text/plain]", "[image]", "[image]"];
    let turn = receive_message(fresh, message_with_attachments(ANN, "SM1", 0, "[image]\nof [image]", &marks)).await;
    let claim = fresh.due_turn(at(20_000)).await;
    let mut known = read_outcomes(fresh, &claim, "").await;
    let words = ["[image, which cannot be read]", "[document: text/plain]\n[image]", "[image]", "[image of a cat]"];
    for (outcome, words) in known.iter_mut().zip(words) {
        outcome.text = words.into();
    }
    known[0].error = Some("damaged".into());
    fresh.record_attachments(&claim, known, at(20_000)).await.unwrap().unwrap();
    let window = fresh.window_lines(claim.conversation, turn, 1).await;
    assert_eq!(window, [format!("user: [image]\nof [image]\n{}", words.join("\n"))]);
}

pub async fn a_stale_worker_changes_nothing_of_an_attachment(fresh: &FreshStore) {
    receive_message(fresh, message_with_attachments(ANN, "SM1", 0, "", &["[image]"])).await;
    let claim = fresh.due_turn(at(20_000)).await;
    let known = read_outcomes(fresh, &claim, "seen").await;
    assert!(fresh.release_turn(&claim, at(20_000)).await.unwrap());
    assert_eq!(fresh.record_attachments(&claim, known, at(20_000)).await.unwrap(), None);
    let claim = fresh.due_turn(at(20_000)).await;
    assert!(fresh.turn_attachments(&claim).await.unwrap()[0].waiting);
    assert_eq!(fresh.unread_attachments(9).await.unwrap(), [], "a turn that goes on reads its own");
    assert_eq!(fresh.window_lines(claim.conversation, claim.turn, 10).await, ["user: [image]"]);
}

pub async fn the_latest_pictures_are_known_with_their_messages(fresh: &FreshStore) {
    let mut claim = None;
    for (number, id) in (0..).zip(["SM1", "SM2", "SM3"]) {
        receive_message(fresh, message_with_attachments(ANN, id, number * 100_000, "", &["[image]"])).await;
        let now = fresh.due_turn(at(number * 100_000 + 20_000)).await;
        let known = read_outcomes(fresh, &now, id).await;
        fresh.record_attachments(&now, known, at(20_000)).await.unwrap().unwrap();
        let (part, token) = fresh.answer_at(&now, &["Nice."], at(number * 100_000 + 20_000)).await;
        assert!(fresh.provider_accepts(part, token, &format!("SM-out-{id}"), at(number * 100_000 + 21_000)).await);
        claim = Some(now);
    }
    let claim = claim.unwrap();
    let of = async |first, last, most| {
        let found = fresh.pictures(claim.conversation, (first, last), most).await.unwrap();
        found.into_iter().map(|picture| picture.provider_id.0).collect::<Vec<_>>()
    };
    let first = TurnId(claim.turn.0 - 2);
    assert_eq!(of(first, claim.turn, 5).await, ["SM1", "SM2", "SM3"]);
    assert_eq!(of(first, claim.turn, 2).await, ["SM2", "SM3"]);
    assert_eq!(of(TurnId(first.0 + 1), TurnId(claim.turn.0 - 1), 5).await, ["SM2"]);
}

pub async fn attachments_go_with_their_conversation(fresh: &FreshStore) {
    receive_message(fresh, message_with_attachments(ANN, "SM1", 0, "", &["[image]"])).await;
    let claim = fresh.due_turn(at(20_000)).await;
    let known = read_outcomes(fresh, &claim, "seen").await;
    fresh.record_attachments(&claim, known, at(20_000)).await.unwrap().unwrap();
    let files = || vec![media_file(1).hash, media_file(2).hash, media_file(3).hash];
    assert_eq!(fresh.unused_files(files()).await.unwrap(), [media_file(3).hash], "both are kept");
    assert_eq!(fresh.count("attachments"), 1);
    fresh.execute_sql("DELETE FROM conversations");
    assert_eq!(fresh.count("attachments"), 0);
    assert_eq!(fresh.unused_files(files()).await.unwrap(), files());
}

pub async fn the_pictures_of_an_album_are_one_turn(fresh: &FreshStore) {
    let turn = receive_message(fresh, message_with_attachments(ANN, "SM1", 0, "these", &["[image]"])).await;
    // Each may come when the last has long been in.
    for number in 1..5 {
        fresh.assert_nothing_due(at(number * 2_500)).await;
        assert_eq!(
            receive_message(
                fresh,
                message_with_attachments(ANN, &format!("SM1-{number}"), number * 2_500, "", &["[image]"])
            )
            .await,
            turn
        );
    }
    fresh.assert_nothing_due(at(12_999)).await;
    assert_eq!(fresh.due_turn(at(13_000)).await.turn, turn);
    // But nobody is kept waiting for ever, nor by a voice note, of which there are no albums.
    let turn = receive_message(fresh, message_with_attachments(BEN, "SM2", 20_000, "", &["[image]"])).await;
    for number in 1..10 {
        receive_message(
            fresh,
            message_with_attachments(BEN, &format!("SM2-{number}"), 20_000 + number * 2_000, "", &["[video]"]),
        )
        .await;
    }
    assert_eq!(fresh.due_turn(at(35_000)).await.turn, turn);
    let from = "+15550000003";
    let turn = receive_message(fresh, message_with_attachments(from, "SM3", 50_000, "", &["[voice message]"])).await;
    assert_eq!(fresh.due_turn(at(50_000) + MERGE_WINDOW).await.turn, turn);
}

pub async fn an_album_that_begins_beside_an_answer_is_one_turn(fresh: &FreshStore) {
    // Its first picture is the first that waits, then it joins a text that waits.
    for (from, texts) in [(ANN, 0), (BEN, 1)] {
        let claim = fresh.claimed_turn(from).await;
        if texts > 0 {
            fresh.contact_writes(from, "SM-text", at(1_500)).await;
        }
        let turn =
            receive_message(fresh, message_with_attachments(from, &format!("{from}-1"), 3_000, "", &["[image]"])).await;
        let (part, token) = fresh.answer_at(&claim, &["Hello."], at(4_000)).await;
        assert!(fresh.provider_accepts(part, token, &format!("SM-out-{from}"), at(4_000)).await);
        fresh.assert_nothing_due(at(5_000)).await;
        assert_eq!(
            receive_message(fresh, message_with_attachments(from, &format!("{from}-2"), 5_000, "", &["[image]"])).await,
            turn,
            "{from}"
        );
        fresh.assert_nothing_due(at(7_999)).await;
        assert_eq!(fresh.due_turn(at(8_000)).await.turn, turn, "{from}");
    }
}

pub async fn a_quoted_message_is_shown_with_its_text(fresh: &FreshStore) {
    let claim = fresh.claimed_turn(ANN).await;
    let (part, token) = fresh.answer(&claim, &["We open\nat  nine."]).await;
    assert!(fresh.provider_accepts(part, token, "SM-ours", at(2_000)).await);
    let first = format!("SM-first-of-{ANN}");
    let quoting = |id: &str, quoted: &str, from: &str| Inbound {
        text: "And then?\n[in reply to an earlier message]".into(),
        quoted_id: Some(sid(quoted)),
        ..inbound(from, id, at(3_000))
    };
    for (id, quoted, tail) in [
        ("SM2", "SM-ours", "[in reply to: “We open at nine.”]".to_owned()),
        ("SM3", first.as_str(), format!("[in reply to: “{first}”]")),
        ("SM4", "SM-unknown", "[in reply to an earlier message]".to_owned()),
    ] {
        let received = fresh.receive(quoting(id, quoted, ANN), None, Admission::default()).await.unwrap();
        assert_eq!(received.conversation_revision.is_none(), id != "SM4", "who keeps what came in reads it anew");
        let ReceiveOutcome::Queued(turn) = received.outcome else { panic!("not answered") };
        let window = fresh.window_lines(claim.conversation, turn, 1).await;
        assert_eq!(window, [format!("user: And then?\n{tail}")]);
    }
    // A message of another contact is not quoted.
    fresh.receive(quoting("SM5", "SM-ours", BEN), None, Admission::default()).await.unwrap();
    let stored = fresh.rows("SELECT content FROM messages WHERE provider_id = 'SM5'");
    assert_eq!(stored, ["And then?\n[in reply to an earlier message]"]);
    // A long one is cut.
    let long = Inbound { text: "word ".repeat(100), ..inbound(BEN, "SM6", START) };
    fresh.receive(long, None, Admission::default()).await.unwrap();
    fresh.receive(quoting("SM7", "SM6", BEN), None, Admission::default()).await.unwrap();
    let stored = fresh.rows("SELECT content FROM messages WHERE provider_id = 'SM7'").remove(0);
    assert!(stored.ends_with("word…”]") || stored.ends_with("word …”]"), "{stored}");
    assert!(stored.chars().count() < 240, "{stored}");
}
