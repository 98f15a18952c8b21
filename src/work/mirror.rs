//! Another machine at the other end: two assistants that thank each other would never stop.

use std::num::NonZeroU32;
use std::time::Duration;

use tracing::error;

use super::insist;
use crate::app::App;
use crate::model::{Rate, Role, TurnId};
use crate::store::{StoreError, TurnClaim, WindowLine};

/// So many turns are more than a person takes, of those answered within...
const TURNS: usize = 20;

/// ...this time.
const IN: Duration = Duration::from_secs(600);

/// Who takes no more than this need not be counted: nobody comes to more than [`TURNS`] by it, and few people are above it.
const AT_EASE: Rate = Rate { max_calls: NonZeroU32::new(10).expect("ten is not zero"), period: IN };

/// So many messages of one contact in a row that say the same, each answered.
const EQUAL: usize = 5;

/// How far back messages count as being in a row. Somebody who greets us once a day is no machine.
const WITHIN: Duration = Duration::from_secs(24 * 3600);

/// Why a machine is suspected, if one is. What counts is what the contact said on our number, in whichever conversation:
/// a machine's words may well end one and begin another.
pub(super) async fn suspect(
    app: &App,
    claim: &TurnClaim,
    window: &[WindowLine],
) -> Result<Option<&'static str>, StoreError> {
    // What a person of ours sends, and what was asked of us, is no conversation of machines; a second try is no new turn.
    if claim.request.is_some() || claim.attempt > 1 {
        return Ok(None);
    }
    let turns = format!("turns {} {} {}", claim.contact, claim.channel, claim.from);
    if app.cache.take_from_rate(&turns, AT_EASE).await.is_err() {
        let since = app.clock.now() - IN;
        if insist(|| app.store.count_answered(claim, since, TURNS)).await? >= TURNS {
            return Ok(Some("more than 20 turns in 10 minutes"));
        }
    }
    let keywords = &app.config.people.keywords;
    let mut said: Vec<(TurnId, &str)> = Vec::new();
    for line in window.iter().rev() {
        // One for each turn: a person may well send the same twice in a burst.
        let another = said.last().is_none_or(|(turn, _)| *turn != line.turn);
        if another && line.role == Role::User && keywords.command_in(&line.content).is_none() {
            said.push((line.turn, line.content.trim()));
        }
    }
    let (Some((_, latest)), Some((first, _))) = (said.first(), said.last()) else { return Ok(None) };
    if !telling(latest) {
        return Ok(None);
    }
    let mut same = said.iter().take_while(|(_, text)| text == latest).count();
    // Each message raises the revision, so nothing was said before a window that is as long.
    let whole = claim.is_first_conversation && i64::try_from(window.len()).is_ok_and(|lines| lines >= claim.revision);
    // Most contacts have said something else not long ago, and the store need not be asked.
    if same == said.len() && same < EQUAL && !whole {
        let since = app.clock.now() - WITHIN;
        same += insist(|| app.store.count_repeats(claim, *first, (*latest).to_owned(), since, EQUAL - same)).await?;
    }
    Ok((same >= EQUAL).then_some("the contact said the same five times in a row"))
}

/// Whether it means something that a text comes again. People say `yes` and send photos one after the other; what stands in
/// brackets is our mark for an attachment.
fn telling(text: &str) -> bool {
    const SHORT: usize = 8;
    let mark = text.starts_with('[') && text.ends_with(']');
    !mark && text.chars().count() >= SHORT
}

/// Leaves the conversation to a person, and tells the owner. The contact is told nothing: that would go on with it.
pub(super) async fn pause(app: &App, claim: &TurnClaim, why: &'static str) -> Result<(), StoreError> {
    let now = app.clock.now();
    let until = app.config.people.human_return.map(|after| now + after);
    error!(turn = claim.turn.0, conversation = %claim.conversation, why, "another machine may be at the other end; paused");
    insist(|| app.store.leave_to_person(claim, until, why.to_owned(), now)).await?;
    let (subject, message) =
        (claim.conversation.to_string(), format!("paused: {why}; a machine may be at the other end"));
    insist(|| app.store.record_alert("loop", subject.clone(), message.clone(), now)).await
}
