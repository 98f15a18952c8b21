//! Conversations found by a part of their ids.

use mynah::model::ShortId;

use crate::setup::fresh_store::{ANN, FreshStore, at};

/// Ended conversations with these ids.
fn insert_conversations(fresh: &FreshStore, ids: &[&str]) {
    for id in ids {
        fresh.execute_sql(&format!(
            "INSERT INTO conversations (id, contact_id, channel, our_address, reply_to, started_at, last_inbound_at, ended_at)
             SELECT x'{id}', id, 'twilio', 'ours', 'theirs', 1, 1, 2 FROM contacts"
        ));
    }
}

async fn matching_ids(fresh: &FreshStore, piece: &str, most: usize) -> Vec<String> {
    let found = fresh.conversations_by_short_id(ShortId::parse(piece).unwrap(), most).await.unwrap();
    found.into_iter().map(|id| id.0.simple().to_string()).collect()
}

pub async fn a_conversation_is_found_by_either_end_of_its_id(fresh: &FreshStore) {
    fresh.contact_writes(ANN, "1", at(0)).await;
    let [a, b, c] =
        ["019a3f00000070008000000000a1b2c3", "019a3f00000170008000000000b1b2c3", "019a400000007000800000000019a400"];
    insert_conversations(fresh, &[a, b, c]);
    for (piece, found) in [
        ("a1b2c3", &[a][..]),
        ("1b2c3", &[b, a]),
        ("019a3f00-0001", &[b]),
        ("019a3f", &[b, a]),
        // Its beginning and its end, once.
        ("019a40", &[c]),
        ("19a400", &[c]),
        ("7000", &[]),
        (a, &[a]),
    ] {
        let mut expected = found.to_vec();
        let mut found = matching_ids(fresh, piece, 9).await;
        expected.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, expected, "{piece}");
    }
    assert_eq!(matching_ids(fresh, "019a", 2).await, [c, b], "no more than asked for, the latest first");
    assert_eq!(matching_ids(fresh, "1b2c3", 1).await, [b], "nor of those that end so");
}
