//! Encrypted secrets in the database.

use crate::setup::fresh_store::{FreshStore, at};

pub async fn a_secret_is_kept_sealed_and_replaced(fresh: &FreshStore) {
    assert_eq!(fresh.sealed_secret("ai.api_key").await.unwrap(), None);
    fresh.put_sealed_secret("ai.api_key", "age: one".into(), at(0)).await.unwrap();
    fresh.put_sealed_secret("twilio.auth_token", "age: other".into(), at(1)).await.unwrap();
    fresh.put_sealed_secret("ai.api_key", "age: two".into(), at(2)).await.unwrap();
    assert_eq!(fresh.sealed_secret("ai.api_key").await.unwrap().as_deref(), Some("age: two"));
    assert_eq!(fresh.sealed_secret("twilio.auth_token").await.unwrap().as_deref(), Some("age: other"));
    assert_eq!(fresh.count("secrets"), 2);
}
