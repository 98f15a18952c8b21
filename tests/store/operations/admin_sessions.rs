//! The accounts and sessions of the admin page.

use std::time::Duration;

use mynah::clock::Time;
use mynah::model::AdminRole;
use mynah::store::{IDLE_LIMIT, NewSession, REMEMBERED_LIMIT, SESSION_LIMIT};

use crate::setup::fresh_store::FreshStore;

const NOW: Time = Time(1_793_527_200_000);
const MINUTE: Duration = Duration::from_secs(60);

async fn with_owner(fresh: &FreshStore) {
    fresh.put_admin_account("owner", "$argon2id$1".into(), AdminRole::Owner, NOW).await.unwrap();
}

fn session(token: u8, remembered: bool) -> NewSession {
    let (account, address, browser) = ("owner".into(), "203.0.113.7".into(), "Firefox".into());
    NewSession { token: [token; 32], account, remembered, address, browser }
}

pub async fn a_session_ends_when_nobody_uses_it_and_in_any_case_at_its_limit(fresh: &FreshStore) {
    with_owner(fresh).await;
    fresh.start_admin_session(session(1, false), NOW).await.unwrap();
    let found = fresh.admin_session([1; 32], NOW).await.unwrap().unwrap();
    assert_eq!(
        (found.account.as_str(), found.role, found.expires_at),
        ("owner", AdminRole::Owner, NOW + SESSION_LIMIT)
    );
    assert_eq!(fresh.admin_session([2; 32], NOW).await.unwrap(), None, "another token");
    assert_eq!(fresh.admin_session([1; 32], NOW + IDLE_LIMIT).await.unwrap(), None, "idle");
    // Used every twenty minutes, it lasts for twelve hours.
    let mut now = NOW;
    while now + 20 * MINUTE < NOW + SESSION_LIMIT {
        now = now + 20 * MINUTE;
        assert!(fresh.admin_session([1; 32], now).await.unwrap().is_some(), "{now}");
    }
    assert_eq!(fresh.admin_session([1; 32], NOW + SESSION_LIMIT).await.unwrap(), None, "at its limit");
}

pub async fn a_remembered_device_stays_signed_in_for_thirty_days(fresh: &FreshStore) {
    with_owner(fresh).await;
    fresh.start_admin_session(session(1, true), NOW).await.unwrap();
    assert!(fresh.admin_session([1; 32], NOW + REMEMBERED_LIMIT - MINUTE).await.unwrap().is_some());
    assert_eq!(fresh.admin_session([1; 32], NOW + REMEMBERED_LIMIT).await.unwrap(), None);
}

pub async fn a_new_password_ends_every_session_of_the_account(fresh: &FreshStore) {
    with_owner(fresh).await;
    fresh.put_admin_account("eva", "$argon2id$2".into(), AdminRole::Operator, NOW).await.unwrap();
    fresh.start_admin_session(session(1, true), NOW).await.unwrap();
    fresh.start_admin_session(NewSession { account: "eva".into(), ..session(2, false) }, NOW).await.unwrap();
    fresh.put_admin_account("owner", "$argon2id$3".into(), AdminRole::Viewer, NOW).await.unwrap();
    assert_eq!(fresh.admin_session([1; 32], NOW).await.unwrap(), None);
    assert_eq!(fresh.admin_session([2; 32], NOW).await.unwrap().unwrap().role, AdminRole::Operator);
    fresh.start_admin_session(session(3, false), NOW).await.unwrap();
    let role = fresh.admin_session([3; 32], NOW).await.unwrap().unwrap().role;
    assert_eq!(role, AdminRole::Owner, "a new password changes no role");
    assert_eq!(fresh.admin_password_hash("owner").await.unwrap().unwrap(), "$argon2id$3");
}

pub async fn a_session_is_ended_by_its_own_account_only(fresh: &FreshStore) {
    with_owner(fresh).await;
    fresh.start_admin_session(session(1, false), NOW).await.unwrap();
    fresh.start_admin_session(session(2, true), NOW).await.unwrap();
    assert!(!fresh.end_admin_session([1; 32], "eva").await.unwrap());
    assert!(fresh.end_admin_session([1; 32], "owner").await.unwrap());
    let left = fresh.admin_sessions("owner", NOW).await.unwrap();
    assert_eq!(left.iter().map(|session| session.token).collect::<Vec<_>>(), [[2; 32]]);
    assert_eq!(fresh.end_admin_sessions("owner").await.unwrap(), 1);
    assert!(
        fresh.start_admin_session(NewSession { account: "nobody".into(), ..session(3, false) }, NOW).await.is_err()
    );
}

pub async fn ended_sessions_are_deleted_and_others_stay(fresh: &FreshStore) {
    with_owner(fresh).await;
    fresh.start_admin_session(session(1, false), NOW).await.unwrap();
    fresh.start_admin_session(session(2, true), NOW).await.unwrap();
    assert_eq!(fresh.delete_ended_admin_sessions(NOW + IDLE_LIMIT - MINUTE).await.unwrap(), 0);
    assert_eq!(fresh.delete_ended_admin_sessions(NOW + IDLE_LIMIT).await.unwrap(), 1);
    assert!(fresh.admin_session([2; 32], NOW + IDLE_LIMIT).await.unwrap().is_some());
}

pub async fn a_restored_backup_signs_nobody_in(fresh: &FreshStore) {
    with_owner(fresh).await;
    fresh.start_admin_session(session(1, true), NOW).await.unwrap();
    fresh.mark_restored(NOW, NOW + MINUTE).await.unwrap();
    assert_eq!(fresh.admin_session([1; 32], NOW + MINUTE).await.unwrap(), None, "it may have been ended since");
    assert!(fresh.has_admin_accounts().await.unwrap());
}
