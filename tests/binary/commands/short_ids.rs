//! Conversations named by a part of their id, by the contact's phone number or by their name.

use crate::setup::test_environment::TestEnvironment;

const SAME_END: [&str; 2] = ["019a3f00-0000-7000-8000-0000000b1b2c", "019a3f00-0001-7000-8000-0000000a1b2c"];
const OTHER: &str = "019a3f00-0002-7000-8000-00000fedcba9";

/// A database with three conversations whose names are wider than their characters, or hold characters they should not.
async fn with_three_conversations() -> TestEnvironment {
    let environment = TestEnvironment::new().await;
    assert_eq!(environment.settings.run(&["migrate"]).await.status, Some(0));
    let database = rusqlite::Connection::open(environment.settings.folder.join("mynah.db")).expect("it opens");
    let rows = [
        (SAME_END[0], "王小明", "+12025550101", "auto"),
        (SAME_END[1], "Ana 🧁\u{1b}[31m\n", "+4915112345678", "human"),
        (OTHER, "", "+33612345678", "auto"),
    ];
    for (number, (id, name, contact, mode)) in (1..).zip(rows) {
        database
            .execute("INSERT INTO contacts (id, name, created_at) VALUES (?1, ?2, 0)", rusqlite::params![number, name])
            .expect("the contact is stored");
        database
            .execute(
                "INSERT INTO addresses VALUES ('phone', ?1, ?2, 0, NULL, NULL)",
                rusqlite::params![contact, number],
            )
            .expect("the address is stored");
        let id = uuid::Uuid::parse_str(id).expect("an id");
        database
            .execute(
                "INSERT INTO conversations
                     (id, contact_id, channel, our_address, reply_to, started_at, last_inbound_at, mode)
                 VALUES (?1, ?2, 'twilio', 'whatsapp:+14155238886', 'whatsapp:' || ?3, 0, 0, ?4)",
                rusqlite::params![id.as_bytes(), number, contact, mode],
            )
            .expect("the conversation is stored");
    }
    environment
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conversations_stand_in_columns_whatever_people_are_called() {
    let environment = with_three_conversations().await;
    let listed = environment.settings.run(&["conversations", "list"]).await;
    let time = "1970-01-01T00:00:00.000Z";
    let expected = format!(
        "{OTHER}  {time}  whatsapp:+33612345678                      –\n\
         {}  {time}  whatsapp:+4915112345678  a person answers  Ana 🧁[31m\n\
         {}  {time}  whatsapp:+12025550101                      王小明\n",
        SAME_END[1], SAME_END[0],
    );
    assert_eq!(listed.stdout, expected);
    let shown = environment.settings.run(&["conversations", "show", "0a1b2c"]).await;
    assert!(shown.stdout.starts_with("whatsapp:+4915112345678  Ana 🧁[31m\n"), "{shown:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_is_named_by_the_beginning_or_the_end_of_its_id() {
    let environment = with_three_conversations().await;
    for piece in ["cba9", "FEDCBA9", "00000fedcba9", "019a3f00-0002", OTHER] {
        let shown = environment.settings.run(&["conversations", "show", piece, "--json"]).await.json();
        assert_eq!(shown["id"], OTHER, "{piece}");
    }
    let older = environment.settings.run(&["conversations", "list", "--before", "cba9", "--json"]).await.json();
    assert_eq!(older.as_array().unwrap().len(), 2);
    let ended = environment.settings.run(&["conversations", "end", "cba9", "--json"]).await.json();
    assert_eq!(ended["conversation"], OTHER);

    for (piece, found) in [("1b2c", 2), ("019a3f", 3)] {
        let refused = environment.settings.run(&["conversations", "end", piece]).await;
        let expected = format!("{found} conversations have an id that begins or ends with {piece}, such as 019a3f00-");
        assert!(refused.status == Some(1) && refused.stderr.contains(&expected), "{refused:?}");
        assert!(refused.stderr.contains("write more of it"), "{refused:?}");
    }
    let unknown = environment.settings.run(&["conversations", "end", "beef"]).await;
    assert!(unknown.status == Some(1) && unknown.stderr.contains("begins or ends with beef"), "{unknown:?}");
    for wrong in ["2c", "Bob", "+12025550199"] {
        let refused = environment.settings.run(&["conversations", "end", wrong]).await;
        assert!(refused.status == Some(1) && refused.stderr.contains("nobody"), "{refused:?}");
    }
    let refused = environment.settings.run(&["conversations", "list", "--before", "2c"]).await;
    assert!(refused.status == Some(2) && refused.stderr.contains("four or more characters"), "{refused:?}");
    let open = environment.settings.run(&["conversations", "list", "--json"]).await.json();
    let ended = open.as_array().unwrap().iter().filter(|one| !one["ended_at"].is_null()).count();
    assert_eq!(ended, 1, "what is not clear changes nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_is_named_by_a_phone_number_in_any_spelling_or_by_a_name() {
    let environment = with_three_conversations().await;
    for (who, id) in [
        ("+33 6 12 34 56 78", OTHER),
        ("whatsapp:+33612345678", OTHER),
        ("33612345678", OTHER),
        ("+49 (0)151 1234-5678", SAME_END[1]),
        ("ana", SAME_END[1]),
        ("王小明", SAME_END[0]),
    ] {
        let shown = environment.settings.run(&["conversations", "show", who, "--json"]).await.json();
        assert_eq!(shown["id"], id, "{who}");
    }
    // Who is blocked need not be named by an address.
    for (who, address) in [("ana", "+4915112345678"), ("cba9", "+33612345678"), ("+12025550199", "+12025550199")] {
        let blocked = environment.settings.run(&["conversations", "block", who, "--json"]).await.json();
        assert_eq!(blocked["address"], address, "{who}");
        assert_eq!(environment.settings.run(&["conversations", "unblock", who]).await.status, Some(0));
    }
    for (who, status) in [("2025550101", 2), ("Bob", 1)] {
        assert_eq!(environment.settings.run(&["conversations", "block", who]).await.status, Some(status), "{who}");
    }
    // The open conversation is meant, and without one the latest.
    let database = rusqlite::Connection::open(environment.settings.folder.join("mynah.db")).expect("it opens");
    let older = uuid::Uuid::parse_str("019a3f00-0003-7000-8000-00000fedcba8").expect("an id");
    let ended = "INSERT INTO conversations
            (id, contact_id, channel, our_address, reply_to, started_at, last_inbound_at, ended_at)
        SELECT ?1, contact_id, channel, our_address, reply_to, 1, 1, 1 FROM conversations WHERE contact_id = 3";
    assert_eq!(database.execute(ended, [older.as_bytes()]).expect("it is stored"), 1);
    let shown = environment.settings.run(&["conversations", "show", "+33612345678", "--json"]).await.json();
    assert_eq!(shown["id"], OTHER);
    assert_eq!(environment.settings.run(&["conversations", "end", "+33612345678"]).await.status, Some(0));
    let shown = environment.settings.run(&["conversations", "show", "+33612345678", "--json"]).await.json();
    assert_eq!(shown["id"], older.to_string());
}
