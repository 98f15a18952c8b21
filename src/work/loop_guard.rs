//! The loop guard, which pauses conversations with other bots. Two bots that thank each other would never stop.

use std::num::NonZeroU32;
use std::time::Duration;

use tracing::error;

use super::retry_while_unavailable;
use crate::app::App;
use crate::model::{Rate, Role, TurnId};
use crate::store::{StoreError, TurnClaim, WindowLine};

/// The most turns that a person is expected to take within [`TURNS_PERIOD`].
const MAX_TURNS: usize = 20;

/// The period for [`MAX_TURNS`].
const TURNS_PERIOD: Duration = Duration::from_secs(600);

/// A contact at or below this rate cannot exceed [`MAX_TURNS`], so their turns need not be counted in the store. Few
/// people are above it.
const UNSUSPICIOUS_RATE: Rate = Rate { max_calls: NonZeroU32::new(10).expect("ten is not zero"), period: TURNS_PERIOD };

/// How many equal texts of one contact in a row, each answered, point to a bot.
const MAX_REPEATS: usize = 5;

/// How far back texts count as being in a row. A contact who sends the same greeting once a day is not a bot.
const REPEATS_PERIOD: Duration = Duration::from_secs(24 * 3600);

/// Returns why the contact may be a bot, if so. This counts everything that the contact said on our number, over all
/// conversations, because the bot's words may end one conversation and begin another.
pub(super) async fn detect_loop(
    app: &App,
    claim: &TurnClaim,
    window: &[WindowLine],
) -> Result<Option<&'static str>, StoreError> {
    // Operator messages and commands do not count, and a retry is not a new turn.
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
        // One text per turn, because a person may send the same text twice in a burst.
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
    // Each message raises the revision, so a window with as many lines as the revision is the whole history.
    let is_whole_history =
        claim.is_first_conversation && i64::try_from(window.len()).is_ok_and(|lines| lines >= claim.revision);
    // Most contacts have sent a different text recently. Then the store need not be asked.
    if repeat_count == contact_texts.len() && repeat_count < MAX_REPEATS && !is_whole_history {
        let since = app.clock.now() - REPEATS_PERIOD;
        repeat_count += retry_while_unavailable(|| {
            app.store.count_repeats(claim, *first, (*latest).to_owned(), since, MAX_REPEATS - repeat_count)
        })
        .await?;
    }
    Ok((repeat_count >= MAX_REPEATS).then_some("the contact sent the same text five times in a row"))
}

/// Returns whether a repetition of this text is suspicious. People repeat `yes`, and send several photos in a row. A
/// text in brackets is our placeholder for an attachment.
fn counts_as_repeat(text: &str) -> bool {
    const MIN_CHARS: usize = 8;
    let mark = text.starts_with('[') && text.ends_with(']');
    !mark && text.chars().count() >= MIN_CHARS
}

/// Hands the conversation to a person and raises an alert. The contact gets no message, because a bot would answer it.
pub(super) async fn pause_conversation(app: &App, claim: &TurnClaim, why: &'static str) -> Result<(), StoreError> {
    let now = app.clock.now();
    let until = app.config.contact_policy.human_return.map(|after| now + after);
    error!(why, "the other end may be a bot; the conversation is paused");
    retry_while_unavailable(|| app.store.leave_to_person(claim, until, why.to_owned(), now)).await?;
    let (subject, message) = (claim.conversation.to_string(), format!("paused: {why}; the other end may be a bot"));
    retry_while_unavailable(|| app.store.record_alert("loop", subject.clone(), message.clone(), now)).await
}
