//! Another machine at the other end: two assistants that thank each other would never stop.

use std::num::NonZeroU32;
use std::time::Duration;

use tracing::error;

use super::retry_while_unavailable;
use crate::app::App;
use crate::model::{Rate, Role, TurnId};
use crate::store::{StoreError, TurnClaim, WindowLine};

/// So many turns are more than a person takes, of those answered within...
const MAX_TURNS: usize = 20;

/// ...this time.
const TURNS_PERIOD: Duration = Duration::from_secs(600);

/// Who takes no more than this need not be counted: nobody comes to more than [`TURNS`] by it, and few people are above it.
const UNSUSPICIOUS_RATE: Rate = Rate { max_calls: NonZeroU32::new(10).expect("ten is not zero"), period: TURNS_PERIOD };

/// So many messages of one contact in a row that say the same, each answered.
const MAX_REPEATS: usize = 5;

/// How far back messages count as being in a row. Somebody who greets us once a day is no machine.
const REPEATS_PERIOD: Duration = Duration::from_secs(24 * 3600);

/// Why a machine is suspected, if one is. What counts is what the contact said on our number, in whichever conversation:
/// a machine's words may well end one and begin another.
pub(super) async fn detect_loop(
    app: &App,
    claim: &TurnClaim,
    window: &[WindowLine],
) -> Result<Option<&'static str>, StoreError> {
    // What a person of ours sends, and what was asked of us, is no conversation of machines; a second try is no new turn.
    if claim.request.is_some() || claim.attempt > 1 {
        return Ok(None);
    }
    let rate_key = format!("turns {} {} {}", claim.contact, claim.channel, claim.from);
    if app.cache.take_from_rate(&rate_key, UNSUSPICIOUS_RATE).await.is_err() {
        let since = app.clock.now() - TURNS_PERIOD;
        if retry_while_unavailable(|| app.store.count_answered(claim, since, MAX_TURNS)).await? >= MAX_TURNS {
            return Ok(Some("more than 20 turns in 10 minutes"));
        }
    }
    let keywords = &app.config.contact_policy.keywords;
    let mut contact_texts: Vec<(TurnId, &str)> = Vec::new();
    for line in window.iter().rev() {
        // One for each turn: a person may well send the same twice in a burst.
        let another = contact_texts.last().is_none_or(|(turn, _)| *turn != line.turn);
        if another && line.role == Role::User && keywords.command_in(&line.content).is_none() {
            contact_texts.push((line.turn, line.content.trim()));
        }
    }
    let (Some((_, latest)), Some((first, _))) = (contact_texts.first(), contact_texts.last()) else { return Ok(None) };
    if !counts_as_repeat(latest) {
        return Ok(None);
    }
    let mut repeat_count = contact_texts.iter().take_while(|(_, text)| text == latest).count();
    // Each message raises the revision, so nothing was said before a window that is as long.
    let is_whole_history =
        claim.is_first_conversation && i64::try_from(window.len()).is_ok_and(|lines| lines >= claim.revision);
    // Most contacts have said something else not long ago, and the store need not be asked.
    if repeat_count == contact_texts.len() && repeat_count < MAX_REPEATS && !is_whole_history {
        let since = app.clock.now() - REPEATS_PERIOD;
        repeat_count += retry_while_unavailable(|| {
            app.store.count_repeats(claim, *first, (*latest).to_owned(), since, MAX_REPEATS - repeat_count)
        })
        .await?;
    }
    Ok((repeat_count >= MAX_REPEATS).then_some("the contact said the same five times in a row"))
}

/// Whether it means something that a text comes again. People say `yes` and send photos one after the other; what stands in
/// brackets is our mark for an attachment.
fn counts_as_repeat(text: &str) -> bool {
    const MIN_CHARS: usize = 8;
    let mark = text.starts_with('[') && text.ends_with(']');
    !mark && text.chars().count() >= MIN_CHARS
}

/// Leaves the conversation to a person, and tells the owner. The contact is told nothing: that would go on with it.
pub(super) async fn pause_conversation(app: &App, claim: &TurnClaim, why: &'static str) -> Result<(), StoreError> {
    let now = app.clock.now();
    let until = app.config.contact_policy.human_return.map(|after| now + after);
    error!(turn = claim.turn.0, conversation = %claim.conversation, why, "another machine may be at the other end; paused");
    retry_while_unavailable(|| app.store.leave_to_person(claim, until, why.to_owned(), now)).await?;
    let (subject, message) =
        (claim.conversation.to_string(), format!("paused: {why}; a machine may be at the other end"));
    retry_while_unavailable(|| app.store.record_alert("loop", subject.clone(), message.clone(), now)).await
}
