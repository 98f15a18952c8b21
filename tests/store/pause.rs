//! Turns that are left to a person.

use crate::fresh::{ANN, BEN, Fresh, MERGE, START};

pub async fn a_turn_is_paused_with_its_conversation_or_alone_where_that_has_ended(fresh: &Fresh) {
    let until = START + MERGE * 100;
    let pause =
        async |claim| fresh.leave_to_person(claim, Some(until), "too many".to_owned(), START + MERGE).await.unwrap();
    let claim = fresh.started(ANN).await;
    assert!(pause(&claim).await);
    assert_eq!(
        fresh.rows("SELECT mode, mode_until, mode_why FROM conversations"),
        [format!("human|{}|too many", until.0)]
    );
    let before = fresh.everything();
    assert!(!pause(&claim).await, "the claim is stale");
    assert_eq!(fresh.everything(), before);
    let ended = fresh.started(BEN).await;
    assert!(fresh.end_conversation(ended.conversation, START + MERGE).await.unwrap());
    assert!(pause(&ended).await);
    assert_eq!([fresh.turn_state(claim.turn), fresh.turn_state(ended.turn)], ["skipped", "skipped"]);
    assert_eq!(fresh.rows("SELECT COUNT(*) FROM turns WHERE live IS NOT NULL OR finished_at IS NULL"), ["0"]);
    assert_eq!(fresh.rows("SELECT COUNT(*) FROM conversations WHERE mode = 'human'"), ["1"]);
}
