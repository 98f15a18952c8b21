//! Turns that are left to a person.

use crate::setup::fresh_store::{ANN, BEN, FreshStore, MERGE_WINDOW, START};

pub async fn a_turn_is_paused_with_its_conversation_or_alone_where_that_has_ended(fresh: &FreshStore) {
    let until = START + MERGE_WINDOW * 100;
    let pause = async |claim| {
        fresh.leave_to_person(claim, Some(until), "too many".to_owned(), START + MERGE_WINDOW).await.unwrap()
    };
    let claim = fresh.claimed_turn(ANN).await;
    assert!(pause(&claim).await);
    assert_eq!(
        fresh.rows("SELECT mode, mode_until, mode_why FROM conversations"),
        [format!("human|{}|too many", until.0)]
    );
    let before = fresh.all_rows();
    assert!(!pause(&claim).await, "the claim is stale");
    assert_eq!(fresh.all_rows(), before);
    let ended = fresh.claimed_turn(BEN).await;
    assert!(fresh.end_conversation(ended.conversation, START + MERGE_WINDOW).await.unwrap());
    assert!(pause(&ended).await);
    assert_eq!([fresh.turn_state(claim.turn), fresh.turn_state(ended.turn)], ["skipped", "skipped"]);
    assert_eq!(fresh.rows("SELECT COUNT(*) FROM turns WHERE live IS NOT NULL OR finished_at IS NULL"), ["0"]);
    assert_eq!(fresh.rows("SELECT COUNT(*) FROM conversations WHERE mode = 'human'"), ["1"]);
}
