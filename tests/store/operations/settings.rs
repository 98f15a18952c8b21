//! Stored settings, which an owner changes while mynah runs.

use crate::setup::fresh_store::{FreshStore, at};

pub async fn a_setting_is_stored_replaced_and_taken_away(fresh: &FreshStore) {
    let stored = || fresh.rows("SELECT key, value, updated_at FROM settings ORDER BY key");
    fresh.put_setting("MYNAH_TYPING", "false".into(), at(0)).await.unwrap();
    fresh.put_setting("MYNAH_LINKS", "none".into(), at(1)).await.unwrap();
    fresh.put_setting("MYNAH_TYPING", "true".into(), at(2)).await.unwrap();
    let links = format!("MYNAH_LINKS|none|{}", at(1).0);
    assert_eq!(stored(), [links.clone(), format!("MYNAH_TYPING|true|{}", at(2).0)]);
    assert!(fresh.delete_setting("MYNAH_TYPING").await.unwrap());
    assert!(!fresh.delete_setting("MYNAH_TYPING").await.unwrap(), "there was none any more");
    assert_eq!(stored(), [links]);
}
