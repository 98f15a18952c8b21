//! Another machine at the other end: two assistants that thank each other would never stop.

use std::num::NonZeroU32;
use std::time::Duration;

use tracing::error;

use super::insist;
use crate::app::App;
use crate::model::{Rate, Role};
use crate::store::{StoreError, TurnClaim, WindowLine};

/// More turns than a person takes.
const TURNS: Rate = Rate { most: NonZeroU32::new(20).expect("twenty is not zero"), period: Duration::from_secs(600) };

/// So many messages of one contact in a row that say the same, each answered.
const EQUAL: usize = 5;

/// Why a machine is suspected, if one is.
pub(super) async fn suspect(app: &App, claim: &TurnClaim, window: &[WindowLine]) -> Option<&'static str> {
    // What a person of ours sends, and what was asked of us, is no conversation of machines; a second try is no new turn.
    if claim.request.is_some() || claim.attempt > 1 {
        return None;
    }
    if app.cache.take(&format!("turns {}", claim.conversation), TURNS).await.is_err() {
        return Some("more than 20 turns in 10 minutes");
    }
    let mut turn = None;
    let mut said = Vec::new();
    for line in window.iter().rev().filter(|line| line.role == Role::User) {
        // One for each turn: a person may well send the same twice in a burst.
        if turn.replace(line.turn) != Some(line.turn) {
            said.push(line.content.trim());
        }
    }
    let same = said.first().map_or(0, |first| said.iter().take_while(|text| *text == first).count());
    (same >= EQUAL).then_some("the contact said the same five times in a row")
}

/// Leaves the conversation to a person, and tells the owner. The contact is told nothing: that would go on with it.
pub(super) async fn pause(app: &App, claim: &TurnClaim, why: &'static str) -> Result<(), StoreError> {
    let now = app.clock.now();
    let until = app.config.people.human_return.map(|after| now + after);
    error!(turn = claim.turn.0, conversation = %claim.conversation, why, "another machine may be at the other end; paused");
    insist(|| app.store.pause(claim, until, why.to_owned(), now)).await?;
    let (subject, message) =
        (claim.conversation.to_string(), format!("paused: {why}; a machine may be at the other end"));
    insist(|| app.store.alert("loop", subject.clone(), message.clone(), now)).await
}
