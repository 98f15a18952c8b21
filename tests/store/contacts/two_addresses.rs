//! One person with a phone number and a user ID, and steps that the tests of merging and of addresses share.

use mynah::clock::Time;
use mynah::model::{Charge, Inbound};
use mynah::store::Admission;

use crate::setup::fresh_store::{FreshStore, at, inbound};

pub(super) const USER_ID: &str = "US.13491208655302741918";
pub(super) const OTHER_USER_ID: &str = "US.20000000000000000002";
pub(super) const PHONE_AND_USER_ID: &str = "+15550000001 US.13491208655302741918";

pub(super) fn addresses(fresh: &FreshStore) -> Vec<String> {
    fresh.rows("SELECT contact_id, value FROM addresses ORDER BY value")
}

pub(super) fn at_claim_time(millis: i64) -> Time {
    at(1_000 + millis)
}

/// The one turn that is due is answered and sent.
pub(super) async fn answer_due_turn(fresh: &FreshStore, now: Time) {
    let claim = fresh.due_turn(now).await;
    if let Some(reservation) = &claim.reservation {
        reservation.record_calls(Charge { calls: 1, tokens: 10, micros: 0 }, 0);
    }
    let (part, token) = fresh.answer_at(&claim, &["Hello."], now).await;
    assert!(fresh.provider_accepts(part, token, &format!("SM-out-{}", claim.turn), now).await);
}

/// A message through an account, which has a number of its own.
pub(super) async fn contact_writes_through(fresh: &FreshStore, account: &str, from: &str, id: &str, millis: i64) {
    let admission = Admission { account: account.into(), ..Admission::default() };
    let inbound = Inbound { to: format!("whatsapp:+1999000000{}", &account[2..]), ..inbound(from, id, at(millis)) };
    fresh.receive(inbound, None, admission).await.unwrap();
}
